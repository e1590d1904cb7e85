//! Founding, and what a founding must not let pass: the real program, real files, three keyholders.

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[expect(dead_code, reason = "each test file uses its part of the office")]
mod office;

use std::{fs, io::Read as _, process::Command};

use marram_crypto::{
    charter::{CharterError, UntrustedCharterChain},
    note::NoteError,
};
use office::{Office, Secret};
use rustix::process::{Pid, Signal, kill_process};

/// Three root keys on the stick, and everybody's digits.
fn three() -> (Office, [String; 3]) {
    let office = Office::three_keys();
    let names = ["amber", "birch", "cedar"];
    let digits = names.map(|name| office.root_digits(name));
    (office, digits)
}

fn found<'a>(digits: &[&'a str]) -> Vec<&'a str> {
    let mut args = vec![
        "found",
        "--name",
        "Reed Bank",
        "--contact",
        "reed.example",
        "--threshold",
        "2",
    ];
    for digits in digits {
        args.extend(["--digits", digits]);
    }
    args.push("--yes");
    args
}

#[test]
fn two_of_three_found_an_organization_from_their_own_computers() {
    let (office, [amber, birch, cedar]) = three();
    let said = office.run("amber", &found(&[&birch, &cedar])).ok();
    assert!(said.out.contains("1 (2 are needed)") && said.out.contains("marram-keyholder sign charter.json"));

    // One signature is not enough for anybody.
    let bytes = fs::read(office.stick("charter.json")).unwrap();
    let draft = UntrustedCharterChain::parse(&bytes).unwrap();
    let fingerprint = draft.claimed_fingerprint().unwrap();
    assert!(matches!(
        draft.verify(fingerprint),
        Err(CharterError::Note(NoteError::TooFewSignatures {
            valid: 1,
            needed: 2,
            ..
        }))
    ));
    office.write_settings(&Secret::new(), &Secret::new());
    office
        .run("amber", &["issue", "--yes"])
        .refused(&["the charter is not finished"]);

    // Birch types the last group of each digits, as heard.
    let last = |digits: &str| digits.rsplit(' ').next().unwrap().to_owned();
    let mut others = [
        (office.root("amber"), last(&amber)),
        (office.root("cedar"), last(&cedar)),
    ];
    others.sort();
    let typed = format!("{}\n{}\nyes\n", others[0].1, others[1].1);
    let said = office.answer("birch", &["sign", "charter.json"], &typed).ok();
    assert!(said.out.contains("complete") && said.out.contains(&format!("https://YOUR-SERVER/#{fingerprint}")));
    let chain = office.chain();
    assert_eq!((chain.newest().threshold, chain.newest().roots.len()), (2, 3));
    assert_eq!(chain.newest().fingerprint(), fingerprint);

    // The third signs too, and the first learns that it is finished.
    let cedars = [
        "sign",
        "charter.json",
        "--digits",
        &amber,
        "--digits",
        &birch,
        "--yes",
        "--json",
    ];
    assert_eq!(office.run("cedar", &cedars).json()["signatures"], 3);
    let amber = office.run("amber", &["sign", "charter.json", "--json"]).json();
    assert_eq!((&amber["signatures"], &amber["complete"]), (&3.into(), &true.into()));
    let status = office.run("amber", &["status", "--json"]).json();
    assert_eq!(status["charter"]["complete"], true);
    assert!(
        status["due"][0]["command"]
            .as_str()
            .unwrap()
            .starts_with("marram-keyholder vet")
    );
}

#[test]
fn the_first_keyholder_signing_again_does_not_complete_a_charter() {
    let (office, [_, birch, cedar]) = three();
    office.run("amber", &found(&[&birch, &cedar])).ok();
    let again = office.run("amber", &["sign", "charter.json", "--json"]).json();
    assert_eq!((&again["signatures"], &again["complete"]), (&1.into(), &false.into()));
    assert_eq!(
        fs::read_to_string(office.stick("charter.json"))
            .unwrap()
            .matches("— marram")
            .count(),
        1
    );
}

#[test]
fn digits_that_differ_are_refused_and_nothing_is_signed() {
    let (office, [amber, birch, cedar]) = three();
    let wrong = Secret::new().digits();
    let before = office.state("amber");
    office
        .run("amber", &found(&[&birch, &wrong]))
        .refused(&["cedar's root key", "not among those given"]);
    // One too many belongs to a key that was swapped away.
    let strange = office.run("amber", &found(&[&birch, &cedar, &wrong]));
    assert_eq!(strange.code, Some(2));
    // By ear: “no”, and three groups that are not the last.
    for typed in ["no\n", "11111\n22222\n33333\n"] {
        let args = [
            "found",
            "--name",
            "Reed Bank",
            "--contact",
            "reed.example",
            "--threshold",
            "2",
        ];
        office.answer("amber", &args, typed).refused(&["were not confirmed"]);
    }
    assert!(!office.stick("charter.json").exists());
    assert_eq!(office.state("amber"), before);

    office.run("amber", &found(&[&birch, &cedar])).ok();
    let sign = ["sign", "charter.json", "--digits", &amber, "--digits", &wrong, "--yes"];
    office.run("birch", &sign).refused(&["cedar's root key"]);
    assert_eq!(
        fs::read_to_string(office.stick("charter.json"))
            .unwrap()
            .matches("— marram")
            .count(),
        1
    );
}

