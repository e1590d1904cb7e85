//! `marram-courier canary`: reports that the courier itself sends, to see whether they arrive.
//!
//! A server can drop a report before its log has seen it, and nobody but the submitter would notice. A canary is sealed,
//! sent and answered as any other report, so that the server cannot tell it; what is dropped is missed. Its incident is
//! `{"schema":"marram/canary/v1","name":…}`. The receipts go into the next bundle, and the caseworkers' program says
//! which canary did not arrive.

use std::{collections::BTreeMap, fs, io};

use anyhow::{Context as _, Result};
use getrandom::rand_core::UnwrapErr;
use marram_crypto::{
    charter::CharterChain,
    codename::Codename,
    day::Day,
    fingerprint::Link,
    manifest::{Manifest, UntrustedManifest},
    note,
    receipt::{self, Receipt, UntrustedReceipt},
    seal::Content,
};
use marram_online::{
    client::Client,
    clock::today,
    error::OnlineError,
    proxy::Proxy,
    report::{NotSent, Sealed},
};
use marram_terminal::{
    error::{ResultExt as _, fail},
    files,
    home::HomeArgs,
    interrupt,
    output::Output,
};
use serde_json::value::RawValue;

use crate::{
    CanaryArgs,
    alarm::Alarm,
    memory::{Memory, MemoryError},
    server::Server,
};

const SCHEMA: &str = "marram/canary/v1";
/// Receipts that are in no bundle yet.
const WAITING: &str = "canaries";
/// Receipts that a bundle has carried.
const CARRIED: &str = "carried";
/// Most names of lost canaries that are remembered.
const MAX_LOST: usize = 100;

/// `marram-courier canary`
pub(crate) fn canary(out: &Output, home: &HomeArgs, args: &CanaryArgs) -> Result<()> {
    let mut memory = Memory::open(home)?;
    let link = memory.link_or(args.server.link.as_ref())?;
    if !matches!(args.server.online.proxy, Some(Proxy::Socks { .. })) {
        out.warning(
            "without --proxy the server sees that these reports come from the courier's address, and can treat them better \
             than others: send canaries through Tor",
        );
    }
    let mut sent = Vec::new();
    let mut lost = Vec::new();
    for _ in 0..args.count {
        interrupt::check()?;
        let today = today();
        let name = memory.name_canary(today)?;
        match send(out, &mut memory, &link, args, &name, today) {
            Ok(receipt) => {
                let path = memory.folder(WAITING)?.join(&name);
                files::atomic_write(&path, &receipt.to_bytes(), 0o600, files::Existing::Keep)?;
                out.line(format!("{name}: the server has promised to keep it"));
                sent.push(name);
            }
            Err(error) => {
                interrupt::check()?;
                memory.state.lost_canaries.push(name.clone());
                let excess = memory.state.lost_canaries.len().saturating_sub(MAX_LOST);
                memory.state.lost_canaries.drain(..excess);
                memory.save_state()?;
                lost.push((name, error));
            }
        }
    }
    let names: Vec<&String> = lost.iter().map(|(name, _)| name).collect();
    out.json(&serde_json::json!({"sent": sent, "lost": names}));
    if !sent.is_empty() {
        out.note(
            "Their receipts go into the next bundle. Wait a day or so before the next pull, so that the two are not \
             connected.",
        );
    }
    let more = lost.len().saturating_sub(1);
    let Some((name, error)) = lost.into_iter().next() else {
        return Ok(());
    };
    let more = if more > 0 {
        format!(" (and {more} more)")
    } else {
        String::new()
    };
    Err(error).context(format!("{name} got no receipt{more}"))
}

/// The same requests as a submitter's, over connections of its own.
fn send(out: &Output, memory: &mut Memory, link: &Link, args: &CanaryArgs, name: &str, today: Day) -> Result<Receipt> {
    let server = Server::new(out, link, &args.server.online)?;
    let chain = server.charter(link.fingerprint())?;
    memory.accept_charter(link, chain.clone())?;
    let manifest = public_manifest(memory, &server, &chain, today)?;
    let incident = serde_json::json!({"schema": SCHEMA, "name": name}).to_string();
    let content = Content {
        continues: false,
        answers: BTreeMap::new(),
        incident: RawValue::from_string(incident)?,
    };
    // Nobody keeps its words: there is nothing to answer.
    let codename = Codename::random(&mut UnwrapErr(getrandom::SysRng));
    let none = |_| Err(io::Error::other("a canary has no attachments"));
    let sealed = Sealed::seal(out, &manifest, &codename, content, &[], none)?;
    let client = Client::new(link, &args.server.online).map_err(OnlineError::explained)?;
    match sealed.send(out, &client, &manifest, today) {
        Ok(receipt) => Ok(receipt),
        Err(NotSent::Online(error)) => Err(error.explained()),
        Err(error @ NotSent::Receipt(_)) => Err(error).hint(
            "the server took a report and does not promise to keep it: it is dropped before the log. Send another canary; if \
             that happens again, tell the keyholders and the operator",
        ),
    }
}

