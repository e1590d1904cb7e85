//! The reports of a bundle: which of my keys may open one, and what comes of it.

use std::{
    io::{Chain, Read},
    rc::Rc,
};

use anyhow::Context as _;
use marram_crypto::{
    day::Epoch,
    digest::Digest,
    header::{self, SealedHeader, ShapeError},
    manifest::Manifest,
    open::{OpenError, Opened, open},
    seal::Target,
};
use marram_incident::Incident;
use marram_terminal::{error::ResultExt as _, interrupt};

use super::{Importer, Pending, body::Body, summary::Line};
use crate::{
    casebook::{
        Changes,
        leaves::KnownLeaf,
        reports::{Continuity, NewReport},
    },
    epochs::EpochKeys,
    outcome::Outcome,
    unlock::Unlocked,
};

/// Epochs whose keys are kept at hand; more than a bundle honestly spans.
const CANDIDATES: usize = 64;
/// What is kept of the problems of an incident, in characters.
const FAULT_CHARS: usize = 4096;

/// One slot of mine that may open a report.
pub(super) struct Candidate {
    target: Target,
    slots: usize,
    position: usize,
    keys: Rc<EpochKeys>,
}

impl Candidate {
    fn new(manifest: &Manifest, keys: &Rc<EpochKeys>) -> Option<Self> {
        let own = keys.identity.recipient();
        Some(Self {
            target: Target::from(manifest),
            slots: manifest.slots.len(),
            position: manifest.recipients().position(|recipient| *recipient == own)?,
            keys: Rc::clone(keys),
        })
    }

    /// Whether my key opens its slot of this header: one decapsulation, and nothing of the body is read for it.
    fn opens(&self, start: &[u8]) -> Result<bool, ShapeError> {
        let header = SealedHeader::parse(start, self.slots)?;
        let stanza = header.stanzas.get(self.position);
        Ok(matches!(
            stanza.and_then(|stanza| self.keys.identity.unwrap(stanza)),
            Some(Ok(_))
        ))
    }
}

/// What came of a report.
struct Fate {
    outcome: Outcome,
    detail: Option<String>,
    report: Option<i64>,
    flags: Vec<String>,
}

impl Fate {
    fn of(outcome: Outcome) -> Self {
        Self {
            outcome,
            detail: None,
            report: None,
            flags: Vec::new(),
        }
    }

    fn because(outcome: Outcome, detail: &impl ToString) -> Self {
        Self {
            detail: Some(detail.to_string()),
            ..Self::of(outcome)
        }
    }
}

/// One try at opening.
enum Tried {
    /// It is kept, and noted with it.
    Kept(Fate),
    /// It is not kept.
    NotKept(Fate),
    /// It names another manifest than the one that was tried.
    Names(Digest),
}

