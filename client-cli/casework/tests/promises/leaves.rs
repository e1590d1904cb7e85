//! `import`: leaves that contradict each other, lie or are missing. They are named, and keep no report out.

use marram_crypto::{day::Epoch, digest::Digest, leaf::Leaf, seal::Target};
use serde_json::json;

use crate::support::{
    MINE, OTHERS, Server, Told, names, one_line, organization, outcome, recipients, seal_parts, sealed, target, today,
    warnings,
};

fn told(codename: u8) -> Vec<u8> {
    let narrative = format!("report {codename}");
    Told {
        codename,
        ..Told::new(&narrative)
    }
    .seal(&target())
}

#[test]
fn a_gap_in_the_log_is_named_its_reports_open_and_a_later_bundle_heals_it() {
    let home = organization().alice();
    let mut server = Server::new();
    server.accept(told(1));
    let first = server.clone();
    server.carried();
    server.accept(told(2));
    let summary = home.import(&server);
    assert_eq!(
        (names(&summary).as_slice(), outcome(&summary).0.as_str()),
        (&["gap".to_owned()][..], "opened")
    );
    assert_eq!((&summary["classes"], &summary["log"]["size"]), (&json!({}), &json!(0)));
    let detail = &warnings(&summary)[0].1;
    assert!(
        detail.contains("waits for leaf 0, which never came") && detail.contains("--all"),
        "{detail}"
    );
    assert_eq!(home.json(&["show", "1"])["in_log"], false);
    let summary = home.import(&first);
    assert_eq!(names(&summary), Vec::<String>::new());
    assert_eq!(
        (&summary["classes"], &summary["log"]["size"]),
        (&json!({"opened": 2}), &json!(2))
    );
    assert_eq!(home.json(&["show", "1"])["leaf"], 1);
}

/// A leaf as anybody can make one: 41 bytes that nothing authenticates.
fn forged_leaf() -> Leaf {
    Leaf {
        digest: Digest::of(b"nothing"),
        epoch: organization().epoch,
        day: organization().epoch.opens(),
        log2_size: 15,
    }
}

#[test]
fn a_leaf_that_a_courier_forged_is_named_and_the_honest_one_takes_its_place() {
    let home = organization().alice();
    let mut honest = Server::new();
    honest.accept(told(1));
    home.import(&honest);
    honest.carried();
    honest.accept(told(2));
    honest.accept(told(3));

    // The courier has the server's checkpoint, and puts another leaf in.
    let mut hostile = honest.clone();
    hostile.checkpoint = Some(honest.sign(honest.tree().head(), today()));
    hostile.leaves[0] = forged_leaf();
    let summary = home.import(&hostile);
    assert_eq!(summary["alarms"], json!({"false leaves": 1}));
    assert_eq!(summary["outcomes"], json!({"opened": 2}));
    assert_eq!(summary["log"]["size"], 1);
    let summary = home.import(&honest);
    assert_eq!(
        (&summary["classes"], &summary["alarms"]),
        (&json!({"opened": 3}), &json!({}))
    );
    // Said of leaves that are proven, it is known for a lie at once.
    hostile.before.clear();
    hostile.leaves.insert(0, forged_leaf());
    hostile.leaves[1] = honest.leaves[0];
    let summary = home.import(&hostile);
    assert_eq!(summary["alarms"], json!({"false leaves": 1}), "{summary}");
    assert_eq!(summary["leaves"]["contradicting"], 1);
    let detail = &warnings(&summary)[0].1;
    assert!(detail.contains("From leaf 0 on"), "{detail}");
    assert_eq!(summary["classes"], json!({"opened": 3}));
}

#[test]
fn leaves_without_a_checkpoint_are_nobodys_word_and_keep_no_report_out() {
    let home = organization().alice();
    let mut server = Server::new();
    server.accept(told(1));
    let whole = server.clone();
    server.day = None;
    let summary = home.import(&server);
    assert_eq!(names(&summary), ["no checkpoint"]);
    assert_eq!(
        (outcome(&summary).0.as_str(), &summary["classes"]),
        ("opened", &json!({}))
    );
    let summary = home.import(&whole);
    assert_eq!((names(&summary), &summary["classes"]), (vec![], &json!({"opened": 1})));
}

