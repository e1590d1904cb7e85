//! The monthly routine: issuing, signing, revoking, and the days on which something breaks.

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[expect(dead_code, reason = "each test file uses its part of the office")]
mod office;

use std::fs;

use marram_crypto::{
    digest::Digest,
    manifest::{ManifestError, Slot},
    note::NoteError,
};
use office::{Caseworker, Office, Ran, Secret, now};

/// A batch of two weeks, signed by amber.
fn issued(office: &Office) {
    office
        .run("amber", &["issue", "--epochs", "2", "--out", "batch", "--yes"])
        .ok();
}

fn sign(office: &Office, keyholder: &str, folder: &str) -> Ran {
    office.run(keyholder, &["sign", folder, "--yes"])
}

#[test]
fn two_of_three_sign_a_month_and_what_tells_who_reads_is_destroyed() {
    let office = Office::founded();
    let said = office.run("amber", &["issue", "--yes"]).ok();
    assert!(said.out.contains("heron, ibis, kestrel") && said.out.contains("1 (2 are needed)"));
    let folder = format!("batch-{}", now().opens());
    assert!(office.files(&folder).contains(&"annex".to_owned()));

    // One signature where two are required: nobody believes it.
    let chain = office.chain();
    assert_eq!(office.manifests(&folder).len(), 4);
    for manifest in office.manifests(&folder).into_values() {
        let refused = manifest.verify(&chain).unwrap_err();
        assert!(matches!(
            refused,
            ManifestError::Note(NoteError::TooFewSignatures {
                valid: 1,
                needed: 2,
                ..
            })
        ));
    }
    // The same keyholder once more is still one, also if its line stands there twice.
    let again = office.run("amber", &["sign", &folder, "--json"]).json();
    assert_eq!(
        (&again["complete"], &again["manifests"][0]["signatures"]),
        (&false.into(), &1.into())
    );
    let path = office.stick(&folder).join(format!("{}-1.manifest", now()));
    let once = fs::read_to_string(&path).unwrap();
    let line = once.lines().last().unwrap();
    fs::write(&path, format!("{once}{line}\n")).unwrap();
    let again = office.run("amber", &["sign", &folder, "--json"]).json();
    assert_eq!(
        (&again["complete"], &again["manifests"][0]["signatures"]),
        (&false.into(), &1.into())
    );
    assert!(office.files(&folder).contains(&"annex".to_owned()));
    fs::write(&path, once).unwrap();

    // Birch looks, and agrees.
    office
        .answer("birch", &["sign", &folder], "no\n")
        .refused(&["did not agree"]);
    let said = office.answer("birch", &["sign", &folder], "yes\n").ok();
    assert!(
        said.out.contains("complete") && said.out.contains("marram-courier publish"),
        "{}",
        said.out
    );
    for (epoch, manifest) in office.manifests(&folder) {
        let manifest = manifest.verify(&chain).unwrap();
        for caseworker in &office.caseworkers {
            let slot = Slot::from(caseworker.pairs[&epoch].clone());
            assert_eq!(manifest.slots.iter().filter(|found| **found == slot).count(), 1);
        }
    }
    let expected: Vec<String> = (0..4).map(|week| format!("{}-1.manifest", now().plus(week))).collect();
    assert_eq!(office.files(&folder), expected);

    let status = office.run("birch", &["status", "--json"]).json();
    assert_eq!(status["signed_until"], now().plus(4).opens().to_string());
    // Amber learns that it is complete when the folder comes back; then nothing is due for either.
    let due = |status: &serde_json::Value| status["due"].as_array().unwrap().len();
    assert_eq!(due(&office.run("amber", &["status", "--json"]).json()), 1);
    sign(&office, "amber", &folder).ok();
    assert_eq!(due(&office.run("amber", &["status", "--json"]).json()), 0);
}

