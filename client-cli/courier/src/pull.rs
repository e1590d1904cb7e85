//! `marram-courier pull`: what is new, into one bundle.
//!
//! The position in the log moves on only when the bundle is whole and has its name. Whatever breaks before that, the
//! next run finds what came so far in the spool and goes on from there.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Display,
    fs,
    path::Path,
};

use anyhow::{Context as _, Result};
use marram_crypto::{
    charter::CharterChain,
    day::{Day, Epoch},
    digest::Digest,
    leaf::Leaf,
    manifest,
};
use marram_online::clock::today;
use marram_terminal::{
    error::{ResultExt as _, fail},
    home::HomeArgs,
    output::{CODE, Output},
    text,
};

use crate::{
    PullArgs,
    bundle::Bundle,
    key, log,
    log::LogError,
    memory::{MAX_MISSING, Memory, MemoryError},
    server::{Server, Signer},
    spool::{Fetched, Spool},
    status,
};

/// What was left out of a bundle.
#[derive(Default)]
struct LeftOut {
    gone: BTreeSet<Digest>,
    damaged: BTreeSet<Digest>,
    /// How many of them will not be asked for again.
    forgotten: usize,
}

/// What was wrong with the server's list of manifests; none of it was taken over.
struct Refused {
    /// Those that the keyholders did not sign: how many.
    foreign: usize,
    /// Those that contradict what was seen before.
    contradictions: Vec<MemoryError>,
}

/// Most of a kind that are named one by one: a hostile server can make up any number.
const NAMED: usize = 20;

/// `marram-courier pull`
pub(crate) fn pull(out: &Output, home: &HomeArgs, args: &PullArgs) -> Result<()> {
    check_place(&args.out)?;
    let mut memory = Memory::open(home)?;
    let key = key::load(&memory.home)?;
    let link = memory.link_or(args.link.as_ref())?;
    let server = Server::new(out, &link, &args.online)?;
    let today = today();

    let chain = server.charter(link.fingerprint())?;
    memory.accept_charter(&link, chain.clone())?;
    let signer = Signer {
        key: &key,
        instance: chain.instance(),
    };
    follow_log(&mut memory, &server, signer, args.all)?;

    let start = if args.all { 0 } else { memory.state.position };
    let leaves = memory.leaves[start.min(memory.leaves.len())..].to_vec();
    let wanted = wanted(&memory, &leaves, today);
    let from = first_epoch(wanted.values().chain(&leaves), today);
    let refused = follow_manifests(out, &mut memory, &server, signer, &chain, from, today)?;

    let spool = Spool::new(memory.spool()?);
    let mut left_out = fetch(out, &memory, &server, signer, &spool, &wanted)?;
    let bundle = Bundle {
        start: start as u64,
        leaves,
        from,
        reports: wanted
            .into_values()
            .filter(|leaf| !left_out.has(&leaf.digest))
            .collect(),
    };
    let size = bundle.write(out, &memory, &spool, &args.out)?;

    memory.state.position = memory.leaves.len();
    memory.state.last_bundle = Some(today);
    left_out.forgotten = memory.state.remember_missing(&(&left_out.gone | &left_out.damaged));
    memory.save_state()?;
    spool.empty()?;
    report(out, &memory, &args.out, &bundle, size, &left_out, &refused);
    alarm(refused.contradictions)
}

/// The end of a pull that has brought what there is, from a server that contradicts itself.
fn alarm(contradictions: Vec<MemoryError>) -> Result<()> {
    match contradictions.into_iter().next() {
        Some(first) => Err(first)
            .context("the bundle is whole, but the server's manifests contradict what it showed before")
            .hint(MemoryError::NEXT),
        None => Ok(()),
    }
}

/// Before anything is fetched for it.
fn check_place(path: &Path) -> Result<()> {
    if fs::symlink_metadata(path).is_ok() {
        return Err(fail(
            format!("{} is already there", path.display()),
            "name another file with --out: a bundle that was not carried in yet must not be lost",
        ));
    }
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() && !folder.is_dir() => Err(fail(
            format!("there is no folder {} for the bundle", folder.display()),
            "check --out, and that the stick is plugged in; nothing was fetched",
        )),
        _ => Ok(()),
    }
}

