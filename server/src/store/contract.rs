//! What every [`Store`] must do, whatever it stands on.
//!
//! Each promise is a function over `&dyn Store`; [`contract_tests`] makes them tests of one implementation.

use std::collections::BTreeMap;

use marram_crypto::{
    board::Shard,
    day::{Day, Epoch},
    digest::Digest,
    order::OrderId,
    tree::Tree,
};
use tokio::io::AsyncReadExt;

use super::{Appended, Body, Logged, NewBoard, NewOrder, Ordered, Put, REPEAT_DAYS, Store, StoreError, Why};

/// Makes every promise a test. `$open` is an expression for an empty store; it may own what it stands on.
macro_rules! contract_tests {
    ($open:expr) => {
        $crate::store::contract::contract_tests!($open;
            an_empty_store_has_nothing,
            a_report_is_found_and_reads_back,
            a_report_in_a_file_reads_back,
            the_same_bytes_again_give_the_stored_leaf,
            the_same_bytes_after_two_days_get_a_leaf_that_stands_nowhere,
            leaves_come_in_the_order_of_their_indexes,
            concurrent_appends_get_every_index_once,
            the_same_bytes_from_many_at_once_are_stored_once,
            a_manifest_is_kept_by_epoch_and_version,
            versions_only_rise_and_a_version_has_one_text,
            charters_come_oldest_first,
            the_head_is_the_tree_over_the_leaves,
            an_order_is_taken_once_and_an_id_has_one_text,
            a_board_hangs_until_another_does_and_never_after_a_later_one,
            of_many_boards_at_once_the_one_that_hangs_is_that_of_the_last_order,
            a_destroyed_report_is_gone_its_leaf_stays_and_the_same_bytes_are_never_stored_again,
            destroying_twice_or_what_the_log_does_not_have_changes_nothing,
            a_note_past_the_limit_is_refused,
            a_closed_store_refuses,
        );
    };
    ($open:expr; $($promise:ident),+ $(,)?) => {
        $(
            #[tokio::test(flavor = "multi_thread")]
            async fn $promise() {
                let (_owner, store) = $open;
                $crate::store::contract::$promise(&store).await;
            }
        )+
    };
}
pub(crate) use contract_tests;

pub(crate) fn today() -> Day {
    Day::from_number(20_650).unwrap()
}

pub(crate) fn epoch() -> Epoch {
    Epoch::of(today()).unwrap()
}

/// A report's bytes of a given seed.
pub(crate) fn bytes(seed: u32, len: usize) -> Vec<u8> {
    seed.to_be_bytes().into_iter().cycle().take(len).collect()
}

pub(crate) fn body(seed: u32) -> Body {
    Body::in_memory(bytes(seed, 4096)).unwrap()
}

pub(crate) async fn content(store: &dyn Store, digest: Digest) -> Option<Vec<u8>> {
    let mut content = Vec::new();
    store
        .read(digest, 0..u64::MAX)
        .await
        .unwrap()?
        .read_to_end(&mut content)
        .await
        .unwrap();
    Some(content)
}

pub(crate) async fn an_empty_store_has_nothing(store: &dyn Store) {
    assert_eq!(store.size().await.unwrap(), 0);
    assert!(store.leaves(0, 10).await.unwrap().is_empty());
    assert!(store.leaf_of(Digest::of(b"x")).await.unwrap().is_none());
    assert!(store.read(Digest::of(b"x"), 0..10).await.unwrap().is_none());
    assert!(store.charters().await.unwrap().is_empty());
    assert!(
        store
            .manifests(Epoch::from_number(0).unwrap())
            .await
            .unwrap()
            .is_empty()
    );
}