impl Importer<'_> {
    /// `content` are the bytes of the report as the bundle gives them once, `again` the same for a second reading.
    pub(super) fn report(
        &mut self,
        digest: Digest,
        size: u64,
        content: impl Read,
        again: impl Read,
    ) -> anyhow::Result<()> {
        let Some(known) = self.unlocked.casebook.find_leaf(digest)? else {
            self.summary.add(Line::unknown(digest));
            return Ok(());
        };
        if let Some(outcome) = known.outcome.filter(|outcome| outcome.is_final()) {
            self.summary.add(Line::before(&known, outcome));
            return Ok(());
        }
        let fate = if size == known.leaf.size() {
            match self.open(&known, content, again)? {
                Tried::Kept(fate) => {
                    self.summary
                        .add(Line::new(&known, fate.outcome, fate.report, fate.flags, fate.detail));
                    return Ok(());
                }
                Tried::NotKept(fate) => fate,
                Tried::Names(manifest) => {
                    Fate::because(Outcome::AnotherManifest, &OpenError::AnotherManifest(manifest))
                }
            }
        } else {
            let expected = known.leaf.size();
            Fate::because(
                Outcome::Swapped,
                &format!("it has {size} bytes, and its leaf says {expected}"),
            )
        };
        if let Some(before) = known.outcome.filter(|before| before.outweighs(fate.outcome)) {
            self.summary.add(Line::before(&known, before));
            return Ok(());
        }
        let pending = Pending {
            index: known.index,
            outcome: fate.outcome,
            detail: fate.detail.clone(),
            report: fate.report,
        };
        self.note(
            pending,
            Line::new(&known, fate.outcome, fate.report, fate.flags, fate.detail),
        )
    }

    fn open(&mut self, known: &KnownLeaf, content: impl Read, again: impl Read) -> anyhow::Result<Tried> {
        let epoch = known.leaf.epoch;
        let neighbours = [Some(epoch), epoch.previous(), Some(epoch.plus(1))];
        let mut candidates = Vec::new();
        for epoch in neighbours.into_iter().flatten() {
            candidates.push(self.candidate(epoch)?);
        }
        let slots = candidates
            .iter()
            .filter_map(|candidate| candidate.as_ref().as_ref().ok());
        let prefix_len = header::prefix_len(slots.map(|candidate| candidate.slots).max().unwrap_or(0));
        let mut body = Body::new(content);
        let mut start = Vec::with_capacity(prefix_len);
        let read = (&mut body).take(prefix_len as u64).read_to_end(&mut start);
        if read.is_err() {
            return Ok(Tried::NotKept(
                checked(known, body)?.unwrap_or_else(|| Fate::of(Outcome::Damaged)),
            ));
        }

        // Why it stays closed, if it does: what concerns its own epoch counts before its neighbours.
        let mut closed = Fate::of(Outcome::NotForMe);
        let mut mine = None;
        for (nth, candidate) in candidates.iter().enumerate() {
            let opens = match candidate.as_ref() {
                Ok(candidate) => candidate.opens(&start),
                Err(outcome) if nth == 0 => {
                    closed = Fate::because(*outcome, &reason(*outcome, epoch));
                    continue;
                }
                Err(_) => continue,
            };
            match opens {
                Ok(true) => {
                    mine = candidate.as_ref().as_ref().ok();
                    break;
                }
                Err(fault) if nth == 0 => closed = Fate::because(Outcome::NotASealedReport, &fault),
                Ok(false) | Err(_) => {}
            }
        }
        let Some(candidate) = mine else {
            return Ok(Tried::NotKept(checked(known, body)?.unwrap_or(closed)));
        };
        match self.try_candidate(known, candidate, start.as_slice().chain(body))? {
            Tried::Names(hash) => {
                let other = self.unlocked.casebook.manifest(hash, &self.chain)?;
                let other = other.and_then(|manifest| Candidate::new(&manifest, &candidate.keys));
                let Some(other) = other else {
                    return Ok(Tried::Names(hash));
                };
                self.try_candidate(known, &other, [].as_slice().chain(Body::new(again)))
            }
            tried => Ok(tried),
        }
    }

    /// Opens within one transaction: attachments and report are in the casebook together, or not.
    fn try_candidate<R: Read>(
        &mut self,
        known: &KnownLeaf,
        candidate: &Candidate,
        mut content: Chain<&[u8], Body<R>>,
    ) -> anyhow::Result<Tried> {
        let changes = self.unlocked.casebook.change()?;
        let id = changes.next_report_id()?;
        let mut attachments = changes.attachments(id);
        let opened = open(
            &mut content,
            &candidate.target,
            &candidate.keys.identity,
            &mut attachments,
        );
        if let Some(fate) = checked(known, content.into_inner().1)? {
            return Ok(Tried::NotKept(fate));
        }
        let opened = match opened {
            Ok(opened) => opened,
            Err(OpenError::AnotherManifest(hash)) => return Ok(Tried::Names(hash)),
            Err(OpenError::Store(error)) => {
                return Err(error)
                    .context("an attachment could not be stored; nothing of its report was kept")
                    .hint("make room on the disk of the casebook, and import again");
            }
            Err(error) => return Ok(Tried::NotKept(Fate::because(outcome_of(&error), &error))),
        };
        let unsealed = opened
            .wholly_sealed(&candidate.target)
            .err()
            .map_or(vec![], |partly| partly.slots);
        let mut flags = Vec::new();
        if !unsealed.is_empty() {
            flags.push("partly sealed".to_owned());
        }
        if let Some(first) = changes.find_report(&opened.report_json)? {
            return Ok(Tried::NotKept(Fate {
                outcome: Outcome::Repeat,
                detail: Some(format!("the same as #{first}, word for word")),
                report: Some(first),
                flags,
            }));
        }
        flags.extend(keep(&changes, id, known.index, &opened, &unsealed)?);
        changes.set_outcome(known.index, Outcome::Opened, None, Some(id))?;
        changes.commit()?;
        Ok(Tried::Kept(Fate {
            outcome: Outcome::Opened,
            detail: None,
            report: Some(id),
            flags,
        }))
    }

    /// How reports of this epoch are opened: the newest manifest that has my slot, and my keys.
    fn candidate(&mut self, epoch: Epoch) -> anyhow::Result<Rc<Result<Candidate, Outcome>>> {
        if let Some(candidate) = self.candidates.get(&epoch) {
            return Ok(Rc::clone(candidate));
        }
        if self.candidates.len() >= CANDIDATES {
            self.candidates.clear();
        }
        let candidate = Rc::new(self.find_candidate(epoch)?);
        self.candidates.insert(epoch, Rc::clone(&candidate));
        Ok(candidate)
    }

    fn find_candidate(&mut self, epoch: Epoch) -> anyhow::Result<Result<Candidate, Outcome>> {
        let Unlocked {
            casebook,
            epochs,
            caseworker,
            ..
        } = &*self.unlocked;
        let manifests = casebook.manifests_of(epoch, &self.chain)?;
        if manifests.is_empty() {
            return Ok(Err(Outcome::NoManifest));
        }
        let Some(own) = self.own.get(&epoch) else {
            return Ok(Err(Outcome::NoSlot));
        };
        let has_my_slot = |manifest: &&Manifest| manifest.recipients().any(|recipient| recipient == own);
        let Some(manifest) = manifests.iter().find(has_my_slot) else {
            return Ok(Err(Outcome::NoSlot));
        };
        let keys = match epochs.read(epoch, &caseworker.home_identity) {
            Ok(Some(keys)) => keys,
            Ok(None) => return Ok(Err(Outcome::KeyDestroyed)),
            // The other epochs' reports are not to wait for it.
            Err(error) => {
                self.summary.warn("unreadable keys", &error);
                return Ok(Err(Outcome::KeyUnreadable));
            }
        };
        Ok(Candidate::new(manifest, &Rc::new(keys)).ok_or(Outcome::NoSlot))
    }
}

