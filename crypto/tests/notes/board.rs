//! Boards under attack: by whoever hangs one, and by whoever reads all of them.

use marram_crypto::{
    board::{
        Answer, AnswerId, BoardError, CELL_LEN, Composition, Header, MAX_COUNT, MAX_TEXT_LEN, PART_LEN, Salt, Shard,
        TAG_LEN, UntrustedBoard, compose,
    },
    codename::{Codename, ReplyKey},
    day::Day,
    digest::Digest,
    key::SigningKey,
    manifest::{BoardShape, Manifest},
    note::NoteError,
    secret::SecretBytes,
};
use proptest::prelude::*;

use crate::{
    order::manifest_of,
    world::{TestRng, World, epoch},
};

/// Where it does not matter which.
const SALT: Salt = Salt::from_bytes([7; 16]);

fn day() -> Day {
    epoch().opens().plus(2)
}

fn reply_key(seed: u8) -> ReplyKey {
    Codename::from_entropy(SecretBytes::from([seed; 16])).reply_key()
}

fn answer(rng: &mut TestRng, text: &str) -> Answer {
    Answer::new(AnswerId::random(rng), day(), text.to_owned()).unwrap()
}

fn header(manifest: &Manifest, salt: Salt, image: &[u8]) -> Header {
    Header {
        instance: manifest.instance,
        epoch: manifest.epoch,
        day: day(),
        shard: Shard::from_number(0).unwrap(),
        salt,
        image: Digest::of(image),
    }
}

/// An organization whose desk holds the first slot, and the desk's keys of this epoch and the next.
fn world() -> (World, [SigningKey; 2], Manifest) {
    let mut world = World::new();
    let keys = [world.rng.key(), world.rng.key()];
    let manifest = manifest_of(&mut world, &keys[..1]);
    (world, keys, manifest)
}

fn made(world: &mut World, keys: &[SigningKey; 2], manifest: &Manifest, composition: &Composition) -> Vec<u8> {
    let salt = Salt::random(&mut world.rng);
    let (image, left_out) = compose(manifest.board, manifest.instance, salt, composition, &mut world.rng);
    assert_eq!(left_out, marram_crypto::board::LeftOut::default());
    let board = UntrustedBoard::sign(header(manifest, salt, &image), image, keys).unwrap();
    board.to_bytes()
}

#[test]
fn a_reader_finds_its_own_acknowledgements_and_answers_and_nobody_elses() {
    let (mut world, keys, manifest) = world();
    let (first, second, stranger) = (reply_key(1), reply_key(2), reply_key(3));
    let short = answer(&mut world.rng, "Write to us at the address you know.");
    let long = answer(&mut world.rng, &"ئەسسالامۇئەلەيكۇم ".repeat(600));
    assert!(long.cells() > 4);
    let composition = Composition {
        acknowledged: vec![(&first, 3), (&second, 250)],
        answers: vec![(&first, &short), (&first, &long), (&second, &short)],
    };
    let bytes = made(&mut world, &keys, &manifest, &composition);
    let board = UntrustedBoard::parse(&bytes).unwrap();
    let board = board.verify(&manifest, Shard::from_number(0).unwrap(), day()).unwrap();
    assert_eq!(board.to_bytes(), bytes);
    assert_eq!(
        (board.acknowledged(&first), board.acknowledged(&second)),
        (3, MAX_COUNT)
    );
    assert_eq!(board.acknowledged(&stranger), 0);
    let mut texts: Vec<_> = board
        .answers(&first)
        .answers
        .iter()
        .map(|a| a.text().to_owned())
        .collect();
    texts.sort();
    let mut expected = [short.text().to_owned(), long.text().to_owned()];
    expected.sort();
    assert_eq!(texts, expected);
    assert_eq!(board.answers(&second).answers.len(), 1);
    assert_eq!(board.answers(&stranger), marram_crypto::board::Found::default());
}

