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
    collections::HashMap,
    fs::File,
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use marram_crypto::{
    day::{Day, Epoch},
    digest::Digest,
    leaf::Leaf,
};
use tokio::sync::{
    OwnedSemaphorePermit,
    mpsc::{self, error::TryRecvError},
    oneshot,
};

use super::{
    Appended, Put, REPEAT_DAYS,
    body::Body,
    error::StoreError,
    files,
    ledger::{CommitError, Ledger},
    record::{NoteKey, Record, StoredLeaf},
    segments::Segments,
    view::{Batch, NotePlace, View},
};

/// How many jobs a group takes.
pub(super) const MAX_GROUP_JOBS: usize = 1024;
/// A group with more than one body has at most this many bytes of bodies.
const MAX_GROUP_BODY_BYTES: u64 = 4 << 20;
/// A group that has this many bytes of notes takes no more; with one more note it is still below the ledger's limit.
const MAX_GROUP_NOTE_BYTES: usize = 2 << 20;

/// Why nothing is written when only the view is at fault.
pub(super) const VIEW_FAILED: &str = "the view failed";
/// How often a store that stopped writing tries again.
const TRY_AGAIN_EVERY: Duration = Duration::from_secs(1);
/// How often it looks meanwhile whether anybody waits to be refused.
const LOOK_EVERY: Duration = Duration::from_millis(10);

pub(super) type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

/// Something to write.
pub(super) enum Job {
    Append {
        body: Body,
        epoch: Epoch,
        today: Day,
        reply: Reply<Appended>,
        /// The share of the queue's memory; given back when the body is dropped.
        memory: OwnedSemaphorePermit,
    },
    Put {
        key: NoteKey,
        digest: Digest,
        note: Vec<u8>,
        reply: Reply<Put>,
    },
    /// Nothing: somebody has called [`Shared::stop_writing`].
    Wake,
}

/// What the committer and the readers share.
pub(super) struct Shared {
    /// Gone after the stop.
    pub(super) view: RwLock<Option<View>>,
    /// How many leaves are committed.
    pub(super) len: AtomicU64,
    /// Why nothing is written now.
    pub(super) read_only: Mutex<Option<&'static str>>,
    /// For reading charters and manifests.
    pub(super) ledger: File,
    /// Free bytes on the disk below which the store is full.
    pub(super) reserve: u64,
    /// Bytes that were synced in segments and ledger, whether they stayed or not.
    #[cfg(test)]
    pub(super) synced: AtomicU64,
}

impl Shared {
    /// Why `bytes` cannot be written now.
    pub(super) fn refusal(&self, bytes: u64) -> Option<StoreError> {
        if let Some(reason) = self.read_only() {
            return Some(StoreError::ReadOnly(reason));
        }
        // sled does not survive a full disk in good health, so that the last megabytes are left to it.
        match files::free_space(&self.ledger) {
            Ok(free) if free < bytes.saturating_add(self.reserve) => Some(StoreError::Full),
            _ => None,
        }
    }

    /// Why nothing is written now, if so.
    pub(super) fn read_only(&self) -> Option<&'static str> {
        *self.read_only.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nothing is written from now on, until the committer has recovered.
    pub(super) fn stop_writing(&self, reason: &'static str) -> StoreError {
        let mut read_only = self.read_only.lock().unwrap_or_else(PoisonError::into_inner);
        if read_only.is_none() {
            tracing::error!(
                reason,
                "the store stopped writing, and tries again until it can: look at the disk"
            );
        }
        StoreError::ReadOnly(read_only.get_or_insert(reason))
    }
}

/// The writing half of the store.
pub(super) struct Committer {
    pub(super) folder: PathBuf,
    pub(super) ledger: Ledger,
    pub(super) segments: Segments,
    pub(super) shared: Arc<Shared>,
}

/// Makes groups of what waits.
pub(super) struct Collector {
    queue: mpsc::Receiver<Job>,
    /// Did not fit into the last group.
    held: Option<Job>,
    /// Bytes of bodies in a group of more than one. No more than a segment has, so that a group begins one new segment
    /// at most, in whatever order its bodies are written: that is how a start tells an interrupted group from bodies
    /// whose ledger was lost.
    max_body_bytes: u64,
}

