//! `list`, `show` and `extract`; and what must not be readable.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use marram_crypto::digest::Digest;
use serde_json::json;

use crate::support::{Home, Server, Told, incident, one_line, organization, sealed, target, text};

const PLANTED: &str = "planted: the aunt lives behind the third dune";

fn imported(told: &Told) -> Home {
    let home = organization().alice();
    let mut server = Server::new();
    server.accept(told.seal(&target()));
    home.import(&server);
    home
}

/// Every file below a folder.
fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found
}

fn contains(bytes: &[u8], needle: &[u8]) -> bool {
    bytes.windows(needle.len()).any(|window| window == needle)
}

#[test]
fn nothing_of_a_report_stands_on_disk_in_the_clear() {
    let mut told = Told::new(PLANTED);
    told.attachments = vec![PLANTED.repeat(100_000).into_bytes()];
    let home = imported(&told);
    assert!(home.ok(&["show", "1"]).contains(PLANTED));
    home.ok(&["list"]);
    // The home, and beside it the program's temporary folder.
    let all = files(home.folder.path());
    assert!(all.iter().any(|path| path.ends_with("casebook")));
    for path in all {
        let bytes = fs::read(&path).unwrap();
        for needle in [PLANTED, "narrative", "marram/incident", "AGE-SECRET", "SQLite format"] {
            assert!(!contains(&bytes, needle.as_bytes()), "{needle} in {}", path.display());
        }
    }
}

