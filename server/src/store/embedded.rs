//! The embedded store: one folder, one process.
//!
//! ```text
//! lock          held while a server runs on the folder
//! ledger        the record
//! segments/     the bodies
//! view/         indexes, rebuildable
//! clean         exists from a clean stop to the next start: how ledger and view were left
//! ```

use std::{
    fs::{self, File},
    io::{self, SeekFrom, Write},
    ops::Range,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    thread::JoinHandle,
};

use marram_crypto::{
    day::{Day, Epoch},
    digest::Digest,
    leaf::Leaf,
};
use rustix::fs::{FlockOperation, flock};
use tokio::{
    io::{AsyncReadExt, AsyncSeekExt},
    sync::{Semaphore, mpsc, oneshot},
};

use super::{
    Answer, Appended, NOTE_MAX_LEN, Note, Put, ReportReader, Store,
    body::Body,
    committer::{Collector, Committer, Job, MAX_GROUP_JOBS, Shared, VIEW_FAILED},
    error::{OpenError, StoreError, at},
    files,
    ledger::{self, Ledger},
    record::{self, Family, NoteKey, Record},
    segments::{self, Ends, Segments},
    view::{self, Batch, Digests, NotePlace, View},
};

/// How many leaves a rebuild hands to the view at a time.
const REBUILD_BATCH: usize = 10_000;
/// A reader's buffer in bytes.
const READ_BUFFER_LEN: usize = 1 << 16;
const CLEAN_TYPE: &str = "marram/clean-stop/v1";

/// How large things may grow.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// A segment is rolled before it grows past this many bytes; a longer body gets a segment of its own.
    pub segment_bytes: u64,
    /// The store is full when a report would leave less than this many bytes free on the disk.
    pub reserve_bytes: u64,
    /// How many bytes of bodies wait in memory before callers wait.
    pub queue_bytes: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            segment_bytes: 256 << 20,
            reserve_bytes: 32 << 20,
            queue_bytes: 64 << 20,
        }
    }
}

/// The store in a folder.
pub struct Embedded {
    shared: Arc<Shared>,
    segments: PathBuf,
    queue: Mutex<Option<mpsc::Sender<Job>>>,
    /// One permit for each of `queue_bytes`.
    memory: Arc<Semaphore>,
    queue_bytes: u32,
    stopping: Mutex<Stopping>,
    rebuilt: bool,
}

struct Stopping {
    folder: PathBuf,
    committer: Option<JoinHandle<Committer>>,
    /// Released when dropped.
    lock: Option<File>,
}

/// What a clean stop leaves.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Clean {
    ledger_len: u64,
    ledger: Digest,
    view: Digest,
}

impl Embedded {
    /// Opens the store in `folder`, creating it if it is missing. Blocks: reads the whole ledger, and after an unclean
    /// stop rebuilds the view from it.
    ///
    /// # Errors
    /// [`OpenError`], which says what to do. The folder is as it was.
    pub fn open(folder: &Path, settings: Settings) -> Result<Self, OpenError> {
        files::create_folder(folder).map_err(at(folder))?;
        let lock = lock(&folder.join("lock"))?;
        let ledger_path = ledger::path_in(folder);
        let segments_folder = segments::folder_in(folder);
        let view_path = view::folder_in(folder);

        let clean = read_clean(folder);
        refuse_lost_ledger(&ledger_path, &segments_folder)?;

        // Whether the view is as a clean stop left it is known before the ledger is read, and that the ledger is too
        // only after; so a rebuild reads the ledger a second time.
        let mut ends = Ends::new();
        let mut len = 0_u64;
        let mut digests = Digests::default();
        let ledger = Ledger::open(
            &ledger_path,
            clean.map(|clean| clean.ledger_len),
            |payload_at, payload| {
                for read in record::read_all(payload) {
                    let (_, record) = read.map_err(|_| unknown_record(&ledger_path, payload_at))?;
                    if let Record::Leaf(stored) = record {
                        digests.insert(stored.leaf.digest, len);
                        len += 1;
                        let end = ends.entry(stored.place.segment).or_default();
                        *end = stored.end().max(*end);
                    }
                }
                Ok(())
            },
        )?;
        let segments = Segments::open(&segments_folder, &ends, settings.segment_bytes)?;

        // From here on the folder is in use: a marker that is found later was left by a later stop.
        remove_clean(folder).map_err(at(folder))?;
        let kept = clean.is_some_and(|clean| {
            clean.ledger_len == ledger.len()
                && clean.ledger == ledger.digest()
                && view::digest_of(&view_path, false).is_ok_and(|digest| digest == clean.view)
        });
        let kept = if kept { View::open(&view_path).ok() } else { None };
        let kept = kept.filter(|view| view.len().is_ok_and(|found| found == len));
        let rebuilt = kept.is_none();
        let view = kept
            .map_or_else(|| rebuild(folder, len, View::write), Ok)?
            .with_digests(digests);
        files::sync_folder(folder).map_err(at(folder))?;

        let shared = Arc::new(Shared {
            view: RwLock::new(Some(view)),
            len: AtomicU64::new(len),
            read_only: Mutex::new(None),
            ledger: ledger.reader().map_err(at(&ledger_path))?,
            reserve: settings.reserve_bytes,
            #[cfg(test)]
            synced: AtomicU64::new(0),
        });
        let committer = Committer {
            folder: folder.to_owned(),
            ledger,
            segments,
            shared: Arc::clone(&shared),
        };
        let (sender, receiver) = mpsc::channel(MAX_GROUP_JOBS);
        let thread = std::thread::Builder::new()
            .name("committer".to_owned())
            .spawn(move || committer.run(Collector::new(receiver, settings.segment_bytes)))
            .map_err(at(folder))?;
        Ok(Self {
            shared,
            segments: segments_folder,
            queue: Mutex::new(Some(sender)),
            memory: Arc::new(Semaphore::new(settings.queue_bytes as usize)),
            queue_bytes: settings.queue_bytes,
            stopping: Mutex::new(Stopping {
                folder: folder.to_owned(),
                committer: Some(thread),
                lock: Some(lock),
            }),
            rebuilt,
        })
    }

