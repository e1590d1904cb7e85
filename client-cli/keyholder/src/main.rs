//! `marram-keyholder`: the offline program of those who hold the root keys of an organization. Together, and never
//! alone, they say who the organization is (the charter) and what is valid in each week (the manifests).
//!
//! It links no network code, denies itself sockets, and keeps everything in one file wrapped by a passphrase.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod batch;
mod batch_screen;
mod charter_file;
mod commands;
mod compare;
mod differences;
#[cfg(test)]
mod fixture;
mod founding;
mod help;
mod keyholder;
mod making;
mod memory;
mod pseudonym;
mod review;
mod root_file;
mod secret_hex;
mod settings;
mod slots;
mod state;
mod status;
mod vetted;
mod week;

use std::process::ExitCode;

use clap::Parser;
use getrandom::{SysRng, rand_core::UnwrapErr};
use marram_terminal::{
    error::run,
    hardening,
    home::HomeArgs,
    manual::sections,
    output::{DEFAULT_WIDTH, OutputArgs},
    passphrase::PassphraseArgs,
};

use crate::{commands::Command, keyholder::Context};

/// Found the organization, and sign what is valid each week. For an offline computer
///
/// Each keyholder has a computer that is never online, and on it a root key. Together, and never alone, keyholders sign
/// the charter (who the organization is) and the manifests (who can read in each week). The program denies itself the
/// network.
///
/// `marram-keyholder status` says at any time where you are and what to do next.
#[derive(Debug, Parser)]
#[command(name = "marram-keyholder", version, max_term_width = DEFAULT_WIDTH, after_long_help = sections(help::PROGRAM))]
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

fn main() -> ExitCode {
    let cli = Cli::parse();
    run(&cli.output, |out| {
        hardening::harden().warn_of_swap(out);
        hardening::deny_network()?;
        let context = Context {
            out,
            home: &cli.home,
            passphrase: &cli.passphrase,
            today: keyholder::today(),
        };
        cli.command.run(&context)
    })
}

/// The operating system's randomness, for whoever takes randomness as an argument.
fn rng() -> UnwrapErr<SysRng> {
    UnwrapErr(SysRng)
}