/// Reads the body to its end. Gives the fate of one that is not what its leaf promised.
fn checked<R: Read>(known: &KnownLeaf, body: Body<R>) -> anyhow::Result<Option<Fate>> {
    let digest = body.finish();
    interrupt::check()?;
    let digest = digest
        .context("the bundle could not be read")
        .hint("copy the bundle again, and import it again: what was imported before is kept")?;
    let fate = || Fate::because(Outcome::Swapped, &format!("its bytes have the digest {digest}"));
    Ok((digest != known.leaf.digest).then(fate))
}

/// Writes an opened report. Gives what is remarkable about it.
fn keep(
    changes: &Changes<'_>,
    id: i64,
    leaf: u64,
    opened: &Opened,
    unsealed_slots: &[usize],
) -> anyhow::Result<Vec<String>> {
    let report = &opened.report;
    let first = changes.first_under(&report.codename_key)?;
    let continuity = match &first {
        None if report.continues => Continuity::ContinuesNothing,
        None => Continuity::First,
        Some((_, first)) if report.follows(first).is_err() => Continuity::AnotherReplyKey,
        Some(_) if report.continues => Continuity::FollowUp,
        Some(_) => Continuity::SameCodename,
    };
    let first_report = first.map(|(id, _)| id);
    let incident = Incident::parse(report.incident.get());
    let parse_fault = incident.as_ref().err().map(|fault| {
        let fault: String = fault.to_string();
        fault.chars().take(FAULT_CHARS).collect()
    });
    let incident = incident.ok();
    let target = incident.as_ref().and_then(|incident| incident.target.as_ref());
    let home = target.and_then(|target| target.home_country.as_ref());
    let methods = incident.as_ref().map(Incident::methods).unwrap_or_default();
    let new = NewReport {
        id,
        leaf,
        report,
        report_json: &opened.report_json,
        signature: &opened.signature,
        unsealed_slots,
        continuity,
        first_report,
        headline: incident.as_ref().map(Incident::headline).unwrap_or_default(),
        methods: methods
            .iter()
            .map(|method| method.as_str())
            .collect::<Vec<_>>()
            .join(" "),
        home_country: home.map(|home| home.country.to_string()).unwrap_or_default(),
        parse_fault,
    };
    changes.add_report(&new)?;
    let mut flags = Vec::new();
    flags.extend(continuity.flag(first_report));
    if new.parse_fault.is_some() {
        flags.push("unreadable".to_owned());
    }
    Ok(flags)
}

fn outcome_of(error: &OpenError) -> Outcome {
    match error {
        OpenError::NoSlot(_) => Outcome::NoSlot,
        OpenError::NotForMe => Outcome::NotForMe,
        OpenError::Shape(_) => Outcome::NotASealedReport,
        OpenError::Damaged(_) | OpenError::DamagedPayload | OpenError::Read(_) | OpenError::Store(_) => {
            Outcome::Damaged
        }
        OpenError::Payload(_) => Outcome::HostilePayload,
        OpenError::AnotherInstance(_) => Outcome::AnotherInstance,
        OpenError::AnotherEpoch(_) => Outcome::AnotherEpoch,
        OpenError::AnotherManifest(_) => Outcome::AnotherManifest,
        OpenError::Forged => Outcome::Forged,
    }
}

fn reason(outcome: Outcome, epoch: Epoch) -> String {
    match outcome {
        Outcome::NoManifest => format!("no manifest of epoch {epoch} has come yet"),
        Outcome::KeyUnreadable => format!("the file with my keys of epoch {epoch} is damaged"),
        Outcome::KeyDestroyed => format!("my keys of epoch {epoch} are destroyed: nobody can open it with them again"),
        _ => format!("no manifest of epoch {epoch} has a slot of mine"),
    }
}
