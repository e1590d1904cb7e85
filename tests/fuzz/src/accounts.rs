//! What keeps the server to account, and what caseworkers send back through it: checkpoints, standings, orders, boards.

use marram_crypto::{
    board::{self, PLAIN_LEN, Shard, UntrustedBoard},
    checkpoint::UntrustedCheckpoint,
    order::{Order, OrderFile, UntrustedOrder},
    standing::UntrustedStanding,
};
use zeroize::Zeroizing;

use crate::world::{WORLD, codename, epoch, instance, log, signer};

/// A checkpoint; nobody but the log makes one.
pub(crate) fn checkpoint(bytes: &[u8]) -> bool {
    let Ok(checkpoint) = UntrustedCheckpoint::parse(bytes) else {
        return false;
    };
    let claimed = (checkpoint.claimed_day(), checkpoint.claimed_size());
    let Ok(checkpoint) = checkpoint.verify(instance(), &[log().public()]) else {
        return false;
    };
    assert_eq!(claimed, (checkpoint.day(), checkpoint.head().size));
    let again = marram_crypto::checkpoint::sign(instance(), checkpoint.head(), checkpoint.day(), &log()).unwrap();
    assert_eq!(again.to_bytes(), bytes, "a checkpoint has one spelling");
    true
}

/// A standing.
pub(crate) fn standing(bytes: &[u8]) -> bool {
    let Ok(standing) = UntrustedStanding::parse(bytes) else {
        return false;
    };
    assert_eq!(standing.to_bytes(), bytes, "a standing has one spelling");
    let draft = standing.claims().clone();
    let again = draft.sign(&signer()).unwrap();
    assert_eq!(again.claims(), &draft);
    let mut before = 0;
    for range in &draft.opened {
        assert!(before <= *range.start() && range.start() <= range.end());
        before = range.end() + 1;
    }
    assert!(before <= draft.tree.head().size);
    if let Ok(verified) = standing.verify(&WORLD.manifest) {
        assert_eq!(verified.slot(), 0);
    }
    true
}

/// An order file.
pub(crate) fn order(bytes: &[u8]) -> bool {
    let Ok(file) = OrderFile::parse(bytes) else {
        return false;
    };
    assert_eq!(file.to_bytes().unwrap(), bytes, "an order file has one spelling");
    let order = file.order;
    let again = order.claims().to_note().unwrap();
    assert_eq!(again.claims(), order.claims());
    assert_eq!(
        UntrustedOrder::parse(&order.to_bytes()).unwrap().digest(),
        order.digest()
    );
    let day = epoch().opens();
    if order.claims().check_day(day).is_ok() {
        assert!(order.claims().epoch.opens() <= day && day <= order.claims().expires);
    }
    if let Ok(verified) = order.verify(&WORLD.manifest) {
        assert_eq!(verified.slots(), [0]);
        assert!(one_signer_waits(&verified));
    }
    true
}

fn one_signer_waits(order: &Order) -> bool {
    order
        .deletes_from(epoch().opens())
        .is_some_and(|day| day > epoch().opens())
}

/// A board; nobody but the holder of the slot makes one.
pub(crate) fn board(bytes: &[u8]) -> bool {
    let Ok(board) = UntrustedBoard::parse(bytes) else {
        return false;
    };
    assert_eq!(board.to_bytes(), bytes, "a board has one spelling");
    let shard = Shard::from_number(0).unwrap();
    let Ok(board) = board.verify(&WORLD.manifest, shard, epoch().opens()) else {
        return false;
    };
    let reply_key = codename().reply_key();
    assert!(board.acknowledged(&reply_key) <= board::MAX_COUNT);
    assert!(board.answers(&reply_key).answers.len() <= 2);
    true
}

/// The plain contents of cells, which a caseworker who was turned may seal to a codename, one after the other; zeros make
/// the last one whole.
pub(crate) fn answer(bytes: &[u8]) -> bool {
    let mut cells: Vec<_> = bytes
        .chunks(PLAIN_LEN)
        .map(|contents| {
            let mut plain = Zeroizing::new([0; PLAIN_LEN]);
            plain[..contents.len()].copy_from_slice(contents);
            plain
        })
        .collect();
    let found = board::read(cells.iter().cloned());
    // Where they hang says nothing.
    cells.reverse();
    assert_eq!(board::read(cells.iter().cloned()), found);
    assert!(found.answers.len() + found.incomplete <= cells.len());
    for answer in &found.answers {
        assert!(!answer.text().is_empty() && answer.text().len() <= board::MAX_TEXT_LEN);
        assert_eq!(answer.parts().count(), answer.cells());
        assert!(
            answer.parts().all(|part| cells.contains(&part)),
            "an answer has one spelling"
        );
    }
    !found.answers.is_empty()
}
