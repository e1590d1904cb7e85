//! What a report costs that is stored already: what a new one costs, and nothing that stays.

use std::{fs, path::PathBuf};

use marram_crypto::digest::Digest;

use super::{
    Appended, Body, REPEAT_DAYS, Store,
    contract::{bytes, content, epoch, today},
    ledger::Ledger,
    survival::{empty, files_in, fill, open},
};

#[tokio::test]
async fn a_repeat_costs_the_disk_what_a_new_report_costs_and_leaves_nothing() {
    // The last body would begin a new segment.
    for stored in [2, 4] {
        let (folder, store) = empty();
        let ledger = folder.path().join("ledger");
        let lengths = || {
            let mut files = files_in(&folder.path().join("segments"));
            files.push(ledger.clone());
            files.sort();
            let len = |file: PathBuf| (fs::metadata(&file).unwrap().len(), file);
            files.into_iter().map(len).collect::<Vec<_>>()
        };
        let mut last = 0;
        let mut cost = || {
            let synced = store.synced();
            let cost = synced - last;
            last = synced;
            cost
        };
        fill(&store, &ledger, 0..stored, 4096).await;
        cost();
        // The last of `stored`, and of `lengths`, once what was cut off is cut off: the next group waits for that.
        let before = lengths();
        for (day, seed) in [(today(), 0), (today().plus(REPEAT_DAYS + 1), 0), (today(), stored - 1)] {
            let appended = store.append(body_of(seed), epoch(), day).await.unwrap();
            assert!(!matches!(appended, Appended::Fresh { .. }));
            assert!(cost() > 4096);
        }
        assert_eq!(store.size().await.unwrap(), u64::from(stored));
        store
            .put_charter(1, Digest::of(b"charter"), b"charter".to_vec())
            .await
            .unwrap();
        let mut after = lengths();
        let noted = after.iter().position(|(_, path)| *path == ledger).unwrap();
        assert!(after[noted].0 > before[noted].0);
        after[noted].0 = before[noted].0;
        assert_eq!(after, before);

        cost();
        store.append(body_of(0), epoch(), today()).await.unwrap();
        let repeat = cost();
        let fresh = store.append(body_of(1000), epoch(), today()).await.unwrap();
        assert!(matches!(fresh, Appended::Fresh { .. }));
        assert_eq!(cost(), repeat);
        // Both at once.
        let (again, new) = tokio::join!(
            store.append(body_of(1), epoch(), today()),
            store.append(body_of(1001), epoch(), today())
        );
        assert!(matches!(again.unwrap(), Appended::Repeated { index: 1, .. }));
        assert!(matches!(new.unwrap(), Appended::Fresh { .. }));
        drop(store);
        let store = open(folder.path());
        for seed in [0, 1, 1000, 1001] {
            let found = content(&store, Digest::of(&bytes(seed, 4096))).await.unwrap();
            assert!(found == bytes(seed, 4096));
        }
    }
}

fn body_of(seed: u32) -> Body {
    Body::in_memory(bytes(seed, 4096)).unwrap()
}

#[tokio::test]
async fn a_rehearsal_that_a_kill_interrupts_is_cut_off_by_the_next_start() {
    let (folder, store) = empty();
    let ledger = folder.path().join("ledger");
    let filled = fill(&store, &ledger, 0..3, 64).await;
    drop(store);
    let mut interrupted = Ledger::open(&ledger, None, |_, _| Ok(())).unwrap();
    interrupted.rehearse(1000).unwrap();
    drop(interrupted);
    assert!(fs::metadata(&ledger).unwrap().len() > filled[2].1 + 1000);
    assert_eq!(open(folder.path()).size().await.unwrap(), 3);
    assert_eq!(fs::metadata(&ledger).unwrap().len(), filled[2].1);
}