pub(crate) async fn a_report_is_found_and_reads_back(store: &dyn Store) {
    let digest = Digest::of(&bytes(1, 4096));
    let appended = store.append(body(1), epoch(), today()).await.unwrap();
    let Appended::Fresh { leaf, index: 0 } = appended else {
        panic!("{appended:?}")
    };
    assert_eq!(
        (leaf.digest, leaf.epoch, leaf.day, leaf.size()),
        (digest, epoch(), today(), 4096)
    );
    let logged = |index, leaf| Logged {
        index,
        leaf,
        destroyed: false,
    };
    assert_eq!(store.leaf_of(digest).await.unwrap(), Some(logged(0, leaf)));
    assert_eq!(content(store, digest).await.unwrap(), bytes(1, 4096));
    for (range, expected) in [
        (0..4, 0..4),
        (4000..9000, 4000..4096),
        (4096..4097, 0..0),
        (9000..9001, 0..0),
    ] {
        let mut part = Vec::new();
        store
            .read(digest, range)
            .await
            .unwrap()
            .unwrap()
            .read_to_end(&mut part)
            .await
            .unwrap();
        assert_eq!(part, bytes(1, 4096)[expected]);
    }
}

pub(crate) async fn a_report_in_a_file_reads_back(store: &dyn Store) {
    let bytes = bytes(7, 1 << 21);
    let mut file = tempfile::tempfile().unwrap();
    std::io::Write::write_all(&mut file, &bytes).unwrap();
    let body = Body::in_file(file, Digest::of(&bytes), bytes.len() as u64).unwrap();
    let leaf = *store.append(body, epoch(), today()).await.unwrap().leaf();
    assert_eq!(leaf.log2_size, 21);
    assert!(content(store, leaf.digest).await.unwrap() == bytes);
    store.append(super::contract::body(8), epoch(), today()).await.unwrap();
    assert_eq!(
        content(store, Digest::of(&super::contract::bytes(8, 4096)))
            .await
            .unwrap()
            .len(),
        4096
    );
}

pub(crate) async fn the_same_bytes_again_give_the_stored_leaf(store: &dyn Store) {
    let first = *store.append(body(1), epoch(), today()).await.unwrap().leaf();
    for days in 0..=2 {
        let again = store
            .append(body(1), epoch().plus(1), today().plus(days))
            .await
            .unwrap();
        assert_eq!(again, Appended::Repeated { leaf: first, index: 0 });
    }
    assert_eq!(store.size().await.unwrap(), 1);
}

pub(crate) async fn the_same_bytes_after_two_days_get_a_leaf_that_stands_nowhere(store: &dyn Store) {
    let first = *store.append(body(1), epoch(), today()).await.unwrap().leaf();
    let later = today().plus(3);
    for _ in 0..2 {
        let again = store.append(body(1), epoch(), later).await.unwrap();
        let Appended::Uniform { leaf } = again else {
            panic!("{again:?}")
        };
        assert_eq!((leaf.digest, leaf.day), (first.digest, later));
    }
    assert_eq!(store.leaves(0, 10).await.unwrap(), [first]);
}

pub(crate) async fn leaves_come_in_the_order_of_their_indexes(store: &dyn Store) {
    let mut expected = Vec::new();
    for seed in 0..300 {
        let Appended::Fresh { leaf, index } = store.append(body(seed), epoch(), today()).await.unwrap() else {
            panic!()
        };
        assert_eq!(index, u64::from(seed));
        expected.push(leaf);
    }
    assert_eq!(store.leaves(0, 1000).await.unwrap(), expected);
    assert_eq!(store.leaves(250, 7).await.unwrap(), expected[250..257]);
    assert!(store.leaves(300, 7).await.unwrap().is_empty());
}

pub(crate) async fn concurrent_appends_get_every_index_once(store: &dyn Store) {
    let appends = (0..32).map(|writer| async move {
        let mut indexes = Vec::new();
        for seed in 0..10 {
            let appended = store.append(body(writer * 100 + seed), epoch(), today()).await.unwrap();
            let Appended::Fresh { leaf, index } = appended else {
                panic!("{appended:?}")
            };
            assert_eq!(
                store
                    .leaf_of(leaf.digest)
                    .await
                    .unwrap()
                    .map(|logged| (logged.index, logged.leaf)),
                Some((index, leaf)),
                "readable once acknowledged"
            );
            indexes.push(index);
        }
        indexes
    });
    let mut indexes = all(appends).await.concat();
    indexes.sort_unstable();
    assert_eq!(indexes, (0..320).collect::<Vec<_>>());
}

