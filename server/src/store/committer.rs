//! The committer: the one thread that writes.
//!
//! It takes what waits, up to a bound, and commits it as one group: bodies, sync of the segments, one group in the
//! ledger, sync of the ledger. Only then are the callers answered, and only then does the view learn of it. Waiting
//! callers hold back the rest: the queue is bounded in number and in bytes.
//!
//! A report that is stored already costs the disk what a new one costs: its body is written behind the new ones, and if
//! nothing in the group is new, so are zeros in place of the ledger's group; all is synced, answered, and then cut off.
//! Else whoever seized a sealed file could ask the server, with a clock, whether it was ever sent. What remains is what
//! happens in memory: a new report is also put into the view, and two files shrink after a group of repeats, which the
//! next group waits for; both are small beside two syncs, and neither is nothing. And whoever reads the disk's journal
//! can see it.

use std::{
    collections::{BTreeMap, HashMap},
    path::PathBuf,
    sync::{Arc, PoisonError},
    time::{Duration, Instant},
};

use marram_crypto::{
    board::Shard,
    day::{Day, Epoch},
    digest::Digest,
    leaf::Leaf,
};
use tokio::sync::OwnedSemaphorePermit;

use super::{
    Appended, Ordered, Put, REPEAT_DAYS, Why,
    boards::Boards,
    body::Body,
    error::StoreError,
    ledger::{CommitError, Ledger},
    queue::{Collector, Job, Next, Reply},
    record::{NoteKey, Record, StoredLeaf},
    segments::Segments,
    shared::{Shared, VIEW_FAILED},
    state::Hung,
    view::{Batch, NotePlace, View},
};

/// How often a store that stopped writing tries again.
const TRY_AGAIN_EVERY: Duration = Duration::from_secs(1);
/// The writing half of the store.
pub(super) struct Committer {
    pub(super) folder: PathBuf,
    pub(super) ledger: Ledger,
    pub(super) segments: Segments,
    pub(super) boards: Boards,
    pub(super) shared: Arc<Shared>,
}

/// What a group will change, and whom to tell.
#[derive(Default)]
pub(super) struct Group {
    pub(super) payload: Vec<u8>,
    pub(super) batch: Batch,
    /// The new boards again, by shard.
    pub(super) hung: BTreeMap<Shard, Hung>,
    /// The new leaves again, by digest: the same bytes may be in a group twice.
    new: HashMap<Digest, (u64, Leaf)>,
    /// Bodies that are stored already, with their share of the queue's memory.
    repeats: Vec<(Body, OwnedSemaphorePermit)>,
    answers: Vec<AnswerTo>,
    /// What to destroy once the group is committed.
    destroys: Vec<(BTreeMap<u64, Why>, Reply<()>)>,
}

enum AnswerTo {
    Append(Reply<Appended>, Appended),
    Put(Reply<Put>, Put),
    Order(Reply<Ordered>, Ordered),
}

impl Committer {
    /// Commits group after group until all senders are gone. Returns itself, for a clean stop.
    pub(super) fn run(mut self, mut collector: Collector) -> Self {
        let mut tried = Instant::now();
        loop {
            let broken = self.shared.read_only().is_some();
            if broken && tried.elapsed() >= TRY_AGAIN_EVERY {
                self.recover();
                tried = Instant::now();
            }
            match collector.next(broken.then_some(TRY_AGAIN_EVERY)) {
                Next::Group(jobs) => self.commit(jobs),
                Next::Nothing => {}
                Next::End => return self,
            }
        }
    }

    fn commit(&mut self, jobs: Vec<Job>) {
        let bytes = jobs.iter().map(Job::bytes).fold(0, u64::saturating_add);
        let mut group = Group::default();
        {
            let state = self.shared.state();
            (group.batch.first, group.batch.first_order) = (state.size(), state.orders());
        }
        let written = self.write(jobs, bytes, &mut group);
        if !group.hung.is_empty() {
            self.take_down_boards();
        }
        let destroys = std::mem::take(&mut group.destroys);
        match written {
            Ok(()) => {
                let rehearsed = !group.repeats.is_empty();
                group.answer(&Ok(()));
                if rehearsed {
                    self.end_rehearsal();
                }
            }
            Err(error) => group.answer(&Err(error)),
        }
        for (targets, reply) in destroys {
            drop(reply.send(self.destroy(&targets)));
        }
    }

