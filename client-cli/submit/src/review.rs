//! The last look before sealing.

use anyhow::Result;
use marram_incident::Incident;
use marram_terminal::{
    ask::{Ask, Choice, Question},
    text,
};

use crate::{attachments::human_size, interview::Questionnaire, own_questions::OwnQuestions, screen::Screen};

/// How much of a long answer is shown again.
const SHOWN: usize = 400;

/// What to do with the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Seal it, and send or write it.
    Go,
    /// Back to the last question.
    Back,
    /// Forget it.
    Stop,
}

/// Shows what will be sealed, and asks.
pub(crate) fn review(
    ask: &mut Ask,
    screen: Screen,
    questionnaire: &Questionnaire<'_>,
    own: &OwnQuestions<'_>,
    incident: &Incident,
    bucket: u64,
    go: &str,
) -> Result<Decision> {
    screen.part("What you have told", "");
    let mut section = "";
    for shown in questionnaire.shown() {
        if shown.section != section {
            section = shown.section;
            screen.heading(section);
        }
        screen.paragraph(&shown.label);
        screen.indented(&text::truncate(&shown.answer, SHOWN));
    }
    if own.shown().next().is_some() {
        screen.heading("What this organization asks as well");
    }
    for (question, answer) in own.shown() {
        screen.paragraph(question);
        screen.indented(&text::truncate(answer, SHOWN));
    }
    if !questionnaire.files().is_empty() {
        screen.heading("Files");
    }
    for file in questionnaire.files() {
        screen.paragraph(&file.describe());
    }
    screen.part("Before it is sealed", "");
    screen.field("in short", &incident.headline());
    screen.field(
        "on its way",
        &format!(
            "{}, sealed. Every report of this size class has exactly this length",
            human_size(bucket)
        ),
    );
    screen.blank();
    let choices: [Choice<'_>; 3] = [
        go.into(),
        "Go back to the last question".into(),
        "Stop here: nothing is sent, and nothing is kept".into(),
    ];
    let question = Question::new("What would you like to do? Type its number.");
    Ok(match ask.one_of(&question, &choices)?.given() {
        Some(0) => Decision::Go,
        Some(1) => Decision::Back,
        _ => Decision::Stop,
    })
}
