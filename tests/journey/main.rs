//! The whole way of a report and of its answer, with every program as its people run it: the demo of
//! `deploy/quickstart`, and on from there. The offline programs run where there is no network at all.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use marram_crypto::digest::Digest;
use marram_tests::programs;
use serde_json::Value;

const PROJECT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// The demo that `deploy/quickstart --keep` leaves: three keyholders, three caseworkers, a courier, and a server that
/// runs and has twenty reports, a canary and a follow-up. Only dilnur has imported what came after the twenty, and has
/// answered the last of them.
struct Demo {
    folder: PathBuf,
    link: String,
    server: String,
    said: String,
    _parent: tempfile::TempDir,
}

impl Demo {
    fn new() -> Self {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("demo");
        // To a file: the server that stays would keep a pipe open.
        let page = parent.path().join("page");
        let status = Command::new("bash")
            .arg(Path::new(PROJECT).join("deploy/quickstart"))
            .arg("--programs")
            .arg(programs::path("marram-server").parent().unwrap())
            .arg("--keep")
            .arg(&folder)
            .stdin(Stdio::null())
            .stdout(fs::File::create(&page).unwrap())
            .stderr(fs::File::create(parent.path().join("errors")).unwrap())
            .status()
            .unwrap();
        let said = fs::read_to_string(&page).unwrap();
        let errors = fs::read_to_string(parent.path().join("errors")).unwrap();
        let server = fs::read_to_string(folder.join("server.pid"))
            .unwrap_or_default()
            .trim()
            .to_owned();
        let link = said
            .split_whitespace()
            .find(|word| word.starts_with("http://127.0.0.1:"))
            .unwrap_or_default();
        let demo = Self {
            link: link.to_owned(),
            folder,
            server,
            said,
            _parent: parent,
        };
        assert!(status.success(), "{}\n{errors}", demo.said);
        assert_eq!(errors, "", "the quickstart has nothing to complain of");
        demo
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn casework(&self, who: &str) -> Command {
        self.offline("marram-casework", &format!("caseworkers/{who}"))
    }

    fn keyholder(&self, who: &str) -> Command {
        self.offline("marram-keyholder", &format!("keyholders/{who}"))
    }

    fn offline(&self, program: &str, home: &str) -> Command {
        let home = self.path(home);
        let mut command = programs::offline(program, &home);
        command.arg("--home").arg(home).current_dir(&self.folder);
        command
    }

    fn courier(&self) -> Command {
        let mut command = programs::program("marram-courier", &self.folder);
        command
            .arg("--home")
            .arg(self.path("courier"))
            .current_dir(&self.folder);
        command
    }

    /// Submits a sample; `codename` is where its words are written, or where those it continues are read.
    fn submit(&self, sample: &str, codename: &Path, continues: bool) {
        let (redirect, verb) = if continues {
            (r#"exec "$@" 4<"$0""#, "add")
        } else {
            (r#"exec "$@" 4>"$0""#, "report")
        };
        let folder = Path::new(PROJECT).join("deploy/samples").join(sample);
        let mut command = programs::program("sh", &self.folder);
        command
            .args(["-c", redirect])
            .arg(codename)
            .arg(programs::path("marram-submit"));
        command
            .args([verb, &self.link, "--codename-fd=4", "--incident"])
            .arg(folder.join("report.json"));
        for file in attachments(&folder) {
            command.arg("--attach").arg(file);
        }
        programs::succeeds(&mut command);
    }

    /// The twelve words of the last of the twenty.
    fn words(&self) -> String {
        let (_, shown) = self.said.split_once("the last one's are:").unwrap();
        shown.split_whitespace().take(12).collect::<Vec<_>>().join(" ")
    }

    /// What the last of the twenty is told.
    fn check(&self) -> Value {
        let words = self.path("words");
        fs::write(&words, self.words()).unwrap();
        let mut command = programs::program("sh", &self.folder);
        command
            .args(["-c", r#"exec "$@" 4<"$0""#])
            .arg(&words)
            .arg(programs::path("marram-submit"))
            .args(["--json", "check", &self.link, "--codename-fd=4"]);
        json(&mut command)
    }

    fn carries_in(&self, bundle: &str, to: &str) {
        let bundle = self.path(bundle);
        if !bundle.exists() {
            programs::succeeds(self.courier().arg("pull").arg("--out").arg(&bundle));
        }
        programs::succeeds(self.casework(to).arg("import").arg(&bundle));
    }

    /// The reports in a caseworker's casebook, by id.
    fn list(&self, who: &str) -> BTreeMap<u64, Value> {
        let listed: Value = json(self.casework(who).args(["--json", "list"]));
        let reports = listed["reports"].as_array().unwrap();
        reports
            .iter()
            .map(|report| (report["id"].as_u64().unwrap(), report.clone()))
            .collect()
    }

    fn show(&self, who: &str, id: u64) -> Value {
        json(self.casework(who).args(["--json", "show", &id.to_string()]))
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        drop(Command::new("kill").arg(&self.server).status());
    }
}

fn json(command: &mut Command) -> Value {
    serde_json::from_str(&programs::succeeds(command)).unwrap()
}

fn attachments(sample: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(sample).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|file| !file.ends_with("report.json")).collect()
}

fn files_under(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_under(&path));
        } else if path.is_file() {
            found.push(path);
        }
    }
    found
}

/// Every sample's narrative, and the digests of its attachments in order.
fn samples() -> BTreeMap<String, Vec<Digest>> {
    let folder = Path::new(PROJECT).join("deploy/samples");
    let folders = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir());
    folders
        .map(|sample| {
            let report: Value = serde_json::from_slice(&fs::read(sample.join("report.json")).unwrap()).unwrap();
            let mut digests: Vec<_> = attachments(&sample)
                .iter()
                .map(|file| Digest::of(&fs::read(file).unwrap()))
                .collect();
            digests.sort();
            (report["narrative"].as_str().unwrap().to_owned(), digests)
        })
        .collect()
}

