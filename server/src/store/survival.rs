//! What the embedded store survives, and what it refuses to go on with.

use std::{
    fs::{self, File},
    os::unix::fs::{FileExt, MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    process::Command,
};

use marram_crypto::{digest::Digest, leaf::Leaf};

use super::{
    Appended, Body, Embedded, OpenError, Put, Settings, Store, StoreError,
    contract::{body, bytes, content, contract_tests, epoch, today},
    ledger::{CommitError, Ledger},
    queue::{Collector, Job, Next},
    segments::{Ends, Extent, Segments},
};

/// Small, so that a test sees several segments, and a full disk is far away.
pub(super) const SETTINGS: Settings = Settings {
    segment_bytes: 20_000,
    reserve_bytes: 0,
    queue_bytes: 1 << 20,
};

pub(super) fn open(folder: &Path) -> Embedded {
    // Whatever process another test starts has this one's open files, and so the lock, until it is that program.
    for _ in 0..100 {
        match Embedded::open(folder, SETTINGS) {
            Err(OpenError::Locked { .. }) => std::thread::sleep(std::time::Duration::from_millis(10)),
            opened => return opened.unwrap(),
        }
    }
    panic!("the folder stayed locked")
}

pub(super) fn empty() -> (tempfile::TempDir, Embedded) {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    (folder, store)
}

contract_tests!(empty());

/// Appends reports one by one, so that each is a group of its own. Returns their leaves and where the ledger ended
/// after each.
pub(super) async fn fill(store: &Embedded, ledger: &Path, seeds: std::ops::Range<u32>, len: usize) -> Vec<(Leaf, u64)> {
    let mut filled = Vec::new();
    for seed in seeds {
        let body = Body::in_memory(bytes(seed, len)).unwrap();
        let appended = store.append(body, epoch(), today()).await.unwrap();
        filled.push((*appended.leaf(), fs::metadata(ledger).unwrap().len()));
    }
    filled
}

pub(super) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

pub(super) fn files_in(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(files_in(&path));
        }
        files.push(path);
    }
    files
}

#[tokio::test]
async fn two_servers_never_share_a_folder() {
    let (folder, store) = empty();
    assert!(matches!(
        Embedded::open(folder.path(), SETTINGS),
        Err(OpenError::Locked { .. })
    ));
    store.close().await.unwrap();
    open(folder.path());
    open(folder.path());
}

#[tokio::test]
async fn a_clean_stop_keeps_the_view_and_any_other_rebuilds_it() {
    let (folder, store) = empty();
    let ledger = folder.path().join("ledger");
    fill(&store, &ledger, 0..20, 64).await;
    let note = b"manifest".to_vec();
    store
        .put_manifest(epoch(), 1, Digest::of(&note), note.clone())
        .await
        .unwrap();
    let leaves = store.leaves(0, 100).await.unwrap();
    let manifests = store.manifests(epoch()).await.unwrap();
    store.close().await.unwrap();
    drop(store);
    for clean in [true, false, false, true, true] {
        let store = open(folder.path());
        assert!(
            !folder.path().join("clean").exists(),
            "a stop is clean only after it happened"
        );
        assert_eq!(store.leaves(0, 100).await.unwrap(), leaves);
        assert_eq!(store.manifests(epoch()).await.unwrap(), manifests);
        assert_eq!(
            store
                .put_manifest(epoch(), 1, Digest::of(&note), note.clone())
                .await
                .unwrap(),
            Put::Repeated
        );
        if clean {
            store.close().await.unwrap();
        }
        drop(store);
        let store = open(folder.path());
        assert_eq!(store.rebuilt(), !clean);
        store.close().await.unwrap();
    }
}