#[test]
fn every_board_of_a_manifest_has_one_length_and_no_two_share_a_byte_string() {
    let (mut world, keys, manifest) = world();
    let key = reply_key(1);
    let answer = answer(&mut world.rng, "the same answer");
    let full = Composition {
        acknowledged: vec![(&key, 1)],
        answers: vec![(&key, &answer)],
    };
    let boards = [
        made(&mut world, &keys, &manifest, &full),
        made(&mut world, &keys, &manifest, &full),
        made(&mut world, &keys, &manifest, &Composition::default()),
    ];
    assert!(boards.iter().all(|board| board.len() == boards[0].len()));
    let image_at = boards[0].len() - usize::try_from(manifest.board.image_len()).unwrap();
    let windows = |board: &[u8]| {
        board[image_at..]
            .chunks(TAG_LEN)
            .map(<[u8]>::to_vec)
            .collect::<std::collections::HashSet<_>>()
    };
    let sets = boards.each_ref().map(|board| windows(board));
    assert!(sets[0].is_disjoint(&sets[1]) && sets[1].is_disjoint(&sets[2]) && sets[0].is_disjoint(&sets[2]));
}

#[test]
fn a_board_that_was_changed_cut_or_is_another_shard_epoch_or_size_is_refused() {
    let (mut world, keys, manifest) = world();
    let bytes = made(&mut world, &keys, &manifest, &Composition::default());
    let shard = Shard::from_number(0).unwrap();
    for at in [
        bytes.len() - 1,
        bytes.len() - usize::try_from(manifest.board.image_len()).unwrap(),
    ] {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        assert_eq!(UntrustedBoard::parse(&changed).unwrap_err(), BoardError::Image);
    }
    for cut in [0, 1, 100, bytes.len() - 1] {
        assert!(UntrustedBoard::parse(&bytes[..cut]).is_err());
    }
    let parsed = || UntrustedBoard::parse(&bytes).unwrap();
    assert!(matches!(
        parsed().verify(&manifest, Shard::from_number(1).unwrap(), day()),
        Err(BoardError::OtherShard { .. })
    ));
    assert!(matches!(
        parsed().verify(&manifest, shard, day().minus(2)),
        Err(BoardError::Future { .. })
    ));

    let (image, _) = compose(
        BoardShape {
            cells: manifest.board.cells + 1,
            ..manifest.board
        },
        manifest.instance,
        SALT,
        &Composition::default(),
        &mut world.rng,
    );
    let large = UntrustedBoard::sign(header(&manifest, SALT, &image), image, &keys).unwrap();
    assert!(matches!(
        large.verify(&manifest, shard, day()),
        Err(BoardError::Shape { .. })
    ));

    let image = vec![0; 16];
    let two_weeks_ago = Header {
        epoch: epoch().previous().unwrap().previous().unwrap(),
        ..header(&manifest, SALT, &image)
    };
    let old = UntrustedBoard::sign(two_weeks_ago, image, &keys).unwrap();
    assert!(matches!(
        old.verify(&manifest, shard, day()),
        Err(BoardError::OtherEpoch { .. })
    ));
}

#[test]
fn a_board_outlives_monday_and_a_dropped_desk_hangs_none() {
    let (mut world, keys, manifest) = world();
    let bytes = made(&mut world, &keys, &manifest, &Composition::default());
    let shard = Shard::from_number(0).unwrap();
    // The desk's signer of the next epoch is a slot of this manifest: as if a week had passed.
    let image = vec![0; usize::try_from(manifest.board.image_len()).unwrap()];
    let last_week = Header {
        epoch: epoch().previous().unwrap(),
        ..header(&manifest, SALT, &image)
    };
    let by_next = UntrustedBoard::sign(
        last_week,
        image,
        &[world.rng.key(), SigningKey::from_seed(&keys[0].seed())],
    );
    by_next.unwrap().verify(&manifest, shard, day()).unwrap();

    let dropped = manifest_of(&mut world, &[]);
    assert!(matches!(
        UntrustedBoard::parse(&bytes).unwrap().verify(&dropped, shard, day()),
        Err(BoardError::Note(NoteError::TooFewSignatures { .. }))
    ));
}

