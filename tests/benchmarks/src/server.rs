//! Accepted reports a second.
//!
//! All in one run, in turn, from the same client on the same cores and the same disk:
//!
//! - `marram-server`, as it is;
//! - *append*: an axum handler that hashes the body, appends it with what else waits, syncs, and signs a receipt;
//! - *discard*: an axum handler that forgets the body;
//! - *raw*: the appending and syncing of *append* alone, without HTTP.

use std::{
    fs::File,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, atomic::AtomicU64},
    time::Instant,
};

use axum::body::Bytes;
use clap::ValueEnum;
use marram_crypto::{
    codename::Codename,
    seal::{Content, Draft, Target},
};
use marram_tests::{
    organization::{Organization, rng},
    server::{Server, this_epoch},
};
use serde_json::value::RawValue;
use tokio::sync::{mpsc, oneshot};

use crate::{
    baseline::{self, Kind},
    load::{self, Round},
    process::{Usage, median, mib, usage},
};

/// Submitters, and how many reports of 32 KiB a round takes of them. With three rounds, three of the four write 2.7 GiB
/// together; the limit of a run is 4 GiB.
const LEVELS: [(usize, u64); 3] = [(1, 700), (32, 3_500), (256, 5_500)];
const WRITTEN_MAX: u64 = 4 << 30;

struct Row {
    name: &'static str,
    rounds: Vec<Round>,
}

/// Measures, and prints the table.
pub(crate) fn measure(rounds: usize, only: Option<usize>, reports: Option<u64>) {
    let levels: Vec<_> = LEVELS
        .into_iter()
        .map(|(submitters, count)| (submitters, reports.unwrap_or(count)))
        .filter(|(submitters, _)| only.is_none_or(|only| only == *submitters))
        .collect();
    let per_round: u64 = levels.iter().map(|(_, count)| count).sum();
    let folder = tempfile::tempdir().unwrap();
    let organization = &mut Organization::found();
    let server = Server::init(folder.path(), organization);
    organization.log_is(server.log);
    let manifest = organization.signed(&organization.draft(this_epoch(), 1 << 20));
    server.put("/v1/manifest", &manifest.to_bytes());
    // The server checks a report's shape and cannot check more: one sealed report with other last bytes is another one.
    let report = sealed(&Target::from(&manifest));
    let written = 3 * per_round * rounds as u64 * report.len() as u64;
    assert!(
        written <= WRITTEN_MAX,
        "{rounds} rounds would write {} MiB",
        mib(written)
    );

    warm_memory(written);
    let append = Baseline::start(Kind::Append, folder.path());
    let discard = Baseline::start(Kind::Discard, folder.path());
    let address = server.base.trim_start_matches("http://");
    let route = format!("/v1/reports?epoch={}", this_epoch());
    let counter = Arc::new(AtomicU64::new(0));
    println!(
        "reports of {} KiB, {rounds} rounds in turn, medians\n",
        report.len() >> 10
    );
    println!("submitters  what             reports/s  p50 ms  p99 ms");
    for (submitters, count) in levels {
        let names = ["marram-server", "append (a)", "raw append (b)", "discard (c)"];
        let mut rows = names.map(|name| Row {
            name,
            rounds: Vec::new(),
        });
        for _ in 0..rounds {
            let post = |address: &str, path: &str| load::post(address, path, &report, &counter, submitters, count);
            rows[0].rounds.push(post(address, &route));
            rows[1].rounds.push(post(&append.address, "/"));
            rows[2].rounds.push(raw(folder.path(), &report, submitters, count));
            rows[3].rounds.push(post(&discard.address, "/"));
        }
        for row in &rows {
            println!(
                "{submitters:>10}  {:<15}  {:>9.0}  {:>6.2}  {:>6.2}",
                row.name,
                row.median(Round::per_second),
                row.median(|round| millis(round, 0.5)),
                row.median(|round| millis(round, 0.99)),
            );
        }
        println!(
            "{:>10}  marram-server / append: {:.2} of its reports/s, {:.2} of its p99\n",
            "",
            rows[0].ratio(&rows[1], Round::per_second),
            rows[0].ratio(&rows[1], |round| millis(round, 0.99)),
        );
    }
    println!("process          peak RSS MiB  processor s");
    for (name, usage) in [
        ("marram-server", usage(&server.process_id().to_string())),
        ("append (a)", append.usage()),
        ("discard (c)", discard.usage()),
    ] {
        println!(
            "{name:<15}  {:>12.1}  {:>11.1}",
            mib(usage.peak),
            usage.cpu.as_secs_f64()
        );
    }
}