pub(crate) async fn the_same_bytes_from_many_at_once_are_stored_once(store: &dyn Store) {
    let answers = all((0..32).map(|_| store.append(body(1), epoch(), today()))).await;
    let fresh = answers
        .iter()
        .filter(|answer| matches!(answer, Ok(Appended::Fresh { .. })))
        .count();
    assert_eq!(fresh, 1);
    let first = answers[0].as_ref().unwrap().leaf();
    assert!(answers.iter().all(|answer| answer.as_ref().unwrap().leaf() == first));
    assert_eq!(store.size().await.unwrap(), 1);
}

pub(crate) async fn a_manifest_is_kept_by_epoch_and_version(store: &dyn Store) {
    for (weeks, version) in [(1, 1), (0, 1), (0, 3), (2, 1)] {
        let note = format!("{weeks} {version}").into_bytes();
        let put = store
            .put_manifest(epoch().plus(weeks), version, Digest::of(&note), note)
            .await
            .unwrap();
        assert_eq!(put, Put::Fresh);
    }
    let found = store.manifests(epoch()).await.unwrap();
    let found: Vec<_> = found
        .into_iter()
        .map(|(epoch, note)| (epoch, note.version, note.note))
        .collect();
    assert_eq!(
        found,
        [
            (epoch(), 1, b"0 1".to_vec()),
            (epoch(), 3, b"0 3".to_vec()),
            (epoch().plus(1), 1, b"1 1".to_vec()),
            (epoch().plus(2), 1, b"2 1".to_vec()),
        ]
    );
    assert_eq!(store.manifests(epoch().plus(2)).await.unwrap().len(), 1);
    assert!(store.charters().await.unwrap().is_empty());
}

pub(crate) async fn versions_only_rise_and_a_version_has_one_text(store: &dyn Store) {
    let put = async |version: u64, text: &[u8]| {
        store
            .put_manifest(epoch(), version, Digest::of(text), text.to_vec())
            .await
            .unwrap()
    };
    assert_eq!(put(2, b"two").await, Put::Fresh);
    assert_eq!(put(2, b"two").await, Put::Repeated);
    assert_eq!(put(2, b"other two").await, Put::Conflict);
    assert_eq!(put(1, b"one").await, Put::Older { newest: 2 });
    assert_eq!(put(3, b"three").await, Put::Fresh);
    assert_eq!(put(2, b"two").await, Put::Repeated);
    assert_eq!(store.manifests(epoch()).await.unwrap().len(), 2);
    // Of several at once, one is taken.
    let puts = all((0..8).map(|n| {
        let text = vec![n];
        store.put_manifest(epoch().plus(1), 1, Digest::of(&text), text)
    }));
    let fresh = puts
        .await
        .into_iter()
        .filter(|put| matches!(put, Ok(Put::Fresh)))
        .count();
    assert_eq!(fresh, 1);
}

pub(crate) async fn charters_come_oldest_first(store: &dyn Store) {
    for version in [1, 2, 10] {
        let note = version.to_string().into_bytes();
        assert_eq!(
            store.put_charter(version, Digest::of(&note), note).await.unwrap(),
            Put::Fresh
        );
    }
    let versions: Vec<_> = store
        .charters()
        .await
        .unwrap()
        .into_iter()
        .map(|note| (note.version, note.note))
        .collect();
    assert_eq!(versions, [(1, b"1".to_vec()), (2, b"2".to_vec()), (10, b"10".to_vec())]);
}

pub(crate) async fn the_head_is_the_tree_over_the_leaves(store: &dyn Store) {
    assert_eq!(store.head().await.unwrap(), Tree::new().head());
    for seed in 0..70 {
        store.append(body(seed), epoch(), today()).await.unwrap();
        // A repeat is no leaf.
        store.append(body(seed / 2), epoch(), today()).await.unwrap();
        let leaves = store.leaves(0, 100).await.unwrap();
        assert_eq!(store.head().await.unwrap(), leaves.iter().collect::<Tree>().head());
    }
}

/// An order of some text; with `hangs`, a board of one day whose bytes are the text.
pub(crate) fn order(id: u8, text: &str, hangs: Option<Day>) -> NewOrder {
    let board = |day| NewBoard {
        shard: shard(),
        day,
        digest: Digest::of(text.as_bytes()),
        board: text.as_bytes().to_vec(),
    };
    NewOrder {
        id: OrderId::from_bytes([id; OrderId::LEN]),
        digest: Digest::of(text.as_bytes()),
        note: text.as_bytes().to_vec(),
        hangs: hangs.map(board),
    }
}

