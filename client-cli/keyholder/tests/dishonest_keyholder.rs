//! Everything that a dishonest keyholder, or a stick in dishonest hands, can put into a batch.

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[expect(dead_code, reason = "each test file uses its part of the office")]
mod office;

use std::fs;

use marram_crypto::{
    annex::Entry, digest::Digest, enrolment::Pair, instance::InstanceId, manifest::Slot, secret::SecretBytes, vacant,
};
use office::{Caseworker, Forged, Office, Ran, now, pair, rng, signatures};

/// A batch of two weeks, signed by amber.
fn issued(office: &Office) {
    office
        .run("amber", &["issue", "--epochs", "2", "--out", "batch", "--yes"])
        .ok();
}

fn sign(office: &Office, keyholder: &str, folder: &str) -> Ran {
    office.run(keyholder, &["sign", folder, "--yes"])
}

/// Birch looks at a batch that mallory made, does not sign it, and the batch stays as it was, annex and all.
fn birch_refuses(office: &Office, forged: &[Forged], words: &[&str]) {
    office.write("forged", forged);
    let before = (office.state("birch"), office.files("forged"));
    sign(office, "birch", "forged").refused(words);
    assert_eq!((office.state("birch"), office.files("forged")), before);
    let chain = office.chain();
    for manifest in office.manifests("forged").values() {
        assert!(!manifest.note().signed_by(&office.root("birch")));
        assert!(signatures(manifest, &chain) <= 1);
    }
}

#[test]
fn a_hidden_recipient_in_a_free_slot_is_caught_and_named() {
    let office = Office::founded();
    let mut forged = office.honest(now(), 1);
    forged.draft.slots[5].recipient = pair().recipient;
    let words = ["HIDDEN READER", "slot 6", "seed gives", "Call the other keyholders"];
    birch_refuses(&office, &[forged], &words);
}

#[test]
fn a_hidden_signer_in_a_free_slot_is_caught_and_named() {
    let office = Office::founded();
    let honest = office.honest(now(), 1);
    let mut forged = office.honest(now().plus(1), 1);
    forged.draft.slots[7].signer = office.mallory.public();
    // The first manifest is right; nothing is signed all the same.
    birch_refuses(&office, &[honest, forged], &["HIDDEN SIGNER", "slot 8"]);
}

#[test]
fn a_hidden_signer_beside_a_caseworkers_own_recipient_is_caught() {
    let office = Office::founded();
    let mut forged = office.honest(now(), 1);
    forged.draft.slots[1].signer = office.mallory.public();
    birch_refuses(&office, &[forged], &["HIDDEN SIGNER", "slot 2", "vetted"]);
}

#[test]
fn an_annex_that_lies_is_caught() {
    // A whole slot of mallory's, said to be vacant.
    let office = Office::founded();
    let mut forged = office.honest(now(), 1);
    forged.draft.slots[4] = Slot::from(pair());
    birch_refuses(&office, &[forged], &["HIDDEN READER", "slot 5"]);

    // Heron's keys, said to be ibis's, and the other way round.
    let office = Office::founded();
    let mut forged = office.honest(now(), 1);
    forged.entries.swap(0, 1);
    birch_refuses(&office, &[forged], &["HIDDEN READER", "slot 1"]);

    // Said to be kept from a version that birch has never signed.
    let office = Office::founded();
    let mut forged = office.honest(now(), 1);
    forged.entries[6] = Entry::Kept;
    birch_refuses(&office, &[forged], &["kept"]);

    // A seed of another week.
    let office = Office::founded();
    let mut forged = office.honest(now(), 1);
    let seed = SecretBytes::random(&mut rng());
    forged.draft.slots[3] = vacant::slot(seed.expose(), now().plus(1), 3);
    forged.entries[3] = Entry::Vacant { seed };
    birch_refuses(&office, &[forged], &["HIDDEN READER", "slot 4"]);

    // An annex of another manifest; and none.
    let office = Office::founded();
    office.write("other", &[office.honest(now(), 1)]);
    office.write("forged", &[office.honest(now(), 1)]);
    fs::copy(office.stick("other/annex"), office.stick("forged/annex")).unwrap();
    sign(&office, "birch", "forged").refused(&["does not speak of the manifest"]);
    fs::remove_file(office.stick("forged/annex")).unwrap();
    sign(&office, "birch", "forged").refused(&["no annex"]);
}

