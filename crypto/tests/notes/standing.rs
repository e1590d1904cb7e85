//! Standings under attack.

use marram_crypto::{
    digest::Digest,
    leaf::Leaf,
    note::NoteError,
    standing::{Draft, StandingError, UntrustedStanding},
    tree::Tree,
};

use crate::{
    order::manifest_of,
    world::{World, epoch},
};

fn tree(leaves: u8) -> Tree {
    let leaves: Vec<_> = (0..leaves)
        .map(|n| Leaf {
            digest: Digest::of(&[n]),
            epoch: epoch(),
            day: epoch().opens(),
            log2_size: 15,
        })
        .collect();
    leaves.iter().collect()
}

fn draft(world: &World) -> Draft {
    Draft {
        instance: world.instance,
        epoch: epoch(),
        day: epoch().opens(),
        tree: tree(13),
        opened: vec![0..=0, 2..=7, 12..=12],
    }
}

#[test]
fn a_standing_reads_back_and_names_its_slot() {
    let mut world = World::new();
    let keys: Vec<_> = (0..3).map(|_| world.rng.key()).collect();
    let manifest = manifest_of(&mut world, &keys);
    let bytes = draft(&world).sign(&keys[1]).unwrap().to_bytes();
    let standing = UntrustedStanding::parse(&bytes).unwrap().verify(&manifest).unwrap();
    assert_eq!((standing.draft(), standing.slot()), (&draft(&world), 1));
    let by_nobody = draft(&world).sign(&world.rng.key()).unwrap().verify(&manifest);
    assert!(matches!(
        by_nobody,
        Err(StandingError::Note(NoteError::TooFewSignatures { .. }))
    ));
}

#[test]
fn nodes_that_do_not_give_the_root_and_ranges_that_lie_are_refused() {
    let mut world = World::new();
    let key = world.rng.key();
    let good = draft(&world);
    for opened in [vec![0..=13], vec![3..=4, 5..=6], vec![3..=4, 1..=1], vec![3..=3, 3..=3]] {
        let lying = Draft { opened, ..good.clone() };
        assert!(matches!(lying.sign(&key), Err(StandingError::Ranges)));
    }
    let text = String::from_utf8(good.sign(&key).unwrap().to_bytes()).unwrap();
    let root = good.tree.root().to_string();
    let other_root = text.replacen(&root, &Digest::of(b"x").to_string(), 1);
    assert!(matches!(
        UntrustedStanding::parse(other_root.as_bytes()),
        Err(StandingError::Root)
    ));
    let other_size = text.replacen("log 13 ", "log 12 ", 1);
    assert!(matches!(
        UntrustedStanding::parse(other_size.as_bytes()),
        Err(StandingError::Tree(_))
    ));
}
