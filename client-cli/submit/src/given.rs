//! A report that is given as files: nothing is asked.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use marram_crypto::manifest::{Kind, Question};
use marram_incident::{Evidence, Incident};
use marram_terminal::{
    error::{ResultExt as _, fail},
    files,
    output::Output,
};
use zeroize::Zeroizing;

use crate::attachments::{self, Measured};

/// Largest file of answers in bytes.
const MAX_ANSWERS_LEN: u64 = 1 << 20;

/// Reads an incident, and matches the attached files with what it says about them. The files come back in the order of
/// its evidence.
pub(crate) fn read(out: &Output, incident: &Path, attach: &[PathBuf]) -> Result<(Incident, Vec<Measured>)> {
    let json = Zeroizing::new(files::read_bounded(incident, Incident::MAX_BYTES as u64)?);
    let invalid = || format!("{} is not an incident that can be sent", incident.display());
    let text = std::str::from_utf8(&json).with_context(invalid)?;
    let mut incident = Incident::parse(text)
        .with_context(invalid)
        .hint("correct what is named above and run this again; nothing was sent")?;
    let files = attach
        .iter()
        .map(|path| Measured::measure(out, path))
        .collect::<Result<Vec<_>>>()?;
    let files = matched(&mut incident.evidence, files)?;
    attachments::check_count(files.len())?;
    incident
        .validate()
        .map_err(marram_incident::IncidentError::Invalid)
        .with_context(invalid)?;
    Ok((incident, files))
}

/// Puts the files in the order of the evidence, fills in what the evidence leaves out, and adds what it does not name.
fn matched(evidence: &mut Vec<Evidence>, mut files: Vec<Measured>) -> Result<Vec<Measured>> {
    let mut in_order = Vec::new();
    for (number, entry) in evidence.iter_mut().enumerate() {
        let named = entry.original_filename.as_deref();
        let same = |file: &Measured| file.measure.attachment.sha256.as_bytes() == entry.sha256.as_bytes();
        let Some(place) = files.iter().position(same) else {
            return Err(unmatched(number, entry, named, &files));
        };
        let file = files.remove(place);
        let measured = file.evidence();
        if entry.size_bytes != measured.size_bytes {
            return Err(fail(
                format!(
                    "evidence[{number}].size_bytes is {}, and {} has {} bytes",
                    entry.size_bytes,
                    file.name(),
                    measured.size_bytes
                ),
                "correct the incident; nothing was sent",
            ));
        }
        entry.mime = entry.mime.take().or(measured.mime);
        entry.original_filename = entry.original_filename.take().or(measured.original_filename);
        in_order.push(file);
    }
    for file in files {
        if in_order.iter().any(|other: &Measured| other.measure == file.measure) {
            return Err(fail(
                format!("{} is attached twice (the contents are the same)", file.name()),
                "attach it once",
            ));
        }
        evidence.push(file.evidence());
        in_order.push(file);
    }
    Ok(in_order)
}

fn unmatched(number: usize, entry: &Evidence, named: Option<&str>, files: &[Measured]) -> anyhow::Error {
    let digest = entry.sha256;
    match files.iter().find(|file| named == Some(file.name().as_str())) {
        Some(file) => fail(
            format!(
                "{} is not the file that evidence[{number}] describes: its SHA-256 is {}, and the incident says {digest}",
                file.name(),
                file.measure.attachment.sha256
            ),
            "attach the right file, or correct the incident; nothing was sent",
        ),
        None => fail(
            format!(
                "evidence[{number}] describes a file that is not attached: {} (SHA-256 {digest})",
                named.unwrap_or("without a name")
            ),
            "attach it with --attach, or take it out of the incident; nothing was sent",
        ),
    }
}

/// Reads answers to the organization's own questions.
pub(crate) fn read_answers(path: &Path, questions: &[Question]) -> Result<BTreeMap<String, String>> {
    let json = Zeroizing::new(files::read_bounded(path, MAX_ANSWERS_LEN)?);
    let answers: BTreeMap<String, String> = serde_json::from_slice(&json)
        .with_context(|| format!("{} is not a JSON object from questions to answers", path.display()))?;
    for (id, answer) in &answers {
        let Some(question) = questions.iter().find(|question| question.id.as_str() == id) else {
            let known: Vec<&str> = questions.iter().map(|question| question.id.as_str()).collect();
            return Err(fail(
                format!("the organization does not ask {id:?}"),
                format!(
                    "take it out; it asks: {}",
                    if known.is_empty() {
                        "nothing of its own".into()
                    } else {
                        known.join(", ")
                    }
                ),
            ));
        };
        let allowed: Vec<&str> = match question.kind {
            Kind::YesNo => vec!["yes", "no"],
            Kind::Choice => question.choices.iter().map(|choice| choice.code.as_str()).collect(),
            Kind::Text | Kind::LongText => continue,
        };
        if !allowed.contains(&answer.as_str()) {
            return Err(fail(
                format!("the answer to {id:?} is none of those there are"),
                format!("write one of: {}", allowed.join(", ")),
            ));
        }
    }
    Ok(answers)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use marram_crypto::manifest::Question;

    #[test]
    fn answers_to_questions_that_nobody_asks_and_codes_that_do_not_exist_are_refused() {
        let questions: Vec<Question> = [
            r#"{"id":"seen","kind":"yes_no","text":{"en":"Seen?"}}"#,
            r#"{"id":"how","kind":"choice","text":{"en":"How?"},"choices":[{"code":"a","text":{"en":"A"}},{"code":"b","text":{"en":"B"}}]}"#,
            r#"{"id":"more","kind":"text","text":{"en":"More?"}}"#,
        ]
        .map(|json| json.parse().unwrap())
        .into();
        let file = tempfile::NamedTempFile::new().unwrap();
        let read = |json: &str| {
            std::fs::write(file.path(), json).unwrap();
            read_answers(file.path(), &questions)
        };
        assert_eq!(read(r#"{"seen":"yes","how":"b","more":"x"}"#).unwrap().len(), 3);
        for wrong in [
            r#"{"seen":"maybe"}"#,
            r#"{"how":"c"}"#,
            r#"{"other":"x"}"#,
            r#"{"seen":true}"#,
            "[]",
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
