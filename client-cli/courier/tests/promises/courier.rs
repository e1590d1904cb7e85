//! The commands of the courier, one promise or attack at a time.

use std::{fs, os::unix::fs::PermissionsExt as _};

use crate::help::{Courier, Run, World, epoch, report};
use marram_crypto::{
    day::Epoch,
    digest::Digest,
    leaf::Leaf,
    manifest::{Draft, UntrustedManifest},
    note::UntrustedNote,
};
use marram_online::{
    clock::today,
    testing::{Reply, Request, Socks},
};
use marram_tests::organization::Organization;

#[test]
fn the_key_is_made_once_and_its_file_is_its_owners_alone() {
    let courier = Courier::new();
    let first = courier.ok(&["key"]).stdout;
    assert_eq!(courier.ok(&["key"]).stdout, first);
    let mode = |path: &str| fs::metadata(courier.home().join(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(""), mode("courier.key")), (0o700, 0o600));
    let secret = fs::read_to_string(courier.home().join("courier.key")).unwrap();
    assert!(!first.contains(secret.lines().nth(1).unwrap()));
    let json = courier.ok(&["--json", "key"]).json();
    assert_eq!(json["courier"].as_str().unwrap(), first.trim());
}

#[test]
fn a_pull_brings_what_is_new_and_only_that() {
    let world = World::new();
    world.add(&[1, 2]);
    let first = world.pull(&["--link", &world.link(), "--out", "1.tar"]).json();
    assert_eq!((&first["reports"], &first["position"]), (&2.into(), &2.into()));
    assert_eq!(
        world.bundle("1.tar"),
        (0, 2, vec![(epoch(), 1)], vec![report(1), report(2)])
    );

    world.add(&[3]);
    let second = world.pull(&["--out", "2.tar"]).json();
    assert_eq!((&second["reports"], &second["position"]), (&1.into(), &3.into()));
    assert_eq!(world.bundle("2.tar"), (2, 1, vec![(epoch(), 1)], vec![report(3)]));
    assert_eq!(world.spool(), 0);

    assert_eq!(world.pull(&["--out", "3.tar"]).json()["reports"], 0);
    assert_eq!(world.bundle("3.tar").3, Vec::<Vec<u8>>::new());
    world.pull(&["--out", "4.tar", "--all"]);
    assert_eq!(world.bundle("4.tar").3, [report(1), report(2), report(3)]);
}

#[test]
fn a_bundle_that_lies_there_is_never_overwritten() {
    let world = World::new();
    fs::write(world.path("1.tar"), "precious").unwrap();
    let refused = world.refused(&["--link", &world.link(), "--out", "1.tar"]);
    assert!(refused.contains("already there"), "{refused}");
    assert_eq!(fs::read(world.path("1.tar")).unwrap(), b"precious");
    assert_eq!(world.server.requests().len(), 0);
}

#[test]
fn another_organization_behind_the_link_is_refused() {
    let world = World::new();
    let other = Organization::found();
    world.site.lock().unwrap().charter = other.chain.to_json().into_bytes();
    let refused = world.refused(&["--link", &world.link(), "--out", "1.tar"]);
    assert!(
        refused.contains("another organization than the link names"),
        "{refused}"
    );
    // No signed request was made: there is nobody to make it to.
    assert_eq!(world.server.requests().len(), 1);
}

#[test]
fn a_home_belongs_to_one_organization() {
    let world = World::new();
    world.pull(&["--link", &world.link(), "--out", "1.tar"]);
    let other = World::of(Organization::found(), |_| {});
    let run = world.courier.run(&["pull", "--link", &other.link(), "--out", "2.tar"]);
    assert!(
        run.failed().contains("belongs to another organization"),
        "{}",
        run.stderr
    );
}

