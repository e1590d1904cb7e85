//! The way of a report where a person is asked: what they are shown, and in what order.

use std::path::Path;

use anyhow::{Context as _, Result};
use marram_crypto::{
    codename::WordList,
    fingerprint::Link,
    manifest::GRACE_DAYS,
    receipt::Receipt,
    seal::{Draft, Target},
};
use marram_incident::{Texts, catalogue};
use marram_online::report::Sealed;
use marram_terminal::{
    ask::{Ask, Question},
    error::{fail, next_step},
    interrupt,
    output::Output,
};

use crate::{
    TellArgs,
    codename::{self, Chosen},
    interview::Questionnaire,
    organization::Organization,
    own_questions::{Next, OwnQuestions},
    report::{Told, attachments, content, seal},
    review::{self, Decision},
    screen::Screen,
    send::{self, Unsent},
};

/// Asks for everything, seals and sends.
pub(crate) fn asked(out: &Output, args: &TellArgs, language: &str, chosen: Chosen) -> Result<()> {
    let screen = Screen::new(out);
    let mut ask = Ask::stdin()?;
    welcome(screen, chosen.continues);
    let link = match &args.organization.link {
        Some(link) => link.clone(),
        None => ask_for_link(&mut ask)?,
    };
    let mut organization = Organization::find(out, &link, &args.organization)?;
    organization.show(screen, language);
    screen.blank();
    if !ask.confirm("Is this the organization you want to write to?", true)? {
        stopped(screen);
        return Ok(());
    }
    let told = tell(out, &mut ask, screen, args, language, &organization, chosen);
    if interrupt::interrupted() {
        stopped(screen);
    }
    let Some(told) = told? else {
        stopped(screen);
        return Ok(());
    };
    if organization.has_closed() && args.organization.charter.is_none() {
        screen.paragraph("A new week has begun: the organization's keys are fetched again.");
        organization = insist(&mut ask, screen, || Organization::find(out, &link, &args.organization))?;
    }
    if !told.chosen.continues {
        codename::show_once(
            &mut ask,
            screen,
            &told.chosen.codename,
            WordList::for_language(language),
        )?;
    }
    let sealed = insist(&mut ask, screen, || seal(out, &organization, &told))?;
    let failed = if let Some(path) = &args.only_seal {
        send::save(&sealed, path)?;
        sealed_not_sent(screen, path, &sealed);
        None
    } else {
        match send_or_save(out, &mut ask, screen, &link, args, &organization, &sealed)? {
            Ok(receipt) => {
                arrived(screen, &organization, &receipt, args.receipt.is_some());
                send::keep_receipt(out, args.receipt.as_deref(), &receipt)?;
                None
            }
            Err(error) => Some(error),
        }
    };
    leave_no_trace(&mut ask, screen)?;
    failed.map_or(Ok(()), Err)
}

/// The questions, until the submitter seals or stops.
fn tell(
    out: &Output,
    ask: &mut Ask,
    screen: Screen,
    args: &TellArgs,
    language: &str,
    organization: &Organization,
    chosen: Chosen,
) -> Result<Option<Told>> {
    enum Stage {
        Interview,
        Own(usize),
        Review,
    }
    let texts = catalogue().texts(catalogue().nearest(language));
    if let Some(note) = texts.and_then(Texts::not_reviewed) {
        screen.blank();
        screen.own(note);
    }
    let mut questionnaire = Questionnaire::new(out, screen, language, &organization.manifest);
    let mut own = OwnQuestions::new(&organization.manifest.questions, language);
    let target = Target::from(&organization.manifest);
    let go = if args.only_seal.is_some() {
        "Seal it into a file"
    } else {
        "Seal it and send it"
    };
    let mut stage = Stage::Interview;
    loop {
        stage = match stage {
            Stage::Interview => {
                questionnaire.ask(ask)?;
                Stage::Own(0)
            }
            Stage::Own(index) if index >= own.count() => Stage::Review,
            Stage::Own(index) => match own.ask(ask, screen, index)? {
                Next::On => Stage::Own(index + 1),
                Next::Back => before(&mut questionnaire, index).map_or(Stage::Interview, Stage::Own),
            },
            Stage::Review => {
                let incident = questionnaire.interview().answers().to_incident()?;
                let content = content(&incident, own.answers.clone(), chosen.continues)?;
                let files = questionnaire.files();
                let draft = Draft::new(&target, &chosen.codename, content.clone(), &attachments(files))?;
                match review::review(ask, screen, &questionnaire, &own, &incident, draft.bucket(), go)? {
                    Decision::Go => {
                        return Ok(Some(Told {
                            content,
                            files: files.to_vec(),
                            chosen,
                        }));
                    }
                    Decision::Stop => return Ok(None),
                    Decision::Back => before(&mut questionnaire, own.count()).map_or(Stage::Interview, Stage::Own),
                }
            }
        };
    }
}

/// The own question before `index`; where there is none, the interview goes back by one.
fn before(questionnaire: &mut Questionnaire<'_>, index: usize) -> Option<usize> {
    if index == 0 {
        questionnaire.back();
    }
    index.checked_sub(1)
}