fn follow_log(memory: &mut Memory, server: &Server<'_>, signer: Signer<'_>, all: bool) -> Result<()> {
    let mut leaves = std::mem::take(&mut memory.leaves);
    let extended = log::extend(&mut leaves, all, |from| server.leaves(signer, from));
    if let Err(error) = extended {
        let next = error.downcast_ref::<LogError>().map(LogError::next_step);
        return match next {
            Some(next) => Err(error).hint(next),
            None => Err(error),
        };
    }
    memory.leaves = leaves;
    memory.save_leaves()
}

/// One bad manifest does not keep the reports from the caseworkers: it is named, and left out.
fn follow_manifests(
    out: &Output,
    memory: &mut Memory,
    server: &Server<'_>,
    signer: Signer<'_>,
    chain: &CharterChain,
    from: Epoch,
    today: Day,
) -> Result<Refused> {
    let mut verified = Vec::new();
    let mut foreign = Vec::new();
    for manifest in server.manifests(signer, from)? {
        match manifest {
            Err(error) => foreign.push(format!("the server shows a manifest that is none: {error}")),
            Ok(manifest) => {
                let epoch = manifest.claims().epoch;
                // Also those of an older charter: reports were sealed under them.
                match manifest.verify_for_opening(chain) {
                    Ok(manifest) => verified.push(manifest),
                    Err(error) => foreign.push(format!(
                        "the server shows a manifest of epoch {epoch} that is not the keyholders': {error}"
                    )),
                }
            }
        }
    }
    warn_of_each(out, &foreign, "more manifests that are not the keyholders'");
    if !foreign.is_empty() {
        out.warning("those manifests were left out. Tell the keyholders and the operator of the server");
    }
    let contradictions = memory.accept_manifests(from, today, verified)?;
    warn_of_each(out, &contradictions, "more contradictions among the manifests");
    Ok(Refused {
        foreign: foreign.len(),
        contradictions,
    })
}

fn warn_of_each<T: Display>(out: &Output, what: impl IntoIterator<Item = T>, others: &str) {
    let mut what = what.into_iter();
    for named in what.by_ref().take(NAMED) {
        out.warning(text::visible_lines(&named.to_string()));
    }
    let rest = what.count();
    if rest > 0 {
        out.warning(format!("and {rest} {others}"));
    }
}

/// The reports to fetch: those of the new leaves, and those that the server did not give before and may still have.
fn wanted(memory: &Memory, leaves: &[Leaf], today: Day) -> BTreeMap<Digest, Leaf> {
    let expired = |leaf: &Leaf| {
        let manifests = memory
            .manifests_from(leaf.epoch)
            .take_while(|manifest| manifest.epoch == leaf.epoch);
        let retention = manifests.map(|manifest| manifest.retention_days).max();
        retention.is_some_and(|days| today.days_since(leaf.day) > days)
    };
    let missed = memory
        .leaves
        .iter()
        .filter(|leaf| memory.state.missing.contains(&leaf.digest));
    missed
        .filter(|leaf| !expired(leaf))
        .chain(leaves)
        .map(|leaf| (leaf.digest, *leaf))
        .collect()
}

/// The first epoch whose manifests a bundle needs; at the latest last week's, whose reports still come in.
fn first_epoch<'a>(leaves: impl Iterator<Item = &'a Leaf>, today: Day) -> Epoch {
    let last_week = Epoch::of(today.minus(Epoch::DAYS)).or_else(|| Epoch::from_number(0));
    let last_week = last_week.unwrap_or(Epoch::MAX);
    leaves
        .map(|leaf| leaf.epoch)
        .min()
        .map_or(last_week, |first| first.min(last_week))
}

