//! `order`: what I ask of the server, written into an outbox for a courier.

mod cosign;
mod delete;
mod outbox;

use marram_crypto::day::Day;
use marram_terminal::output::Output;

pub use cosign::CoSignArgs;
pub use delete::DeleteArgs;
pub(crate) use outbox::Outbox;

use crate::unlock::Unlocked;

/// What `order` is told.
#[derive(Debug, clap::Args)]
pub struct OrderArgs {
    /// Which order.
    #[command(subcommand)]
    pub command: OrderCommand,
}

/// Which order.
#[derive(Debug, clap::Subcommand)]
pub enum OrderCommand {
    /// Have the server destroy reports
    ///
    /// An order of one signer takes effect seven days after a report came, so that the others can read it first; with a
    /// second signature (order co-sign) at once. The log shows for ever that there was a report, and every caseworker who
    /// had not opened it is told whose slot ordered it.
    Delete(DeleteArgs),
    /// Add my signature to a colleague's order, so that it takes effect at once
    ///
    /// Shows what it destroys, and refuses what I have not opened.
    CoSign(CoSignArgs),
}

/// Makes or co-signs an order.
///
/// # Errors
/// Each with what to do next.
pub fn order(args: &OrderArgs, unlocked: &mut Unlocked, today: Day, out: &Output) -> anyhow::Result<()> {
    match &args.command {
        OrderCommand::Delete(args) => delete::delete(args, unlocked, today, out),
        OrderCommand::CoSign(args) => cosign::cosign(args, unlocked, today, out),
    }
}
