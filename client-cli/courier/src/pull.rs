//! `marram-courier pull`: what is new, into one bundle.
//!
//! The position in the log moves on only when the bundle is whole and has its name. Whatever breaks before that, the
//! next run finds what came so far in the spool and goes on from there.

use std::{collections::BTreeSet, fs, path::Path};

use anyhow::Result;
use marram_crypto::{
    charter::CharterChain,
    checkpoint::UntrustedCheckpoint,
    day::{Day, Epoch},
    instance::InstanceId,
    leaf::Leaf,
    manifest,
};
use marram_online::clock::today;
use marram_terminal::{
    error::{ResultExt as _, fail},
    home::HomeArgs,
    output::Output,
};

use crate::{
    PullArgs,
    alarm::Alarm,
    bundle::Bundle,
    canary, evidence, key,
    log::{self, LogFault},
    memory::{Memory, MemoryError},
    orders::{self, Accepted, OrderFault},
    server::{Server, Signer},
    spool::{Fetched, Spool},
    summary::{Brought, LeftOut, warn_of_each},
};

/// What was wrong with the server's list of manifests; none of it was taken over.
struct Refused {
    /// Those that the keyholders did not sign: how many.
    foreign: usize,
    /// Those that contradict what was seen before.
    contradictions: Vec<MemoryError>,
}

/// `marram-courier pull`
pub(crate) fn pull(out: &Output, home: &HomeArgs, args: &PullArgs) -> Result<()> {
    check_place(&args.out)?;
    let mut memory = Memory::open(home)?;
    let key = key::load(&memory.home)?;
    let link = memory.link_or(args.server.link.as_ref())?;
    let server = Server::new(out, &link, &args.server.online)?;
    let today = today();

    let chain = server.charter(link.fingerprint())?;
    memory.accept_charter(&link, chain.clone())?;
    let signer = Signer {
        key: &key,
        instance: chain.instance(),
    };
    // First the checkpoint: what comes in the meantime is for the next pull.
    let shown = server.checkpoint(signer)?;
    let checkpoint = shown
        .clone()
        .and_then(|note| UntrustedCheckpoint::parse(&note).map_err(|error| error.to_string()));
    let size = checkpoint.as_ref().ok().map(UntrustedCheckpoint::claimed_size);
    let listed = log::list(&memory.leaves, size, args.all, |from| server.leaves(signer, from))?;
    let position = if args.all { 0 } else { memory.state.order_position };
    let orders = list_orders(&memory, &server, signer, position, args.all)?;

    let start = if args.all { 0 } else { memory.state.position }.min(memory.leaves.len());
    let shown_leaves = listed.new.iter().chain(&listed.other);
    let leaves: Vec<Leaf> = memory.leaves[start..].iter().chain(shown_leaves).copied().collect();
    let from = first_epoch(&memory, &leaves, orders.epochs(), today);
    let refused = follow_manifests(out, &mut memory, &server, signer, &chain, from, today)?;

    let mut alarms = follow_log(
        &mut memory,
        &listed,
        checkpoint,
        &shown.unwrap_or_default(),
        chain.instance(),
        today,
    )?;
    let accepted = follow_orders(&mut memory, orders, chain.instance(), &mut alarms)?;
    let canaries = canary::receipts(&memory, args.all)?;
    alarms.extend(canary::missing(&memory, &canaries, today));
    alarms.extend(refused.contradictions.iter().map(MemoryError::alarm));
    warn_of_each(out, alarms.iter().map(|alarm| &alarm.what), "more alarms");

    let wanted = wanted(&memory, &leaves, today);
    let spool = Spool::new(memory.spool()?);
    let mut left_out = fetch(out, &memory, &server, signer, &spool, &wanted)?;
    let mut bundle = Bundle {
        start: start as u64,
        leaves: memory.leaves[start..].to_vec(),
        from,
        orders: accepted,
        canaries,
        reports: wanted.into_iter().filter(|leaf| !left_out.has(&leaf.digest)).collect(),
    };
    if !left_out.destroyed.is_empty() {
        let late = follow_late_orders(out, &mut memory, &server, signer, &chain, &mut bundle)?;
        let late = late
            .into_iter()
            .filter(|late| alarms.iter().all(|known| known.what != late.what));
        let late: Vec<Alarm> = late.collect();
        warn_of_each(out, late.iter().map(|alarm| &alarm.what), "more alarms");
        alarms.extend(late);
    }
    let size = bundle.write(out, &memory, &spool, &args.out)?;

    memory.state.position = memory.leaves.len();
    memory.state.order_position = memory.orders.len();
    memory.state.last_bundle = Some(today);
    left_out.forgotten = memory.state.remember_missing(&(&left_out.gone | &left_out.damaged));
    memory.save_state()?;
    canary::carried(&memory)?;
    spool.empty()?;
    let brought = Brought {
        path: &args.out,
        bundle: &bundle,
        size,
        left_out: &left_out,
        refused_manifests: refused.foreign,
        alarms: &alarms,
    };
    brought.report(out, &memory);
    match alarms.into_iter().next() {
        Some(first) => Err(first.into_error("the bundle is whole")),
        None => Ok(()),
    }
}

fn list_orders(
    memory: &Memory,
    server: &Server<'_>,
    signer: Signer<'_>,
    position: usize,
    all: bool,
) -> Result<orders::Listed> {
    let mut none = None;
    let page = |from| {
        Ok(server.orders(signer, from)?.unwrap_or_else(|why| {
            none = Some(why);
            Vec::new()
        }))
    };
    let mut listed = orders::list(&memory.orders, position, all, page)?;
    if let Some(why) = none {
        listed.faults = vec![OrderFault::NoList(why)];
    }
    Ok(listed)
}