    /// Whether the view was made anew when the store was opened.
    pub const fn rebuilt(&self) -> bool {
        self.rebuilt
    }

    /// Bytes that were synced since the start, whether they stayed or not.
    #[cfg(test)]
    pub(super) fn synced(&self) -> u64 {
        self.shared.synced.load(Ordering::Acquire)
    }

    async fn enqueue<T>(
        &self,
        job: impl FnOnce(oneshot::Sender<Result<T, StoreError>>) -> Job,
    ) -> Result<T, StoreError> {
        let queue = locked(&self.queue).clone().ok_or(StoreError::Closed)?;
        let (reply, answer) = oneshot::channel();
        queue.send(job(reply)).await.map_err(|_| StoreError::Closed)?;
        drop(queue);
        answer
            .await
            .map_err(|_| StoreError::ReadOnly("the committer is gone"))?
    }

    async fn put(&self, key: NoteKey, digest: Digest, note: Vec<u8>) -> Result<Put, StoreError> {
        if note.len() > NOTE_MAX_LEN {
            return Err(StoreError::NoteTooLong {
                len: note.len(),
                limit: NOTE_MAX_LEN,
            });
        }
        self.enqueue(|reply| Job::Put {
            key,
            digest,
            note,
            reply,
        })
        .await
    }

    /// Reads the view (and the ledger) off the async threads.
    async fn look<T: Send + 'static>(
        &self,
        read: impl FnOnce(&View, &Shared) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let shared = Arc::clone(&self.shared);
        let looked = tokio::task::spawn_blocking(move || {
            let view = shared.view.read().unwrap_or_else(PoisonError::into_inner);
            read(view.as_ref().ok_or(StoreError::Closed)?, &shared)
        });
        let looked = looked
            .await
            .map_err(|_| StoreError::View("reading was interrupted".to_owned()))?;
        if let Err(StoreError::View(_)) = looked {
            self.shared.stop_writing(VIEW_FAILED);
            if let Some(queue) = locked(&self.queue).as_ref() {
                // If the queue is full, the committer is awake.
                drop(queue.try_send(Job::Wake));
            }
        }
        looked
    }
}

