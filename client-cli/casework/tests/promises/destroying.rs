//! `destroy-epoch`.

use std::fs;

use marram_crypto::seal::Target;
use serde_json::json;

use crate::support::{
    MINE, OTHERS, Part, Server, Told, one_line, organization, outcome, recipients, seal_parts, sealed, text, today,
    warnings,
};

#[test]
fn after_destroy_epoch_the_keys_bytes_are_gone_and_import_says_so() {
    let organization = organization();
    let home = organization.alice();
    let past = organization.ago(6);
    let manifest = organization.manifest(past, 1);
    let mut server = Server::new();
    server.publish(&manifest);
    server.accept_in(past, Told::new("imported in time").seal(&Target::from(&manifest)));
    home.import(&server);
    let mut told = Told::new("came too late");
    told.codename = 2;
    server.accept_in(past, told.seal(&Target::from(&manifest)));

    // A second name for the file shows what became of its bytes.
    let (file, witness) = (home.path.join(format!("epochs/{past}.age")), home.beside("witness"));
    fs::hard_link(&file, &witness).unwrap();
    let before = fs::read(&witness).unwrap();
    let done = home.answer(&["destroy-epoch", &past.to_string()], &format!("{past}\n"));
    assert!(done.status.success(), "{}", text(&done.stderr));
    assert!(text(&done.stderr).contains("become unreadable for you forever"));
    assert!(!file.exists());
    let after = fs::read(&witness).unwrap();
    assert!(
        !before
            .windows(16)
            .any(|window| after.windows(16).any(|other| other == window))
    );

    let summary = home.import(&server);
    assert_eq!(
        (&summary["before"], &summary["outcomes"]),
        (&json!({"opened": 1}), &json!({"key_destroyed": 1}))
    );
    let detail = summary["reports"][1]["detail"].as_str().unwrap();
    assert!(detail.contains("are destroyed"), "{detail}");
    // What was imported before stays readable.
    assert!(home.ok(&["show", "1"]).contains("imported in time"));
    let again = home.fails(&["destroy-epoch", &past.to_string()]);
    assert!(again.contains("were destroyed on"), "{again}");
}

#[test]
fn what_was_not_for_me_is_not_called_lost_after_the_keys_are_gone() {
    let organization = organization();
    let home = organization.alice();
    let past = organization.ago(6);
    let mut server = Server::new();
    server.publish(&organization.manifest(past, 1));
    let mut others = recipients();
    others[MINE] = others[OTHERS[0]].clone();
    let noise = seal_parts(&others, 1 << 15, &[Part::Raw(b"sealed to others")]);
    server.accept_in(past, noise);
    assert_eq!(outcome(&home.import(&server)).0, "not_for_me");
    home.answer(&["destroy-epoch", &past.to_string()], &format!("{past}\n"));
    let again = home.import(&server);
    assert_eq!(
        (&again["outcomes"], &again["before"]),
        (&json!({}), &json!({"not_for_me": 1}))
    );
}

#[test]
fn a_damaged_key_file_is_named_and_the_other_epochs_still_open() {
    let organization = organization();
    let home = organization.alice();
    fs::write(
        home.path.join(format!("epochs/{}.age", organization.ago(1))),
        b"worn out",
    )
    .unwrap();
    let mut server = Server::new();
    let manifest = organization.manifest(organization.ago(1), 1);
    server.publish(&manifest);
    server.accept_in(manifest.epoch, Told::new("last week").seal(&Target::from(&manifest)));
    server.accept(sealed("this week"));
    let summary = home.import(&server);
    assert_eq!(summary["outcomes"], json!({"opened": 1, "key_unreadable": 1}));
    assert!(warnings(&summary)[0].1.contains("is damaged"), "{summary}");
}

#[test]
fn the_number_of_the_epoch_must_be_typed() {
    let home = organization().alice();
    let past = organization().ago(6);
    for answers in ["", "yes\n", "\n", "2951 \n"] {
        let output = home.answer(&["destroy-epoch", &past.to_string()], answers);
        assert!(!output.status.success(), "{answers:?}");
    }
    assert!(home.path.join(format!("epochs/{past}.age")).exists());
}

