//! The queue before the committer: what waits, and how it is made into groups.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use marram_crypto::{
    day::{Day, Epoch},
    digest::Digest,
};
use tokio::sync::{
    OwnedSemaphorePermit,
    mpsc::{self, error::TryRecvError},
    oneshot,
};

use super::{Appended, NewOrder, Ordered, Put, Why, body::Body, error::StoreError, record::NoteKey};

/// How many jobs a group takes.
pub(super) const MAX_GROUP_JOBS: usize = 1024;
/// A group with more than one body has at most this many bytes of bodies.
const MAX_GROUP_BODY_BYTES: u64 = 4 << 20;
/// A group that has this many bytes of notes takes no more; with one more note it is still below the ledger's limit.
const MAX_GROUP_NOTE_BYTES: usize = 2 << 20;

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
    Order {
        order: NewOrder,
        reply: Reply<Ordered>,
    },
    Destroy {
        targets: BTreeMap<u64, Why>,
        reply: Reply<()>,
    },
    /// Nothing: somebody has called [`Shared::stop_writing`].
    Wake,
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

impl Job {
    /// How many bytes it writes, about.
    pub(super) fn bytes(&self) -> u64 {
        match self {
            Self::Append { body, .. } => body.size(),
            Self::Put { note, .. } => note.len() as u64,
            Self::Order { order, .. } => {
                let board = order.hangs.as_ref().map_or(0, |hangs| hangs.board.len());
                (order.note.len() + board) as u64
            }
            Self::Destroy { .. } | Self::Wake => 0,
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
                Job::Order { order, .. } => notes += order.note.len(),
                Job::Destroy { .. } | Job::Wake => {}
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
