//! Notes, and the annex: what keyholders, caseworkers and the server sign.

use marram_crypto::{
    annex::Annex,
    charter::UntrustedCharterChain,
    enrolment::UntrustedEnrolment,
    manifest::{Question, UntrustedManifest},
    note::{NoteType, UntrustedNote},
    receipt::UntrustedReceipt,
};

use crate::world::{WORLD, instance, key, log};

/// A note as C2SP has it.
pub(crate) fn note(bytes: &[u8]) -> bool {
    let Ok(note) = UntrustedNote::parse(bytes) else {
        return false;
    };
    assert_eq!(note.to_bytes(), bytes, "a note has one spelling");
    let keys: Vec<_> = (1..=3).map(|n| key(n).public()).collect();
    let enough = note.signers(&keys).is_ok_and(|signers| signers.len() >= 2);
    for kind in [
        NoteType::Charter,
        NoteType::Manifest,
        NoteType::Enrolment,
        NoteType::Receipt,
    ] {
        let verified = note.verify(kind, instance(), &keys, 2).is_ok();
        let named = note.note_type() == Ok(kind) && note.instance() == Ok(instance());
        assert_eq!(
            verified,
            enough && named,
            "verified is what enough keys signed, of this type and instance"
        );
    }
    let mut kept = note.clone();
    kept.keep_only(&keys);
    assert_eq!(kept.text(), note.text());
    assert!(note.signers(&keys).is_err() || kept.signers(&keys) == note.signers(&keys));
    true
}

/// A charter chain.
pub(crate) fn charter(bytes: &[u8]) -> bool {
    let Ok(chain) = UntrustedCharterChain::parse(bytes) else {
        return false;
    };
    let pinned = chain.claimed_fingerprint().unwrap();
    let Ok(chain) = chain.verify(pinned) else {
        return false;
    };
    let again = UntrustedCharterChain::parse(chain.to_json().as_bytes()).unwrap();
    let again = again.verify(pinned).unwrap();
    assert_eq!(again.to_json(), chain.to_json());
    for charter in chain.charters() {
        assert_eq!(charter.to_note().unwrap().text(), charter.note().text());
    }
    true
}

/// A manifest; a verified one is no other than ours.
pub(crate) fn manifest(bytes: &[u8]) -> bool {
    let Ok(manifest) = UntrustedManifest::parse(bytes) else {
        return false;
    };
    let again = manifest.claims().to_note().unwrap();
    let again = UntrustedManifest::from_note(again).unwrap();
    assert_eq!(again.claims(), manifest.claims());
    if let Ok(verified) = manifest.verify_for_opening(&WORLD.chain) {
        assert_eq!(verified.hash(), WORLD.manifest.hash(), "nobody else can sign");
    }
    true
}

/// An enrolment.
pub(crate) fn enrolment(bytes: &[u8]) -> bool {
    let Ok(enrolment) = UntrustedEnrolment::parse(bytes) else {
        return false;
    };
    let Ok(verified) = enrolment.verify(instance()) else {
        return false;
    };
    assert_eq!(verified.note().to_bytes(), bytes);
    assert!(verified.pairs.keys().all(|epoch| verified.pair(*epoch).is_some()));
    true
}

/// A receipt.
pub(crate) fn receipt(bytes: &[u8]) -> bool {
    let Ok(receipt) = UntrustedReceipt::parse(bytes) else {
        return false;
    };
    if let Ok(verified) = receipt.verify(instance(), &log().public()) {
        let again = marram_crypto::receipt::sign(instance(), verified.leaf(), &log()).unwrap();
        assert_eq!(again.to_bytes(), bytes, "a receipt has one spelling");
    }
    true
}

/// An annex.
pub(crate) fn annex(bytes: &[u8]) -> bool {
    let Ok(annex) = Annex::parse(bytes) else {
        return false;
    };
    assert_eq!(annex.to_text().unwrap().as_bytes(), bytes, "an annex has one spelling");
    true
}

/// One of the organization's own questions.
pub(crate) fn question(bytes: &[u8]) -> bool {
    let Ok(question) = String::from_utf8_lossy(bytes).parse::<Question>() else {
        return false;
    };
    assert_eq!(question.to_string().parse(), Ok(question));
    true
}
