//! A disk that somebody else fills while reports come: a clear refusal, nothing lost, and when there is room again, reports
//! are taken again, with nobody doing anything to the server.

use std::{
    fs::{self, File},
    io::Write,
    path::Path,
};

use crate::{
    loop_disk::Mount,
    rig::{Promises, Rig},
    rounds,
};

/// What the server leaves to others, as it is configured by default; and room for some sixty reports.
const LEFT: u64 = (32 << 20) + (2 << 20);
/// MiB of a disk that nobody fills: large uploads are taken while twice that is left.
const ROOMY: usize = 128;
/// MiB that the reports of a round take: 215 of the smallest size, 5 with an attachment.
const ROUND: usize = 20;

/// Writes a file that leaves so much room.
fn leave(path: &Path, left: u64) {
    let disk = rustix::fs::statvfs(path.parent().unwrap()).unwrap();
    let taken = (disk.f_bavail * disk.f_frsize).checked_sub(left).unwrap();
    File::create(path)
        .unwrap()
        .write_all(&vec![1; usize::try_from(taken).unwrap()])
        .unwrap();
}

/// Goes on with the file until the disk has not a byte left.
fn fill(path: &Path) {
    let mut file = File::options().append(true).create(true).open(path).unwrap();
    for len in [1 << 20, 4096, 1] {
        while file.write_all(&vec![1; len]).is_ok() {}
    }
}

#[test]
fn a_disk_filled_by_others_refuses_reports_serves_readers_and_recovers_without_hands() {
    let folder = tempfile::tempdir().unwrap();
    let rounds = rounds(2);
    let disk = Mount::memory(&folder.path().join("disk"), ROOMY + ROUND * rounds);
    let (rig, mut server) = Rig::found(disk.path());
    let promises = Promises::default();
    for round in 1..=rounds {
        let reports = rig.seal(220);
        let ballast = disk.path().join("ballast");
        leave(&ballast, LEFT);
        let base = server.base.clone();
        let ((), refused) = rig.while_posting(&promises, &base, &reports, |posting| {
            // The reports themselves fill what is theirs; then others take the rest, which the server had left.
            posting.until(|| posting.refused() > 0);
            fill(&ballast);
            let before = posting.refused();
            posting.until(|| posting.refused() >= before + 200);
            // Readers are served.
            let seen = server.leaves(&rig.organization);
            rig.verify(&server, &promises.until_now(), &seen);
            let (status, said) = server.health();
            assert_eq!(status, 503);
            assert!(said.contains("full"), "{said}");
            fs::remove_file(&ballast).unwrap();
            posting.until(|| posting.acknowledged() == reports.len());
        });
        println!(
            "full disk {round}: {} acknowledged, refused: {refused:?}\n{}",
            promises.until_now().len(),
            server.said()
        );
        assert_eq!(server.health().0, 200);
        rig.verify(&server, &promises.until_now(), &[]);
        server.kill();
        server.start();
        rig.verify(&server, &promises.until_now(), &[]);
    }
}

#[test]
fn a_stop_and_a_start_on_a_full_disk_lose_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let disk = Mount::memory(&folder.path().join("disk"), ROOMY + ROUND);
    let (rig, mut server) = Rig::found(disk.path());
    let promises = Promises::default();
    let base = server.base.clone();
    rig.while_posting(&promises, &base, &rig.seal(100), |posting| {
        posting.until(|| posting.acknowledged() == 100);
    });
    let ballast = disk.path().join("ballast");
    fill(&ballast);
    server.ask_to_stop();
    // The view cannot be closed cleanly without room. That is no loss: it is made again from the ledger.
    server.ends();
    // Reading needs no room: where the view finds none, the start says that the disk is full, and nothing worse happens.
    if let Err(said) = server.try_start() {
        assert!(said.contains("No space left on device"), "{said}");
    } else {
        rig.verify(&server, &promises.until_now(), &[]);
        server.kill();
    }
    fs::remove_file(&ballast).unwrap();
    server
        .try_start()
        .unwrap_or_else(|said| panic!("it does not start with room again: {said}"));
    assert_eq!(rig.verify(&server, &promises.until_now(), &[]).len(), 100);
}