fn fetch(
    out: &Output,
    memory: &Memory,
    server: &Server<'_>,
    signer: Signer<'_>,
    spool: &Spool,
    wanted: &BTreeMap<Digest, Leaf>,
) -> Result<LeftOut> {
    // A leaf may claim any size; nothing larger than a manifest allows is worth asking for.
    let possible = |leaf: &Leaf| leaf.size() <= memory.limit(leaf.epoch).unwrap_or(manifest::MAX_LIMIT);
    let sizes = wanted.values().filter(|leaf| possible(leaf)).map(Leaf::size);
    let progress = out.bytes("fetching", sizes.fold(0, u64::saturating_add));
    progress.set(
        wanted
            .values()
            .map(|leaf| spool.here(leaf))
            .fold(0, u64::saturating_add),
    );
    let mut left_out = LeftOut::default();
    for leaf in wanted.values() {
        let fetched = if possible(leaf) {
            spool.fetch(out, server, signer, leaf, &progress)
        } else {
            Ok(Fetched::Damaged)
        };
        match fetched.hint("what came so far is kept: run the same command again to go on")? {
            Fetched::Here => {}
            Fetched::Gone => drop(left_out.gone.insert(leaf.digest)),
            Fetched::Damaged => drop(left_out.damaged.insert(leaf.digest)),
        }
    }
    progress.finish();
    Ok(left_out)
}

fn report(
    out: &Output,
    memory: &Memory,
    path: &Path,
    bundle: &Bundle,
    size: u64,
    left_out: &LeftOut,
    refused: &Refused,
) {
    let today = today();
    let reports = bundle.reports.len();
    let name = path.display();
    out.line(match (bundle.leaves.len(), reports) {
        (0, 0) => format!("Nothing new. {name} holds the charter and the manifests only."),
        (new, 1) => format!(
            "{name}: 1 sealed report ({new} new in the log), {} in all",
            human_size(size)
        ),
        (new, reports) => format!(
            "{name}: {reports} sealed reports ({new} new in the log), {} in all",
            human_size(size)
        ),
    });
    let gone = left_out.gone.iter().map(|digest| {
        format!("the server does not have report {digest} any more, though its log names it; it is not in the bundle")
    });
    warn_of_each(out, gone, "more reports that it does not have");
    let damaged = left_out.damaged.iter().map(|digest| {
        format!(
            "what the server gives for report {digest} is not that report (its digest or size differs); it is not in \
             the bundle"
        )
    });
    warn_of_each(out, damaged, "more that are not the report that the log names");
    if left_out.forgotten > 0 {
        out.warning(format!(
            "the log names more reports without giving them than this courier remembers ({MAX_MISSING}): {} of them are \
             asked for again by pull --all only. No honest server does this: tell the keyholders and the operator",
            left_out.forgotten
        ));
    }
    if !left_out.gone.is_empty() || !left_out.damaged.is_empty() {
        out.note(
            "The caseworkers' program will say whether that is as it should be (an expired or deleted report) or an \
             alarm. The next pull asks for them again.",
        );
    }
    out.json(&serde_json::json!({
        "bundle": path,
        "size_bytes": size,
        "new_leaves": bundle.leaves.len(),
        "reports": reports,
        "position": memory.state.position,
        "gone": left_out.gone,
        "damaged": left_out.damaged,
        "forgotten": left_out.forgotten,
        "refused_manifests": refused.foreign,
        "contradictions": refused.contradictions.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "signed_until": memory.signed_until(today),
    }));
    status::warn_about_closing(out, memory, today);
    if bundle.leaves.is_empty() && reports == 0 {
        return;
    }
    out.note(format!(
        "next: carry it to the offline computers, and there: {CODE}marram-casework import {}{CODE:#}",
        path.file_name().unwrap_or_default().to_string_lossy()
    ));
}

impl LeftOut {
    fn has(&self, digest: &Digest) -> bool {
        self.gone.contains(digest) || self.damaged.contains(digest)
    }
}

fn human_size(bytes: u64) -> String {
    if bytes < 1 << 20 {
        format!("{} KiB", bytes.div_ceil(1 << 10))
    } else {
        format!("{}.{} MiB", bytes >> 20, ((bytes % (1 << 20)) * 10) >> 20)
    }
}
