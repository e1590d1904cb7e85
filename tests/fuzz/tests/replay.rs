//! The seeds, and the input of every past finding, through the same functions as the fuzzer's.
//!
//! One test after the other, since memory is measured.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{
    fs,
    path::{Path, PathBuf},
};

use marram_fuzz::{TARGETS, Target, inputs, seeds};

fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
fn every_target_accepts_a_seed_and_no_past_finding_comes_back() {
    for folder in ["seeds", "crashes"] {
        for path in files(&inputs(folder)) {
            let name = path.file_name().unwrap().to_str().unwrap();
            assert!(Target::named(name).is_some(), "{} belongs to no target", path.display());
        }
    }
    for target in TARGETS {
        let name = target.name;
        let seeds = files(&inputs("seeds").join(name));
        assert!(!seeds.is_empty(), "{name} has no seed");
        for seed in seeds {
            let bytes = fs::read(&seed).unwrap();
            let accepted = target.run(&bytes);
            assert!(
                accepted,
                "{} is refused: cargo run -p marram-fuzz --example seeds",
                seed.display()
            );
            // Otherwise a seed could be replaced by anything that its reader does not look at.
            for cut in (0..bytes.len()).step_by(bytes.len() / 7 + 1) {
                target.run(&bytes[..cut]);
            }
        }
        for finding in files(&inputs("crashes").join(name)) {
            println!("{}", finding.display());
            target.run(&fs::read(&finding).unwrap());
        }
    }
    the_committed_seeds_are_those_the_code_makes();
}

fn the_committed_seeds_are_those_the_code_makes() {
    for (target, name, bytes) in seeds::fixed() {
        let path = inputs("seeds").join(target).join(name);
        assert!(
            fs::read(&path).is_ok_and(|committed| committed == bytes),
            "{} is not up to date: cargo run -p marram-fuzz --example seeds",
            path.display()
        );
    }
}
