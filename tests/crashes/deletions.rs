//! The server dies while caseworkers have reports destroyed and hang boards: what was acknowledged as destroyed is gone,
//! what was ordered is ordered once, and the log goes on as couriers have seen it.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fs,
    path::{Path, PathBuf},
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::sleep,
    time::Duration,
};

use marram_crypto::{
    board::{self, Composition, Header, Salt, Shard, UntrustedBoard},
    checkpoint::UntrustedCheckpoint,
    digest::Digest,
    leaf::Leaf,
    order::{Draft, OrderFile, OrderId, UntrustedOrder, What},
    tree::{Head, Tree},
};
use marram_tests::{
    organization::rng,
    server::{Server, this_epoch},
};
use scopeguard::guard;

use crate::{
    kill::kill,
    loop_disk::LoopDisk,
    random_below,
    rig::{Promised, Promises, Rig},
    rounds,
};

const PER_ROUND: usize = 60;
/// Reports in an order, at most.
const AT_ONCE: u64 = 6;
/// Every so many orders hang a board instead.
const BOARD_EVERY: usize = 3;

/// What two caseworkers have ordered, and what they were told.
#[derive(Default)]
struct Desk {
    chosen: BTreeSet<Digest>,
    /// Order files, and whether each was acknowledged.
    given: Vec<(OrderFile, bool)>,
}

/// What couriers were shown: the root of each size.
#[derive(Default)]
struct Shown(BTreeMap<u64, Digest>);

impl Desk {
    /// What was acknowledged as destroyed.
    fn destroyed(&self) -> BTreeSet<Digest> {
        let acknowledged = self.given.iter().filter(|(_, acknowledged)| *acknowledged);
        acknowledged.flat_map(|(file, _)| deletes(&file.order)).collect()
    }

    /// Makes the next order, if there is something to destroy.
    fn next(&mut self, rig: &Rig, promised: &Promised) -> Option<OrderFile> {
        let file = if self.given.len() % BOARD_EVERY == BOARD_EVERY - 1 {
            board_order(rig)
        } else {
            let waiting = promised.keys().filter(|digest| !self.chosen.contains(digest));
            let some: BTreeSet<_> = waiting.copied().take(1 + random_below(AT_ONCE) as usize).collect();
            if some.is_empty() {
                return None;
            }
            self.chosen.extend(&some);
            order(rig, What::Delete(some.into_iter().collect()), None)
        };
        self.given.push((file.clone(), false));
        Some(file)
    }

    /// Gives order after order, until the server is gone.
    fn orders(desk: &Mutex<Self>, rig: &Rig, promises: &Promises, base: &str, over: &AtomicBool) {
        while !over.load(Ordering::Acquire) {
            let next = desk.lock().unwrap().next(rig, &promises.until_now());
            let Some(file) = next else {
                std::thread::yield_now();
                continue;
            };
            match post(base, &file) {
                Ok(status) => assert_eq!(status, 201),
                Err(_) => return,
            }
            desk.lock().unwrap().given.last_mut().unwrap().1 = true;
        }
    }

    fn acknowledged(&self) -> usize {
        self.given.iter().filter(|(_, acknowledged)| *acknowledged).count()
    }
}

impl Shown {
    /// Takes a checkpoint; the log must be as every other of its size has said.
    fn take(&mut self, rig: &Rig, server: &Server) -> Head {
        let organization = &rig.organization;
        let instance = organization.chain.instance();
        let note = server.get_as_courier(&organization.courier, instance, "/v1/log/checkpoint", "");
        let checkpoint = UntrustedCheckpoint::parse(&note).unwrap();
        let head = checkpoint.verify(instance, &[organization.log]).unwrap().head();
        assert_eq!(
            *self.0.entry(head.size).or_insert(head.root),
            head.root,
            "size {}",
            head.size
        );
        head
    }

    /// Every checkpoint until now was of a tree that this one begins with.
    fn are_prefixes_of(&self, leaves: &[Leaf]) {
        let mut tree = Tree::new();
        for (size, leaf) in (1..).zip(leaves) {
            tree.push(leaf);
            assert!(self.0.get(&size).is_none_or(|root| *root == tree.root()), "size {size}");
        }
        assert!(self.0.keys().all(|size| *size <= leaves.len() as u64));
    }
}

