//! The image: tags and cells, all of it as random as its rest.

use std::collections::BTreeSet;

use rand_core::CryptoRng;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use zeroize::Zeroizing;

use super::{
    Salt,
    answer::{self, Answer, Part},
};
use crate::{codename::ReplyKey, instance::InstanceId, labels, manifest::BoardShape};

/// Length of a tag in bytes.
pub const TAG_LEN: usize = 16;
/// Length of a cell in bytes.
pub const CELL_LEN: usize = 4096;
/// More reports than this are acknowledged as this many.
pub const MAX_COUNT: u32 = 100;

const SALT_LEN: usize = 32;
/// Length of what is sealed in a cell, in bytes.
pub const PLAIN_LEN: usize = CELL_LEN - SALT_LEN - 16;

/// What hangs in one shard.
#[derive(Debug, Default)]
pub struct Composition<'a> {
    /// For each codename under which reports were read: how many, 1 or more.
    pub acknowledged: Vec<(&'a ReplyKey, u32)>,
    /// Answers, and to whom.
    pub answers: Vec<(&'a ReplyKey, &'a Answer)>,
}

/// What a reader found.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// By day.
    pub answers: Vec<Answer>,
    /// Answers of which only a part hangs there.
    pub incomplete: usize,
}

/// What did not fit into an image: its positions in the [`Composition`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// Of acknowledgements.
    pub acknowledged: Vec<usize>,
    /// Of answers.
    pub answers: Vec<usize>,
}

/// Makes an image of `shape` for a header with this `salt`. What comes first in the composition is taken first; what does not fit is left out
/// and told, and does not keep shorter answers behind it out.
pub fn compose<R: CryptoRng + ?Sized>(
    shape: BoardShape,
    instance: InstanceId,
    salt: Salt,
    composition: &Composition<'_>,
    rng: &mut R,
) -> (Vec<u8>, LeftOut) {
    let (tag_count, cell_count) = (shape.tags as usize, shape.cells as usize);
    let mut image = vec![0; tag_count * TAG_LEN + cell_count * CELL_LEN];
    rng.fill_bytes(&mut image);
    let (tags, cells) = image.split_at_mut(tag_count * TAG_LEN);
    let mut left_out = LeftOut {
        acknowledged: (tag_count.min(composition.acknowledged.len())..composition.acknowledged.len()).collect(),
        answers: Vec::new(),
    };
    let mut places = shuffled(tag_count, rng).into_iter();
    for ((reply_key, count), place) in composition.acknowledged.iter().zip(&mut places) {
        tags[place * TAG_LEN..][..TAG_LEN].copy_from_slice(&tag(reply_key, salt, *count));
    }
    let mut places = shuffled(cell_count, rng);
    for (position, (reply_key, answer)) in composition.answers.iter().enumerate() {
        if answer.cells() > places.len() {
            left_out.answers.push(position);
            continue;
        }
        let taken = places.split_off(places.len() - answer.cells());
        for (place, plain) in taken.into_iter().zip(answer.parts()) {
            seal(&mut cells[place * CELL_LEN..][..CELL_LEN], &plain, instance, reply_key);
        }
    }
    (image, left_out)
}

/// How many reports are acknowledged among `tags`.
pub(super) fn acknowledged(tags: &[u8], salt: Salt, reply_key: &ReplyKey) -> u32 {
    let there: BTreeSet<_> = tags.chunks_exact(TAG_LEN).collect();
    let counts = (1..=MAX_COUNT).rev();
    counts
        .into_iter()
        .find(|count| there.contains(tag(reply_key, salt, *count).as_slice()))
        .unwrap_or(0)
}

/// The answers among `cells`.
pub(super) fn answers(cells: &[u8], instance: InstanceId, reply_key: &ReplyKey) -> Found {
    let cells = cells.chunks_exact(CELL_LEN);
    read(cells.filter_map(|cell| open(cell, instance, reply_key)))
}

/// The answers in the plain contents of cells, which whoever sealed them may have made to deceive. What is no part of an
/// answer is passed over.
pub fn read(contents: impl Iterator<Item = Zeroizing<[u8; PLAIN_LEN]>>) -> Found {
    let (answers, incomplete) = answer::join(contents.filter_map(|plain| Part::parse(&plain)).collect());
    Found { answers, incomplete }
}

fn tag(reply_key: &ReplyKey, salt: Salt, count: u32) -> [u8; TAG_LEN] {
    let mut context = [0; Salt::LEN + 4];
    context[..Salt::LEN].copy_from_slice(salt.as_bytes());
    context[Salt::LEN..].copy_from_slice(&count.clamp(1, MAX_COUNT).to_be_bytes());
    *labels::derive(labels::ACKNOWLEDGEMENT_TAG, reply_key.expose(), &context).expose()
}

/// Seals a part into a cell, whose first bytes are random already: they are the salt.
fn seal(cell: &mut [u8], plain: &[u8; PLAIN_LEN], instance: InstanceId, reply_key: &ReplyKey) {
    let (salt, sealed) = cell.split_at_mut(SALT_LEN);
    let (text, seal) = sealed.split_at_mut(PLAIN_LEN);
    text.copy_from_slice(plain);
    let tag =
        cell_key(reply_key, salt).and_then(|key| key.seal_in_place_separate_tag(nonce(), aad(&instance), text).ok());
    debug_assert!(tag.is_some(), "ring refuses only what is too long");
    match tag {
        Some(tag) => seal.copy_from_slice(tag.as_ref()),
        // Rather no answer than a plain one.
        None => text.fill(0),
    }
}

fn open(cell: &[u8], instance: InstanceId, reply_key: &ReplyKey) -> Option<Zeroizing<[u8; PLAIN_LEN]>> {
    let (salt, sealed) = cell.split_at_checked(SALT_LEN)?;
    let mut sealed = Zeroizing::new(sealed.to_vec());
    let plain = cell_key(reply_key, salt)?
        .open_in_place(nonce(), aad(&instance), &mut sealed)
        .ok()?;
    Some(Zeroizing::new((&*plain).try_into().ok()?))
}

fn cell_key(reply_key: &ReplyKey, salt: &[u8]) -> Option<LessSafeKey> {
    let key = labels::derive::<32>(labels::CELL_KEY, reply_key.expose(), salt);
    UnboundKey::new(&CHACHA20_POLY1305, key.expose())
        .ok()
        .map(LessSafeKey::new)
}

/// Each key seals one cell.
fn nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; NONCE_LEN])
}

fn aad(instance: &InstanceId) -> Aad<&[u8; InstanceId::LEN]> {
    Aad::from(instance.as_bytes())
}

/// The numbers below `count`, in random order (Fisher and Yates).
fn shuffled<R: CryptoRng + ?Sized>(count: usize, rng: &mut R) -> Vec<usize> {
    let mut places: Vec<_> = (0..count).collect();
    for end in (1..count).rev() {
        // A bias of 2^-32 at most, in where a tag hangs.
        let at = rng.next_u64() % (end as u64 + 1);
        places.swap(end, usize::try_from(at).unwrap_or_default());
    }
    places
}