/// Sends until it has arrived, or the submitter has had enough and may save it. The inner error is the last thing to
/// say then.
fn send_or_save(
    out: &Output,
    ask: &mut Ask,
    screen: Screen,
    link: &Link,
    args: &TellArgs,
    organization: &Organization,
    sealed: &Sealed,
) -> Result<Result<Receipt, anyhow::Error>> {
    loop {
        let error = match send::send(out, link, &args.organization.online, organization, sealed) {
            Ok(receipt) => return Ok(Ok(receipt)),
            Err(Unsent(error)) => error,
        };
        interrupt::check()?;
        screen.heading("Your report has not arrived");
        screen.paragraph(&format!("{error:#}"));
        if let Some(next) = next_step(&error) {
            screen.paragraph(&format!("What to do: {next}."));
        }
        screen.blank();
        if !ask.confirm("Try again now?", true)? {
            break;
        }
    }
    let save = "Save the sealed report to a file, to send it later? Only the organization can open it, but whoever finds \
                the file sees that there is one.";
    if !ask.confirm(save, true)? {
        return Ok(Err(fail(
            "the report was not sent",
            "it is gone, and nothing was kept. You can report again",
        )));
    }
    let name = format!("report-{}.age", sealed.epoch);
    let question = Question::new("The name of the file").default(&name);
    loop {
        let path = ask.line(&question)?.given().unwrap_or_default();
        match send::save(sealed, Path::new(&path)) {
            Ok(()) => {
                sealed_not_sent(screen, Path::new(&path), sealed);
                return Ok(Err(fail(
                    "the report was not sent",
                    how_to_send(Path::new(&path), sealed),
                )));
            }
            Err(error) => screen.paragraph(&format!("{error:#}")),
        }
    }
}

/// Does something after which nobody should have to type everything again: asks whether to try once more.
fn insist<T>(ask: &mut Ask, screen: Screen, mut attempt: impl FnMut() -> Result<T>) -> Result<T> {
    loop {
        let error = match attempt() {
            Ok(done) => return Ok(done),
            Err(error) => error,
        };
        interrupt::check()?;
        screen.heading("That did not work");
        screen.paragraph(&format!("{error:#}"));
        screen.blank();
        if !ask.confirm("Try again now? Otherwise your answers are lost.", true)? {
            return Err(error);
        }
    }
}

/// The link, where it was not given as an argument.
pub(crate) fn ask_for_link(ask: &mut Ask) -> Result<Link> {
    let question = Question::new("The organization's link").help(
        "It begins with https:// (or http:// and a long name that ends in .onion) and ends with # and 64 letters and \
         digits. Take it from the organization itself, or from somebody whom you trust. You can paste it here.",
    );
    let link = ask.parsed(&question, |typed| {
        typed.parse::<Link>().map_err(|error| format!("{error}."))
    })?;
    link.given().context("a link is needed")
}

fn welcome(screen: Screen, continues: bool) {
    screen.part("Marram", "");
    if continues {
        screen.paragraph("What you write now is added to your earlier report: it is sealed and sent as that one was.");
        screen.blank();
    }
    screen.paragraph(
        "You can report here what was done to you or to somebody near to you. What you write is sealed on this computer: \
         only the caseworkers of the organization can open it, not its server, and nobody on the way.",
    );
    screen.blank();
    screen.paragraph(
        "Enter goes on or skips, < goes back, ? helps, where the line under a question says so; Ctrl-C stops at once. \
         Nothing that you write is sent before you say so at the end, and nothing is kept on this computer unless you \
         ask for it.",
    );
    screen.blank();
    if !continues {
        screen.paragraph(
            "If you have reported before and have the twelve words: stop here (Ctrl-C). marram-submit check shows whether it \
             was read and what was answered, marram-submit add adds something to it.",
        );
        screen.blank();
    }
}

fn arrived(screen: Screen, organization: &Organization, receipt: &Receipt, kept: bool) {
    screen.part("Your report has arrived", "");
    screen.paragraph(&format!(
        "On {} the server has signed, with the key that the organization has named for it, that it took exactly this \
         report. That proves what was promised. It does not prove that the report reaches the caseworkers, and it does \
         not say that anybody has read it.{}",
        receipt.leaf().day,
        if kept {
            ""
        } else {
            " The receipt is not kept on this computer."
        }
    ));
    screen.blank();
    screen.paragraph(&format!(
        "Keep your twelve words. Within {days} days {} promises to say that it was read; that, and answers, hang under the \
         words: look with marram-submit check. If nothing says so after {days} days, the report may be lost: send it \
         again. To add something: marram-submit add.",
        organization.name(),
        days = organization.manifest.promise_days
    ));
}

fn sealed_not_sent(screen: Screen, path: &Path, sealed: &Sealed) {
    screen.part("Sealed, not sent", "");
    screen.paragraph(&format!(
        "The sealed report lies in {}. Only the organization can open it. Send it from here or from another computer, and \
         delete the file once it was sent.",
        path.display()
    ));
    screen.blank();
    screen.paragraph(&how_to_send(path, sealed));
}

fn how_to_send(path: &Path, sealed: &Sealed) -> String {
    // The server takes a week's reports for two days longer.
    let last_day = sealed.epoch.closes().plus(GRACE_DAYS).minus(1);
    format!(
        "on {last_day} at the latest, run:\nmarram-submit send {} LINK --epoch {}",
        path.display(),
        sealed.epoch
    )
}

fn leave_no_trace(ask: &mut Ask, screen: Screen) -> Result<()> {
    screen.blank();
    screen.paragraph(
        "This program has kept nothing, but for a file that you asked it to write. What you typed may still stand in this window, above, until it is closed; and if \
         you typed the link as part of the command, it stands in the shell's history.",
    );
    clear_window(ask, screen)
}

/// Offers to clear what stands on the screen.
pub(crate) fn clear_window(ask: &mut Ask, screen: Screen) -> Result<()> {
    screen.blank();
    if ask.confirm("Clear this window now?", true)? && screen.clear() {
        screen.paragraph("Cleared. You can close this window.");
    }
    Ok(())
}

fn stopped(screen: Screen) {
    screen.blank();
    screen.paragraph("Stopped. Nothing was sent, and nothing was kept.");
}
