//! `enrol` and `renew`.

use std::fs;

use marram_crypto::{enrolment::UntrustedEnrolment, instance::InstanceId};

use crate::support::{EPOCHS, Home, Server, founded, one_line, organization, roots, text};

fn charter_in(home: &Home) -> String {
    let path = home.beside("charter.json");
    fs::write(&path, organization().chain.to_json()).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn an_enrolment_covers_its_epochs_and_leads_to_the_keyholders() {
    let organization = organization();
    assert_eq!(organization.enrolment.pairs.len(), EPOCHS as usize);
    assert_eq!(organization.enrolment.counter, 1);
    let said = one_line(&organization.enrolled);
    for group in organization.enrolment.digits().groups() {
        assert!(said.contains(&group), "{said}");
    }
    for word in [
        "Carry ",
        "aloud",
        "marram-keyholder vet",
        "Never copy the folder epochs",
    ] {
        assert!(said.contains(word), "{said}");
    }
}

#[test]
fn enrolling_asks_for_the_digits_and_stops_if_they_differ() {
    let home = Home::new();
    let (charter, out) = (charter_in(&home), home.beside("a.enrolment"));
    let arguments = ["enrol", "--charter", &charter, "--out", out.to_str().unwrap()];
    let refused = home.answer(&arguments, "no\n");
    let said = text(&refused.stderr);
    assert!(
        said.contains("the digits were not confirmed") && said.contains("next: "),
        "{said}"
    );
    assert!(!refused.status.success() && !out.exists() && !home.path.join("identity.age").exists());

    let unanswered = home.run(&arguments);
    assert!(!unanswered.status.success() && !home.path.join("identity.age").exists());
}

#[test]
fn the_digits_are_confirmed_by_typing_the_last_group() {
    let home = Home::new();
    let (charter, out) = (charter_in(&home), home.beside("a.enrolment"));
    let digits = marram_crypto::fingerprint::Digits::of(&organization().chain.newest().fingerprint());
    let arguments = [
        "enrol",
        "--charter",
        &charter,
        "--out",
        out.to_str().unwrap(),
        "--epochs",
        "2",
    ];
    let done = home.answer(&arguments, &format!("{}\n", digits.groups()[11]));
    assert!(done.status.success(), "{}", text(&done.stderr));
    let enrolment = UntrustedEnrolment::parse(&fs::read(&out).unwrap()).unwrap();
    let enrolment = enrolment.verify(organization().chain.instance()).unwrap();
    assert_eq!(enrolment.pairs.keys().next(), Some(&organization().epoch));
}

#[test]
fn a_charter_with_another_fingerprint_is_refused() {
    let home = Home::new();
    let foreign = founded(
        "00112233445566778899aabbccddeeff".parse::<InstanceId>().unwrap(),
        &roots(),
    );
    let (charter, out) = (charter_in(&home), home.beside("a.enrolment"));
    let fingerprint = foreign.newest().fingerprint().to_string();
    let out = out.to_str().unwrap();
    let said = home.fails(&[
        "enrol",
        "--charter",
        &charter,
        "--out",
        out,
        "--fingerprint",
        &fingerprint,
    ]);
    assert!(said.contains("another organization"), "{said}");
}

#[test]
fn enrolling_twice_overwrites_nothing() {
    let home = organization().alice();
    let before = fs::read(home.path.join("identity.age")).unwrap();
    let (charter, out) = (charter_in(&home), home.beside("a.enrolment"));
    let said = home.fails(&["enrol", "--charter", &charter, "--out", out.to_str().unwrap()]);
    assert!(
        said.contains("is enrolled") && said.contains("marram-casework renew"),
        "{said}"
    );
    assert_eq!(fs::read(home.path.join("identity.age")).unwrap(), before);

    // An identity that was moved away is not replaced, and what it opens is not touched.
    fs::remove_file(home.path.join("identity.age")).unwrap();
    let said = home.fails(&["enrol", "--charter", &charter, "--out", out.to_str().unwrap()]);
    assert!(said.contains("but no identity.age"), "{said}");
    assert!(home.path.join("casebook").exists() && !out.exists());
}

#[test]
fn renewing_makes_the_next_epochs_under_the_same_key_and_a_lost_note_can_be_written_again() {
    let organization = organization();
    let home = organization.alice();
    let (next, again) = (home.beside("next.enrolment"), home.beside("again.enrolment"));
    home.ok(&["renew", "--out", next.to_str().unwrap(), "--epochs", "3"]);
    let renewed = UntrustedEnrolment::parse(&fs::read(&next).unwrap()).unwrap();
    let renewed = renewed.verify(organization.chain.instance()).unwrap();
    assert_eq!(renewed.follows(&organization.enrolment), Ok(()));
    let last = *organization.enrolment.pairs.keys().next_back().unwrap();
    assert_eq!(
        renewed.pairs.keys().copied().collect::<Vec<_>>(),
        [1, 2, 3].map(|n| last.plus(n))
    );

    home.ok(&["renew", "--again", "--out", again.to_str().unwrap()]);
    assert_eq!(fs::read(&next).unwrap(), fs::read(&again).unwrap());
    let said = home.fails(&["renew", "--out", next.to_str().unwrap()]);
    assert!(said.contains("is already there"), "{said}");
    assert_eq!(home.json(&["status"])["epochs_left"], 2 + 3);
}

#[test]
fn renewing_never_overwrites_keys_that_are_there() {
    let home = organization().alice();
    let (first, second) = (home.beside("first.enrolment"), home.beside("second.enrolment"));
    let backup = fs::read(home.path.join("casebook")).unwrap();
    home.ok(&["renew", "--out", first.to_str().unwrap(), "--epochs", "3"]);
    // A casebook from before: it does not know that these keys were handed out.
    fs::write(home.path.join("casebook"), backup).unwrap();
    home.ok(&["renew", "--out", second.to_str().unwrap(), "--epochs", "3"]);
    assert_eq!(fs::read(&first).unwrap(), fs::read(&second).unwrap());
}

#[test]
fn keys_that_run_out_are_announced_with_the_command_to_run() {
    let home = organization().alice();
    let output = home.run(&["status"]);
    let (said, warned) = (text(&output.stdout), text(&output.stderr));
    assert!(warned.contains("run out in 2 epochs"), "{warned}");
    assert!(
        said.contains("marram-casework renew --out") && said.contains("Dune Watch"),
        "{said}"
    );
    home.ok(&["renew", "--out", home.beside("n.enrolment").to_str().unwrap()]);
    let due = home.json(&["status"])["due"].to_string();
    assert!(!due.contains("renew"), "{due}");
}

#[test]
fn a_wrong_passphrase_is_named() {
    let home = organization().alice();
    let output = home.start_with(&["list"], "another dune").wait_with_output().unwrap();
    let said = text(&output.stderr);
    assert!(
        said.contains("wrong passphrase for") && said.contains("next: "),
        "{said}"
    );
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn without_a_home_the_first_command_is_named() {
    let home = Home::new();
    let said = home.fails(&["list"]);
    assert!(said.contains("enrol first: marram-casework enrol"), "{said}");
}

#[test]
fn a_casebook_of_another_identity_is_named() {
    let (home, other) = (organization().alice(), Home::new());
    let (charter, out) = (charter_in(&other), other.beside("b.enrolment"));
    let fingerprint = organization().chain.newest().fingerprint().to_string();
    let out = out.to_str().unwrap();
    other.ok(&[
        "enrol",
        "--charter",
        &charter,
        "--out",
        out,
        "--fingerprint",
        &fingerprint,
        "--epochs",
        "1",
    ]);
    fs::copy(other.path.join("casebook"), home.path.join("casebook")).unwrap();
    let said = home.fails(&["import", "x.tar"]);
    assert!(said.contains("belongs to another identity"), "{said}");
    // And with its own it still works.
    other.import(&Server::empty());
}

#[test]
fn an_enrolment_without_a_place_makes_no_keys() {
    let home = Home::new();
    let (charter, out) = (charter_in(&home), home.beside("no-stick").join("a.enrolment"));
    let fingerprint = organization().chain.newest().fingerprint().to_string();
    let refused = home.run(&[
        "enrol",
        "--charter",
        &charter,
        "--fingerprint",
        &fingerprint,
        "--out",
        out.to_str().unwrap(),
    ]);
    let said = one_line(&text(&refused.stderr));
    assert!(
        said.contains("there is no folder") && said.contains("no keys were made"),
        "{said}"
    );
    assert!(!refused.status.success() && !home.path.join("identity.age").exists());
    assert_eq!(fs::read_dir(home.path.join("epochs")).map_or(0, Iterator::count), 0);

    let home = organization().alice();
    let epochs = home.json(&["status"])["epochs_left"].clone();
    let said = one_line(&home.fails(&["renew", "--out", out.to_str().unwrap()]));
    assert!(
        said.contains("there is no folder") && said.contains("no keys were made"),
        "{said}"
    );
    assert_eq!(home.json(&["status"])["epochs_left"], epochs);
}