#[test]
fn a_checkpoint_that_the_log_key_has_not_signed_is_refused() {
    let home = organization().alice();
    let mut server = Server::new();
    server.accept(told(1));
    let whole = server.clone();
    let mut note = String::from_utf8(server.sign(server.tree().head(), today())).unwrap();
    note = note.replacen("\n1\n", "\n9\n", 1);
    server.checkpoint = Some(note.into_bytes());
    let summary = home.import(&server);
    assert_eq!(names(&summary), ["refused checkpoint"]);
    assert_eq!(summary["alarms"], json!({"refused checkpoint": 1}));
    assert_eq!(
        (outcome(&summary).0.as_str(), &summary["classes"]),
        ("opened", &json!({}))
    );
    assert_eq!(home.import(&whole)["classes"], json!({"opened": 1}));
}

#[test]
fn a_checkpoint_waits_for_the_manifest_of_its_day() {
    let organization = organization();
    let home = organization.alice();
    let mut server = Server::empty();
    server.accept(told(1));
    assert_eq!(names(&home.import(&server)), ["checkpoint without manifest"]);
    let mut whole = Server::new();
    whole.accept(server.reports[0].1.clone());
    assert_eq!(home.import(&whole)["classes"], json!({"opened": 1}));
}

#[test]
fn a_server_that_signs_two_logs_is_named_forked() {
    let home = organization().alice();
    let mut server = Server::new();
    server.accept(told(1));
    home.import(&server);
    let mut forked = Server::new();
    forked.accept(told(2));
    let summary = home.import(&forked);
    assert_eq!(summary["alarms"]["forked"], 1, "{summary}");
    assert_eq!(summary["outcomes"], json!({"opened": 1}));
    // The first stays: importing it again finds it known.
    let summary = home.import(&server);
    assert_eq!(
        (&summary["leaves"], &summary["alarms"]),
        (&json!({"new": 0, "known": 1, "contradicting": 0}), &json!({}))
    );
    assert_eq!(home.json(&["list"])["reports"].as_array().unwrap().len(), 2);
    assert_eq!(home.alarms(), [("forked".to_owned(), "size 1".to_owned())]);
}

#[test]
fn a_forked_log_that_is_longer_than_the_known_one_is_named_forked_too() {
    let home = organization().alice();
    let mut server = Server::new();
    server.accept(told(1));
    server.accept(told(2));
    home.import(&server);
    let mut forked = Server::new();
    for codename in [1, 3, 4] {
        forked.accept(told(codename));
    }
    let summary = home.import(&forked);
    assert_eq!(summary["alarms"], json!({"forked": 1}), "{summary}");
    assert_eq!(summary["outcomes"], json!({"opened": 2, "repeat": 1}));
    assert_eq!(summary["log"]["size"], 2);
}

#[test]
fn a_log_that_shrank_is_named_rolled_back_and_an_old_bundle_is_not() {
    let home = organization().alice();
    let mut server = Server::new();
    // On a Monday yesterday was in another epoch.
    server.publish(&organization().manifest(organization().ago(1), 1));
    server.day = Some(today().minus(1));
    server.accept(told(1));
    let mut early = server.clone();
    early.day = Some(today().minus(1));
    server.accept(told(2));
    home.import(&server);
    // Two couriers on one day, and a bundle that came late.
    let summary = home.import(&early);
    assert_eq!(names(&summary), Vec::<String>::new());
    let mut restored = early.clone();
    restored.day = Some(today());
    let summary = home.import(&restored);
    assert_eq!(summary["alarms"], json!({"rolled back": 1}), "{summary}");
    assert_eq!(summary["classes"], json!({"opened": 2}));
    // In the other order, too.
    let other = organization().alice();
    other.import(&restored);
    assert_eq!(other.import(&server)["alarms"], json!({"rolled back": 1}));
}

#[test]
fn a_checkpoint_of_more_than_a_week_ago_is_named_stale_until_a_newer_one_comes() {
    let organization = organization();
    let home = organization.alice();
    let mut server = Server::new();
    server.publish(&organization.manifest(organization.ago(1), 1));
    server.publish(&organization.manifest(organization.ago(2), 1));
    server.day = Some(today().minus(8));
    let summary = home.import(&server);
    assert_eq!(summary["alarms"], json!({"stale": 1}));
    server.day = Some(today().minus(7));
    home.import(&server);
    assert_eq!(home.alarms(), []);
    // It stays to be acknowledged all the same.
    assert_eq!(home.json(&["status"])["alarms"], json!({"stale": 1}));
    home.ok(&["acknowledge", "1", "--comment", "the courier was ill"]);
    assert_eq!(home.json(&["status"])["alarms"], json!({}));
}

