//! `key`: a keyholder's root key.

use std::path::{Path, PathBuf};

use marram_terminal::{
    error::fail,
    files::{self, Existing},
    output::CODE,
};
use serde_json::json;

use crate::{compare, founding, keyholder::Context, pseudonym::Pseudonym, root_file::RootFile};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What the other keyholders call you: one word, not your own name
    #[arg(long, value_name = "PSEUDONYM")]
    name: Pseudonym,
    /// The folder to write PSEUDONYM.root into
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    out: PathBuf,
}

pub(crate) fn run(args: &Args, context: &Context<'_>) -> anyhow::Result<()> {
    let out = context.out;
    let again = context.is_set_up()?;
    let keyholder = if again {
        let keyholder = context.open()?;
        let name = &keyholder.state.name;
        if *name != args.name {
            return Err(fail(
                format!("there is a root key here already, and it is {name}'s"),
                format!("to write its public half again: marram-keyholder key --name {name}"),
            ));
        }
        keyholder
    } else {
        // Before a passphrase is thought up for nothing.
        check_free(&args.out.join(format!("{}.root", args.name)), None)?;
        context.create(args.name.clone())?
    };
    let root = keyholder.state.root_file();
    let path = args.out.join(root.file_name());
    check_free(&path, Some(&root))?;
    files::atomic_write(&path, root.to_string().as_bytes(), 0o644, Existing::Replace)?;

    out.heading(if again {
        "This is your root key."
    } else {
        "Your root key is made."
    });
    out.field("public half", path.display());
    out.field("secret half", keyholder.file().display());
    out.line("               (never leaves this computer, except for a backup in a safe place)");
    compare::show(out, "your root key", &root.digits());
    if keyholder.state.charter.is_none() {
        founding::show_steps(out, 1);
        out.paragraph(
            &format!(
                "\nNow: copy {} onto a stick and hand it to the keyholder who will draft the charter. Then sit down \
                 together, in one room or in a call in which you know each other's voices: each of you will read the \
                 digits above aloud.",
                root.file_name()
            ),
            0,
        );
        out.line("\nTo see the digits again:\n");
        out.line(format!("    {CODE}marram-keyholder status{CODE:#}"));
        out.line("\nThe one who drafts runs, in the folder with all .root files:\n");
        out.line(format!("    {CODE}marram-keyholder found{CODE:#}"));
    }
    out.json(&json!({
        "name": root.name,
        "root": root.root,
        "digits": root.digits().to_string(),
        "file": path,
    }));
    Ok(())
}

/// Refuses to write over another keyholder's file.
fn check_free(path: &Path, own: Option<&RootFile>) -> anyhow::Result<()> {
    if !path.exists() || own.is_some_and(|own| RootFile::read(path).is_ok_and(|found| found == *own)) {
        return Ok(());
    }
    Err(fail(
        format!("{} is there already, and holds another key", path.display()),
        "choose another pseudonym, or another folder with --out FOLDER",
    ))
}
