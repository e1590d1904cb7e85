//! `marram-server`: takes sealed reports, keeps them, hands them to couriers.

mod help;

use std::{
    fs::OpenOptions,
    io::Write,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context;
use clap::{CommandFactory, Parser, Subcommand};
use marram_manual::{ManualArgs, Section, sections};
use marram_server::{
    clock::Clock,
    config::Config,
    failure::{ResultExt, report},
    init::{self, Expected},
    log_key, logging,
    page::{self, PAGE},
    run,
};
use rustix::{
    fs::Mode,
    process::{Resource, getrlimit, setrlimit, umask},
};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Take sealed reports, keep them, and hand them to couriers
///
/// It holds nothing that could open one, asks for no account, and writes down no address and no time finer than a day.
#[derive(Parser)]
#[command(name = "marram-server", version, max_term_width = 80, after_long_help = sections(help::PROGRAM))]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make the data folder of a new server: log key, store, configuration
    ///
    /// The charter's digits must be the ones that a keyholder reads to you: you are shown them and asked, unless
    /// --fingerprint says them.
    #[command(after_long_help = sections(help::INIT))]
    Init {
        /// The folder to make
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
        /// The organization's charter chain, from a keyholder
        #[arg(long, value_name = "FILE")]
        charter: PathBuf,
        /// The charter's fingerprint as a keyholder told it: twelve groups of digits, or 64 characters, or the link.
        /// Without it you are shown the digits and asked
        #[arg(long, value_name = "DIGITS")]
        fingerprint: Option<Expected>,
        #[command(flatten)]
        output: Output,
    },
    /// Run the server until it gets SIGTERM or Ctrl-C
    #[command(after_long_help = sections(help::RUN))]
    Run {
        /// The configuration file
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Check a configuration without running it
    ///
    /// Also that the log key can be read and that there is a store; what stands in the store is checked when the server
    /// starts.
    #[command(after_long_help = sections(help::CHECK_CONFIG))]
    CheckConfig {
        /// The configuration file
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        #[command(flatten)]
        output: Output,
    },
    /// Say which page this server shows browsers, and write it to a file
    ///
    /// The keyholders name its SHA-256 in the manifests, so that everybody can tell whether the server shows the page that they
    /// have looked at. They should build it from the source and compare, rather than believe this server.
    #[command(after_long_help = sections(help::PAGE))]
    Page {
        /// A file to write it to; there must be no such file yet
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        #[command(flatten)]
        output: Output,
    },
    /// Write man pages and shell completions into a folder, to install them
    ///
    /// They go into the folders below it where man, bash, zsh and fish look, and replace what an earlier version wrote
    /// there. The names of the files are printed.
    #[command(after_long_help = sections(help::MANUAL))]
    Manual(ManualArgs),
}

#[derive(clap::Args)]
struct Output {
    /// Print one JSON value on stdout
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    match answer() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report(&error, &mut std::io::stderr());
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
                output,
            } => init(data, charter, fingerprint, &output).await,
            Command::Run { config } => serve(config).await,
            Command::CheckConfig { config, output } => check(&config, &output),
            Command::Page { out, output } => page(out.as_deref(), &output),
            Command::Manual(args) => manual(&args),
        }
    })
}

async fn init(data: PathBuf, charter: PathBuf, fingerprint: Option<Expected>, output: &Output) -> anyhow::Result<()> {
    let chain = init::read_charter(&charter, fingerprint.as_ref())?;
    if fingerprint.is_none() {
        init::confirm(&chain)?;
    }
    let made = init::init(&data, chain).await?;
    let (newest, config) = (made.chain.newest(), made.config.display());
    let page = page::digest();
    output.print(
        &format!(
            "server for {} (charter version {})\n\
             configuration: {config}\n\
             log key: {}\n\
             page: {page}\n\
             \n\
             next:\n\
             \x20 1. give both to the keyholders, who name them in the manifests\n\
             \x20 2. look through the configuration, then:\n\
             \x20    marram-server run --config {config}\n\
             \x20 3. when the server runs, publish the signed manifests to it; until then\n\
             \x20    nobody can report",
            newest.name, newest.version, made.log_key
        ),
        &serde_json::json!({
            "organization": newest.name,
            "charter_version": newest.version,
            "config": made.config,
            "log_key": made.log_key,
            "page": page,
        }),
    )
}

