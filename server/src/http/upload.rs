//! Receiving a body: bounded in bytes, in memory and in time.

use std::{sync::Arc, time::Duration};

use axum::{
    body::{Body, Bytes, HttpBody},
    http::{HeaderMap, header},
};
use http_body_util::BodyExt;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout, timeout_at},
};

use super::problem::Problem;
use crate::{config::Limits, form::FormError};

/// How much of a refused body is still read, so that the client gets to see the refusal: a connection closed over
/// unread bytes is reset, and the refusal with it.
const LINGER_BYTES: usize = 16 << 20;
const LINGER: Duration = Duration::from_secs(5);
/// Two text reports.
const EXPECTED_MAX_LEN: usize = 1 << 16;
/// See [`Upload`].
const MAX_CREDIT: u32 = 2;

/// A body under way.
///
/// Time is bought with bytes: at first there are `idle_timeout_s` seconds, and each byte adds its share of
/// `upload_min_bytes_per_s`. So a body of any length has a deadline, its length at that rate, however its bytes are
/// spread. What is saved up is at most [`MAX_CREDIT`] times the idle timeout: whoever sends all but the last byte cannot
/// hold its memory for as long as the whole would take at the lowest rate.
pub(super) struct Upload {
    body: Body,
    len: u64,
    received: u64,
    /// Received, and not given out yet.
    ahead: Bytes,
    /// How many bytes are still given out, if not all that come.
    left: Option<u64>,
    /// When the bought time is up.
    deadline: Instant,
    limits: Limits,
    /// The client waits for `100 Continue` before it sends.
    waits: bool,
}

/// Bytes in memory, for which room is taken as they come: who announces much and sends little takes little.
pub(super) struct Buffer {
    pub(super) bytes: Vec<u8>,
    memory: Arc<Semaphore>,
    taken: Option<OwnedSemaphorePermit>,
}

impl Buffer {
    /// An empty buffer that takes its room from `memory`, one permit for each byte.
    pub(super) fn new(memory: &Arc<Semaphore>) -> Self {
        Self {
            bytes: Vec::new(),
            memory: Arc::clone(memory),
            taken: None,
        }
    }

    /// Makes room for a body of `len` bytes at once, if that is little: growing byte by byte would take up to twice as
    /// much. Room for more is taken as it comes.
    pub(super) fn expect(&mut self, len: u64) {
        if let Ok(len @ ..=EXPECTED_MAX_LEN) = usize::try_from(len) {
            self.bytes.reserve_exact(len.saturating_sub(self.bytes.len()));
        }
    }

    fn extend(&mut self, bytes: &[u8]) -> Result<(), Problem> {
        // At once or not at all: a queue would only hold memory and connections.
        let more = Arc::clone(&self.memory).try_acquire_many_owned(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
        let more = more.map_err(|_| Problem::Busy)?;
        match &mut self.taken {
            Some(taken) => taken.merge(more),
            None => self.taken = Some(more),
        }
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }
}

impl Upload {
    /// Takes a request's body.
    pub(super) fn new(headers: &HeaderMap, body: Body, limits: Limits) -> Self {
        Self {
            len: 0,
            received: 0,
            ahead: Bytes::new(),
            left: None,
            deadline: Instant::now() + limits.idle_timeout(),
            limits,
            waits: headers.contains_key(header::EXPECT),
            body,
        }
    }

    /// The announced length in bytes; nothing is read yet.
    pub(super) fn len(&mut self, headers: &HeaderMap) -> Result<u64, Problem> {
        if !headers.contains_key(header::CONTENT_LENGTH) {
            return Err(Problem::LengthRequired);
        }
        self.len = self.body.size_hint().exact().ok_or(Problem::LengthRequired)?;
        Ok(self.len)
    }

    /// Gives these bytes out again, before what comes.
    pub(super) fn unread(&mut self, bytes: Bytes) {
        self.ahead = bytes;
    }

