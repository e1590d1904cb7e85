//! Deleted means gone: now, after a restart, and after a kill at every step of it.

use std::{
    collections::{BTreeMap, HashSet},
    fs::{self, File},
    os::unix::fs::{FileExt, MetadataExt},
    path::Path,
};

use marram_crypto::{
    digest::Digest,
    leaf::Leaf,
    tree::{Head, Tree},
};

use super::{
    Appended, Body, Embedded, Ordered, Settings, Store, StoreError, Why,
    contract::{body, content, epoch, hanging, order, today},
    ledger::{self, Ledger},
    record::{self, Record},
    segments,
    state::State,
    survival::{SETTINGS, SmallDisk, copy, empty, files_in, open},
};

/// Bytes of which no 16 in a row come twice.
fn noise(seed: u32, len: usize) -> Vec<u8> {
    let blocks = (0_u32..).flat_map(|n| *Digest::of(&[seed.to_be_bytes(), n.to_be_bytes()].concat()).as_bytes());
    blocks.take(len).collect()
}

/// The first file below a folder in which any 32 bytes in a row are 32 bytes in a row of `secret`.
fn trace(folder: &Path, secret: &[u8]) -> Option<std::path::PathBuf> {
    // Any 32 bytes in a row have a block of 16 in them that begins at a multiple of 16.
    let blocks: HashSet<&[u8]> = secret.chunks_exact(16).collect();
    files_in(folder).into_iter().filter(|path| path.is_file()).find(|path| {
        let bytes = fs::read(path).unwrap();
        bytes.windows(16).any(|window| blocks.contains(window))
    })
}

/// Appends noise of these seeds.
async fn noisy(store: &Embedded, seeds: std::ops::Range<u32>, len: usize) -> Vec<Leaf> {
    let mut leaves = Vec::new();
    for seed in seeds {
        let body = Body::in_memory(noise(seed, len)).unwrap();
        leaves.push(*store.append(body, epoch(), today()).await.unwrap().leaf());
    }
    leaves
}

fn expired(indexes: impl IntoIterator<Item = u64>) -> BTreeMap<u64, Why> {
    indexes.into_iter().map(|index| (index, Why::Expired)).collect()
}

fn segment(folder: &Path, number: u32) -> std::path::PathBuf {
    segments::path_of(&segments::folder_in(folder), number)
}

/// All that a ledger says.
fn state_of(folder: &Path) -> State {
    let mut state = State::default();
    Ledger::open(&ledger::path_in(folder), None, |_, payload| {
        state.apply_all(payload);
        Ok(())
    })
    .unwrap();
    state
}

#[tokio::test]
async fn after_a_delete_no_trace_is_left_in_the_running_store_or_after_any_stop() {
    let (folder, store) = empty();
    noisy(&store, 0..3, 4096).await;
    assert!(trace(folder.path(), &noise(1, 4096)).is_some(), "the test finds traces");
    store.destroy(expired([1])).await.unwrap();
    let gone = |folder: &Path| assert_eq!(trace(folder, &noise(1, 4096)), None);
    gone(folder.path());
    let found = fs::metadata(segment(folder.path(), 1)).unwrap();
    assert_eq!((found.mtime() % 86_400, found.mtime_nsec()), (0, 0));
    let killed = tempfile::tempdir().unwrap();
    copy(folder.path(), killed.path());
    store.close().await.unwrap();
    drop(store);
    gone(folder.path());
    for folder in [folder.path(), killed.path()] {
        let store = open(folder);
        gone(folder);
        let digest = Digest::of(&noise(1, 4096));
        assert!(matches!(store.read(digest, 0..9).await, Err(StoreError::Destroyed)));
        for seed in [0, 2] {
            let kept = noise(seed, 4096);
            assert_eq!(content(&store, Digest::of(&kept)).await.unwrap(), kept);
        }
    }
}

#[tokio::test]
async fn a_hole_takes_no_space() {
    let (folder, store) = empty();
    noisy(&store, 0..1, 1 << 20).await;
    let blocks = || fs::metadata(segment(folder.path(), 1)).unwrap().blocks() * 512;
    assert!(blocks() >= 1 << 20);
    store.destroy(expired([0])).await.unwrap();
    assert!(blocks() < 1 << 16, "{}", blocks());
}