#[tokio::test]
async fn a_view_that_is_gone_cut_or_noise_costs_nothing() {
    let (folder, store) = empty();
    fill(&store, &folder.path().join("ledger"), 0..20, 64).await;
    let leaves = store.leaves(0, 100).await.unwrap();
    store.close().await.unwrap();
    drop(store);

    let files: Vec<_> = files_in(&folder.path().join("view"))
        .into_iter()
        .filter(|path| path.is_file())
        .collect();
    assert!(!files.is_empty());
    let harms: [&dyn Fn(&Path); 4] = [
        &|file| fs::remove_file(file).unwrap(),
        &|file| {
            File::options()
                .write(true)
                .open(file)
                .unwrap()
                .set_len(fs::metadata(file).unwrap().len() / 2)
                .unwrap();
        },
        &|file| {
            fs::write(
                file,
                vec![0xA5; usize::try_from(fs::metadata(file).unwrap().len()).unwrap() + 1],
            )
            .unwrap();
        },
        &|file| fs::remove_dir_all(file.parent().unwrap()).unwrap(),
    ];
    for harm in harms {
        for file in &files {
            let harmed = tempfile::tempdir().unwrap();
            copy(folder.path(), harmed.path());
            harm(&harmed.path().join(file.strip_prefix(folder.path()).unwrap()));
            let store = open(harmed.path());
            assert!(store.rebuilt());
            assert_eq!(store.leaves(0, 100).await.unwrap(), leaves);
            assert_eq!(content(&store, leaves[7].digest).await.unwrap(), bytes(7, 64));
        }
    }
}

#[tokio::test]
async fn a_ledger_cut_at_any_byte_keeps_every_report_acknowledged_before_the_cut() {
    let (folder, store) = empty();
    let filled = fill(&store, &folder.path().join("ledger"), 0..3, 64).await;
    drop(store);
    let whole = fs::metadata(folder.path().join("ledger")).unwrap().len();
    for cut in 0..whole {
        let torn = tempfile::tempdir().unwrap();
        copy(folder.path(), torn.path());
        File::options()
            .write(true)
            .open(torn.path().join("ledger"))
            .unwrap()
            .set_len(cut)
            .unwrap();
        let store = open(torn.path());
        let survived: Vec<_> = filled
            .iter()
            .filter(|(_, end)| *end <= cut)
            .map(|(leaf, _)| *leaf)
            .collect();
        assert_eq!(store.leaves(0, 10).await.unwrap(), survived, "cut at {cut}");
        for (leaf, seed) in survived.iter().zip(0..) {
            assert_eq!(content(&store, leaf.digest).await.unwrap(), bytes(seed, 64));
        }
        // Bodies that the ledger no longer knows are gone, and their place is free.
        let appended = store.append(body(9), epoch(), today()).await.unwrap();
        assert!(matches!(appended, Appended::Fresh { index, .. } if index == survived.len() as u64));
        drop(store);
        let segment = fs::metadata(torn.path().join("segments/00000001")).unwrap().len();
        assert_eq!(segment, survived.len() as u64 * 64 + 4096);
    }
}

#[tokio::test]
async fn a_segment_cut_at_any_byte_keeps_every_leaf_and_every_body_before_the_cut() {
    let (folder, store) = empty();
    let filled = fill(&store, &folder.path().join("ledger"), 0..3, 64).await;
    drop(store);
    for cut in 0..192 {
        let torn = tempfile::tempdir().unwrap();
        copy(folder.path(), torn.path());
        let segment = torn.path().join("segments/00000001");
        File::options()
            .write(true)
            .open(&segment)
            .unwrap()
            .set_len(cut)
            .unwrap();
        let store = open(torn.path());
        assert_eq!(store.size().await.unwrap(), 3, "the log never shrinks");
        for ((leaf, _), seed) in filled.iter().zip(0..) {
            if u64::from(seed + 1) * 64 <= cut {
                assert_eq!(content(&store, leaf.digest).await.unwrap(), bytes(seed, 64));
            } else {
                assert!(matches!(
                    store.read(leaf.digest, 0..64).await,
                    Err(StoreError::BodyLost { segment: 1 })
                ));
            }
        }
        assert_eq!(
            store.append(body(9), epoch(), today()).await.unwrap().leaf().log2_size,
            12
        );
        drop(store);
        // A restored segment fits again.
        fs::copy(folder.path().join("segments/00000001"), &segment).unwrap();
        let store = open(torn.path());
        assert_eq!(content(&store, filled[2].0.digest).await.unwrap(), bytes(2, 64));
        assert_eq!(
            content(&store, Digest::of(&bytes(9, 4096))).await.unwrap(),
            bytes(9, 4096)
        );
    }
}

