use marram_crypto::{
    instance::InstanceId,
    key::{PublicKey, SigningKey},
    note::{MAX_LEN, MAX_SIGNATURES, NoteError, NoteType, UntrustedNote},
    secret::SecretBytes,
};
use signed_note::{Note, StandardVerifier, VerifierList};

use crate::world::{TestRng, signed};

fn instance() -> InstanceId {
    "000102030405060708090a0b0c0d0e0f".parse().unwrap()
}

fn order() -> UntrustedNote {
    UntrustedNote::unsigned(format!("marram/order/v1\n{}\nid 7\n", instance())).unwrap()
}

fn keys() -> Vec<SigningKey> {
    let mut rng = TestRng::new("keys");
    (0..4).map(|_| rng.key()).collect()
}

fn publics(keys: &[SigningKey]) -> Vec<PublicKey> {
    keys.iter().map(SigningKey::public).collect()
}

fn verify(note: &UntrustedNote, trusted: &[PublicKey], threshold: usize) -> Result<String, NoteError> {
    note.verify(NoteType::Order, instance(), trusted, threshold)
        .map(|body| body.as_str().to_owned())
}

fn too_few(valid: usize, needed: usize) -> Result<String, NoteError> {
    Err(NoteError::TooFewSignatures {
        kind: NoteType::Order,
        valid,
        needed,
    })
}

#[test]
fn a_note_reads_back_and_verifies_and_so_it_does_for_the_reference_implementation() {
    let keys = keys();
    let note = signed(order(), &keys[..2]);
    let again = UntrustedNote::parse(&note.to_bytes()).unwrap();
    assert!(again == note);
    assert_eq!(verify(&again, &publics(&keys), 2).as_deref(), Ok("id 7\n"));

    let verifiers = keys[..2].iter().map(|key| {
        let key = ed25519_dalek::VerifyingKey::from_bytes(key.public().as_bytes()).unwrap();
        let text = signed_note::new_ed25519_verifier_key("marram", &key);
        Box::new(StandardVerifier::new(&text).unwrap()) as Box<dyn signed_note::Verifier>
    });
    let reference = Note::from_bytes(&note.to_bytes()).unwrap();
    let (verified, unverified) = reference.verify(&VerifierList::new(verifiers.collect())).unwrap();
    assert_eq!((verified.len(), unverified.len()), (2, 0));
}

#[test]
fn one_signature_is_not_enough_where_two_keys_must_sign() {
    let keys = keys();
    let trusted = publics(&keys);
    assert_eq!(verify(&signed(order(), &keys[..1]), &trusted, 2), too_few(1, 2));
    assert_eq!(verify(&order(), &trusted, 1), too_few(0, 1));
    // A threshold of none is one.
    assert_eq!(verify(&order(), &trusted, 0), too_few(0, 1));
    assert_eq!(verify(&order(), &[], 0), too_few(0, 1));
}

#[test]
fn the_same_key_signing_twice_counts_once() {
    let keys = keys();
    let note = signed(order(), &keys[..1]);
    let text = String::from_utf8(note.to_bytes()).unwrap();
    let line = text.rsplit_once("\n\n").unwrap().1;
    let twice = UntrustedNote::parse(format!("{text}{line}").as_bytes()).unwrap();
    assert_eq!(verify(&twice, &publics(&keys), 2), too_few(1, 2));
    // Nor does it help to name the key twice among the trusted.
    assert_eq!(verify(&twice, &[keys[0].public(), keys[0].public()], 2), too_few(1, 2));
    // Signing again adds nothing.
    let mut again = note.clone();
    again.add_signature(&keys[0]).unwrap();
    assert!(again == note);
}

#[test]
fn signatures_of_strangers_do_not_count() {
    let keys = keys();
    let trusted = publics(&keys[..2]);
    let note = signed(order(), &keys[1..]);
    assert_eq!(verify(&note, &trusted, 2), too_few(1, 2));
    assert_eq!(verify(&note, &trusted, 1).as_deref(), Ok("id 7\n"));
    // A trusted key's signature under another name is a stranger's.
    let text = String::from_utf8(signed(order(), &keys[..1]).to_bytes())
        .unwrap()
        .replace("— marram ", "— other ");
    assert_eq!(
        verify(&UntrustedNote::parse(text.as_bytes()).unwrap(), &trusted, 1),
        too_few(0, 1)
    );
}