#[test]
fn a_slot_for_somebody_whom_the_cosigner_never_vetted_names_digits_and_file() {
    let office = Office::founded();
    let crane = Caseworker::new("crane", 26);
    office.bring(&crane, 1);
    office.vet("amber", &crane).ok();
    issued(&office);
    let said = sign(&office, "birch", "batch").refused(&["crane", "not on your own list"]);
    let digits = crane.key.digits();
    let rows: Vec<&str> = digits.split(' ').collect();
    assert!(
        said.out.contains(&rows[..4].join("  ")) && said.out.contains(&rows[8..].join("  ")),
        "{}",
        said.out
    );
    assert!(
        said.out
            .contains("marram-keyholder vet batch/crane.enrolment --name crane")
    );
    assert!(!said.out.contains("heron is not"));

    // A file of that name with another key does not help; the right one does.
    let swapped = Caseworker::new("crane", 26);
    let honest = fs::read(office.stick("batch/crane.enrolment")).unwrap();
    let note = swapped.enrolment(office.instance(), 1).note().to_bytes();
    fs::write(office.stick("batch/crane.enrolment"), note).unwrap();
    let vet = ["vet", "batch/crane.enrolment", "--name", "crane", "--digits", &digits];
    office.run("birch", &vet).refused(&["crane's enrolment key"]);
    sign(&office, "birch", "batch").refused(&["not on your own list"]);
    fs::write(office.stick("batch/crane.enrolment"), honest).unwrap();
    let said = office.run("birch", &vet).ok();
    assert!(said.out.contains("marram-keyholder sign batch"), "{}", said.out);
    assert!(sign(&office, "birch", "batch").ok().out.contains("complete"));
}

#[test]
fn an_enrolment_swapped_for_one_with_the_same_name_is_refused() {
    let office = Office::founded();
    let swapped = Caseworker::new("heron", 26);
    office.bring(&swapped, 2);
    let before = office.state("amber");
    office
        .vet("amber", &swapped)
        .refused(&["heron is on your list with another enrolment key", "revoke heron"]);
    // Heron's own next batch needs no digits, and an older one is a rollback.
    assert_eq!(office.state("amber"), before);
    let mut heron = office.caseworker("heron").clone();
    heron.pairs = (26..52).map(|week| (now().plus(week), pair())).collect();
    office.bring(&heron, 2);
    let said = office.run("amber", &["vet", "heron.enrolment", "--json"]).json();
    assert_eq!(said["last_epoch"], now().plus(51).number());
    heron.pairs = (52..60).map(|week| (now().plus(week), pair())).collect();
    office.bring(&heron, 1);
    office.run("amber", &["vet", "heron.enrolment"]).refused(&["rollback"]);
}

#[test]
fn a_batch_of_another_instance_or_charter_is_refused() {
    let office = Office::founded();
    let mut forged = office.honest(now(), 1);
    forged.draft.instance = InstanceId::random(&mut rng());
    birch_refuses(&office, &[forged], &["of the instance", "another organization"]);

    let office = Office::founded();
    let mut forged = office.honest(now(), 1);
    forged.draft.charter = Digest::of(b"another charter");
    birch_refuses(&office, &[forged], &["made for the charter"]);
}

#[test]
fn a_signature_that_is_not_valid_is_noticed() {
    let office = Office::founded();
    office.write("forged", &[office.honest(now(), 1)]);
    let path = office.stick("forged").join(format!("{}-1.manifest", now()));
    let text = fs::read_to_string(&path).unwrap();
    let changed = text.replace("promise 14", "promise 15");
    assert_ne!(changed, text);
    fs::write(&path, &changed).unwrap();
    // The annex of the changed text, so that only the signature is wrong.
    let mut annex = office.annex("forged");
    annex.parts[0].manifest = office.manifests("forged")[&now()].claimed_hash();
    fs::write(office.stick("forged/annex"), annex.to_text().unwrap().as_bytes()).unwrap();
    sign(&office, "birch", "forged").refused(&["signature", "not valid"]);
}

#[test]
fn an_older_version_and_another_manifest_of_the_same_version_are_refused() {
    let office = Office::founded();
    office.write("second", &[office.honest(now(), 2)]);
    sign(&office, "birch", "second").ok();
    birch_refuses(
        &office,
        &[office.honest(now(), 1)],
        &["rollback", "version 2", "version 1"],
    );
    fs::remove_dir_all(office.stick("forged")).unwrap();
    birch_refuses(
        &office,
        &[office.honest(now(), 2)],
        &["another version 2", "issue --from"],
    );
}

