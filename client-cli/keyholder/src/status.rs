//! Where a keyholder is, and what is due.

use std::path::Path;

use marram_crypto::{
    day::{Day, Epoch},
    fingerprint::Digits,
    manifest::{ClosingWarning, closing_warning},
};
use serde::Serialize;

use crate::{commands::issue, differences::counted, state::State, week};

/// Days before the last signed manifest closes, or before an enrolment runs out, from which on something is due.
const DUE_DAYS: u32 = 14;

/// Everything that `status` says.
#[derive(Debug, Serialize)]
pub(crate) struct Status {
    pub(crate) today: Day,
    pub(crate) name: String,
    pub(crate) root: String,
    pub(crate) digits: String,
    pub(crate) charter: Option<Charter>,
    pub(crate) caseworkers: Vec<Caseworker>,
    pub(crate) manifests: Vec<Manifest>,
    /// The first day for which this keyholder has signed no manifest.
    pub(crate) signed_until: Option<Day>,
    /// Days until then, if they are 30 or fewer.
    pub(crate) days_left: Option<u32>,
    #[serde(skip)]
    pub(crate) warning: Option<ClosingWarning>,
    /// What is to be done now, in order.
    pub(crate) due: Vec<Due>,
    /// Nothing is due: what comes next, and when.
    pub(crate) later: Option<String>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Charter {
    pub(crate) organization: String,
    pub(crate) instance: String,
    pub(crate) version: u32,
    pub(crate) fingerprint: String,
    pub(crate) digits: String,
    pub(crate) signed_by: Vec<String>,
    pub(crate) not_yet_by: Vec<String>,
    pub(crate) threshold: usize,
    pub(crate) complete: bool,
}

#[derive(Debug, Serialize)]
pub(crate) struct Caseworker {
    pub(crate) name: String,
    pub(crate) digits: String,
    /// The first day without keys; none if there are none today either.
    pub(crate) keys_until: Option<Day>,
    pub(crate) struck: Option<Day>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Manifest {
    pub(crate) epoch: Epoch,
    pub(crate) opens: Day,
    pub(crate) version: u32,
    pub(crate) signatures: usize,
    pub(crate) complete: bool,
    pub(crate) checked: bool,
    pub(crate) caseworkers: Vec<String>,
}

/// Something to do, and why.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Due {
    pub(crate) why: String,
    pub(crate) command: String,
}

impl Status {
    pub(crate) fn of(state: &State, today: Day) -> Self {
        let own = state.root_file();
        let now = week::epoch_of(today);
        let until = issue::first_unsigned(&state.memory, today);
        let warning = closing_warning(until.opens(), today).filter(|_| !state.memory.all().is_empty());
        let mut status = Self {
            today,
            name: own.name.to_string(),
            root: own.root.to_string(),
            digits: own.digits().to_string(),
            charter: state.charter.as_ref().map(|charter| Charter::of(state, charter)),
            caseworkers: caseworkers(state, now),
            manifests: manifests(state, now),
            signed_until: (until > now).then(|| until.opens()),
            days_left: warning.map(|warning| warning.days_left),
            warning,
            due: Vec::new(),
            later: None,
        };
        status.due = due(state, &status);
        if status.due.is_empty() {
            status.later = later(&status);
        }
        status
    }

