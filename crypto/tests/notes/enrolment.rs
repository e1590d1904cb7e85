use std::collections::BTreeMap;

use marram_crypto::{
    day::Epoch,
    enrolment::{Draft, Enrolment, EnrolmentError, UntrustedEnrolment},
    instance::InstanceId,
    key::SigningKey,
    note::{LineError, NoteError, UntrustedNote},
};

use crate::world::{EPOCH, TestRng, enrolment_draft, signed};

fn draft() -> (Draft, SigningKey, TestRng) {
    let mut rng = TestRng::new("enrolment");
    let instance = InstanceId::random(&mut rng);
    let key = rng.key();
    let draft = enrolment_draft(&mut rng, instance, &key, 3);
    (draft, key, rng)
}

fn reread(enrolment: &Enrolment, instance: InstanceId) -> Result<Enrolment, EnrolmentError> {
    UntrustedEnrolment::parse(&enrolment.note().to_bytes())?.verify(instance)
}

/// The refusal of a text with one change, signed by the right key.
fn refused(from: &str, to: &str) -> EnrolmentError {
    let (draft, key, _) = draft();
    let text = draft.sign(&key).unwrap().note().text().to_owned();
    assert!(text.contains(from), "{from}");
    let note = signed(UntrustedNote::unsigned(text.replacen(from, to, 1)).unwrap(), &[key]);
    UntrustedEnrolment::parse(&note.to_bytes()).unwrap_err()
}

#[test]
fn an_enrolment_reads_back() {
    let (draft, key, _) = draft();
    let enrolment = reread(&draft.sign(&key).unwrap(), draft.instance).unwrap();
    assert_eq!(*enrolment, draft);
    assert!(enrolment.pair(Epoch::from_number(EPOCH + 2).unwrap()).is_some());
    assert!(enrolment.pair(Epoch::from_number(EPOCH + 3).unwrap()).is_none());
}

#[test]
fn only_the_enrolment_key_itself_can_sign() {
    let (draft, key, mut rng) = draft();
    assert!(matches!(
        draft.sign(&rng.key()),
        Err(EnrolmentError::Note(NoteError::TooFewSignatures { valid: 0, .. }))
    ));
    let mut changed = draft.sign(&key).unwrap().note().to_bytes();
    let at = changed.windows(9).position(|window| window == b"counter 1").unwrap();
    changed[at + 8] = b'2';
    assert!(matches!(
        UntrustedEnrolment::parse(&changed).unwrap().verify(draft.instance),
        Err(EnrolmentError::Note(NoteError::BadSignature(..)))
    ));
}

#[test]
fn an_enrolment_for_another_instance_is_refused() {
    let (draft, key, mut rng) = draft();
    let foreign = InstanceId::random(&mut rng);
    assert!(matches!(
        reread(&draft.sign(&key).unwrap(), foreign),
        Err(EnrolmentError::Note(NoteError::WrongInstance { .. }))
    ));
}

#[test]
fn a_classical_recipient_is_refused_by_name() {
    let (draft, ..) = draft();
    let epoch = Epoch::from_number(EPOCH + 1).unwrap();
    let classical = age::x25519::Identity::generate().to_public().to_string();
    assert_eq!(
        refused(&draft.pairs[&epoch].recipient.to_string(), &classical),
        EnrolmentError::ClassicalRecipient(epoch)
    );
}

#[test]
fn epochs_with_a_gap_or_out_of_order_are_refused() {
    let pair = |later: u32| format!("pair {} ", EPOCH + later);
    let epoch = |later: u32| Epoch::from_number(EPOCH + later).unwrap();
    for found in [3, 0] {
        assert_eq!(
            refused(&pair(1), &pair(found)),
            EnrolmentError::Epochs {
                expected: epoch(1),
                found: epoch(found)
            }
        );
    }
    assert!(matches!(
        refused(&pair(1), "pair x "),
        EnrolmentError::Line(LineError::Value { line: 6, .. })
    ));
}

#[test]
fn a_key_for_two_epochs_is_refused() {
    let (draft, ..) = draft();
    let epoch = |later: u32| Epoch::from_number(EPOCH + later).unwrap();
    let pair = |later: u32| &draft.pairs[&epoch(later)];
    let repeated = |what| EnrolmentError::Repeated { what, epoch: epoch(2) };
    assert_eq!(
        refused(&pair(2).recipient.to_string(), &pair(0).recipient.to_string()),
        repeated("recipient")
    );
    assert_eq!(
        refused(&pair(2).signer.to_string(), &pair(0).signer.to_string()),
        repeated("signer")
    );
    assert_eq!(
        refused(&pair(2).signer.to_string(), &draft.key.to_string()),
        repeated("signer")
    );
}

#[test]
fn a_later_batch_has_the_same_key_and_a_higher_counter() {
    let (draft, key, mut rng) = draft();
    let first = draft.sign(&key).unwrap();
    let second = Draft {
        counter: 2,
        ..draft.clone()
    }
    .sign(&key)
    .unwrap();
    assert_eq!(second.follows(&first), Ok(()));
    for (batch, before) in [(&first, &second), (&first, &first)] {
        assert!(matches!(batch.follows(before), Err(EnrolmentError::Rollback { .. })));
    }
    let other = rng.key();
    let foreign = Draft {
        key: other.public(),
        counter: 2,
        ..draft
    };
    assert!(matches!(
        foreign.sign(&other).unwrap().follows(&first),
        Err(EnrolmentError::OtherKey { .. })
    ));
}

#[test]
fn an_enrolment_has_1_to_104_epochs() {
    let (draft, key, mut rng) = draft();
    let none = Draft {
        pairs: BTreeMap::default(),
        ..draft.clone()
    };
    assert!(matches!(
        none.sign(&key),
        Err(EnrolmentError::Line(LineError::Count { .. }))
    ));
    let most = enrolment_draft(&mut rng, draft.instance, &key, 104);
    assert!(most.sign(&key).is_ok());
    let more = enrolment_draft(&mut rng, draft.instance, &key, 105);
    assert!(matches!(
        more.sign(&key),
        Err(EnrolmentError::Line(LineError::Count { count: 105, .. }))
    ));
}