pub(crate) fn shard() -> Shard {
    Shard::from_number(0x00a).unwrap()
}

pub(crate) async fn hanging(store: &dyn Store) -> Option<String> {
    let (len, mut reader) = store.board(shard()).await.unwrap()?;
    let mut board = String::new();
    reader.read_to_string(&mut board).await.unwrap();
    assert_eq!(board.len() as u64, len);
    Some(board)
}

pub(crate) async fn an_order_is_taken_once_and_an_id_has_one_text(store: &dyn Store) {
    let put = async |id, text| store.put_order(order(id, text, None)).await.unwrap();
    assert_eq!(put(1, "first").await, Ordered::Fresh { index: 0 });
    assert_eq!(put(2, "second").await, Ordered::Fresh { index: 1 });
    assert_eq!(put(1, "first").await, Ordered::Repeated { index: 0 });
    assert_eq!(put(1, "other").await, Ordered::Conflict);
    // Of many at once with one id, one is taken.
    let puts = all((0..8).map(|n| store.put_order(order(3, &format!("third {n}"), None)))).await;
    let fresh = puts.iter().filter(|put| matches!(put, Ok(Ordered::Fresh { index: 2 })));
    assert_eq!(fresh.count(), 1);
    assert!(puts.iter().filter(|put| matches!(put, Ok(Ordered::Conflict))).count() == 7);
    let of = async |id| store.order_of(OrderId::from_bytes([id; OrderId::LEN])).await.unwrap();
    assert_eq!(of(2).await, Some((1, Digest::of(b"second"))));
    assert_eq!(of(4).await, None);
    let notes = store.orders(0, 100).await.unwrap();
    assert_eq!(notes[..2], [b"first".to_vec(), b"second".to_vec()]);
    assert_eq!(notes.len(), 3);
    assert_eq!(store.orders(1, 1).await.unwrap(), [b"second".to_vec()]);
    assert!(store.orders(3, 100).await.unwrap().is_empty());
    assert_eq!(hanging(store).await, None);
}

pub(crate) async fn a_board_hangs_until_another_does_and_never_after_a_later_one(store: &dyn Store) {
    let put = async |id, text, day| store.put_order(order(id, text, Some(day))).await.unwrap();
    assert_eq!(hanging(store).await, None);
    assert_eq!(put(1, "first", today()).await, Ordered::Fresh { index: 0 });
    assert_eq!(hanging(store).await.unwrap(), "first");
    let refused = Ordered::BoardOlder { newest: today() };
    assert_eq!(put(2, "older", today().minus(1)).await, refused);
    assert_eq!(hanging(store).await.unwrap(), "first");
    assert_eq!(
        store.orders(0, 10).await.unwrap().len(),
        1,
        "what is refused is no order"
    );
    assert_eq!(put(2, "same day", today()).await, Ordered::Fresh { index: 1 });
    assert_eq!(hanging(store).await.unwrap(), "same day");
    assert_eq!(put(3, "newer", today().plus(1)).await, Ordered::Fresh { index: 2 });
    assert_eq!(put(1, "first", today()).await, Ordered::Repeated { index: 0 });
    assert_eq!(hanging(store).await.unwrap(), "newer", "a replayed order hangs nothing");
    let elsewhere = Shard::from_number(0x00b).unwrap();
    assert!(store.board(elsewhere).await.unwrap().is_none());
}

pub(crate) async fn of_many_boards_at_once_the_one_that_hangs_is_that_of_the_last_order(store: &dyn Store) {
    let puts = (0..16).map(|id| store.put_order(order(id, &format!("board {}", id % 3), Some(today()))));
    for put in all(puts).await {
        assert!(matches!(put, Ok(Ordered::Fresh { .. })));
    }
    let last = store.orders(15, 1).await.unwrap().remove(0);
    assert_eq!(hanging(store).await.unwrap().into_bytes(), last);
}