impl Store for Embedded {
    fn append(&self, body: Body, epoch: Epoch, today: Day) -> Answer<'_, Appended> {
        Box::pin(async move {
            let share = u32::try_from(body.memory()).unwrap_or(u32::MAX).min(self.queue_bytes);
            let memory = Arc::clone(&self.memory)
                .acquire_many_owned(share)
                .await
                .map_err(|_| StoreError::Closed)?;
            self.enqueue(|reply| Job::Append {
                body,
                epoch,
                today,
                reply,
                memory,
            })
            .await
        })
    }

    fn size(&self) -> Answer<'_, u64> {
        Box::pin(async { Ok(self.shared.len.load(Ordering::Acquire)) })
    }

    fn leaves(&self, from: u64, limit: usize) -> Answer<'_, Vec<Leaf>> {
        Box::pin(self.look(move |view, _| view.leaves(from, limit)))
    }

    fn leaf_of(&self, digest: Digest) -> Answer<'_, Option<(u64, Leaf)>> {
        Box::pin(self.look(move |view, _| Ok(view.find(digest)?.map(|(index, stored)| (index, stored.leaf)))))
    }

    fn read(&self, digest: Digest, range: Range<u64>) -> Answer<'_, Option<ReportReader>> {
        Box::pin(async move {
            let found = self.look(move |view, _| view.find(digest)).await?;
            let Some((_, stored)) = found else { return Ok(None) };
            let segment = stored.place.segment;
            let path = segments::path_of(&self.segments, segment);
            let mut file = match tokio::fs::File::open(&path).await {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(StoreError::BodyLost { segment }),
                Err(error) => return Err(error.into()),
            };
            if file.metadata().await?.len() < stored.end() {
                return Err(StoreError::BodyLost { segment });
            }
            let end = range.end.min(stored.leaf.size());
            let start = range.start.min(end);
            file.set_max_buf_size(READ_BUFFER_LEN);
            file.seek(SeekFrom::Start(stored.place.offset + start)).await?;
            Ok(Some(Box::pin(file.take(end - start)) as ReportReader))
        })
    }

    fn charters(&self) -> Answer<'_, Vec<Note>> {
        Box::pin(self.look(|view, shared| {
            view.charters()?
                .into_iter()
                .map(|(key, place)| Ok(read_note(&shared.ledger, key, place)?))
                .collect()
        }))
    }

    fn put_charter(&self, version: u64, digest: Digest, note: Vec<u8>) -> Answer<'_, Put> {
        Box::pin(self.put(
            NoteKey {
                family: Family::Charter,
                version,
            },
            digest,
            note,
        ))
    }

    fn manifests(&self, from: Epoch) -> Answer<'_, Vec<(Epoch, Note)>> {
        Box::pin(self.look(move |view, shared| {
            let mut manifests = Vec::new();
            for (key, place) in view.manifests(from)? {
                if let Family::Manifest(epoch) = key.family {
                    manifests.push((epoch, read_note(&shared.ledger, key, place)?));
                }
            }
            Ok(manifests)
        }))
    }

    fn put_manifest(&self, epoch: Epoch, version: u64, digest: Digest, note: Vec<u8>) -> Answer<'_, Put> {
        Box::pin(self.put(
            NoteKey {
                family: Family::Manifest(epoch),
                version,
            },
            digest,
            note,
        ))
    }

    fn ready(&self) -> Answer<'_, ()> {
        Box::pin(self.look(|_, shared| shared.refusal(0).map_or(Ok(()), Err)))
    }

    fn close(&self) -> Answer<'_, ()> {
        Box::pin(async {
            // Callers that wait for room in the queue hold a sender of their own and are committed too.
            *locked(&self.queue) = None;
            let (folder, thread) = {
                let mut stopping = locked(&self.stopping);
                (stopping.folder.clone(), stopping.committer.take())
            };
            let Some(thread) = thread else { return Ok(()) };
            let shared = Arc::clone(&self.shared);
            let stopped = tokio::task::spawn_blocking(move || {
                let committer = thread
                    .join()
                    .map_err(|_| StoreError::ReadOnly("the committer is gone"))?;
                stop(&committer, &shared, &folder)
            });
            let stopped = stopped
                .await
                .map_err(|_| StoreError::ReadOnly("the stop was interrupted"))?;
            locked(&self.stopping).lock = None;
            stopped
        })
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        *locked(&self.queue) = None;
        // The folder stays locked until the last group is committed.
        if let Some(thread) = locked(&self.stopping).committer.take() {
            drop(thread.join());
        }
    }
}

impl std::fmt::Debug for Embedded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Embedded")
            .field("len", &self.shared.len)
            .finish_non_exhaustive()
    }
}

/// The clean stop: everything is durable, then the marker says so.
fn stop(committer: &Committer, shared: &Shared, folder: &Path) -> Result<(), StoreError> {
    let view = shared.view.write().unwrap_or_else(PoisonError::into_inner).take();
    let (Some(view), None) = (view, shared.read_only()) else {
        // What is in the ledger counts; the next start rebuilds the view.
        return Ok(());
    };
    let view = view.close()?;
    write_clean(
        folder,
        Clean {
            ledger_len: committer.ledger.len(),
            ledger: committer.ledger.digest(),
            view,
        },
    )?;
    Ok(())
}

