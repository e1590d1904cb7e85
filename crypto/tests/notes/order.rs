//! Orders under attack.

use marram_crypto::{
    board::Shard,
    day::Day,
    digest::Digest,
    key::SigningKey,
    manifest::Manifest,
    note::{LineError, NoteError, NoteType},
    order::{Draft, GRACE_DAYS, MAX_DELETIONS, Order, OrderError, OrderFile, OrderId, UntrustedOrder, What},
    tree::Head,
};

use crate::world::{World, epoch, sign};

/// A manifest whose first slots are held by these keys.
pub(crate) fn manifest_of(world: &mut World, signers: &[SigningKey]) -> Manifest {
    let (mut draft, _) = world.draft();
    for (slot, signer) in draft.slots.iter_mut().zip(signers) {
        slot.signer = signer.public();
    }
    sign(&draft, &world.roots[..2]).verify(&world.chain).unwrap()
}

fn digests(count: usize) -> Vec<Digest> {
    let mut digests: Vec<_> = (0..count).map(|n| Digest::of(&n.to_be_bytes())).collect();
    digests.sort();
    digests
}

fn draft(world: &mut World, what: What) -> Draft {
    Draft {
        instance: world.instance,
        id: OrderId::random(&mut world.rng),
        epoch: epoch(),
        expires: epoch().closes().plus(GRACE_DAYS),
        log: Head::empty(),
        what,
    }
}

fn signed(draft: &Draft, keys: &[&SigningKey]) -> UntrustedOrder {
    let mut order = draft.to_note().unwrap();
    for key in keys {
        order.add_signature(key).unwrap();
    }
    UntrustedOrder::parse(&order.to_bytes()).unwrap()
}

fn world() -> (World, Vec<SigningKey>, Manifest) {
    let mut world = World::new();
    let keys: Vec<_> = (0..3).map(|_| world.rng.key()).collect();
    let manifest = manifest_of(&mut world, &keys);
    (world, keys, manifest)
}

#[test]
fn orders_read_back_and_name_the_slots_that_signed() {
    let (mut world, keys, manifest) = world();
    for what in [
        What::Delete(digests(MAX_DELETIONS)),
        What::Hang {
            shard: Shard::from_number(0xabc).unwrap(),
            header: Digest::of(b"header"),
        },
    ] {
        let draft = draft(&mut world, what);
        let order = signed(&draft, &[&keys[2], &keys[0]]);
        assert_eq!(order.claims(), &draft);
        let order: Order = order.verify(&manifest).unwrap();
        assert_eq!((order.signers().len(), order.slots()), (2, &[0, 2][..]));
    }
}

#[test]
fn one_signer_waits_seven_days_two_do_not_and_one_who_signs_twice_is_one() {
    let (mut world, keys, manifest) = world();
    let draft = draft(&mut world, What::Delete(digests(1)));
    let day: Day = "2026-07-22".parse().unwrap();
    let one = signed(&draft, &[&keys[0]]).verify(&manifest).unwrap();
    assert_eq!(one.deletes_from(day), Some("2026-07-29".parse().unwrap()));
    let two = signed(&draft, &[&keys[0], &keys[1]]).verify(&manifest).unwrap();
    assert_eq!(two.deletes_from(day), None);

    // The same line twice.
    let bytes = String::from_utf8(one.into_untrusted().to_bytes()).unwrap();
    let line = bytes.lines().last().unwrap();
    let doubled = UntrustedOrder::parse(format!("{bytes}{line}\n").as_bytes()).unwrap();
    let doubled = doubled.verify(&manifest).unwrap();
    assert_eq!((doubled.signers().len(), doubled.trusted_note().signatures()), (1, 1));
}