#[tokio::test]
async fn what_an_interrupted_commit_left_in_the_segments_is_cut() {
    let (folder, store) = empty();
    fill(&store, &folder.path().join("ledger"), 0..3, 64).await;
    drop(store);
    let segments = folder.path().join("segments");
    let segment = File::options().write(true).open(segments.join("00000001")).unwrap();
    segment.write_all_at(&[1; 1000], 192).unwrap();
    fs::write(segments.join("00000002"), [2; 1000]).unwrap();
    let store = open(folder.path());
    assert_eq!(segment.metadata().unwrap().len(), 192);
    assert!(!segments.join("00000002").exists());
    assert_eq!(store.size().await.unwrap(), 3);
}

#[tokio::test]
async fn whatever_a_kill_interrupts_with_small_segments_the_next_start_works() {
    let small = Settings {
        segment_bytes: 32 << 10,
        ..SETTINGS
    };
    let folder = tempfile::tempdir().unwrap();
    let store = Embedded::open(folder.path(), small).unwrap();
    let filled = fill(&store, &folder.path().join("ledger"), 0..3, 4096).await;
    drop(store);

    let (sender, receiver) = tokio::sync::mpsc::channel(100);
    let room = std::sync::Arc::new(tokio::sync::Semaphore::new(100));
    // 200 KiB in all, one longer than a segment, all waiting at once.
    for (seed, len) in (100..).zip(
        [4096, 16 << 10, 4096, 64 << 10, 4096, 8192]
            .into_iter()
            .cycle()
            .take(40),
    ) {
        let job = Job::Append {
            body: Body::in_memory(bytes(seed, len)).unwrap(),
            epoch: epoch(),
            today: today(),
            reply: tokio::sync::oneshot::channel().0,
            memory: std::sync::Arc::clone(&room).try_acquire_owned().unwrap(),
        };
        assert!(sender.try_send(job).is_ok());
    }
    drop(sender);
    let mut collector = Collector::new(receiver, small.segment_bytes);
    let groups = tokio::task::spawn_blocking(move || {
        std::iter::from_fn(|| match collector.next(None) {
            Next::Group(jobs) => Some(jobs),
            _ => None,
        })
        .collect::<Vec<_>>()
    });
    let groups = groups.await.unwrap();
    assert_eq!(groups.iter().map(Vec::len).sum::<usize>(), 40, "none is lost");
    assert!(groups.len() < 40, "they do share groups");
    let extent = Extent {
        end: 3 * 4096,
        reports: 3,
        erased: 0,
    };
    let ends = Ends::from([(1, extent)]);
    for group in groups {
        // Everything of the group is written, and then nothing more: no record in the ledger.
        let mut segments = Segments::open(&folder.path().join("segments"), &ends, small.segment_bytes).unwrap();
        for job in group {
            let Job::Append { mut body, .. } = job else { panic!() };
            segments.append(&mut body).unwrap();
        }
        segments.sync().unwrap();
        drop(segments);
        let store = Embedded::open(folder.path(), small).unwrap();
        assert_eq!(store.size().await.unwrap(), 3);
        assert_eq!(content(&store, filled[2].0.digest).await.unwrap(), bytes(2, 4096));
    }
}

#[tokio::test]
async fn a_lost_ledger_does_not_cost_the_bodies() {
    let (folder, store) = empty();
    fill(&store, &folder.path().join("ledger"), 0..10, 4096).await;
    store.close().await.unwrap();
    drop(store);
    fs::remove_file(folder.path().join("ledger")).unwrap();
    assert!(matches!(
        Embedded::open(folder.path(), SETTINGS),
        Err(OpenError::LedgerLost { .. })
    ));
    assert_eq!(
        fs::metadata(folder.path().join("segments/00000001")).unwrap().len(),
        4 * 4096
    );
}

