use marram_crypto::{
    day::{Day, Epoch},
    digest::Digest,
    instance::InstanceId,
    key::SigningKey,
    leaf::Leaf,
    note::{NoteError, UntrustedNote},
    receipt::{LEN, Receipt, ReceiptError, UntrustedReceipt, sign},
};

use crate::world::{TestRng, signed};

fn leaf() -> Leaf {
    Leaf {
        digest: Digest::of(b"a sealed report"),
        epoch: Epoch::from_number(2950).unwrap(),
        day: "2026-07-22".parse().unwrap(),
        log2_size: 15,
    }
}

fn instance() -> InstanceId {
    InstanceId::random(&mut TestRng::new("receipts"))
}

fn key() -> SigningKey {
    TestRng::new("log").key()
}

fn receipt() -> Receipt {
    sign(instance(), &leaf(), &key()).unwrap()
}

#[test]
fn every_receipt_has_one_length_and_reads_back() {
    let small = Leaf {
        epoch: Epoch::from_number(0).unwrap(),
        day: Day::from_number(0).unwrap(),
        log2_size: 0,
        ..leaf()
    };
    for leaf in [leaf(), small] {
        let bytes = sign(instance(), &leaf, &key()).unwrap().to_bytes();
        assert_eq!(bytes.len(), LEN);
        let receipt = UntrustedReceipt::parse(&bytes)
            .unwrap()
            .verify(instance(), &key().public())
            .unwrap();
        assert_eq!(*receipt.leaf(), leaf);
    }
}

#[test]
fn a_receipt_of_another_key_instance_or_text_is_refused() {
    let mut rng = TestRng::new("others");
    let read = |bytes: &[u8], instance, key: &SigningKey| {
        UntrustedReceipt::parse(bytes)?
            .verify(instance, &key.public())
            .map(|_| ())
    };
    let bytes = receipt().to_bytes();
    assert!(matches!(
        read(&bytes, instance(), &rng.key()),
        Err(ReceiptError::Note(NoteError::TooFewSignatures { .. }))
    ));
    assert!(matches!(
        read(&bytes, InstanceId::random(&mut rng), &key()),
        Err(ReceiptError::Note(NoteError::WrongInstance { .. }))
    ));
    let other = sign(
        instance(),
        &Leaf {
            log2_size: 16,
            ..leaf()
        },
        &key(),
    )
    .unwrap()
    .to_bytes();
    let text_len = LEN - bytes.split(|byte| *byte == b'\n').nth_back(1).unwrap().len() - 1;
    let spliced = [&other[..text_len], &bytes[text_len..]].concat();
    assert!(matches!(
        read(&spliced, instance(), &key()),
        Err(ReceiptError::Note(NoteError::BadSignature(..)))
    ));
}

#[test]
fn a_page_of_a_captive_portal_is_no_receipt() {
    assert_eq!(UntrustedReceipt::parse(b"<html>").unwrap_err(), ReceiptError::Length(6));
    let bytes = receipt().to_bytes();
    let longer = [&bytes[..], b"\n"].concat();
    assert_eq!(
        UntrustedReceipt::parse(&longer).unwrap_err(),
        ReceiptError::Length(LEN + 1)
    );
    let text = format!("marram/receipt/v1\n{}\nleaf {}\n", instance(), "A".repeat(56));
    let wrong = signed(UntrustedNote::unsigned(text).unwrap(), &[key()]).to_bytes();
    // 56 times A are 42 bytes.
    assert!(matches!(UntrustedReceipt::parse(&wrong), Err(ReceiptError::Line(_))));
}

#[test]
fn a_receipt_is_for_the_report_that_was_sent() {
    let Leaf { digest, epoch, day, .. } = leaf();
    let receipt = receipt();
    assert_eq!(receipt.check_for(digest, epoch, 1 << 15, day), Ok(()));
    let other = |what| Err(ReceiptError::OtherReport { what });
    assert_eq!(
        receipt.check_for(Digest::of(b"other"), epoch, 1 << 15, day),
        other("digest")
    );
    assert_eq!(receipt.check_for(digest, epoch.plus(1), 1 << 15, day), other("epoch"));
    assert_eq!(receipt.check_for(digest, epoch, 1 << 16, day), other("size"));
    for (today, good) in [
        (day.minus(2), false),
        (day.minus(1), true),
        (day.plus(3), true),
        (day.plus(4), false),
    ] {
        assert_eq!(
            receipt.check_for(digest, epoch, 1 << 15, today).is_ok(),
            good,
            "{today}"
        );
    }
}
