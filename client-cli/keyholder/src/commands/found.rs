//! `found`: the first keyholder drafts the charter and signs it.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use marram_crypto::{charter::Draft, charter::MAX_ROOTS, fingerprint::Digits, instance::InstanceId};
use marram_terminal::{
    ask::{Ask, Question},
    error::{ResultExt as _, fail},
    files::Existing,
};

use super::agree;
use crate::{
    charter_file::CharterFile,
    compare::{self, Comparison},
    founding,
    keyholder::{Context, Keyholder},
    rng,
    root_file::RootFile,
};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The .root files of all keyholders [default: all in this folder]
    #[arg(value_name = "ROOTFILE")]
    roots: Vec<PathBuf>,
    /// The organization's name, as those who report know it
    #[arg(long, value_name = "ORGANIZATION")]
    name: Option<String>,
    /// How to reach the organization: a web page, an e-mail address
    #[arg(long, value_name = "TEXT")]
    contact: Option<String>,
    /// How many keyholders must sign together
    #[arg(long, value_name = "M")]
    threshold: Option<usize>,
    /// The file to write
    #[arg(long, value_name = "FILE", default_value = "charter.json")]
    out: PathBuf,
    /// For scripts: the expected digits of another keyholder's root key, all of them; once for each
    #[arg(long, value_name = "DIGITS")]
    digits: Vec<Digits>,
    /// For scripts: sign without asking, if all checks pass
    #[arg(long)]
    yes: bool,
    /// Forget the unfinished charter that you drafted or signed before
    #[arg(long)]
    begin_again: bool,
    /// Allow a threshold of 1, with which whoever gets one key reads everything
    #[arg(long)]
    one_keyholder_can_betray_everyone: bool,
}

pub(crate) fn run(args: &Args, context: &Context<'_>) -> anyhow::Result<()> {
    let out = context.out;
    let others = root_files(args)?;
    let mut keyholder = context.open()?;
    let mut ask = Ask::stdin()?;
    check_can_found(args, context, &mut ask, &keyholder)?;
    let own = keyholder.state.root_file();
    let others = without_own(others, &own)?;
    let count = others.len() + 1;

    founding::show_steps(out, 1);
    if others.is_empty() && !args.one_keyholder_can_betray_everyone {
        return Err(fail(
            "there is no .root file of another keyholder here",
            "every keyholder runs marram-keyholder key on their own computer; collect their .root files in this folder",
        ));
    }
    let names: Vec<String> = others.iter().map(|file| file.name.to_string()).collect();
    out.line("");
    out.paragraph(&format!("Keyholders: you ({}), {}.", own.name, names.join(", ")), 0);
    if args.roots.is_empty() && !args.yes {
        out.paragraph(
            "If one is missing, or one too many is there, press Ctrl-C, put the right .root files into this folder, and \
             begin again.",
            0,
        );
    }
    out.line("");
    let (name, contact) = (
        text(
            args.name.as_ref(),
            &mut ask,
            "What is the organization called?",
            "Those who report see this name. It cannot be changed without all keyholders signing again.",
        )?,
        text(
            args.contact.as_ref(),
            &mut ask,
            "How can it be reached?",
            "A web page, an e-mail address, a telephone number: whatever is public already.",
        )?,
    );
    let threshold = threshold(args, &mut ask, count)?;
    founding::check_threshold(threshold, count, args.one_keyholder_can_betray_everyone)?;

    let mut comparison = Comparison::new(&args.digits, out);
    if comparison.asks() {
        compare::show(
            out,
            "your own root key, when the others want to hear them",
            &own.digits(),
        );
    }
    for file in &others {
        if comparison.asks() {
            founding::who_reads(out, file.name.as_str(), "marram-keyholder status");
        }
        comparison.check(&mut ask, &format!("{}'s root key", file.name), &file.digits())?;
    }
    comparison.finish()?;

    let mut charter = CharterFile::founding(&Draft {
        instance: InstanceId::random(&mut rng()),
        version: 1,
        previous: None,
        name,
        contact,
        threshold,
        roots: others.iter().chain([&own]).map(|file| file.root).collect(),
    })
    .hint("use one line of at most 1000 bytes for name and contact")?;
    keyholder.state.keyholders.clone_from(&others);
    founding::show_charter(out, charter.newest(), &keyholder.state);
    agree(context, &mut ask, args.yes, "Is all of this right? Sign it?")?;

    charter.sign(&keyholder.key())?;
    keyholder.state.charter = Some(charter.clone());
    keyholder.save()?;
    charter.write(&args.out, Existing::Replace)?;
    out.line("\nYou have signed the charter.");
    founding::show_progress(out, &args.out, &charter, &keyholder.state)?;
    out.json(&founding::progress_json(&args.out, &charter)?);
    Ok(())
}