#[tokio::test]
async fn a_kill_at_any_step_of_a_deletion_is_made_good_by_the_next_start() {
    let (before, store) = empty();
    let leaves = noisy(&store, 0..6, 4096).await;
    drop(store);
    let places: Vec<_> = {
        let mut places = Vec::new();
        Ledger::open(&ledger::path_in(before.path()), None, |_, payload| {
            for (_, record) in record::read_all(payload).flatten() {
                let Record::Leaf(stored) = record else { panic!() };
                places.push(stored.place);
            }
            Ok(())
        })
        .unwrap();
        places
    };
    assert!(places[5].segment > 1, "there are two segments");
    let doomed = [1, 2, 5];
    let commit = |folder: &Path, records: &[Record<'_>]| {
        let mut payload = Vec::new();
        for record in records {
            record.write(&mut payload);
        }
        let path = ledger::path_in(folder);
        Ledger::open(&path, None, |_, _| Ok(()))
            .unwrap()
            .commit(&payload)
            .unwrap();
    };
    let deletions: Vec<_> = doomed
        .iter()
        .map(|&index| Record::Deletion {
            index,
            why: Why::Ordered { order: 0 },
        })
        .collect();
    let overwritten = |folder: &Path, index: u64, bytes: usize| {
        let place = places[usize::try_from(index).unwrap()];
        let file = File::options()
            .write(true)
            .open(segment(folder, place.segment))
            .unwrap();
        file.write_all_at(&vec![0; bytes], place.offset).unwrap();
    };
    let erased = |index: u64| Record::Erased {
        index,
        segment: places[usize::try_from(index).unwrap()].segment,
    };
    // What was done when it was killed.
    let steps: [&dyn Fn(&Path); 6] = [
        &|_| {},
        &|folder| overwritten(folder, 1, 1000),
        &|folder| overwritten(folder, 1, 4096),
        &|folder| doomed.iter().for_each(|&index| overwritten(folder, index, 4096)),
        &|folder| {
            overwritten(folder, 1, 4096);
            commit(folder, &[erased(1)]);
        },
        // The segment was lost as well.
        &|folder| fs::remove_file(segment(folder, places[5].segment)).unwrap(),
    ];
    for (step, done) in steps.iter().enumerate() {
        let killed = tempfile::tempdir().unwrap();
        copy(before.path(), killed.path());
        commit(killed.path(), &deletions);
        done(killed.path());
        for start in 0..2 {
            let store = open(killed.path());
            for index in doomed {
                let seed = u32::try_from(index).unwrap();
                assert_eq!(
                    trace(killed.path(), &noise(seed, 4096)),
                    None,
                    "step {step}, start {start}"
                );
                let digest = leaves[usize::try_from(index).unwrap()].digest;
                assert!(matches!(store.read(digest, 0..9).await, Err(StoreError::Destroyed)));
            }
            for seed in [0, 3, 4] {
                if let Ok(Some(mut reader)) = store.read(Digest::of(&noise(seed, 4096)), 0..4096).await {
                    let mut kept = Vec::new();
                    tokio::io::AsyncReadExt::read_to_end(&mut reader, &mut kept)
                        .await
                        .unwrap();
                    assert_eq!(kept, noise(seed, 4096));
                } else {
                    assert_eq!((step, seed), (5, 4), "lost with the segment, not before");
                }
            }
            drop(store);
            assert!(
                state_of(killed.path()).unerased().is_empty(),
                "a start redoes only what was cut"
            );
        }
    }
}

#[tokio::test]
async fn a_deletion_of_which_the_record_was_cut_off_did_not_happen() {
    let (folder, store) = empty();
    noisy(&store, 0..2, 4096).await;
    let before = fs::metadata(folder.path().join("ledger")).unwrap().len();
    drop(store);
    // Killed within the deletion record: nothing is destroyed yet, and nothing may be.
    let mut records = Vec::new();
    let why = Why::Expired;
    Record::Deletion { index: 0, why }.write(&mut records);
    let ledger = folder.path().join("ledger");
    Ledger::open(&ledger, None, |_, _| Ok(()))
        .unwrap()
        .commit(&records)
        .unwrap();
    let whole = fs::metadata(&ledger).unwrap().len();
    File::options()
        .write(true)
        .open(&ledger)
        .unwrap()
        .set_len(whole - 1)
        .unwrap();
    let store = open(folder.path());
    assert_eq!(fs::metadata(&ledger).unwrap().len(), before);
    let kept = noise(0, 4096);
    assert_eq!(content(&store, Digest::of(&kept)).await.unwrap(), kept);
}