#[test]
fn a_fork_of_the_charter_is_refused_by_name() {
    let world = World::new();
    let successor = |contact: &str| {
        let mut draft = world.organization.chain.newest().successor();
        draft.contact = contact.to_owned();
        let mut next = marram_crypto::charter::UntrustedCharter::from_note(draft.to_note().unwrap()).unwrap();
        world.organization.roots[..2]
            .iter()
            .for_each(|root| next.add_signature(root).unwrap());
        world.organization.chain.append(next).unwrap()
    };
    let (one, two) = (successor("one"), successor("two"));
    // A manifest of the older charter is good for opening what was sealed under it.
    world.site.lock().unwrap().charter = one.to_json().into_bytes();
    world.pull(&["--link", &world.link(), "--out", "1.tar"]);
    world.site.lock().unwrap().charter = two.to_json().into_bytes();
    let refused = world.refused(&["--out", "2.tar"]);
    assert!(refused.contains("fork: charter 2"), "{refused}");
    world.site.lock().unwrap().charter = world.organization.chain.to_json().into_bytes();
    let refused = world.refused(&["--out", "2.tar"]);
    assert!(refused.contains("rollback: charter 2"), "{refused}");
}

#[test]
fn manifests_that_go_back_or_say_two_things_are_refused_by_name_and_the_reports_still_come() {
    let world = World::new();
    let draft = world.organization.draft(epoch(), 1 << 20);
    let version = |version: u32, promise_days: u32| {
        let draft = Draft {
            version,
            promise_days,
            ..draft.clone()
        };
        world.organization.signed(&draft).to_bytes()
    };
    let show = |manifests: Vec<Vec<u8>>| world.site.lock().unwrap().manifests = manifests;
    show(vec![version(1, 14), version(2, 14)]);
    world.pull(&["--link", &world.link(), "--out", "1.tar"]);
    assert_eq!(world.bundle("1.tar").2, [(epoch(), 1), (epoch(), 2)]);

    for (n, shown, name) in [
        (2, vec![version(1, 14)], "rollback: version 2 of the manifest"),
        (3, vec![version(1, 14)], "version 1 is shown now"),
        (4, vec![], "none is shown now"),
        (5, vec![version(1, 14), version(2, 15)], "equivocation: version 2"),
        // What is right beside it is taken over.
        (6, vec![version(2, 15), version(3, 14)], "equivocation: version 2"),
    ] {
        show(shown);
        let bundle = format!("{n}.tar");
        let refused = world.refused(&["--out", &bundle]);
        assert!(refused.contains("error:") && refused.contains(name), "{refused}");
        assert!(refused.contains("Tell the keyholders at once"), "{refused}");
        // The reports reach the caseworkers all the same, with the manifests that were seen first.
        assert_eq!(world.bundle(&bundle).2[..2], [(epoch(), 1), (epoch(), 2)]);
    }
    show(vec![version(1, 14), version(2, 14), version(3, 14)]);
    world.pull(&["--out", "7.tar"]);
    assert_eq!(world.bundle("7.tar").2.len(), 3);
}

#[test]
fn a_manifest_with_one_signature_or_of_another_instance_is_left_out_by_name_and_ends_nothing() {
    let world = World::new();
    let draft = world.organization.draft(epoch(), 1 << 20);
    let mut once = UntrustedManifest::from_note(draft.to_note().unwrap()).unwrap();
    once.add_signature(&world.organization.roots[0]).unwrap();
    let other = Organization::found();
    let foreign = other.signed(&other.draft(epoch(), 1 << 20));
    let charter = world.site.lock().unwrap().charter.clone();
    let honest = world.site.lock().unwrap().manifests[0].clone();
    world.add(&[1]);
    for (n, manifest, name) in [
        (1, once.note().to_bytes(), "signed by 1 of the keys that count, and 2"),
        (2, foreign.to_bytes(), "do not use it"),
        (3, charter, "is none"),
    ] {
        world.site.lock().unwrap().manifests = vec![manifest, honest.clone()];
        let bundle = format!("{n}.tar");
        let run = world.pull(&["--link", &world.link(), "--out", &bundle, "--all"]);
        assert!(
            run.stderr.contains("warning") && run.stderr.contains(name),
            "{}",
            run.stderr
        );
        assert_eq!(run.json()["refused_manifests"], 1);
        assert_eq!(world.bundle(&bundle), (0, 1, vec![(epoch(), 1)], vec![report(1)]));
    }
}

#[test]
fn a_log_of_more_missing_reports_than_are_remembered_does_not_lock_the_home() {
    let world = World::new();
    let leaf = |n: u32| Leaf {
        digest: Digest::of(&n.to_be_bytes()),
        epoch: epoch(),
        day: today(),
        log2_size: 63,
    };
    world.site.lock().unwrap().leaves = (0..100_005).map(leaf).collect();
    let run = world.pull(&["--link", &world.link(), "--out", "1.tar"]);
    assert_eq!(run.json()["forgotten"], 5);
    assert!(run.stderr.contains("No honest server does this"), "{}", run.stderr);
    assert!(run.stderr.lines().count() < 50, "not every one of them is named");
    let status = world.courier.ok(&["--json", "status"]).json();
    assert_eq!(status["missing"].as_array().unwrap().len(), 100_000);
}