/// What the collector found.
pub(super) enum Next {
    Group(Vec<Job>),
    /// Nothing came for as long as was to be waited.
    Nothing,
    /// All senders are gone.
    End,
}

/// What a group will change, and whom to tell.
#[derive(Default)]
struct Group {
    payload: Vec<u8>,
    batch: Batch,
    /// The new leaves again, by digest: the same bytes may be in a group twice.
    new: HashMap<Digest, (u64, Leaf)>,
    /// Bodies that are stored already, with their share of the queue's memory.
    repeats: Vec<(Body, OwnedSemaphorePermit)>,
    answers: Vec<AnswerTo>,
}

enum AnswerTo {
    Append(Reply<Appended>, Appended),
    Put(Reply<Put>, Put),
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
        let mut group = Group {
            batch: Batch {
                first: self.shared.len.load(Ordering::Acquire),
                ..Batch::default()
            },
            ..Group::default()
        };
        match self.write(jobs, bytes, &mut group) {
            Ok(()) => {
                let rehearsed = !group.repeats.is_empty();
                group.answer(&Ok(()));
                if rehearsed {
                    self.end_rehearsal();
                }
            }
            Err(error) => group.answer(&Err(error)),
        }
    }

    fn write(&mut self, jobs: Vec<Job>, bytes: u64, group: &mut Group) -> Result<(), StoreError> {
        let mut failed = self.shared.refusal(bytes);
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
                Job::Wake => continue,
            };
            group.answers.push(answer);
            failed = failed.or(staged.err());
        }
        if let Some(error) = failed {
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
        self.shared
            .synced
            .store(self.ledger.synced + self.segments.synced, Ordering::Release);
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
            Ok(()) => self.shared.len.store(group.next_index(), Ordering::Release),
            // Nothing is lost, but reports could be stored twice from now on: stop until the view is rebuilt.
            Err(error) => {
                tracing::error!(%error, "the view failed after a commit");
                self.shared.stop_writing(VIEW_FAILED);
            }
        }
        Ok(())
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

    fn with_view<T>(&self, read: impl FnOnce(&View) -> Result<T, StoreError>) -> Result<T, StoreError> {
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

impl Job {
    /// How many bytes it writes, about.
    fn bytes(&self) -> u64 {
        match self {
            Self::Append { body, .. } => body.size(),
            Self::Put { note, .. } => note.len() as u64,
            Self::Wake => 0,
        }
    }
}

impl Collector {
    /// Takes from `queue`.
    pub(super) fn new(queue: mpsc::Receiver<Job>, segment_bytes: u64) -> Self {
        Self {
            queue,
            held: None,
            max_body_bytes: MAX_GROUP_BODY_BYTES.min(segment_bytes),
        }
    }

    /// What is committed next. Waits for it for as long as it takes, or for `patience`.
    pub(super) fn next(&mut self, patience: Option<Duration>) -> Next {
        let mut next = match (self.held.take(), patience) {
            (Some(held), _) => Some(held),
            (None, None) => self.queue.blocking_recv(),
            (None, Some(patience)) => match self.wait(patience) {
                Err(TryRecvError::Empty) => return Next::Nothing,
                received => received.ok(),
            },
        };
        let (mut bodies, mut notes) = (0_u64, 0);
        let mut jobs = Vec::new();
        while let Some(job) = next {
            match &job {
                Job::Append { body, .. } if bodies > 0 && bodies.saturating_add(body.size()) > self.max_body_bytes => {
                    self.held = Some(job);
                    break;
                }
                Job::Append { body, .. } => bodies = bodies.saturating_add(body.size()),
                Job::Put { note, .. } => notes += note.len(),
                Job::Wake => {}
            }
            jobs.push(job);
            let room = jobs.len() < MAX_GROUP_JOBS && notes < MAX_GROUP_NOTE_BYTES;
            next = if room { self.queue.try_recv().ok() } else { None };
        }
        if jobs.is_empty() { Next::End } else { Next::Group(jobs) }
    }

    fn wait(&mut self, patience: Duration) -> Result<Job, TryRecvError> {
        let until = Instant::now() + patience;
        loop {
            match self.queue.try_recv() {
                Err(TryRecvError::Empty) if Instant::now() < until => std::thread::sleep(LOOK_EVERY),
                received => return received,
            }
        }
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
