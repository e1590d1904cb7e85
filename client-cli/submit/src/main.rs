//! `marram-submit`: reports to an organization from a terminal, and keeps nothing.
//!
//! From the organization's link it verifies everything up to the fingerprint, asks the questionnaire (or takes a JSON
//! file), seals on this computer and sends. What it writes to a disk by itself is ciphertext in a file without a name.
//! There is no configuration, no history and no log.

mod attachments;
mod check;
mod codename;
mod dialogue;
mod given;
mod help;
mod interview;
mod organization;
mod own_questions;
mod report;
mod review;
mod screen;
mod send;

use std::{path::PathBuf, process::ExitCode};

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand, parser::ValueSource};
use marram_crypto::{day::Epoch, fingerprint::Link};
use marram_online::proxy::OnlineArgs;
use marram_terminal::{
    error::{run, usage},
    hardening,
    manual::{self, ManualArgs, sections},
    output::{DEFAULT_WIDTH, OutputArgs},
};

/// Report to an organization, so that only its caseworkers can read it. This computer keeps nothing of it
///
/// Without options it asks for everything. Leave LINK out to be asked for it as well: then it does not stand in the
/// shell's history.
#[derive(Parser)]
#[command(name = "marram-submit", version, max_term_width = DEFAULT_WIDTH, after_long_help = sections(help::PROGRAM))]
struct Cli {
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    report: ReportArgs,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Make a report and send it: what this program does unless told otherwise
    ///
    /// Leave LINK out to be asked for it: then it does not stand in the shell's history. With --incident everything comes
    /// from files, and nothing is asked.
    #[command(after_long_help = sections(help::REPORT))]
    Report(Box<ReportArgs>),
    /// Look whether a report was read, and for answers: asks for the twelve words of its codename
    ///
    /// It fetches the same whatever there is for you, so that nobody who watches learns it. Nothing is kept on this computer.
    #[command(after_long_help = sections(help::CHECK))]
    Check(CheckArgs),
    /// Add something to an earlier report: asks for the twelve words of its codename
    ///
    /// It is sealed and sent as a report is; the caseworkers see that it belongs to the earlier one, and nobody else does.
    #[command(after_long_help = sections(help::ADD))]
    Add(Box<AddArgs>),
    /// Send a report that was sealed before, with --only-seal or when sending failed
    ///
    /// It can be sent as often as needed: the server keeps it once. Sending does not open it, and needs no codename.
    #[command(after_long_help = sections(help::SEND))]
    Send(SendArgs),
    /// Write man pages and shell completions into a folder, to install them
    ///
    /// They go into the folders below it where man, bash, zsh and fish look, and replace what an earlier version wrote
    /// there. The names of the files are printed.
    #[command(after_long_help = sections(help::MANUAL))]
    Manual(ManualArgs),
}

/// Where the organization is found.
#[derive(clap::Args)]
struct OrganizationArgs {
    /// The organization's link.
    #[arg(value_name = "LINK", value_parser = link, help = "The organization's link: https://HOST/#FINGERPRINT")]
    link: Option<Link>,
    #[command(flatten)]
    online: OnlineArgs,
    /// The charter chain, from a file instead of the server
    #[arg(long, value_name = "FILE", requires = "manifest")]
    charter: Option<PathBuf>,
    /// The manifest of this week, from a file instead of the server
    #[arg(long, value_name = "FILE", requires = "charter")]
    manifest: Option<PathBuf>,
}

#[derive(clap::Args)]
struct ReportArgs {
    #[command(flatten)]
    tell: TellArgs,
    /// Write the codename to this file descriptor instead of showing it, with --incident
    #[arg(long, value_name = "N", requires = "incident")]
    codename_fd: Option<u32>,
}

#[derive(clap::Args)]
struct AddArgs {
    #[command(flatten)]
    tell: TellArgs,
    /// Read the codename from this file descriptor instead of asking for it
    #[arg(long, value_name = "N")]
    codename_fd: Option<u32>,
}

