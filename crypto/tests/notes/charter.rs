use marram_crypto::{
    charter::{CharterChain, CharterError, Draft, MAX_CHAIN, MAX_CHAIN_LEN, UntrustedCharter, UntrustedCharterChain},
    digest::Digest,
    instance::InstanceId,
    key::SigningKey,
    note::{LineError, NoteError, NoteType, UntrustedNote},
};

use crate::world::{TestRng, World, charter_draft, edited, found, sign_charter, signed};

/// Root keys of a first charter (2 of 3), of a second (2 of 3, one shared with the first), and their chain.
struct Succession {
    old: Vec<SigningKey>,
    new: Vec<SigningKey>,
    founding: CharterChain,
    next: Draft,
}

fn succession() -> Succession {
    let mut rng = TestRng::new("succession");
    let instance = InstanceId::random(&mut rng);
    let old: Vec<_> = (0..3).map(|_| rng.key()).collect();
    let new: Vec<_> = (0..3).map(|_| rng.key()).collect();
    let founding = found(&charter_draft(instance, &old, 2), &old[..2]);
    let next = Draft {
        roots: charter_draft(instance, &new, 2).roots,
        ..founding.newest().successor()
    };
    Succession {
        old,
        new,
        founding,
        next,
    }
}

fn both(old: &[SigningKey], new: &[SigningKey], next: &Draft) -> UntrustedCharter {
    UntrustedCharter::from_note(signed(signed(next.to_note().unwrap(), old), new)).unwrap()
}

fn json(charters: &[&UntrustedCharter]) -> Vec<u8> {
    let notes: Vec<_> = charters
        .iter()
        .map(|charter| String::from_utf8(charter.note().to_bytes()).unwrap())
        .collect();
    serde_json::to_vec(&notes).unwrap()
}

#[test]
fn a_chain_verifies_forward_from_whatever_charter_one_was_given() {
    let Succession {
        old,
        new,
        founding,
        next,
    } = succession();
    let chain = founding.append(both(&old[..2], &new[..2], &next)).unwrap();
    let json = chain.to_json();
    for charter in chain.charters() {
        let again = UntrustedCharterChain::parse(json.as_bytes())
            .unwrap()
            .verify(charter.fingerprint())
            .unwrap();
        assert_eq!(again.newest().version, 2);
        assert_eq!(again.pinned(), charter.fingerprint());
        assert_eq!(again.to_json(), json);
        assert_eq!(again.extends(&founding), Ok(()));
        assert_eq!(again.extends(&chain), Ok(()));
    }
}

#[test]
fn another_organization_is_refused_loudly() {
    let Succession { founding, .. } = succession();
    let foreign = World::new().chain;
    let pinned = founding.newest().fingerprint();
    let error = UntrustedCharterChain::parse(foreign.to_json().as_bytes())
        .unwrap()
        .verify(pinned)
        .unwrap_err();
    assert_eq!(
        error,
        CharterError::OtherFingerprint {
            pinned,
            newest: foreign.newest().fingerprint()
        }
    );
    assert!(error.to_string().contains("Send nothing"));
}

#[test]
fn a_charter_signed_by_too_few_of_its_own_keys_founds_nothing() {
    let World { roots, instance, .. } = World::new();
    let draft = charter_draft(instance, &roots, 2);
    for count in 0..2 {
        let chain = UntrustedCharterChain::founding(sign_charter(&draft, &roots[..count]));
        let pinned = chain.claimed_fingerprint().unwrap();
        assert_eq!(
            chain.verify(pinned).unwrap_err(),
            CharterError::Note(NoteError::TooFewSignatures {
                kind: NoteType::Charter,
                valid: count,
                needed: 2
            })
        );
    }
}

#[test]
fn a_change_that_the_old_keys_did_not_sign_is_a_take_over() {
    let Succession {
        old,
        new,
        founding,
        next,
    } = succession();
    for count in 0..2 {
        assert_eq!(
            founding.append(both(&old[..count], &new, &next)).unwrap_err(),
            CharterError::OldKeysDidNotSign {
                version: 2,
                valid: count,
                needed: 2
            }
        );
    }
}

