//! Checkpoints under attack.

use marram_crypto::{
    checkpoint::{self, CheckpointError, UntrustedCheckpoint},
    day::Day,
    digest::Digest,
    instance::InstanceId,
    note::{LineError, NoteError, NoteType},
    tree::Head,
};

use crate::world::World;

fn head() -> Head {
    Head {
        size: 7,
        root: Digest::of(b"seven"),
    }
}

fn day() -> Day {
    "2026-07-22".parse().unwrap()
}

#[test]
fn a_checkpoint_reads_back_as_c2sp_has_it() {
    let world = World::new();
    let bytes = checkpoint::sign(world.instance, head(), day(), &world.log)
        .unwrap()
        .to_bytes();
    let text = String::from_utf8(bytes.clone()).unwrap();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines[0], format!("marram/log/v1/{}", world.instance));
    assert_eq!((lines[1], lines[3], lines[4]), ("7", "day 2026-07-22", ""));
    let read = UntrustedCheckpoint::parse(&bytes).unwrap();
    assert_eq!(read.claimed_day(), day());
    let read = read.verify(world.instance, &[world.log.public()]).unwrap();
    assert_eq!((read.head(), read.day(), read.to_bytes()), (head(), day(), bytes));
}

#[test]
fn a_checkpoint_of_another_key_or_instance_is_refused() {
    let mut world = World::new();
    let other = world.rng.key();
    let by_another = checkpoint::sign(world.instance, head(), day(), &other).unwrap();
    let read = UntrustedCheckpoint::parse(&by_another.to_bytes()).unwrap();
    assert!(matches!(
        read.verify(world.instance, &[world.log.public()]),
        Err(CheckpointError::Note(NoteError::TooFewSignatures {
            kind: NoteType::Checkpoint,
            ..
        }))
    ));
    let elsewhere = InstanceId::random(&mut world.rng);
    let moved = checkpoint::sign(elsewhere, head(), day(), &world.log).unwrap();
    let read = UntrustedCheckpoint::parse(&moved.to_bytes()).unwrap();
    assert!(matches!(
        read.verify(world.instance, &[world.log.public()]),
        Err(CheckpointError::Note(NoteError::WrongInstance { .. }))
    ));
}

#[test]
fn a_changed_size_root_or_day_spoils_the_signature_and_a_second_spelling_is_refused() {
    let world = World::new();
    let bytes = checkpoint::sign(world.instance, head(), day(), &world.log)
        .unwrap()
        .to_bytes();
    let text = String::from_utf8(bytes).unwrap();
    for (from, to) in [("\n7\n", "\n8\n"), ("2026-07-22", "2026-07-23")] {
        let changed = UntrustedCheckpoint::parse(text.replacen(from, to, 1).as_bytes()).unwrap();
        assert!(matches!(
            changed.verify(world.instance, &[world.log.public()]),
            Err(CheckpointError::Note(NoteError::BadSignature(_, NoteType::Checkpoint)))
        ));
    }
    for (from, to) in [
        ("\n7\n", "\n07\n"),
        ("\n7\n", "\n-7\n"),
        ("\nday ", "\nday  "),
        ("\nday 2026-07-22\n", "\nday 2026-07-22\nmore 1\n"),
        ("\nday 2026-07-22\n", "\n"),
        ("=\nday", "\nday"),
    ] {
        let changed = text.replacen(from, to, 1);
        assert_ne!(changed, text);
        assert!(
            matches!(
                UntrustedCheckpoint::parse(changed.as_bytes()),
                Err(CheckpointError::Line(
                    LineError::Value { .. } | LineError::Trailing { .. } | LineError::Missing { .. }
                ))
            ),
            "{to:?}"
        );
    }
}

#[test]
fn a_receipt_is_no_checkpoint_and_a_checkpoint_no_receipt() {
    let world = World::new();
    let checkpoint = checkpoint::sign(world.instance, head(), day(), &world.log).unwrap();
    let as_receipt = marram_crypto::note::UntrustedNote::parse(&checkpoint.to_bytes()).unwrap();
    assert!(matches!(
        as_receipt.verify(NoteType::Receipt, world.instance, &[world.log.public()], 1),
        Err(NoteError::WrongType {
            found: NoteType::Checkpoint,
            ..
        })
    ));
}