impl Row {
    fn median(&self, figure: impl Fn(&Round) -> f64) -> f64 {
        median(self.rounds.iter().map(figure).collect())
    }

    /// The median of the ratios, pair by pair: the machine's own ups and downs fall out.
    fn ratio(&self, other: &Self, figure: impl Fn(&Round) -> f64) -> f64 {
        let pairs = self.rounds.iter().zip(&other.rounds);
        median(pairs.map(|(one, other)| figure(one) / figure(other)).collect())
    }
}

fn millis(round: &Round, share: f64) -> f64 {
    round.quantile(share).as_secs_f64() * 1e3
}

fn sealed(target: &Target) -> Vec<u8> {
    let content = Content {
        continues: false,
        answers: [].into(),
        incident: RawValue::from_string("{}".to_owned()).unwrap(),
    };
    let mut ciphertext = Vec::new();
    let draft = Draft::new(target, &Codename::random(&mut rng()), content, &[]).unwrap();
    draft.seal(&mut ciphertext, |_| unreachable!()).unwrap();
    ciphertext
}

/// On a virtual machine, memory that was never used comes from the host page by page, and files are written ten times
/// slower into it. All memory that the run will write into has been used before.
fn warm_memory(len: u64) {
    let mut memory = vec![0_u8; usize::try_from(len).unwrap()];
    memory.iter_mut().step_by(4096).for_each(|byte| *byte = 1);
    std::hint::black_box(memory);
}

/// A process that serves one of the baselines.
struct Baseline {
    child: Child,
    address: String,
}

impl Baseline {
    fn start(kind: Kind, folder: &Path) -> Self {
        let folder = tempfile::tempdir_in(folder).unwrap().keep();
        let kind = kind.to_possible_value().unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["baseline", kind.get_name()])
            .arg(folder)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut said)
            .unwrap();
        let address = said.split('"').nth(1).expect("it says where it listens").to_owned();
        Self { child, address }
    }

    fn usage(&self) -> Usage {
        usage(&self.child.id().to_string())
    }
}

impl Drop for Baseline {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// What [`baseline::append`] does without HTTP before it.
fn raw(folder: &Path, report: &[u8], submitters: usize, count: u64) -> Round {
    let path = folder.join("raw");
    let file = File::create(&path).unwrap();
    let (queue, records) = mpsc::channel(baseline::GROUP);
    let body = Bytes::copy_from_slice(report);
    let start = Instant::now();
    let mut latencies = Vec::new();
    std::thread::scope(|scope| {
        scope.spawn(move || baseline::append(file, records));
        tokio::runtime::Runtime::new().unwrap().block_on(async {
            let tasks: Vec<_> = (0..submitters as u64)
                .map(|submitter| {
                    let (queue, body) = (queue.clone(), body.clone());
                    let share = count / submitters as u64 + u64::from(submitter < count % submitters as u64);
                    tokio::spawn(async move {
                        let mut latencies = Vec::new();
                        for _ in 0..share {
                            let start = Instant::now();
                            let (done, appended) = oneshot::channel();
                            queue.send((body.clone(), done)).await.unwrap();
                            appended.await.unwrap();
                            latencies.push(start.elapsed());
                        }
                        latencies
                    })
                })
                .collect();
            drop(queue);
            for task in tasks {
                latencies.append(&mut task.await.unwrap());
            }
        });
    });
    let wall = start.elapsed();
    std::fs::remove_file(path).unwrap();
    latencies.sort_unstable();
    Round { wall, latencies }
}
