//! `marram-courier publish`: puts on the server what the keyholders and the caseworkers have signed.
//!
//! The authority is in the signatures. They are checked here first, so that a mistake is explained where somebody can
//! do something about it.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use marram_crypto::{
    charter::{self, CharterChain, UntrustedCharterChain},
    day::Day,
    digest::Digest,
    manifest::{Manifest, UntrustedManifest},
};
use marram_online::{clock::today, error::OnlineError};
use marram_terminal::{
    error::{ResultExt as _, fail, next_step},
    files,
    home::HomeArgs,
    output::Output,
};

use crate::{
    PublishArgs,
    memory::{Memory, MemoryError},
    outbox,
    server::Server,
    status,
};

/// `marram-courier publish`
pub(crate) fn publish(out: &Output, home: &HomeArgs, args: &PublishArgs) -> Result<()> {
    drop(home.create("courier")?);
    let mut memory = Memory::open(home)?;
    let link = memory.link_or(args.server.link.as_ref())?;
    let paths = outbox::expand(&args.files)?;
    let (orders, signed) = paths.into_iter().partition::<Vec<_>, _>(|path| outbox::is_order(path));
    let (charter, notes) = read(&signed)?;
    let today = today();

    // Everything is checked before anything is sent.
    let mut to_send: Vec<(PathBuf, &'static str, &'static str, Vec<u8>)> = Vec::new();
    let chain = match charter {
        Some((path, json)) => {
            let chain = verify_charter(&path, &json, link.fingerprint())?;
            to_send.push((path, "/v1/charter", "application/json", json));
            chain
        }
        None => memory.chain.clone().ok_or_else(|| {
            fail(
                "this courier knows no charter yet, so it cannot check what you publish",
                "name charter.json as well, or run marram-courier pull first",
            )
        })?,
    };
    memory.check_charter(&chain)?;
    let mut manifests = notes
        .into_iter()
        .map(|(path, bytes)| verify_manifest(&memory, &chain, today, &path, &bytes).map(|manifest| (path, manifest)))
        .collect::<Result<Vec<_>>>()?;
    manifests.sort_by_key(|(_, manifest)| (manifest.epoch, manifest.version));
    for (path, manifest) in &manifests {
        to_send.push((path.clone(), "/v1/manifest", "text/plain", manifest.to_bytes()));
    }

    let orders = outbox::read(&orders, chain.instance(), today);
    let server = Server::new(out, &link, &args.server.online)?;
    let progress = out.count("publishing", to_send.len() as u64);
    for (path, route, content_type, bytes) in &to_send {
        let sent = server.put(route, content_type, bytes).map_err(OnlineError::explained);
        sent.with_context(|| format!("the server did not take {}", path.display()))?;
        progress.suspend(|| out.line(format!("{} is on the server", path.display())));
        progress.add(1);
    }
    progress.finish();
    memory.accept_charter(&link, chain)?;
    for (_, manifest) in manifests {
        memory.remember(manifest)?;
    }
    let published: Vec<_> = to_send.iter().map(|(path, ..)| path).collect();
    let posted = outbox::post(out, &mut memory, &server, orders)?;
    out.json(&serde_json::json!({
        "published": published,
        "orders": posted.taken,
        "refused": posted.refused.iter().map(|(path, error)| serde_json::json!({
            "file": path,
            "why": format!("{error:#}"),
            "next": next_step(error),
        })).collect::<Vec<_>>(),
        "signed_until": memory.signed_until(today),
    }));
    status::warn_about_closing(out, &memory, today);
    posted.end()
}

type File = (PathBuf, Vec<u8>);

/// The charter chain, if there is one among the files, and the other files.
fn read(paths: &[PathBuf]) -> Result<(Option<File>, Vec<File>)> {
    let mut charter = None;
    let mut notes = Vec::new();
    for path in paths {
        let bytes = files::read_bounded(path, charter::MAX_CHAIN_LEN as u64)?;
        if bytes.trim_ascii_start().first() != Some(&b'[') {
            notes.push((path.clone(), bytes));
        } else if charter.replace((path.clone(), bytes)).is_some() {
            return Err(fail(
                "there are two charter chains among the files",
                "name the newer one only",
            ));
        }
    }
    Ok((charter, notes))
}

fn verify_charter(path: &Path, json: &[u8], pinned: Digest) -> Result<CharterChain> {
    UntrustedCharterChain::parse(json)
        .and_then(|chain| chain.verify(pinned))
        .with_context(|| format!("{} is not to be published", path.display()))
        .hint(
            "nothing was sent. Get charter.json from a keyholder again, and compare the link with the organization's own",
        )
}

fn verify_manifest(memory: &Memory, chain: &CharterChain, today: Day, path: &Path, bytes: &[u8]) -> Result<Manifest> {
    let wrong = || format!("{} is not to be published", path.display());
    let manifest = UntrustedManifest::parse(bytes)
        .and_then(|manifest| manifest.verify(chain))
        .with_context(wrong)
        .hint(
            "nothing was sent. Name the *.manifest files of a folder that enough keyholders have signed; if this is one, \
             copy it from them again",
        )?;
    memory.check(&manifest).hint(MemoryError::NEXT).with_context(wrong)?;
    let seen = memory.highest(manifest.epoch).unwrap_or(0);
    manifest
        .check_not_older_than(seen)
        .with_context(wrong)
        .hint("leave it out: a newer version is known here already. Nothing was sent")?;
    if today >= manifest.epoch.closes() {
        return Err(fail(
            format!("{} closed on {}", path.display(), manifest.epoch.closes()),
            "leave it out: it is of no use any more",
        ));
    }
    Ok(manifest)
}