fn deletes(order: &UntrustedOrder) -> Vec<Digest> {
    match &order.claims().what {
        What::Delete(digests) => digests.clone(),
        What::Hang { .. } => Vec::new(),
    }
}

fn order(rig: &Rig, what: What, board: Option<Vec<u8>>) -> OrderFile {
    let draft = Draft {
        instance: rig.organization.chain.instance(),
        id: OrderId::random(&mut rng()),
        epoch: this_epoch(),
        expires: this_epoch().closes(),
        log: Head::empty(),
        what,
    };
    let mut order = draft.to_note().unwrap();
    for signer in &rig.signers {
        order.add_signature(signer).unwrap();
    }
    OrderFile { order, board }
}

/// A board of today, on which nothing hangs.
fn board_order(rig: &Rig) -> OrderFile {
    let (instance, shape) = (rig.organization.chain.instance(), rig.board);
    let salt = Salt::random(&mut rng());
    let (image, _) = board::compose(shape, instance, salt, &Composition::default(), &mut rng());
    let header = Header {
        instance,
        epoch: this_epoch(),
        day: this_epoch().opens(),
        shard: Shard::from_number(0).unwrap(),
        salt,
        image: Digest::of(&image),
    };
    let board = UntrustedBoard::sign(header, image, &rig.signers).unwrap();
    let (shard, header) = (header.shard, board.header_digest());
    order(rig, What::Hang { shard, header }, Some(board.to_bytes()))
}

fn post(base: &str, file: &OrderFile) -> Result<u16, ureq::Error> {
    let answer = ureq::post(format!("{base}/v1/orders")).send(file.to_bytes().unwrap())?;
    Ok(answer.status().as_u16())
}

/// The orders that a server says it has accepted.
fn accepted(rig: &Rig, server: &Server) -> Vec<UntrustedOrder> {
    let (organization, mut orders) = (&rig.organization, Vec::new());
    loop {
        let query = format!("from={}", orders.len());
        let instance = organization.chain.instance();
        let page = server.get_as_courier(&organization.courier, instance, "/v1/log/orders", &query);
        let page: Vec<String> = serde_json::from_slice(&page).unwrap();
        if page.is_empty() {
            return orders;
        }
        orders.extend(page.iter().map(|note| UntrustedOrder::parse(note.as_bytes()).unwrap()));
    }
}

/// What a server that came up again still has, and has no more.
fn verify(rig: &Rig, server: &Server, reports: &[Vec<u8>], desk: &Desk, promised: &Promised, shown: &mut Shown) {
    nothing_is_left(server.data(), reports, &desk.destroyed());
    shown.take(rig, server);
    let leaves = server.leaves(&rig.organization);
    shown.are_prefixes_of(&leaves);
    for leaf in promised.values() {
        assert!(
            leaves.contains(leaf),
            "a destroyed report stays in the log, as every other"
        );
    }

    let orders = accepted(rig, server);
    let ids: BTreeSet<_> = orders.iter().map(|order| order.claims().id).collect();
    assert_eq!(ids.len(), orders.len(), "no order was accepted twice");
    for (file, acknowledged) in &desk.given {
        assert!(
            !acknowledged || ids.contains(&file.order.claims().id),
            "an order is lost"
        );
    }
    // The last one may have arrived or not. Sent again, it is there, once; and so is one that was acknowledged.
    for (file, _) in desk.given.iter().rev().take(2) {
        let known = ids.contains(&file.order.claims().id);
        assert_eq!(post(&server.base, file).unwrap(), if known { 200 } else { 201 });
    }
    let orders = accepted(rig, server);
    assert_eq!(orders.len(), desk.given.len());

    let destroyed: BTreeSet<_> = orders.iter().flat_map(deletes).collect();
    for leaf in &leaves {
        let path = format!("/v1/reports/{}", leaf.digest);
        let (courier, instance) = (&rig.organization.courier, rig.organization.chain.instance());
        let body = server.try_get_as_courier(courier, instance, &path, "");
        if destroyed.contains(&leaf.digest) {
            assert!(matches!(body, Err(ureq::Error::StatusCode(410))));
        } else {
            assert_eq!(Digest::of(&body.unwrap()), leaf.digest, "what nobody ordered is there");
        }
    }
    nothing_is_left(server.data(), reports, &destroyed);
}

