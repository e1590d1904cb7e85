//! The log: its tree as far as checkpoints prove it, and what bundles say of it that waits for proof.
//!
//! A bundle's leaves and its checkpoint are one *claim*. The tree grows by a claim as a whole, when the leaves lead from the
//! tree that is proven to the checkpoint's root, or it does not grow. So no leaf that is not proven ever stands in the way
//! of one that is, and the order in which bundles come does not matter.

use marram_crypto::{
    day::Day,
    digest::Digest,
    leaf::Leaf,
    tree::{Head, Tree},
};
use rusqlite::{OptionalExtension as _, Row, params};

use super::{Casebook, CasebookError, Changes, Result, signed, unsigned};

/// Leaves from one mark of the tree to the next.
const MARK_EVERY: u64 = 4096;
/// The largest index that fits into a column.
const MAX_INDEX: u64 = i64::MAX as u64;

/// A leaf in the casebook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownLeaf {
    /// Its place in the log, from 0.
    pub index: u64,
    /// What the log says.
    pub leaf: Leaf,
}

/// A leaf that is proven.
#[derive(Clone, Copy, Debug)]
pub struct ProvenLeaf {
    /// Place and contents.
    pub known: KnownLeaf,
    /// The day of the first checkpoint under which a bundle showed it.
    pub seen: Day,
}

/// What one bundle said of the log.
#[derive(Clone, Debug)]
pub struct Claim {
    /// Its row.
    pub id: i64,
    /// Index of its first leaf.
    pub first: u64,
    /// How many leaves it has.
    pub count: u64,
    /// The checkpoint's note; empty if there was none.
    pub note: Vec<u8>,
}

/// What comes of building the tree up to a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Built {
    /// A leaf is missing: the index of the first.
    Gap(u64),
    /// The tree up to there.
    Tree(Grown),
}

/// A tree that was built of leaves that are not proven yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grown {
    /// Its edge.
    pub tree: Tree,
    /// Its edges on the way that are to be marks.
    marks: Vec<Tree>,
}

const LEAF: &str = "idx, digest, epoch, day, log2_size";

/// Whether so many leaves from this index on have places in a casebook.
pub const fn have_places(from: u64, count: u64) -> bool {
    matches!(from.checked_add(count), Some(end) if end <= MAX_INDEX)
}

impl Casebook {
    /// The tree as far as it is proven.
    ///
    /// # Errors
    /// [`CasebookError`]; so for all here.
    pub fn tree(&self) -> Result<Tree> {
        tree(&self.db, None)
    }

    /// The root at this size, if the tree reaches that far and does not begin behind it.
    ///
    /// # Errors
    /// [`CasebookError`].
    pub fn root_at(&self, size: u64) -> Result<Option<Digest>> {
        Ok(tree_at(&self.db, size)?.map(|tree| tree.root()))
    }

    /// The first leaf with this digest: a proven one, or else one that a bundle claims, which is a hint and no more.
    ///
    /// # Errors
    /// [`CasebookError`].
    pub fn find_leaf(&self, digest: Digest) -> Result<Option<KnownLeaf>> {
        for table in ["leaf", "claimed_leaf"] {
            let sql = format!("SELECT {LEAF} FROM {table} WHERE digest = ?1 ORDER BY idx LIMIT 1");
            let mut query = self.db.prepare_cached(&sql)?;
            let mut rows = query.query([digest.as_bytes()])?;
            if let Some(row) = rows.next()? {
                return known_leaf(row).map(Some);
            }
        }
        Ok(None)
    }

    /// The first proven leaf with this digest.
    ///
    /// # Errors
    /// [`CasebookError`].
    pub fn proven_leaf(&self, digest: Digest) -> Result<Option<u64>> {
        let sql = "SELECT min(idx) FROM leaf WHERE digest = ?1";
        let mut query = self.db.prepare_cached(sql)?;
        let index: Option<i64> = query.query_row([digest.as_bytes()], |row| row.get(0))?;
        index.map(unsigned).transpose()
    }

