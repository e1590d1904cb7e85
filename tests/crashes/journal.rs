//! What a server did to its disk, and which disks could have been left if the power had gone after any of it.
//!
//! `disk.c` writes the journal. Of what was written and not synced, each write may be on the disk, or not, or some of
//! its sectors, or its length without its bytes (then noise stands there); and of the names that were made and unmade
//! without a sync of their folder, each may be there or not. That is harsher than any file system in use: ext4 keeps
//! the order of much of this.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    path::{Path, PathBuf},
};

/// What a disk keeps or loses as a whole.
const SECTOR: usize = 512;
const HEAD_LEN: usize = 17;

/// One thing that was done.
struct Done {
    what: What,
    path: PathBuf,
    /// Length of the journal when it had been written down.
    at: u64,
}

enum What {
    Create,
    Write(u64, Vec<u8>),
    Truncate(u64),
    SyncBegins(u64),
    SyncEnds(u64),
    Rename(PathBuf),
    MakeFolder,
    Remove,
}

/// All that was done, and what stood there before.
pub(crate) struct Journal {
    before: BTreeMap<PathBuf, Option<Vec<u8>>>,
    done: Vec<Done>,
}

/// The disk while the journal is read.
struct Disk {
    files: Vec<File>,
    /// What stands under a name, for the program that runs.
    names: HashMap<PathBuf, Node>,
    /// What stands there for certain, whatever happens.
    certain: BTreeMap<PathBuf, Node>,
    /// What was done to names since.
    uncertain: Vec<(u64, Renaming)>,
    /// Syncs under way, by thread: since when.
    syncing: HashMap<u64, u64>,
}

#[derive(Default)]
struct File {
    certain: Vec<u8>,
    uncertain: Vec<(u64, Change)>,
}

#[derive(Clone)]
enum Change {
    Write(u64, Vec<u8>),
    Truncate(u64),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Node {
    Folder,
    File(usize),
}

enum Renaming {
    Add(PathBuf, Node),
    Remove(PathBuf),
    Move(PathBuf, PathBuf, Node),
}

/// What happens to what is uncertain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Luck {
    AllStays,
    AllGoes,
    Random,
}

impl Journal {
    /// Remembers what stands below a folder now, before the program starts.
    pub(crate) fn begin(below: &Path) -> Self {
        let mut before = BTreeMap::new();
        take_in(below, &mut before);
        Self {
            before,
            done: Vec::new(),
        }
    }

    /// Reads what `disk.c` wrote down.
    pub(crate) fn read(&mut self, journal: &Path) {
        let bytes = fs::read(journal).unwrap();
        let number = |at: usize, len: usize| {
            let bytes = &bytes[at..at + len];
            bytes
                .iter()
                .rev()
                .fold(0, |number, byte| number << 8 | u64::from(*byte))
        };
        let mut at = 0;
        while at < bytes.len() {
            let (kind, amount) = (bytes[at], number(at + 1, 8));
            let (path_len, data_len) = (number(at + 9, 4) as usize, number(at + 13, 4) as usize);
            let text = |at: usize, len: usize| PathBuf::from(std::str::from_utf8(&bytes[at..at + len]).unwrap());
            let path = text(at + HEAD_LEN, path_len);
            let data_at = at + HEAD_LEN + path_len;
            at = data_at + data_len;
            let what = match kind {
                b'c' => What::Create,
                b'w' => What::Write(amount, bytes[data_at..at].to_vec()),
                b't' => What::Truncate(amount),
                b'b' => What::SyncBegins(amount),
                b'e' => What::SyncEnds(amount),
                b'r' => What::Rename(text(data_at, data_len)),
                b'm' => What::MakeFolder,
                b'u' => What::Remove,
                other => panic!("{other}"),
            };
            self.done.push(Done {
                what,
                path,
                at: at as u64,
            });
        }
    }

    /// How many things were done.
    pub(crate) fn len(&self) -> usize {
        self.done.len()
    }

    /// Writes to `target` a disk as it could be found if the power had gone after the first `count` things. Returns how
    /// long the journal was then.
    pub(crate) fn cut(&self, count: usize, luck: Luck, below: &Path, target: &Path) -> u64 {
        let mut disk = Disk::of(&self.before);
        for (done, now) in self.done[..count].iter().zip(0..) {
            disk.apply(done, now);
        }
        disk.leave(luck, below, target);
        self.done[..count].last().map_or(0, |done| done.at)
    }
}

impl Disk {
    fn of(before: &BTreeMap<PathBuf, Option<Vec<u8>>>) -> Self {
        let mut files = Vec::new();
        let mut certain = BTreeMap::new();
        for (path, content) in before {
            let node = content.as_ref().map_or(Node::Folder, |content| {
                files.push(File {
                    certain: content.clone(),
                    ..File::default()
                });
                Node::File(files.len() - 1)
            });
            certain.insert(path.clone(), node);
        }
        Self {
            files,
            names: certain.iter().map(|(path, node)| (path.clone(), *node)).collect(),
            certain,
            uncertain: Vec::new(),
            syncing: HashMap::new(),
        }
    }