#[tokio::test]
async fn a_store_shorter_than_at_its_clean_stop_does_not_start() {
    let (folder, store) = empty();
    let filled = fill(&store, &folder.path().join("ledger"), 0..3, 64).await;
    store.close().await.unwrap();
    drop(store);
    let ledger = File::options().write(true).open(folder.path().join("ledger")).unwrap();
    ledger.set_len(filled[1].1).unwrap();
    let refused = Embedded::open(folder.path(), SETTINGS).unwrap_err();
    assert!(matches!(refused, OpenError::Shortened { .. }), "{refused}");
    assert_eq!(
        fs::metadata(folder.path().join("segments/00000001")).unwrap().len(),
        192,
        "nothing was cut"
    );
    // The way out that the message names.
    fs::remove_file(folder.path().join("clean")).unwrap();
    assert_eq!(open(folder.path()).size().await.unwrap(), 2);
}

#[tokio::test]
async fn noise_in_the_middle_of_the_ledger_is_refused_with_its_place() {
    let (folder, store) = empty();
    let filled = fill(&store, &folder.path().join("ledger"), 0..3, 64).await;
    drop(store);
    let ledger = File::options().write(true).open(folder.path().join("ledger")).unwrap();
    ledger.write_all_at(b"noise", filled[0].1 + 40).unwrap();
    let refused = Embedded::open(folder.path(), SETTINGS).unwrap_err();
    assert!(
        matches!(refused, OpenError::Damaged { offset, .. } if offset == filled[0].1),
        "{refused}"
    );
}

#[tokio::test]
async fn a_store_dropped_while_many_append_has_every_acknowledged_report() {
    let (folder, store) = empty();
    let store = std::sync::Arc::new(store);
    let writers: Vec<_> = (0..32)
        .map(|writer| {
            let store = std::sync::Arc::clone(&store);
            tokio::spawn(async move {
                let mut acknowledged = Vec::new();
                for seed in 0..50 {
                    match store.append(body(writer * 100 + seed), epoch(), today()).await {
                        Ok(appended) => acknowledged.push(*appended.leaf()),
                        Err(StoreError::Closed) => break,
                        Err(error) => panic!("{error}"),
                    }
                }
                acknowledged
            })
        })
        .collect();
    tokio::task::yield_now().await;
    store.close().await.unwrap();
    let mut acknowledged = Vec::new();
    for writer in writers {
        acknowledged.extend(writer.await.unwrap());
    }
    drop(store);
    let store = open(folder.path());
    assert_eq!(store.size().await.unwrap(), acknowledged.len() as u64);
    for leaf in acknowledged {
        assert_eq!(Digest::of(&content(&store, leaf.digest).await.unwrap()), leaf.digest);
    }
}

/// sled writes in the background: its files get some moments, and then must stay as they are.
fn view_shows_days_only(folder: &Path) {
    let view = folder.join("view");
    let finer = || {
        let mut files = files_in(&view);
        files.push(view.clone());
        files
            .into_iter()
            .find(|file| fs::metadata(file).is_ok_and(|found| found.mtime() % 86_400 != 0 || found.mtime_nsec() != 0))
    };
    let settled = (0..100).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(20));
        finer().is_none()
    });
    assert!(settled, "{:?}", finer());
}

#[tokio::test]
async fn no_file_that_holds_reports_shows_more_than_the_day_or_is_open_to_others() {
    let (folder, store) = empty();
    fill(&store, &folder.path().join("ledger"), 0..10, 4096).await;
    for file in files_in(&folder.path().join("segments"))
        .into_iter()
        .chain([folder.path().join("ledger")])
    {
        let found = fs::metadata(&file).unwrap();
        assert_eq!(
            (found.mtime() % 86_400, found.mtime_nsec()),
            (0, 0),
            "{}",
            file.display()
        );
        assert_eq!(found.permissions().mode() & 0o777, 0o600, "{}", file.display());
    }
    assert_eq!(
        fs::metadata(folder.path().join("segments")).unwrap().mtime() % 86_400,
        0
    );
    // While it runs, and after a kill: what a killed process leaves is what stands there while it runs.
    view_shows_days_only(folder.path());
    let killed = tempfile::tempdir().unwrap();
    copy(folder.path(), killed.path());
    let restarted = open(killed.path());
    assert!(restarted.rebuilt());
    view_shows_days_only(killed.path());
    restarted.append(body(77), epoch(), today()).await.unwrap();
    view_shows_days_only(killed.path());
    store.close().await.unwrap();
    view_shows_days_only(folder.path());
    for private in ["segments", "view"] {
        assert_eq!(
            fs::metadata(folder.path().join(private)).unwrap().permissions().mode() & 0o777,
            0o700
        );
    }
}

