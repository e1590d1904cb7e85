//! How long a start takes that rebuilds the view, and one that need not.
//!
//! The ledger is made directly, in its own format (`server/src/store/ledger.rs`, `record.rs`). The bodies that its leaves
//! name are holes: a start looks how long the segments are, and reads nothing of them. Of orders a start asks each what it
//! still deletes; those here wait, every one of them.

use std::{
    fs::{self, File},
    io::{BufWriter, Write},
    path::Path,
    time::Instant,
};

use marram_crypto::{
    digest::Digest,
    instance::InstanceId,
    key::SigningKey,
    leaf::Leaf,
    order::{self, OrderId, What},
    tree::Tree,
};
use marram_tests::{
    organization::{Organization, rng},
    server::{Server, this_epoch},
};

use crate::process::{median, mib, usage};

/// 32 KiB.
const LOG2_SIZE: u8 = 15;
const BODIES_IN_A_SEGMENT: u64 = 8192;
/// Kinds of records.
const LEAF: u8 = 1;
const ORDER: u8 = 4;
/// As many as 256 submitters make.
const LEAVES_IN_A_GROUP: u64 = 256;

/// Measures, and prints the table.
pub(crate) fn measure(leaves: u64, orders: u64, rounds: usize) {
    let folder = tempfile::tempdir().unwrap();
    let organization = Organization::found();
    let mut server = Server::init(folder.path(), &organization);
    server.stop();
    let store = server.data().join("store");
    let orders = (0..orders).map(|index| order(organization.chain.instance(), index % leaves));
    let orders: Vec<_> = orders.collect();
    fill(&store, leaves, &orders);
    let ledger = fs::metadata(store.join("ledger")).unwrap().len();

    let (mut rebuilding, mut clean, mut reading) = (Vec::new(), Vec::new(), Vec::new());
    let mut peaks = [0; 2];
    let mut start = |server: &mut Server, rebuilds: bool| {
        assert_eq!(store.join("clean").exists(), !rebuilds);
        let began = Instant::now();
        server.start();
        let took = began.elapsed();
        let peak = &mut peaks[usize::from(!rebuilds)];
        *peak = usage(&server.process_id().to_string()).peak.max(*peak);
        took.as_secs_f64()
    };
    // The marker of the stop before the ledger grew says nothing of it.
    fs::remove_file(store.join("clean")).unwrap();
    for _ in 0..rounds {
        let began = Instant::now();
        Digest::of(&fs::read(store.join("ledger")).unwrap());
        reading.push(began.elapsed().as_secs_f64());
        rebuilding.push(start(&mut server, true));
        server.stop();
        clean.push(start(&mut server, false));
        server.kill();
    }
    println!(
        "a ledger of {leaves} leaves and {} orders ({:.0} MiB), {rounds} rounds in turn, medians\n",
        orders.len(),
        mib(ledger)
    );
    println!("what                                    seconds  peak RSS MiB");
    println!(
        "start that rebuilds the view            {:>7.2}  {:>12.1}",
        median(rebuilding),
        mib(peaks[0])
    );
    println!(
        "start after a clean stop                {:>7.2}  {:>12.1}",
        median(clean),
        mib(peaks[1])
    );
    println!("reading and hashing the ledger alone    {:>7.2}", median(reading));
}

/// Appends leaves and orders to a ledger, and makes segments as long as it says.
fn fill(store: &Path, leaves: u64, orders: &[Vec<u8>]) {
    let path = store.join("ledger");
    let mut at = fs::metadata(&path).unwrap().len();
    let mut ledger = BufWriter::new(File::options().append(true).open(&path).unwrap());
    let in_group = usize::try_from(LEAVES_IN_A_GROUP).unwrap();
    let of_leaves = (0..leaves).step_by(in_group).map(|first| {
        let group = first..leaves.min(first + LEAVES_IN_A_GROUP);
        group.flat_map(leaf).collect::<Vec<u8>>()
    });
    for payload in of_leaves.chain(orders.chunks(in_group).map(<[_]>::concat)) {
        let len = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let checksum = Digest::of(&[&at.to_be_bytes()[..], &len, &payload].concat());
        let group = [b"\x89MRMgrp\n", &len[..], &checksum.as_bytes()[..16], &payload].concat();
        ledger.write_all(&group).unwrap();
        at += group.len() as u64;
    }
    ledger.into_inner().unwrap().sync_all().unwrap();
    for (segment, first) in (1..).zip((0..leaves).step_by(usize::try_from(BODIES_IN_A_SEGMENT).unwrap())) {
        let file = File::create_new(store.join(format!("segments/{segment:08}"))).unwrap();
        file.set_len((leaves - first).min(BODIES_IN_A_SEGMENT) << LOG2_SIZE)
            .unwrap();
    }
}

/// A leaf and the place of its body.
fn leaf(index: u64) -> Vec<u8> {
    let leaf = Leaf {
        digest: digest(index),
        epoch: this_epoch(),
        day: this_epoch().opens(),
        log2_size: LOG2_SIZE,
    };
    let segment = u32::try_from(index / BODIES_IN_A_SEGMENT + 1).unwrap();
    let offset = (index % BODIES_IN_A_SEGMENT) << LOG2_SIZE;
    record(
        LEAF,
        &[&leaf.to_bytes()[..], &segment.to_be_bytes(), &offset.to_be_bytes()],
    )
}

/// One that would delete the report of this leaf.
fn order(instance: InstanceId, leaf: u64) -> Vec<u8> {
    let draft = order::Draft {
        instance,
        id: OrderId::random(&mut rng()),
        epoch: this_epoch(),
        expires: this_epoch().closes(),
        log: Tree::new().head(),
        what: What::Delete(vec![digest(leaf)]),
    };
    let mut order = draft.to_note().unwrap();
    order.add_signature(&SigningKey::random(&mut rng())).unwrap();
    record(
        ORDER,
        &[draft.id.as_bytes(), order.digest().as_bytes(), &order.to_bytes()],
    )
}

fn digest(leaf: u64) -> Digest {
    Digest::of(&leaf.to_be_bytes())
}

fn record(kind: u8, fields: &[&[u8]]) -> Vec<u8> {
    let fields = fields.concat();
    let len = u32::try_from(fields.len()).unwrap();
    [&[kind], &len.to_be_bytes()[..], &fields].concat()
}
