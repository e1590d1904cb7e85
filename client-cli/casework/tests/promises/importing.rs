//! `import`: bundles, charters, manifests, leaves.

use std::fs;

use marram_crypto::{charter::Draft, instance::InstanceId, key::SigningKey, seal::Target, secret::SecretBytes};
use serde_json::json;

use crate::support::{Server, Told, charter, founded, names, organization, outcome, roots, sealed, signed, warnings};

#[test]
fn importing_twice_changes_nothing() {
    let home = organization().alice();
    let mut server = Server::new();
    server.accept(sealed("one"));
    let mut told = Told::new("two");
    (told.codename, told.attachments) = (2, vec![vec![7; 3_000_000]]);
    server.accept(told.seal(&crate::support::target()));
    let first = home.import(&server);
    assert_eq!(first["outcomes"], json!({"opened": 2}), "{first}");
    let before = home.everything();
    let second = home.import(&server);
    assert_eq!(
        (&second["outcomes"], &second["before"]),
        (&json!({}), &json!({"opened": 2}))
    );
    assert_eq!(second["leaves"], json!({"new": 0, "known": 2, "contradicting": 0}));
    assert_eq!(second["manifests"], json!({"new": 0, "known": 1, "refused": 0}));
    assert_eq!(home.everything(), before);
}

#[test]
fn the_next_bundle_carries_only_what_is_new() {
    let home = organization().alice();
    let mut server = Server::new();
    server.accept(sealed("one"));
    home.import(&server);
    server.carried();
    server.accept(sealed("two"));
    let next = home.import(&server);
    assert_eq!(
        (&next["leaves"], &next["outcomes"]),
        (
            &json!({"new": 1, "known": 0, "contradicting": 0}),
            &json!({"opened": 1})
        )
    );
}

#[test]
fn leaves_of_another_instance_are_refused() {
    let home = organization().alice();
    let mut server = Server::new();
    server.instance = "00112233445566778899aabbccddeeff".parse().unwrap();
    let path = home.beside("bundle.tar");
    server.write(&path);
    let said = home.fails(&["import", path.to_str().unwrap()]);
    assert!(said.contains("of another instance"), "{said}");
}

#[test]
fn a_bundle_of_another_organization_is_refused() {
    let home = organization().alice();
    let mut server = Server::new();
    server.chain = founded("00112233445566778899aabbccddeeff".parse().unwrap(), &roots()).to_json();
    let path = home.beside("bundle.tar");
    server.write(&path);
    let said = home.fails(&["import", path.to_str().unwrap()]);
    assert!(
        said.contains("charter in this bundle is refused") && said.contains("another organization"),
        "{said}"
    );
    assert_eq!(home.json(&["status"])["leaves"], json!({}));
}

/// The next version of the charter, signed by the same keyholders.
fn successor(change: impl Fn(&mut Draft)) -> String {
    let organization = organization();
    let mut draft = organization.chain.newest().successor();
    change(&mut draft);
    organization
        .chain
        .append(signed(&draft, organization.roots()))
        .unwrap()
        .to_json()
}

#[test]
fn a_charter_may_be_extended_but_not_forked_and_an_older_one_does_not_replace_it() {
    let home = organization().alice();
    let mut server = Server::new();
    let old = server.clone();
    server.chain = successor(|draft| draft.contact = "https://new.example".into());
    assert_eq!(home.import(&server)["charter"], "extended");
    assert_eq!(home.json(&["status"])["charter_version"], 2);

    let summary = home.import(&old);
    assert_eq!(
        (&summary["charter"], names(&summary).as_slice()),
        (&json!("older"), &["charter rollback".to_owned()][..])
    );
    assert_eq!(home.json(&["status"])["charter_version"], 2);

    server.chain = successor(|draft| draft.contact = "https://forked.example".into());
    let path = home.beside("bundle.tar");
    server.write(&path);
    let said = home.fails(&["import", path.to_str().unwrap()]);
    assert!(
        said.contains("fork: charter 2") && said.contains("keep the bundle as evidence"),
        "{said}"
    );
}

#[test]
fn a_report_sealed_under_an_older_charter_still_opens() {
    let home = organization().alice();
    let mut server = Server::new();
    server.accept(sealed("before the change"));
    server.chain = successor(|draft| draft.contact = "https://new.example".into());
    assert_eq!(outcome(&home.import(&server)).0, "opened");
}