fn lock(path: &Path) -> Result<File, OpenError> {
    let file = files::open(path).map_err(at(path))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(OpenError::Locked { path: path.to_owned() }),
        Err(error) => Err(at(path)(error.into())),
    }
}

/// A missing ledger is a new store only if there are no bodies either.
fn refuse_lost_ledger(ledger: &Path, segments: &Path) -> Result<(), OpenError> {
    if ledger.exists() || !segments.exists() {
        return Ok(());
    }
    match fs::read_dir(segments).map_err(at(segments))?.count() {
        0 => Ok(()),
        unknown => Err(OpenError::LedgerLost {
            path: segments.to_owned(),
            unknown,
        }),
    }
}

fn unknown_record(ledger: &Path, payload_at: u64) -> OpenError {
    OpenError::UnknownRecord {
        path: ledger.to_owned(),
        offset: payload_at - ledger::GROUP_HEAD_LEN as u64,
    }
}

/// Makes a new view from the ledger. `put` is [`View::write`], or [`View::apply`] for one that shall know the digests.
pub(super) fn rebuild(
    folder: &Path,
    len: u64,
    put: fn(&View, &Batch) -> Result<(), StoreError>,
) -> Result<View, OpenError> {
    let (ledger_path, view_path) = (&ledger::path_in(folder), &view::folder_in(folder));
    let failed = |error: StoreError| OpenError::View {
        path: view_path.to_owned(),
        reason: error.to_string(),
    };
    if view_path.exists() {
        fs::remove_dir_all(view_path).map_err(at(view_path))?;
    }
    if len > 0 {
        tracing::info!(reports = len, "rebuilding the view from the ledger");
    }
    let view = View::open(view_path).map_err(failed)?;
    let mut batch = Batch::default();
    let hand_over = |batch: &mut Batch| {
        let first = batch.first + batch.leaves.len() as u64;
        if first > 0 && first / 1_000_000 > batch.first / 1_000_000 {
            tracing::info!(reports = first, of = len, "rebuilding the view");
        }
        let next = Batch {
            first,
            ..Batch::default()
        };
        put(&view, &std::mem::replace(batch, next)).map_err(failed)
    };
    Ledger::open(ledger_path, None, |payload_at, payload| {
        for read in record::read_all(payload) {
            let (end, record) = read.map_err(|_| unknown_record(ledger_path, payload_at))?;
            match record {
                Record::Leaf(stored) => batch.leaves.push(stored),
                Record::Note { key, digest, note } => {
                    let offset = payload_at + (end - note.len()) as u64;
                    let len = u32::try_from(note.len()).unwrap_or(u32::MAX);
                    batch.notes.push((key, NotePlace { digest, offset, len }));
                }
            }
        }
        if batch.leaves.len() >= REBUILD_BATCH {
            hand_over(&mut batch)?;
        }
        Ok(())
    })?;
    hand_over(&mut batch)?;
    Ok(view)
}

fn read_note(ledger: &File, key: NoteKey, place: NotePlace) -> io::Result<Note> {
    let mut note = vec![0; place.len as usize];
    ledger.read_exact_at(&mut note, place.offset)?;
    Ok(Note {
        version: key.version,
        digest: place.digest,
        note,
    })
}

/// The marker of the last stop, if that was clean. One that cannot be read is none.
fn read_clean(folder: &Path) -> Option<Clean> {
    let text = fs::read_to_string(folder.join("clean")).ok()?;
    let mut lines = text.lines();
    let mut next = || lines.next();
    if next()? != CLEAN_TYPE {
        return None;
    }
    Some(Clean {
        ledger_len: next()?.parse().ok()?,
        ledger: next()?.parse().ok()?,
        view: next()?.parse().ok()?,
    })
}

fn write_clean(folder: &Path, clean: Clean) -> io::Result<()> {
    let new = folder.join("clean.new");
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = files::create(&new)?;
    writeln!(
        file,
        "{CLEAN_TYPE}\n{}\n{}\n{}",
        clean.ledger_len, clean.ledger, clean.view
    )?;
    file.sync_all()?;
    fs::rename(&new, folder.join("clean"))?;
    files::sync_folder(folder)
}

fn remove_clean(folder: &Path) -> io::Result<()> {
    match fs::remove_file(folder.join("clean")) {
        Ok(()) => files::sync_folder(folder),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
