//! The embedded store: one folder, one process.
//!
//! ```text
//! lock          held while a server runs on the folder
//! ledger        the record
//! segments/     the bodies
//! boards/       the boards that hang
//! view/         indexes, rebuildable
//! clean         exists from a clean stop to the next start: how ledger and view were left
//! ```

#[cfg(test)]
use std::sync::atomic::{AtomicU64, Ordering};
use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, SeekFrom},
    ops::Range,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, RwLock},
    thread::JoinHandle,
};

use marram_crypto::{
    board::Shard,
    day::{Day, Epoch},
    digest::Digest,
    leaf::Leaf,
    order::OrderId,
    tree::Head,
};
use rustix::fs::{FlockOperation, flock};
use tokio::{
    io::{AsyncReadExt, AsyncSeekExt},
    sync::{Semaphore, mpsc, oneshot},
};

use super::{
    Answer, Appended, Logged, NOTE_MAX_LEN, NewOrder, Note, Ordered, Put, ReportReader, Store, Why,
    boards::{self, Boards},
    body::Body,
    clean,
    committer::Committer,
    error::{OpenError, StoreError, at},
    files,
    ledger::{self, Ledger},
    queue::{Collector, Job, MAX_GROUP_JOBS},
    rebuild::{rebuild, unknown_record},
    record::{self, Family, NoteKey, Record},
    segments::{self, Segments},
    shared::{Shared, VIEW_FAILED},
    state::State,
    view::{self, Digests, NotePlace, View},
};