    fn apply(&mut self, done: &Done, now: u64) {
        let path = &done.path;
        let known = self.names.get(path).copied();
        match &done.what {
            What::Create => {
                self.files.push(File::default());
                self.add(path, Node::File(self.files.len() - 1), now);
            }
            What::MakeFolder => self.add(path, Node::Folder, now),
            What::Remove => {
                self.names.remove(path);
                self.uncertain.push((now, Renaming::Remove(path.clone())));
            }
            What::Rename(to) => {
                let node = self.names.remove(path).unwrap();
                self.names.insert(to.clone(), node);
                self.uncertain
                    .push((now, Renaming::Move(path.clone(), to.clone(), node)));
            }
            // A file that has lost its name is lost with a power cut anyway.
            What::Write(at, bytes) => self.change(known, now, Change::Write(*at, bytes.clone())),
            What::Truncate(len) => self.change(known, now, Change::Truncate(*len)),
            What::SyncBegins(thread) => {
                self.syncing.insert(*thread, now);
            }
            What::SyncEnds(thread) => {
                let since = self.syncing.remove(thread).unwrap();
                match known {
                    Some(Node::File(file)) => self.files[file].sync(since),
                    Some(Node::Folder) => self.sync_names(path, since),
                    None => {}
                }
            }
        }
    }

    fn add(&mut self, path: &Path, node: Node, now: u64) {
        self.names.insert(path.to_owned(), node);
        self.uncertain.push((now, Renaming::Add(path.to_owned(), node)));
    }

    fn change(&mut self, node: Option<Node>, now: u64, change: Change) {
        if let Some(Node::File(file)) = node {
            self.files[file].uncertain.push((now, change));
        }
    }

    fn sync_names(&mut self, folder: &Path, since: u64) {
        let (certain, uncertain) = std::mem::take(&mut self.uncertain)
            .into_iter()
            .partition::<Vec<_>, _>(|(when, renaming)| *when < since && renaming.folder() == folder);
        self.uncertain = uncertain;
        for (_, renaming) in certain {
            renaming.apply(&mut self.certain);
        }
    }

    fn leave(self, luck: Luck, below: &Path, target: &Path) {
        let mut names = self.certain;
        for (_, renaming) in &self.uncertain {
            if luck.stays() {
                renaming.apply(&mut names);
            }
        }
        // Sorted: folders come before what is in them.
        for (path, node) in names {
            let path = target.join(path.strip_prefix(below).unwrap());
            match node {
                Node::Folder => fs::create_dir_all(path).unwrap(),
                // In a folder whose own name was lost.
                Node::File(_) if !path.parent().unwrap().is_dir() => {}
                Node::File(file) => fs::write(path, self.files[file].left(luck)).unwrap(),
            }
        }
    }
}

impl File {
    fn sync(&mut self, since: u64) {
        let (certain, uncertain) = std::mem::take(&mut self.uncertain)
            .into_iter()
            .partition::<Vec<_>, _>(|(when, _)| *when < since);
        self.uncertain = uncertain;
        for (_, change) in certain {
            change.apply(&mut self.certain, 0..usize::MAX);
        }
    }

    fn left(&self, luck: Luck) -> Vec<u8> {
        let mut content = self.certain.clone();
        for (_, change) in &self.uncertain {
            match (luck, crate::random_below(4)) {
                (Luck::AllGoes, _) | (Luck::Random, 0) => {}
                (Luck::AllStays, _) | (Luck::Random, 1) => change.apply(&mut content, 0..usize::MAX),
                (Luck::Random, 2) => change.apply_some_sectors(&mut content),
                // The new length, and on the disk what somebody else had once written there.
                _ => change.noise().apply(&mut content, 0..usize::MAX),
            }
        }
        content
    }
}

impl Change {
    /// Applies those of its bytes that lie in this part of the file.
    fn apply(&self, content: &mut Vec<u8>, part: std::ops::Range<usize>) {
        match self {
            Self::Write(at, bytes) => {
                let at = usize::try_from(*at).unwrap();
                let (first, end) = (at.max(part.start), (at + bytes.len()).min(part.end));
                if first < end {
                    content.resize(content.len().max(end), 0);
                    content[first..end].copy_from_slice(&bytes[first - at..end - at]);
                }
            }
            Self::Truncate(len) => content.resize(usize::try_from(*len).unwrap(), 0),
        }
    }

    fn apply_some_sectors(&self, content: &mut Vec<u8>) {
        let Self::Write(at, bytes) = self else { return };
        let at = usize::try_from(*at).unwrap();
        for sector in at / SECTOR..(at + bytes.len()).div_ceil(SECTOR) {
            if crate::random_below(2) == 0 {
                self.apply(content, sector * SECTOR..(sector + 1) * SECTOR);
            }
        }
    }

    fn noise(&self) -> Self {
        match self {
            Self::Write(at, bytes) => {
                let mut noise = vec![0; bytes.len()];
                getrandom::fill(&mut noise).unwrap();
                Self::Write(*at, noise)
            }
            truncate @ Self::Truncate(_) => truncate.clone(),
        }
    }
}

impl Renaming {
    /// In which folder it happens.
    fn folder(&self) -> &Path {
        let (Self::Add(path, _) | Self::Remove(path) | Self::Move(_, path, _)) = self;
        path.parent().unwrap()
    }

    fn apply(&self, names: &mut BTreeMap<PathBuf, Node>) {
        match self {
            Self::Add(path, node) => drop(names.insert(path.clone(), *node)),
            Self::Remove(path) => drop(names.remove(path)),
            Self::Move(from, to, node) => {
                if names.get(from) == Some(node) {
                    names.remove(from);
                }
                names.insert(to.clone(), *node);
            }
        }
    }
}

impl Luck {
    fn stays(self) -> bool {
        match self {
            Self::AllStays => true,
            Self::AllGoes => false,
            Self::Random => crate::random_below(2) == 0,
        }
    }
}

fn take_in(path: &Path, before: &mut BTreeMap<PathBuf, Option<Vec<u8>>>) {
    if path.is_dir() {
        before.insert(path.to_owned(), None);
        for entry in fs::read_dir(path).unwrap() {
            take_in(&entry.unwrap().path(), before);
        }
    } else {
        before.insert(path.to_owned(), Some(fs::read(path).unwrap()));
    }
}
