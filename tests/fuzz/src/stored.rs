//! The server's folder, as a disk or a hand may have left it.

use std::{fs, sync::LazyLock};

use marram_crypto::digest::Hasher;
use marram_server::store::{Appended, Body, Embedded, Settings, Store};
use marram_terminal::secret_file::read_wrapped;
use tokio::runtime::Runtime;

use crate::world::epoch;

/// As the first byte: what follows is the file. Otherwise it is the payloads of groups, each after its length (two bytes,
/// big-endian), and they are put into groups with the right checksums.
pub(crate) const FILE: u8 = b'f';

const HEADER: &[u8] = b"marram/ledger/v1\n";
/// Length in bytes of what stands before a group's payload.
const GROUP_HEAD_LEN: usize = 8 + 4 + 16;

/// Of the secret file.
pub(crate) const PASSPHRASE: &str = "amber dune";
/// A secret file that asks for more work than 2^10 is left to the tests of `marram-terminal`.
const MOST_WORK: u32 = 10;

pub(crate) static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| tokio::runtime::Builder::new_current_thread().build().unwrap());

const SETTINGS: Settings = Settings {
    segment_bytes: 1 << 20,
    reserve_bytes: 0,
    queue_bytes: 1 << 20,
};

/// A ledger. The server starts with it or refuses it and leaves it alone; and what it starts with, it has at every later
/// start.
pub(crate) fn ledger(bytes: &[u8]) -> bool {
    let Some((&kind, content)) = bytes.split_first() else {
        return false;
    };
    let written = if kind == FILE {
        content.to_vec()
    } else {
        grouped(content)
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger");
    fs::write(&path, &written).unwrap();

    let Ok(store) = Embedded::open(folder.path(), SETTINGS) else {
        assert_eq!(fs::read(&path).unwrap(), written, "a refused ledger is not touched");
        return false;
    };
    RUNTIME.block_on(async {
        let leaves = store.leaves(0, 1000).await.unwrap();
        let manifests = store.manifests(epoch()).await.unwrap();
        let charters = store.charters().await.unwrap();
        if let Some(leaf) = leaves.first() {
            drop(store.read(leaf.digest, 0..u64::MAX).await);
        }
        let body = Body::in_memory(vec![9; 64]).unwrap();
        let appended = store.append(body, epoch(), epoch().opens()).await.unwrap();
        drop(store);

        let store = Embedded::open(folder.path(), SETTINGS).unwrap();
        let later = store.leaves(0, 1001).await.unwrap();
        assert!(later.starts_with(&leaves));
        if let Appended::Fresh { leaf, .. } = appended {
            assert_eq!(later[leaves.len()..], [leaf]);
        }
        assert_eq!(store.manifests(epoch()).await.unwrap(), manifests);
        assert_eq!(store.charters().await.unwrap(), charters);
        store.close().await.unwrap();
    });
    true
}

fn grouped(mut content: &[u8]) -> Vec<u8> {
    let mut file = HEADER.to_vec();
    while let Some((len, rest)) = content.split_first_chunk::<2>() {
        let (payload, rest) = rest.split_at(rest.len().min(u16::from_be_bytes(*len).into()));
        content = rest;
        let len = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let mut hasher = Hasher::new();
        hasher.update(&(file.len() as u64).to_be_bytes());
        hasher.update(&len);
        hasher.update(payload);
        file.extend_from_slice(b"\x89MRMgrp\n");
        file.extend_from_slice(&len);
        file.extend_from_slice(&hasher.finish().as_bytes()[..16]);
        file.extend_from_slice(payload);
    }
    file
}

/// The payloads of a ledger's groups, as [`grouped`] takes them.
pub(crate) fn ungrouped(file: &[u8]) -> Vec<u8> {
    let mut content = vec![b'g'];
    let mut rest = &file[HEADER.len()..];
    while !rest.is_empty() {
        let len = u32::from_be_bytes(rest[8..12].try_into().unwrap());
        let (payload, after) = rest[GROUP_HEAD_LEN..].split_at(len as usize);
        content.extend_from_slice(&u16::try_from(len).unwrap().to_be_bytes());
        content.extend_from_slice(payload);
        rest = after;
    }
    content
}

/// A file wrapped by a passphrase.
pub(crate) fn secret_file(bytes: &[u8]) -> bool {
    let asks = |line: &[u8]| {
        String::from_utf8_lossy(line)
            .split(' ')
            .nth_back(0)
            .and_then(|log2| log2.parse::<u32>().ok())
    };
    if bytes
        .split(|byte| *byte == b'\n')
        .filter_map(asks)
        .any(|log2| log2 > MOST_WORK)
    {
        return false;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret");
    fs::write(&path, bytes).unwrap();
    let read = read_wrapped(&path, &PASSPHRASE.into(), 4096);
    assert_eq!(fs::read(&path).unwrap(), bytes, "reading changes nothing");
    read.is_ok_and(|secret| secret.len() <= 4096)
}