    fn write(&mut self, jobs: Vec<Job>, bytes: u64, group: &mut Group) -> Result<(), StoreError> {
        if let Some(error) = self.stage(jobs, self.shared.refusal(bytes), group) {
            self.undo()?;
            if let StoreError::View(_) = error {
                return Err(self.shared.stop_writing(VIEW_FAILED));
            }
            return Err(error);
        }
        if group.payload.is_empty() && group.repeats.is_empty() {
            return Ok(());
        }
        let end = self.segments.end();
        let rehearsed = match self.rehearse_bodies(group) {
            Ok(payload_len) => payload_len,
            Err(error) => {
                self.undo()?;
                return Err(error);
            }
        };

        if let Err(error) = self.segments.sync() {
            // A failed sync is never tried again: the kernel may have dropped the pages.
            tracing::error!(kind = %error.kind(), "a segment could not be synced");
            return Err(self.shared.stop_writing("a segment could not be synced"));
        }
        let committed = if group.payload.is_empty() {
            self.ledger.rehearse(rehearsed)
        } else {
            self.ledger.commit(&group.payload)
        };
        match committed {
            Ok(()) => {}
            Err(CommitError::Undone(error)) => {
                self.undo()?;
                return Err(error.into());
            }
            Err(CommitError::Uncertain(reason)) => return Err(self.shared.stop_writing(reason)),
        }
        // Committed. From here on nothing may be answered with an error.
        self.segments.keep(end);
        #[cfg(test)]
        self.shared.synced.store(
            self.ledger.synced + self.segments.synced,
            std::sync::atomic::Ordering::Release,
        );
        if group.payload.is_empty() {
            return Ok(());
        }
        let view = self.shared.view.read().unwrap_or_else(PoisonError::into_inner);
        let applied = view
            .as_ref()
            .ok_or(StoreError::Closed)
            .and_then(|view| view.apply(&group.batch));
        drop(view);
        match applied {
            Ok(()) => {
                self.shared.state_mut().apply_all(&group.payload);
                let state = self.shared.state();
                if let Err(error) = self.segments.unlink_spent(state.segments()) {
                    tracing::warn!(kind = %error.kind(), "a segment without reports could not be removed yet");
                }
            }
            // Nothing is lost, but reports could be stored twice from now on: stop until the view is rebuilt.
            Err(error) => {
                tracing::error!(%error, "the view failed after a commit");
                self.shared.stop_writing(VIEW_FAILED);
            }
        }
        Ok(())
    }

    /// Stages what is to be written. Returns why nothing is: `failed`, or what failed now.
    fn stage(&mut self, jobs: Vec<Job>, mut failed: Option<StoreError>, group: &mut Group) -> Option<StoreError> {
        for job in jobs {
            // After a failure the rest is only collected, to be told.
            let (answer, staged) = match job {
                Job::Append {
                    mut body,
                    epoch,
                    today,
                    reply,
                    memory,
                } => {
                    let (appended, staged) = if failed.is_some() {
                        (
                            Appended::Uniform {
                                leaf: leaf_of(&body, epoch, today),
                            },
                            Ok(()),
                        )
                    } else {
                        self.stage_body(&mut body, epoch, today, group)
                    };
                    if !matches!(appended, Appended::Fresh { .. }) {
                        group.repeats.push((body, memory));
                    }
                    (AnswerTo::Append(reply, appended), staged)
                }
                Job::Put {
                    key,
                    digest,
                    note,
                    reply,
                } => {
                    let (put, staged) = if failed.is_some() {
                        (Put::Repeated, Ok(()))
                    } else {
                        self.stage_note(key, digest, &note, group)
                    };
                    (AnswerTo::Put(reply, put), staged)
                }
                Job::Order { order, reply } => {
                    let staged = match failed {
                        Some(_) => Ok(Ordered::Conflict),
                        None => self.stage_order(&order, group),
                    };
                    let (ordered, staged) =
                        staged.map_or_else(|error| (Ordered::Conflict, Err(error)), |ordered| (ordered, Ok(())));
                    (AnswerTo::Order(reply, ordered), staged)
                }
                Job::Destroy { targets, reply } => {
                    group.destroys.push((targets, reply));
                    continue;
                }
                Job::Wake => continue,
            };
            group.answers.push(answer);
            failed = failed.or(staged.err());
        }
        failed
    }