#[test]
fn a_signature_on_another_text_spoils_the_note() {
    let keys = keys();
    let text = String::from_utf8(signed(order(), &keys[..2]).to_bytes()).unwrap();
    let changed = UntrustedNote::parse(text.replace("id 7", "id 8").as_bytes()).unwrap();
    assert_eq!(
        verify(&changed, &publics(&keys), 1),
        Err(NoteError::BadSignature(Box::new(keys[0].public()), NoteType::Order))
    );
}

#[test]
fn a_note_of_another_type_version_or_instance_is_refused_by_name() {
    let keys = keys();
    let note = |first: &str, second: &str| {
        signed(
            UntrustedNote::unsigned(format!("{first}\n{second}\nid 7\n")).unwrap(),
            &keys[..2],
        )
    };
    let good = instance().to_string();
    let trusted = publics(&keys);
    assert_eq!(
        verify(&note("marram/board/v1", &good), &trusted, 1),
        Err(NoteError::WrongType {
            expected: NoteType::Order,
            found: NoteType::Board
        })
    );
    for version in [
        "marram/order/v2",
        "marram/order/v01",
        "marram/order/",
        "marram/order/v1 ",
    ] {
        assert_eq!(
            verify(&note(version, &good), &trusted, 1),
            Err(NoteError::UnknownVersion(version.to_owned()))
        );
    }
    for unknown in [
        "marram/order",
        "marram/Order/v1",
        "go.sum database tree",
        "marram/log/v1/x",
        "",
    ] {
        let result = verify(&note(unknown, &good), &trusted, 1);
        assert!(
            matches!(result, Err(NoteError::UnknownType(_))),
            "{unknown}: {result:?}"
        );
    }
    let foreign: InstanceId = "ff0102030405060708090a0b0c0d0e0f".parse().unwrap();
    assert_eq!(
        verify(&note("marram/order/v1", &foreign.to_string()), &trusted, 1),
        Err(NoteError::WrongInstance {
            kind: NoteType::Order,
            expected: instance(),
            found: foreign
        })
    );
    assert_eq!(
        verify(&note("marram/order/v1", &good.to_uppercase()), &trusted, 1),
        Err(NoteError::Instance)
    );
}

#[test]
fn what_is_no_note_is_refused_by_name() {
    let note = String::from_utf8(signed(order(), &keys()[..1]).to_bytes()).unwrap();
    let parse = |text: &str| UntrustedNote::parse(text.as_bytes()).map(|_| ());
    assert_eq!(parse(&note), Ok(()));
    assert_eq!(parse(""), Err(NoteError::Unsigned));
    assert_eq!(UntrustedNote::parse(&order().to_bytes()), Err(NoteError::Unsigned));
    assert_eq!(parse(&note[..note.len() - 1]), Err(NoteError::Unsigned));
    assert_eq!(parse(&note.replace("\n\n", "\n")), Err(NoteError::Unsigned));
    assert_eq!(parse(&format!("{note}\n")), Err(NoteError::Unsigned));
    assert_eq!(
        parse(&format!("{note}— marram AAAA\n")),
        Err(NoteError::SignatureLine(2))
    );
    assert_eq!(parse(&note.replace("id 7", "id\t7")), Err(NoteError::NotText));
    assert_eq!(parse(&note.replace('\n', "\r\n")), Err(NoteError::NotText));
    assert_eq!(UntrustedNote::parse(&[0xff]), Err(NoteError::NotText));
    assert_eq!(parse(&"x".repeat(MAX_LEN + 1)), Err(NoteError::TooLarge(MAX_LEN + 1)));
    let line = note.rsplit_once("\n\n").unwrap().1.to_owned();
    let many = |count| format!("{}{}", note, line.repeat(count - 1));
    assert_eq!(parse(&many(MAX_SIGNATURES)), Ok(()));
    assert_eq!(
        parse(&many(MAX_SIGNATURES + 1)),
        Err(NoteError::TooManySignatures(MAX_SIGNATURES + 1))
    );
}