    fn needs_manifests(&self) -> bool {
        self.signed_until
            .is_none_or(|until| until.days_since(self.today) <= DUE_DAYS)
    }
}

impl Charter {
    fn of(state: &State, file: &crate::charter_file::CharterFile) -> Self {
        let draft = file.newest();
        let signers = file.signers().unwrap_or_default();
        let names = |signed: bool| {
            let roots = draft.roots.iter().filter(|root| signers.contains(root) == signed);
            roots.map(|root| state.keyholder_name(root)).collect()
        };
        Self {
            organization: draft.name.clone(),
            instance: draft.instance.to_string(),
            version: draft.version,
            fingerprint: file.fingerprint().to_string(),
            digits: file.digits().to_string(),
            signed_by: names(true),
            not_yet_by: names(false),
            threshold: draft.threshold,
            complete: file.is_complete(),
        }
    }
}

fn caseworkers(state: &State, now: Epoch) -> Vec<Caseworker> {
    let caseworker = |one: &crate::vetted::Caseworker| {
        let until = one.runs_out(now);
        Caseworker {
            name: one.name.to_string(),
            digits: Digits::of_key(&one.key).to_string(),
            keys_until: (until > now).then(|| until.opens()),
            struck: one.struck,
        }
    };
    state.vetted.all().iter().map(caseworker).collect()
}

fn manifests(state: &State, now: Epoch) -> Vec<Manifest> {
    let (roots, threshold) = state
        .agreed()
        .map_or((Vec::new(), 0), |charter| (charter.root_keys(), charter.threshold));
    let known = state.memory.all().iter().filter(|known| known.epoch >= now);
    known
        .map(|known| {
            let signers = known
                .manifest()
                .and_then(|manifest| manifest.note().signers(&roots).ok());
            let signatures = signers.map_or(0, |signers| signers.len());
            Manifest {
                epoch: known.epoch,
                opens: known.epoch.opens(),
                version: known.version,
                signatures,
                complete: signatures >= threshold,
                checked: known.holders.is_some(),
                caseworkers: crate::batch_screen::readers(known.holders.as_deref().unwrap_or_default(), state),
            }
        })
        .collect()
}

fn due(state: &State, status: &Status) -> Vec<Due> {
    let step = |why: String, command: &str| Due {
        why,
        command: command.to_owned(),
    };
    let Some(charter) = &status.charter else {
        return vec![
            step(
                "if you are the one who drafts the charter: with everybody's .root file in this folder".to_owned(),
                "marram-keyholder found",
            ),
            step(
                "if another keyholder has drafted it and brings charter.json".to_owned(),
                "marram-keyholder sign charter.json",
            ),
        ];
    };
    if !charter.complete {
        return vec![step(
            format!(
                "the charter has {} of {} signatures as far as this computer knows. Carry it to {}; when it comes back \
                 finished, also here",
                charter.signed_by.len(),
                charter.threshold,
                charter.not_yet_by.join(", ")
            ),
            "marram-keyholder sign charter.json",
        )];
    }
    let mut due = Vec::new();
    if state.vetted.standing().next().is_none() {
        return vec![step(
            "no caseworker is on your list. Each enrols (marram-casework enrol --charter charter.json --out \
             NAME.enrolment) and brings you the file"
                .to_owned(),
            "marram-keyholder vet NAME.enrolment --name NAME",
        )];
    }
    for one in status.caseworkers.iter().filter(|one| one.struck.is_none()) {
        let name = &one.name;
        let command = format!("marram-keyholder vet {name}.enrolment");
        match one.keys_until {
            Some(until) => {
                if let Some(warning) = closing_warning(until, status.today) {
                    due.push(step(
                        format!(
                            "{name}'s keys run out on {until}, in {}. Ask for new ones (marram-casework renew --out \
                             {name}.enrolment), then",
                            counted(warning.days_left.into(), "day")
                        ),
                        &command,
                    ));
                }
            }
            None => due.push(step(
                format!(
                    "{name} has no keys any more. Ask for new ones (marram-casework renew --out {name}.enrolment), then"
                ),
                &command,
            )),
        }
    }
    if status.needs_manifests() {
        let why = match status.signed_until {
            None => "no manifest that this computer knows is valid today: nobody can report".to_owned(),
            Some(until) => format!(
                "what you have signed lasts until {}, {} more. One of you makes the next weeks, and another signs the \
                 folder",
                until.minus(1),
                counted(until.days_since(status.today).into(), "day")
            ),
        };
        due.push(step(why, "marram-keyholder issue"));
    }
    due.extend(unfinished(state, status));
    due
}

/// Batches that lack signatures as far as this computer has seen, and annexes that are still there.
fn unfinished(state: &State, status: &Status) -> Vec<Due> {
    let weeks: Vec<String> = status
        .manifests
        .iter()
        .filter(|manifest| !manifest.complete)
        .map(|manifest| manifest.opens.to_string())
        .collect();
    let mut folders: Vec<String> = state
        .annexes
        .iter()
        .filter(|annex| annex.exists() || (!weeks.is_empty() && annex.parent().is_some_and(Path::exists)))
        .filter_map(|annex| Some(annex.parent()?.display().to_string()))
        .collect();
    let why = if weeks.is_empty() {
        "the annex of a finished batch is still there, and tells who reads. It is destroyed by".to_owned()
    } else {
        if folders.is_empty() {
            folders.push("FOLDER".to_owned());
        }
        format!(
            "the manifests for the weeks of {} lack signatures, as far as this computer has seen: carry their batch to \
             another keyholder. Once it is signed, bring it back here, and",
            weeks.join(", ")
        )
    };
    let due = |folder: String| Due {
        why: why.clone(),
        command: format!("marram-keyholder sign {folder}"),
    };
    folders.into_iter().map(due).collect()
}

fn later(status: &Status) -> Option<String> {
    let until = status.signed_until?;
    let from = until.minus(DUE_DAYS);
    Some(format!(
        "The next batch is due between {from} and {}: marram-keyholder issue. Put it into the calendar.",
        until.minus(1)
    ))
}

#[cfg(test)]
mod tests {
    use marram_crypto::{
        charter::Draft as CharterDraft,
        digest::Digest,
        key::SigningKey,
        manifest::{BoardShape, Draft, Level},
        secret::SecretBytes,
    };

