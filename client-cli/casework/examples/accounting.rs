//! How long accounting takes, and how much memory: `cargo run --release -p marram-casework --example accounting -- 1000000`.
//!
//! Prints one line of JSON: the leaves are claimed by one bundle, each with a body that is noise, and then one leaf more comes.
#![allow(clippy::unwrap_used, reason = "a measurement ends at the first fault")]

use std::{
    fs,
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use getrandom::{SysRng, rand_core::UnwrapErr};
use marram_casework::{
    account,
    casebook::{Casebook, FILE, outcomes::Decided},
    outcome::Outcome,
};
use marram_crypto::{
    charter::{self, CharterChain, UntrustedCharter, UntrustedCharterChain},
    checkpoint,
    day::{Day, Epoch},
    digest::Digest,
    instance::InstanceId,
    key::SigningKey,
    leaf::Leaf,
    manifest::{self, BoardShape, UntrustedManifest},
    secret::SecretBytes,
    tree::Tree,
    vacant,
};

fn main() {
    let count: u64 = std::env::args()
        .nth(1)
        .and_then(|count| count.parse().ok())
        .unwrap_or(100_000);
    let folder = tempfile::tempdir().unwrap();
    let mut casebook = Casebook::create(&folder.path().join(FILE), &SecretBytes::from([7; 32])).unwrap();
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let today = Day::from_unix_seconds(seconds);
    let epoch = Epoch::of(today).unwrap();
    let root = [SigningKey::from_seed(&SecretBytes::from([1; 32]))];
    let chain = found(&mut casebook, epoch, &root[0]);

    let mut tree = Tree::new();
    let mut bring = |casebook: &mut Casebook, from: u64, to: u64| {
        let leaves = || (from..to).map(|n| leaf(n, epoch));
        leaves().for_each(|leaf| tree.push(&leaf));
        let note = checkpoint::sign(chain.instance(), tree.head(), today, &root[0])
            .unwrap()
            .to_bytes();
        let changes = casebook.change().unwrap();
        let claim = changes.begin_claim(from, to - from, &note).unwrap();
        changes.commit().unwrap();
        let mut numbered = (from..).zip(leaves()).peekable();
        let import = |casebook: &mut Casebook| {
            while numbered.peek().is_some() {
                let changes = casebook.change()?;
                for (index, leaf) in numbered.by_ref().take(4096) {
                    changes.claim_leaf(claim, index, &leaf)?;
                    let noise = Decided {
                        digest: leaf.digest,
                        epoch: Some(epoch),
                        outcome: Outcome::NotForMe,
                        detail: None,
                        report: None,
                    };
                    changes.set_outcome(&noise)?;
                }
                changes.commit()?;
            }
            Ok(())
        };
        // An import has no more memory than for its reports, and takes longer. This is not what is measured.
        casebook.at_hand(import).unwrap();
        let changes = casebook.change().unwrap();
        changes.end_claim(claim).unwrap();
        changes.commit().unwrap();
        let before = Instant::now();
        let accounted = account::account(casebook, today).unwrap();
        assert!(accounted.waiting.is_empty() && accounted.refused.is_empty());
        before.elapsed().as_secs_f64()
    };
    let all = bring(&mut casebook, 0, count);
    let one = bring(&mut casebook, count, count + 1);
    assert_eq!(casebook.classes().unwrap().values().sum::<u64>(), count + 1);
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let peak = status
        .lines()
        .find(|line| line.starts_with("VmHWM:"))
        .unwrap_or_default();
    let peak: u64 = peak
        .split_whitespace()
        .nth(1)
        .and_then(|kib| kib.parse().ok())
        .unwrap_or_default();
    println!(
        r#"{{"leaves":{count},"accounting_s":{all:.2},"one_more_s":{one:.4},"peak_kib":{peak},"casebook_bytes":{}}}"#,
        fs::metadata(folder.path().join(FILE)).unwrap().len()
    );
}

fn leaf(n: u64, epoch: Epoch) -> Leaf {
    Leaf {
        digest: Digest::of(&n.to_be_bytes()),
        epoch,
        day: epoch.opens(),
        log2_size: 15,
    }
}

/// An organization of one, with a manifest of this week in which nobody has a slot.
fn found(casebook: &mut Casebook, epoch: Epoch, root: &SigningKey) -> CharterChain {
    let draft = charter::Draft {
        instance: InstanceId::random(&mut UnwrapErr(SysRng)),
        version: 1,
        previous: None,
        name: "A measurement".into(),
        contact: "https://example.example".into(),
        threshold: 1,
        roots: [root.public()].into(),
    };
    let mut charter = UntrustedCharter::from_note(draft.to_note().unwrap()).unwrap();
    charter.add_signature(root).unwrap();
    let chain = UntrustedCharterChain::founding(charter);
    let pinned = chain.claimed_fingerprint().unwrap();
    let chain = chain.verify(pinned).unwrap();
    let draft = manifest::Draft {
        instance: chain.instance(),
        epoch,
        version: 1,
        charter: pinned,
        log: root.public(),
        couriers: vec![],
        limit: 1 << 28,
        retention_days: 180,
        promise_days: 7,
        board: BoardShape::default(),
        pages: vec![],
        contacts: vec![],
        questions: vec![],
        slots: (0..8)
            .map(|position| vacant::slot(&[position; 32], epoch, position))
            .collect(),
    };
    let mut manifest = UntrustedManifest::from_note(draft.to_note().unwrap()).unwrap();
    manifest.add_signature(root).unwrap();
    let changes = casebook.change().unwrap();
    changes.set_charter(&chain).unwrap();
    changes.add_manifest(&manifest.verify(&chain).unwrap()).unwrap();
    changes.commit().unwrap();
    chain
}