async fn serve(path: PathBuf) -> anyhow::Result<()> {
    let config = Config::read(&path)?;
    logging::start(config.log_level);
    allow_open_files(config.limits.connections);
    let mut signals = Signals::new()?;
    let running = tokio::select! {
        running = run::start(config, Clock::system()) => running?,
        number = signals.stop() => {
            tracing::info!("stopped while starting");
            end_at_once(number);
        }
    };
    signals.stop().await;
    tracing::info!("stopping; a second signal ends it at once");
    tokio::select! {
        stopped = running.stop() => stopped,
        number = signals.stop() => {
            tracing::warn!("ended at once: uploads under way were cut off; what was acknowledged is safe");
            end_at_once(number);
        }
    }
}

/// As a kill would, and as safe: what was acknowledged is durable.
fn end_at_once(signal: i32) -> ! {
    std::process::exit(128 + signal)
}

/// What asks the server to stop.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    fn new() -> anyhow::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for SIGTERM or SIGINT; its number.
    async fn stop(&mut self) -> i32 {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return SignalKind::terminate().as_raw_value(),
                _ = self.interrupt.recv() => return SignalKind::interrupt().as_raw_value(),
                // Habit sends it to have a configuration read again, and a closed terminal sends it to everything in it:
                // neither is a reason to turn reports away.
                _ = self.hang_up.recv() => {
                    tracing::info!("SIGHUP changes nothing: the configuration is read at the start only");
                }
            }
        }
    }
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

fn check(path: &Path, output: &Output) -> anyhow::Result<()> {
    let config = Config::read(path)?;
    let key = log_key::read(&log_key::path_in(&config.data_dir))?.public();
    let ledger = config.data_dir.join("store/ledger");
    std::fs::metadata(&ledger)
        .with_context(|| format!("there is no store: cannot find {}", ledger.display()))
        .next("check `data_dir` in the configuration, or restore the whole folder from a backup")?;
    output.print(
        &format!(
            "{} is good: the server would listen on {}, with the log key\n{key}",
            path.display(),
            config.listen
        ),
        &serde_json::json!({
            "config": path,
            "listen": config.listen.to_string(),
            "health_listen": config.health_listen.to_string(),
            "data_dir": config.data_dir,
            "charter_fingerprint": config.charter_fingerprint,
            "log_key": key,
        }),
    )
}

fn page(out: Option<&Path>, output: &Output) -> anyhow::Result<()> {
    if let Some(path) = out {
        let written = OpenOptions::new().write(true).create_new(true).open(path);
        written
            .and_then(|mut file| file.write_all(PAGE).and_then(|()| file.sync_all()))
            .with_context(|| format!("cannot write the page to {}", path.display()))
            .next("name a file that is not there yet, in a folder that you may write to")?;
    }
    let digest = page::digest();
    output.print(
        &format!("page: {digest}"),
        &serde_json::json!({"page": digest, "size": PAGE.len(), "file": out}),
    )
}

fn manual(args: &ManualArgs) -> anyhow::Result<()> {
    let written = args.write(Cli::command(), Section::Administration).or_else(|error| {
        let next = error.next_step();
        Err(error).next(next)
    })?;
    let names: Vec<String> = written.iter().map(|path| path.display().to_string()).collect();
    print(&names.join("\n"))
}

impl Output {
    fn print(&self, text: &str, json: &serde_json::Value) -> anyhow::Result<()> {
        if self.json {
            print(&json.to_string())
        } else {
            print(text)
        }
    }
}

/// Fails where `println!` would panic.
fn print(text: &str) -> anyhow::Result<()> {
    writeln!(std::io::stdout(), "{text}").context("cannot write to stdout")
}
