//! The command `manual`, which every program has: its man pages and shell completions, written where an administrator
//! or a package wants them.

use clap::Command;
use marram_manual::Section;
pub use marram_manual::{ManualArgs, sections};

use crate::{error::ResultExt as _, output::Output};

/// Writes the man pages and completions of `program` (its `Cli::command()`) and prints the files' names.
///
/// # Errors
/// A file that cannot be written, with what to do next.
pub fn write(args: &ManualArgs, program: Command, out: &Output) -> anyhow::Result<()> {
    let written = args.write(program, Section::Commands).or_else(|error| {
        let next = error.next_step();
        Err(error).hint(next)
    })?;
    for path in &written {
        out.line(crate::text::visible(&path.display().to_string()));
    }
    out.json(&serde_json::json!({"written": written}));
    Ok(())
}