/// Bytes in a row by which a report is known.
const WINDOW: usize = 32;
const BLOCK: usize = WINDOW / 2;

/// In no file below a folder are there 32 bytes in a row of any of these reports.
fn nothing_is_left(folder: &Path, reports: &[Vec<u8>], gone: &BTreeSet<Digest>) {
    if let Some(file) = trace(folder, reports, gone) {
        panic!("{} holds a part of a report that was destroyed", file.display());
    }
}

fn trace(folder: &Path, reports: &[Vec<u8>], gone: &BTreeSet<Digest>) -> Option<PathBuf> {
    let gone: Vec<_> = reports
        .iter()
        .filter(|report| gone.contains(&Digest::of(report)))
        .collect();
    // Any 32 bytes in a row have a block of 16 in them that begins at a multiple of 16.
    let blocks: HashMap<&[u8], (&[u8], usize)> = gone
        .iter()
        .flat_map(|report| {
            let places = (0..report.len()).step_by(BLOCK);
            places
                .zip(report.chunks_exact(BLOCK))
                .map(|(at, block)| (block, (report.as_slice(), at)))
        })
        .collect();
    // By their first three bytes: nearly every place is passed at once.
    let place = |block: &[u8]| usize::from(block[0]) << 16 | usize::from(block[1]) << 8 | usize::from(block[2]);
    let mut begins = vec![false; 1 << 24];
    for block in blocks.keys() {
        begins[place(block)] = true;
    }
    files_below(folder).into_iter().find(|file| {
        let bytes = fs::read(file).unwrap();
        bytes.windows(BLOCK).enumerate().any(|(at, window)| {
            begins[place(window)]
                && blocks
                    .get(window)
                    .is_some_and(|(report, offset)| alike(&bytes, at, report, *offset) >= needed(report, *offset))
        })
    })
}

/// How many bytes around `at` are the same as those of `report` around `offset`.
fn alike(bytes: &[u8], at: usize, report: &[u8], offset: usize) -> usize {
    let before = bytes[..at].iter().rev().zip(report[..offset].iter().rev());
    let after = bytes[at..].iter().zip(&report[offset..]);
    before.take_while(|(here, there)| here == there).count() + after.take_while(|(here, there)| here == there).count()
}

/// How many bytes in a row only this report has. The labels in the header, 41 bytes at most, stand in every report, and a few
/// random letters beside them are soon the same somewhere.
fn needed(report: &[u8], offset: usize) -> usize {
    let header = report.windows(5).position(|window| window == b"\n--- ").unwrap();
    if offset <= header { 2 * WINDOW } else { WINDOW }
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] })
        .collect()
}

/// Runs `cut` while 32 post and a desk has reports destroyed, with an order under way.
fn in_the_middle<T: Send>(
    rig: &Rig,
    server: &Server,
    (promises, desk): (&Promises, &Mutex<Desk>),
    reports: &[Vec<u8>],
    cut: impl FnOnce() -> T,
) -> T {
    let over = AtomicBool::new(false);
    let (returned, refused) = rig.while_posting(promises, &server.base, reports, |_| {
        std::thread::scope(|scope| {
            // Also if something is not as it must be: the orders end.
            let _over = guard((), |()| over.store(true, Ordering::Release));
            let ordering = scope.spawn(|| Desk::orders(desk, rig, promises, &server.base, &over));
            let enough = desk.lock().unwrap().acknowledged() + 3 + random_below(4) as usize;
            while desk.lock().unwrap().acknowledged() < enough {
                assert!(!ordering.is_finished(), "an order was refused");
                sleep(Duration::from_millis(1));
            }
            sleep(Duration::from_micros(random_below(20_000)));
            cut()
        })
    });
    assert!(refused.is_empty(), "{refused:?}");
    returned
}

