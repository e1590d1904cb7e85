//! The commands, a file for each.

mod found;
pub(crate) mod issue;
mod key;
mod revoke;
mod sign;
mod sign_batch;
mod sign_charter;
mod status;
mod vet;

use clap::{CommandFactory as _, Subcommand};
use marram_terminal::{
    ask::Ask,
    error::{fail, usage},
    manual::{self, ManualArgs, sections},
};

use crate::{Cli, help, keyholder::Context};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make your root key; once, on your own offline computer
    ///
    /// The secret half stays in this program's folder, wrapped by a passphrase that you choose or are given. The public
    /// half is written to PSEUDONYM.root, for the keyholder who drafts the charter. If the key is there already, the
    /// public half is written again.
    #[command(after_long_help = sections(help::KEY))]
    Key(key::Args),
    /// Draft the charter of a new organization and sign it first; one keyholder does this
    ///
    /// Asks what is not given: the organization's name, how it is reached, and how many keyholders must sign together.
    /// Lets you compare the digits of every other keyholder's root key, signs, and writes the charter. The others then
    /// run `marram-keyholder sign charter.json`.
    #[command(after_long_help = sections(help::FOUND))]
    Found(found::Args),
    /// Check and sign what another keyholder has made: a charter, or a batch of manifests
    ///
    /// Shows what it is, what has changed, and who could read; checks that every slot of a manifest belongs to a
    /// caseworker on your own list or provably to nobody; asks, and adds your signature. Run it again on something that
    /// others have signed since, so that this computer knows.
    #[command(after_long_help = sections(help::SIGN))]
    Sign(sign::Args),
    /// Put a caseworker onto your own list, after comparing the digits of the enrolment key
    ///
    /// An enrolment is the file that `marram-casework enrol` writes: the public keys of one caseworker for half a year.
    /// Only who is on your own list gets your signature; the list is never taken from another keyholder.
    #[command(after_long_help = sections(help::VET))]
    Vet(vet::Args),
    /// Make the manifests of the coming weeks and sign them first
    ///
    /// A manifest says what is valid in one epoch (a week, from Monday to Monday): who can read, which couriers may
    /// fetch, and what organization.toml decides. They are written into a folder, which the next keyholder signs. At
    /// most five weeks ahead can be signed.
    #[command(after_long_help = sections(help::ISSUE))]
    Issue(issue::Args),
    /// Strike a caseworker, and make new manifests without that one
    ///
    /// For a caseworker who left, turned, or lost the computer. Every manifest that is not over gets a new version in
    /// which nobody holds the caseworker's slot. It takes effect once enough keyholders have signed and a courier has
    /// published; what was sent before stays readable to the caseworker.
    #[command(after_long_help = sections(help::REVOKE))]
    Revoke(revoke::Args),
    /// Show where you are, and what to do next
    Status,
    /// Write man pages and shell completions into a folder, to install them
    ///
    /// They go into the folders below it where man, bash, zsh and fish look, and replace what an earlier version wrote
    /// there. The names of the files are printed.
    #[command(after_long_help = sections(help::MANUAL))]
    Manual(ManualArgs),
}

impl Command {
    pub(crate) fn run(&self, context: &Context<'_>) -> anyhow::Result<()> {
        match self {
            Self::Key(args) => key::run(args, context),
            Self::Found(args) => found::run(args, context),
            Self::Sign(args) => sign::run(args, context),
            Self::Vet(args) => vet::run(args, context),
            Self::Issue(args) => issue::run(args, context),
            Self::Revoke(args) => revoke::run(args, context),
            Self::Status => status::run(context),
            Self::Manual(args) => manual::write(args, Cli::command(), context.out),
        }
    }
}

/// Asks before something is signed. `yes` stands for the answer, in a script.
fn agree(context: &Context<'_>, ask: &mut Ask, yes: bool, question: &str) -> anyhow::Result<()> {
    if yes {
        return Ok(());
    }
    if context.out.is_json() {
        return Err(usage("--json asks nothing: add --yes to agree beforehand"));
    }
    if ask.confirm(question, false)? {
        return Ok(());
    }
    Err(fail(
        "you did not agree: nothing was signed, and nothing was changed",
        "run the command again once it is settled",
    ))
}