    /// Claims that a bundle brought to its end, smallest end first.
    ///
    /// # Errors
    /// [`CasebookError`].
    pub fn claims(&self) -> Result<Vec<Claim>> {
        let sql = "SELECT id, first, count, note FROM claim WHERE whole ORDER BY first + count, id";
        let mut query = self.db.prepare(sql)?;
        let mut rows = query.query([])?;
        let mut claims = Vec::new();
        while let Some(row) = rows.next()? {
            claims.push(Claim {
                id: row.get(0)?,
                first: unsigned(row.get(1)?)?,
                count: unsigned(row.get(2)?)?,
                note: row.get(3)?,
            });
        }
        Ok(claims)
    }

    /// The newest checkpoint whose signature was good: its day and size.
    ///
    /// # Errors
    /// [`CasebookError`].
    pub fn newest_checkpoint(&self) -> Result<Option<(Day, u64)>> {
        let sql = "SELECT day, size FROM head WHERE day IS NOT NULL ORDER BY day DESC, size DESC LIMIT 1";
        let found = self.db.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?)));
        found
            .optional()?
            .map(|(day, size)| Ok((super::day(day)?, unsigned(size)?)))
            .transpose()
    }

    /// The newest day on which a checkpoint was made that the proven tree covers, so that what the log had then is known
    /// here to the last leaf.
    ///
    /// # Errors
    /// [`CasebookError`].
    pub fn covered_until(&self) -> Result<Option<Day>> {
        let sql = "SELECT max(day) FROM head WHERE day IS NOT NULL AND size <= ?1";
        let size = signed(self.tree()?.size())?;
        let day: Option<u32> = self.db.query_row(sql, [size], |row| row.get(0))?;
        day.map(super::day).transpose()
    }
}