#[test]
fn one_signature_or_three_would_give_boards_another_length_and_are_refused() {
    let (mut world, keys, manifest) = world();
    let bytes = made(&mut world, &keys, &manifest, &Composition::default());
    let image_at = bytes.len() - usize::try_from(manifest.board.image_len()).unwrap();
    let (header, image) = bytes.split_at(image_at);
    let header = String::from_utf8(header.to_vec()).unwrap();
    let last = header.lines().last().unwrap();
    let more = [format!("{header}{last}\n").as_bytes(), image].concat();
    assert!(UntrustedBoard::parse(&more).is_err());
    let fewer = [header.replace(&format!("{last}\n"), "").as_bytes(), image].concat();
    assert!(UntrustedBoard::parse(&fewer).is_err());
}

#[test]
fn what_does_not_fit_is_told_and_keeps_shorter_answers_in() {
    let (mut world, _, manifest) = world();
    let key = reply_key(1);
    let shape = BoardShape {
        tags: 2,
        cells: 3,
        ..manifest.board
    };
    let long = answer(&mut world.rng, &"x".repeat(3 * PART_LEN));
    let short = answer(&mut world.rng, "short");
    let composition = Composition {
        acknowledged: vec![(&key, 1); 3],
        answers: vec![(&key, &short), (&key, &long), (&key, &short)],
    };
    let (image, left_out) = compose(shape, manifest.instance, SALT, &composition, &mut world.rng);
    assert_eq!(image.len() as u64, shape.image_len());
    assert_eq!((left_out.acknowledged, left_out.answers), (vec![2], vec![1]));
}

#[test]
fn answers_have_a_length_and_a_board_a_shard_for_each() {
    assert!(Answer::new(AnswerId::from_bytes([0; 16]), day(), String::new()).is_err());
    assert!(Answer::new(AnswerId::from_bytes([0; 16]), day(), "x".repeat(MAX_TEXT_LEN + 1)).is_err());
    let shape = |shards| BoardShape {
        shards,
        tags: 1,
        cells: 1,
        cadence_days: 7,
    };
    assert!((0..=255).all(|seed| Shard::of(&reply_key(seed), shape(1)).number() == 0));
    let mut seen = std::collections::BTreeSet::new();
    for seed in 0..=255 {
        let shard = Shard::of(&reply_key(seed), shape(4));
        // A shard of the finer division lies within that of the coarser.
        assert_eq!(Shard::of(&reply_key(seed), shape(4096)).number() >> 10, shard.number());
        seen.insert(shard);
    }
    assert_eq!(
        seen.into_iter().collect::<Vec<_>>(),
        Shard::all(shape(4)).collect::<Vec<_>>()
    );
}

/// Pearson's chi-square of the bytes against uniform, standardized: about normal with mean 0 and deviation 1.
fn skew(bytes: &[u8]) -> f64 {
    let mut counts = [0_u32; 256];
    for byte in bytes {
        counts[usize::from(*byte)] += 1;
    }
    let expected = f64::from(u32::try_from(bytes.len()).unwrap()) / 256.0;
    let chi: f64 = counts
        .iter()
        .map(|count| (f64::from(*count) - expected).powi(2) / expected)
        .sum();
    (chi - 255.0) / (2.0 * 255.0_f64).sqrt()
}

/// Of how many in a row the mean of `skew` is, it may be this far from 0 (four deviations and some).
fn is_noise(chunks: &[&[u8]]) -> bool {
    let count = f64::from(u32::try_from(chunks.len()).unwrap());
    let mean = chunks.iter().map(|chunk| skew(chunk)).sum::<f64>() / count;
    mean.abs() < 5.0 / count.sqrt() && skew(&chunks.concat()).abs() < 5.0
}