#[test]
fn killed_while_reports_are_destroyed_what_was_acknowledged_is_gone_and_every_order_is_there_once() {
    let folder = tempfile::tempdir().unwrap();
    let (rig, mut server) = Rig::found(folder.path());
    let (promises, desk) = (Promises::default(), Mutex::new(Desk::default()));
    let (mut reports, mut shown) = (Vec::new(), Shown::default());
    for round in 1..=rounds(2) {
        let new = rig.seal(PER_ROUND);
        shown.take(&rig, &server);
        in_the_middle(&rig, &server, (&promises, &desk), &new, || {
            shown.take(&rig, &server);
            kill(&server);
        });
        server.ends();
        reports.extend(new);
        let mut desk = desk.lock().unwrap();
        let destroyed = desk.destroyed();
        assert!(!destroyed.is_empty());
        let kept: BTreeSet<_> = promises
            .until_now()
            .into_keys()
            .filter(|digest| !desk.chosen.contains(digest))
            .collect();
        assert!(trace(server.data(), &reports, &kept).is_some(), "the test finds traces");
        // Before anything was repaired, too.
        nothing_is_left(server.data(), &reports, &destroyed);
        server.start();
        verify(&rig, &server, &reports, &desk, &promises.until_now(), &mut shown);
        desk.given.iter_mut().for_each(|(_, acknowledged)| *acknowledged = true);
        println!(
            "kill among deletions {round}: {} orders, {} destroyed before it, {} after it, {} in the log",
            desk.given.len(),
            destroyed.len(),
            desk.destroyed().len(),
            shown.take(&rig, &server).size,
        );
    }
}

#[test]
fn the_power_cut_while_reports_are_destroyed_what_was_acknowledged_is_gone_and_every_order_is_there_once() {
    let disk = LoopDisk::new();
    let (rig, mut server) = Rig::found(disk.live());
    let (promises, desk) = (Promises::default(), Mutex::new(Desk::default()));
    let (mut reports, mut shown) = (Vec::new(), Shown::default());
    for round in 1..=rounds(2) {
        let new = rig.seal(PER_ROUND);
        let (before, promised, clone) = in_the_middle(&rig, &server, (&promises, &desk), &new, || {
            let before = desk.lock().unwrap().given.clone();
            let cut = (before, promises.until_now(), disk.cut());
            // The live one has nothing more to do in this round.
            kill(&server);
            cut
        });
        server.ends();
        reports.extend(new);
        let data = clone.path().join("server");
        let then = Desk {
            chosen: BTreeSet::new(),
            given: before,
        };
        nothing_is_left(&data, &reports, &then.destroyed());
        let found = server
            .on_a_copy(&data)
            .unwrap_or_else(|said| panic!("it does not start: {said}"));
        // On the disk that was cut there may be what came after the last look at what was acknowledged.
        let mut of_clone = Shown::default();
        let size = of_clone.take(&rig, &found).size;
        let (there, then) = (accepted(&rig, &found), then.given);
        let mut desk = desk.lock().unwrap();
        let given = desk.given[..there.len().max(then.len())].iter().cloned();
        let then: Vec<_> = given
            .enumerate()
            .map(|(at, (file, _))| (file, then.get(at).is_some_and(|(_, acknowledged)| *acknowledged)))
            .collect();
        let destroyed = Desk {
            chosen: BTreeSet::new(),
            given: then,
        };
        verify(&rig, &found, &reports, &destroyed, &promised, &mut of_clone);
        let leaves = found.leaves(&rig.organization);
        drop(found);
        drop(clone);

        server.start();
        verify(&rig, &server, &reports, &desk, &promises.until_now(), &mut shown);
        desk.given.iter_mut().for_each(|(_, acknowledged)| *acknowledged = true);
        of_clone.are_prefixes_of(&leaves);
        of_clone.are_prefixes_of(&server.leaves(&rig.organization));
        println!(
            "power cut among deletions {round}: {} orders on it, {} destroyed before it, {size} in the log",
            there.len(),
            destroyed.destroyed().len(),
        );
    }
}
