//! The manners that the command-line programs of Marram share: how they ask, answer, fail, keep secrets and stop.
//!
//! | module | manners |
//! |---|---|
//! | [`error`] | what a failure says (`error:`, `because`, `next:`) and the exit code |
//! | [`output`], [`table`], [`text`], [`progress`] | what is printed, for people or as JSON; foreign text made harmless |
//! | [`ask`] | questions and answers, at a terminal or through a pipe |
//! | [`passphrase`], [`secret_file`] | passphrases, and files wrapped by one |
//! | [`files`], [`home`] | atomic and bounded files; the folder in which a program keeps its state |
//! | [`interrupt`], [`hardening`] | Ctrl-C; no core dumps, no network |
//! | [`manual`] | man pages and shell completions, from the definition of the command line |
//!
//! Out of scope: every format of the protocol (`marram-crypto`), and anything that talks to a network. Nothing here
//! opens a socket, and nothing here runs asynchronously.
//!
//! ```no_run
//! use clap::Parser;
//! use marram_terminal::{error::run, home::HomeArgs, output::OutputArgs, passphrase::PassphraseArgs};
//!
//! #[derive(Parser)]
//! struct Cli {
//!     #[command(flatten)]
//!     output: OutputArgs,
//!     #[command(flatten)]
//!     home: HomeArgs,
//!     #[command(flatten)]
//!     passphrase: PassphraseArgs,
//! }
//!
//! fn main() -> std::process::ExitCode {
//!     let cli = Cli::parse();
//!     run(&cli.output, |out| {
//!         let home = cli.home.open("courier")?;
//!         let (key, _) = cli.passphrase.unlock(&home.file("key.age"), "your courier key", 4096)?;
//!         out.line(format!("a key of {} bytes", key.len()));
//!         Ok(())
//!     })
//! }
//! ```

#![warn(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod ask;
pub mod error;
pub mod files;
pub mod hardening;
pub mod home;
pub mod interrupt;
pub mod manual;
pub mod output;
pub mod passphrase;
pub mod progress;
pub mod secret_file;
pub mod table;
pub mod text;