#[tokio::test]
async fn a_segment_without_reports_is_unlinked_and_no_start_misses_it() {
    let (folder, store) = empty();
    // Four fit into a segment.
    let leaves = noisy(&store, 0..10, 4096).await;
    let there = |folder: &Path| {
        (1..=4)
            .map(|number| segment(folder, number).exists())
            .collect::<Vec<_>>()
    };
    assert_eq!(there(folder.path()), [true, true, true, false]);
    store.destroy(expired([0, 1, 2])).await.unwrap();
    assert_eq!(
        there(folder.path()),
        [true, true, true, false],
        "one report is left in it"
    );
    store.destroy(expired([3, 8, 9])).await.unwrap();
    assert_eq!(
        there(folder.path()),
        [false, true, true, false],
        "the last is written to"
    );
    let appended = store.append(body(1), epoch(), today()).await.unwrap();
    assert!(matches!(appended, Appended::Fresh { index: 10, .. }));

    store.destroy(expired(4..=10)).await.unwrap();
    assert_eq!(there(folder.path()), [false, false, true, false]);
    let mut store = store;
    for clean in [false, true, false] {
        if clean {
            store.close().await.unwrap();
        }
        drop(store);
        store = open(folder.path());
        assert_eq!(store.rebuilt(), !clean);
        assert_eq!(there(folder.path()), [false, false, true, false]);
        assert_eq!(store.leaves(0, 10).await.unwrap(), leaves);
        assert!(store.kept(0, 100).await.unwrap().is_empty());
        assert!(matches!(
            store.read(leaves[0].digest, 0..9).await,
            Err(StoreError::Destroyed)
        ));
    }
    // A number is not used again; the one that was written to goes when the next begins.
    noisy(&store, 100..104, 4096).await;
    assert_eq!(there(folder.path()), [false, false, true, true]);
    assert_eq!(
        content(&store, Digest::of(&noise(100, 4096))).await.unwrap(),
        noise(100, 4096)
    );
    store.destroy(expired([11])).await.unwrap();
    assert_eq!(there(folder.path()), [false, false, false, true]);
    drop(store);
    let store = open(folder.path());
    assert_eq!(store.kept(0, 100).await.unwrap().len(), 3);
    assert_eq!(
        content(&store, Digest::of(&noise(103, 4096))).await.unwrap(),
        noise(103, 4096)
    );
}

#[tokio::test]
async fn a_segment_that_went_missing_with_a_report_in_it_is_still_named_damage() {
    let (folder, store) = empty();
    let leaves = noisy(&store, 0..10, 4096).await;
    store.destroy(expired([0, 1, 2])).await.unwrap();
    drop(store);
    fs::remove_file(segment(folder.path(), 1)).unwrap();
    let store = open(folder.path());
    assert!(matches!(
        store.read(leaves[3].digest, 0..9).await,
        Err(StoreError::BodyLost { segment: 1 })
    ));
    assert!(matches!(
        store.read(leaves[0].digest, 0..9).await,
        Err(StoreError::Destroyed)
    ));
}

#[tokio::test]
async fn a_destroyed_report_sent_again_costs_the_disk_what_any_repeat_costs() {
    let (folder, store) = empty();
    noisy(&store, 0..2, 4096).await;
    store.destroy(expired([1])).await.unwrap();
    noisy(&store, 4..5, 64).await;
    let mut costs = Vec::new();
    for seed in [0, 1, 0, 1] {
        let before = store.synced();
        let body = Body::in_memory(noise(seed, 4096)).unwrap();
        let appended = store.append(body, epoch(), today()).await.unwrap();
        assert!(matches!(appended, Appended::Repeated { .. }));
        costs.push(store.synced() - before);
    }
    assert!(costs[0] > 4096);
    assert!(costs.iter().all(|cost| *cost == costs[0]), "{costs:?}");
    // Something else behind it, so that what was written for the repeat is cut off by now.
    noisy(&store, 5..6, 64).await;
    assert_eq!(trace(folder.path(), &noise(1, 4096)), None);
}

