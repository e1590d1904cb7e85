//! `marram-casework`: the program of a caseworker, on an offline computer.

mod help;

use std::{
    process::ExitCode,
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::Context as _;
use clap::{CommandFactory as _, Parser, Subcommand};
use marram_casework::{
    alarm::{self, AcknowledgeArgs, AlarmsArgs},
    board::{self, BoardArgs},
    destroy::{self, DestroyArgs},
    enrol::{self, EnrolArgs, RenewArgs},
    extract::{self, ExtractArgs},
    import::{self, ImportArgs},
    list,
    order::{self, OrderArgs},
    receipt::{self, ReceiptArgs},
    reply::{self, FoldArgs, ReplyArgs},
    show::{self, ShowArgs},
    standing::{self, CompareArgs, StandingArgs},
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
    /// contradicted or forged becomes an alarm. An import can be interrupted and repeated, and bundles come in any order;
    /// nothing is taken twice.
    #[command(after_long_help = sections(help::IMPORT))]
    Import(ImportArgs),
    /// Show what must not vanish quietly
    ///
    /// Each alarm stays until somebody acknowledges it with a comment.
    #[command(after_long_help = sections(help::ALARMS))]
    Alarms(AlarmsArgs),
    /// Acknowledge alarms, with what was found out
    ///
    /// What is acknowledged counts as accounted for: the keys of its epoch may then be destroyed.
    #[command(after_long_help = sections(help::ACKNOWLEDGE))]
    Acknowledge(AcknowledgeArgs),
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
    /// Answer a report
    ///
    /// The answer hangs on every board from the next one on, sealed to the report's codename, until it is as old as reports
    /// may become. Whoever wrote the report finds it with their twelve words.
    #[command(after_long_help = sections(help::REPLY))]
    Reply(ReplyArgs),
    /// Fold a report away as abuse: it is not acknowledged, and not answered
    Fold(FoldArgs),
    /// Take back that a report was folded away
    Unfold(FoldArgs),
    /// Make the next board: acknowledgements and answers
    ///
    /// It is made whole and sealed anew each time, on the days that the manifest sets, whether or not anything is new; so
    /// nobody learns from it who was answered. A courier carries it out.
    #[command(after_long_help = sections(help::BOARD))]
    Board(BoardArgs),
    /// Ask the server to destroy reports
    #[command(after_long_help = sections(help::ORDER))]
    Order(OrderArgs),
    /// Say whether what a server's receipt promises was kept
    #[command(after_long_help = sections(help::RECEIPT))]
    Receipt(ReceiptArgs),
    /// Write what I know of the log, for a colleague to compare
    #[command(after_long_help = sections(help::STANDING))]
    Standing(StandingArgs),
    /// Compare a colleague's standing with what is here
    ///
    /// If the server shows us different logs, or keeps from me what it gave to the colleague, it comes out here.
    #[command(after_long_help = sections(help::COMPARE))]
    Compare(CompareArgs),
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
        Command::Import(args) => import::import(args, &mut unlock()?, today, out),
        Command::Alarms(args) => alarm::alarms(args, &mut unlock()?, today, out),
        Command::Acknowledge(args) => alarm::acknowledge(args, &mut unlock()?, today, out),
        Command::List => list::list(&unlock()?, out),
        Command::Show(args) => show::show(args, &unlock()?, out),
        Command::Extract(args) => extract::extract(args, &unlock()?, out),
        Command::Reply(args) => reply::reply(args, &mut unlock()?, today, out),
        Command::Fold(args) => reply::fold(args, true, &mut unlock()?, today, out),
        Command::Unfold(args) => reply::fold(args, false, &mut unlock()?, today, out),
        Command::Board(args) => board::board(args, &mut unlock()?, today, out),
        Command::Order(args) => order::order(args, &mut unlock()?, today, out),
        Command::Receipt(args) => receipt::receipt(args, &mut unlock()?, today, out),
        Command::Standing(args) => standing::standing(args, &unlock()?, today, out),
        Command::Compare(args) => standing::compare(args, &mut unlock()?, today, out),
        Command::DestroyEpoch(args) => destroy::destroy_epoch(args, &mut unlock()?, today, out),
        Command::Status => status::status(&mut unlock()?, today, out),
        Command::Manual(args) => manual::write(args, Cli::command(), out),
    }
}
