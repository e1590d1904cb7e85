//! Bundles: what a courier carries in to the offline computers. A strict ustar archive, in this order:
//!
//! ```text
//! charter                       the charter chain
//! checkpoint                    of a tree that has the leaves
//! leaves                        "marram/leaves/v1\n" instance "\n" index of the first "\n", then leaves of 41 bytes each
//! manifests/<epoch>-<version>   signed notes
//! orders/<index>                orders' notes, as the server accepted them
//! canaries/<name>               receipts of what the courier itself sent
//! reports/<64 hex>.age          ciphertexts, named by their SHA-256
//! zeros to the end
//! ```
//!
//! A bundle is not signed and nothing in it is believed for being in it: charters and manifests are verified by their
//! signatures, ciphertexts by their names and by what is inside, leaves by the checkpoint. Reading streams, and holds one
//! small entry in memory at a time.

use std::io::{self, Read, Write};

use crate::{
    day::Epoch,
    digest::Digest,
    instance::InstanceId,
    leaf::{Leaf, LeafError},
    payload::read_full,
    ustar::{self, BLOCK, Entry, UstarError},
};

/// A charter chain or manifest in a bundle has at most this many bytes.
pub const MAX_NOTE_LEN: u64 = 64 * 1_000_000;

const LEAVES_TYPE: &str = "marram/leaves/v1";
const CHARTER: &str = "charter";
const CHECKPOINT: &str = "checkpoint";
const LEAVES: &str = "leaves";
const MANIFESTS: &str = "manifests/";
const ORDERS: &str = "orders/";
const CANARIES: &str = "canaries/";
const REPORTS: &str = "reports/";

/// Writes a bundle. Entries must come in the order drawn above.
#[derive(Debug)]
pub struct BundleWriter<W: Write> {
    output: W,
    place: u8,
}

/// Reads a bundle, entry by entry.
#[derive(Debug)]
pub struct BundleReader<R: Read> {
    input: R,
    place: u8,
    /// Bytes of the current entry's contents that were not read yet, and of its padding.
    unread: u64,
    padding: u64,
    ended: bool,
}

/// One entry of a bundle. Nothing in it is verified.
pub enum BundleEntry<'a, R: Read> {
    /// The charter chain.
    Charter(Vec<u8>),
    /// Leaves in the order of the log.
    Leaves {
        /// The instance that the courier says they belong to.
        instance: InstanceId,
        /// Index of the first leaf in the log.
        from: u64,
        /// How many follow.
        count: u64,
        /// The leaves.
        leaves: Leaves<'a, R>,
    },
    /// A checkpoint.
    Checkpoint(Vec<u8>),
    /// A manifest.
    Manifest(Vec<u8>),
    /// An order that the server accepted.
    Order {
        /// Under which index.
        index: u64,
        /// The note.
        note: Vec<u8>,
    },
    /// The receipt of a report that the courier itself sent.
    Canary {
        /// What the courier calls it: 1 to 40 letters, digits, `-` and `_`.
        name: String,
        /// The receipt.
        receipt: Vec<u8>,
    },
    /// A ciphertext.
    Report {
        /// SHA-256 that it is named by.
        digest: Digest,
        /// Its length in bytes.
        size: u64,
        /// Its bytes. What is not read is passed over.
        content: Content<'a, R>,
    },
}

