//! What Marram costs beside what it cannot do without: one table for each question, absolute figures of this machine and
//! the ratios that travel. `./tests/bench` builds it and runs all of it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a measuring program: what fails, fails loudly"
)]
#![allow(clippy::cast_precision_loss, reason = "figures for people")]

mod baseline;
mod import;
mod large;
mod load;
mod process;
mod rebuild;
mod server;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

/// Measures Marram on this machine.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Accepted reports a second at 1, 32 and 256 submitters, beside a server that only hashes, signs and appends.
    Server {
        /// How often each is measured, in turn; the median counts.
        #[arg(long, default_value_t = 3)]
        rounds: usize,
        /// Measure at this many submitters only.
        #[arg(long)]
        submitters: Option<usize>,
        /// This many reports in each round, instead of some thousands.
        #[arg(long)]
        reports: Option<u64>,
    },
    /// Sealing and opening a large report: memory, and speed beside the age crate alone.
    Large {
        /// How often each is measured, in turn; the median counts.
        #[arg(long, default_value_t = 5)]
        rounds: usize,
        /// The length of the sealed report in bytes: a power of two.
        #[arg(long, default_value_t = 256 << 20)]
        bucket: u64,
    },
    /// How long a start takes that rebuilds the view.
    Rebuild {
        /// How many leaves the ledger has.
        #[arg(long, default_value_t = 1_000_000)]
        leaves: u64,
        /// How many orders it has.
        #[arg(long, default_value_t = 10_000)]
        orders: u64,
        /// How often each start is measured, in turn; the median counts.
        #[arg(long, default_value_t = 3)]
        rounds: usize,
    },
    /// How many reports a second are imported, on one core and on all, and in how much memory.
    Import {
        /// How many reports the large bundle has; the small one has a fifth.
        #[arg(long, default_value_t = 10_000)]
        reports: usize,
        /// How often each is measured, in turn; the median counts.
        #[arg(long, default_value_t = 3)]
        rounds: usize,
    },
    /// One of the servers to compare with.
    #[command(hide = true)]
    Baseline { kind: baseline::Kind, folder: PathBuf },
    /// One pass over a large report.
    #[command(hide = true)]
    Pass { pass: large::Pass, folder: PathBuf },
}

fn main() {
    match Cli::parse().what {
        What::Server {
            rounds,
            submitters,
            reports,
        } => server::measure(rounds, submitters, reports),
        What::Large { rounds, bucket } => large::measure(rounds, bucket),
        What::Rebuild { leaves, orders, rounds } => rebuild::measure(leaves, orders, rounds),
        What::Import { reports, rounds } => import::measure(reports, rounds),
        What::Baseline { kind, folder } => baseline::serve(kind, &folder),
        What::Pass { pass, folder } => large::pass(pass, &folder),
    }
}
