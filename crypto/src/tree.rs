//! The log's tree: RFC 6962 over the leaves, in their order, as a compact range.
//!
//! ```text
//! hash of a leaf   SHA-256(0x00 ‖ leaf (41 bytes))
//! hash of a node   SHA-256(0x01 ‖ left ‖ right)
//! root of nothing  SHA-256("")
//! ```
//!
//! A [`Tree`] keeps the roots of the perfect subtrees that its size splits into, one for each bit of the size that is
//! set, largest first: at most 64 digests, whatever the size. That is enough to append and to say the root, so that each
//! further leaf costs the same, however long the log is.

use std::{fmt, str::FromStr};

use crate::{
    digest::{Digest, Hasher},
    leaf::Leaf,
    lines::number,
};

/// A size and the root of the tree of that size: what a checkpoint promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Head {
    /// Number of leaves.
    pub size: u64,
    /// RFC 6962, section 2.1: the Merkle tree hash.
    pub root: Digest,
}

/// The right edge of the tree.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree {
    size: u64,
    /// Roots of perfect subtrees, largest first: as many as `size` has bits that are set.
    peaks: Vec<Digest>,
}

/// A number of nodes that does not go with the size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a tree of {size} leaves has {expected} nodes at its edge, and these are {found}", expected = size.count_ones())]
pub struct TreeError {
    /// The size.
    pub size: u64,
    /// Nodes that came.
    pub found: usize,
}

impl Tree {
    /// The empty tree.
    pub const fn new() -> Self {
        Self {
            size: 0,
            peaks: Vec::new(),
        }
    }

    /// A tree of which only the edge is known. Whether it is the right one, only its root can tell.
    ///
    /// # Errors
    /// [`TreeError`] unless there is one node for each bit of `size` that is set.
    pub fn from_parts(size: u64, peaks: Vec<Digest>) -> Result<Self, TreeError> {
        if peaks.len() == size.count_ones() as usize {
            Ok(Self { size, peaks })
        } else {
            Err(TreeError {
                size,
                found: peaks.len(),
            })
        }
    }

    /// Number of leaves.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The roots of the perfect subtrees, largest first.
    pub fn peaks(&self) -> &[Digest] {
        &self.peaks
    }

    /// Appends a leaf.
    pub fn push(&mut self, leaf: &Leaf) {
        let mut node = hash_leaf(leaf);
        // Each trailing bit of the old size that is set is a subtree as large as the one that just came to be.
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.peaks.pop() {
                node = hash_node(&left, &node);
            }
        }
        self.peaks.push(node);
        self.size += 1;
    }

    /// The root.
    pub fn root(&self) -> Digest {
        let mut peaks = self.peaks.iter().rev();
        let Some(last) = peaks.next() else {
            return Digest::of(b"");
        };
        peaks.fold(*last, |right, left| hash_node(left, &right))
    }

    /// Size and root.
    pub fn head(&self) -> Head {
        Head {
            size: self.size,
            root: self.root(),
        }
    }
}

impl Head {
    /// Of the empty tree.
    pub fn empty() -> Self {
        Tree::new().head()
    }
}

/// `<size> <root>`, the root as 64 hexadecimal characters.
impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.size, self.root)
    }
}

impl FromStr for Head {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (size, root) = text.split_once(' ').ok_or("a size, a space and a root")?;
        Ok(Self {
            size: number(size, 0..=u64::MAX)?,
            root: root
                .parse()
                .map_err(|error: crate::digest::DigestError| error.to_string())?,
        })
    }
}

impl<'a> FromIterator<&'a Leaf> for Tree {
    fn from_iter<I: IntoIterator<Item = &'a Leaf>>(leaves: I) -> Self {
        let mut tree = Self::new();
        for leaf in leaves {
            tree.push(leaf);
        }
        tree
    }
}

fn hash_leaf(leaf: &Leaf) -> Digest {
    let mut hasher = Hasher::new();
    hasher.update(&[0]);
    hasher.update(&leaf.to_bytes());
    hasher.finish()
}

fn hash_node(left: &Digest, right: &Digest) -> Digest {
    let mut hasher = Hasher::new();
    hasher.update(&[1]);
    hasher.update(left.as_bytes());
    hasher.update(right.as_bytes());
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::day::{Day, Epoch};

    fn leaf(n: u32) -> Leaf {
        Leaf {
            digest: Digest::of(&n.to_be_bytes()),
            epoch: Epoch::from_number(2951).unwrap(),
            day: Day::from_number(20_700).unwrap(),
            log2_size: 15,
        }
    }

    /// The definition of RFC 6962, section 2.1, word for word.
    fn merkle_tree_hash(leaves: &[Leaf]) -> Digest {
        match leaves {
            [] => Digest::of(b""),
            [one] => hash_leaf(one),
            _ => {
                let split = leaves.len().div_ceil(2).next_power_of_two();
                hash_node(&merkle_tree_hash(&leaves[..split]), &merkle_tree_hash(&leaves[split..]))
            }
        }
    }

    #[test]
    fn the_root_is_the_one_of_rfc_6962_at_every_size() {
        let leaves: Vec<_> = (0..200).map(leaf).collect();
        let mut tree = Tree::new();
        for size in 0..leaves.len() {
            assert_eq!(tree.root(), merkle_tree_hash(&leaves[..size]), "size {size}");
            assert_eq!(tree.size(), size as u64);
            let again = Tree::from_parts(tree.size(), tree.peaks().to_vec()).unwrap();
            assert_eq!(again.head(), tree.head());
            tree.push(&leaves[size]);
        }
    }

    #[test]
    fn an_edge_that_does_not_go_with_its_size_is_refused() {
        let tree: Tree = (0..6).map(leaf).collect::<Vec<_>>().iter().collect();
        for size in [0, 1, 7, 8, u64::MAX] {
            assert!(Tree::from_parts(size, tree.peaks().to_vec()).is_err(), "{size}");
        }
        assert_eq!(Tree::default().root(), Digest::of(b""));
    }
}