#[test]
fn the_slots_of_each_week_are_in_an_order_of_their_own() {
    let office = Office::founded();
    office
        .run("amber", &["issue", "--epochs", "6", "--out", "batch", "--yes"])
        .ok();
    let orders: std::collections::BTreeSet<Vec<Option<usize>>> = office
        .manifests("batch")
        .into_iter()
        .map(|(epoch, manifest)| {
            let slots = &manifest.claims().slots;
            let place = |one: &Caseworker| slots.iter().position(|slot| slot.signer == one.pairs[&epoch].signer);
            office.caseworkers.iter().map(place).collect()
        })
        .collect();
    // 336 orders are possible: six weeks all alike would be a defect, some alike happens.
    assert!(orders.len() > 1);
}

#[test]
fn revoking_replaces_that_one_slot_and_nothing_else_in_any_week() {
    let office = Office::founded();
    issued(&office);
    sign(&office, "birch", "batch").ok();
    let before = office.manifests("batch");

    office
        .run("amber", &["revoke", "Heron", "--out", "without", "--yes"])
        .ok();
    let said = sign(&office, "birch", "without").ok();
    assert!(
        said.out.contains("heron loses slot") && said.out.contains("complete"),
        "{}",
        said.out
    );
    let chain = office.chain();
    let after = office.manifests("without");
    assert_eq!(after.len(), 2);
    for (epoch, manifest) in after {
        let manifest = manifest.verify(&chain).unwrap();
        let old = before[&epoch].clone().verify(&chain).unwrap();
        let changed = manifest.replaces(&old).unwrap();
        let heron = &office.caseworker("heron").pairs[&epoch];
        let place = old
            .slots
            .iter()
            .position(|slot| slot.recipient == heron.recipient)
            .unwrap();
        assert_eq!((manifest.version, changed), (2, vec![place]));
        assert!(
            !manifest
                .to_bytes()
                .windows(44)
                .any(|bytes| bytes == heron.signer.to_string().as_bytes())
        );
    }
    assert_eq!(
        office.files("without"),
        [format!("{}-2.manifest", now()), format!("{}-2.manifest", now().plus(1))]
    );

    // Birch has struck heron too: gone from every future week, whoever issues, and it never comes back.
    for (keyholder, folder) in [("birch", "next"), ("amber", "next-but-one")] {
        let from = now().plus(if keyholder == "birch" { 2 } else { 3 }).to_string();
        office
            .run(
                keyholder,
                &["issue", "--from", &from, "--epochs", "1", "--out", folder, "--yes"],
            )
            .ok();
        for (epoch, manifest) in office.manifests(folder) {
            let heron = &office.caseworker("heron").pairs[&epoch];
            let slots = &manifest.claims().slots;
            assert!(
                slots
                    .iter()
                    .all(|slot| slot.recipient != heron.recipient && slot.signer != heron.signer)
            );
        }
        assert!(!office.files(folder).contains(&"heron.enrolment".to_owned()));
    }
    office.bring(office.caseworker("heron"), 1);
    office.vet("amber", office.caseworker("heron")).refused(&["struck"]);
    // Mallory makes a batch with heron in it: birch's own list says no.
    office.write("forged", &[office.honest(now().plus(4), 1)]);
    sign(&office, "birch", "forged").refused(&["heron", "struck from your list"]);
    // The version before, published again, is a rollback.
    sign(&office, "birch", "batch").refused(&["rollback"]);
}

#[test]
fn a_colleague_may_say_no_to_striking_and_then_heron_stays_on_the_list() {
    let office = Office::founded();
    issued(&office);
    sign(&office, "birch", "batch").ok();
    office
        .run("amber", &["revoke", "heron", "--out", "without", "--yes"])
        .ok();
    office.answer("birch", &["sign", "without"], "yes\nno\n").ok();
    let status = office.run("birch", &["status", "--json"]).json();
    assert_eq!(status["caseworkers"][0]["struck"], serde_json::Value::Null);
    assert_eq!(
        status["manifests"][0]["caseworkers"],
        serde_json::json!(["ibis", "kestrel"])
    );
}

#[test]
fn the_last_reader_cannot_be_revoked_away_and_a_stranger_not_at_all() {
    let office = Office::founded();
    issued(&office);
    for name in ["heron", "ibis"] {
        office.run("amber", &["revoke", name, "--out", name, "--yes"]).ok();
    }
    let before = office.state("amber");
    office
        .run("amber", &["revoke", "kestrel", "--yes"])
        .refused(&["nobody could read"]);
    office
        .run("amber", &["revoke", "owl", "--yes"])
        .refused(&["no owl on your list", "heron, ibis, kestrel"]);
    assert_eq!(office.state("amber"), before);
}

