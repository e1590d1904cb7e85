//! How many reports a second the real `marram-casework` imports, on one core and on all; and whether its memory stays the
//! same however many there are.

use std::{
    fs::{self, File},
    io::BufWriter,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use marram_crypto::{
    bundle::BundleWriter,
    checkpoint,
    codename::Codename,
    day::Day,
    digest::Digest,
    key::SigningKey,
    leaf::Leaf,
    manifest::Manifest,
    seal::{self, Content, Target},
    tree::Tree,
};
use marram_tests::{
    office,
    organization::{Organization, rng},
    programs,
    server::this_epoch,
};
use serde_json::value::RawValue;

use crate::process::{median, mib, resident};

const INCIDENT: &str = include_str!("../../../deploy/samples/01-uyghur-teacher-himself/report.json");
/// How often memory is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Measures bundles of a fifth and of all `reports`, and prints the table.
pub(crate) fn measure(reports: usize, rounds: usize) {
    let folder = tempfile::tempdir().unwrap();
    let (organization, log) = {
        let mut organization = Organization::found();
        let log = SigningKey::random(&mut rng());
        organization.log_is(log.public());
        (organization, log)
    };
    let home = folder.path().join("heron");
    let own = office::enrol(&organization, &home, this_epoch(), 1);
    let mut draft = organization.draft(this_epoch(), 1 << 20);
    draft.slots[0].clone_from(&own[0]);
    let manifest = organization.signed(&draft);
    let sizes = [reports / 5, reports];
    let bundles = sizes.map(|reports| bundle(folder.path(), &organization, &manifest, &log, reports));

    println!(
        "bundles of reports as in deploy/samples, each imported into an empty casebook; {rounds} rounds in turn, medians\n"
    );
    println!("reports  cores  seconds  reports/s  RSS at the end, MiB");
    for (reports, path) in sizes.into_iter().zip(&bundles) {
        for cores in ["one", "all"] {
            let (mut seconds, mut memory) = (Vec::new(), Vec::new());
            for _ in 0..rounds {
                let unlocking = run(&home, cores, &["list".as_ref()]).0;
                let copy = folder.path().join("copy");
                programs::succeeds(Command::new("cp").arg("-a").args([&home, &copy]));
                let (took, resident) = run(&copy, cores, &["import".as_ref(), path.as_os_str()]);
                fs::remove_dir_all(&copy).unwrap();
                seconds.push(took - unlocking);
                memory.push(resident);
            }
            let (seconds, memory) = (median(seconds), median(memory));
            let rate = reports as f64 / seconds;
            println!("{reports:>7}  {cores:<5}  {seconds:>7.2}  {rate:>9.0}  {memory:>19.1}");
        }
    }
}

/// A bundle of this many sealed reports.
fn bundle(
    folder: &Path,
    organization: &Organization,
    manifest: &Manifest,
    log: &SigningKey,
    reports: usize,
) -> PathBuf {
    let target = Target::from(manifest);
    let sealed: Vec<Vec<u8>> = (0..reports).map(|_| sealed(&target)).collect();
    let leaves: Vec<Leaf> = sealed
        .iter()
        .map(|report| Leaf {
            digest: Digest::of(report),
            epoch: this_epoch(),
            day: today(),
            log2_size: u8::try_from(report.len().ilog2()).unwrap(),
        })
        .collect();
    let (instance, head) = (organization.chain.instance(), leaves.iter().collect::<Tree>().head());
    let path = folder.join(format!("{reports}.tar"));
    let mut writer = BundleWriter::new(BufWriter::new(File::create(&path).unwrap()));
    writer.charter(organization.chain.to_json().as_bytes()).unwrap();
    let checkpoint = checkpoint::sign(instance, head, today(), log).unwrap();
    writer.checkpoint(&checkpoint.to_bytes()).unwrap();
    writer.leaves(instance, 0, &leaves).unwrap();
    writer
        .manifest(manifest.epoch, manifest.version, &manifest.to_bytes())
        .unwrap();
    for (leaf, report) in leaves.iter().zip(&sealed) {
        writer.report(leaf.digest, leaf.size(), report.as_slice()).unwrap();
    }
    writer.finish().unwrap();
    path
}

fn sealed(target: &Target) -> Vec<u8> {
    let content = Content {
        continues: false,
        answers: [].into(),
        incident: RawValue::from_string(INCIDENT.to_owned()).unwrap(),
    };
    let draft = seal::Draft::new(target, &Codename::random(&mut rng()), content, &[]).unwrap();
    let mut ciphertext = Vec::new();
    draft
        .seal(&mut ciphertext, |_| unreachable!("it has no attachments"))
        .unwrap();
    ciphertext
}

fn today() -> Day {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    Day::from_unix_seconds(since.unwrap().as_secs())
}

/// Runs `marram-casework`: how many seconds, and how many MiB were resident in the last quarter of its time. (Unlocking
/// takes 256 MiB at the beginning, by design.)
fn run(home: &Path, cores: &str, args: &[&std::ffi::OsStr]) -> (f64, f64) {
    let mut casework = programs::offline("marram-casework", home);
    casework.arg("--home").arg(home).args(args);
    let mut command = Command::new(if cores == "one" { "taskset" } else { "env" });
    if cores == "one" {
        command.args(["--cpu-list", "0"]);
    }
    command.arg(casework.get_program()).args(casework.get_args());
    command.env("HOME", home).stdout(Stdio::null()).stderr(Stdio::null());
    let began = Instant::now();
    let mut child = command.spawn().unwrap();
    let mut seen = Vec::new();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        seen.extend(resident(child.id()));
        std::thread::sleep(LOOK_EVERY);
    };
    let took = began.elapsed().as_secs_f64();
    assert!(status.success(), "{args:?}: {status}");
    let last = seen.get(seen.len() * 3 / 4..).unwrap_or_default();
    (took, mib(last.iter().copied().max().unwrap_or_default()))
}