    fn stage_body(
        &mut self,
        body: &mut Body,
        epoch: Epoch,
        today: Day,
        group: &mut Group,
    ) -> (Appended, Result<(), StoreError>) {
        let leaf = leaf_of(body, epoch, today);
        let uniform = Appended::Uniform { leaf };
        let known = match group.new.get(&leaf.digest) {
            Some(known) => Ok(Some(*known)),
            None => self.with_view(|view| Ok(view.find(leaf.digest)?.map(|(index, stored)| (index, stored.leaf)))),
        };
        match known {
            Err(error) => (uniform, Err(error)),
            Ok(Some((index, leaf))) if leaf.day >= today.minus(REPEAT_DAYS) => {
                (Appended::Repeated { leaf, index }, Ok(()))
            }
            Ok(Some(_)) => (uniform, Ok(())),
            Ok(None) => match self.segments.append(body) {
                Err(error) => (uniform, Err(error.into())),
                Ok(place) => {
                    let index = group.next_index();
                    let stored = StoredLeaf { leaf, place };
                    Record::Leaf(stored).write(&mut group.payload);
                    group.batch.leaves.push(stored);
                    group.new.insert(leaf.digest, (index, leaf));
                    (Appended::Fresh { leaf, index }, Ok(()))
                }
            },
        }
    }

    /// Writes the bodies that are stored already once more. Returns how long their records would be.
    fn rehearse_bodies(&mut self, group: &mut Group) -> Result<usize, StoreError> {
        let mut records = Vec::new();
        for (body, _) in &mut group.repeats {
            let place = self.segments.append(body)?;
            // Its epoch and day take the same bytes as any.
            let leaf = leaf_of(body, Epoch::MAX, Day::MAX);
            Record::Leaf(StoredLeaf { leaf, place }).write(&mut records);
        }
        Ok(records.len())
    }

    /// After the answers: takes away what was only written so that a repeat costs what a new report costs.
    fn end_rehearsal(&mut self) {
        let ended = self.ledger.end_rehearsal().and_then(|()| self.segments.roll_back());
        if let Err(error) = ended {
            tracing::error!(kind = %error.kind(), "what was not to stay could not be cut off");
            self.shared.stop_writing("what was not to stay could not be cut off");
        }
    }

    fn stage_note(
        &mut self,
        key: NoteKey,
        digest: Digest,
        note: &[u8],
        group: &mut Group,
    ) -> (Put, Result<(), StoreError>) {
        let in_group = group.batch.notes.iter();
        let same = in_group
            .clone()
            .find(|(other, _)| *other == key)
            .map(|(_, place)| *place);
        let same = same.map_or_else(|| self.with_view(|view| view.note(key)), |place| Ok(Some(place)));
        let newest = in_group
            .filter(|(other, _)| other.family == key.family)
            .map(|(other, _)| other.version)
            .max();
        let newest = newest.map_or_else(
            || self.with_view(|view| view.newest(key.family)),
            |version| Ok(Some(version)),
        );
        match (same, newest) {
            (Err(error), _) | (_, Err(error)) => (Put::Repeated, Err(error)),
            (Ok(Some(place)), _) if place.digest == digest => (Put::Repeated, Ok(())),
            (Ok(Some(_)), _) => (Put::Conflict, Ok(())),
            (Ok(None), Ok(Some(newest))) if newest > key.version => (Put::Older { newest }, Ok(())),
            (Ok(None), Ok(_)) => {
                let at = Record::Note { key, digest, note }.write(&mut group.payload);
                let offset = self.ledger.next_payload() + at as u64;
                let len = u32::try_from(note.len()).unwrap_or(u32::MAX);
                group.batch.notes.push((key, NotePlace { digest, offset, len }));
                (Put::Fresh, Ok(()))
            }
        }
    }

    pub(super) fn with_view<T>(&self, read: impl FnOnce(&View) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let view = self.shared.view.read().unwrap_or_else(PoisonError::into_inner);
        read(view.as_ref().ok_or(StoreError::Closed)?)
    }

    /// Takes the bodies of a failed group away.
    fn undo(&mut self) -> Result<(), StoreError> {
        if self.shared.read_only().is_some() {
            return Ok(());
        }
        self.segments.roll_back().map_err(|error| {
            tracing::error!(kind = %error.kind(), "an unfinished write could not be cut off a segment");
            self.shared
                .stop_writing("an unfinished write could not be cut off a segment")
        })
    }
}

impl Group {
    /// The index of the next new leaf.
    fn next_index(&self) -> u64 {
        self.batch.first + self.batch.leaves.len() as u64
    }

    /// Tells every caller. One who went away does not matter.
    fn answer(self, outcome: &Result<(), StoreError>) {
        for answer in self.answers {
            match answer {
                AnswerTo::Append(reply, appended) => drop(reply.send(outcome.clone().map(|()| appended))),
                AnswerTo::Put(reply, put) => drop(reply.send(outcome.clone().map(|()| put))),
                AnswerTo::Order(reply, ordered) => drop(reply.send(outcome.clone().map(|()| ordered))),
            }
        }
    }
}

fn leaf_of(body: &Body, epoch: Epoch, today: Day) -> Leaf {
    Leaf {
        digest: body.digest,
        epoch,
        day: today,
        log2_size: body.log2_size,
    }
}