    use super::*;
    use crate::{
        charter_file::CharterFile,
        fixture::{Enroller, epoch, instance},
        making::Made,
        rng,
        slots::Slots,
    };

    /// A keyholder alone with one caseworker (26 weeks from epoch 0), who has signed epochs 0 to 3.
    fn state() -> State {
        let mut state = State::new("amber".parse().unwrap(), SecretBytes::random(&mut rng()));
        let key = state.key();
        let mut charter = CharterFile::founding(&CharterDraft {
            instance: instance(),
            version: 1,
            previous: None,
            name: "Reed Bank".into(),
            contact: "reed.example".into(),
            threshold: 1,
            roots: [key.public()].into(),
        })
        .unwrap();
        charter.sign(&key).unwrap();
        let heron = Enroller::new().enrolment(1, epoch(0), 26);
        state.vetted.add(heron.clone(), "heron".parse().unwrap()).unwrap();
        for number in 0..4 {
            let ready = [(heron.key, heron.pairs[&epoch(number)].clone())];
            let slots = Slots::new(epoch(number), 8, &ready, &mut rng()).unwrap();
            let draft = Draft {
                instance: instance(),
                epoch: epoch(number),
                version: 1,
                charter: Digest::of(b"charter"),
                log: SigningKey::random(&mut rng()).public(),
                couriers: vec![],
                limit: 1 << 20,
                retention_days: 90,
                promise_days: 14,
                board: BoardShape::default(),
                pages: vec![],
                contacts: vec![],
                questions: vec![],
                slots: slots.keys.clone(),
            };
            let mut made = Made::new(&draft, slots).unwrap();
            made.manifest.add_signature(&key).unwrap();
            state.memory.remember(made.manifest, Some(made.slots.holders)).unwrap();
        }
        state.charter = Some(charter);
        state
    }

    fn commands(status: &Status) -> Vec<&str> {
        status.due.iter().map(|due| due.command.as_str()).collect()
    }

    #[test]
    fn the_next_batch_is_due_at_14_days_and_the_warning_grows_at_30_14_and_3() {
        let state = state();
        let until = epoch(4).opens();
        for (days, level, due) in [
            (28, Some(Level::Notice), false),
            (15, Some(Level::Notice), false),
            (14, Some(Level::Warning), true),
            (4, Some(Level::Warning), true),
            (3, Some(Level::Urgent), true),
        ] {
            let status = Status::of(&state, until.minus(days));
            assert_eq!(status.signed_until, Some(until));
            assert_eq!(status.warning.map(|warning| warning.level), level, "{days}");
            let expected: &[&str] = if due { &["marram-keyholder issue"] } else { &[] };
            assert_eq!(commands(&status), expected, "{days}");
            assert_eq!(status.later.is_some(), !due);
        }
        let over = Status::of(&state, until);
        assert_eq!((over.signed_until, over.warning.unwrap().level), (None, Level::Closed));
        assert!(over.due[0].why.contains("nobody can report"));
    }

    #[test]
    fn keys_that_run_out_are_due_at_30_days_and_when_they_are_over() {
        let state = state();
        let end = epoch(26).opens();
        let named = |day| commands(&Status::of(&state, day)).contains(&"marram-keyholder vet heron.enrolment");
        assert!(!named(end.minus(31)));
        assert!(named(end.minus(30)) && named(end.minus(1)) && named(end));
    }

    #[test]
    fn the_charter_comes_before_everything_else() {
        let mut state = state();
        state.charter = None;
        let status = Status::of(&state, epoch(0).opens());
        assert_eq!(
            commands(&status),
            ["marram-keyholder found", "marram-keyholder sign charter.json"]
        );
    }
}