#[test]
fn a_report_travels_from_a_strangers_terminal_to_a_caseworkers_offline_screen() {
    let demo = Demo::new();
    let samples = samples();
    assert_eq!(samples.len(), 20);
    assert!(demo.said.contains("What you have seen"), "{}", demo.said);

    everything_arrived_as_it_was_said(&demo, &samples);
    the_canary_has_arrived_and_nothing_is_missed(&demo, "dilnur");
    the_answer_is_read_with_the_twelve_words_alone(&demo);
    what_was_added_stands_under_the_same_codename(&demo);
    nothing_readable_is_left_where_it_passed(&demo, &samples);
    two_of_three_identities_are_lost_and_the_third_reads_on(&demo);
    a_revoked_caseworker_has_no_slot_in_the_next_version(&demo);
}

fn everything_arrived_as_it_was_said(demo: &Demo, samples: &BTreeMap<String, Vec<Digest>>) {
    let listed = demo.list("lan");
    assert_eq!(listed.len(), samples.len());
    let mut seen = BTreeMap::new();
    for (id, report) in &listed {
        assert_eq!(report["wholly_sealed"], true);
        let shown = demo.show("lan", *id);
        let narrative = shown["incident"]["narrative"]
            .as_str()
            .unwrap_or_else(|| panic!("{shown}"))
            .to_owned();
        let extracted = demo.path(&format!("extracted-{id}"));
        let mut digests = Vec::new();
        if report["attachments"].as_u64().unwrap() > 0 {
            programs::succeeds(
                demo.casework("lan")
                    .args(["extract", &id.to_string(), "--to"])
                    .arg(&extracted),
            );
            digests.extend(
                files_under(&extracted)
                    .iter()
                    .map(|file| Digest::of(&fs::read(file).unwrap())),
            );
            digests.sort();
        }
        seen.insert(narrative, digests);
    }
    assert_eq!(&seen, samples);
}

fn the_canary_has_arrived_and_nothing_is_missed(demo: &Demo, who: &str) {
    let status: Value = json(demo.casework(who).args(["--json", "status"]));
    assert_eq!(status["canaries"], serde_json::json!({"sent": 1, "arrived": 1}));
    // Twenty reports, the canary, the follow-up: and every one of them was opened.
    assert_eq!(status["log"]["size"], 22, "{status}");
    assert_eq!(status["leaves"], serde_json::json!({"opened": 22}));
    assert_eq!(status["reports"], 21, "a canary is no report");
    // The server has listed the board's order.
    assert_eq!(status["orders_under_way"], 0);
    let alarms: Value = json(demo.casework(who).args(["--json", "alarms", "--all"]));
    assert_eq!(alarms["alarms"], serde_json::json!([]));
}

fn the_answer_is_read_with_the_twelve_words_alone(demo: &Demo) {
    let written = fs::read_to_string(demo.path("caseworkers/answer.txt")).unwrap();
    let found = demo.check();
    assert_eq!((&found["board"], &found["read"]), (&"current".into(), &1.into()));
    assert_eq!(found["answers"].as_array().unwrap().len(), 1, "{found}");
    assert_eq!(found["answers"][0]["text"], written.trim());
    for line in written.lines() {
        assert!(demo.said.contains(line), "{}", demo.said);
    }
}

