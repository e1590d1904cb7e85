//! Sealing and opening a large report, each in a process of its own, beside the age crate alone.
//!
//! What is compared, in turn: a report with one attachment that fills its bucket, sealed to the eight slots of a manifest
//! and opened with one of them; and as many bytes, encrypted and decrypted by the age crate for one X25519 recipient.
//! Both read from a file in the same pieces, and both forget what comes out: no disk is measured. What Marram does more
//! is to check the attachment while sealing and to digest it while opening (on a thread of its own), seven more
//! recipients, and looking at the fill. Rows of their own: an attachment is measured before it is sealed, when the
//! submitter's program is told its name; and who sends and who imports digest the ciphertext too, on one more thread,
//! which without idle cores shows.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Read, Write},
    path::Path,
    process::Command,
    time::Instant,
};

use age::secrecy::ExposeSecret;
use clap::ValueEnum;
use marram_crypto::{
    bucket,
    charter::UntrustedCharterChain,
    codename::Codename,
    digest::Aside,
    hybrid::Identity,
    manifest::{DEFAULT_SLOTS, UntrustedManifest},
    open::open,
    payload::Discard,
    seal::{Content, Draft, Measure, Target},
};
use marram_tests::{
    organization::{Organization, rng},
    server::this_epoch,
};
use serde_json::value::RawValue;

use crate::process::{median, mib, usage};

/// What the rest of a report takes of its bucket, at most.
const REST: u64 = 8 << 10;
const PIECE: usize = 64 << 10;

/// What a process does with the files in its folder.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Pass {
    Measure,
    Seal,
    Send,
    Open,
    Import,
    AgeEncrypt,
    AgeDecrypt,
}

/// Measures, and prints the table.
pub(crate) fn measure(rounds: usize, bucket: u64) {
    let folder = tempfile::tempdir().unwrap();
    let organization = Organization::found();
    let manifest = organization.signed(&organization.draft(this_epoch(), bucket));
    let write = |name: &str, bytes: &[u8]| fs::write(folder.path().join(name), bytes).unwrap();
    write("charter", organization.chain.to_json().as_bytes());
    write("manifest", &manifest.to_bytes());
    let identity = organization.caseworkers[2].to_secret_string();
    write("identity", identity.expose_secret().as_bytes());
    write(
        "age-identity",
        age::x25519::Identity::generate().to_string().expose_secret().as_bytes(),
    );
    let capacity = bucket::capacity(bucket, DEFAULT_SLOTS);
    for (name, len) in [("plaintext", capacity), ("attachment", capacity - REST)] {
        // Holes: zeros that no disk reads.
        File::create(folder.path().join(name)).unwrap().set_len(len).unwrap();
    }
    seal(
        folder.path(),
        &Target::from(&manifest),
        &measured(folder.path()),
        File::create(folder.path().join("sealed")).unwrap(),
    );
    assert_eq!(folder.path().join("sealed").metadata().unwrap().len(), bucket);
    age_encrypt(folder.path(), File::create(folder.path().join("encrypted")).unwrap());

    let pairs = [
        ("measure", Pass::Measure, Pass::AgeEncrypt),
        ("seal", Pass::Seal, Pass::AgeEncrypt),
        ("send", Pass::Send, Pass::AgeEncrypt),
        ("open", Pass::Open, Pass::AgeDecrypt),
        ("import", Pass::Import, Pass::AgeDecrypt),
    ];
    println!(
        "{:.0} MiB, {rounds} rounds in turn, medians; age alone: to one X25519 recipient\n",
        mib(bucket)
    );
    println!("what     Marram MiB/s  age alone MiB/s  ratio  Marram peak RSS MiB  age alone");
    for (name, ours, theirs) in pairs {
        let mut runs = [Vec::new(), Vec::new()];
        let mut peaks = [0.0_f64; 2];
        for _ in 0..rounds {
            for (which, pass) in [ours, theirs].into_iter().enumerate() {
                let (seconds, peak) = child(pass, folder.path());
                runs[which].push(mib(bucket) / seconds);
                peaks[which] = peaks[which].max(peak);
            }
        }
        let ratios = runs[0]
            .iter()
            .zip(&runs[1])
            .map(|(ours, theirs)| ours / theirs)
            .collect();
        let [ours, theirs] = runs.map(median);
        println!(
            "{name:<7}  {ours:>12.0}  {theirs:>15.0}  {:>5.2}  {:>19.1}  {:>9.1}",
            median(ratios),
            peaks[0],
            peaks[1]
        );
    }
}

