//! `standing` and `compare`: colleagues find out what one of them was not shown.

use std::{fs, ops::RangeInclusive};

use marram_crypto::{
    digest::Digest,
    key::SigningKey,
    standing::{Draft, UntrustedStanding},
    tree::Tree,
};
use serde_json::json;

use crate::support::{Home, MINE, Server, Told, names, one_line, organization, target, today};

fn told(codename: u8) -> Vec<u8> {
    let narrative = format!("report {codename}");
    Told {
        codename,
        ..Told::new(&narrative)
    }
    .seal(&target())
}

/// What a colleague says.
fn standing(home: &Home, tree: Tree, opened: Vec<RangeInclusive<u64>>, signer: &SigningKey) -> String {
    let draft = Draft {
        instance: organization().chain.instance(),
        epoch: organization().epoch,
        day: today(),
        tree,
        opened,
    };
    let path = home.beside("colleague.standing");
    fs::write(&path, draft.sign(signer).unwrap().to_bytes()).unwrap();
    path.to_str().unwrap().to_owned()
}

fn colleague() -> &'static SigningKey {
    &organization().colleague(0, organization().epoch).signer
}

#[test]
fn a_standing_says_what_i_know_and_have_opened_and_a_colleague_who_knows_the_same_finds_nothing() {
    let home = organization().alice();
    let mut server = Server::new();
    for codename in 1..=2 {
        server.accept(told(codename));
    }
    server.accept(vec![b'x'; 1 << 15]);
    server.accept(told(4));
    home.import(&server);
    let path = home.beside("mine.standing");
    home.ok(&["standing", "--out", path.to_str().unwrap()]);
    let standing = UntrustedStanding::parse(&fs::read(&path).unwrap()).unwrap();
    let standing = standing
        .verify(&organization().manifest(organization().epoch, 1))
        .unwrap();
    assert_eq!(standing.slot(), MINE);
    assert_eq!(standing.draft().tree, server.tree());
    assert_eq!(standing.draft().opened, [0..=1, 3..=3]);
    let compared = home.json(&["compare", path.to_str().unwrap()]);
    assert_eq!(
        (&compared["forked"], &compared["not_opened"]),
        (&json!(false), &json!(0))
    );
    assert_eq!(home.alarms(), []);
}

#[test]
fn what_a_colleague_has_opened_and_i_have_not_is_an_alarm() {
    let home = organization().alice();
    let mut server = Server::new();
    server.accept(told(1));
    let whole = server.clone();
    server.reports[0].1 = vec![b'x'; 1 << 15];
    server.leaves[0].digest = Digest::of(&server.reports[0].1);
    server.reports[0].0 = server.leaves[0].digest;
    home.import(&server);
    let said = home.fails(&["compare", &standing(&home, server.tree(), vec![0..=0], colleague())]);
    assert!(
        one_line(&said).contains("a colleague has opened reports that I have not: 1"),
        "{said}"
    );
    assert_eq!(home.alarms(), [("opened_by_colleague".to_owned(), "leaf 0".to_owned())]);
    assert_eq!(home.json(&["list"])["reports"], json!([]));
    drop(whole);
}

#[test]
fn a_server_that_shows_colleagues_different_logs_is_found_out_also_later() {
    let home = organization().alice();
    let mut server = Server::new();
    server.accept(told(1));
    let mut forked = server.clone();
    server.accept(told(2));
    forked.accept(told(3));
    home.import(&server);
    let path = standing(&home, forked.tree(), vec![], colleague());
    let said = one_line(&home.fails(&["compare", &path]));
    assert!(said.contains("the log is forked"), "{said}");
    assert_eq!(home.alarms(), [("forked".to_owned(), "size 2".to_owned())]);

    // The colleague is ahead: it comes out with the next bundle.
    let behind = organization().alice();
    let mut first = server.clone();
    first.leaves.pop();
    first.reports.pop();
    behind.import(&first);
    let compared = behind.json(&["compare", &standing(&behind, forked.tree(), vec![], colleague())]);
    assert_eq!(
        (&compared["forked"], &compared["not_compared"]),
        (&json!(false), &json!(1))
    );
    assert_eq!(behind.import(&server)["alarms"], json!({"forked": 1}));
}

#[test]
fn a_standing_that_no_caseworker_signed_is_refused() {
    let home = organization().alice();
    let mut server = Server::new();
    server.accept(told(1));
    let stranger = SigningKey::from_seed(&marram_crypto::secret::SecretBytes::from([9; 32]));
    let forged = standing(&home, Tree::new(), vec![], &stranger);
    let said = one_line(&home.fails(&["compare", &forged]));
    assert!(said.contains("no manifest of epoch"), "{said}");
    home.import(&server);
    for command in [&["compare", &forged][..], &["compare", "--begin", &forged]] {
        let said = one_line(&home.fails(command));
        assert!(said.contains("is not signed by a caseworker"), "{said}");
    }
}

#[test]
fn a_newcomer_begins_with_a_colleagues_log_and_accounts_for_what_follows() {
    let home = organization().alice();
    let mut server = Server::new();
    for codename in 1..=3 {
        server.accept(told(codename));
    }
    let colleagues = server.tree();
    server.carried();
    server.accept(told(4));
    server.accept(told(5));
    server.reports.pop();
    assert_eq!(names(&home.import(&server)), ["gap"]);
    let begun = home.json(&[
        "compare",
        "--begin",
        &standing(&home, colleagues.clone(), vec![0..=2], colleague()),
    ]);
    assert_eq!((&begun["begins"], &begun["size"]), (&json!(3), &json!(5)));
    assert_eq!(home.json(&["status"])["leaves"], json!({"opened": 1, "withheld": 1}));
    // Only once.
    let said = one_line(&home.fails(&["compare", "--begin", &standing(&home, colleagues, vec![], colleague())]));
    assert!(said.contains("nothing to begin"), "{said}");
    // The log goes on, and a fork behind the beginning is seen.
    server.carried();
    server.accept(told(6));
    assert_eq!(home.import(&server)["log"]["size"], 6);
    let mut forked = server.clone();
    forked.before.pop();
    let said = home.fails(&["compare", &standing(&home, forked.tree(), vec![], colleague())]);
    assert!(one_line(&said).contains("forked"), "{said}");
}

#[test]
fn a_newcomer_to_whom_a_colleague_lies_of_the_log_is_told_when_it_does_not_go_on() {
    let home = organization().alice();
    let mut server = Server::new();
    for codename in 1..=3 {
        server.accept(told(codename));
    }
    let mut lie = server.clone();
    lie.leaves[1].digest = Digest::of(b"withheld");
    server.carried();
    server.accept(told(4));
    home.import(&server);
    home.ok(&["compare", "--begin", &standing(&home, lie.tree(), vec![], colleague())]);
    assert_eq!(home.alarms()[0].0, "false_leaves");
    assert_eq!(home.json(&["status"])["log"]["size"], 3);
}