#[test]
fn a_narrative_cannot_paint_the_screen_or_turn_the_text_around() {
    let nasty = "calm\u{1b}[2J\u{1b}]0;title\u{7}\u{202e}desrever\u{9b}31m\u{200b}\rover";
    let mut told = Told::new(nasty);
    told.incident = incident(nasty).replace(
        r#""method":"F01""#,
        &format!(r#""method":"X99","note":{}"#, json!(nasty)),
    );
    let home = imported(&told);
    for arguments in [
        &["show", "1"][..],
        &["list"],
        &["--json", "show", "1"],
        &["--json", "list"],
        &["--color", "always", "show", "1"],
    ] {
        let shown = home.ok(arguments);
        let colored = arguments.contains(&"always");
        for c in ['\u{7}', '\u{202e}', '\u{9b}', '\u{200b}', '\r'] {
            assert!(!shown.contains(c), "{arguments:?}: {c:?}");
        }
        assert!(colored || !shown.contains('\u{1b}'), "{arguments:?}");
        assert!(
            !shown.contains("\u{1b}[2J") && !shown.contains("\u{1b}]"),
            "{arguments:?}"
        );
    }
    assert!(home.ok(&["show", "1"]).contains("‹U+202E›desrever"));
    assert_eq!(home.json(&["show", "1"])["incident"]["narrative"], nasty);
}

#[test]
fn a_report_shows_consent_contact_acts_and_where_it_comes_from() {
    let home = imported(&Told::new("他们半夜来敲我父母的门。\n\nئۇلار كېچىدە كەلدى."));
    let shown = home.ok(&["show", "1"]);
    for expected in [
        "NEVER CONTACT RELATIVES",
        "kept by the caseworkers: yes",
        "published under their own name: no",
        "他们半夜来敲我父母的门。",
        "ئۇلار كېچىدە كەلدى",
        "1. F01  relative visited, summoned or interrogated",
        "2026-03 · to relative 1 (parent)",
        "China (CN-XJ)",
        "How did you hear of us?",
        "from a friend",
        "Where it comes from",
    ] {
        assert!(shown.contains(expected), "{expected}:\n{shown}");
    }
    let digest = home.json(&["show", "1"])["digest"].as_str().unwrap().to_owned();
    assert!(shown.contains(&digest));
    let secret = serde_json::to_string(&crate::support::codename(1).reply_key()).unwrap();
    assert!(
        !home.ok(&["--json", "show", "1"]).contains(&secret),
        "the reply key seals answers"
    );
}

#[test]
fn a_list_fits_its_width() {
    let home = imported(&Told::new("x"));
    let listed = home.ok(&["list"]);
    assert!(
        listed.contains("F01") && listed.contains("CN") && listed.contains('1'),
        "{listed}"
    );
    assert!(listed.lines().all(|line| line.chars().count() <= 80), "{listed}");
    assert_eq!(home.json(&["list"])["reports"][0]["methods"], json!(["F01"]));
}

#[test]
fn every_sample_report_is_listed_and_shown_in_its_own_script() {
    let home = organization().alice();
    let mut server = Server::new();
    let mut narratives = Vec::new();
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/samples");
    let mut folders: Vec<_> = fs::read_dir(samples)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    folders.retain(|path| path.is_dir());
    folders.sort();
    for (folder, codename) in folders.iter().zip(1..) {
        let incident = fs::read_to_string(folder.join("report.json")).unwrap();
        let value: serde_json::Value = serde_json::from_str(&incident).unwrap();
        let evidence = value["evidence"].as_array().cloned().unwrap_or_default();
        let names = evidence
            .iter()
            .map(|evidence| evidence["original_filename"].as_str().unwrap());
        let attachments = names.map(|name| fs::read(folder.join(name)).unwrap()).collect();
        narratives.push(value["narrative"].as_str().unwrap().to_owned());
        let told = Told {
            codename,
            continues: false,
            incident,
            attachments,
        };
        server.accept(told.seal(&target()));
    }
    let summary = home.import(&server);
    assert_eq!(summary["outcomes"], json!({"opened": folders.len()}));
    assert!(folders.len() >= 20);
    let listed = home.ok(&["list"]);
    assert!(!listed.contains("cannot be read"), "{listed}");
    for (id, narrative) in (1..).zip(&narratives) {
        let shown = home.json(&["show", &id.to_string()]);
        assert_eq!(shown["incident"]["narrative"], json!(narrative));
        let shown = home.ok(&["show", &id.to_string()]);
        let start: String = narrative.lines().next().unwrap().chars().take(20).collect();
        assert!(
            one_line(&shown).contains(one_line(&start).as_str()),
            "{start}:\n{shown}"
        );
    }
}

#[test]
fn a_report_that_is_not_there_is_named() {
    let home = imported(&Told::new("x"));
    assert!(
        home.fails(&["show", "7"])
            .contains("there is no report #7 in the casebook; the last is #1")
    );
    let said = home.fails(&["extract", "7", "--to", home.beside("o").to_str().unwrap()]);
    assert!(said.contains("no report #7"), "{said}");
}

fn with_files(names: &[&str]) -> Told {
    let mut told = Told::new("with files");
    told.attachments = names.iter().map(|name| name.repeat(1000).into_bytes()).collect();
    let evidence: Vec<_> = told
        .attachments
        .iter()
        .zip(names)
        .map(|(bytes, name)| {
            json!({"sha256": Digest::of(bytes), "size_bytes": bytes.len(), "mime": "image/png",
                   "original_filename": name, "source": "own_device", "sensitivity": "identifies_somebody"})
        })
        .filter(|evidence| evidence["original_filename"] != "")
        .collect();
    told.incident = told.incident.replacen(
        r#""consent""#,
        &format!(r#""evidence":{},"consent""#, json!(evidence)),
        1,
    );
    told
}

#[test]
fn attachments_are_extracted_whole_under_safe_names_for_their_owner_alone() {
    let told = with_files(&["传唤通知.png", ".bashrc", "photo\u{202e}gnp.exe"]);
    let home = imported(&told);
    assert!(
        home.json(&["list"])["reports"][0]["readable"].as_bool().unwrap(),
        "{}",
        home.ok(&["show", "1"])
    );
    let shown = home.ok(&["show", "1"]);
    assert!(shown.contains("传唤通知.png") && shown.contains("image/png"), "{shown}");
    let folder = home.beside("out");
    let said = home.ok(&["extract", "#1", "--to", folder.to_str().unwrap()]);
    assert!(said.contains("Open them only in an isolated viewer"), "{said}");
    for (name, bytes) in ["01-传唤通知.png", "02-bashrc", "03-photognp.exe"]
        .iter()
        .zip(&told.attachments)
    {
        let path = folder.join(name);
        assert_eq!(&fs::read(&path).unwrap(), bytes, "{name}");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
    assert_eq!(files(&folder).len(), 3);
    assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
}

#[test]
fn extracting_overwrites_nothing() {
    let home = imported(&with_files(&["a.png"]));
    let folder = home.beside("out");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("01-a.png"), b"mine").unwrap();
    let said = home.fails(&["extract", "1", "--to", folder.to_str().unwrap()]);
    assert!(said.contains("already there"), "{said}");
    assert_eq!(fs::read(folder.join("01-a.png")).unwrap(), b"mine");
}

#[test]
fn a_path_for_a_name_makes_the_incident_unreadable_and_never_a_path() {
    let home = imported(&with_files(&["../../../tmp/evil"]));
    let folder = home.beside("out");
    home.ok(&["extract", "1", "--to", folder.to_str().unwrap()]);
    assert_eq!(files(&folder), [folder.join("01-attachment")]);
}

#[test]
fn two_programs_do_not_work_in_one_casebook() {
    let home = organization().alice();
    let mut first = home.start(&["destroy-epoch", "--even-unread", &organization().ago(6).to_string()]);
    // It asks, and waits for an answer: by then it holds the lock.
    let mut asked = [0; 1];
    std::io::Read::read_exact(first.stderr.as_mut().unwrap(), &mut asked).unwrap();
    let said = home.fails(&["list"]);
    assert!(said.contains("another marram-casework is working"), "{said}");
    drop(first.stdin.take());
    assert!(!first.wait().unwrap().success());
    home.ok(&["list"]);
}

#[test]
fn the_program_has_no_network() {
    let tree = std::process::Command::new(env!("CARGO"))
        .args([
            "tree",
            "--offline",
            "-p",
            "marram-casework",
            "-e",
            "normal",
            "--prefix",
            "none",
        ])
        .output()
        .unwrap();
    assert!(tree.status.success(), "{}", text(&tree.stderr));
    let tree = text(&tree.stdout);
    assert!(tree.contains("rusqlite "));
    for name in [
        "tokio",
        "ureq",
        "rustls",
        "hyper",
        "reqwest",
        "mio",
        "socket2",
        "async-std",
        "curl",
        "native-tls",
    ] {
        assert!(
            !tree.lines().any(|line| line.starts_with(&format!("{name} "))),
            "{name}"
        );
    }
}

#[test]
fn every_command_speaks_json() {
    let home = organization().alice();
    let mut server = Server::new();
    server.accept(sealed("x"));
    home.import(&server);
    let out = home.beside("json");
    for arguments in [
        &["list"][..],
        &["show", "1"],
        &["status"],
        &["extract", "1", "--to", out.to_str().unwrap()],
        &[
            "renew",
            "--again",
            "--out",
            home.beside("a.enrolment").to_str().unwrap(),
        ],
    ] {
        assert!(home.json(arguments).is_object(), "{arguments:?}");
    }
    let failed = home.run(&["--json", "show", "9"]);
    let error: serde_json::Value = serde_json::from_slice(&failed.stderr).unwrap();
    assert!(error["error"].as_str().unwrap().contains("#9") && error["next"].is_string());
}
