//! `marram-casework`: the program of a caseworker, on an offline computer.

use std::{
    process::ExitCode,
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use marram_casework::{
    destroy::{self, DestroyArgs},
    enrol::{self, EnrolArgs, RenewArgs},
    extract::{self, ExtractArgs},
    import::{self, ImportArgs},
    list,
    show::{self, ShowArgs},
    status,
    unlock::Unlocked,
};
use marram_crypto::day::Day;
use marram_terminal::{
    error::run,
    hardening,
    home::HomeArgs,
    output::{Output, OutputArgs},
    passphrase::PassphraseArgs,
};

/// The caseworker's program: enrol, import what a courier brings, read reports. For an offline computer; it denies
/// itself the network.
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    home: HomeArgs,
    #[command(flatten)]
    passphrase: PassphraseArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make your keys, and the enrolment to carry to the keyholders
    Enrol(EnrolArgs),
    /// Make the keys of the next epochs
    Renew(RenewArgs),
    /// Import bundles that a courier brought
    Import(ImportArgs),
    /// List the reports
    List,
    /// Show a report
    Show(ShowArgs),
    /// Write a report's attachments into a folder, without opening them
    Extract(ExtractArgs),
    /// Destroy the keys of an epoch that is over
    DestroyEpoch(DestroyArgs),
    /// Show what is here, what runs out, and what is due
    Status,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    run(&cli.output, |out| work(&cli, out))
}

fn work(cli: &Cli, out: &Output) -> anyhow::Result<()> {
    hardening::harden().warn_of_swap(out);
    hardening::deny_network()?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let today = Day::from_unix_seconds(
        now.context("this computer's clock stands before 1970: set it")?
            .as_secs(),
    );
    let unlock = || Unlocked::open(&cli.home, &cli.passphrase);
    match &cli.command {
        Command::Enrol(args) => enrol::enrol(args, &cli.home, &cli.passphrase, today, out),
        Command::Renew(args) => enrol::renew(args, &cli.home, &cli.passphrase, today, out),
        Command::Import(args) => import::import(args, &mut unlock()?, out),
        Command::List => list::list(&unlock()?, out),
        Command::Show(args) => show::show(args, &unlock()?, out),
        Command::Extract(args) => extract::extract(args, &unlock()?, out),
        Command::DestroyEpoch(args) => destroy::destroy_epoch(args, &mut unlock()?, today, out),
        Command::Status => status::status(&unlock()?, today, out),
    }
}