#[test]
fn what_changes_in_the_settings_is_said_before_the_cosigner_is_asked() {
    let office = Office::founded();
    office
        .run("amber", &["issue", "--epochs", "1", "--out", "first", "--yes"])
        .ok();
    let said = sign(&office, "birch", "first").ok();
    assert!(said.out.contains("look at every line") && said.out.contains("64 MiB"));
    let (log, courier) = (Secret::new(), Secret::new());
    office.write_settings(&log, &courier);
    let settings = fs::read_to_string(office.stick("organization.toml")).unwrap();
    let settings = settings.replace("promise_days = 14", "promise_days = 30");
    fs::write(office.stick("organization.toml"), settings).unwrap();
    office
        .run("amber", &["issue", "--epochs", "1", "--out", "second", "--yes"])
        .ok();
    let said = office
        .answer("birch", &["sign", "second"], "no\n")
        .refused(&["did not agree"]);
    let flat = said.out.split_whitespace().collect::<Vec<_>>().join(" ");
    for words in [
        "log key changes from",
        &format!("to {}", log.public()),
        &format!("courier added: {}", courier.public()),
        "courier removed",
        "acknowledgement changes from 14 days to 30 days",
    ] {
        assert!(flat.contains(words), "{words}: {flat}");
    }
    assert!(!flat.contains("the largest report changes"));
}

#[test]
fn signing_that_was_cut_off_half_way_is_finished_by_signing_again() {
    let office = Office::founded();
    issued(&office);
    let copy = |from: &str, to: &str| {
        fs::create_dir_all(office.stick(to)).unwrap();
        for name in office.files(from) {
            fs::copy(office.stick(from).join(&name), office.stick(to).join(&name)).unwrap();
        }
    };
    copy("batch", "cut");
    sign(&office, "birch", "batch").ok();
    // As if the power had failed after the state and the first manifest were written: the rest is as it was.
    let first = format!("{}-1.manifest", now());
    fs::copy(office.stick("batch").join(&first), office.stick("cut").join(&first)).unwrap();
    let said = office.run("birch", &["sign", "cut", "--json"]).json();
    assert_eq!(said["complete"], true);
    let texts = |folder: &str| -> Vec<_> {
        let manifests = office.manifests(folder).into_values();
        manifests.map(|manifest| manifest.note().to_bytes()).collect()
    };
    assert_eq!(texts("cut"), texts("batch"));
    assert_eq!(office.files("cut"), office.files("batch"));
}

#[test]
fn a_batch_whose_writing_was_cut_off_is_finished_and_not_made_twice() {
    let office = Office::founded();
    issued(&office);
    let before = office.manifests("batch");
    fs::rename(office.stick("batch"), office.stick(".batch.partial")).unwrap();
    let said = office.run("amber", &["issue", "--epochs", "2", "--yes"]).ok();
    assert!(
        said.out.contains("cut off") && said.out.contains("sign"),
        "{}",
        said.out
    );
    let after = office.manifests("batch");
    assert!(
        before
            .values()
            .zip(after.values())
            .all(|(before, after)| before.claimed_hash() == after.claimed_hash())
    );
    assert!(
        !office
            .files("")
            .iter()
            .any(|name| name.starts_with('.') || name.starts_with("batch-"))
    );
    sign(&office, "birch", "batch").ok();
}