#[test]
fn a_leaf_at_the_end_of_the_numbers_stops_nothing() {
    let home = organization().alice();
    let mut hostile = Server::new();
    hostile.leaves = vec![forged_leaf(); 2];
    for (from, warning) in [(u64::MAX - 1, "hostile leaves"), (i64::MAX as u64 - 2, "false leaves")] {
        hostile.from = Some(from);
        let summary = home.import(&hostile);
        assert!(names(&summary).contains(&warning.to_owned()), "{summary}");
    }
    let honest_home = organization().alice();
    let mut honest = Server::new();
    honest.accept(sealed("one"));
    for home in [home, honest_home] {
        assert_eq!(outcome(&home.import(&honest)).0, "opened");
    }
}

#[test]
fn an_import_that_named_an_attack_ends_with_1_and_says_that_it_is_complete() {
    let home = organization().alice();
    let mut server = Server::new();
    server.accept(sealed("swapped"));
    server.reports[0].1 = sealed("for this");
    server.accept(sealed("honest"));
    let path = home.beside("bundle.tar");
    server.write(&path);
    let said = one_line(&home.fails(&["import", path.to_str().unwrap()]));
    assert!(
        said.contains("the import is complete") && said.contains("swapped (1)"),
        "{said}"
    );
    assert_eq!(home.json(&["list"])["reports"].as_array().unwrap().len(), 1);
}

#[test]
fn noise_and_repeats_are_no_attack() {
    let home = organization().alice();
    let mut server = Server::new();
    server.accept(sealed("one"));
    server.accept(sealed("one"));
    let mut others = recipients();
    others[MINE] = others[OTHERS[0]].clone();
    server.accept(seal_parts(&others, 1 << 15, &[]));
    let path = home.beside("bundle.tar");
    server.write(&path);
    for _ in 0..2 {
        home.ok(&["import", path.to_str().unwrap()]);
    }
}

#[test]
fn a_report_that_the_log_has_and_no_bundle_brings_is_withheld_until_it_comes() {
    let home = organization().alice();
    let mut server = Server::new();
    server.accept(sealed("one"));
    let whole = server.clone();
    server.reports.clear();
    let summary = home.import(&server);
    assert_eq!(
        (&summary["classes"], &summary["alarms"]),
        (&json!({"withheld": 1}), &json!({"withheld": 1}))
    );
    assert_eq!(home.alarms(), [("withheld".to_owned(), "leaf 0".to_owned())]);
    let summary = home.import(&whole);
    assert_eq!(
        (outcome(&summary).0.as_str(), &summary["classes"]),
        ("opened", &json!({"opened": 1}))
    );
    // Nothing is withheld any more; that it was, somebody has still to see.
    assert_eq!(home.alarms(), []);
    assert_eq!(home.json(&["status"])["alarms"], json!({"withheld": 1}));
}

#[test]
fn bytes_that_the_log_did_not_promise_are_named_swapped_and_the_right_ones_still_come() {
    let home = organization().alice();
    let mut server = Server::new();
    server.accept(sealed("one"));
    let whole = server.clone();
    server.reports[0].1 = sealed("swapped for this");
    assert_eq!(outcome(&home.import(&server)).0, "swapped");
    // Also when my slot does not open it: nobody is told "not for me" of what was swapped.
    server.reports[0].1 = vec![0; 1 << 15];
    assert_eq!(outcome(&home.import(&server)).0, "swapped");
    assert_eq!(outcome(&home.import(&whole)).0, "opened");
}

#[test]
fn a_report_that_no_leaf_names_is_read_and_marked_until_its_leaf_comes() {
    let home = organization().alice();
    let mut server = Server::new();
    server.accept(sealed("its leaf was kept back"));
    let whole = server.clone();
    server.leaves.clear();
    let summary = home.import(&server);
    assert_eq!(
        (outcome(&summary).0.as_str(), &summary["not_in_log"]),
        ("opened", &json!(1))
    );
    let shown = home.json(&["show", "1"]);
    assert_eq!(
        (&shown["in_log"], &shown["leaf"], &shown["day"]),
        (&json!(false), &json!(null), &json!(null))
    );
    assert!(one_line(&home.ok(&["show", "1"])).contains("Not in the log as this casebook knows it"));
    let summary = home.import(&whole);
    assert_eq!(
        (&summary["before"], &summary["not_in_log"]),
        (&json!({"opened": 1}), &json!(0))
    );
    let shown = home.json(&["show", "1"]);
    assert_eq!((&shown["in_log"], &shown["leaf"]), (&json!(true), &json!(0)));
}

