//! The reports of a bundle: which of my keys may open one, and what comes of it.

use std::{
    io::{Chain, Read},
    rc::Rc,
};

use anyhow::Context as _;
use marram_crypto::{
    day::{Day, Epoch},
    digest::Digest,
    header::{self, SealedHeader, ShapeError},
    manifest::Manifest,
    open::{NotAFollowUp, OpenError, Opened, open},
    report::Report,
    seal::Target,
};
use marram_incident::Incident;
use marram_terminal::{error::ResultExt as _, interrupt};
use serde::Deserialize;

use super::{Importer, body::Body, summary::Line};
use crate::{
    alarm::Kind,
    casebook::{
        Changes,
        alarms::Raised,
        log::KnownLeaf,
        outcomes::Decided,
        reports::{Continuity, NewReport, RELABELLED},
    },
    epochs::EpochKeys,
    outcome::Outcome,
    unlock::Unlocked,
};

/// Epochs whose keys are kept at hand: five years of them.
const CANDIDATES: usize = 260;
/// What is kept of the problems of an incident, in characters.
const FAULT_CHARS: usize = 4096;
/// Stands where an incident's schema would, in a report that a courier sends itself.
const CANARY_SCHEMA: &str = "marram/canary/v1";

/// A ciphertext as a bundle names it, and what the log says of it.
pub(super) struct Sealed {
    pub(super) digest: Digest,
    pub(super) size: u64,
    /// Its leaf; whether that is proven shows when the bundle has ended.
    pub(super) leaf: Option<KnownLeaf>,
}

impl Sealed {
    /// The epoch that its leaf names.
    fn epoch(&self) -> Option<Epoch> {
        self.leaf.map(|known| known.leaf.epoch)
    }

    /// Whether its leaf, if it has one, does not fit what opened.
    fn is_relabelled(&self, opened_in: Epoch) -> bool {
        self.leaf.is_some_and(|KnownLeaf { leaf, .. }| {
            leaf.epoch.number().abs_diff(opened_in.number()) >= 2 || leaf.size() != self.size
        })
    }

    fn decided(&self, fate: &Fate) -> Decided {
        Decided {
            digest: self.digest,
            epoch: fate.epoch.or(self.epoch()),
            outcome: fate.outcome,
            detail: fate.detail.clone(),
            report: fate.report,
        }
    }
}

/// One slot of mine that may open a report.
pub(super) struct Candidate {
    target: Target,
    epoch: Epoch,
    slots: usize,
    position: usize,
    keys: Rc<EpochKeys>,
}