/// What was wrong with a bundle.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// With the archive.
    #[error("damaged bundle: {0}")]
    Archive(#[from] UstarError),
    /// The header of the leaves.
    #[error("damaged bundle: its leaves do not begin with their type, instance and index")]
    Leaves,
    /// A leaf.
    #[error("damaged bundle: {0}")]
    Leaf(#[from] LeafError),
    /// Reading or writing failed.
    #[error("the bundle could not be read or written")]
    Io(#[from] io::Error),
}

impl<W: Write> BundleWriter<W> {
    /// Begins a bundle.
    pub const fn new(output: W) -> Self {
        Self { output, place: 0 }
    }

    /// The charter chain.
    ///
    /// # Errors
    /// Of writing; [`UstarError::Unexpected`] out of order. So for all entries.
    pub fn charter(&mut self, chain: &[u8]) -> Result<(), BundleError> {
        self.entry(CHARTER.to_owned(), chain.len() as u64, chain)
    }

    /// A checkpoint of a tree that has the leaves.
    ///
    /// # Errors
    /// As for the charter.
    pub fn checkpoint(&mut self, note: &[u8]) -> Result<(), BundleError> {
        self.entry(CHECKPOINT.to_owned(), note.len() as u64, note)
    }

    /// Leaves, of which the first has index `from`.
    ///
    /// # Errors
    /// As for the charter.
    pub fn leaves(&mut self, instance: InstanceId, from: u64, leaves: &[Leaf]) -> Result<(), BundleError> {
        let mut bytes = format!("{LEAVES_TYPE}\n{instance}\n{from}\n").into_bytes();
        bytes.extend(leaves.iter().flat_map(Leaf::to_bytes));
        self.entry(LEAVES.to_owned(), bytes.len() as u64, bytes.as_slice())
    }

    /// A manifest's note.
    ///
    /// # Errors
    /// As for the charter.
    pub fn manifest(&mut self, epoch: Epoch, version: u32, note: &[u8]) -> Result<(), BundleError> {
        self.entry(format!("{MANIFESTS}{epoch}-{version}"), note.len() as u64, note)
    }

    /// An order that the server accepted under this index.
    ///
    /// # Errors
    /// As for the charter.
    pub fn order(&mut self, index: u64, note: &[u8]) -> Result<(), BundleError> {
        self.entry(format!("{ORDERS}{index}"), note.len() as u64, note)
    }

    /// The receipt of a report that the courier itself sent, and what it calls it.
    ///
    /// # Errors
    /// As for the charter.
    pub fn canary(&mut self, name: &str, receipt: &[u8]) -> Result<(), BundleError> {
        self.entry(format!("{CANARIES}{name}"), receipt.len() as u64, receipt)
    }

    /// A ciphertext of `size` bytes.
    ///
    /// # Errors
    /// As for the charter; `UnexpectedEof` if `content` ends before `size` bytes.
    pub fn report(&mut self, digest: Digest, size: u64, content: impl Read) -> Result<(), BundleError> {
        self.entry(format!("{REPORTS}{digest}.age"), size, content)
    }

    /// Ends the bundle.
    ///
    /// # Errors
    /// Of writing.
    pub fn finish(mut self) -> Result<W, BundleError> {
        self.output.write_all(&[0; 2 * BLOCK])?;
        self.output.flush()?;
        Ok(self.output)
    }

    fn entry(&mut self, path: String, size: u64, content: impl Read) -> Result<(), BundleError> {
        let entry = Entry { path, size };
        self.place = next_place(self.place, &entry.path)?;
        self.output.write_all(&entry.header()?)?;
        if io::copy(&mut content.take(size), &mut self.output)? < size {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        #[expect(clippy::cast_possible_truncation, reason = "less than a block")]
        self.output.write_all(&[0; BLOCK][..entry.padding() as usize])?;
        Ok(())
    }
}

impl<R: Read> BundleReader<R> {
    /// Begins to read.
    pub const fn new(input: R) -> Self {
        Self {
            input,
            place: 0,
            unread: 0,
            padding: 0,
            ended: false,
        }
    }

    /// The next entry; `None` at the end.
    ///
    /// # Errors
    /// [`BundleError`].
    pub fn next_entry(&mut self) -> Result<Option<BundleEntry<'_, R>>, BundleError> {
        if self.ended {
            return Ok(None);
        }
        self.pass_over()?;
        let mut block = [0; BLOCK];
        if read_full(&mut self.input, &mut block)? < BLOCK {
            return Err(UstarError::NoEnd.into());
        }
        let Some(entry) = Entry::parse(&block)? else {
            self.end()?;
            return Ok(None);
        };
        self.place = next_place(self.place, &entry.path)?;
        self.unread = entry.size;
        self.padding = entry.padding();
        if entry.path == CHARTER {
            return self.small(&entry).map(BundleEntry::Charter).map(Some);
        }
        if entry.path == LEAVES {
            return self.begin_leaves().map(Some);
        }
        if let Some(name) = entry.path.strip_prefix(REPORTS) {
            let digest = name.strip_suffix(".age").and_then(|name| name.parse().ok());
            return Ok(Some(BundleEntry::Report {
                digest: digest.ok_or(UstarError::Unexpected(entry.path))?,
                size: entry.size,
                content: Content(self),
            }));
        }
        let contents = self.small(&entry)?;
        Ok(Some(if entry.path == CHECKPOINT {
            BundleEntry::Checkpoint(contents)
        } else if let Some(index) = entry.path.strip_prefix(ORDERS).and_then(order_index) {
            BundleEntry::Order { index, note: contents }
        } else if let Some(name) = entry.path.strip_prefix(CANARIES) {
            BundleEntry::Canary {
                name: name.to_owned(),
                receipt: contents,
            }
        } else {
            BundleEntry::Manifest(contents)
        }))
    }

    fn small(&mut self, entry: &Entry) -> Result<Vec<u8>, BundleError> {
        if entry.size > MAX_NOTE_LEN {
            return Err(UstarError::TooLarge {
                path: entry.path.clone(),
                size: entry.size,
                limit: MAX_NOTE_LEN,
            }
            .into());
        }
        let mut bytes = Vec::new();
        Content(self).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn begin_leaves(&mut self) -> Result<BundleEntry<'_, R>, BundleError> {
        let mut line = || -> Result<String, BundleError> {
            let mut text = String::new();
            let mut byte = [0];
            while text.len() <= 64 {
                if Content(self).read(&mut byte)? == 0 {
                    break;
                }
                if byte == *b"\n" {
                    return Ok(text);
                }
                text.push(char::from(byte[0]));
            }
            Err(BundleError::Leaves)
        };
        if line()? != LEAVES_TYPE {
            return Err(BundleError::Leaves);
        }
        let instance = line()?.parse().map_err(|_| BundleError::Leaves)?;
        let text = line()?;
        let from: u64 = text.parse().map_err(|_| BundleError::Leaves)?;
        if from.to_string() != text {
            return Err(BundleError::Leaves);
        }
        if !self.unread.is_multiple_of(Leaf::LEN as u64) {
            return Err(BundleError::Leaves);
        }
        Ok(BundleEntry::Leaves {
            instance,
            from,
            count: self.unread / Leaf::LEN as u64,
            leaves: Leaves(io::BufReader::new(Content(self))),
        })
    }

    /// Reads past what is left of the current entry.
    fn pass_over(&mut self) -> Result<(), BundleError> {
        io::copy(&mut Content(self), &mut io::sink())?;
        let mut padding = [0; BLOCK];
        #[expect(clippy::cast_possible_truncation, reason = "less than a block")]
        let padding = &mut padding[..self.padding as usize];
        self.input.read_exact(padding)?;
        self.padding = 0;
        if padding.iter().any(|byte| *byte != 0) {
            return Err(UstarError::Padding("an entry".to_owned()).into());
        }
        Ok(())
    }

    fn end(&mut self) -> Result<(), BundleError> {
        self.ended = true;
        let mut rest = [0; BLOCK];
        let mut zeros = BLOCK as u64;
        loop {
            let got = read_full(&mut self.input, &mut rest)?;
            if rest[..got].iter().any(|byte| *byte != 0) {
                return Err(UstarError::Fill.into());
            }
            zeros += got as u64;
            if got < BLOCK {
                return if zeros < ustar::END {
                    Err(UstarError::NoEnd.into())
                } else {
                    Ok(())
                };
            }
        }
    }
}

/// The bytes of a ciphertext in a bundle.
pub struct Content<'a, R: Read>(&'a mut BundleReader<R>);

impl<R: Read> Read for Content<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let want = usize::try_from(self.0.unread).map_or(buffer.len(), |unread| unread.min(buffer.len()));
        if want == 0 {
            return Ok(0);
        }
        let got = self.0.input.read(&mut buffer[..want])?;
        if got == 0 {
            // The archive ends within the entry.
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.0.unread -= got as u64;
        Ok(got)
    }
}