#[test]
fn an_epoch_that_is_open_or_in_its_grace_is_kept_unless_one_insists() {
    let organization = organization();
    let home = organization.alice();
    for epoch in [organization.epoch, organization.epoch.plus(1)] {
        let said = text(
            &home
                .answer(&["destroy-epoch", &epoch.to_string()], &format!("{epoch}\n"))
                .stderr,
        );
        assert!(said.contains("is not over") && said.contains("--even-unread"), "{said}");
        assert!(home.path.join(format!("epochs/{epoch}.age")).exists());
    }
    let epoch = organization.epoch.to_string();
    let done = home.answer(&["destroy-epoch", &epoch, "--even-unread"], &format!("{epoch}\n"));
    assert!(done.status.success(), "{}", text(&done.stderr));
    assert!(!home.path.join(format!("epochs/{epoch}.age")).exists());
}

#[test]
fn an_epoch_is_kept_while_a_report_of_it_is_withheld_until_the_alarm_is_acknowledged() {
    let organization = organization();
    let home = organization.alice();
    let past = organization.ago(6);
    let manifest = organization.manifest(past, 1);
    let mut server = Server::new();
    server.publish(&manifest);
    server.accept_in(past, Told::new("on its way").seal(&Target::from(&manifest)));
    server.reports.clear();
    home.import(&server);
    let (number, typed) = (past.to_string(), format!("{past}\n"));
    let refused = home.answer(&["destroy-epoch", &number], &typed);
    let said = one_line(&text(&refused.stderr));
    assert!(
        !refused.status.success() && said.contains("is not accounted for") && said.contains("withheld (1)"),
        "{said}"
    );
    home.ok(&[
        "acknowledge",
        "1",
        "--comment",
        "the operator lost a disk; it was sent again",
    ]);
    let done = home.answer(&["destroy-epoch", &number], &typed);
    let said = one_line(&text(&done.stderr));
    assert!(
        done.status.success() && said.contains("were never opened: 1. They become unreadable"),
        "{said}"
    );
    assert!(!home.path.join(format!("epochs/{past}.age")).exists());
}

#[test]
fn an_epoch_is_kept_until_a_checkpoint_from_after_its_grace_is_proven_to_the_last_leaf() {
    let organization = organization();
    let home = organization.alice();
    let past = organization.ago(3);
    let manifest = organization.manifest(past, 1);
    let refused = |because: &str| {
        let output = home.answer(&["destroy-epoch", &past.to_string()], &format!("{past}\n"));
        let said = one_line(&text(&output.stderr));
        assert!(!output.status.success() && said.contains(because), "{said}");
    };
    refused("no checkpoint of");
    let mut server = Server::new();
    server.publish(&manifest);
    server.publish(&organization.manifest(past.plus(1), 1));
    server.accept_in(past, Told::new("in time").seal(&Target::from(&manifest)));
    // The last day of the grace is not after it.
    server.day = Some(past.closes().plus(1));
    home.import(&server);
    refused("reports of that epoch were taken until");
    // A later one, with a gap before it.
    server.carried();
    let between = Told {
        codename: 2,
        ..Told::new("between")
    };
    server.accept_in(past, between.seal(&Target::from(&manifest)));
    let bundle_between = server.clone();
    server.carried();
    server.day = Some(today());
    home.import(&server);
    refused("is not accounted for");
    home.import(&bundle_between);
    home.import(&server);
    let done = home.answer(&["destroy-epoch", &past.to_string()], &format!("{past}\n"));
    assert!(done.status.success(), "{}", text(&done.stderr));
}

#[test]
fn epochs_whose_grace_is_over_are_announced() {
    let organization = organization();
    let status = organization.alice().json(&["status"]);
    let over: Vec<_> = status["keys_to_destroy"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(serde_json::Value::as_u64)
        .collect();
    assert!(over.contains(&u64::from(organization.ago(6).number())));
    assert!(!over.contains(&u64::from(organization.epoch.number())));
    let due = format!("marram-casework destroy-epoch {}", organization.ago(6));
    assert!(status["due"].as_array().unwrap().contains(&json!(due)), "{status}");
}

#[test]
fn an_epoch_that_never_had_keys_is_named() {
    let home = organization().alice();
    let said = home.fails(&["destroy-epoch", "7"]);
    assert!(said.contains("there are no keys of epoch 7 here"), "{said}");
}
