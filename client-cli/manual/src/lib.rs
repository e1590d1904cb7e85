//! Man pages and shell completions of a program, from the definition of its command line. Each program writes its own:
//!
//! ```text
//! # marram-keyholder manual /usr/local/share
//! /usr/local/share/man/man1/marram-keyholder.1
//! /usr/local/share/man/man1/marram-keyholder-key.1                          a page for each command
//! /usr/local/share/bash-completion/completions/marram-keyholder
//! /usr/local/share/zsh/site-functions/_marram-keyholder
//! /usr/local/share/fish/vendor_completions.d/marram-keyholder.fish
//! ```
//!
//! These are the folders where man and the shells look under `/usr/share`, `/usr/local/share` and (bash and fish)
//! `~/.local/share`. Nothing generated is kept in the repository: what the program says of itself cannot grow old.
//!
//! Examples, files and whatever else a page needs beside its options stand in [`sections`], which `--help` shows too.
//!
//! A program needs three things:
//!
//! ```
//! # use clap::{CommandFactory as _, Parser, Subcommand};
//! use marram_manual::{ManualArgs, Section, sections};
//!
//! /// Does one thing.
//! #[derive(Parser)]
//! #[command(name = "marram-sample", version, after_long_help = sections(MORE))]              // 1
//! struct Cli {
//!     #[command(subcommand)]
//!     command: Command,
//! }
//!
//! const MORE: &str = "\
//! Examples:
//!   marram-sample do --well
//!       Does it well.
//! ";
//!
//! #[derive(Subcommand)]
//! enum Command {
//!     /// Do it
//!     Do,
//!     /// Write man pages and shell completions into a folder, to install them
//!     Manual(ManualArgs),                                                                    // 2
//! }
//!
//! # fn run(cli: Cli) -> Result<(), marram_manual::ManualError> {
//! match &cli.command {
//!     Command::Do => {}
//!     Command::Manual(args) => {
//!         for path in args.write(Cli::command(), Section::Commands)? {                       // 3
//!             println!("{}", path.display());
//!         }
//!     }
//! }
//! # Ok(())
//! # }
//! ```

#![warn(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod completions;
mod install;
mod page;
mod sections;
#[cfg(feature = "testing")]
pub mod testing;

use std::path::PathBuf;

pub use install::ManualError;
pub use sections::sections;

use crate::install::Folder;

/// The arguments of the command `manual`.
#[derive(Debug, clap::Args)]
pub struct ManualArgs {
    /// The folder to write into: /usr/local/share for everybody on this computer
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
}

/// The part of the system's manual that a program belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Section {
    /// 1: what people run.
    Commands,
    /// 8: what the administrator of a machine runs.
    Administration,
}

impl Section {
    fn number(self) -> &'static str {
        match self {
            Self::Commands => "1",
            Self::Administration => "8",
        }
    }
}

impl ManualArgs {
    /// Writes what belongs to a program, in place of what an earlier version wrote, and says which files these are. The
    /// same program writes the same bytes every time. Files are readable for everybody, whatever the umask.
    ///
    /// # Errors
    /// [`ManualError`], naming the file. What was written before it stays; each file is whole.
    pub fn write(&self, program: clap::Command, section: Section) -> Result<Vec<PathBuf>, ManualError> {
        let mut folder = Folder::new(&self.folder);
        for (name, page) in page::all(&program, section) {
            folder.write(&format!("man/man{}", section.number()), &name, &page)?;
        }
        for completion in completions::all(program) {
            folder.write(completion.folder, &completion.name, &completion.script)?;
        }
        Ok(folder.written)
    }
}