#[test]
fn a_root_key_swapped_on_the_stick_is_noticed_by_its_owner_and_by_the_others() {
    let (office, [amber, birch, cedar]) = three();
    let swapped = format!("marram/root/v1\nname birch\nroot {}\n", Secret::new().public());
    let honest = fs::read(office.stick("birch.root")).unwrap();
    fs::write(office.stick("birch.root"), &swapped).unwrap();
    office
        .run("amber", &found(&[&birch, &cedar]))
        .refused(&["birch's root key"]);

    // Amber is in league with whoever swapped it: birch still sees that the own key is missing, cedar that one is wrong.
    let evil = swapped.lines().nth(2).unwrap()["root ".len()..].parse().unwrap();
    let evil = marram_crypto::fingerprint::Digits::of_key(&evil).to_string();
    office.run("amber", &found(&[&evil, &cedar])).ok();
    fs::write(office.stick("birch.root"), honest).unwrap();
    let signs = ["sign", "charter.json", "--digits", &amber, "--digits", &cedar, "--yes"];
    office
        .run("birch", &signs)
        .refused(&["your root key is not in this charter"]);
    let signs = ["sign", "charter.json", "--digits", &amber, "--digits", &birch, "--yes"];
    office.run("cedar", &signs).refused(&["not among those given"]);
}

#[test]
fn one_keyholder_alone_is_only_possible_for_who_says_what_is_lost() {
    let (office, [_, birch, cedar]) = three();
    let mut args = found(&[&birch, &cedar]);
    args[6] = "1";
    office
        .run("amber", &args)
        .refused(&["reads every report", "--one-keyholder-can-betray-everyone"]);
    args.push("--one-keyholder-can-betray-everyone");
    office.run("amber", &args).ok();
    assert_eq!(office.chain().newest().threshold, 1);

    let (office, [amber, birch, cedar]) = three();
    let mut args = found(&[&birch, &cedar]);
    args[6] = "4";
    office.run("amber", &args).refused(&["4 of 3 keyholders"]);
    // A co-signer is asked for the same flag, by its own program.
    args[6] = "1";
    args.push("--one-keyholder-can-betray-everyone");
    office.run("amber", &args).ok();
    let sign = ["sign", "charter.json", "--digits", &amber, "--digits", &cedar, "--yes"];
    office
        .run("birch", &sign)
        .refused(&["--one-keyholder-can-betray-everyone"]);
}

#[test]
fn a_typing_mistake_in_the_draft_is_no_catastrophe_and_a_finished_charter_is_for_good() {
    let (office, [amber, birch, cedar]) = three();
    let mut typo = found(&[&birch, &cedar]);
    typo[2] = "Reed Bnak";
    office.run("amber", &typo).ok();
    office
        .answer("amber", &found(&[&birch, &cedar]), "no\n")
        .refused(&["did not agree"]);
    let mut again = found(&[&birch, &cedar]);
    again.push("--begin-again");
    office.run("amber", &again).ok();
    let sign = ["sign", "charter.json", "--digits", &amber, "--digits", &cedar, "--yes"];
    office.run("birch", &sign).ok();
    assert_eq!(office.chain().newest().name, "Reed Bank");
    office.run("amber", &["sign", "charter.json"]).ok();
    office.run("amber", &again).refused(&["belongs to Reed Bank already"]);
}

#[test]
fn a_wrong_passphrase_opens_nothing_and_changes_nothing() {
    let (office, _) = three();
    let before = office.state("amber");
    let child = office.start("amber", "correct horse battery birch", &["status"]);
    let ran = office::Ran::from(child.wait_with_output().unwrap()).refused(&["wrong passphrase"]);
    assert!(!ran.err.contains("correct horse"));
    assert_eq!(office.state("amber"), before);
}

#[test]
fn ctrl_c_at_a_prompt_leaves_nothing_half_written() {
    let (office, _) = three();
    let before = (office.state("amber"), office.files(""));
    let args = [
        "found",
        "--name",
        "Reed Bank",
        "--contact",
        "reed.example",
        "--threshold",
        "2",
    ];
    let mut child = office.start("amber", "correct horse battery amber", &args);
    let mut seen = Vec::new();
    let mut stderr = child.stderr.take().unwrap();
    while !String::from_utf8_lossy(&seen).contains("type the last group") {
        let mut byte = [0];
        assert_eq!(stderr.read(&mut byte).unwrap(), 1, "{}", String::from_utf8_lossy(&seen));
        seen.push(byte[0]);
    }
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    kill_process(pid, Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_eq!((office.state("amber"), office.files("")), before);
}

#[test]
fn a_program_without_a_key_says_how_to_begin() {
    let office = Office::empty();
    office
        .run("amber", &["status"])
        .refused(&["marram-keyholder key --name"]);
    office.run("amber", &["issue"]).refused(&["organization.toml"]);
}

#[test]
fn no_network_code_is_in_the_dependency_tree() {
    let tree = Command::new(env!("CARGO"))
        .args([
            "tree",
            "--offline",
            "--package",
            "marram-keyholder",
            "--edges",
            "normal",
            "--prefix",
            "none",
        ])
        .output()
        .unwrap();
    assert!(tree.status.success());
    let tree = String::from_utf8(tree.stdout).unwrap();
    assert!(tree.lines().any(|line| line.starts_with("marram-crypto ")));
    for line in tree.lines() {
        let name = line.split(' ').next().unwrap();
        let network = [
            "tokio",
            "mio",
            "hyper",
            "ureq",
            "rustls",
            "socket2",
            "axum",
            "reqwest",
            "async-std",
            "quinn",
        ];
        assert!(!network.contains(&name), "{line}");
    }
}