#[test]
fn a_note_without_room_for_a_signature_says_so() {
    let mut rng = TestRng::new("room");
    let mut full = order();
    for _ in 0..MAX_SIGNATURES {
        full.add_signature(&rng.key()).unwrap();
    }
    assert_eq!(
        full.add_signature(&rng.key()),
        Err(NoteError::TooManySignatures(MAX_SIGNATURES + 1))
    );
    assert!(UntrustedNote::parse(&full.to_bytes()).is_ok());
    let mut long = UntrustedNote::unsigned(format!("{}\n", "x".repeat(MAX_LEN - 2))).unwrap();
    assert!(matches!(long.add_signature(&rng.key()), Err(NoteError::TooLarge(_))));
}

#[test]
fn signatures_are_gathered_from_copies_of_the_same_text_only() {
    let keys = keys();
    let mut mine = signed(order(), &keys[..1]);
    let theirs = signed(order(), &keys[..2]);
    mine.gather(&theirs).unwrap();
    assert!(mine == theirs, "no signature stands twice");
    assert_eq!(mine.signers(&publics(&keys)).unwrap().len(), 2);
    assert!(mine.signed_by(&keys[1].public()) && !mine.signed_by(&keys[2].public()));
    let other = UntrustedNote::unsigned(format!("marram/order/v1\n{}\nid 8\n", instance())).unwrap();
    assert_eq!(mine.gather(&signed(other, &keys)), Err(NoteError::OtherText));
}

#[test]
fn two_trusted_keys_that_share_a_key_id_both_count_and_neither_spoils_the_other() {
    // Key ids have 32 bits, so that whoever tries 2^32 keys finds one with a colleague's id. These two share 0x1061dca2.
    let key = |number: u64| {
        SigningKey::from_seed(&SecretBytes::fill_with(|seed| {
            seed[..8].copy_from_slice(&number.to_le_bytes());
        }))
    };
    let keys = [key(43_572), key(116_026)];
    let trusted = publics(&keys);
    let note = signed(order(), &keys);
    let lines = String::from_utf8(note.to_bytes()).unwrap();
    let ids: Vec<_> = lines
        .lines()
        .filter_map(|line| line.strip_prefix("— marram "))
        .map(|line| &line[..5])
        .collect();
    assert_eq!(ids[0], ids[1]);
    assert_eq!(verify(&note, &trusted, 2).as_deref(), Ok("id 7\n"));
    for key in &keys {
        assert_eq!(
            verify(&signed(order(), std::slice::from_ref(key)), &trusted, 1).as_deref(),
            Ok("id 7\n")
        );
        assert_eq!(
            verify(&signed(order(), std::slice::from_ref(key)), &trusted, 2),
            too_few(1, 2)
        );
    }
}

#[test]
fn a_key_that_signed_a_hundred_times_is_verified_once_and_kept_once() {
    let keys = keys();
    let note = signed(order(), &keys[..2]);
    let text = String::from_utf8(note.to_bytes()).unwrap();
    let (body, lines) = text.rsplit_once("\n\n").unwrap();
    let (first, second) = lines.trim_end().split_once('\n').unwrap();
    // A line that claims a key which has signed already is passed over, whatever it holds.
    let damaged = first.replace(&first[20..24], "AAAA");
    assert_ne!(damaged, first);
    let crowded = format!(
        "{body}\n\n{first}\n{damaged}\n{second}\n{}",
        format!("{first}\n").repeat(97)
    );
    let mut crowded = UntrustedNote::parse(crowded.as_bytes()).unwrap();
    assert_eq!(crowded.signers(&publics(&keys)).unwrap().len(), 2);
    crowded.keep_only(&publics(&keys));
    assert!(crowded == note, "one line of each key that signed, and nothing else");
}

#[test]
fn what_anybody_could_have_added_is_not_kept() {
    let keys = keys();
    let mut note = signed(order(), &keys);
    let junk = format!("— {} {}\n", "x".repeat(1000), "A".repeat(92));
    let with_junk = [note.to_bytes(), junk.into_bytes()].concat();
    let mut junked = UntrustedNote::parse(&with_junk).unwrap();
    junked.keep_only(&publics(&keys[..3]));
    assert_eq!(
        junked.signers(&publics(&keys)).unwrap(),
        publics(&keys[..3]).into_iter().collect()
    );
    assert!(junked.to_bytes().len() < note.to_bytes().len());
    note.keep_only(&[]);
    assert!(note.signers(&publics(&keys)).unwrap().is_empty());
}