/// Runs a pass in a process of its own. Returns its seconds and its peak memory in MiB.
fn child(pass: Pass, folder: &Path) -> (f64, f64) {
    let pass = pass.to_possible_value().unwrap();
    let run = Command::new(std::env::current_exe().unwrap())
        .args(["pass", pass.get_name()])
        .arg(folder)
        .output()
        .unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let said = String::from_utf8(run.stdout).unwrap();
    let (seconds, peak) = said.trim().split_once(' ').unwrap();
    (seconds.parse().unwrap(), peak.parse().unwrap())
}

/// Does one pass, and says how many seconds and MiB it took.
pub(crate) fn pass(pass: Pass, folder: &Path) {
    let took = match pass {
        Pass::Measure => time(|| assert!(measured(folder)[0].attachment.size_bytes > 0)),
        Pass::Seal => {
            let (target, attachments) = (target(folder), measured(folder));
            time(|| seal(folder, &target, &attachments, io::sink()))
        }
        Pass::Send => {
            let (target, attachments) = (target(folder), measured(folder));
            let mut output = Digested(io::sink(), Aside::new());
            time(|| {
                seal(folder, &target, &attachments, &mut output);
                output.1.finish();
            })
        }
        Pass::AgeEncrypt => time(|| age_encrypt(folder, io::sink())),
        Pass::Open => {
            let (identity, target) = (identity(folder), target(folder));
            let sealed = File::open(folder.join("sealed")).unwrap();
            time(|| drop(open(sealed, &target, &identity, &mut Discard).unwrap()))
        }
        Pass::Import => {
            let (identity, target) = (identity(folder), target(folder));
            let mut sealed = Digested(File::open(folder.join("sealed")).unwrap(), Aside::new());
            time(|| {
                drop(open(&mut sealed, &target, &identity, &mut Discard).unwrap());
                sealed.1.finish();
            })
        }
        Pass::AgeDecrypt => time(|| age_decrypt(folder)),
    };
    println!("{took} {}", mib(usage("self").peak));
}

fn time(work: impl FnOnce()) -> f64 {
    let began = Instant::now();
    work();
    began.elapsed().as_secs_f64()
}

fn measured(folder: &Path) -> [Measure; 1] {
    [Measure::of(File::open(folder.join("attachment")).unwrap()).unwrap()]
}

fn seal(folder: &Path, target: &Target, attachments: &[Measure], output: impl Write) {
    let content = Content {
        continues: false,
        answers: [].into(),
        incident: RawValue::from_string("{}".to_owned()).unwrap(),
    };
    let draft = Draft::new(target, &Codename::random(&mut rng()), content, attachments).unwrap();
    draft
        .seal(output, |_| Ok(Box::new(File::open(folder.join("attachment"))?)))
        .unwrap();
}

/// Digests what is read or written.
struct Digested<T>(T, Aside);

impl Write for Digested<io::Sink> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.1.update(bytes);
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Read for Digested<File> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = self.0.read(buffer)?;
        self.1.update(&buffer[..len]);
        Ok(len)
    }
}

fn age_encrypt(folder: &Path, output: impl Write) {
    let identity: age::x25519::Identity = read(folder, "age-identity").parse().unwrap();
    let recipient = identity.to_public();
    let encryptor = age::Encryptor::with_recipients(std::iter::once(&recipient as _)).unwrap();
    let mut writer = encryptor.wrap_output(BufWriter::with_capacity(PIECE, output)).unwrap();
    let mut plaintext = File::open(folder.join("plaintext")).unwrap();
    let mut piece = vec![0; PIECE];
    loop {
        match plaintext.read(&mut piece).unwrap() {
            0 => break,
            len => writer.write_all(&piece[..len]).unwrap(),
        }
    }
    writer.finish().unwrap().flush().unwrap();
}

fn age_decrypt(folder: &Path) {
    let identity: age::x25519::Identity = read(folder, "age-identity").parse().unwrap();
    let encrypted = io::BufReader::with_capacity(PIECE, File::open(folder.join("encrypted")).unwrap());
    let decryptor = age::Decryptor::new_buffered(encrypted).unwrap();
    let identity = &identity as &dyn age::Identity;
    let mut plaintext = decryptor.decrypt(std::iter::once(identity)).unwrap();
    let mut piece = vec![0; PIECE];
    while plaintext.read(&mut piece).unwrap() > 0 {}
}

fn identity(folder: &Path) -> Identity {
    read(folder, "identity").parse().unwrap()
}

fn target(folder: &Path) -> Target {
    let chain = UntrustedCharterChain::parse(read(folder, "charter").as_bytes()).unwrap();
    let fingerprint = chain.claimed_fingerprint().unwrap();
    let chain = chain.verify(fingerprint).unwrap();
    let manifest = UntrustedManifest::parse(read(folder, "manifest").as_bytes()).unwrap();
    Target::from(&manifest.verify(&chain).unwrap())
}

fn read(folder: &Path, name: &str) -> String {
    fs::read_to_string(folder.join(name)).unwrap()
}