/// The leaves of a bundle, in the order of the log.
pub struct Leaves<'a, R: Read>(io::BufReader<Content<'a, R>>);

impl<R: Read> Iterator for Leaves<'_, R> {
    type Item = Result<Leaf, BundleError>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut bytes = [0; Leaf::LEN];
        match read_full(&mut self.0, &mut bytes) {
            Ok(0) => None,
            Ok(got) => Some(Leaf::from_bytes(&bytes[..got]).map_err(Into::into)),
            Err(error) => Some(Err(error.into())),
        }
    }
}

impl<R: Read> std::fmt::Debug for BundleEntry<'_, R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Charter(bytes) => write!(f, "Charter({} bytes)", bytes.len()),
            Self::Leaves { from, count, .. } => write!(f, "Leaves({count} from {from})"),
            Self::Checkpoint(bytes) => write!(f, "Checkpoint({} bytes)", bytes.len()),
            Self::Order { index, note } => write!(f, "Order({index}, {} bytes)", note.len()),
            Self::Canary { name, .. } => write!(f, "Canary({name})"),
            Self::Manifest(bytes) => write!(f, "Manifest({} bytes)", bytes.len()),
            Self::Report { digest, size, .. } => write!(f, "Report({digest}, {size} bytes)"),
        }
    }
}

impl<R: Read> std::fmt::Debug for Content<'_, R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Content({} bytes left)", self.0.unread)
    }
}

impl<R: Read> std::fmt::Debug for Leaves<'_, R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Leaves")
    }
}

/// `<epoch>-<version>`
fn is_manifest_name(name: &str) -> bool {
    let version = |text: &str| text.parse::<u32>().is_ok_and(|version| version.to_string() == text);
    name.split_once('-')
        .is_some_and(|(epoch, rest)| epoch.parse::<Epoch>().is_ok() && version(rest))
}

fn order_index(name: &str) -> Option<u64> {
    name.parse().ok().filter(|index: &u64| index.to_string() == name)
}