/// A reader's buffer in bytes.
const READ_BUFFER_LEN: usize = 1 << 16;

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
    boards: PathBuf,
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

        let clean = clean::read(folder);
        refuse_lost_ledger(&ledger_path, &segments_folder)?;

        // Whether the view is as a clean stop left it is known before the ledger is read, and that the ledger is too
        // only after; so a rebuild reads the ledger a second time.
        let mut state = State::default();
        let mut digests = Digests::default();
        let ledger = Ledger::open(
            &ledger_path,
            clean.map(|clean| clean.ledger_len),
            |payload_at, payload| {
                for read in record::read_all(payload) {
                    let (_, record) = read.map_err(|_| unknown_record(&ledger_path, payload_at))?;
                    if let Record::Leaf(stored) = record {
                        digests.insert(stored.leaf.digest, state.size());
                    }
                    state.apply(&record);
                }
                Ok(())
            },
        )?;
        let segments = Segments::open(&segments_folder, state.segments(), settings.segment_bytes)?;
        let boards_folder = boards::folder_in(folder);
        let boards = Boards::open(&boards_folder, state.boards())?;

        // From here on the folder is in use: a marker that is found later was left by a later stop.
        clean::remove(folder).map_err(at(folder))?;
        let kept = clean.is_some_and(|clean| {
            clean.ledger_len == ledger.len()
                && clean.ledger == ledger.digest()
                && view::digest_of(&view_path, false).is_ok_and(|digest| digest == clean.view)
        });
        let kept = if kept { View::open(&view_path).ok() } else { None };
        let kept = kept.filter(|view| view.len().is_ok_and(|found| found == state.size()));
        let rebuilt = kept.is_none();
        let view = match kept {
            Some(view) => view,
            None => rebuild(folder, state.size(), View::write)?.0,
        };
        let view = view.with_digests(digests);
        files::sync_folder(folder).map_err(at(folder))?;

        let shared = Arc::new(Shared {
            view: RwLock::new(Some(view)),
            state: RwLock::new(state),
            read_only: Mutex::new(None),
            ledger: ledger.reader().map_err(at(&ledger_path))?,
            reserve: settings.reserve_bytes,
            #[cfg(test)]
            synced: AtomicU64::new(0),
        });
        let mut committer = Committer {
            folder: folder.to_owned(),
            ledger,
            segments,
            boards,
            shared: Arc::clone(&shared),
        };
        if let Err(error) = committer.erase() {
            tracing::error!(%error, "reports that were destroyed could not be erased yet: look at the disk");
        }
        let (sender, receiver) = mpsc::channel(MAX_GROUP_JOBS);
        let thread = std::thread::Builder::new()
            .name("committer".to_owned())
            .spawn(move || committer.run(Collector::new(receiver, settings.segment_bytes)))
            .map_err(at(folder))?;
        Ok(Self {
            shared,
            segments: segments_folder,
            boards: boards_folder,
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
        check_note(&note)?;
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
        Box::pin(async { Ok(self.shared.state().size()) })
    }

    fn head(&self) -> Answer<'_, Head> {
        Box::pin(async { Ok(self.shared.state().tree().head()) })
    }

    fn leaves(&self, from: u64, limit: usize) -> Answer<'_, Vec<Leaf>> {
        Box::pin(self.look(move |view, _| view.leaves(from, limit)))
    }

    fn kept(&self, from: u64, limit: usize) -> Answer<'_, Vec<(u64, Leaf)>> {
        Box::pin(self.look(move |view, shared| {
            let indexes: Vec<u64> = shared.state().kept(from).take(limit).collect();
            let leaf = |index| Ok((index, view.stored(index)?.leaf));
            indexes.into_iter().map(leaf).collect()
        }))
    }

    fn leaf_of(&self, digest: Digest) -> Answer<'_, Option<Logged>> {
        Box::pin(self.look(move |view, shared| {
            Ok(view.find(digest)?.map(|(index, stored)| Logged {
                index,
                leaf: stored.leaf,
                destroyed: shared.state().is_destroyed(index),
            }))
        }))
    }

    fn read(&self, digest: Digest, range: Range<u64>) -> Answer<'_, Option<ReportReader>> {
        Box::pin(async move {
            let found = self.look(move |view, _| view.find(digest)).await?;
            let Some((index, stored)) = found else { return Ok(None) };
            if self.shared.state().is_destroyed(index) {
                return Err(StoreError::Destroyed);
            }
            let segment = stored.place.segment;
            let path = segments::path_of(&self.segments, segment);
            let mut file = match tokio::fs::File::open(&path).await {
                Ok(file) => file,
                // Perhaps just now.
                Err(_) if self.shared.state().is_destroyed(index) => return Err(StoreError::Destroyed),
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
                .map(|(key, place)| Ok(read_note(&shared.ledger, key.version, place)?))
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
                    manifests.push((epoch, read_note(&shared.ledger, key.version, place)?));
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

    fn newest_manifest(&self, epoch: Epoch) -> Answer<'_, Option<Note>> {
        Box::pin(self.look(move |view, shared| {
            let family = Family::Manifest(epoch);
            let Some(version) = view.newest(family)? else {
                return Ok(None);
            };
            let key = NoteKey { family, version };
            let place = view.note(key)?;
            Ok(place
                .map(|place| read_note(&shared.ledger, key.version, place))
                .transpose()?)
        }))
    }

    fn orders(&self, from: u64, limit: usize) -> Answer<'_, Vec<Vec<u8>>> {
        Box::pin(self.look(move |view, shared| {
            let places = view.orders(from, limit)?;
            let notes = places.into_iter().map(|place| read_bytes(&shared.ledger, place));
            Ok(notes.collect::<io::Result<_>>()?)
        }))
    }

    fn order_of(&self, id: OrderId) -> Answer<'_, Option<(u64, Digest)>> {
        Box::pin(self.look(move |view, _| Ok(view.order(id)?.map(|(index, place)| (index, place.digest)))))
    }

    fn put_order(&self, order: NewOrder) -> Answer<'_, Ordered> {
        Box::pin(async {
            check_note(&order.note)?;
            self.enqueue(|reply| Job::Order { order, reply }).await
        })
    }

    fn board(&self, shard: Shard) -> Answer<'_, Option<(u64, ReportReader)>> {
        let folder = self.boards.clone();
        Box::pin(async move {
            let opened = self.look(move |_, shared| {
                // A board's file stays for as long as the state says that it hangs.
                let state = shared.state();
                let Some(hung) = state.boards().get(&shard) else {
                    return Ok(None);
                };
                match File::open(boards::path_of(&folder, shard, hung.digest)) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                    file => Ok(Some(file?)),
                }
            });
            let Some(file) = opened.await? else { return Ok(None) };
            let len = file.metadata()?.len();
            let mut file = tokio::fs::File::from_std(file);
            file.set_max_buf_size(READ_BUFFER_LEN);
            Ok(Some((len, Box::pin(file.take(len)) as ReportReader)))
        })
    }

    fn destroy(&self, targets: BTreeMap<u64, Why>) -> Answer<'_, ()> {
        Box::pin(self.enqueue(|reply| Job::Destroy { targets, reply }))
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
                clean::stop(&committer, &shared, &folder)
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
            .field("len", &self.shared.state().size())
            .finish_non_exhaustive()
    }
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

fn check_note(note: &[u8]) -> Result<(), StoreError> {
    if note.len() > NOTE_MAX_LEN {
        return Err(StoreError::NoteTooLong {
            len: note.len(),
            limit: NOTE_MAX_LEN,
        });
    }
    Ok(())
}

fn read_note(ledger: &File, version: u64, place: NotePlace) -> io::Result<Note> {
    Ok(Note {
        version,
        digest: place.digest,
        note: read_bytes(ledger, place)?,
    })
}

fn read_bytes(ledger: &File, place: NotePlace) -> io::Result<Vec<u8>> {
    let mut note = vec![0; place.len as usize];
    ledger.read_exact_at(&mut note, place.offset)?;
    Ok(note)
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