#[test]
fn rollback_and_equivocation_of_manifests_are_named_and_replace_nothing() {
    let organization = organization();
    let home = organization.alice();
    let mut server = Server::empty();
    server.publish(&organization.manifest(organization.epoch, 2));
    home.import(&server);

    server.manifests.clear();
    server.publish(&organization.manifest(organization.epoch, 1));
    let summary = home.import(&server);
    assert_eq!(names(&summary), ["older version arrived late"]);
    assert!(
        warnings(&summary)[0].1.contains("version 2 stays the newest"),
        "{summary}"
    );

    for version in [2, 1] {
        server.manifests.clear();
        let mut other = organization.draft(organization.epoch, version);
        other.retention_days = 181;
        server.publish(&organization.sign(&other));
        let summary = home.import(&server);
        assert_eq!(names(&summary), ["manifest equivocation"]);
        assert_eq!(summary["manifests"], json!({"new": 0, "known": 0, "refused": 1}));
        assert_eq!(summary["alarms"], json!({"manifest equivocation": 1}));
    }
}

#[test]
fn an_older_manifest_that_was_kept_back_still_opens_what_was_sealed_under_it() {
    let organization = organization();
    let home = organization.alice();
    let (first, second) = (
        organization.manifest(organization.epoch, 1),
        organization.manifest(organization.epoch, 2),
    );
    let mut server = Server::empty();
    server.publish(&second);
    server.accept(Told::new("under the first").seal(&Target::from(&first)));
    assert_eq!(outcome(&home.import(&server)).0, "another_manifest");
    server.publish(&first);
    let summary = home.import(&server);
    assert_eq!(
        (outcome(&summary).0.as_str(), names(&summary).as_slice()),
        ("opened", &["older version arrived late".to_owned()][..])
    );
}

#[test]
fn a_kept_back_manifest_with_another_number_of_slots_does_not_make_a_report_shapeless_for_good() {
    let organization = organization();
    let home = organization.alice();
    let mut wider = organization.draft(organization.epoch, 1);
    wider
        .slots
        .extend((8..16).map(|position| marram_crypto::vacant::slot(&[position; 32], organization.epoch, position)));
    let wider = organization.sign(&wider);
    let mut server = Server::empty();
    server.publish(&organization.manifest(organization.epoch, 2));
    server.accept(Told::new("to sixteen slots").seal(&Target::from(&wider)));
    assert_eq!(outcome(&home.import(&server)).0, "not_a_sealed_report");
    server.publish(&wider);
    assert_eq!(outcome(&home.import(&server)).0, "opened");
}

#[test]
fn versions_of_one_bundle_come_in_any_order() {
    let organization = organization();
    let home = organization.alice();
    let mut server = Server::empty();
    for version in [10, 2, 1] {
        server.publish(&organization.manifest(organization.epoch, version));
    }
    let summary = home.import(&server);
    assert_eq!(summary["manifests"], json!({"new": 3, "known": 0, "refused": 0}));
}

#[test]
fn a_manifest_with_too_few_signatures_or_of_another_instance_is_named_and_the_import_goes_on() {
    let organization = organization();
    let home = organization.alice();
    let mut server = Server::new();
    server.accept(sealed("one"));
    let next = organization.epoch.plus(1);
    server.publish_note(next, 1, organization.note(&organization.draft(next, 1), 1));
    let mut foreign = organization.draft(next, 1);
    foreign.instance = "00112233445566778899aabbccddeeff".parse::<InstanceId>().unwrap();
    server.publish_note(next, 1, organization.note(&foreign, 2));
    server.publish_note(next, 1, b"not a note".to_vec());
    let summary = home.import(&server);
    assert_eq!(names(&summary), ["refused manifest"; 3]);
    assert_eq!(outcome(&summary).0, "opened");
}

#[test]
fn a_charter_signed_by_strangers_is_refused() {
    let home = organization().alice();
    let strangers: Vec<_> = (0..3)
        .map(|n| SigningKey::from_seed(&SecretBytes::from([n; 32])))
        .collect();
    let mut draft = charter(organization().chain.instance(), &strangers);
    (draft.version, draft.previous) = (2, Some(organization().chain.newest().fingerprint()));
    let first: Vec<String> = serde_json::from_str(&organization().chain.to_json()).unwrap();
    let taken_over = String::from_utf8(signed(&draft, &strangers).note().to_bytes()).unwrap();
    let mut server = Server::new();
    server.chain = json!([first[0], taken_over]).to_string();
    let path = home.beside("bundle.tar");
    server.write(&path);
    let said = home.fails(&["import", path.to_str().unwrap()]);
    assert!(said.contains("take the organization over"), "{said}");
}

