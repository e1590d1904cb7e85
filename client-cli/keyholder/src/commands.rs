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

use clap::Subcommand;
use marram_terminal::{
    ask::Ask,
    error::{fail, usage},
};

use crate::keyholder::Context;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make your root key; once, on your own offline computer
    Key(key::Args),
    /// Draft the charter of a new organization and sign it first; one keyholder does this
    Found(found::Args),
    /// Check and sign what another keyholder has made: a charter, or a batch of manifests
    Sign(sign::Args),
    /// Put a caseworker onto your own list, after comparing the digits of the enrolment key
    Vet(vet::Args),
    /// Make the manifests of the coming weeks and sign them first
    Issue(issue::Args),
    /// Strike a caseworker, and make new manifests without that one
    Revoke(revoke::Args),
    /// Where you are, and what to do next
    Status,
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
