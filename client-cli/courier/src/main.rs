//! `marram-courier`: carries sealed reports from the server to the offline computers, and can open none of them.
//!
//! It runs on an ordinary online computer, unattended if one likes. What it holds is worth little to a thief: a key that
//! may read ciphertext from the server, the public texts of the organization, and ciphertext on its way. What it
//! remembers is worth something to the organization: a server that shows one courier another past than before is caught by
//! the next pull.

mod alarm;
mod audit;
mod bundle;
mod canary;
mod evidence;
mod help;
mod key;
mod log;
mod memory;
mod orders;
mod outbox;
mod publish;
mod pull;
mod server;
mod spool;
mod status;
mod summary;
mod watch;

use std::{path::PathBuf, process::ExitCode, time::Duration};

use clap::{CommandFactory as _, Parser, Subcommand};
use marram_crypto::fingerprint::Link;
use marram_online::proxy::OnlineArgs;
use marram_terminal::{
    error::run,
    hardening,
    home::HomeArgs,
    manual::{self, ManualArgs, sections},
    output::{DEFAULT_WIDTH, OutputArgs},
};

/// Carry sealed reports from the server to the offline computers, and signed texts to the server
///
/// It can open none of the reports. It remembers what the server has shown, and a server that shows another past is
/// named. One home folder is for one organization.
///
/// `marram-courier status` says where things stand.
#[derive(Parser)]
#[command(name = "marram-courier", version, max_term_width = DEFAULT_WIDTH, after_long_help = sections(help::PROGRAM))]
struct Cli {
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    home: HomeArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Print this courier's public key, for the organization's settings; makes the key the first time
    Key,
    /// Fetch what is new since the last finished bundle, and write the next bundle
    ///
    /// Everything that the server shows is checked against the organization's charter and against what was seen before.
    /// Interrupted, it keeps what came so far; run the same command again to go on.
    #[command(after_long_help = sections(help::PULL))]
    Pull(PullArgs),
    /// Put a charter chain, manifests and caseworkers' orders on the server
    ///
    /// The authority is in the signatures, which the server verifies; those of keyholders are checked here first. Of a folder
    /// it takes charter.json, the *.manifest and the *.order files. Orders that the server has taken move into the folder
    /// `taken` beside them. Whatever is there already may be published again, and so may what broke off.
    #[command(alias = "push", after_long_help = sections(help::PUBLISH))]
    Publish(PublishArgs),
    /// Send reports of the courier's own, to see whether they arrive
    ///
    /// A canary is sealed and sent as any other report, so that the server cannot treat it better. Its receipt goes into the
    /// next bundle, and the caseworkers' program says which canary has not arrived. One that gets no receipt is an error.
    #[command(after_long_help = sections(help::CANARY))]
    Canary(CanaryArgs),
    /// Pull on a schedule, and tell people to look after each pull, whatever it brought
    ///
    /// After every pull, whether it failed or brought nothing or much, there is a notification that says the same each time,
    /// so that whoever watches network and mailboxes learns nothing from it. A round begins up to --jitter late, by chance,
    /// and the notification goes out --jitter after the pull began, or when it ends if that takes longer. A server that does
    /// not answer ends nothing; Ctrl-C does.
    #[command(after_long_help = sections(help::WATCH))]
    Watch(WatchArgs),
    /// Look at what the server shows everybody: charter, manifest and page, against what the keyholders have signed
    ///
    /// The page is asked for in every way that browsers ask, and has to be one whose SHA-256 the manifest names. What
    /// differs is named, and is an error.
    #[command(after_long_help = sections(help::AUDIT))]
    Audit(AuditArgs),
    /// Say where things stand, without going online
    Status,
    /// Write man pages and shell completions into a folder, to install them
    ///
    /// They go into the folders below it where man, bash, zsh and fish look, and replace what an earlier version wrote
    /// there. The names of the files are printed.
    #[command(after_long_help = sections(help::MANUAL))]
    Manual(ManualArgs),
}

/// Which server, and by what way.
#[derive(clap::Args, Clone)]
struct ServerArgs {
    /// The organization's link.
    #[arg(
        long,
        help = "The organization's link, needed the first time: https://HOST/#FINGERPRINT"
    )]
    link: Option<Link>,
    #[command(flatten)]
    online: OnlineArgs,
}

#[derive(clap::Args)]
struct PullArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// The bundle to write; there must be no such file yet
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Everything since the beginning, not only what is new; and compare every entry of the server's log with what was
    /// seen before, to say which one differs
    #[arg(long)]
    all: bool,
}

#[derive(clap::Args)]
struct PublishArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// A charter chain (charter.json), signed manifests, orders (*.order), or folders with them
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

#[derive(clap::Args)]
struct CanaryArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// How many to send
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100))]
    count: u32,
}

#[derive(clap::Args)]
struct AuditArgs {
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(clap::Args)]
struct WatchArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// The folder to write bundles into
    #[arg(long, value_name = "FOLDER")]
    into: PathBuf,
    /// From one round to the next: a number and s, m, h or d
    #[arg(long, value_name = "TIME", default_value = "6h", value_parser = watch::duration)]
    every: Duration,
    /// The most by which a round begins late
    #[arg(long, value_name = "TIME", default_value = "30m", value_parser = watch::duration)]
    jitter: Duration,
    /// A command for the shell, run after each pull with the same line on its standard input; may be given several times
    #[arg(long, value_name = "COMMAND")]
    notify: Vec<String>,
    /// One round, for cron and timers
    #[arg(long)]
    once: bool,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    run(&cli.output, |out| {
        hardening::harden();
        match &cli.command {
            Command::Key => key::print(out, &cli.home),
            Command::Pull(args) => pull::pull(out, &cli.home, args),
            Command::Publish(args) => publish::publish(out, &cli.home, args),
            Command::Canary(args) => canary::canary(out, &cli.home, args),
            Command::Watch(args) => watch::watch(out, &cli.home, args),
            Command::Audit(args) => audit::audit(out, &cli.home, args),
            Command::Status => status::status(out, &cli.home),
            Command::Manual(args) => manual::write(args, Cli::command(), out),
        }
    })
}