#[test]
fn a_report_sealed_under_an_earlier_version_of_the_manifest_opens() {
    let organization = organization();
    let home = organization.alice();
    let (first, second) = (
        organization.manifest(organization.epoch, 1),
        organization.manifest(organization.epoch, 2),
    );
    let mut server = Server::new();
    server.publish(&second);
    server.accept(Told::new("under the first").seal(&Target::from(&first)));
    let mut told = Told::new("under the second");
    told.attachments = vec![vec![9; 100_000]];
    server.accept(told.seal(&Target::from(&second)));
    assert_eq!(home.import(&server)["outcomes"], json!({"opened": 2}));
    let shown = home.json(&["show", "1"]);
    assert_eq!(shown["manifest"], json!(first.hash()));
}

#[test]
fn a_report_of_a_neighbouring_epoch_opens_and_is_not_remarkable() {
    let organization = organization();
    let home = organization.alice();
    let last_week = organization.manifest(organization.ago(1), 1);
    let mut server = Server::new();
    server.publish(&last_week);
    server.accept(Told::new("a week late").seal(&Target::from(&last_week)));
    let summary = home.import(&server);
    assert_eq!(
        (outcome(&summary).0.as_str(), &summary["reports"][0]["flags"]),
        ("opened", &json!([]))
    );
}

#[test]
fn an_honest_report_is_tried_with_the_keys_of_its_own_epoch_alone() {
    let organization = organization();
    let home = organization.alice();
    let mut server = Server::new();
    server.publish(&organization.manifest(organization.ago(1), 1));
    server.publish(&organization.manifest(organization.ago(4), 1));
    server.accept(sealed("one"));
    // Whoever reads these files has to say that they are damaged.
    for weeks in [1, 4] {
        fs::write(
            home.path.join(format!("epochs/{}.age", organization.ago(weeks))),
            "damaged",
        )
        .unwrap();
    }
    let summary = home.import(&server);
    assert_eq!(
        (outcome(&summary).0.as_str(), names(&summary).len()),
        ("opened", 0),
        "{summary}"
    );
    // The same files do speak when a report is looked for everywhere.
    server.accept(vec![b'x'; 1 << 15]);
    assert_eq!(names(&home.import(&server)), ["unreadable keys"; 2]);
}

#[test]
fn keeping_a_neighbours_manifest_back_does_not_make_a_report_pass_for_noise() {
    let organization = organization();
    let home = organization.alice();
    let last_week = organization.manifest(organization.ago(1), 1);
    let mut server = Server::new();
    server.accept(Told::new("a week late").seal(&Target::from(&last_week)));
    assert_eq!(outcome(&home.import(&server)).0, "not_for_me");
    server.publish(&last_week);
    assert_eq!(outcome(&home.import(&server)).0, "opened");
}

#[test]
fn an_epoch_without_manifest_is_named_and_opens_once_the_manifest_comes() {
    let home = organization().alice();
    let mut server = Server::empty();
    server.accept(sealed("too early"));
    assert_eq!(outcome(&home.import(&server)).0, "no_manifest");
    let mut whole = Server::new();
    whole.accept(server.reports[0].1.clone());
    assert_eq!(outcome(&home.import(&whole)).0, "opened");
}

#[test]
fn a_bundle_that_was_cut_keeps_what_came_before_and_goes_on_with_the_whole_one() {
    let home = organization().alice();
    let mut server = Server::new();
    for n in 0..3 {
        server.accept(sealed(&format!("report {n}")));
    }
    let (whole, path) = (server.bytes(), home.beside("cut.tar"));
    fs::write(&path, &whole[..whole.len() - 20_000]).unwrap();
    let said = home.fails(&["import", path.to_str().unwrap()]);
    assert!(
        said.contains("ended early") && said.contains("copy the bundle again"),
        "{said}"
    );
    assert_eq!(home.json(&["list"])["reports"].as_array().unwrap().len(), 2);
    fs::write(&path, &whole).unwrap();
    let summary = home.json(&["import", path.to_str().unwrap()]);
    assert_eq!(summary["bundles"][0]["before"], json!({"opened": 2}));
    assert_eq!(home.json(&["list"])["reports"].as_array().unwrap().len(), 3);
}

#[test]
fn what_is_no_bundle_is_named() {
    let home = organization().alice();
    let path = home.beside("photo.jpg");
    fs::write(&path, [7; 5000]).unwrap();
    let said = home.fails(&["import", path.to_str().unwrap()]);
    assert!(said.contains("photo.jpg") && said.contains("damaged bundle"), "{said}");
    let said = home.fails(&["import", home.beside("nothing.tar").to_str().unwrap()]);
    assert!(said.contains("cannot open"), "{said}");
    let said = home.fails(&["import", home.folder.path().to_str().unwrap()]);
    assert!(said.contains("is not a file"), "{said}");
}