#[test]
fn a_new_caseworker_gets_a_slot_in_weeks_that_were_signed_already() {
    let office = Office::founded();
    issued(&office);
    sign(&office, "birch", "batch").ok();
    let crane = Caseworker::new("crane", 26);
    office.bring(&crane, 1);
    for keyholder in ["amber", "birch"] {
        office.vet(keyholder, &crane).ok();
    }
    let from = now().to_string();
    office
        .run(
            "amber",
            &["issue", "--from", &from, "--epochs", "2", "--out", "with", "--yes"],
        )
        .ok();
    let said = sign(&office, "birch", "with").ok();
    assert!(said.out.contains("crane gets slot"), "{}", said.out);
    let chain = office.chain();
    let before = office.manifests("batch");
    for (epoch, manifest) in office.manifests("with") {
        let (new, old) = (
            manifest.verify(&chain).unwrap(),
            before[&epoch].clone().verify(&chain).unwrap(),
        );
        let changed = new.replaces(&old).unwrap();
        assert_eq!(changed.len(), 1);
        assert_eq!(new.slots[changed[0]], Slot::from(crane.pairs[&epoch].clone()));
    }
}

#[test]
fn nobody_to_read_is_no_manifest_and_keys_that_run_out_are_announced() {
    let mut office = Office::founded();
    for name in ["heron", "ibis", "kestrel"] {
        office.run("amber", &["revoke", name, "--yes"]).ok();
    }
    office
        .run("amber", &["issue", "--yes"])
        .refused(&["nobody could read", "marram-keyholder vet"]);
    let crane = Caseworker::new("crane", 2);
    office.bring(&crane, 1);
    office.vet("amber", &crane).ok();
    office
        .run("amber", &["issue", "--yes"])
        .refused(&["nobody could read", &now().plus(2).opens().to_string()]);
    let said = office
        .run("amber", &["issue", "--epochs", "2", "--out", "batch", "--yes"])
        .ok();
    assert!(said.err.contains("crane's keys run out on") && said.err.contains("marram-casework renew"));
    assert!(said.err.contains("only one caseworker"));
    let status = office.run("amber", &["status", "--json"]).json();
    let due = status["due"].to_string();
    assert!(due.contains("marram-keyholder vet crane.enrolment"), "{due}");
    office.caseworkers.clear();
}

#[test]
fn a_keyholder_who_only_saw_a_batch_remembers_it_and_does_not_pretend_to_know_its_slots() {
    let office = Office::founded();
    // Mallory and birch complete it; amber gets the files without the annex.
    office.write("batch", &[office.honest(now(), 2)]);
    sign(&office, "birch", "batch").ok();
    let said = office.run("amber", &["sign", "batch", "--json"]).json();
    assert_eq!(
        (&said["complete"], &said["manifests"][0]["signatures"]),
        (&true.into(), &2.into())
    );
    let older = office.honest(now(), 1);
    office.write("older", &[older]);
    sign(&office, "amber", "older").refused(&["rollback"]);
    let from = now().to_string();
    let args = ["issue", "--from", &from, "--epochs", "1", "--out", "x", "--yes"];
    office.run("amber", &args).refused(&["not its annex"]);
    let said = office.run("amber", &["revoke", "heron", "--yes"]).ok();
    assert!(said.err.contains("does not know the slots"), "{}", said.err);
}

#[test]
fn a_page_is_named_by_its_file_and_the_cosigner_is_shown_that_it_is_new() {
    let office = Office::founded();
    let page = b"<!doctype html><title>the page</title>";
    fs::write(office.stick("page.html"), page).unwrap();
    fs::write(office.stick("notes.txt"), b"no page").unwrap();
    issued(&office);
    sign(&office, "birch", "batch").ok();
    office
        .run("amber", &["issue", "--page", "notes.txt", "--yes"])
        .refused(&["notes.txt is no HTML page", "client-web/build"]);
    office
        .run("amber", &["issue", "--page", "nothing.html", "--yes"])
        .refused(&["nothing.html", "client-web/build"]);
    let again = [
        "issue",
        "--epochs",
        "1",
        "--out",
        "named",
        "--page",
        "page.html",
        "--page",
        "page.html",
        "--yes",
    ];
    office.run("amber", &again).ok();
    let (_, manifest) = office.manifests("named").into_iter().next().unwrap();
    assert_eq!(manifest.claims().pages, [Digest::of(page)]);
    let shown = sign(&office, "birch", "named").ok();
    assert!(shown.out.contains("page added"), "{}", shown.out);
    assert!(shown.out.contains(&Digest::of(page).to_string()), "{}", shown.out);
}