/// Takes over what a checkpoint proves; what contradicts the memory is named, and kept as evidence.
fn follow_log(
    memory: &mut Memory,
    listed: &log::Listed,
    checkpoint: Result<UntrustedCheckpoint, String>,
    shown: &[u8],
    instance: InstanceId,
    today: Day,
) -> Result<Vec<Alarm>> {
    let judged = log::judge(
        &memory.leaves,
        memory.checkpoint.as_ref(),
        listed,
        checkpoint,
        instance,
        |day| memory.log_key(day),
        today,
    );
    let alarms: Vec<Alarm> = judged.faults.iter().map(LogFault::alarm).collect();
    evidence::keep(memory, &alarms, shown, today)?;
    if let Some(checkpoint) = judged.proven {
        memory.accept_log(&listed.new, checkpoint)?;
    }
    Ok(alarms)
}

/// The orders for the bundle. One that nobody signed goes there too: the caseworkers judge.
fn follow_orders(
    memory: &mut Memory,
    mut listed: orders::Listed,
    instance: InstanceId,
    alarms: &mut Vec<Alarm>,
) -> Result<Vec<Accepted>> {
    let contradicts = !listed.faults.is_empty();
    listed.check_signatures(instance, |epoch| memory.manifests_of(epoch));
    listed.check_taken(&memory.orders, &mut memory.state.taken);
    alarms.extend(listed.faults.iter().map(OrderFault::alarm));
    if !contradicts {
        memory.accept_orders(&listed.new)?;
    }
    Ok(listed.accepted)
}

/// The orders that the server accepted while reports were fetched: one of them may be why a report was destroyed, and
/// without it the caseworkers would miss that report until the next bundle. Also alarms that are known already.
fn follow_late_orders(
    out: &Output,
    memory: &mut Memory,
    server: &Server<'_>,
    signer: Signer<'_>,
    chain: &CharterChain,
    bundle: &mut Bundle,
) -> Result<Vec<Alarm>> {
    let behind = bundle.orders.last().map(|last| last.index + 1);
    let position = behind
        .and_then(|behind| usize::try_from(behind).ok())
        .unwrap_or(memory.state.order_position);
    let listed = list_orders(memory, server, signer, position, false)?;
    let mut alarms = Vec::new();
    if let Some(first) = listed.epochs().min() {
        // Of an older week than the bundle begins with, or signed by whom a new manifest names.
        bundle.from = bundle.from.min(first);
        let refused = follow_manifests(out, memory, server, signer, chain, bundle.from, today())?;
        alarms.extend(refused.contradictions.iter().map(MemoryError::alarm));
    }
    bundle
        .orders
        .extend(follow_orders(memory, listed, chain.instance(), &mut alarms)?);
    Ok(alarms)
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
    Ok(Refused {
        foreign: foreign.len(),
        contradictions,
    })
}

/// The reports to fetch: those that the server did not give before and may still have, and those of the new leaves. In the
/// order of the log, and so of the bundle: a follow-up comes behind what it continues.
fn wanted(memory: &Memory, leaves: &[Leaf], today: Day) -> Vec<Leaf> {
    let expired = |leaf: &Leaf| {
        let manifests = memory
            .manifests_from(leaf.epoch)
            .take_while(|manifest| manifest.epoch == leaf.epoch);
        let retention = manifests.map(|manifest| manifest.retention_days).max();
        retention.is_some_and(|days| today.days_since(leaf.day) > days)
    };
    let mut seen = BTreeSet::new();
    memory
        .missing()
        .filter(|leaf| !expired(leaf))
        .chain(leaves)
        .filter(|leaf| seen.insert(leaf.digest))
        .copied()
        .collect()
}

/// The first epoch whose manifests a bundle needs: those of its leaves, of reports that were not given before, and of
/// orders; at the latest last week's, whose reports still come in.
fn first_epoch(memory: &Memory, leaves: &[Leaf], orders: impl Iterator<Item = Epoch>, today: Day) -> Epoch {
    let last_week = Epoch::of(today.minus(Epoch::DAYS)).or_else(|| Epoch::from_number(0));
    let last_week = last_week.unwrap_or(Epoch::MAX);
    let leaves = memory.missing().chain(leaves).map(|leaf| leaf.epoch);
    leaves
        .chain(orders)
        .min()
        .map_or(last_week, |first| first.min(last_week))
}

fn fetch(
    out: &Output,
    memory: &Memory,
    server: &Server<'_>,
    signer: Signer<'_>,
    spool: &Spool,
    wanted: &[Leaf],
) -> Result<LeftOut> {
    // A leaf may claim any size; nothing larger than a manifest allows is worth asking for.
    let possible = |leaf: &Leaf| leaf.size() <= memory.limit(leaf.epoch).unwrap_or(manifest::MAX_LIMIT);
    let sizes = wanted.iter().filter(|leaf| possible(leaf)).map(Leaf::size);
    let progress = out.bytes("fetching", sizes.fold(0, u64::saturating_add));
    progress.set(wanted.iter().map(|leaf| spool.here(leaf)).fold(0, u64::saturating_add));
    let mut left_out = LeftOut::default();
    for leaf in wanted {
        let fetched = if possible(leaf) {
            spool.fetch(out, server, signer, leaf, &progress)
        } else {
            Ok(Fetched::Damaged)
        };
        match fetched.hint("what came so far is kept: run the same command again to go on")? {
            Fetched::Here => {}
            Fetched::Destroyed => drop(left_out.destroyed.insert(leaf.digest)),
            Fetched::Gone => drop(left_out.gone.insert(leaf.digest)),
            Fetched::Damaged => drop(left_out.damaged.insert(leaf.digest)),
        }
    }
    progress.finish();
    Ok(left_out)
}