/// The manifest that everybody is shown, held against those that couriers are shown.
fn public_manifest(memory: &Memory, server: &Server<'_>, chain: &CharterChain, today: Day) -> Result<Manifest> {
    let answer = server.client().get("/v1/manifest", None, note::MAX_LEN as u64);
    let note = answer.map_err(OnlineError::explained)?;
    let manifest = UntrustedManifest::parse(&note)?.verify(chain)?;
    manifest.check_open(today)?;
    memory.check(&manifest).hint(MemoryError::NEXT)?;
    let seen = memory.highest(manifest.epoch).unwrap_or(0);
    manifest
        .check_not_older_than(seen)
        .context("the server shows submitters an older manifest than couriers")
        .hint(MemoryError::NEXT)?;
    Ok(manifest)
}

/// The receipts for a bundle, by name: those that none has carried yet, or all there are.
pub(crate) fn receipts(memory: &Memory, all: bool) -> Result<Vec<(String, Vec<u8>)>> {
    let mut receipts = BTreeMap::new();
    for folder in [WAITING, CARRIED].into_iter().take(if all { 2 } else { 1 }) {
        let folder = memory.home.file(folder);
        let entries = match fs::read_dir(&folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            entries => entries.with_context(|| format!("cannot read {}", folder.display()))?,
        };
        for entry in entries {
            let path = entry
                .with_context(|| format!("cannot read {}", folder.display()))?
                .path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            receipts.insert(name, files::read_bounded(&path, receipt::LEN as u64)?);
        }
    }
    Ok(receipts.into_iter().collect())
}

/// The server has promised, with a receipt, that these are in its log; and a checkpoint of today says that they are not.
pub(crate) fn missing(memory: &Memory, receipts: &[(String, Vec<u8>)], today: Day) -> Vec<Alarm> {
    let (Some(chain), Some(checkpoint)) = (&memory.chain, &memory.checkpoint) else {
        return Vec::new();
    };
    let mut missing = Vec::new();
    for (name, receipt) in receipts {
        let Ok(receipt) = UntrustedReceipt::parse(receipt) else {
            continue;
        };
        let keys = memory
            .manifests_of(receipt.claimed_leaf().epoch)
            .map(|manifest| manifest.log);
        let verified = keys
            .map(|key| receipt.clone().verify(chain.instance(), &key))
            .find_map(Result::ok);
        let Some(receipt) = verified else { continue };
        let in_log = || memory.leaves.iter().any(|leaf| leaf.digest == receipt.leaf().digest);
        if checkpoint.day() >= receipt.leaf().day && checkpoint.day().plus(1) >= today && !in_log() {
            missing.push(Alarm {
                kind: "canary-dropped",
                what: format!("dropped: the server gave a receipt for {name}, and its log does not have it"),
                next: "tell the keyholders and the operator at once: the server breaks its signed promise, and does so to \
                       submitters as well. The receipt in the bundle proves it",
            });
        }
    }
    missing
}

/// A bundle has the receipts now.
pub(crate) fn carried(memory: &Memory) -> Result<()> {
    let waiting = receipts(memory, false)?;
    if waiting.is_empty() {
        return Ok(());
    }
    let (from, to) = (memory.home.file(WAITING), memory.folder(CARRIED)?);
    for (name, _) in waiting {
        fs::rename(from.join(&name), to.join(&name))
            .with_context(|| format!("cannot move {name} into {}", to.display()))?;
    }
    Ok(())
}

impl Memory {
    /// A name that no canary of this courier has had. It is saved first: a lost one keeps its name.
    fn name_canary(&mut self, today: Day) -> Result<String> {
        let number = match self.state.canary {
            Some((day, number)) if day == today => number.saturating_add(1),
            Some((day, _)) if day > today => {
                return Err(fail(
                    format!("the last canary was sent on {day}, and today is {today}"),
                    "set this computer's clock",
                ));
            }
            _ => 1,
        };
        self.state.canary = Some((today, number));
        self.save_state()?;
        Ok(format!("canary-{today}-{number}"))
    }
}