#[test]
fn a_courier_a_keyholder_and_a_dropped_caseworker_give_no_orders() {
    let (mut world, keys, _) = world();
    let without_the_first = manifest_of(&mut world, &[]);
    let draft = draft(&mut world, What::Delete(digests(1)));
    let courier = world.rng.key();
    let root = SigningKey::from_seed(&world.roots[0].seed());
    for key in [&courier, &root, &keys[0]] {
        assert!(matches!(
            signed(&draft, &[key]).verify(&without_the_first),
            Err(OrderError::Note(NoteError::TooFewSignatures {
                kind: NoteType::Order,
                valid: 0,
                ..
            }))
        ));
    }
}

#[test]
fn an_order_has_its_time() {
    let (mut world, ..) = world();
    let mut draft = draft(&mut world, What::Delete(digests(1)));
    let (opens, closes) = (epoch().opens(), epoch().closes());
    assert!(matches!(draft.check_day(opens.minus(1)), Err(OrderError::NotYet(_))));
    draft.check_day(opens).unwrap();
    draft.check_day(draft.expires).unwrap();
    assert!(matches!(
        draft.check_day(draft.expires.plus(1)),
        Err(OrderError::Expired(_))
    ));
    draft.expires = closes.plus(GRACE_DAYS + 1);
    assert!(matches!(draft.check_day(opens), Err(OrderError::TooLong { .. })));
}

#[test]
fn a_second_spelling_is_refused() {
    let (mut world, keys, _) = world();
    let draft = draft(&mut world, What::Delete(digests(2)));
    let text = String::from_utf8(signed(&draft, &[&keys[0]]).to_bytes()).unwrap();
    let [first, second] = digests(2)[..] else {
        unreachable!()
    };
    let swapped = text.replace(
        &format!("delete {first}\ndelete {second}"),
        &format!("delete {second}\ndelete {first}"),
    );
    let doubled = text.replace(&format!("delete {second}"), &format!("delete {first}"));
    let none = text.replace(&format!("delete {first}\ndelete {second}\n"), "");
    let both = text.replace(&format!("delete {second}"), &format!("hang 000 {second}"));
    let capital = text.replacen(&draft.id.to_string(), &draft.id.to_string().to_uppercase(), 1);
    for changed in [swapped, doubled, none, both, capital] {
        assert_ne!(changed, text);
        assert!(matches!(
            UntrustedOrder::parse(changed.as_bytes()),
            Err(OrderError::Line(
                LineError::Value { .. }
                    | LineError::Missing { .. }
                    | LineError::Count { .. }
                    | LineError::Trailing { .. }
            ))
        ));
    }
}

#[test]
fn an_order_file_holds_a_board_if_and_only_if_it_hangs_one() {
    let (mut world, keys, _) = world();
    let hang = What::Hang {
        shard: Shard::from_number(0).unwrap(),
        header: Digest::of(b"header"),
    };
    let hang = signed(&draft(&mut world, hang), &[&keys[0]]);
    let delete = signed(&draft(&mut world, What::Delete(digests(1))), &[&keys[0]]);
    let file = |order: &UntrustedOrder, board: Option<&[u8]>| {
        let board = board.map(<[u8]>::to_vec);
        OrderFile {
            order: order.clone(),
            board,
        }
        .to_bytes()
        .unwrap()
    };
    let read = OrderFile::parse(&file(&hang, Some(b"a board"))).unwrap();
    assert_eq!(read.board.as_deref(), Some(&b"a board"[..]));
    assert_eq!(read.order.digest(), hang.digest());
    assert!(OrderFile::parse(&file(&delete, None)).unwrap().board.is_none());
    assert!(matches!(OrderFile::parse(&file(&hang, None)), Err(OrderError::Board)));
    assert!(matches!(
        OrderFile::parse(&file(&delete, Some(b"x"))),
        Err(OrderError::Board)
    ));
    let whole = file(&hang, Some(b"a board"));
    for cut in (0..whole.len()).step_by(61) {
        assert!(OrderFile::parse(&whole[..cut]).is_err(), "cut at {cut}");
    }
    let mut noisy = whole;
    *noisy.last_mut().unwrap() = 1;
    assert!(matches!(OrderFile::parse(&noisy), Err(OrderError::Archive(_))));
}
