//! `sign`: what another keyholder has made is checked, shown, and signed.

use std::path::PathBuf;

use marram_crypto::fingerprint::Digits;
use marram_terminal::error::fail;

use super::{sign_batch, sign_charter};
use crate::keyholder::Context;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A charter.json, or the folder of a batch
    #[arg(value_name = "FILE|FOLDER")]
    pub(super) path: PathBuf,
    /// For scripts: the expected digits of another keyholder's root key, all of them; once for each
    #[arg(long, value_name = "DIGITS")]
    pub(super) digits: Vec<Digits>,
    /// For scripts: sign without asking, if all checks pass
    #[arg(long)]
    pub(super) yes: bool,
    /// Forget the unfinished charter that you drafted or signed before
    #[arg(long)]
    pub(super) begin_again: bool,
    /// Allow a threshold of 1, with which whoever gets one key reads everything
    #[arg(long)]
    pub(super) one_keyholder_can_betray_everyone: bool,
}

pub(crate) fn run(args: &Args, context: &Context<'_>) -> anyhow::Result<()> {
    if args.path.is_dir() {
        sign_batch::run(args, context)
    } else if args.path.extension().is_some_and(|ending| ending == "manifest") {
        Err(fail(
            format!("{} is one manifest of a batch", args.path.display()),
            "name the folder that holds it: its annex has to be checked with it",
        ))
    } else if args.path.extension().is_some_and(|ending| ending == "enrolment") {
        Err(fail(
            format!("{} is an enrolment: it is vetted, not signed", args.path.display()),
            format!("marram-keyholder vet {} --name PSEUDONYM", args.path.display()),
        ))
    } else {
        sign_charter::run(args, context)
    }
}
