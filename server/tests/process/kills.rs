//! Killed, and started again.

use std::{
    collections::BTreeMap,
    fs,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use marram_crypto::{checkpoint::UntrustedCheckpoint, digest::Digest, tree::Tree};
use marram_server::store::{Embedded, Settings, Store, StoreError};
use rustix::process::Signal;

use crate::{
    Installed,
    harness::{delete, order_file, order_of, sealed, send, signed_get, signer, trace},
    post, submit, today_epoch,
};

#[test]
fn killed_while_32_submit_every_acknowledged_report_is_there() {
    let (installed, process) = Installed::new(|config| config);
    let reports: Vec<_> = (0..64).map(|_| sealed(&installed.manifest, 0)).collect();
    let acknowledged = Mutex::new(Vec::new());
    let mut process = Some(process);
    for round in 0..3_u8 {
        let running = process.take().unwrap_or_else(|| installed.start());
        let (stop, count) = (AtomicBool::new(false), AtomicU32::new(0));
        std::thread::scope(|scope| {
            for submitter in 0..32_u8 {
                let (address, reports, acknowledged, stop, count) =
                    (running.address, &reports, &acknowledged, &stop, &count);
                scope.spawn(move || {
                    for n in 0.. {
                        // A fresh ciphertext without sealing anew: its last byte authenticates to nobody here.
                        let mut report = reports[usize::from(n % 64)].clone();
                        let end = report.len();
                        report[end - 3..].copy_from_slice(&[round, submitter, n]);
                        if stop.load(Ordering::Relaxed) || !submit(address, &report) {
                            return;
                        }
                        acknowledged.lock().unwrap().push(Digest::of(&report));
                        count.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
            while count.load(Ordering::Relaxed) < 100 {
                std::thread::yield_now();
            }
            running.signal(Signal::KILL);
            stop.store(true, Ordering::Relaxed);
        });
        running.end();
    }

    // sled's folder lost as well.
    fs::remove_dir_all(installed.data().join("store/view")).unwrap();
    let store = Embedded::open(&installed.data().join("store"), Settings::default()).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let acknowledged = acknowledged.into_inner().unwrap();
    assert!(acknowledged.len() >= 300);
    for digest in acknowledged {
        let stored = runtime.block_on(async {
            let mut bytes = Vec::new();
            let mut reader = store
                .read(digest, 0..u64::MAX)
                .await
                .unwrap()
                .expect("an acknowledged report is lost");
            tokio::io::AsyncReadExt::read_to_end(&mut reader, &mut bytes)
                .await
                .unwrap();
            bytes
        });
        assert_eq!(Digest::of(&stored), digest);
    }
}

#[test]
fn killed_in_the_middle_of_deleting_a_server_finishes_it_at_the_next_start() {
    let (installed, process) = Installed::new(|config| config);
    let instance = installed.organization.chain.instance();
    let reports: Vec<_> = (0..44).map(|_| sealed(&installed.manifest, 0)).collect();
    for report in &reports {
        assert!(submit(process.address, report));
    }
    let ledger = installed.data().join("store/ledger");
    let mut process = Some(process);
    // How often the ledger has grown when it is killed: by the order, by the deletions, by what says that they are gone.
    for (round, grown) in [0, 1, 2, 3].into_iter().enumerate() {
        let running = process.take().unwrap_or_else(|| installed.start());
        let doomed: Vec<&[u8]> = reports[round * 10..round * 10 + 10].iter().map(Vec::as_slice).collect();
        let draft = order_of(instance, today_epoch(), delete(&doomed));
        let file = order_file(&draft, &[signer(today_epoch(), 0), signer(today_epoch(), 1)], None);
        let len = || fs::metadata(&ledger).unwrap().len();
        std::thread::scope(|scope| {
            let address = running.address;
            let (mut last, mut seen) = (len(), 0);
            let file = &file;
            let sent = scope.spawn(move || post(address, "/v1/orders", file));
            while seen < grown && !sent.is_finished() {
                let now = len();
                if now > last {
                    (last, seen) = (now, seen + 1);
                }
            }
            running.signal(Signal::KILL);
        });
        running.end();

        let running = installed.start();
        // The courier, who got no answer, sends it again.
        assert!(post(running.address, "/v1/orders", &file));
        let left = || trace(&installed.data(), &doomed.concat());
        let gone = (0..500).any(|_| {
            std::thread::sleep(std::time::Duration::from_millis(20));
            left().is_none()
        });
        assert!(gone, "round {round}: {:?}", left());
        process = Some(running);
    }
    process.take().unwrap().terminate();

    let store = Embedded::open(&installed.data().join("store"), Settings::default()).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let kept = runtime.block_on(store.kept(0, 100)).unwrap();
    let digests: Vec<_> = kept.iter().map(|(_, leaf)| leaf.digest).collect();
    let expected: Vec<_> = reports[40..].iter().map(|report| Digest::of(report)).collect();
    assert_eq!(digests, expected);
    for report in &reports[..40] {
        let read = runtime.block_on(store.read(Digest::of(report), 0..9));
        assert!(matches!(read, Err(StoreError::Destroyed)));
    }
    assert_eq!(trace(&installed.data(), &reports[..40].concat()), None);
}

#[test]
fn two_checkpoints_of_one_size_never_differ_over_kills() {
    let (installed, process) = Installed::new(|config| config);
    let instance = installed.organization.chain.instance();
    let report = sealed(&installed.manifest, 0);
    let seen = Mutex::new(BTreeMap::<u64, Digest>::new());
    let mut process = Some(process);
    for round in 0..4_u8 {
        let running = process.take().unwrap_or_else(|| installed.start());
        let (stop, count) = (AtomicBool::new(false), AtomicU32::new(0));
        std::thread::scope(|scope| {
            for submitter in 0..8_u8 {
                let (address, report, stop, count) = (running.address, &report, &stop, &count);
                scope.spawn(move || {
                    for n in 0.. {
                        let mut report = report.clone();
                        let end = report.len();
                        report[end - 3..].copy_from_slice(&[round, submitter, n]);
                        if stop.load(Ordering::Relaxed) || !submit(address, &report) {
                            return;
                        }
                        count.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
            while count.load(Ordering::Relaxed) < 100 {
                let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
                let signed = signed_get("/v1/log/checkpoint", &installed.organization.courier, instance, now);
                let answer = send(running.address, "GET", "/v1/log/checkpoint", &signed, b"").expect(200);
                let checkpoint = UntrustedCheckpoint::parse(&answer.body).unwrap();
                let head = checkpoint.verify(instance, &[installed.log_key]).unwrap().head();
                let before = seen.lock().unwrap().insert(head.size, head.root);
                assert!(
                    before.is_none_or(|root| root == head.root),
                    "a fork at size {}",
                    head.size
                );
            }
            running.signal(Signal::KILL);
            stop.store(true, Ordering::Relaxed);
        });
        running.end();
    }
    let store = Embedded::open(&installed.data().join("store"), Settings::default()).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let leaves = runtime.block_on(store.leaves(0, 100_000)).unwrap();
    let seen = seen.into_inner().unwrap();
    assert!(seen.len() > 4, "{} checkpoints", seen.len());
    let mut tree = Tree::new();
    let mut confirmed = 0;
    for size in 0..=leaves.len() {
        if let Some(root) = seen.get(&(size as u64)) {
            assert_eq!(*root, tree.root(), "size {size}");
            confirmed += 1;
        }
        if let Some(leaf) = leaves.get(size) {
            tree.push(leaf);
        }
    }
    assert_eq!(confirmed, seen.len(), "nothing that was signed is missing from the log");
}