#[derive(clap::Args)]
struct CheckArgs {
    /// The organization's link.
    #[arg(value_name = "LINK", value_parser = link, help = "The organization's link: https://HOST/#FINGERPRINT")]
    link: Option<Link>,
    #[command(flatten)]
    online: OnlineArgs,
    /// Read the codename from this file descriptor instead of asking for it
    #[arg(long, value_name = "N")]
    codename_fd: Option<u32>,
}

/// What is told, and what becomes of it.
#[derive(clap::Args)]
struct TellArgs {
    #[command(flatten)]
    organization: OrganizationArgs,
    /// Your language, for emergency contacts and the words of the codename: en, zh-Hans, zh-Hant, es, fr, ug, …
    #[arg(long, value_name = "TAG")]
    language: Option<String>,
    /// Ask nothing: take the incident from a JSON file (/dev/stdin for a pipe)
    #[arg(long, value_name = "FILE")]
    incident: Option<PathBuf>,
    /// A file that goes with --incident; may be given several times
    #[arg(long, value_name = "FILE", requires = "incident")]
    attach: Vec<PathBuf>,
    /// Answers to the organization's own questions, with --incident: a JSON object from question to answer
    #[arg(long, value_name = "FILE", requires = "incident")]
    answers: Option<PathBuf>,
    /// Do not send: write the sealed report to this file
    #[arg(long, value_name = "FILE")]
    only_seal: Option<PathBuf>,
    /// If sending fails in the end, save the sealed report to this file, with --incident
    #[arg(long, value_name = "FILE", requires = "incident", conflicts_with = "only_seal")]
    save_unsent: Option<PathBuf>,
    /// Keep the server's receipt in this file. Whoever finds it knows that this computer sent a report, and when
    #[arg(long, value_name = "FILE", conflicts_with = "only_seal")]
    receipt: Option<PathBuf>,
}

#[derive(clap::Args)]
struct SendArgs {
    /// The sealed report
    #[arg(value_name = "FILE")]
    sealed: PathBuf,
    #[command(flatten)]
    organization: OrganizationArgs,
    /// The number of the week it was sealed for, if not this one
    #[arg(long, value_name = "N")]
    epoch: Option<Epoch>,
    /// Keep the server's receipt in this file. Whoever finds it knows that this computer sent a report, and when
    #[arg(long, value_name = "FILE")]
    receipt: Option<PathBuf>,
}

/// Reads a link. What does not even look like one may have been meant as a command.
fn link(text: &str) -> Result<Link, String> {
    match Link::parse(text) {
        Err(_) if !text.contains([':', '#']) => Err(
            "this is no link (https://HOST/#FINGERPRINT), and no command: marram-submit --help names them".to_owned(),
        ),
        link => link.map_err(|error| error.to_string()),
    }
}

fn main() -> ExitCode {
    let matches = Cli::command().get_matches();
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    // A --proxy that is passed over without a word could give somebody away.
    let misplaced = Cli::command()
        .get_arguments()
        .map(|argument| argument.get_id().as_str())
        .filter(|id| !["json", "quiet", "color", "help", "version"].contains(id))
        .find(|id| matches.value_source(id) == Some(ValueSource::CommandLine))
        .map(ToOwned::to_owned);
    run(&cli.output, |out| {
        hardening::harden().warn_of_swap(out);
        if let (Some(_), Some(option)) = (&cli.command, misplaced) {
            return Err(usage(format!(
                "{} stands before the command, where it would have no effect: put it after",
                match option.as_str() {
                    "link" => "LINK".to_owned(),
                    option => format!("--{}", option.replace('_', "-")),
                }
            )));
        }
        match &cli.command {
            None => report::report(out, &cli.report),
            Some(Command::Report(args)) => report::report(out, args),
            Some(Command::Check(args)) => check::check(out, args),
            Some(Command::Add(args)) => report::add(out, args),
            Some(Command::Send(args)) => send::send_file(out, args),
            Some(Command::Manual(args)) => manual::write(args, Cli::command(), out),
        }
    })
}
