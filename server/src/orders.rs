//! Whose orders are good: those of a slot of the newest manifest of the order's epoch, as long as nobody was dropped since.
//!
//! Asked twice: when an order comes, and again when a deletion takes effect.

use marram_crypto::{
    board::Shard,
    board::{BoardError, UntrustedBoard},
    charter::CharterChain,
    day::{Day, Epoch},
    digest::Digest,
    manifest::{Manifest, UntrustedManifest},
    order::{Order, OrderError, UntrustedOrder},
};

use crate::store::{Store, StoreError};

/// Why an order is not good.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// There is no manifest of its epoch under the newest charter.
    #[error("no manifest of epoch {0} is valid here")]
    NoManifest(Epoch),
    /// Its epoch is over, and somebody was dropped since.
    #[error(
        "the order is of epoch {order}, which is over, and the manifest of epoch {replaced} was replaced since: make and sign the order again in the present epoch"
    )]
    Superseded {
        /// The order's epoch.
        order: Epoch,
        /// The later epoch of which there is a second version.
        replaced: Epoch,
    },
    /// The order itself: of another instance, or without a signature of a slot.
    #[error(transparent)]
    Order(#[from] OrderError),
    /// The board that it hangs.
    #[error(transparent)]
    Board(#[from] BoardError),
    /// Not the board that the order names.
    #[error("the board in the order file is not the one that the order names")]
    OtherBoard,
    /// The board is not one that is of use today.
    #[error("the board was made in epoch {0}, and nobody can verify it today: make it again")]
    BoardOutOfDate(Epoch),
    /// Signature lines of another form, which give the board another length.
    #[error("the board's signature lines do not have the form that all boards' have")]
    BoardSignatures,
    /// The store could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Verifies an order with the newest manifest of its epoch. Days of the order are another question.
///
/// # Errors
/// [`Refusal`].
pub async fn verify(
    store: &dyn Store,
    chain: &CharterChain,
    order: UntrustedOrder,
    today: Day,
) -> Result<Order, Refusal> {
    let epoch = order.claims().epoch;
    let manifest = newest(store, chain, epoch).await?.ok_or(Refusal::NoManifest(epoch))?;
    let order = order.verify(&manifest)?;
    // Slots of different epochs cannot be joined: whoever was dropped may be the one who signed this.
    let mut later = epoch.plus(1);
    while later.opens() <= today && later < Epoch::MAX {
        let stored = store.newest_manifest(later).await?;
        if stored.is_some_and(|stored| stored.version > 1) {
            return Err(Refusal::Superseded {
                order: epoch,
                replaced: later,
            });
        }
        later = later.plus(1);
    }
    Ok(order)
}

/// Verifies the board that an order hangs: that it is the one, and that whoever polls can believe it.
///
/// It must be one that today's manifest verifies. The next epoch's signature is checked too where its manifest is there:
/// signature lines are not signed, and one that was swapped on the way would end the board on Monday.
///
/// # Errors
/// [`Refusal`].
pub async fn verify_board(
    store: &dyn Store,
    chain: &CharterChain,
    (shard, header): (Shard, Digest),
    bytes: &[u8],
    today: Day,
) -> Result<Day, Refusal> {
    let board = UntrustedBoard::parse(bytes)?;
    if board.header_digest() != header {
        return Err(Refusal::OtherBoard);
    }
    let made = board.claims().epoch;
    let mut day = None;
    for epoch in [made, made.plus(1)] {
        let Some(manifest) = newest(store, chain, epoch).await? else {
            continue;
        };
        let of_today = Epoch::of(today) == Some(epoch);
        match board.clone().verify(&manifest, shard, today) {
            Ok(verified) if of_today => {
                let image_len = usize::try_from(manifest.board.image_len()).unwrap_or(usize::MAX);
                if !signatures_have_the_one_form(bytes, image_len) {
                    return Err(Refusal::BoardSignatures);
                }
                day = Some(verified.header().day);
            }
            Err(error) if of_today || matches!(error, BoardError::Note(_)) => return Err(error.into()),
            // The shape of another week is that week's matter.
            Ok(_) | Err(_) => {}
        }
    }
    day.ok_or(Refusal::BoardOutOfDate(made))
}

/// The newest manifest of an epoch, if it is valid under the newest charter.
async fn newest(store: &dyn Store, chain: &CharterChain, epoch: Epoch) -> Result<Option<Manifest>, StoreError> {
    let Some(stored) = store.newest_manifest(epoch).await? else {
        return Ok(None);
    };
    Ok(UntrustedManifest::parse(&stored.note)
        .and_then(|manifest| manifest.verify(chain))
        .ok())
}

/// Whether both signature lines before the image are `— marram <92 characters>`.
fn signatures_have_the_one_form(board: &[u8], image_len: usize) -> bool {
    const START: &[u8] = "— marram ".as_bytes();
    const LEN: usize = START.len() + 92 + 1;
    let header = &board[..board.len().saturating_sub(image_len)];
    let lines = header.split_inclusive(|byte| *byte == b'\n').rev().take(2);
    lines
        .filter(|line| line.starts_with(START) && line.len() == LEN)
        .count()
        == 2
}
