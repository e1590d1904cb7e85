//! `marram-casework`: the program of a caseworker, on an offline computer.

mod help;

use std::{
    process::ExitCode,
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::Context as _;
use clap::{CommandFactory as _, Parser, Subcommand};
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
    manual::{self, ManualArgs, sections},
    output::{DEFAULT_WIDTH, Output, OutputArgs},
    passphrase::PassphraseArgs,
};

/// Enrol, import what a courier brings, read reports. For a caseworker's offline computer
///
/// Reports are opened into an encrypted casebook. Their attachments are only ever written out when asked for, and never
/// opened. The program denies itself the network.
///
/// `marram-casework status` shows what is here, what runs out, and what is due.
#[derive(Debug, Parser)]
#[command(name = "marram-casework", version, max_term_width = DEFAULT_WIDTH, after_long_help = sections(help::PROGRAM))]
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
    ///
    /// First the charter is verified: its digits must be the ones that a keyholder reads to you. The secret keys stay in
    /// this program's folder, wrapped by a passphrase that you choose or are given. The enrolment holds the public ones,
    /// a pair for each epoch (a week, from Monday to Monday).
    #[command(after_long_help = sections(help::ENROL))]
    Enrol(EnrolArgs),
    /// Make the keys of the next epochs
    ///
    /// Nothing is sealed to you in a week for which the keyholders have no key of yours. `marram-casework status` says
    /// when yours run out.
    #[command(after_long_help = sections(help::RENEW))]
    Renew(RenewArgs),
    /// Import bundles that a courier brought
    ///
    /// Opens every report that is sealed to you, and accounts for every one that the server's log names: what is withheld,
    /// contradicted or forged is named. An import can be interrupted and repeated; nothing is taken twice.
    #[command(after_long_help = sections(help::IMPORT))]
    Import(ImportArgs),
    /// List the reports
    List,
    /// Show a report
    #[command(after_long_help = sections(help::SHOW))]
    Show(ShowArgs),
    /// Write a report's attachments into a folder, without opening them
    ///
    /// A stranger made these files: open them only in an isolated viewer, such as a disposable virtual machine without a
    /// network.
    #[command(after_long_help = sections(help::EXTRACT))]
    Extract(ExtractArgs),
    /// Destroy the keys of an epoch that is over
    ///
    /// From then on nobody can open with them what was recorded on its way, not even with this computer and your
    /// passphrase. Reports that are in the casebook stay readable; those that were not imported yet are lost.
    #[command(after_long_help = sections(help::DESTROY_EPOCH))]
    DestroyEpoch(DestroyArgs),
    /// Show what is here, what runs out, and what is due
    Status,
    /// Write man pages and shell completions into a folder, to install them
    ///
    /// They go into the folders below it where man, bash, zsh and fish look, and replace what an earlier version wrote
    /// there. The names of the files are printed.
    #[command(after_long_help = sections(help::MANUAL))]
    Manual(ManualArgs),
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
        Command::Manual(args) => manual::write(args, Cli::command(), out),
    }
}