/// A small disk: a tmpfs. `./tests/run` sees to it that the tests may mount one, whoever runs them.
pub(super) struct SmallDisk(pub(super) tempfile::TempDir);

impl SmallDisk {
    pub(super) fn new(mib: u32) -> Self {
        Self::mount("tmpfs", &format!("size={mib}m"))
    }

    /// One whose files can have no holes.
    pub(super) fn without_holes() -> Self {
        Self::mount("ramfs", "mode=700")
    }

    fn mount(kind: &str, options: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mount = Command::new("mount")
            .args(["-t", kind, "-o", options, "marram-test"])
            .arg(folder.path())
            .output()
            .unwrap();
        assert!(
            mount.status.success(),
            "a {kind} could not be mounted: run ./tests/run, or the tests within `unshare --map-root-user --mount`. {}",
            String::from_utf8_lossy(&mount.stderr)
        );
        Self(folder)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("--lazy").arg(self.0.path()).output());
    }
}

#[tokio::test]
async fn a_full_disk_refuses_reports_and_recovers_without_hands() {
    let disk = SmallDisk::new(32);
    let folder = disk.0.path().join("store");
    let settings = Settings {
        reserve_bytes: 4 << 20,
        ..Settings::default()
    };
    let store = Embedded::open(&folder, settings).unwrap();
    fs::write(disk.0.path().join("ballast"), vec![1; 8 << 20]).unwrap();

    let big = |seed| Body::in_memory(bytes(seed, 1 << 20)).unwrap();
    let mut seed = 0;
    let mut acknowledged = Vec::new();
    loop {
        match store.append(big(seed), epoch(), today()).await {
            Ok(appended) => acknowledged.push(*appended.leaf()),
            Err(StoreError::Full) => break,
            Err(error) => panic!("{error}"),
        }
        seed += 1;
        assert!(seed < 40, "the disk never became full");
    }
    assert!(acknowledged.len() > 3);
    assert_eq!(store.size().await.unwrap(), acknowledged.len() as u64);
    fs::remove_file(disk.0.path().join("ballast")).unwrap();
    acknowledged.push(*store.append(big(seed), epoch(), today()).await.unwrap().leaf());
    drop(store);

    let store = Embedded::open(&folder, settings).unwrap();
    assert_eq!(store.leaves(0, 100).await.unwrap(), acknowledged);
    for leaf in acknowledged {
        assert_eq!(Digest::of(&content(&store, leaf.digest).await.unwrap()), leaf.digest);
    }
}

#[test]
fn a_write_that_the_disk_refuses_half_way_is_undone() {
    let disk = SmallDisk::new(1);
    let path = disk.0.path().join("ledger");
    let mut ledger = Ledger::open(&path, None, |_, _| Ok(())).unwrap();
    ledger.commit(b"before").unwrap();
    let refused = ledger.commit(&vec![1; 2 << 20]);
    let Err(CommitError::Undone(error)) = refused else {
        panic!("{refused:?}")
    };
    assert!(matches!(StoreError::from(error), StoreError::Full));
    assert_eq!(fs::metadata(&path).unwrap().len(), ledger.len());
    ledger.commit(b"after").unwrap();
    let mut payloads = Vec::new();
    let read = |_, payload: &[u8]| {
        payloads.push(payload.to_vec());
        Ok(())
    };
    Ledger::open(&path, None, read).unwrap();
    assert_eq!(payloads, [b"before".to_vec(), b"after".to_vec()]);

    let mut segments = Segments::open(&disk.0.path().join("segments"), &Ends::new(), 4 << 20).unwrap();
    segments.append(&mut body(1)).unwrap();
    segments.sync().unwrap();
    segments.keep(segments.end());
    assert!(
        segments
            .append(&mut Body::in_memory(vec![1; 2 << 20]).unwrap())
            .is_err()
    );
    segments.roll_back().unwrap();
    assert_eq!(segments.append(&mut body(2)).unwrap().offset, 4096);
}
