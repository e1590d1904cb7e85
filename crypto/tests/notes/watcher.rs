//! Whoever collects boards, has no words, and knows of some how much was answered on them: learns from those, and guesses
//! of the others.

use std::collections::BTreeSet;

use marram_crypto::{
    board::{Answer, AnswerId, CELL_LEN, Composition, PART_LEN, Salt, TAG_LEN, compose},
    codename::{Codename, ReplyKey},
    manifest::BoardShape,
    secret::SecretBytes,
};

use crate::world::{TestRng, World, epoch};

const SHAPE: BoardShape = BoardShape {
    shards: 1,
    tags: 64,
    cells: 8,
    cadence_days: 7,
};
/// Full boards, and as many on which nothing hangs. Half of each is learnt from.
const BOARDS: usize = 100;
/// Whoever only guesses is right less often, but for one time in 30,000.
const GUESSING: f64 = 0.7;

/// What a careless program does to the tags, and to a cell, that nothing hangs in.
type Leak = fn(&mut [u8], &mut [u8]);

/// Everything about a board that is counted.
fn features(image: &[u8]) -> Vec<f64> {
    let (tags, cells) = image.split_at(SHAPE.tags as usize * TAG_LEN);
    let cells: Vec<_> = cells.chunks(CELL_LEN).collect();
    let of_cells =
        |range: std::ops::Range<usize>| cells.iter().flat_map(|cell| &cell[range.clone()]).copied().collect();
    let regions: [Vec<u8>; 6] = [
        tags.to_vec(),
        of_cells(0..1),
        of_cells(0..32),
        of_cells(32..CELL_LEN - 16),
        of_cells(CELL_LEN - 16..CELL_LEN),
        of_cells(CELL_LEN - 1..CELL_LEN),
    ];
    let mut features: Vec<f64> = regions.iter().flat_map(|region| of_region(region)).collect();
    // By place, should places be taken in an order.
    features.extend(cells.iter().map(|cell| skew(cell)));
    for blocks in [tags, &cells.concat()] {
        let different: BTreeSet<_> = blocks.chunks(TAG_LEN).collect();
        features.push(number(different.len()));
    }
    features
}

fn of_region(bytes: &[u8]) -> Vec<f64> {
    let counts = counts(bytes);
    let with_bit = |bit: u32| (0..256).filter(move |byte| byte >> bit & 1 == 1);
    let bits = (0..8).map(|bit| number(with_bit(bit).map(|byte| counts[byte]).sum()));
    let neighbours = bytes.windows(2).filter(|pair| pair[0] == pair[1]).count();
    bits.chain([skew(bytes), number(neighbours)]).collect()
}

/// Pearson's chi-square of the bytes against uniform.
fn skew(bytes: &[u8]) -> f64 {
    let expected = number(bytes.len()) / 256.0;
    let counts = counts(bytes);
    counts
        .iter()
        .map(|count| (number(*count) - expected).powi(2) / expected)
        .sum()
}

fn counts(bytes: &[u8]) -> [usize; 256] {
    let mut counts = [0; 256];
    for byte in bytes {
        counts[usize::from(*byte)] += 1;
    }
    counts
}

fn number(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap())
}

/// How often, of boards not learnt from, it is rightly said whether they are full. What is learnt is the one feature and
/// limit that tell best.
fn told(full: &[Vec<f64>], empty: &[Vec<f64>]) -> f64 {
    let half = BOARDS / 2;
    let right = |range: std::ops::Range<usize>, feature: usize, limit: f64| {
        let above = |boards: &[Vec<f64>]| boards[range.clone()].iter().filter(|f| f[feature] > limit).count();
        number(above(full) + range.len() - above(empty)) / number(2 * range.len())
    };
    let limits = |feature: usize| (0..half).map(move |board| (feature, full[board][feature]));
    let learnt = (0..full[0].len()).flat_map(limits).map(|(feature, limit)| {
        let right = right(0..half, feature, limit);
        (right.max(1.0 - right), right < 0.5, feature, limit)
    });
    let (_, turned, feature, limit) = learnt.max_by(|one, other| one.0.total_cmp(&other.0)).unwrap();
    let right = right(half..BOARDS, feature, limit);
    if turned { 1.0 - right } else { right }
}

/// Boards on which everything is taken, with texts that are all one letter; and boards on which nothing is.
fn boards(rng: &mut TestRng) -> [Vec<Vec<u8>>; 2] {
    let world = World::new();
    let keys: Vec<ReplyKey> = (0..8)
        .map(|seed| Codename::from_entropy(SecretBytes::from([seed; 16])).reply_key())
        .collect();
    let letters = "a".repeat(PART_LEN);
    let answers: Vec<_> = keys
        .iter()
        .map(|_| Answer::new(AnswerId::random(rng), epoch().opens(), letters.clone()).unwrap())
        .collect();
    [true, false].map(|full| {
        let composition = if full {
            Composition {
                acknowledged: (0..64)
                    .map(|n| (&keys[n % 8], u32::try_from(n / 8 + 1).unwrap()))
                    .collect(),
                answers: keys.iter().zip(&answers).collect(),
            }
        } else {
            Composition::default()
        };
        let board = |_| {
            let salt = Salt::random(rng);
            let (image, left_out) = compose(SHAPE, world.instance, salt, &composition, rng);
            assert_eq!(left_out, marram_crypto::board::LeftOut::default());
            image
        };
        (0..BOARDS).map(board).collect()
    })
}

fn of_all(boards: &[Vec<u8>]) -> Vec<Vec<f64>> {
    boards.iter().map(|image| features(image)).collect()
}

#[test]
fn whoever_learns_from_many_boards_still_only_guesses_which_others_have_answers() {
    let mut rng = TestRng::new("a watcher");
    let [full, empty] = boards(&mut rng);
    let of_full = of_all(&full);
    let right = told(&of_full, &of_all(&empty));
    assert!(right < GUESSING, "told rightly: {right}");

    // Boards that careless programs would make: the same watcher tells them.
    let careless: [(&str, Leak); 5] = [
        ("unused cells have no salt", |_, cell| cell[..32].fill(0)),
        ("one bit says which are unused", |_, cell| cell[CELL_LEN - 1] &= 0x7f),
        ("what fills an unused cell is not noise", |_, cell| {
            for byte in cell {
                *byte %= 251;
            }
        }),
        ("an unused cell is empty", |_, cell| cell.fill(0)),
        ("unused tags come twice", |tags, _| {
            tags.copy_within(..tags.len() / 2, tags.len() / 2);
        }),
    ];
    for (how, leak) in careless {
        let mut leaky = empty.clone();
        for image in &mut leaky {
            let (tags, cells) = image.split_at_mut(SHAPE.tags as usize * TAG_LEN);
            for cell in cells.chunks_mut(CELL_LEN) {
                leak(tags, cell);
            }
        }
        let right = told(&of_full, &of_all(&leaky));
        assert!(right > 0.9, "{how}: told rightly {right}");
    }
}
