//! Whatever a store has been given, and wherever its files are torn: it starts, has everything that stands whole before
//! the tear, and goes on. The tests of `survival` try every byte of one small store; these try many stores.

use std::{collections::BTreeMap, fs, path::Path};

use marram_crypto::{digest::Digest, leaf::Leaf};
use proptest::{collection::vec, prelude::*, sample::Index};

use super::{
    Body, Embedded, Put, Settings, Store, StoreError,
    contract::{bytes, content, epoch, today},
    survival::{files_in, open},
};

/// What a store is given.
#[derive(Clone, Copy, Debug)]
enum Given {
    /// A report of this length.
    Report(usize),
    Charter,
    Manifest,
}

/// What it acknowledged, with the length of the ledger then.
enum Acknowledged {
    Report(Leaf, Vec<u8>),
    Charter(u64),
    Manifest(u64),
}

fn given() -> impl Strategy<Value = Vec<Given>> {
    let one = prop_oneof![
        3 => (6..=10_u32).prop_map(|log2| Given::Report(1 << log2)),
        1 => Just(Given::Charter),
        1 => Just(Given::Manifest),
    ];
    vec(one, 1..14)
}

async fn fill(store: &Embedded, ledger: &Path, given: &[Given]) -> Vec<(Acknowledged, u64)> {
    let mut acknowledged = Vec::new();
    for (seed, given) in (1..).zip(given) {
        let note = format!("note {seed}").into_bytes();
        let (digest, version) = (Digest::of(&note), u64::from(seed));
        let one = match given {
            Given::Report(len) => {
                let content = bytes(seed, *len);
                let body = Body::in_memory(content.clone()).unwrap();
                let appended = store.append(body, epoch(), today()).await.unwrap();
                Acknowledged::Report(*appended.leaf(), content)
            }
            Given::Charter => {
                assert_eq!(store.put_charter(version, digest, note).await.unwrap(), Put::Fresh);
                Acknowledged::Charter(version)
            }
            Given::Manifest => {
                let put = store.put_manifest(epoch(), version, digest, note).await.unwrap();
                assert_eq!(put, Put::Fresh);
                Acknowledged::Manifest(version)
            }
        };
        acknowledged.push((one, fs::metadata(ledger).unwrap().len()));
    }
    acknowledged
}

/// Verifies that the store has what was acknowledged before its ledger had `ledger_len` bytes; of a report's body that is
/// in a torn segment it must say that it is lost.
async fn has(store: &Embedded, acknowledged: &[(Acknowledged, u64)], ledger_len: u64, torn: bool) {
    let (mut leaves, mut charters, mut manifests) = (Vec::new(), Vec::new(), Vec::new());
    for (one, _) in acknowledged.iter().filter(|(_, end)| *end <= ledger_len) {
        match one {
            Acknowledged::Report(leaf, body) => {
                leaves.push(*leaf);
                match store.read(leaf.digest, 0..u64::MAX).await {
                    Ok(_) => assert_eq!(content(store, leaf.digest).await.as_ref(), Some(body)),
                    Err(error) => assert!(torn && matches!(error, StoreError::BodyLost { .. }), "{error}"),
                }
            }
            Acknowledged::Charter(version) => charters.push(*version),
            Acknowledged::Manifest(version) => manifests.push(*version),
        }
    }
    assert_eq!(store.leaves(0, 100).await.unwrap(), leaves);
    let versions = |notes: Vec<super::Note>| notes.into_iter().map(|note| note.version).collect::<Vec<_>>();
    assert_eq!(versions(store.charters().await.unwrap()), charters);
    let stored = store.manifests(epoch()).await.unwrap();
    assert_eq!(versions(stored.into_iter().map(|(_, note)| note).collect()), manifests);
}

fn cut(file: &Path, len: u64) {
    let file = fs::File::options().write(true).open(file).unwrap();
    file.set_len(len).unwrap();
}

/// Takes one more report, and has it at the next start.
async fn goes_on(store: Embedded, folder: &Path, settings: Settings) {
    let before = store.size().await.unwrap();
    let body = Body::in_memory(bytes(1000, 64)).unwrap();
    store.append(body, epoch(), today()).await.unwrap();
    drop(store);
    let store = Embedded::open(folder, settings).unwrap();
    assert_eq!(store.size().await.unwrap(), before + 1);
    let digest = Digest::of(&bytes(1000, 64));
    assert_eq!(content(&store, digest).await, Some(bytes(1000, 64)));
}

fn block_on(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(test);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn a_ledger_cut_at_any_byte_with_any_noise_behind_it_has_what_was_acknowledged_before(
        given in given(), at in any::<Index>(), noise in vec(any::<u8>(), 0..200),
    ) {
        block_on(async {
            let folder = tempfile::tempdir().unwrap();
            let ledger = folder.path().join("ledger");
            let store = open(folder.path());
            let acknowledged = fill(&store, &ledger, &given).await;
            drop(store);
            let whole = fs::metadata(&ledger).unwrap().len();
            // Not within the first line: with noise behind it that is no ledger.
            let header = whole.min(17);
            let len = header + at.index(usize::try_from(whole - header).unwrap() + 1) as u64;
            cut(&ledger, len);
            let mut torn = fs::read(&ledger).unwrap();
            torn.extend_from_slice(&noise);
            fs::write(&ledger, torn).unwrap();

            let store = open(folder.path());
            has(&store, &acknowledged, len, false).await;
            goes_on(store, folder.path(), super::survival::SETTINGS).await;
        });
    }

    #[test]
    fn segments_cut_at_any_byte_cost_the_bodies_behind_the_cut_and_no_leaf(
        given in given(), cuts in vec(any::<Index>(), 14),
    ) {
        block_on(async {
            let small = Settings { segment_bytes: 2048, ..super::survival::SETTINGS };
            let folder = tempfile::tempdir().unwrap();
            let ledger = folder.path().join("ledger");
            let store = Embedded::open(folder.path(), small).unwrap();
            let acknowledged = fill(&store, &ledger, &given).await;
            drop(store);
            let mut kept = BTreeMap::new();
            let mut segments = files_in(&folder.path().join("segments"));
            segments.sort();
            for (segment, at) in segments.iter().zip(&cuts) {
                let whole = fs::metadata(segment).unwrap().len();
                let len = at.index(usize::try_from(whole).unwrap() + 1) as u64;
                kept.insert(segment, fs::read(segment).unwrap());
                cut(segment, len);
            }

            let store = Embedded::open(folder.path(), small).unwrap();
            has(&store, &acknowledged, u64::MAX, true).await;
            // Whatever the cuts left whole is still read.
            let mut readable = 0;
            for (one, _) in &acknowledged {
                if let Acknowledged::Report(leaf, _) = one {
                    readable += usize::from(store.read(leaf.digest, 0..1).await.is_ok());
                }
            }
            let whole = kept.iter().filter(|(path, bytes)| fs::metadata(path).unwrap().len() == bytes.len() as u64);
            assert!(readable >= whole.count(), "a whole segment has a whole body at least");
            goes_on(store, folder.path(), small).await;

            // Segments restored from a backup fit again.
            for (path, bytes) in kept {
                fs::write(path, bytes).unwrap();
            }
            let store = Embedded::open(folder.path(), small).unwrap();
            for (one, _) in &acknowledged {
                if let Acknowledged::Report(leaf, body) = one {
                    assert_eq!(content(&store, leaf.digest).await.as_ref(), Some(body));
                }
            }
        });
    }
}