#[test]
fn a_change_that_the_new_keys_did_not_sign_is_refused() {
    // Otherwise old keyholders could hand the organization to keys that nobody holds.
    let Succession {
        old,
        new,
        founding,
        next,
    } = succession();
    assert_eq!(
        founding.append(both(&old, &new[..1], &next)).unwrap_err(),
        CharterError::Note(NoteError::TooFewSignatures {
            kind: NoteType::Charter,
            valid: 1,
            needed: 2
        })
    );
}

#[test]
fn a_keyholder_of_both_charters_counts_for_both() {
    let Succession { old, new, founding, .. } = succession();
    let mixed = [&old[0], &old[1], &new[0]];
    let next = Draft {
        roots: mixed.iter().map(|key| key.public()).collect(),
        ..founding.newest().successor()
    };
    assert!(founding.append(both(&old[..2], &[], &next)).is_ok());
    assert!(founding.append(both(&old[..1], &new[..1], &next)).is_err());
}

#[test]
fn a_charter_that_does_not_follow_is_refused_by_name() {
    let Succession {
        old,
        new,
        founding,
        next,
    } = succession();
    let mut rng = TestRng::new("foreign");
    for (what, draft) in [
        (
            "its version number",
            Draft {
                version: 3,
                ..next.clone()
            },
        ),
        (
            "the fingerprint of the version before",
            Draft {
                previous: Some(Digest::of(b"another history")),
                ..next.clone()
            },
        ),
        (
            "its instance",
            Draft {
                instance: InstanceId::random(&mut rng),
                ..next.clone()
            },
        ),
    ] {
        let charter = both(&old, &new, &draft);
        let error = CharterError::Broken { version: 2, what };
        assert_eq!(founding.check_next(&charter), Err(error.clone()));
        assert_eq!(founding.append(charter).unwrap_err(), error);
    }
}

#[test]
fn a_fork_and_a_rollback_are_seen_by_whoever_remembers() {
    let Succession {
        old,
        new,
        founding,
        next,
    } = succession();
    let seen = founding.append(both(&old, &new, &next)).unwrap();
    let renamed = Draft {
        name: "Another".to_owned(),
        ..next
    };
    let forked = founding.append(both(&old, &new, &renamed)).unwrap();
    let fork = CharterError::Fork {
        version: 2,
        seen: seen.newest().fingerprint(),
        offered: forked.newest().fingerprint(),
    };
    assert_eq!(forked.extends(&seen), Err(fork.clone()));
    // A fork is not healed by growing longer.
    let third = forked.newest().successor();
    let longer = forked.append(both(&new, &[], &third)).unwrap();
    assert_eq!(longer.extends(&seen), Err(fork));
    assert_eq!(longer.extends(&forked), Ok(()));
    assert_eq!(
        founding.extends(&seen),
        Err(CharterError::Rollback { seen: 2, offered: 1 })
    );
    // Whoever pins the newest charter does not even accept the older chain.
    let shortened = UntrustedCharterChain::parse(founding.to_json().as_bytes()).unwrap();
    assert!(matches!(
        shortened.verify(seen.newest().fingerprint()),
        Err(CharterError::OtherFingerprint { .. })
    ));
}

#[test]
fn a_chain_with_a_charter_left_out_doubled_or_out_of_order_is_refused() {
    let Succession {
        old,
        new,
        founding,
        next,
    } = succession();
    let first = UntrustedCharter::from_note(founding.newest().note().clone()).unwrap();
    let second = both(&old, &new, &next);
    let pinned = second.note().digest();
    let verify = |charters: &[&UntrustedCharter]| {
        UntrustedCharterChain::parse(&json(charters))
            .and_then(|chain| chain.verify(pinned))
            .map(|_| ())
    };
    assert_eq!(verify(&[&first, &second]), Ok(()));
    assert_eq!(verify(&[&second]), Err(CharterError::NotFromTheFirst(2)));
    assert_eq!(verify(&[&second, &first]), Err(CharterError::NotFromTheFirst(2)));
    assert!(matches!(
        verify(&[&first, &first, &second]),
        Err(CharterError::Broken { version: 2, .. })
    ));
    assert!(matches!(
        verify(&[&first, &second, &second]),
        Err(CharterError::Broken { version: 3, .. })
    ));
    assert_eq!(verify(&[]), Err(CharterError::NotAChain));
    assert_eq!(verify(&vec![&first; MAX_CHAIN + 1]), Err(CharterError::NotAChain));
    for not_json in [
        &b"{}"[..],
        b"[1]",
        b"[[]]",
        b"",
        b"[",
        &vec![b' '; MAX_CHAIN_LEN + 1],
        &vec![b'['; 100_000],
    ] {
        assert!(matches!(
            UntrustedCharterChain::parse(not_json),
            Err(CharterError::NotAChain)
        ));
    }
}