#[test]
fn a_download_that_breaks_off_goes_on_where_it_was() {
    let mut cuts = 3;
    let world = World::hostile(move |request, honest| {
        if !request.path.starts_with("/v1/reports/") || cuts == 0 {
            return None;
        }
        cuts -= 1;
        // The whole answer is announced, and the connection ends 1,000 bytes on.
        let Reply::Answer { status, headers, body } = honest else {
            panic!()
        };
        let place: String = headers
            .iter()
            .flat_map(|(name, value)| [name, ": ", value, "\r\n"])
            .collect();
        let head = format!(
            "HTTP/1.1 {status} Said\r\nContent-Length: {}\r\n{place}\r\n",
            body.len()
        );
        Some(Reply::Raw([head.as_bytes(), &body[..1000]].concat()))
    });
    world.add(&[1]);
    world.pull(&["--link", &world.link(), "--out", "1.tar"]);
    assert_eq!(world.bundle("1.tar").3, [report(1)]);
    assert_eq!(world.ranges(), ["", "bytes=1000-", "bytes=2000-", "bytes=3000-"]);
}

#[test]
fn an_interrupted_pull_is_finished_by_the_next_one() {
    let mut answered = 0;
    let world = World::hostile(move |request, honest| {
        if !request.path.starts_with("/v1/reports/") {
            return None;
        }
        answered += 1;
        match (answered, honest) {
            (2, Reply::Answer { body, .. }) => {
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
                Some(Reply::Raw([head.as_bytes(), &body[..20_000]].concat()))
            }
            (3, _) => Some(Reply::problem(403, "Closed for the night", "")),
            _ => None,
        }
    });
    world.add(&[1, 2, 3]);
    let refused = world.refused(&["--link", &world.link(), "--out", "1.tar"]);
    assert!(
        refused.contains("Closed for the night") && refused.contains("run the same command again"),
        "{refused}"
    );
    assert!(!world.path("1.tar").exists());
    let status = world.courier.ok(&["--json", "status"]).json();
    assert_eq!(
        (&status["position"], &status["leaves"], &status["spool"]),
        (&0.into(), &3.into(), &2.into())
    );

    world.pull(&["--out", "1.tar"]);
    assert_eq!(world.bundle("1.tar").3, [report(1), report(2), report(3)]);
    assert_eq!(
        world.ranges().iter().filter(|range| *range == "bytes=20000-").count(),
        2
    );
    assert_eq!(world.spool(), 0);
}

#[test]
fn a_ciphertext_with_another_digest_is_left_out_by_name_and_asked_for_again() {
    let bad = Digest::of(&report(1));
    let mut hostile = true;
    let world = World::hostile(move |request, honest| {
        if request.path == "/v1/stop" {
            hostile = false;
        }
        let Reply::Answer { body, .. } = honest else {
            return None;
        };
        let changed: Vec<u8> = body.iter().map(|byte| byte ^ 1).collect();
        (hostile && request.path.ends_with(&bad.to_string()))
            .then(|| Reply::of(200, "application/octet-stream", changed))
    });
    world.add(&[1, 2]);
    let run = world.pull(&["--link", &world.link(), "--out", "1.tar"]);
    assert_eq!(run.json()["damaged"], serde_json::json!([bad]));
    assert!(run.stderr.contains("is not that report"), "{}", run.stderr);
    assert_eq!(world.bundle("1.tar").3, [report(2)]);

    world.get("/v1/stop");
    assert_eq!(world.pull(&["--out", "2.tar"]).json()["damaged"], serde_json::json!([]));
    assert_eq!(world.bundle("2.tar").3, [report(1)]);
}

#[test]
fn a_report_that_the_server_no_longer_has_does_not_hold_up_the_others() {
    let world = World::new();
    world.add(&[1, 2]);
    let gone = Digest::of(&report(1));
    world.site.lock().unwrap().reports.remove(&gone);
    let run = world.pull(&["--link", &world.link(), "--out", "1.tar"]);
    assert_eq!(run.json()["gone"], serde_json::json!([gone]));
    assert_eq!(world.bundle("1.tar"), (0, 2, vec![(epoch(), 1)], vec![report(2)]));
}

