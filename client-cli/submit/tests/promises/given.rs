//! Reports given as files, against servers that are honest, broken or hostile.

use std::{fs, io::Read as _, process::Command, sync::mpsc};

use crate::help::{Run, SECRET, World, incident, pipe_with};
use marram_crypto::{
    codename::Codename, day::Epoch, digest::Digest, key::SigningKey, leaf::Leaf, manifest::UntrustedManifest, receipt,
};
use marram_online::{
    clock::today,
    testing::{Reply, Request, Responder, Socks},
};
use marram_tests::organization::{Organization, rng};

#[test]
fn a_report_given_as_files_arrives_whole_and_opens() {
    let world = World::new();
    let photo = [b"\x89PNG\r\n\x1a\n".as_slice(), &[7; 5000]].concat();
    world.write("photo one.png", &photo);
    world.write("chat.txt", "«Come home»");
    world.write("answers.json", r#"{"how_found":"friend"}"#);
    let run = world
        .submit(&[
            "--attach",
            "photo one.png",
            "--attach",
            "chat.txt",
            "--answers",
            "answers.json",
        ])
        .succeeded();
    let json = run.json();
    let sealed = world.received();
    assert_eq!((&json["sent"], &json["attachments"]), (&true.into(), &2.into()));
    assert_eq!(json["digest"], Digest::of(&sealed).to_string());
    assert_eq!(json["size_bytes"], sealed.len());
    assert!(!run.stderr.contains(SECRET));

    let (opened, attachments) = world.open(&sealed);
    assert_eq!(attachments.0, [photo.as_slice(), "«Come home»".as_bytes()]);
    assert_eq!(opened.report.codename_key, run.codename().signing_key().public());
    assert_eq!(opened.report.answers["how_found"], "friend");
    let incident = marram_incident::Incident::parse(opened.report.incident.get()).unwrap();
    assert_eq!(&*incident.narrative, SECRET);
    let names: Vec<_> = incident
        .evidence
        .iter()
        .map(|e| e.original_filename.as_deref().unwrap())
        .collect();
    let types: Vec<_> = incident.evidence.iter().map(|e| e.mime.as_deref().unwrap()).collect();
    assert_eq!(
        (names, types),
        (vec!["photo one.png", "chat.txt"], vec!["image/png", "text/plain"])
    );

    let post = world.server.requests().pop().unwrap();
    assert_eq!(post.query, format!("epoch={}", world.draft.epoch));
    assert_eq!(post.header("content-length"), sealed.len().to_string());
}

#[test]
fn evidence_is_matched_with_the_files_and_every_mismatch_is_named() {
    let world = World::new();
    world.write("a.txt", "first");
    world.write("b.txt", "second");
    let entry = |content: &str, name: &str, size: usize| {
        format!(
            r#"{{"sha256":"{}","size_bytes":{size},"original_filename":"{name}"}}"#,
            Digest::of(content.as_bytes())
        )
    };
    let refused = |evidence: String, files: &[&str], name: &str| {
        world.write("incident.json", incident(&evidence));
        let files: Vec<&str> = files.iter().flat_map(|file| ["--attach", file]).collect();
        let run = world.submit(&files);
        assert!(run.failed().contains(name), "{}", run.stderr);
    };
    refused(
        format!("[{}]", entry("first", "a.txt", 5)),
        &[],
        "is not attached: a.txt",
    );
    refused(
        format!("[{}]", entry("other", "a.txt", 5)),
        &["a.txt"],
        "a.txt is not the file that evidence[0] describes",
    );
    refused(
        format!("[{}]", entry("first", "a.txt", 6)),
        &["a.txt"],
        "evidence[0].size_bytes is 6, and a.txt has 5",
    );
    refused("[]".into(), &["a.txt", "a.txt"], "attached twice");
    refused("[]".into(), &["missing.txt"], "cannot read missing.txt");
    refused("[]".into(), &["tmp"], "tmp is not a file");
    refused(r#"[{"sha256":"x"}]"#.into(), &[], "evidence[0]");
    assert_eq!(world.server.count("POST", "/v1/reports"), 0);

    // The order is the evidence's, not that of the arguments; what it does not name comes last.
    let both = format!("[{},{}]", entry("second", "renamed.txt", 6), entry("first", "a.txt", 5));
    world.write("incident.json", incident(&both));
    world.write("c.txt", "third");
    world
        .submit(&["--attach", "c.txt", "--attach", "a.txt", "--attach", "b.txt"])
        .succeeded();
    let (opened, attachments) = world.open(&world.received());
    assert_eq!(attachments.0, [b"second".as_slice(), b"first", b"third"]);
    let incident = marram_incident::Incident::parse(opened.report.incident.get()).unwrap();
    assert_eq!(incident.evidence[0].original_filename.as_deref(), Some("renamed.txt"));
}

#[test]
fn another_organization_behind_the_link_is_refused_loudly() {
    let world = World::new();
    let other = Organization::found();
    world.site.lock().unwrap().charter = other.chain.to_json().into_bytes();
    let run = world.submit(&[]);
    for said in [
        "THIS IS NOT THE ORGANIZATION",
        "do not go on",
        "Nothing of your report was sent",
        "from another place",
    ] {
        assert!(run.failed().contains(said), "{}", run.stderr);
    }
    assert_eq!(
        (run.stdout.as_str(), world.server.count("POST", "/v1/reports")),
        ("", 0)
    );
    // A charter that somebody changed has another fingerprint.
    let changed = world
        .organization
        .chain
        .to_json()
        .replace("contact nobody", "contact mallory");
    world.site.lock().unwrap().charter = changed.into_bytes();
    assert!(world.submit(&[]).failed().contains("THIS IS NOT THE ORGANIZATION"));
}

#[test]
fn manifests_that_are_closed_early_half_signed_or_foreign_are_refused_by_name() {
    let world = World::new();
    let at = |epoch: Epoch| {
        world
            .organization
            .signed(&world.organization.draft(epoch, 1 << 20))
            .to_bytes()
    };
    let this = Epoch::of(today()).unwrap();
    let mut once = UntrustedManifest::from_note(world.draft.to_note().unwrap()).unwrap();
    once.add_signature(&world.organization.roots[0]).unwrap();
    let mut twice_the_same = once.note().to_bytes();
    let line = twice_the_same
        .split(|byte| *byte == b'\n')
        .rev()
        .nth(1)
        .unwrap()
        .to_vec();
    twice_the_same.extend([line.as_slice(), b"\n"].concat());
    let other = Organization::found();
    for (manifest, said) in [
        (
            at(this.previous().unwrap()),
            "the server shows keys that are no longer valid",
        ),
        (at(this.plus(1)), "opens on"),
        (once.note().to_bytes(), "signed by 1 of the keys that count, and 2"),
        (twice_the_same, "signed by 1 of the keys that count, and 2"),
        (other.signed(&other.draft(this, 1 << 20)).to_bytes(), "do not use it"),
        (world.organization.chain.newest().note().to_bytes(), "this is a"),
        (b"<html>".to_vec(), "keys cannot be trusted"),
    ] {
        world.site.lock().unwrap().manifest = manifest;
        let run = world.submit(&[]);
        assert!(run.failed().contains(said), "{said}: {}", run.stderr);
        assert!(run.stderr.contains("Nothing of your report was sent"), "{}", run.stderr);
    }
    assert_eq!(world.server.count("POST", "/v1/reports"), 0);
}

#[test]
fn what_a_hostile_server_answers_is_bounded_and_harmless() {
    type Answer = fn() -> Reply;
    let cases: [(Answer, &str); 6] = [
        (
            || Reply::of(200, "application/json", vec![b'['; 2_000_000]),
            "more than 1000000 bytes",
        ),
        (
            || Reply::Answer {
                status: 302,
                headers: vec![("Location".into(), "http://elsewhere.example/".into())],
                body: vec![],
            },
            "no redirect is followed",
        ),
        (|| Reply::problem(403, "No\u{1b}[2J", "go\u{202e}away"), "(status 403)"),
        (
            || Reply::problem(404, "Not found", ""),
            "nobody can report at the moment",
        ),
        (
            || Reply::Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n[".to_vec()),
            "no connection with",
        ),
        (
            || Reply::Drip(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n".to_vec()),
            "took too long",
        ),
    ];
    for (answer, said) in cases {
        let world = World::hostile(move |request, _, _| (request.path == "/v1/charter").then(answer));
        let run = world.submit(&["--timeout", "1"]);
        assert!(run.failed().contains(said), "{}", run.stderr);
        assert!(!run.stderr.contains(['\u{1b}', '\u{202e}']), "{:?}", run.stderr);
    }
}

#[test]
fn a_connection_that_breaks_while_sending_is_tried_again_with_the_same_bytes() {
    let mut cuts = 2;
    let cut = move |request: &Request| {
        let cut = request.method == "POST" && cuts > 0;
        cuts -= i32::from(cut);
        cut.then_some(10_000)
    };
    let world = World::cutting(cut, |_, _, _| None);
    world.submit(&[]).succeeded();
    let bodies: Vec<Vec<u8>> = world
        .server
        .requests()
        .into_iter()
        .filter(|r| r.method == "POST")
        .map(|r| r.body)
        .collect();
    assert_eq!(bodies.len(), 3);
    assert!(bodies[0] == bodies[2][..10_000] && bodies[1] == bodies[2][..10_000]);
    assert_eq!(world.open(&world.received()).0.report.attachments.len(), 0);
}

#[test]
fn a_receipt_that_was_forged_or_is_another_reports_counts_for_nothing() {
    type Answer = fn(&Leaf, &mut marram_online::testing::Site) -> Reply;
    let cases: [(Answer, &str); 5] = [
        (
            |leaf, site| {
                site.log = SigningKey::random(&mut rng());
                site.receipt(leaf)
            },
            "signed by 0 of the keys that count",
        ),
        (
            |leaf, site| {
                let digest = Digest::of(b"another");
                site.receipt(&Leaf { digest, ..*leaf })
            },
            "the receipt of another report (digest differs)",
        ),
        (
            |leaf, site| {
                let day = leaf.day.minus(30);
                site.receipt(&Leaf { day, ..*leaf })
            },
            "the receipt is dated",
        ),
        (
            |leaf, site| {
                let elsewhere = Organization::found().chain.instance();
                Reply::of(
                    201,
                    "text/plain",
                    receipt::sign(elsewhere, leaf, &site.log).unwrap().to_bytes(),
                )
            },
            "do not use it",
        ),
        (|_, _| Reply::of(201, "text/plain", "thanks"), "bytes, this has 6"),
    ];
    for (answer, said) in cases {
        let world = World::hostile(move |request, _, site| {
            let leaf = site.leaves.last().copied();
            (request.method == "POST").then(|| answer(&leaf.unwrap(), site))
        });
        let run = world.submit(&["--receipt", "receipt", "--save-unsent", "unsent.age"]);
        assert!(run.failed().contains(said), "{}", run.stderr);
        assert!(
            run.stderr.contains("do not count on it having arrived"),
            "{}",
            run.stderr
        );
        assert!(!world.path("receipt").exists());
        // So that nothing is lost, whatever the server meant.
        assert_eq!(run.json()["sent"], false);
        assert_eq!(fs::read(world.path("unsent.age")).unwrap(), world.received());
    }
}

#[test]
fn what_could_not_be_sent_is_saved_and_can_be_sent_later() {
    let refusing = World::hostile(|request, _, site| {
        site.reports.clear();
        (request.method == "POST").then(|| Reply::problem(413, "Too large", "the limit is 4 MiB"))
    });
    let run = refusing.submit(&["--save-unsent", "unsent.age"]);
    assert!(
        run.failed().contains("Too large (status 413): the limit is 4 MiB"),
        "{}",
        run.stderr
    );
    assert_eq!(
        refusing.server.count("POST", "/v1/reports"),
        1,
        "a refusal is not tried again"
    );
    let sealed = fs::read(refusing.path("unsent.age")).unwrap();
    let codename = run.codename();
    assert_eq!(
        refusing.open(&sealed).0.report.codename_key,
        codename.signing_key().public()
    );

    // The same organization, on a server that works.
    let site = std::sync::Arc::clone(&refusing.site);
    let working = Responder::start(move |request| site.lock().unwrap().answer(request));
    let link = working.link(refusing.organization.chain.pinned());
    let sent = refusing
        .run(&["--json", "send", "unsent.age", &link, "--receipt", "receipt"])
        .succeeded();
    assert_eq!(sent.json()["digest"], Digest::of(&sealed).to_string());
    assert_eq!(refusing.received(), sealed);
    assert_eq!(fs::read(refusing.path("receipt")).unwrap().len(), receipt::LEN);
    assert!(sent.stderr.contains("shows whoever finds it"), "{}", sent.stderr);

    refusing.write("plain.age", "age-encryption.org/v1\n-> X25519 x\n");
    let refused = refusing.run(&["send", "plain.age", &link]);
    assert!(
        refused
            .failed()
            .contains("is not a report sealed for this organization")
    );
    assert_eq!(working.count("POST", "/v1/reports"), 1);
}

#[test]
fn sealing_alone_needs_no_network() {
    let world = World::new();
    world.write("charter.json", world.organization.chain.to_json());
    world.write("week.manifest", world.organization.signed(&world.draft).to_bytes());
    let link = format!("https://unreachable.invalid/#{}", world.organization.chain.pinned());
    let offline = ["--charter", "charter.json", "--manifest", "week.manifest"];
    let run =
        |more: &[&str]| world.run(&[&["--json", &link, "--incident", "incident.json"], &offline[..], more].concat());
    let sealed = run(&["--only-seal", "out.age"]).succeeded();
    assert_eq!(sealed.json()["sent"], false);
    let (opened, _) = world.open(&fs::read(world.path("out.age")).unwrap());
    assert_eq!(opened.report.codename_key, sealed.codename().signing_key().public());
    // Verified as if it came from the server.
    world.write("charter.json", Organization::found().chain.to_json());
    assert!(
        run(&["--only-seal", "2.age"])
            .failed()
            .contains("THIS IS NOT THE ORGANIZATION")
    );
    assert!(!world.path("2.age").exists());
    assert!(run(&[]).failed().contains("--only-seal"));
    assert_eq!(world.server.requests().len(), 0);
}

#[test]
fn the_codename_goes_to_a_file_descriptor_and_a_follow_up_takes_it_from_one() {
    let world = World::new();
    let link = world.link();
    let through_shell = |redirection: &str, args: &[&str]| {
        let program = world.command(args);
        let mut shell = Command::new("sh");
        shell
            .args(["-c", &format!("exec \"$@\" {redirection}"), "sh"])
            .arg(program.get_program())
            .args(program.get_args())
            .current_dir(world.path(""))
            .stdin(pipe_with(&fs::read(world.path("words")).unwrap_or_default()));
        let output = shell.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap())
    };
    let first = ["--json", &link, "--incident", "incident.json", "--codename-fd", "9"];
    let [stdout, stderr] = through_shell("9>words", &first);
    let words = fs::read_to_string(world.path("words")).unwrap();
    let codename = Codename::from_words(&words).unwrap();
    assert!(stdout.contains(r#""codename":null"#) && !stdout.contains(words.trim()) && !stderr.contains(words.trim()));
    let one = world.open(&world.received()).0;
    assert_eq!(one.report.codename_key, codename.signing_key().public());

    world.site.lock().unwrap().reports.clear();
    let second = [
        "--json",
        "add",
        &link,
        "--incident",
        "incident.json",
        "--codename-fd",
        "9",
    ];
    let [stdout, _] = through_shell("9<&0 </dev/null", &second);
    assert!(
        stdout.contains(r#""continues":true"#) && !stdout.contains(words.trim()),
        "{stdout}"
    );
    let two = world.open(&world.received()).0;
    two.report.follows(&one.report).unwrap();
    assert!(two.report.continues && !one.report.continues);
}

#[test]
fn nothing_of_a_report_stands_on_a_disk_in_the_arguments_or_in_the_environment() {
    // The server holds its answer back until the test has looked.
    let (looked, wait) = mpsc::channel::<()>();
    let (arrived, here) = mpsc::channel();
    let world = World::hostile(move |request, _, _| {
        if request.method == "POST" {
            arrived.send(()).unwrap();
            wait.recv().unwrap();
        }
        None
    });
    world.write("words", "");
    let link = world.link();
    let mut child = world.spawn(&["--json", &link, "--incident", "incident.json"]);
    here.recv().unwrap();
    let process = format!("/proc/{}", child.id());
    let mut seen: Vec<(String, Vec<u8>)> = ["cmdline", "environ"]
        .map(|name| (name.to_owned(), fs::read(format!("{process}/{name}")).unwrap()))
        .into();
    let mut unnamed = 0;
    for entry in fs::read_dir(format!("{process}/fd")).unwrap() {
        let path = entry.unwrap().path();
        let target = fs::read_link(&path).unwrap().display().to_string();
        if target.ends_with(" (deleted)") {
            unnamed += 1;
            seen.push((target, fs::read(&path).unwrap()));
        }
    }
    assert_eq!(unnamed, 1, "the sealed report has no name while it is sent");
    assert_eq!(world.left_behind(), []);
    looked.send(()).unwrap();
    let mut output = (Vec::new(), Vec::new());
    child.stdout.take().unwrap().read_to_end(&mut output.0).unwrap();
    child.stderr.take().unwrap().read_to_end(&mut output.1).unwrap();
    assert!(child.wait().unwrap().success());
    let words = serde_json::from_slice::<serde_json::Value>(&output.0).unwrap()["codename"]
        .as_str()
        .unwrap()
        .to_owned();
    for (place, bytes) in &seen {
        assert!(!contains(bytes, SECRET) && !contains(bytes, &words), "{place}");
    }
    assert!(!contains(&output.1, SECRET) && !contains(&output.1, &words));
    assert_eq!(world.left_behind(), []);
    assert_eq!(world.open(&world.received()).0.report.attachments.len(), 0);
}

#[test]
fn an_onion_is_reached_through_the_proxy_by_name_and_not_otherwise() {
    let world = World::new();
    let onion = format!("{}.onion", "c".repeat(56));
    let link = format!("http://{onion}/#{}", world.organization.chain.pinned());
    let run = world.run(&[&link, "--incident", "incident.json"]);
    assert!(
        run.failed().contains("--proxy socks5://127.0.0.1:9050"),
        "{}",
        run.stderr
    );
    let proxy = Socks::start(world.server.address());
    world
        .run(&[&link, "--incident", "incident.json", "--proxy", &proxy.url()])
        .succeeded();
    assert!(!proxy.asked().is_empty() && proxy.asked().iter().all(|asked| *asked == format!("name {onion} 80")));
    world.received();
}

#[test]
fn a_report_that_is_too_large_or_not_consented_to_is_refused_before_anything_is_sent() {
    let world = World::new();
    world.write("large.bin", vec![1; 1 << 20]);
    let run = world.submit(&["--attach", "large.bin"]);
    assert!(
        run.failed().contains("the report is too large") && run.stderr.contains("leave out or shrink"),
        "{}",
        run.stderr
    );
    world.write("incident.json", incident("[]").replace("true", "false"));
    assert!(world.submit(&[]).failed().contains("consent.store"));
    world.write("incident.json", incident("[]"));
    world.write("answers.json", r#"{"how_found":"mail"}"#);
    assert!(
        world
            .submit(&["--answers", "answers.json"])
            .failed()
            .contains("friend, news")
    );
    assert_eq!(world.server.count("POST", "/v1/reports"), 0);
}

#[test]
fn a_file_that_would_be_overwritten_is_named_before_anything_else_happens() {
    let world = World::new();
    world.write("there", "precious");
    for option in ["--only-seal", "--save-unsent", "--receipt"] {
        let run = world.submit(&[option, "there"]);
        assert!(run.failed().contains("there is already there"), "{}", run.stderr);
        assert!(
            world
                .submit(&[option, "no/where"])
                .failed()
                .contains("no is not a folder")
        );
    }
    assert_eq!(fs::read(world.path("there")).unwrap(), b"precious");
    assert_eq!(world.server.requests().len(), 0);
}

#[test]
fn a_link_without_its_fingerprint_is_explained() {
    let world = World::new();
    let link = format!("http://{}/", world.server.address());
    let run: Run = world.run(&[&link, "--incident", "incident.json"]);
    assert!(run.failed().contains("ends without a fingerprint"), "{}", run.stderr);
    assert_eq!(world.server.requests().len(), 0);
}

#[test]
fn a_proxy_before_the_command_is_not_silently_passed_over() {
    let world = World::new();
    let link = world.link();
    for command in ["report", "send", "check", "add"] {
        let run = world.run(&["--proxy", "socks5://127.0.0.1:9", command, &link]);
        assert!(
            run.failed().contains("proxy stands before the command"),
            "{}",
            run.stderr
        );
    }
    assert_eq!(world.server.requests().len(), 0);
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}
