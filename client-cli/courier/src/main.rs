//! `marram-courier`: carries sealed reports from the server to the offline computers, and can open none of them.
//!
//! It runs on an ordinary online computer, unattended if one likes. What it holds is worth little to a thief: a key that
//! may read ciphertext from the server, the public texts of the organization, and ciphertext on its way. What it
//! remembers is worth something to the organization: a server that shows one courier another past than before is caught,
//! at once if it is recent or shorter, by `pull --all` however old it is.

mod bundle;
mod help;
mod key;
mod log;
mod memory;
mod publish;
mod pull;
mod server;
mod spool;
mod status;

use std::{path::PathBuf, process::ExitCode};

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
    /// Put a charter chain or manifests on the server
    ///
    /// The authority is in the keyholders' signatures: they are checked here first, and again by the server. Files that are
    /// there already may be published again.
    #[command(after_long_help = sections(help::PUBLISH))]
    Publish(PublishArgs),
    /// Say where things stand, without going online
    Status,
    /// Write man pages and shell completions into a folder, to install them
    ///
    /// They go into the folders below it where man, bash, zsh and fish look, and replace what an earlier version wrote
    /// there. The names of the files are printed.
    #[command(after_long_help = sections(help::MANUAL))]
    Manual(ManualArgs),
}

#[derive(clap::Args)]
struct PullArgs {
    /// The organization's link.
    #[arg(
        long,
        help = "The organization's link, needed the first time: https://HOST/#FINGERPRINT"
    )]
    link: Option<Link>,
    #[command(flatten)]
    online: OnlineArgs,
    /// The bundle to write; there must be no such file yet
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Everything since the beginning, not only what is new; and compare the server's whole log with what was seen
    /// before, not only the last 1,000 reports of it
    #[arg(long)]
    all: bool,
}

#[derive(clap::Args)]
struct PublishArgs {
    /// The organization's link.
    #[arg(
        long,
        help = "The organization's link, needed the first time: https://HOST/#FINGERPRINT"
    )]
    link: Option<Link>,
    #[command(flatten)]
    online: OnlineArgs,
    /// A charter chain (charter.json) and signed manifests, in any order
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    run(&cli.output, |out| {
        hardening::harden();
        match &cli.command {
            Command::Key => key::print(out, &cli.home),
            Command::Pull(args) => pull::pull(out, &cli.home, args),
            Command::Publish(args) => publish::publish(out, &cli.home, args),
            Command::Status => status::status(out, &cli.home),
            Command::Manual(args) => manual::write(args, Cli::command(), out),
        }
    })
}