#[test]
fn of_two_boards_nobody_without_the_words_can_say_which_has_more_answers() {
    let mut rng = TestRng::new("statistics");
    let shape = BoardShape {
        shards: 1,
        tags: 2048,
        cells: 64,
        cadence_days: 7,
    };
    let world = World::new();
    let keys: Vec<_> = (0..64).map(reply_key).collect();
    // The worst for who hides: every cell of one board is taken, with text that is all the same letter.
    let answers: Vec<_> = keys.iter().map(|_| answer(&mut rng, &"a".repeat(PART_LEN))).collect();
    let full = Composition {
        acknowledged: (0..2048)
            .map(|n| (&keys[n % 64], u32::try_from(n / 64 + 1).unwrap()))
            .collect(),
        answers: keys.iter().zip(&answers).collect(),
    };
    let (taken, left_out) = compose(shape, world.instance, SALT, &full, &mut rng);
    assert_eq!(left_out, marram_crypto::board::LeftOut::default());
    let (empty, _) = compose(shape, world.instance, SALT, &Composition::default(), &mut rng);
    for image in [&taken, &empty] {
        let (tags, cells) = image.split_at(2048 * TAG_LEN);
        assert!(is_noise(&cells.chunks(CELL_LEN).collect::<Vec<_>>()));
        assert!(is_noise(&[tags]));
        // By position within a cell: salt, text and seal, the last byte.
        for range in [0..32, 32..56, 4080..4096] {
            let at: Vec<u8> = cells
                .chunks(CELL_LEN)
                .flat_map(|cell| cell[range.clone()].to_vec())
                .collect();
            assert!(is_noise(&[&at]));
        }
    }
    // The test can tell: one cell in the clear among 64 is found.
    let mut plain = empty.clone();
    let end = plain.len();
    plain[end - CELL_LEN..].fill(b'a');
    assert!(!is_noise(&plain[2048 * TAG_LEN..].chunks(CELL_LEN).collect::<Vec<_>>()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn a_reply_key_opens_its_own_cells_and_no_others(
        texts in prop::collection::vec("\\PC{1,6000}", 1..6),
        seed in any::<u64>(),
    ) {
        let mut rng = TestRng::new(&seed.to_string());
        let shape = BoardShape { shards: 1, tags: 16, cells: 48, cadence_days: 7 };
        let world = World::new();
        let keys: Vec<_> = (0..7).map(reply_key).collect();
        let texts: Vec<_> = texts.into_iter().filter(|text| !text.is_empty() && text.len() <= MAX_TEXT_LEN).collect();
        let answers: Vec<_> = texts.iter().map(|text| answer(&mut rng, text)).collect();
        let composition = Composition {
            acknowledged: Vec::new(),
            answers: keys.iter().zip(&answers).collect(),
        };
        let (image, left_out) = compose(shape, world.instance, SALT, &composition, &mut rng);
        let (mut world, desk, manifest) = self::world();
        let manifest_shape = manifest.board;
        prop_assert_eq!(left_out.answers.len(), 0);
        // Read through a board of the manifest's shape, as a reader would.
        let (board_image, left_out) = compose(manifest_shape, manifest.instance, SALT, &composition, &mut world.rng);
        prop_assert_eq!(left_out.answers.len(), 0);
        prop_assert_ne!(&image[..64], &board_image[..64]);
        let board = UntrustedBoard::sign(header(&manifest, SALT, &board_image), board_image, &desk).unwrap();
        let board = board.verify(&manifest, Shard::from_number(0).unwrap(), day()).unwrap();
        for (position, key) in keys.iter().enumerate() {
            let found = board.answers(key);
            prop_assert_eq!(found.incomplete, 0);
            let found: Vec<_> = found.answers.iter().map(|answer| answer.text().to_owned()).collect();
            prop_assert_eq!(found, texts.get(position).cloned().into_iter().collect::<Vec<_>>());
        }
    }
}