impl Changes<'_> {
    /// The tree as far as it is proven.
    ///
    /// # Errors
    /// [`CasebookError`]; so for all here.
    pub fn tree(&self) -> Result<Tree> {
        tree(&self.tx, None)
    }

    /// The root at this size, as [`Casebook::root_at`].
    ///
    /// # Errors
    /// [`CasebookError`].
    pub fn root_at(&self, size: u64) -> Result<Option<Digest>> {
        Ok(tree_at(&self.tx, size)?.map(|tree| tree.root()))
    }

    /// The proven leaf at this place.
    ///
    /// # Errors
    /// [`CasebookError`].
    pub fn leaf_at(&self, index: u64) -> Result<Option<Leaf>> {
        let sql = format!("SELECT {LEAF} FROM leaf WHERE idx = ?1");
        let mut query = self.tx.prepare_cached(&sql)?;
        let mut rows = query.query([signed(index)?])?;
        let known = rows.next()?.map(known_leaf).transpose()?;
        Ok(known.map(|known| known.leaf))
    }

    /// Begins a claim, or finds the one that an interrupted import began.
    ///
    /// # Errors
    /// [`CasebookError`].
    pub fn begin_claim(&self, first: u64, count: u64, note: &[u8]) -> Result<i64> {
        let (first, count) = (signed(first)?, signed(count)?);
        let sql = "INSERT OR IGNORE INTO claim (first, count, note) VALUES (?1, ?2, ?3)";
        self.tx.execute(sql, params![first, count, note])?;
        let sql = "SELECT id FROM claim WHERE first = ?1 AND count = ?2 AND note = ?3";
        Ok(self.tx.query_row(sql, params![first, count, note], |row| row.get(0))?)
    }

    /// Adds a leaf to a claim.
    ///
    /// # Errors
    /// [`CasebookError`].
    pub fn claim_leaf(&self, claim: i64, index: u64, leaf: &Leaf) -> Result<()> {
        let sql = "INSERT OR REPLACE INTO claimed_leaf (claim, idx, digest, epoch, day, log2_size)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        self.tx.prepare_cached(sql)?.execute(params![
            claim,
            signed(index)?,
            leaf.digest.as_bytes(),
            leaf.epoch.number(),
            leaf.day.number(),
            leaf.log2_size
        ])?;
        Ok(())
    }

    /// Notes that its bundle was imported to the end.
    ///
    /// # Errors
    /// [`CasebookError`].
    pub fn end_claim(&self, claim: i64) -> Result<()> {
        self.tx.execute("UPDATE claim SET whole = 1 WHERE id = ?1", [claim])?;
        Ok(())
    }

    /// Forgets a claim that was proven, or refuted.
    ///
    /// # Errors
    /// [`CasebookError`].
    pub fn drop_claim(&self, claim: i64) -> Result<()> {
        self.tx.execute("DELETE FROM claim WHERE id = ?1", [claim])?;
        Ok(())
    }

    /// The first place at which a claim contradicts the proven tree.
    ///
    /// # Errors
    /// [`CasebookError`].
    pub fn contradiction(&self, claim: i64) -> Result<Option<u64>> {
        let sql = "SELECT min(mine.idx) FROM claimed_leaf AS mine JOIN leaf USING (idx) WHERE mine.claim = ?1
                   AND (mine.digest, mine.epoch, mine.day, mine.log2_size)
                       <> (leaf.digest, leaf.epoch, leaf.day, leaf.log2_size)";
        let first: Option<i64> = self.tx.query_row(sql, [claim], |row| row.get(0))?;
        first.map(unsigned).transpose()
    }

    /// Builds the tree up to `size` from `start`, or from the proven tree's end: with the claim's leaves, else proven ones,
    /// else those that any other claim has.
    ///
    /// # Errors
    /// [`CasebookError`].
    pub fn build(&self, claim: i64, start: Option<u64>, size: u64) -> Result<Built> {
        let mut tree = match start {
            Some(start) => match tree_at(&self.tx, start)? {
                Some(tree) => tree,
                None => return Ok(Built::Gap(start)),
            },
            None => tree(&self.tx, None)?,
        };
        let mut marks = Vec::new();
        let missing = self.leaves(claim, tree.size(), size, |known| {
            tree.push(&known.leaf);
            if tree.size().is_multiple_of(MARK_EVERY) {
                marks.push(tree.clone());
            }
            Ok(())
        })?;
        Ok(match missing {
            Some(missing) => Built::Gap(missing),
            None => Built::Tree(Grown { tree, marks }),
        })
    }

    /// The proven tree grows to this one, which was built of the same claim.
    ///
    /// # Errors
    /// [`CasebookError`].
    pub fn grow(&self, claim: i64, grown: &Grown, seen: Day) -> Result<()> {
        let proven = self.tree()?.size();
        let sql = "INSERT INTO leaf (idx, digest, epoch, day, log2_size, seen) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        let mut insert = self.tx.prepare_cached(sql)?;
        self.leaves(claim, proven, grown.tree.size(), |KnownLeaf { index, leaf }| {
            insert.execute(params![
                signed(index)?,
                leaf.digest.as_bytes(),
                leaf.epoch.number(),
                leaf.day.number(),
                leaf.log2_size,
                seen.number()
            ])?;
            Ok(())
        })?;
        for mark in &grown.marks {
            self.add_mark(mark)?;
        }
        self.add_mark(&grown.tree)?;
        // What was the end is a mark no more, unless it is one of those that stay, or the first.
        if !proven.is_multiple_of(MARK_EVERY) {
            let sql = "DELETE FROM mark WHERE size = ?1 AND size > (SELECT min(size) FROM mark)";
            self.tx.execute(sql, [signed(proven)?])?;
        }
        Ok(())
    }

    /// The leaves of which a tree is built, from `from` up to `to`. Ends at the first that is missing, and gives its index.
    fn leaves(
        &self,
        claim: i64,
        from: u64,
        to: u64,
        mut each: impl FnMut(KnownLeaf) -> Result<()>,
    ) -> Result<Option<u64>> {
        let sql = format!("SELECT {LEAF} FROM claimed_leaf WHERE claim = ?1 AND idx >= ?2 ORDER BY idx");
        let mut own = self.tx.prepare(&sql)?;
        let mut own = own.query(params![claim, signed(from)?])?;
        let mut next = own.next()?.map(known_leaf).transpose()?;
        for index in from..to {
            let known = match next.filter(|next| next.index == index) {
                Some(known) => {
                    next = own.next()?.map(known_leaf).transpose()?;
                    Some(known)
                }
                None => match self.leaf_at(index)? {
                    Some(leaf) => Some(KnownLeaf { index, leaf }),
                    None => self.claimed_by_any(index)?,
                },
            };
            let Some(known) = known else { return Ok(Some(index)) };
            each(known)?;
        }
        Ok(None)
    }

    /// Keeps the edge of a tree.
    ///
    /// # Errors
    /// [`CasebookError`].
    pub fn add_mark(&self, tree: &Tree) -> Result<()> {
        let peaks: Vec<u8> = tree.peaks().iter().flat_map(|peak| *peak.as_bytes()).collect();
        let sql = "INSERT OR IGNORE INTO mark (size, peaks) VALUES (?1, ?2)";
        self.tx
            .prepare_cached(sql)?
            .execute(params![signed(tree.size())?, peaks])?;
        Ok(())
    }

    /// Notes that a checkpoint of `day` showed proven leaves. Which of them had no body is judged by the first such day.
    ///
    /// # Errors
    /// [`CasebookError`].
    pub fn show_leaves(&self, from: u64, to: u64, day: Day) -> Result<()> {
        let sql = "UPDATE leaf SET seen = ?3,
                        class = CASE WHEN class IN ('deleted_unopened', 'expired_unopened') THEN NULL ELSE class END
                   WHERE idx >= ?1 AND idx < ?2 AND seen > ?3";
        self.tx
            .execute(sql, params![signed(from)?, signed(to)?, day.number()])?;
        Ok(())
    }

    /// Keeps what somebody signed of the log. Gives another root at the same size, and who signed that, if there is one.
    ///
    /// # Errors
    /// [`CasebookError`].
    pub fn add_head(&self, head: Head, source: &str, day: Option<Day>) -> Result<Option<(Digest, String)>> {
        let (size, root) = (signed(head.size)?, head.root.as_bytes());
        let sql = "INSERT OR IGNORE INTO head (size, root, source, day) VALUES (?1, ?2, ?3, ?4)";
        self.tx
            .execute(sql, params![size, root, source, day.map(Day::number)])?;
        let sql = "SELECT root, source FROM head WHERE size = ?1 AND root <> ?2 LIMIT 1";
        let other = self
            .tx
            .query_row(sql, params![size, root], |row| Ok((row.get(0)?, row.get(1)?)));
        Ok(other
            .optional()?
            .map(|(root, source)| (Digest::from_bytes(root), source)))
    }

    /// A checkpoint with which one of this day and size cannot stand: the log was larger before, or smaller after. Day
    /// and size of the other.
    ///
    /// # Errors
    /// [`CasebookError`].
    pub fn rolled_back(&self, day: Day, size: u64) -> Result<Option<(Day, u64)>> {
        let sql = "SELECT day, size FROM head WHERE day < ?1 AND size > ?2
                   UNION ALL SELECT day, size FROM head WHERE day > ?1 AND size < ?2 ORDER BY day, size LIMIT 1";
        let other = self.tx.query_row(sql, params![day.number(), signed(size)?], |row| {
            Ok((row.get(0)?, row.get(1)?))
        });
        other
            .optional()?
            .map(|(day, size)| Ok((super::day(day)?, unsigned(size)?)))
            .transpose()
    }

    /// Heads that the tree has reached since they came, with who signed each; they count as compared from now on.
    ///
    /// # Errors
    /// [`CasebookError`].
    pub fn heads_reached(&self, size: u64) -> Result<Vec<(Head, String)>> {
        let size = signed(size)?;
        let sql = "SELECT size, root, source FROM head WHERE checked = 0 AND size <= ?1 ORDER BY size";
        let mut query = self.tx.prepare(sql)?;
        let rows = query.query_map([size], |row| Ok((row.get::<_, i64>(0)?, row.get(1)?, row.get(2)?)))?;
        let heads = rows.map(|row| {
            let (size, root, source) = row?;
            let root = Digest::from_bytes(root);
            Ok((
                Head {
                    size: unsigned(size)?,
                    root,
                },
                source,
            ))
        });
        let heads = heads.collect::<Result<_>>()?;
        self.tx
            .execute("UPDATE head SET checked = 1 WHERE checked = 0 AND size <= ?1", [size])?;
        Ok(heads)
    }

    fn claimed_by_any(&self, index: u64) -> Result<Option<KnownLeaf>> {
        let sql = format!(
            "SELECT {LEAF} FROM claimed_leaf WHERE idx = ?1
             AND claim IN (SELECT id FROM claim WHERE first <= ?1 AND first + count > ?1) ORDER BY claim LIMIT 1"
        );
        let mut query = self.tx.prepare_cached(&sql)?;
        let mut rows = query.query([signed(index)?])?;
        rows.next()?.map(known_leaf).transpose()
    }
}