pub(crate) async fn a_destroyed_report_is_gone_its_leaf_stays_and_the_same_bytes_are_never_stored_again(
    store: &dyn Store,
) {
    for seed in 0..3 {
        store.append(body(seed), epoch(), today()).await.unwrap();
    }
    let (head, leaves) = (store.head().await.unwrap(), store.leaves(0, 10).await.unwrap());
    store.destroy(BTreeMap::from([(1, Why::Expired)])).await.unwrap();
    assert!(matches!(
        store.read(leaves[1].digest, 0..10).await,
        Err(StoreError::Destroyed)
    ));
    for (index, leaf) in (0..).zip(&leaves) {
        let logged = store.leaf_of(leaf.digest).await.unwrap().unwrap();
        assert_eq!(
            (logged.index, logged.leaf, logged.destroyed),
            (index, *leaf, index == 1)
        );
    }
    assert_eq!(store.kept(0, 10).await.unwrap(), [(0, leaves[0]), (2, leaves[2])]);
    assert_eq!(store.kept(1, 10).await.unwrap(), [(2, leaves[2])]);
    assert_eq!(store.kept(0, 1).await.unwrap(), [(0, leaves[0])]);

    let again = store.append(body(1), epoch(), today()).await.unwrap();
    assert_eq!(
        again,
        Appended::Repeated {
            leaf: leaves[1],
            index: 1
        }
    );
    let later = store.append(body(1), epoch(), today().plus(REPEAT_DAYS + 1)).await;
    assert!(matches!(later, Ok(Appended::Uniform { .. })));
    assert!(matches!(
        store.read(leaves[1].digest, 0..10).await,
        Err(StoreError::Destroyed)
    ));
    assert_eq!(store.head().await.unwrap(), head);
    assert_eq!(store.leaves(0, 10).await.unwrap(), leaves);
    for seed in [0, 2] {
        let digest = Digest::of(&bytes(seed, 4096));
        assert_eq!(content(store, digest).await.unwrap(), bytes(seed, 4096));
    }
}

pub(crate) async fn destroying_twice_or_what_the_log_does_not_have_changes_nothing(store: &dyn Store) {
    store.append(body(0), epoch(), today()).await.unwrap();
    for _ in 0..2 {
        let targets = BTreeMap::from([
            (0, Why::Ordered { order: 0 }),
            (1, Why::Expired),
            (u64::MAX, Why::Expired),
        ]);
        store.destroy(targets).await.unwrap();
    }
    store.destroy(BTreeMap::new()).await.unwrap();
    assert!(store.kept(0, 10).await.unwrap().is_empty());
    assert_eq!(store.size().await.unwrap(), 1);
    let appended = store.append(body(1), epoch(), today()).await.unwrap();
    assert!(matches!(appended, Appended::Fresh { index: 1, .. }));
    assert_eq!(
        store.kept(0, 10).await.unwrap().len(),
        1,
        "a later leaf is not destroyed beforehand"
    );
}

pub(crate) async fn a_note_past_the_limit_is_refused(store: &dyn Store) {
    let put = store
        .put_charter(1, Digest::of(b"long"), vec![b'x'; super::NOTE_MAX_LEN + 1])
        .await;
    assert!(matches!(put, Err(StoreError::NoteTooLong { .. })));
    let put = store
        .put_charter(1, Digest::of(b"long"), vec![b'x'; super::NOTE_MAX_LEN])
        .await;
    assert!(matches!(put, Ok(Put::Fresh)));
}

pub(crate) async fn a_closed_store_refuses(store: &dyn Store) {
    store.append(body(1), epoch(), today()).await.unwrap();
    store.close().await.unwrap();
    store.close().await.unwrap();
    assert!(matches!(
        store.append(body(2), epoch(), today()).await,
        Err(StoreError::Closed)
    ));
    assert!(matches!(store.leaves(0, 1).await, Err(StoreError::Closed)));
}

/// Runs futures at the same time.
async fn all<F: Future>(futures: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut running: Vec<_> = futures.map(|future| (Some(Box::pin(future)), None)).collect();
    std::future::poll_fn(|context| {
        for (future, output) in &mut running {
            if let Some(unfinished) = future
                && let std::task::Poll::Ready(ready) = unfinished.as_mut().poll(context)
            {
                (*future, *output) = (None, Some(ready));
            }
        }
        if running.iter().all(|(future, _)| future.is_none()) {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    running.into_iter().filter_map(|(_, output)| output).collect()
}