#[tokio::test]
async fn a_full_disk_still_deletes() {
    let disk = SmallDisk::new(16);
    let folder = disk.0.path().join("store");
    let settings = Settings {
        reserve_bytes: 4 << 20,
        ..SETTINGS
    };
    let store = Embedded::open(&folder, settings).unwrap();
    let big = |seed| Body::in_memory(noise(seed, 1 << 20)).unwrap();
    let mut count = 0;
    let full = loop {
        match store.append(big(count), epoch(), today()).await {
            Ok(_) => count += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(full, StoreError::Full), "{full}");
    store.destroy(expired([0, 1])).await.unwrap();
    assert_eq!(trace(&folder, &noise(0, 1 << 20)), None);
    store.append(big(count), epoch(), today()).await.unwrap();
}

#[tokio::test]
async fn the_ledger_alone_decides_the_tree_and_a_cut_ledger_gives_a_prefix_of_it() {
    let (folder, store) = empty();
    let mut heads = vec![store.head().await.unwrap()];
    for seed in 0..12 {
        heads.extend(heads_after(&store, seed).await);
    }
    store.put_order(order(1, "order", None)).await.unwrap();
    store.put_order(order(2, "board", Some(today()))).await.unwrap();
    store.destroy(expired([2, 3])).await.unwrap();
    store.put_order(order(3, "another board", Some(today()))).await.unwrap();
    heads.extend(heads_after(&store, 12).await);
    let leaves = store.leaves(0, 100).await.unwrap();
    drop(store);
    let whole = state_of(folder.path());
    assert_eq!(whole, state_of(folder.path()));
    assert_eq!(whole.tree(), &leaves.iter().collect::<Tree>());

    let ledger = fs::read(folder.path().join("ledger")).unwrap();
    let (cut, mut last) = (tempfile::tempdir().unwrap(), State::default());
    for len in 0..=ledger.len() {
        fs::write(cut.path().join("ledger"), &ledger[..len]).unwrap();
        let state = state_of(cut.path());
        let size = usize::try_from(state.size()).unwrap();
        assert_eq!(state.tree().head(), heads[size], "cut at {len}");
        assert_eq!(state.tree(), &leaves[..size].iter().collect::<Tree>());
        assert!(state.size() >= last.size() && state.orders() >= last.orders());
        assert!(
            state.boards().len() as u64 <= state.orders(),
            "a board hangs with its order"
        );
        last = state;
    }
    assert_eq!(last, whole);
}

async fn heads_after(store: &Embedded, seed: u32) -> Option<Head> {
    noisy(store, seed..seed + 1, 64).await;
    Some(store.head().await.unwrap())
}

#[tokio::test]
async fn a_start_hangs_the_board_that_the_ledger_says_and_removes_the_others() {
    let (folder, store) = empty();
    let boards = folder.path().join("boards");
    for (id, day) in [(1, today()), (2, today()), (3, today().plus(1))] {
        let put = store
            .put_order(order(id, &format!("board {id}"), Some(day)))
            .await
            .unwrap();
        assert!(matches!(put, Ordered::Fresh { .. }));
        let [only] = &files_in(&boards)[..] else { panic!() };
        let found = fs::metadata(only).unwrap();
        assert_eq!((found.mtime() % 86_400, found.mtime_nsec()), (0, 0));
        assert_eq!(found.mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(&boards).unwrap().mtime() % 86_400, 0);
    }
    drop(store);
    // A board whose order was never committed, and one half written.
    fs::write(boards.join(format!("00a-{}", Digest::of(b"never"))), "never").unwrap();
    fs::write(boards.join("new"), "hal").unwrap();
    let store = open(folder.path());
    assert_eq!(hanging(&store).await.unwrap(), "board 3");
    assert_eq!(files_in(&boards).len(), 1);
    assert_eq!(store.orders(0, 10).await.unwrap().len(), 3);
    // The same ones are known again.
    let again = store.put_order(order(2, "board 2", Some(today()))).await.unwrap();
    assert_eq!(again, Ordered::Repeated { index: 1 });
    assert_eq!(hanging(&store).await.unwrap(), "board 3");
}

#[tokio::test]
async fn whoever_reads_a_board_while_it_is_replaced_reads_the_whole_old_one() {
    let (_folder, store) = empty();
    let long = |id: u8| char::from(b'a' + id).to_string().repeat(1 << 20);
    store.put_order(order(1, &long(1), Some(today()))).await.unwrap_err();
    let mut first = order(1, "first", Some(today()));
    first.hangs.as_mut().unwrap().board = long(1).into_bytes();
    store.put_order(first).await.unwrap();
    let (len, mut reader) = store.board(super::contract::shard()).await.unwrap().unwrap();
    let mut read = vec![0; 1000];
    tokio::io::AsyncReadExt::read_exact(&mut reader, &mut read)
        .await
        .unwrap();
    store.put_order(order(2, "second", Some(today()))).await.unwrap();
    tokio::io::AsyncReadExt::read_to_end(&mut reader, &mut read)
        .await
        .unwrap();
    assert_eq!(read.len() as u64, len);
    assert!(read == long(1).into_bytes());
    assert_eq!(hanging(&store).await.unwrap(), "second");
}