impl Candidate {
    fn new(manifest: &Manifest, keys: &Rc<EpochKeys>) -> Option<Self> {
        let own = keys.identity.recipient();
        Some(Self {
            target: Target::from(manifest),
            epoch: manifest.epoch,
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
pub(super) struct Fate {
    pub(super) outcome: Outcome,
    pub(super) detail: Option<String>,
    pub(super) report: Option<i64>,
    pub(super) flags: Vec<String>,
    /// Whose key opened it.
    epoch: Option<Epoch>,
}

impl Fate {
    pub(super) fn of(outcome: Outcome) -> Self {
        Self {
            outcome,
            detail: None,
            report: None,
            flags: Vec::new(),
            epoch: None,
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
    /// It opens with the key of this epoch, and names another manifest than the one that was tried.
    Names(Digest, Epoch),
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
        let casebook = &self.unlocked.casebook;
        let leaf = casebook.find_leaf(digest)?;
        let sealed = Sealed { digest, size, leaf };
        let before = casebook.outcome(digest)?;
        if let Some((outcome, report)) = before.filter(|(outcome, _)| outcome.is_final()) {
            self.summary.add(Line::before(&sealed, outcome, report));
            return Ok(());
        }
        let fate = match self.open(&sealed, content, again)? {
            Tried::Kept(fate) => {
                self.summary.add(Line::new(&sealed, fate));
                return Ok(());
            }
            Tried::NotKept(fate) => fate,
            Tried::Names(manifest, epoch) => Fate {
                epoch: Some(epoch),
                ..Fate::because(Outcome::AnotherManifest, &OpenError::AnotherManifest(manifest))
            },
        };
        if let Some((outcome, report)) = before.filter(|(outcome, _)| outcome.outweighs(fate.outcome)) {
            self.summary.add(Line::before(&sealed, outcome, report));
            return Ok(());
        }
        self.note(sealed.decided(&fate), Line::new(&sealed, fate))
    }

    /// Tries the epoch that the leaf names, then its neighbours, then every other whose keys are here: a leaf may lie.
    /// An honest report costs one decapsulation.
    fn open(&mut self, sealed: &Sealed, content: impl Read, again: impl Read) -> anyhow::Result<Tried> {
        let mut body = Body::new(content);
        let mut start = Vec::new();
        // Why it stays closed, if it does: what its own epoch says counts before the others.
        let (mut own, mut others) = (None, None);
        for epoch in self.epochs_to_try(sealed.epoch()) {
            let is_own = sealed.epoch() == Some(epoch);
            let candidates = self.candidates(epoch)?;
            let candidates = match candidates.as_ref() {
                Ok(candidates) => candidates,
                Err(outcome) => {
                    if is_own {
                        own = Some(Fate::because(*outcome, &reason(*outcome, epoch)));
                    }
                    continue;
                }
            };
            for candidate in candidates {
                let missing = header::prefix_len(candidate.slots).saturating_sub(start.len());
                if (&mut body).take(missing as u64).read_to_end(&mut start).is_err() {
                    let fate = checked(sealed, body)?.unwrap_or_else(|| Fate::of(Outcome::Damaged));
                    return Ok(Tried::NotKept(fate));
                }
                let closed = match candidate.opens(&start) {
                    Ok(true) => return self.open_with(sealed, candidate, start.as_slice().chain(body), again),
                    Ok(false) => Fate::of(Outcome::NotForMe),
                    Err(fault) => Fate::because(Outcome::NotASealedReport, &fault),
                };
                let why = if is_own { &mut own } else { &mut others };
                if why.is_none() || closed.outcome == Outcome::NotForMe {
                    *why = Some(closed);
                }
            }
        }
        let no_manifest = || {
            Fate::because(
                Outcome::NoManifest,
                &"no manifest of an epoch whose keys are here has come yet",
            )
        };
        let closed = own.or(others).unwrap_or_else(no_manifest);
        Ok(Tried::NotKept(checked(sealed, body)?.unwrap_or(closed)))
    }

    fn epochs_to_try(&self, own: Option<Epoch>) -> Vec<Epoch> {
        let near = own.map(|own| [Some(own), own.previous(), Some(own.plus(1))]);
        let mut epochs: Vec<Epoch> = near.into_iter().flatten().flatten().collect();
        let far = self.with_keys.iter().filter(|epoch| !epochs.contains(epoch));
        let far: Vec<Epoch> = far.copied().collect();
        epochs.extend(far);
        epochs
    }

    fn open_with(
        &mut self,
        sealed: &Sealed,
        candidate: &Candidate,
        content: Chain<&[u8], Body<impl Read>>,
        again: impl Read,
    ) -> anyhow::Result<Tried> {
        match self.try_candidate(sealed, candidate, content)? {
            Tried::Names(hash, epoch) => {
                let other = self.unlocked.casebook.manifest(hash, &self.chain)?;
                let other = other.and_then(|manifest| Candidate::new(&manifest, &candidate.keys));
                let Some(other) = other else {
                    return Ok(Tried::Names(hash, epoch));
                };
                self.try_candidate(sealed, &other, [].as_slice().chain(Body::new(again)))
            }
            tried => Ok(tried),
        }
    }

    /// Opens within one transaction: attachments and report are in the casebook together, or not.
    fn try_candidate<R: Read>(
        &mut self,
        sealed: &Sealed,
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
        if let Some(fate) = checked(sealed, content.into_inner().1)? {
            return Ok(Tried::NotKept(fate));
        }
        let opened = match opened {
            Ok(opened) => opened,
            Err(OpenError::AnotherManifest(hash)) => return Ok(Tried::Names(hash, candidate.epoch)),
            Err(OpenError::Store(error)) => {
                return Err(error)
                    .context("an attachment could not be stored; nothing of its report was kept")
                    .hint("make room on the disk of the casebook, and import again");
            }
            Err(error) => {
                return Ok(Tried::NotKept(Fate {
                    epoch: Some(candidate.epoch),
                    ..Fate::because(outcome_of(&error), &error)
                }));
            }
        };
        let unsealed = opened
            .wholly_sealed(&candidate.target)
            .err()
            .map_or(vec![], |partly| partly.slots);
        let epoch = candidate.epoch;
        let mut flags = Vec::new();
        if sealed.is_relabelled(epoch) {
            flags.push(RELABELLED.to_owned());
        }
        if !unsealed.is_empty() {
            flags.push("partly sealed".to_owned());
        }
        if let Some(first) = changes.find_report(&opened.report_json)? {
            return Ok(Tried::NotKept(Fate {
                outcome: Outcome::Repeat,
                detail: Some(format!("the same as #{first}, word for word")),
                report: Some(first),
                flags,
                epoch: Some(epoch),
            }));
        }
        flags.extend(keep(&changes, id, sealed, &opened, &unsealed, self.today)?);
        let fate = Fate {
            outcome: Outcome::Opened,
            detail: None,
            report: Some(id),
            flags,
            epoch: Some(epoch),
        };
        changes.set_outcome(&sealed.decided(&fate))?;
        changes.commit()?;
        Ok(Tried::Kept(fate))
    }

    /// How reports of this epoch are opened: with my keys, in my slot of each manifest that has one, newest first.
    fn candidates(&mut self, epoch: Epoch) -> anyhow::Result<Rc<Result<Vec<Candidate>, Outcome>>> {
        if let Some(candidates) = self.candidates.get(&epoch) {
            return Ok(Rc::clone(candidates));
        }
        if self.candidates.len() >= CANDIDATES {
            self.candidates.clear();
        }
        let candidates = Rc::new(self.find_candidates(epoch)?);
        self.candidates.insert(epoch, Rc::clone(&candidates));
        Ok(candidates)
    }

    fn find_candidates(&mut self, epoch: Epoch) -> anyhow::Result<Result<Vec<Candidate>, Outcome>> {
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
        if !manifests
            .iter()
            .any(|manifest| manifest.recipients().any(|recipient| recipient == own))
        {
            return Ok(Err(Outcome::NoSlot));
        }
        let keys = match epochs.read(epoch, &caseworker.home_identity) {
            Ok(Some(keys)) => Rc::new(keys),
            Ok(None) => return Ok(Err(Outcome::KeyDestroyed)),
            // The other epochs' reports are not to wait for it.
            Err(error) => {
                self.summary.warn("unreadable keys", &error);
                return Ok(Err(Outcome::KeyUnreadable));
            }
        };
        // Versions with my slot in the same place open alike: which of them a report names is seen when it is open.
        let mut candidates: Vec<Candidate> = Vec::new();
        for candidate in manifests.iter().filter_map(|manifest| Candidate::new(manifest, &keys)) {
            let alike = |seen: &Candidate| (seen.slots, seen.position) == (candidate.slots, candidate.position);
            if !candidates.iter().any(alike) {
                candidates.push(candidate);
            }
        }
        if candidates.is_empty() {
            return Ok(Err(Outcome::NoSlot));
        }
        Ok(Ok(candidates))
    }
}

/// Reads the body to its end. Gives the fate of one that has not the digest that it is named by.
fn checked<R: Read>(sealed: &Sealed, body: Body<R>) -> anyhow::Result<Option<Fate>> {
    let digest = body.finish();
    interrupt::check()?;
    let digest = digest
        .context("the bundle could not be read")
        .hint("copy the bundle again, and import it again: what was imported before is kept")?;
    let fate = || Fate::because(Outcome::Swapped, &format!("its bytes have the digest {digest}"));
    Ok((digest != sealed.digest).then(fate))
}

/// Writes an opened report. Gives what is remarkable about it.
fn keep(
    changes: &Changes<'_>,
    id: i64,
    sealed: &Sealed,
    opened: &Opened,
    unsealed_slots: &[usize],
    today: Day,
) -> anyhow::Result<Vec<String>> {
    let report = &opened.report;
    let first = match changes.first_under(&report.codename_key)? {
        Some(first) => Some(first),
        None => changes.first_with_reply_key_of(report)?,
    };
    let continuity = match &first {
        None if report.continues => Continuity::ContinuesNothing,
        None => Continuity::First,
        Some((_, first)) => match report.follows(first) {
            Err(NotAFollowUp::AnotherCodename) => Continuity::AnotherCodename,
            Err(NotAFollowUp::AnotherReplyKey) => Continuity::AnotherReplyKey,
            Ok(()) if report.continues => Continuity::FollowUp,
            Ok(()) => Continuity::SameCodename,
        },
    };
    let first_report = first.map(|(id, _)| id);
    let canary = canary(report);
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
        digest: sealed.digest,
        size_bytes: sealed.size,
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
        parse_fault: parse_fault.filter(|_| canary.is_none()),
        canary: canary.as_deref(),
    };
    changes.add_report(&new)?;
    if let Some(first) = first_report
        && matches!(continuity, Continuity::AnotherReplyKey | Continuity::AnotherCodename)
    {
        raise_forged(changes, id, first, continuity, today)?;
    }
    let mut flags = Vec::new();
    flags.extend(canary.as_ref().map(|name| format!("canary {name}")));
    flags.extend(continuity.flag(first_report));
    if new.parse_fault.is_some() {
        flags.push("unreadable".to_owned());
    }
    Ok(flags)
}

/// A codename's keys stand in its reports alone: whoever uses one without the other has read a report, and is not who wrote
/// it.
fn raise_forged(changes: &Changes<'_>, id: i64, first: i64, how: Continuity, today: Day) -> anyhow::Result<()> {
    let (what, other) = match how {
        Continuity::AnotherReplyKey => ("is signed by the codename of", "names another reply key"),
        _ => ("names the reply key of", "is signed by another codename"),
    };
    let detail = format!(
        "Report #{id} {what} #{first}, and {other}. Only whoever wrote #{first} and the caseworkers who have read it know \
         these keys, and no honest program joins them so: a caseworker may have turned, or the twelve words were found. Do \
         not believe that #{id} comes from whoever wrote #{first}, and do not answer it."
    );
    let raised = Raised {
        kind: Kind::Forged,
        subject: &format!("report #{id}"),
        leaf: None,
        detail: &detail,
        evidence: None,
    };
    changes.raise(&raised, today)?;
    Ok(())
}

/// The name of the canary that a report is, if it is one that a courier sent to see whether it arrives.
fn canary(report: &Report) -> Option<String> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Canary {
        schema: String,
        name: String,
    }
    let canary: Canary = serde_json::from_str(report.incident.get()).ok()?;
    (canary.schema == CANARY_SCHEMA && canary.name.len() <= 160).then_some(canary.name)
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