#[test]
fn a_report_whose_leaf_came_in_an_earlier_bundle_opens() {
    let home = organization().alice();
    let mut server = Server::new();
    server.accept(sealed("one"));
    let mut later = server.clone();
    server.reports.clear();
    home.import(&server);
    later.before.append(&mut later.leaves);
    let summary = home.import(&later);
    assert_eq!(
        (
            outcome(&summary).0.as_str(),
            &summary["not_in_log"],
            &summary["classes"]
        ),
        ("opened", &json!(0), &json!({"opened": 1}))
    );
}

#[test]
fn a_leaf_that_contradicts_what_is_inside_is_foreign_and_its_report_does_not_pass_for_noise() {
    let organization = organization();
    let home = organization.alice();
    let mut server = Server::new();
    // To an epoch with a manifest and to one without; to the end of the epochs; and of another size.
    let (near, far) = (organization.ago(3), organization.ago(5));
    server.publish(&organization.manifest(near, 1));
    for (codename, epoch) in (1..).zip([near, far, Epoch::MAX, organization.epoch]) {
        server.accept_in(epoch, told(codename));
    }
    server.leaves[3].log2_size = 20;
    let summary = home.import(&server);
    assert_eq!(summary["outcomes"], json!({"opened": 4}), "{summary}");
    assert_eq!(summary["alarms"], json!({"foreign leaf": 4}));
    for at in 0..4 {
        assert_eq!(summary["reports"][at]["flags"], json!(["relabelled leaf"]));
        let shown = home.json(&["show", &(at + 1).to_string()]);
        assert_eq!(
            (&shown["relabelled"], &shown["epoch"]),
            (&json!(true), &json!(organization.epoch))
        );
    }
    assert!(one_line(&home.ok(&["show", "1"])).contains("Relabelled leaf"));
}

#[test]
fn a_leaf_that_no_honest_server_writes_is_foreign() {
    let organization = organization();
    let home = organization.alice();
    let mut server = Server::new();
    let last_week = organization.manifest(organization.ago(1), 1);
    server.publish(&last_week);
    let late = |codename| {
        let narrative = format!("report {codename}");
        Told {
            codename,
            ..Told::new(&narrative)
        }
        .seal(&Target::from(&last_week))
    };
    // On the last day of its grace, and a day later.
    server.accept_on(last_week.epoch.closes().plus(1), last_week.epoch, late(1));
    server.accept_on(last_week.epoch.closes().plus(2), last_week.epoch, late(2));
    // And one report twice.
    server.accept(told(3));
    server.accept(told(4));
    server.leaves[3].digest = server.leaves[2].digest;
    server.reports.pop();
    home.import(&server);
    let expected = ["leaf 1", "leaf 3"].map(|leaf| ("foreign_leaf".to_owned(), leaf.to_owned()));
    assert_eq!(home.alarms(), expected);
    assert_eq!(home.json(&["status"])["leaves"], json!({"opened": 4}));
}

#[test]
fn a_leaf_of_an_epoch_without_manifest_is_foreign_until_the_manifest_comes() {
    let organization = organization();
    let home = organization.alice();
    let mut server = Server::new();
    let past = organization.ago(4);
    let manifest = organization.manifest(past, 1);
    server.accept_in(
        past,
        Told::new("its manifest is kept back").seal(&Target::from(&manifest)),
    );
    let summary = home.import(&server);
    assert_eq!(summary["classes"], json!({"foreign_leaf": 1}), "{summary}");
    server.publish(&manifest);
    assert_eq!(home.import(&server)["classes"], json!({"opened": 1}));
    assert_eq!(home.alarms(), []);
}

#[test]
fn a_swapped_copy_beside_the_right_one_hides_nothing() {
    let home = organization().alice();
    let mut server = Server::new();
    server.accept(sealed("one"));
    let digest = server.reports[0].0;
    for at in [0, 2] {
        server.reports.insert(at, (digest, sealed("instead of it")));
    }
    let summary = home.import(&server);
    assert_eq!(summary["outcomes"], json!({"opened": 1, "swapped": 1}), "{summary}");
    assert_eq!(home.json(&["status"])["leaves"], json!({"opened": 1}));
}