/// The last mark, or the last that is no larger than `at`. Without any mark, the empty tree.
fn tree(db: &rusqlite::Connection, at: Option<u64>) -> Result<Tree> {
    let sql = "SELECT size, peaks FROM mark WHERE size <= ?1 ORDER BY size DESC LIMIT 1";
    let at = at.map_or(Ok(i64::MAX), signed)?;
    let mut query = db.prepare_cached(sql)?;
    let found: Option<(i64, Vec<u8>)> = query.query_row([at], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    let Some((size, peaks)) = found else {
        return Ok(Tree::new());
    };
    let (peaks, []) = peaks.as_chunks::<{ Digest::LEN }>() else {
        return Err(CasebookError::Damaged("a mark of the log's tree has an odd length"));
    };
    Tree::from_parts(unsigned(size)?, peaks.iter().copied().map(Digest::from_bytes).collect())
        .map_err(|_| CasebookError::Damaged("a mark of the log's tree does not go with its size"))
}

fn tree_at(db: &rusqlite::Connection, size: u64) -> Result<Option<Tree>> {
    // A newcomer's tree begins with a colleague's mark, and has no leaves before it: then this ends short of `size`.
    if size > tree(db, None)?.size() {
        return Ok(None);
    }
    let mut tree = tree(db, Some(size))?;
    let sql = format!("SELECT {LEAF} FROM leaf WHERE idx >= ?1 AND idx < ?2 ORDER BY idx");
    let mut query = db.prepare_cached(&sql)?;
    let mut rows = query.query(params![signed(tree.size())?, signed(size)?])?;
    while let Some(row) = rows.next()? {
        tree.push(&known_leaf(row)?.leaf);
    }
    Ok(Some(tree).filter(|tree| tree.size() == size))
}

pub(super) fn known_leaf(row: &Row<'_>) -> Result<KnownLeaf> {
    Ok(KnownLeaf {
        index: unsigned(row.get(0)?)?,
        leaf: Leaf {
            digest: Digest::from_bytes(row.get(1)?),
            epoch: super::epoch(row.get(2)?)?,
            day: super::day(row.get(3)?)?,
            log2_size: row.get(4)?,
        },
    })
}

#[cfg(test)]
mod tests {
    use marram_crypto::{day::Epoch, secret::SecretBytes};

    use super::*;

    #[test]
    fn the_root_of_every_size_is_known_and_marks_make_it_cheap() {
        let folder = tempfile::tempdir().unwrap();
        let mut casebook = Casebook::create(&folder.path().join("casebook"), &SecretBytes::from([7; 32])).unwrap();
        let epoch = Epoch::from_number(2951).unwrap();
        let leaf = |index: u64| Leaf {
            digest: Digest::of(&index.to_be_bytes()),
            epoch,
            day: epoch.opens(),
            log2_size: 15,
        };
        let sizes = [
            1,
            MARK_EVERY - 1,
            MARK_EVERY,
            MARK_EVERY + 1,
            5000,
            2 * MARK_EVERY,
            8999,
            9000,
        ];
        for (first, end) in [(0, 5000), (5000, 9000)] {
            let changes = casebook.change().unwrap();
            let claim = changes.begin_claim(first, end - first, b"").unwrap();
            for index in first..end {
                changes.claim_leaf(claim, index, &leaf(index)).unwrap();
            }
            let Built::Tree(grown) = changes.build(claim, None, end).unwrap() else {
                panic!("no leaf is missing")
            };
            assert_eq!(changes.build(claim, None, end + 1).unwrap(), Built::Gap(end));
            changes.grow(claim, &grown, epoch.opens()).unwrap();
            changes.drop_claim(claim).unwrap();
            changes.commit().unwrap();
            for size in sizes {
                let root = (0..size).map(leaf).collect::<Vec<_>>().iter().collect::<Tree>().root();
                assert_eq!(
                    casebook.root_at(size).unwrap(),
                    Some(root).filter(|_| size <= end),
                    "{size} of {end}"
                );
            }
        }
        let mut marks = casebook.db.prepare("SELECT size FROM mark ORDER BY size").unwrap();
        let marks = marks.query_map([], |row| row.get(0)).unwrap();
        let marks = marks.collect::<std::result::Result<Vec<i64>, _>>().unwrap();
        let expected = [MARK_EVERY, 2 * MARK_EVERY, 9000].map(|size| signed(size).unwrap());
        assert_eq!(marks, expected);
    }
}