fn check_can_found(args: &Args, context: &Context<'_>, ask: &mut Ask, keyholder: &Keyholder) -> anyhow::Result<()> {
    if let Some(known) = &keyholder.state.charter {
        super::sign_charter::may_forget(context, ask, known, args.begin_again)?;
    } else if args.out.exists() {
        return Err(fail(
            format!("{} is there already", args.out.display()),
            "if another keyholder has drafted it, check and sign it: marram-keyholder sign charter.json; if not, move it \
             away",
        ));
    }
    Ok(())
}

fn root_files(args: &Args) -> anyhow::Result<Vec<RootFile>> {
    if !args.roots.is_empty() {
        return args.roots.iter().map(|path| RootFile::read(path)).collect();
    }
    Ok(RootFile::beside(Path::new("."))?
        .into_iter()
        .map(|(_, file)| file)
        .collect())
}

/// The other keyholders' files. One's own may be among them or not.
fn without_own(files: Vec<RootFile>, own: &RootFile) -> anyhow::Result<Vec<RootFile>> {
    let (mut names, mut roots) = (
        BTreeSet::from([own.name.as_str().to_lowercase()]),
        BTreeSet::from([own.root]),
    );
    let mut others = Vec::new();
    for file in files {
        if file == *own {
            continue;
        }
        if file.name.is(own.name.as_str()) {
            return Err(fail(
                format!(
                    "a .root file with your name ({}) holds another key than yours",
                    own.name
                ),
                "it is not yours, or was swapped: put it away. Two keyholders need two different pseudonyms",
            ));
        }
        if !names.insert(file.name.as_str().to_lowercase()) || !roots.insert(file.root) {
            return Err(fail(
                format!("{}: the same name or the same key stands in two .root files", file.name),
                "every keyholder has one file: put the others away, or name the right ones: marram-keyholder found \
                 A.root B.root",
            ));
        }
        others.push(file);
    }
    if others.len() >= MAX_ROOTS {
        return Err(fail(
            format!("{} keyholders, and {MAX_ROOTS} are possible", others.len() + 1),
            "leave some out; three to five are easier to bring together",
        ));
    }
    Ok(others)
}

fn text(given: Option<&String>, ask: &mut Ask, question: &str, help: &str) -> anyhow::Result<String> {
    if let Some(given) = given {
        return Ok(given.trim().to_owned());
    }
    let question = Question::new(question).help(help).max_bytes(1000);
    Ok(ask.line(&question)?.given().unwrap_or_default())
}

fn threshold(args: &Args, ask: &mut Ask, count: usize) -> anyhow::Result<usize> {
    if let Some(threshold) = args.threshold {
        return Ok(threshold);
    }
    if count == 1 {
        return Ok(1);
    }
    let text = format!("How many of the {count} keyholders must sign together?");
    let help = "2 of 3 is right for most: one lost or stolen key does no harm yet. The fewer must sign, the easier it is to \
                force them; the more must sign, the easier it is to lose one key too many.";
    let question = Question::new(&text).default("2").help(help);
    let answer = ask.parsed(&question, |answer| {
        let number: usize = answer.trim().parse().map_err(|_| "Please type a number.".to_owned())?;
        if (2..=count).contains(&number) {
            Ok(number)
        } else {
            Err(format!("Please type a number from 2 to {count}."))
        }
    })?;
    Ok(answer.given().unwrap_or(2))
}