#[test]
fn a_week_six_ahead_and_one_that_is_over_are_refused() {
    let office = Office::founded();
    office.write("ahead", &[office.honest(now().plus(5), 1)]);
    sign(&office, "birch", "ahead").ok();
    birch_refuses(
        &office,
        &[office.honest(now().plus(6), 1)],
        &["6 weeks ahead", "the limit is 5"],
    );
    let six = now().plus(6).to_string();
    let args = ["issue", "--from", &six, "--epochs", "1", "--out", "never", "--yes"];
    office.run("amber", &args).refused(&["6 weeks ahead"]);
    assert!(!office.stick("never").exists());

    let mut office = Office::founded();
    let last_week = now().previous().unwrap();
    for caseworker in &mut office.caseworkers {
        caseworker.pairs.insert(last_week, pair());
    }
    birch_refuses(&office, &[office.honest(last_week, 1)], &["is over"]);
}

#[test]
fn a_slot_that_moves_or_changes_without_need_within_a_week_is_refused() {
    let office = Office::founded();
    let first = office.honest(now(), 1);
    office.write("first", std::slice::from_ref(&first));
    sign(&office, "birch", "first").ok();
    let second = |change: &dyn Fn(&mut Forged)| {
        let mut forged = first.clone();
        forged.draft.version = 2;
        change(&mut forged);
        let _ = fs::remove_dir_all(office.stick("forged"));
        forged
    };
    let moved = second(&|forged| {
        forged.draft.slots.swap(0, 1);
        forged.entries.swap(0, 1);
    });
    birch_refuses(&office, &[moved], &["heron had slot 1", "slot 2 now"]);
    let reseeded = second(&|forged| {
        let seed = SecretBytes::random(&mut rng());
        forged.draft.slots[6] = vacant::slot(seed.expose(), now(), 6);
        forged.entries[6] = Entry::Vacant { seed };
    });
    birch_refuses(&office, &[reseeded], &["slot 7", "other keys"]);
    // Kept means as birch knows it: the annex may leave out what birch has checked before.
    let kept = second(&|forged| forged.entries.fill(Entry::Kept));
    office.write("kept", &[kept]);
    sign(&office, "birch", "kept").ok();
    // And a kept slot with another key in it is no kept slot.
    let mut slipped = second(&|forged| {
        forged.draft.version = 3;
        forged.entries.fill(Entry::Kept);
    });
    slipped.draft.slots[4].signer = office.mallory.public();
    birch_refuses(&office, &[slipped], &["HIDDEN SIGNER", "slot 5"]);
}

#[test]
fn keys_of_one_caseworker_in_two_slots_are_refused() {
    let office = Office::founded();
    let mut heron = office.caseworker("heron").clone();
    let second: Pair = pair();
    heron.pairs = [(now(), second.clone())].into();
    office.bring(&heron, 2);
    office.run("birch", &["vet", "heron.enrolment"]).ok();
    let mut forged = office.honest(now(), 1);
    forged.draft.slots[3] = second.into();
    forged.entries[3] = forged.entries[0].clone();
    birch_refuses(&office, &[forged], &["slots 1 and 4", "heron"]);
}

#[test]
fn a_caseworker_who_is_left_out_is_missed_by_the_cosigner() {
    let office = Office::founded();
    let mut forged = office.honest(now(), 1);
    let seed = SecretBytes::random(&mut rng());
    forged.draft.slots[2] = vacant::slot(seed.expose(), now(), 2);
    forged.entries[2] = Entry::Vacant { seed };
    office.write("forged", &[forged]);
    let said = office
        .answer("birch", &["sign", "forged"], "no\n")
        .refused(&["did not agree"]);
    assert!(
        said.out.contains("kestrel is on your list and has no slot"),
        "{}",
        said.out
    );
}

#[test]
fn a_folder_that_is_no_batch_is_refused_by_name() {
    let office = Office::founded();
    fs::create_dir(office.stick("empty")).unwrap();
    sign(&office, "birch", "empty").refused(&["no *.manifest"]);
    office.write("twice", &[office.honest(now(), 1), office.honest(now(), 2)]);
    sign(&office, "birch", "twice").refused(&["two manifests of epoch"]);
    office.write("renamed", &[office.honest(now(), 1)]);
    let (old, new) = (format!("renamed/{}-1.manifest", now()), "renamed/1-1.manifest");
    fs::rename(office.stick(&old), office.stick(new)).unwrap();
    sign(&office, "birch", "renamed").refused(&["another file's name"]);
    sign(&office, "birch", new).refused(&["name the folder"]);
    fs::write(office.stick("renamed/1-1.manifest"), "not a note").unwrap();
    sign(&office, "birch", "renamed").refused(&["1-1.manifest"]);
}
