//! `import`: leaves that contradict each other, lie or are missing. They are named, and keep no report out.

use marram_crypto::{day::Epoch, digest::Digest, leaf::Leaf};
use serde_json::json;

use crate::support::{
    MINE, OTHERS, Server, Told, names, one_line, organization, outcome, recipients, seal_parts, sealed, target,
    warnings,
};

#[test]
fn a_gap_in_the_log_is_named_and_its_reports_open() {
    let home = organization().alice();
    let mut server = Server::new();
    server.accept(sealed("one"));
    let whole = server.clone();
    server.from = 5;
    let summary = home.import(&server);
    assert_eq!(
        (names(&summary).as_slice(), outcome(&summary).0.as_str()),
        (&["gap".to_owned()][..], "opened")
    );
    let detail = &warnings(&summary)[0].1;
    assert!(
        detail.contains("begins with leaf 5, and 5 leaves before it never came") && detail.contains("--all"),
        "{detail}"
    );
    // What was missing still comes.
    assert_eq!(home.import(&whole)["leaves"]["new"], 1);
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
fn one_forged_leaf_does_not_make_later_honest_reports_unreadable() {
    let home = organization().alice();
    let mut honest = Server::new();
    honest.accept(sealed("one"));
    home.import(&honest);

    let mut hostile = Server::new();
    (hostile.from, hostile.leaves) = (1, vec![forged_leaf()]);
    assert_eq!(
        home.import(&hostile)["leaves"],
        json!({"new": 1, "known": 0, "forked": 0})
    );

    // The log goes on, also where the forged leaf stands.
    honest.from = 1;
    (honest.leaves, honest.reports) = (vec![], vec![]);
    for (narrative, codename) in [("two", 2), ("three", 3)] {
        let told = Told {
            codename,
            ..Told::new(narrative)
        };
        honest.accept(told.seal(&target()));
    }
    let summary = home.import(&honest);
    assert_eq!(names(&summary), ["forked"]);
    assert_eq!(summary["alarms"], json!({"forked": 1}));
    assert_eq!(summary["leaves"], json!({"new": 1, "known": 0, "forked": 1}));
    assert_eq!(summary["outcomes"], json!({"opened": 2}));
    let not_in_log = "not in the log as this casebook knows it";
    assert_eq!(summary["reports"][0]["flags"], json!([not_in_log]));
    assert_eq!(
        (&summary["reports"][1]["flags"], &summary["not_in_log"]),
        (&json!([]), &json!(1))
    );
    // Both versions are named.
    let detail = &warnings(&summary)[0].1;
    for leaf in [forged_leaf(), honest.leaves[0]] {
        assert!(detail.contains(&leaf.digest.to_string()), "{detail}");
    }
    assert!(home.ok(&["show", "2"]).contains("two") && home.ok(&["show", "3"]).contains("three"));
    assert!(one_line(&home.ok(&["show", "2"])).contains("Not in the log as this casebook knows it"));
    let listed = home.json(&["list"]);
    let in_log: Vec<_> = (0..3).map(|at| listed["reports"][at]["in_log"].as_bool()).collect();
    assert_eq!(in_log, [Some(true), Some(false), Some(true)]);
    assert!(one_line(&home.ok(&["list"])).contains("not in the log"));
    assert_eq!(home.json(&["status"])["forked_leaves"], 1);
}

#[test]
fn another_leaf_where_one_was_seen_is_named_forked_and_never_overwrites_it() {
    let home = organization().alice();
    let mut server = Server::new();
    server.accept(sealed("one"));
    home.import(&server);
    let mut forked = Server::new();
    let told = Told {
        codename: 2,
        ..Told::new("another")
    };
    forked.accept(told.seal(&target()));
    for forks in [1, 1] {
        let summary = home.import(&forked);
        assert_eq!(names(&summary), ["forked"]);
        assert_eq!(home.json(&["status"])["forked_leaves"], forks);
    }
    // The first stays: importing it again finds it known.
    let summary = home.import(&server);
    assert_eq!(
        (&summary["leaves"], &summary["alarms"]),
        (&json!({"new": 0, "known": 1, "forked": 0}), &json!({}))
    );
    assert_eq!(home.json(&["list"])["reports"].as_array().unwrap().len(), 2);
}

#[test]
fn a_leaf_at_the_end_of_the_numbers_stops_nothing() {
    let home = organization().alice();
    let mut hostile = Server::new();
    hostile.leaves = vec![forged_leaf(); 2];
    for (from, warning) in [(u64::MAX - 1, "hostile leaves"), (i64::MAX as u64 - 2, "gap")] {
        hostile.from = from;
        assert_eq!(names(&home.import(&hostile))[0], warning);
    }
    let mut honest = Server::new();
    honest.accept(sealed("one"));
    let summary = home.import(&honest);
    assert_eq!((outcome(&summary).0.as_str(), names(&summary).len()), ("opened", 0));
    assert_eq!(summary["leaves"]["new"], 1);
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
fn a_report_that_the_log_promised_and_no_bundle_brings_is_named_withheld() {
    let home = organization().alice();
    let mut server = Server::new();
    server.accept(sealed("one"));
    let whole = server.clone();
    server.reports.clear();
    let summary = home.import(&server);
    assert_eq!(
        (outcome(&summary).0.as_str(), &summary["without_report"]),
        ("withheld", &json!(1))
    );
    let summary = home.import(&whole);
    assert_eq!(
        (outcome(&summary).0.as_str(), &summary["without_report"]),
        ("opened", &json!(0))
    );
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
    (later.from, later.leaves) = (1, vec![]);
    let summary = home.import(&later);
    assert_eq!(
        (outcome(&summary).0.as_str(), &summary["not_in_log"]),
        ("opened", &json!(0))
    );
}

#[test]
fn a_relabelled_leaf_does_not_make_a_report_pass_for_noise() {
    let organization = organization();
    let home = organization.alice();
    let mut server = Server::new();
    // To an epoch with a manifest and to one without; to the end of the epochs; and of another size.
    let (near, far) = (organization.ago(3), organization.ago(5));
    server.publish(&organization.manifest(near, 1));
    for (codename, epoch) in (1..).zip([near, far, Epoch::MAX, organization.epoch]) {
        let told = Told {
            codename,
            ..Told::new(&format!("report {codename}"))
        };
        server.accept_in(epoch, told.seal(&target()));
    }
    server.leaves[3].log2_size = 20;
    let summary = home.import(&server);
    assert_eq!(summary["outcomes"], json!({"opened": 4}), "{summary}");
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