#[test]
fn a_root_key_that_stands_twice_is_refused_by_name() {
    let World { roots, chain, .. } = World::new();
    let text = chain.newest().note().text();
    let first = chain.newest().roots.first().unwrap();
    let read = |note: UntrustedNote| UntrustedCharter::from_note(note).map(|_| ()).unwrap_err();
    let line = format!("root {first}\n");
    assert_eq!(
        read(edited(text, &line, &line.repeat(2))),
        CharterError::DuplicateRoot(Box::new(*first))
    );
    let last = chain.newest().roots.last().unwrap();
    let unsorted = text
        .replacen(&format!("root {last}\n"), "", 1)
        .replacen(&line, &format!("root {last}\n{line}"), 1);
    assert_eq!(
        read(UntrustedNote::unsigned(unsorted).unwrap()),
        CharterError::RootOrder(Box::new(*first))
    );
    assert_eq!(
        charter_draft(chain.instance(), &roots, 4).to_note(),
        Err(CharterError::Threshold { threshold: 4, roots: 3 })
    );
}

#[test]
fn lines_of_a_charter_are_refused_by_name() {
    let World { chain, .. } = World::new();
    let text = chain.newest().note().text();
    let read = |from: &str, to: &str| {
        UntrustedCharter::from_note(edited(text, from, to))
            .map(|_| ())
            .unwrap_err()
    };
    assert_eq!(read("version 1\n", "version 2\n"), CharterError::Previous);
    assert_eq!(
        read("previous -\n", &format!("previous {}\n", Digest::of(b""))),
        CharterError::Previous
    );
    for (from, to) in [
        ("version 1", "version 01"),
        ("version 1", "version 0"),
        ("previous -", "previous none"),
        ("threshold 2", "threshold 0"),
        ("threshold 2", "threshold 17"),
        ("root ", "root !"),
    ] {
        assert!(
            matches!(read(from, to), CharterError::Line(LineError::Value { .. })),
            "{to}"
        );
    }
    assert!(matches!(
        read("name ", "nome "),
        CharterError::Line(LineError::Unexpected { line: 5, .. })
    ));
    assert!(matches!(
        read("threshold 2\n", "threshold 2\nthreshold 2\n"),
        CharterError::Line(LineError::Duplicate { line: 8, .. })
    ));
    let more = UntrustedNote::unsigned(format!("{text}more\n")).unwrap();
    assert!(matches!(
        UntrustedCharter::from_note(more),
        Err(CharterError::Line(LineError::Trailing { line: 11, .. }))
    ));
}

#[test]
fn a_draft_cannot_smuggle_a_line() {
    let World { instance, roots, .. } = World::new();
    for name in ["x\ncontact y\nthreshold 1", "x\n", "", " x"] {
        let draft = Draft {
            name: name.to_owned(),
            ..charter_draft(instance, &roots, 2)
        };
        assert!(
            matches!(
                draft.to_note(),
                Err(CharterError::Line(LineError::Value { line: 5, .. }))
            ),
            "{name:?}"
        );
    }
}

#[test]
fn a_single_keyholder_is_possible_in_the_format() {
    let World { instance, roots, .. } = World::new();
    assert_eq!(
        found(&charter_draft(instance, &roots[..1], 1), &roots[..1])
            .newest()
            .threshold,
        1
    );
}
