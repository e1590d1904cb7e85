//! A disk that loses what was not synced, in any order, in parts, and with noise in its place: see `journal`. The real
//! server runs on a real file system, and all it does there is written down; then the power is cut after any of it, many
//! times over.
//!
//! A sync that is missing, or comes too late, is found here; and this needs no root.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use marram_crypto::digest::Digest;
use marram_tests::{programs, server::Server};

use crate::{
    journal::{Journal, Luck},
    random_below,
    rig::{Promises, Rig, root, said_cut, stored_bytes},
    rounds,
};

const PER_ROUND: usize = 150;
/// How often the power is cut in what one run did.
const CUTS: usize = 25;

/// Builds `disk.c`.
pub(crate) fn disk(folder: &Path) -> PathBuf {
    let built = folder.join("disk.so");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("crashes/disk.c");
    programs::succeeds(
        Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .args([&built, &source]),
    );
    built
}

/// Segments so small that a run fills several.
fn with_small_segments(server: &Server) {
    let config = server.data().join("marram-server.toml");
    let text = fs::read_to_string(&config).unwrap();
    let small = text.replace("#segment_bytes = 268435456", "segment_bytes = 1000000");
    assert_ne!(small, text);
    fs::write(config, small).unwrap();
}

#[test]
fn whatever_a_disk_loses_of_what_was_not_synced_nothing_acknowledged_is_lost() {
    for round in 1..=rounds(1) {
        let folder = tempfile::tempdir().unwrap();
        let disk = disk(folder.path());
        let (rig, mut server) = Rig::found(folder.path());
        server.stop();
        with_small_segments(&server);
        let below = server.data().join("store");
        let journal_path = folder.path().join("journal");
        server.set_environment("LD_PRELOAD", &disk);
        server.set_environment("MARRAM_DISK_BELOW", &below);
        server.set_environment("MARRAM_DISK_JOURNAL", &journal_path);
        let mut journal = Journal::begin(&below);
        server.start();
        let promises = Promises::timed_by(&journal_path);
        let ((), refused) = rig.while_posting(&promises, &server.base.clone(), &rig.seal(PER_ROUND), |posting| {
            posting.until(|| posting.acknowledged() == PER_ROUND);
        });
        assert!(refused.is_empty(), "{refused:?}");
        let live = rig.verify(&server, &promises.until_now(), &[]);
        server.stop();
        journal.read(&journal_path);
        assert!(journal.len() > 100, "the disk was watched");

        let mut lost = 0;
        for _ in 0..CUTS {
            let luck =
                [Luck::AllStays, Luck::AllGoes, Luck::Random, Luck::Random, Luck::Random][random_below(5) as usize];
            let count = random_below(journal.len() as u64 + 1) as usize;
            let data = folder.path().join("found");
            fs::create_dir(&data).unwrap();
            for kept in ["log.key", "marram-server.toml"] {
                fs::copy(server.data().join(kept), data.join(kept)).unwrap();
            }
            let at = journal.cut(count, luck, &below, &data.join("store"));
            let promised = promises.before(at);
            let what = format!(
                "cut after {count} of {} things, {luck:?}, {} promised",
                journal.len(),
                promised.len()
            );
            let left = stored_bytes(&data);
            let found = server
                .on_a_copy(&data)
                .unwrap_or_else(|said| panic!("{what}: it does not start: {said}"));
            assert_eq!(
                said_cut(&found.said()),
                left - stored_bytes(&data),
                "{what}: {}",
                found.said()
            );
            let leaves = found.leaves(&rig.organization);
            assert!(
                leaves.len() >= promised.len() && live.starts_with(&leaves),
                "{what}: {} there",
                leaves.len()
            );
            for leaf in promised.values() {
                assert!(leaves.contains(leaf), "{what}: an acknowledged report is lost");
            }
            for leaf in &leaves {
                assert_eq!(
                    Digest::of(&rig.body(&found, leaf)),
                    leaf.digest,
                    "{what}: a body is lost"
                );
            }
            lost += live.len() - leaves.len();
            drop(found);
            fs::remove_dir_all(&data).unwrap();
        }
        println!(
            "harsh disk {round}: {CUTS} cuts in {} changes and syncs, {} acknowledged in all, {lost} unacknowledged lost in all, root {:.16}",
            journal.len(),
            live.len(),
            root(&live).to_string()
        );
        assert!(lost > 0, "no cut fell before the end");
    }
}