fn is_canary_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    (1..=40).contains(&name.len()) && name.bytes().all(allowed)
}

/// The place of an entry in the order drawn above. Charter, checkpoint and leaves stand once, the others as often as needed.
fn next_place(last: u8, path: &str) -> Result<u8, UstarError> {
    let (place, once) = match path {
        CHARTER => (1, true),
        CHECKPOINT => (2, true),
        LEAVES => (3, true),
        _ if path.strip_prefix(MANIFESTS).is_some_and(is_manifest_name) => (4, false),
        _ if path.strip_prefix(ORDERS).and_then(order_index).is_some() => (5, false),
        _ if path.strip_prefix(CANARIES).is_some_and(is_canary_name) => (6, false),
        _ if path.starts_with(REPORTS) => (7, false),
        _ => return Err(UstarError::Unexpected(path.to_owned())),
    };
    if place > last || (place == last && !once) {
        Ok(place)
    } else if place == last {
        Err(UstarError::Duplicate(path.to_owned()))
    } else {
        Err(UstarError::Unexpected(path.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::day::Day;

    fn leaf(n: u8) -> Leaf {
        Leaf {
            digest: Digest::of(&[n]),
            epoch: Epoch::from_number(2951).unwrap(),
            day: Day::from_number(20_700).unwrap(),
            log2_size: 15,
        }
    }

    fn bundle() -> Vec<u8> {
        let mut writer = BundleWriter::new(Vec::new());
        writer.charter(b"[]").unwrap();
        writer.checkpoint(b"a checkpoint").unwrap();
        writer
            .leaves(
                "00112233445566778899aabbccddeeff".parse().unwrap(),
                7,
                &[leaf(1), leaf(2)],
            )
            .unwrap();
        writer
            .manifest(Epoch::from_number(2951).unwrap(), 1, b"a manifest")
            .unwrap();
        writer
            .manifest(Epoch::from_number(2952).unwrap(), 1, b"another")
            .unwrap();
        writer.order(0, b"an order").unwrap();
        writer.order(12, b"another order").unwrap();
        writer.canary("canary-1", b"a receipt").unwrap();
        for n in 1..=2 {
            writer.report(leaf(n).digest, 1000, [n; 1000].as_slice()).unwrap();
        }
        writer.finish().unwrap()
    }

    /// Reads everything; what it saw, as text.
    fn read(bytes: &[u8], with_contents: bool) -> Result<Vec<String>, BundleError> {
        let mut reader = BundleReader::new(bytes);
        let mut seen = Vec::new();
        while let Some(entry) = reader.next_entry()? {
            seen.push(format!("{entry:?}"));
            match entry {
                BundleEntry::Leaves { leaves, .. } if with_contents => {
                    let leaves: Result<Vec<_>, _> = leaves.collect();
                    assert_eq!(leaves?, [leaf(1), leaf(2)]);
                }
                BundleEntry::Report { mut content, .. } if with_contents => {
                    let mut bytes = Vec::new();
                    content.read_to_end(&mut bytes)?;
                    assert_eq!(bytes.len(), 1000);
                }
                _ => {}
            }
        }
        assert!(reader.next_entry()?.is_none());
        Ok(seen)
    }

    #[test]
    fn a_bundle_reads_back_whether_or_not_its_contents_are_read() {
        let seen = read(&bundle(), true).unwrap();
        assert_eq!(seen, read(&bundle(), false).unwrap());
        assert_eq!(seen.len(), 10);
        assert_eq!(seen[2], "Leaves(2 from 7)");
        assert_eq!(seen[6], "Order(12, 13 bytes)");
        assert_eq!(seen[7], "Canary(canary-1)");
    }

    #[test]
    fn every_cut_is_noticed_and_every_change_of_order_refused() {
        let bytes = bundle();
        for cut in (0..bytes.len()).step_by(97) {
            assert!(read(&bytes[..cut], true).is_err(), "cut at {cut}");
        }
        let mut writer = BundleWriter::new(Vec::new());
        writer.charter(b"[]").unwrap();
        let twice = writer.charter(b"[]").unwrap_err();
        assert!(matches!(twice, BundleError::Archive(UstarError::Duplicate(_))));
        for name in ["", "a/b", "ä", "a b", &"x".repeat(41)] {
            assert!(writer.canary(name, b"x").is_err(), "{name}");
        }
        writer.report(leaf(1).digest, 1, b"x".as_slice()).unwrap();
        let late = writer.manifest(Epoch::MAX, 1, b"x").unwrap_err();
        assert!(matches!(late, BundleError::Archive(UstarError::Unexpected(_))));
        let short = writer.report(leaf(1).digest, 2, b"x".as_slice()).unwrap_err();
        assert!(matches!(short, BundleError::Io(_)));
    }
}
