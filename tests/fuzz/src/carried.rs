//! What a courier carries: bundles, their entries, and leaves.

use std::io::Read as _;

use marram_crypto::{
    bundle::{BundleEntry, BundleError, BundleReader},
    leaf::Leaf,
    ustar::{BLOCK, Entry},
};

/// A bundle, read whole and passed over.
pub(crate) fn bundle(bytes: &[u8]) -> bool {
    let passed_over = read(bytes, false);
    let whole = read(bytes, true);
    // A leaf out of range is met only by who reads the leaves.
    if let Ok(whole) = &whole {
        assert_eq!(
            passed_over.unwrap(),
            *whole,
            "whether contents are read changes nothing"
        );
    }
    whole.is_ok()
}

fn read(bytes: &[u8], contents: bool) -> Result<Vec<String>, BundleError> {
    let mut reader = BundleReader::new(bytes);
    let mut seen = Vec::new();
    while let Some(entry) = reader.next_entry()? {
        seen.push(format!("{entry:?}"));
        match entry {
            BundleEntry::Leaves { leaves, count, .. } if contents => {
                let mut read = 0;
                for leaf in leaves {
                    leaf?;
                    read += 1;
                }
                assert_eq!(read, count);
            }
            BundleEntry::Report { mut content, size, .. } if contents => {
                let mut read = Vec::new();
                content.read_to_end(&mut read)?;
                assert_eq!(read.len() as u64, size);
            }
            _ => {}
        }
    }
    assert!(reader.next_entry()?.is_none(), "the end stays the end");
    Ok(seen)
}

/// One header of an archive.
pub(crate) fn ustar(bytes: &[u8]) -> bool {
    let mut block = [0; BLOCK];
    let len = bytes.len().min(BLOCK);
    block[..len].copy_from_slice(&bytes[..len]);
    let Ok(Some(entry)) = Entry::parse(&block) else {
        return false;
    };
    assert_eq!(entry.header().unwrap(), block, "an entry has one header");
    assert!(entry.total().is_multiple_of(BLOCK as u64) && entry.total() - entry.size < 2 * BLOCK as u64);
    true
}

/// A leaf.
pub(crate) fn leaf(bytes: &[u8]) -> bool {
    let Ok(leaf) = Leaf::from_bytes(bytes) else {
        return false;
    };
    assert_eq!(leaf.to_bytes(), bytes, "a leaf has one spelling");
    assert!(leaf.size().is_power_of_two());
    true
}
