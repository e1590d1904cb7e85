//! `marram-courier`: carries sealed reports from the server to the offline computers, and can open none of them.
//!
//! It runs on an ordinary online computer, unattended if one likes. What it holds is worth little to a thief: a key that
//! may read ciphertext from the server, the public texts of the organization, and ciphertext on its way. What it
//! remembers is worth something to the organization: a server that shows one courier another past than before is caught,
//! at once if it is recent or shorter, by `pull --all` however old it is.

mod bundle;
mod key;
mod log;
mod memory;
mod publish;
mod pull;
mod server;
mod spool;
mod status;

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};
use marram_crypto::fingerprint::Link;
use marram_online::proxy::OnlineArgs;
use marram_terminal::{error::run, hardening, home::HomeArgs, output::OutputArgs};

/// Carries sealed reports from the server to the offline computers, and can open none of them.
#[derive(Parser)]
#[command(name = "marram-courier", version)]
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
    Pull(PullArgs),
    /// Put a charter chain or manifests on the server
    Publish(PublishArgs),
    /// Say where things stand, without going online
    Status,
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
        }
    })
}
