//! The way of a report, from the link to the receipt, where nothing is asked; and the sealing, which is the same for all.

use std::{collections::BTreeMap, env, io::Read, path::Path};

use anyhow::{Context as _, Result};
use marram_crypto::{
    codename::WordList,
    seal::{Content, Measure, SealError},
};
use marram_incident::Incident;
use marram_online::report::{NotSealed, Sealed};
use marram_terminal::{
    error::{ResultExt as _, fail, usage},
    interrupt::{self, Interruptible},
    output::Output,
    text,
};
use secrecy::ExposeSecret;
use serde_json::value::RawValue;

use crate::{
    AddArgs, ReportArgs, TellArgs,
    attachments::Measured,
    codename::{self, Chosen},
    dialogue, given,
    organization::Organization,
    send::{self, Unsent},
};

/// What is to be sealed, and under which codename.
pub(crate) struct Told {
    pub(crate) content: Content,
    pub(crate) files: Vec<Measured>,
    pub(crate) chosen: Chosen,
}

/// `marram-submit`
pub(crate) fn report(out: &Output, args: &ReportArgs) -> Result<()> {
    check_args(&args.tell)?;
    tell(out, &args.tell, codename::draw(), args.codename_fd)
}

/// `marram-submit add`
pub(crate) fn add(out: &Output, args: &AddArgs) -> Result<()> {
    // Nobody should type twelve words only to learn that a file is in the way.
    check_args(&args.tell)?;
    let chosen = Chosen {
        codename: codename::earlier(args.codename_fd)?,
        continues: true,
    };
    tell(out, &args.tell, chosen, None)
}

fn tell(out: &Output, args: &TellArgs, chosen: Chosen, codename_fd: Option<u32>) -> Result<()> {
    let language = args.language.clone().unwrap_or_else(language_of_environment);
    match &args.incident {
        Some(incident) => given(out, args, incident, &language, chosen, codename_fd),
        None => dialogue::asked(out, args, &language, chosen),
    }
}

fn check_args(args: &TellArgs) -> Result<()> {
    if args.organization.charter.is_some() && args.only_seal.is_none() {
        return Err(usage(
            "--charter and --manifest are for sealing without a network: name a file with --only-seal",
        ));
    }
    for path in [&args.only_seal, &args.save_unsent, &args.receipt]
        .into_iter()
        .flatten()
    {
        refuse_to_overwrite(path)?;
    }
    Ok(())
}

/// Before anybody has typed a word, and not when there is something to lose.
fn refuse_to_overwrite(path: &Path) -> Result<()> {
    if path.symlink_metadata().is_ok() {
        return Err(fail(
            format!("{} is already there", path.display()),
            "name another file",
        ));
    }
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() && !folder.is_dir() => Err(fail(
            format!("{} is not a folder", folder.display()),
            "name a file in a folder that is there",
        )),
        _ => Ok(()),
    }
}

/// Everything from files; nothing is asked.
fn given(
    out: &Output,
    args: &TellArgs,
    incident: &Path,
    language: &str,
    chosen: Chosen,
    codename_fd: Option<u32>,
) -> Result<()> {
    let link = args.organization.link.as_ref();
    let link = link.ok_or_else(|| {
        usage("with --incident nothing is asked: name the organization's link too, https://HOST/#FINGERPRINT")
    })?;
    let (incident, files) = given::read(out, incident, &args.attach)?;
    let organization = Organization::find(out, link, &args.organization)?;
    out.note(format!("reporting to {}", text::visible(organization.name())));
    let answers = match &args.answers {
        Some(path) => given::read_answers(path, &organization.manifest.questions)?,
        None => [].into(),
    };
    let told = Told {
        content: content(&incident, answers, chosen.continues)?,
        files,
        chosen,
    };
    let list = WordList::for_language(language);
    let sealed = seal(out, &organization, &told)?;
    let words = match codename_fd {
        Some(fd) => {
            codename::write_fd(&told.chosen.codename, list, fd)?;
            None
        }
        None if told.chosen.continues => None,
        None => Some(told.chosen.codename.words(list)),
    };
    let words = words.as_ref().map(ExposeSecret::expose_secret);
    if let Some(words) = words {
        // Before it is sent: a report whose codename nobody has cannot be answered.
        out.line(format!("codename: {words}"));
    }
    let mut json = serde_json::json!({
        "codename": words,
        "continues": told.chosen.continues,
        "digest": sealed.digest,
        "size_bytes": sealed.size,
        "epoch": sealed.epoch,
        "attachments": told.files.len(),
        "sent": false,
    });
    if let Some(path) = &args.only_seal {
        send::save(&sealed, path)?;
        out.line(format!("sealed, not sent: {}", path.display()));
        out.json(&json);
        return Ok(());
    }
    match send::send(out, link, &args.organization.online, &organization, &sealed) {
        Ok(receipt) => {
            json["sent"] = true.into();
            json["day"] = receipt.leaf().day.to_string().into();
            out.line(format!(
                "sent: the server of {} has taken it, and its receipt is valid",
                text::visible(organization.name())
            ));
            send::keep_receipt(out, args.receipt.as_deref(), &receipt)?;
            out.json(&json);
            Ok(())
        }
        Err(Unsent(error)) => {
            if let Some(path) = &args.save_unsent {
                send::save(&sealed, path)?;
                out.line(format!("not sent; sealed in {}", path.display()));
                json["saved"] = path.display().to_string().into();
                out.json(&json);
            }
            Err(error)
        }
    }
}

pub(crate) fn content(incident: &Incident, answers: BTreeMap<String, String>, continues: bool) -> Result<Content> {
    Ok(Content {
        continues,
        answers,
        incident: RawValue::from_string(incident.to_json()).context("the incident")?,
    })
}

pub(crate) fn attachments(files: &[Measured]) -> Vec<Measure> {
    files.iter().map(|file| file.measure).collect()
}

/// Seals what was told.
pub(crate) fn seal(out: &Output, organization: &Organization, told: &Told) -> Result<Sealed> {
    let open = |index: usize| {
        let file = told
            .files
            .get(index)
            .ok_or_else(|| std::io::Error::other("no such file"))?;
        file.open().map(|file| Box::new(Interruptible(file)) as Box<dyn Read>)
    };
    let sealed = Sealed::seal(
        out,
        &organization.manifest,
        &told.chosen.codename,
        told.content.clone(),
        &attachments(&told.files),
        open,
    );
    // Nothing is wrong with the files then.
    interrupt::check()?;
    let next = match &sealed {
        Err(NotSealed::Seal(SealError::TooLarge(_))) => "leave out or shrink the largest attachment; nothing was sent",
        Err(NotSealed::File(_)) => "make room, or name another folder for temporary files in the variable TMPDIR",
        _ => "nothing was sent; check the files that go with the report, and run this again",
    };
    sealed.hint(next)
}

/// The language that the environment names: `zh_TW.UTF-8` is `zh-TW`.
fn language_of_environment() -> String {
    let named = ["LC_ALL", "LC_MESSAGES", "LANG"]
        .into_iter()
        .filter_map(|name| env::var(name).ok());
    let tag = named.map(|value| value.split(['.', '@']).next().unwrap_or_default().replace('_', "-"));
    tag.into_iter()
        .find(|tag| !tag.is_empty())
        .filter(|tag| tag != "C" && tag != "POSIX")
        .unwrap_or_else(|| "en".to_owned())
}