#[test]
fn a_leaf_that_claims_an_impossible_size_is_not_even_asked_for() {
    let world = World::new();
    let leaf = Leaf {
        digest: Digest::of(b"huge"),
        epoch: epoch(),
        day: today(),
        log2_size: 63,
    };
    world.site.lock().unwrap().leaves.push(leaf);
    let run = world.pull(&["--link", &world.link(), "--out", "1.tar"]);
    assert_eq!(run.json()["damaged"], serde_json::json!([leaf.digest]));
    assert!(world.ranges().is_empty());
}

#[test]
fn what_a_hostile_server_answers_is_bounded_and_harmless() {
    type Answer = fn(&Request) -> Reply;
    let cases: [(Answer, &str); 4] = [
        (
            |_| Reply::of(200, "application/json", vec![b'['; 2_000_000]),
            "has more than 1000000 bytes",
        ),
        (|_| Reply::of(200, "application/json", "{}"), "not a charter chain"),
        (
            |_| Reply::Answer {
                status: 307,
                headers: vec![("Location".into(), "http://elsewhere.example/".into())],
                body: vec![],
            },
            "no redirect is followed",
        ),
        (
            |_| Reply::problem(451, "Forbidden\u{1b}]0;x\u{7}", "here"),
            "(status 451): here",
        ),
    ];
    for (answer, name) in cases {
        let world = World::hostile(move |request, _| Some(answer(request)));
        let refused = world.refused(&["--link", &world.link(), "--out", "1.tar"]);
        assert!(refused.contains(name), "{refused}");
        assert!(!refused.contains(['\u{1b}', '\u{7}']), "{refused:?}");
    }
}

#[test]
fn a_key_that_is_not_in_the_manifest_is_told_what_to_do() {
    let world = World::new();
    world.site.lock().unwrap().couriers.clear();
    let refused = world.refused(&["--link", &world.link(), "--out", "1.tar"]);
    assert!(
        refused.contains("not a courier of a current manifest") && refused.contains("marram-courier key"),
        "{refused}"
    );
}

#[test]
fn an_onion_is_reached_through_the_proxy_by_name_and_not_otherwise() {
    let world = World::new();
    world.add(&[1]);
    let onion = format!("{}.onion", "b".repeat(56));
    let link = format!("http://{onion}/#{}", world.organization.chain.pinned());
    let refused = world.refused(&["--link", &link, "--out", "1.tar"]);
    assert!(
        refused.contains("through Tor only") && refused.contains("--proxy socks5://127.0.0.1:9050"),
        "{refused}"
    );
    let proxy = Socks::start(world.server.address());
    world.pull(&["--link", &link, "--proxy", &proxy.url(), "--out", "1.tar"]);
    assert!(proxy.asked().iter().all(|asked| *asked == format!("name {onion} 80")));
}