    /// Gives out so many bytes more, and no others.
    pub(super) const fn only(&mut self, len: u64) {
        self.left = Some(len);
    }

    /// The next bytes, or `None` once all have come.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, Problem> {
        if self.left == Some(0) {
            return Ok(None);
        }
        let mut bytes = if self.ahead.is_empty() {
            match self.receive().await? {
                None if self.left.is_some() => return Err(Problem::BodyIncomplete),
                None => return Ok(None),
                Some(bytes) => bytes,
            }
        } else {
            std::mem::take(&mut self.ahead)
        };
        if let Some(left) = &mut self.left {
            let given = bytes.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
            self.ahead = bytes.split_off(given);
            *left -= given as u64;
        }
        Ok(Some(bytes))
    }

    /// Holds what is left of the body against what it has to be.
    pub(super) async fn ends_with(&mut self, tail: &[u8]) -> Result<(), Problem> {
        self.left = None;
        let mut tail = tail;
        while let Some(bytes) = self.next().await? {
            tail = tail.strip_prefix(bytes.as_ref()).ok_or(FormError::NoEnd)?;
        }
        if tail.is_empty() {
            Ok(())
        } else {
            Err(FormError::NoEnd.into())
        }
    }

    async fn receive(&mut self) -> Result<Option<Bytes>, Problem> {
        loop {
            let idle = self.limits.idle_timeout();
            let until = self.deadline.min(Instant::now() + idle);
            let frame = timeout_at(until, self.body.frame())
                .await
                .map_err(|_| Problem::TooSlow)?;
            let Some(frame) = frame else {
                return if self.received == self.len {
                    Ok(None)
                } else {
                    Err(Problem::BodyIncomplete)
                };
            };
            let Ok(bytes) = frame.map_err(|_| Problem::BodyIncomplete)?.into_data() else {
                continue;
            };
            self.received += bytes.len() as u64;
            let now = Instant::now();
            if self.deadline < now {
                return Err(Problem::TooSlow);
            }
            let bought = Duration::from_secs(bytes.len() as u64)
                .checked_div(u32::try_from(self.limits.upload_min_bytes_per_s).unwrap_or(u32::MAX))
                .unwrap_or_default();
            self.deadline = (self.deadline + bought).min(now + idle * MAX_CREDIT);
            return Ok(Some(bytes));
        }
    }

    /// Appends bytes to `buffer` until it has `len` of them, or the body ends.
    pub(super) async fn fill(&mut self, buffer: &mut Buffer, len: usize) -> Result<(), Problem> {
        while buffer.bytes.len() < len {
            let Some(bytes) = self.next().await? else { break };
            buffer.extend(&bytes)?;
        }
        Ok(())
    }

    /// After a refusal: goes on reading for a little, beside the answer.
    fn linger(mut self) {
        if self.waits && self.received == 0 {
            return;
        }
        tokio::spawn(timeout(LINGER, async move {
            let mut left = LINGER_BYTES;
            while let Some(Ok(frame)) = self.body.frame().await {
                let len = frame.data_ref().map_or(0, Bytes::len);
                let Some(less) = left.checked_sub(len) else { break };
                left = less;
            }
        }));
    }
}

/// Runs `receive` on a request's body and lingers if it refuses.
pub(super) async fn receiving<T, F>(mut upload: Upload, receive: F) -> Result<T, Problem>
where
    F: AsyncFnOnce(&mut Upload) -> Result<T, Problem>,
{
    let received = receive(&mut upload).await;
    if received.is_err() {
        upload.linger();
    }
    received
}

/// Reads a whole small body.
pub(super) async fn small(
    upload: &mut Upload,
    headers: &HeaderMap,
    limit: u64,
    memory: &Arc<Semaphore>,
) -> Result<Buffer, Problem> {
    let len = upload.len(headers)?;
    if len > limit {
        return Err(Problem::TooLarge { limit });
    }
    let mut buffer = Buffer::new(memory);
    upload.fill(&mut buffer, usize::MAX).await?;
    Ok(buffer)
}
