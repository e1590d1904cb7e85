//! The benchmarks work: tiny ones, of which no figure is looked at.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::process::Command;

use marram_tests::programs;

/// Runs the program and gives the figures of the row that begins like this.
fn figures(arguments: &[&str], row: &str) -> Vec<f64> {
    let said = programs::succeeds(Command::new(env!("CARGO_BIN_EXE_marram-benchmarks")).args(arguments));
    let found = said.lines().find_map(|line| line.trim_start().strip_prefix(row));
    let found = found.unwrap_or_else(|| panic!("no row {row}:\n{said}"));
    found.split_whitespace().map(|figure| figure.parse().unwrap()).collect()
}

#[test]
fn reports_a_second() {
    let arguments = ["server", "--rounds", "1", "--submitters", "32", "--reports", "64"];
    let figures = figures(&arguments, "32  marram-server  ");
    assert!(
        matches!(figures[..], [a_second, p50, p99] if a_second > 0.0 && p99 >= p50),
        "{figures:?}"
    );
}

#[test]
fn a_large_report() {
    let bucket = (4 << 20).to_string();
    for row in ["measure", "seal", "open"] {
        let figures = figures(&["large", "--rounds", "1", "--bucket", &bucket], row);
        let [ours, theirs, ratio, memory, _] = figures[..] else {
            panic!("{figures:?}");
        };
        assert!(ours > 0.0 && theirs > 0.0 && ratio > 0.0);
        assert!((1.0..32.0).contains(&memory), "{memory} MiB");
    }
}

#[test]
fn a_start_that_rebuilds_the_view() {
    let arguments = ["rebuild", "--rounds", "1", "--leaves", "20000"];
    let figures = figures(&arguments, "start that rebuilds the view");
    assert!(matches!(figures[..], [_, memory] if memory > 1.0), "{figures:?}");
}

#[test]
fn an_import_on_one_core_and_on_all() {
    let arguments = ["import", "--rounds", "1", "--reports", "20"];
    for row in ["4  one", "20  all"] {
        let figures = figures(&arguments, row);
        assert!(matches!(figures[..], [_, _, memory] if memory > 1.0), "{figures:?}");
    }
}