fn what_was_added_stands_under_the_same_codename(demo: &Demo) {
    let said = |file: PathBuf| {
        let report: Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
        report["narrative"].clone()
    };
    let listed = demo.list("dilnur");
    let added: Vec<_> = listed
        .values()
        .filter(|report| report["continuity"] == "follow_up")
        .collect();
    let [added] = added.as_slice() else {
        panic!("{listed:?}")
    };
    let (first, added) = (&added["first_report"], &added["id"]);
    let narrative = |id: &Value| demo.show("dilnur", id.as_u64().unwrap())["incident"]["narrative"].clone();
    let sample = Path::new(PROJECT).join("deploy/samples/20-few-words/report.json");
    assert_eq!(narrative(first), said(sample));
    assert_eq!(narrative(added), said(demo.path("follow-up.json")));

    // The next board says that it was read, too, and the answer hangs there still.
    let outbox = demo.path("stick/outbox");
    programs::succeeds(demo.casework("dilnur").args(["board", "--out"]).arg(&outbox));
    programs::succeeds(demo.courier().arg("publish").arg(&outbox));
    let found = demo.check();
    assert_eq!(
        (&found["read"], found["answers"].as_array().unwrap().len()),
        (&2.into(), 1)
    );
}

/// Not a word of what was said or answered, and no codename, in what server and courier keep or in the bundle, nor readable in a
/// casebook.
fn nothing_readable_is_left_where_it_passed(demo: &Demo, samples: &BTreeMap<String, Vec<Digest>>) {
    let said = samples.keys().map(|narrative| {
        let mut end = narrative.len().min(40);
        while !narrative.is_char_boundary(end) {
            end -= 1;
        }
        narrative.as_bytes()[..end].to_vec()
    });
    let words = demo.words().into_bytes();
    let answer = fs::read_to_string(demo.path("caseworkers/answer.txt")).unwrap();
    let follow_up = fs::read_to_string(demo.path("follow-up.json")).unwrap();
    let (_, follow_up) = follow_up.split_once(r#""narrative": ""#).unwrap();
    let later = [&answer, follow_up].map(|text| text.as_bytes()[..40].to_vec());
    let planted: Vec<_> = said.chain(later).chain([words]).collect();
    for place in ["server", "courier", "stick", "caseworkers/lan"] {
        let files = files_under(&demo.path(place));
        assert!(!files.is_empty());
        for file in files {
            let bytes = fs::read(&file).unwrap();
            for secret in &planted {
                let found = bytes.windows(secret.len()).any(|window| window == secret);
                assert!(!found, "{} holds {:?}", file.display(), String::from_utf8_lossy(secret));
            }
        }
    }
}

fn two_of_three_identities_are_lost_and_the_third_reads_on(demo: &Demo) {
    for lost in ["caseworkers/dilnur", "caseworkers/tenzin"] {
        fs::remove_dir_all(demo.path(lost)).unwrap();
    }
    // What dilnur has read is carried to lan as well, and accounts for as much.
    demo.carries_in("stick/bundle-2.tar", "lan");
    demo.carries_in("stick/bundle-3.tar", "lan");
    the_canary_has_arrived_and_nothing_is_missed(demo, "lan");

    let codename = demo.path("codename");
    demo.submit("20-few-words", &codename, false);
    demo.submit("04-student-at-a-vigil", &codename, true);
    demo.carries_in("stick/bundle-4.tar", "lan");
    let listed = demo.list("lan");
    assert_eq!(listed.len(), 23);
    // 21 is the canary, and 22 what was added before.
    let [first, follow_up] = [23, 24].map(|id| &listed[&id]);
    assert_eq!(first["first_report"], Value::Null, "{first}");
    assert_eq!(follow_up["first_report"], 23, "{follow_up}");
    // Once more changes nothing.
    demo.carries_in("stick/bundle-4.tar", "lan");
    assert_eq!(demo.list("lan"), listed);
}

fn a_revoked_caseworker_has_no_slot_in_the_next_version(demo: &Demo) {
    let batch = demo.path("stick/without-tenzin");
    programs::succeeds(
        demo.keyholder("ana")
            .args(["revoke", "tenzin", "--yes", "--out"])
            .arg(&batch),
    );
    // bek strikes tenzin from the own list as well, and so would refuse a batch that still has tenzin in it.
    programs::succeeds(demo.keyholder("bek").args(["sign", "--yes"]).arg(&batch));
    let manifests: Vec<_> = files_under(&batch)
        .into_iter()
        .filter(|file| file.extension().unwrap() == "manifest")
        .collect();
    assert_eq!(manifests.len(), 5);
    programs::succeeds(demo.courier().arg("publish").args(&manifests));
    demo.submit("05-bounty-on-an-organizer", &demo.path("codename-2"), false);
    demo.carries_in("stick/bundle-5.tar", "lan");
    assert_eq!(demo.list("lan").len(), 24);
    let before = fs::read_to_string(files_under(&demo.path("stick/batch")).iter().min().unwrap()).unwrap();
    let after = fs::read_to_string(manifests.iter().min().unwrap()).unwrap();
    let slots = |note: &str| {
        note.lines()
            .filter(|line| line.starts_with("slot "))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let changed = slots(&before)
        .iter()
        .zip(slots(&after))
        .filter(|(old, new)| *old != new)
        .count();
    assert_eq!(
        (slots(&before).len(), changed),
        (8, 1),
        "only the one slot was replaced"
    );
}
