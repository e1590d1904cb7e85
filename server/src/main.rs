//! `marram-server`: takes sealed reports, keeps them, hands them to couriers.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context;
use clap::{Parser, Subcommand};
use marram_server::{
    clock::Clock,
    config::Config,
    init::{self, Expected},
    log_key, logging, run,
};
use rustix::{
    fs::Mode,
    process::{Resource, getrlimit, setrlimit, umask},
};
use tokio::signal::unix::{SignalKind, signal};

/// Takes sealed reports, keeps them, and hands them to couriers. Holds nothing that could open one.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make the data folder of a new server: log key, store, configuration.
    Init {
        /// The folder to make.
        #[arg(long)]
        data: PathBuf,
        /// The organization's charter chain, from a keyholder.
        #[arg(long)]
        charter: PathBuf,
        /// The charter's fingerprint as a keyholder told it: twelve groups of digits, or 64 characters, or the link.
        /// Without it you are shown the digits and asked.
        #[arg(long)]
        fingerprint: Option<Expected>,
    },
    /// Run the server until it gets SIGTERM or Ctrl-C.
    Run {
        /// The configuration file.
        #[arg(long)]
        config: PathBuf,
    },
    /// Check a configuration without running it.
    CheckConfig {
        /// The configuration file.
        #[arg(long)]
        config: PathBuf,
    },
}

fn main() -> ExitCode {
    match answer() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            for cause in error.chain().skip(1) {
                eprintln!("  because: {cause}");
            }
            ExitCode::FAILURE
        }
    }
}

fn answer() -> anyhow::Result<()> {
    // Files of libraries too are nobody else's to read.
    umask(Mode::RWXG | Mode::RWXO);
    let command = Cli::parse().command;
    tokio::runtime::Runtime::new()?.block_on(async {
        match command {
            Command::Init {
                data,
                charter,
                fingerprint,
            } => init(data, charter, fingerprint).await,
            Command::Run { config } => serve(config).await,
            Command::CheckConfig { config } => check(&config),
        }
    })
}

async fn init(data: PathBuf, charter: PathBuf, fingerprint: Option<Expected>) -> anyhow::Result<()> {
    let chain = init::read_charter(&charter, fingerprint.as_ref())?;
    if fingerprint.is_none() {
        init::confirm(&chain)?;
    }
    let made = init::init(&data, chain).await?;
    println!(
        "server for {} (charter version {})",
        made.chain.newest().name,
        made.chain.newest().version
    );
    println!("configuration: {}", made.config.display());
    println!("log key: {}", made.log_key);
    println!();
    println!("next:");
    println!("  1. give the log key to the keyholders; manifests they sign for this server name it");
    println!(
        "  2. look through the configuration, then: marram-server run --config {}",
        made.config.display()
    );
    println!("  3. when the server runs, publish the signed manifests to it; until then nobody can report");
    Ok(())
}

async fn serve(path: PathBuf) -> anyhow::Result<()> {
    let config = Config::read(&path)?;
    logging::start(config.log_level);
    allow_open_files(config.limits.connections);
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let running = run::start(config, Clock::system()).await?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("stopping");
    running.stop().await
}

/// A connection is an open file, and systems allow few of them unless asked.
fn allow_open_files(connections: usize) {
    let wanted = connections as u64 + 512;
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= wanted) {
        return;
    }
    limit.current = Some(limit.maximum.map_or(wanted, |maximum| maximum.min(wanted)));
    let allowed = setrlimit(Resource::Nofile, limit).is_ok();
    if !allowed || limit.current < Some(wanted) {
        tracing::warn!(
            wanted,
            "fewer files may be open than `limits.connections` needs: raise the limit on open files"
        );
    }
}

fn check(path: &Path) -> anyhow::Result<()> {
    let config = Config::read(path)?;
    let key = log_key::read(&log_key::path_in(&config.data_dir))?;
    let ledger = config.data_dir.join("store/ledger");
    std::fs::metadata(&ledger).with_context(|| format!("no store: cannot find {}", ledger.display()))?;
    println!("{} is good; the log key is {}", path.display(), key.public());
    Ok(())
}