#[test]
fn what_is_published_is_checked_first_and_refusals_are_explained() {
    let world = World::new();
    let manifest = world.organization.draft(epoch().plus(1), 1 << 20);
    fs::write(world.path("charter.json"), world.organization.chain.to_json()).unwrap();
    fs::write(
        world.path("a.manifest"),
        world.organization.signed(&manifest).to_bytes(),
    )
    .unwrap();
    let publish = |files: &[&str]| {
        world
            .courier
            .run(&[&["publish", "--link", &world.link()], files].concat())
    };
    assert!(publish(&["a.manifest"]).failed().contains("knows no charter yet"));
    publish(&["a.manifest", "charter.json"]).succeeded();
    let sent: Vec<String> = world
        .server
        .requests()
        .iter()
        .map(|r| format!("{} {}", r.method, r.path))
        .collect();
    assert_eq!(sent, ["PUT /v1/charter", "PUT /v1/manifest"]);

    let signed_by = |draft: &Draft, signers: usize| {
        let mut manifest = UntrustedManifest::from_note(draft.to_note().unwrap()).unwrap();
        world.organization.roots[..signers]
            .iter()
            .for_each(|root| manifest.add_signature(root).unwrap());
        manifest.note().to_bytes()
    };
    let other = Draft {
        promise_days: 15,
        ..manifest.clone()
    };
    let past = world.organization.draft(Epoch::of(today().minus(14)).unwrap(), 1 << 20);
    for (bytes, name) in [
        (signed_by(&manifest, 1), "signed by 1 of the keys that count, and 2"),
        (signed_by(&other, 2), "equivocation: version 1"),
        (signed_by(&past, 2), "closed on"),
        (b"nothing".to_vec(), "not to be published"),
    ] {
        fs::write(world.path("b.manifest"), bytes).unwrap();
        let run = publish(&["b.manifest"]);
        assert!(run.failed().contains(name), "{}", run.stderr);
    }
    let other_organization = Organization::found();
    fs::write(world.path("charter.json"), other_organization.chain.to_json()).unwrap();
    assert!(publish(&["charter.json"]).failed().contains("another organization"));
    assert_eq!(world.server.requests().len(), 2, "nothing of this was sent");

    let refusing = World::of(Organization::found(), |_| {});
    fs::write(refusing.path("charter.json"), refusing.organization.chain.to_json()).unwrap();
    refusing.refuse_everything();
    let run = refusing
        .courier
        .run(&["publish", "--link", &refusing.link(), "charter.json"]);
    assert!(
        run.failed().contains("the server did not take charter.json"),
        "{}",
        run.stderr
    );
    assert!(run.stderr.contains("An older charter (status 409)"), "{}", run.stderr);
    assert_eq!(
        refusing.courier.ok(&["--json", "status"]).json()["link"],
        serde_json::Value::Null
    );
}

#[test]
fn status_counts_the_days_that_are_signed_without_a_gap() {
    let world = World::new();
    let until = |epochs: &[u32]| {
        let signed = |n: &u32| {
            world
                .organization
                .signed(&world.organization.draft(epoch().plus(*n), 1 << 20))
                .to_bytes()
        };
        let world = World::of(Organization::found(), |_| {}).organization(&world);
        world.site.lock().unwrap().manifests = epochs.iter().map(signed).collect();
        // Without a manifest of today nobody can tell whether its checkpoint is right: that is an alarm of its own.
        let pulled = world
            .courier
            .run(&["--json", "pull", "--link", &world.link(), "--out", "1.tar"]);
        let status = world.courier.ok(&["--json", "status"]);
        assert_eq!(status.json()["signed_until"], pulled.json()["signed_until"]);
        let quiet = world.courier.ok(&["--quiet", "status"]).stderr;
        assert_eq!(quiet.contains("warning:"), status.stderr.contains("warning"), "{quiet}");
        let said = world.courier.ok(&["status"]).stderr;
        assert_eq!(said.contains("Plan the next signing"), epochs.len() == 4, "{said}");
        (status.json()["signed_until"].clone(), status.stderr)
    };
    let day = |n: u32| serde_json::json!(epoch().plus(n).closes());
    let (none, warning) = until(&[]);
    assert!(none.is_null() && warning.contains("nobody can report"), "{warning}");
    let (one, warning) = until(&[0]);
    assert!(
        one == day(0) && (warning.contains("This week") || warning.contains("Urgent")),
        "{warning}"
    );
    let (with_gap, _) = until(&[0, 1, 3]);
    assert_eq!(with_gap, day(1));
    // 22 to 28 days: something to plan, not to be warned of.
    let (four, warning) = until(&[0, 1, 2, 3]);
    assert!(four == day(3) && !warning.contains("warning"), "{warning}");
    let (six, warning) = until(&[0, 1, 2, 3, 4, 5]);
    assert!(six == day(5) && !warning.contains("warning"), "{warning}");
}

#[test]
fn a_home_that_was_tampered_with_is_not_believed() {
    let world = World::new();
    world.pull(&["--link", &world.link(), "--out", "1.tar"]);
    let path = world.courier.home().join(format!("manifests/{}-1", epoch()));
    let note = UntrustedNote::parse(&fs::read(&path).unwrap()).unwrap();
    fs::write(
        &path,
        note.to_bytes()
            .iter()
            .map(|b| if *b == b'6' { b'7' } else { *b })
            .collect::<Vec<_>>(),
    )
    .unwrap();
    let run: Run = world.courier.run(&["status"]);
    assert!(run.failed().contains("is damaged"), "{}", run.stderr);
}
