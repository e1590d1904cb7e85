//! An office for the tests: keyholders are the real program with real homes, caseworkers and one dishonest keyholder are
//! keys in the test's hands.

use std::{
    collections::BTreeMap,
    fs,
    io::Write as _,
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
    sync::OnceLock,
    time::{SystemTime, UNIX_EPOCH},
};

use getrandom::{SysRng, rand_core::UnwrapErr};
use marram_crypto::{
    annex::{Annex, AnnexPart, Entry},
    charter::{CharterChain, UntrustedCharterChain},
    day::{Day, Epoch},
    enrolment::{Draft as EnrolmentDraft, Enrolment, Pair},
    fingerprint::Digits,
    hybrid::Identity,
    instance::InstanceId,
    key::{PublicKey, SigningKey},
    manifest::{BoardShape, Draft, Slot, UntrustedManifest},
    secret::SecretBytes,
    vacant,
};
use serde_json::Value;
use tempfile::TempDir;

pub(crate) fn rng() -> UnwrapErr<SysRng> {
    UnwrapErr(SysRng)
}

/// The epoch of today: the program under test has the computer's clock.
pub(crate) fn now() -> Epoch {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    Epoch::of(Day::from_unix_seconds(seconds)).unwrap()
}

/// A folder with the homes of the keyholders, their passphrases, and a stick.
pub(crate) struct Office {
    folder: TempDir,
    /// The third root key. Its holder is dishonest.
    pub(crate) mallory: Secret,
    pub(crate) caseworkers: Vec<Caseworker>,
}

/// A signing key that can be copied with the office.
#[derive(Clone)]
pub(crate) struct Secret(SecretBytes<32>);

#[derive(Clone)]
pub(crate) struct Caseworker {
    pub(crate) name: &'static str,
    pub(crate) key: Secret,
    pub(crate) pairs: BTreeMap<Epoch, Pair>,
}

/// What a run of the program left behind.
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Secret {
    pub(crate) fn new() -> Self {
        Self(SecretBytes::random(&mut rng()))
    }

    pub(crate) fn key(&self) -> SigningKey {
        SigningKey::from_seed(&self.0)
    }

    pub(crate) fn public(&self) -> PublicKey {
        self.key().public()
    }

    pub(crate) fn digits(&self) -> String {
        Digits::of_key(&self.public()).to_string()
    }
}

impl Caseworker {
    /// A caseworker with keys from this week on.
    pub(crate) fn new(name: &'static str, weeks: u32) -> Self {
        Self {
            name,
            key: Secret::new(),
            pairs: (0..weeks).map(|week| (now().plus(week), pair())).collect(),
        }
    }

    pub(crate) fn enrolment(&self, instance: InstanceId, counter: u32) -> Enrolment {
        let draft = EnrolmentDraft {
            instance,
            key: self.key.public(),
            counter,
            pairs: self.pairs.clone(),
        };
        draft.sign(&self.key.key()).unwrap()
    }
}

pub(crate) fn pair() -> Pair {
    Pair {
        recipient: Identity::random(&mut rng()).recipient(),
        signer: Secret::new().public(),
    }
}

impl Ran {
    /// The result, which must be one.
    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.code, Some(0), "{}{}", self.out, self.err);
        serde_json::from_str(&self.out).unwrap()
    }

    /// Must have worked.
    pub(crate) fn ok(self) -> Self {
        assert_eq!(self.code, Some(0), "{}{}", self.out, self.err);
        self
    }

    /// Must have failed, saying all of this, and what to do next.
    pub(crate) fn refused(self, words: &[&str]) -> Self {
        assert_eq!(self.code, Some(1), "{}{}", self.out, self.err);
        for word in words {
            assert!(self.err.contains(word), "`{word}` is not in: {}", self.err);
        }
        assert!(self.err.contains("next: "), "{}", self.err);
        self
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Office {
    /// No charter, no keys.
    pub(crate) fn empty() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("stick")).unwrap();
        Self {
            folder,
            mallory: Secret::new(),
            caseworkers: Vec::new(),
        }
    }

    /// A founded office: amber, birch and mallory are the keyholders, two must sign, and amber and birch have vetted
    /// heron, ibis and kestrel. Made once, and copied.
    pub(crate) fn founded() -> Self {
        static MADE: OnceLock<Office> = OnceLock::new();
        let made = MADE.get_or_init(Self::make);
        made.copy()
    }

    /// Amber, birch and cedar have a root key each, and nothing else. Made once, and copied.
    pub(crate) fn three_keys() -> Self {
        static MADE: OnceLock<Office> = OnceLock::new();
        let make = || {
            let office = Self::empty();
            for name in ["amber", "birch", "cedar"] {
                office.run(name, &["key", "--name", name]).ok();
            }
            office
        };
        MADE.get_or_init(make).copy()
    }

    fn copy(&self) -> Self {
        let copy = tempfile::tempdir().unwrap();
        let copied = Command::new("cp")
            .args(["-a", &format!("{}/.", self.folder.path().display())])
            .arg(copy.path())
            .status();
        assert!(copied.unwrap().success());
        Self {
            folder: copy,
            mallory: self.mallory.clone(),
            caseworkers: self.caseworkers.clone(),
        }
    }

    fn make() -> Self {
        let mut office = Self::empty();
        for name in ["amber", "birch"] {
            office.run(name, &["key", "--name", name]).ok();
        }
        let root = format!("marram/root/v1\nname mallory\nroot {}\n", office.mallory.public());
        fs::write(office.stick("mallory.root"), root).unwrap();
        let [amber, birch] = ["amber", "birch"].map(|name| office.root_digits(name));
        let mallory = office.mallory.digits();
        let found = [
            "found",
            "--name",
            "Reed Bank",
            "--contact",
            "reed.example",
            "--threshold",
            "2",
        ];
        let found = [&found[..], &["--digits", &birch, "--digits", &mallory, "--yes"]].concat();
        office.run("amber", &found).ok();
        let sign = [
            "sign",
            "charter.json",
            "--digits",
            &amber,
            "--digits",
            &mallory,
            "--yes",
        ];
        office.run("birch", &sign).ok();
        office.run("amber", &["sign", "charter.json"]).ok();
        office.write_settings(&Secret::new(), &Secret::new());
        for name in ["heron", "ibis", "kestrel"] {
            let caseworker = Caseworker::new(name, 26);
            office.bring(&caseworker, 1);
            for keyholder in ["amber", "birch"] {
                office.vet(keyholder, &caseworker).ok();
            }
            office.caseworkers.push(caseworker);
        }
        office
    }

    pub(crate) fn stick(&self, name: &str) -> PathBuf {
        self.folder.path().join("stick").join(name)
    }

    pub(crate) fn home(&self, keyholder: &str) -> PathBuf {
        self.folder.path().join(keyholder)
    }

    pub(crate) fn state(&self, keyholder: &str) -> Vec<u8> {
        fs::read(self.home(keyholder).join("keyholder.age")).unwrap()
    }

    /// Runs the program as a keyholder, on the stick, with nobody at the keyboard.
    pub(crate) fn run(&self, keyholder: &str, args: &[&str]) -> Ran {
        self.answer(keyholder, args, "")
    }

    /// The same, and types `answers`.
    pub(crate) fn answer(&self, keyholder: &str, args: &[&str], answers: &str) -> Ran {
        let mut child = self.start(keyholder, &format!("correct horse battery {keyholder}"), args);
        // Whoever asks nothing closes its end.
        let _ = child.stdin.take().unwrap().write_all(answers.as_bytes());
        child.wait_with_output().unwrap().into()
    }

    /// Starts the program with this passphrase, handed over by a file descriptor.
    pub(crate) fn start(&self, keyholder: &str, passphrase: &str, args: &[&str]) -> Child {
        let file = self.folder.path().join(format!("{keyholder}.passphrase"));
        fs::write(&file, format!("{passphrase}\n")).unwrap();
        Command::new("sh")
            .args(["-c", "exec \"$@\" 9<\"$PASSPHRASE_FILE\"", "sh"])
            .arg(env!("CARGO_BIN_EXE_marram-keyholder"))
            .args(args)
            .arg("--home")
            .arg(self.home(keyholder))
            .args(["--passphrase-fd", "9"])
            .env("PASSPHRASE_FILE", file)
            .current_dir(self.stick(""))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    pub(crate) fn root(&self, keyholder: &str) -> PublicKey {
        let file = fs::read_to_string(self.stick(&format!("{keyholder}.root"))).unwrap();
        file.lines().nth(2).unwrap()["root ".len()..].parse().unwrap()
    }

    pub(crate) fn root_digits(&self, keyholder: &str) -> String {
        Digits::of_key(&self.root(keyholder)).to_string()
    }

    pub(crate) fn chain(&self) -> CharterChain {
        let chain = UntrustedCharterChain::parse(&fs::read(self.stick("charter.json")).unwrap()).unwrap();
        let fingerprint = chain.claimed_fingerprint().unwrap();
        chain.verify(fingerprint).unwrap()
    }

    pub(crate) fn instance(&self) -> InstanceId {
        self.chain().instance()
    }

    pub(crate) fn write_settings(&self, log: &Secret, courier: &Secret) {
        let settings = format!(
            "log_key = \"{}\"\ncourier_keys = [\"{}\"]\nlimit_bytes = 67108864\nretention_days = 90\npromise_days = 14\n",
            log.public(),
            courier.public()
        );
        fs::write(self.stick("organization.toml"), settings).unwrap();
    }

    /// Puts a caseworker's enrolment onto the stick.
    pub(crate) fn bring(&self, caseworker: &Caseworker, counter: u32) {
        let note = caseworker.enrolment(self.instance(), counter).note().to_bytes();
        fs::write(self.stick(&format!("{}.enrolment", caseworker.name)), note).unwrap();
    }

    pub(crate) fn vet(&self, keyholder: &str, caseworker: &Caseworker) -> Ran {
        let file = format!("{}.enrolment", caseworker.name);
        let digits = caseworker.key.digits();
        self.run(
            keyholder,
            &["vet", &file, "--name", caseworker.name, "--digits", &digits],
        )
    }

    pub(crate) fn caseworker(&self, name: &str) -> &Caseworker {
        self.caseworkers.iter().find(|one| one.name == name).unwrap()
    }

    /// The manifests of a batch, by epoch.
    pub(crate) fn manifests(&self, folder: &str) -> BTreeMap<Epoch, UntrustedManifest> {
        let mut manifests = BTreeMap::new();
        for entry in fs::read_dir(self.stick(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|ending| ending == "manifest") {
                let manifest = UntrustedManifest::parse(&fs::read(&path).unwrap()).unwrap();
                manifests.insert(manifest.claims().epoch, manifest);
            }
        }
        manifests
    }

    pub(crate) fn annex(&self, folder: &str) -> Annex {
        Annex::parse(&fs::read(self.stick(folder).join("annex")).unwrap()).unwrap()
    }

    /// The names in a folder, sorted.
    pub(crate) fn files(&self, folder: &str) -> Vec<String> {
        let entries = fs::read_dir(self.stick(folder)).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// What an honest keyholder would put into the manifest of `epoch`: heron, ibis, kestrel in the first slots, five
    /// vacant ones after them.
    pub(crate) fn honest(&self, epoch: Epoch, version: u32) -> Forged {
        let mut slots = Vec::new();
        for caseworker in &self.caseworkers {
            let entry = Entry::Enrolment {
                key: caseworker.key.public(),
                pseudonym: caseworker.name.to_owned(),
            };
            slots.push((Slot::from(caseworker.pairs[&epoch].clone()), entry));
        }
        for position in 3_u8..8 {
            let seed = SecretBytes::random(&mut rng());
            let slot = vacant::slot(seed.expose(), epoch, position);
            slots.push((slot, Entry::Vacant { seed }));
        }
        let chain = self.chain();
        let (slots, entries) = slots.into_iter().unzip();
        Forged {
            draft: Draft {
                instance: chain.instance(),
                epoch,
                version,
                charter: chain.newest().fingerprint(),
                log: Secret::new().public(),
                couriers: vec![],
                limit: 1 << 26,
                retention_days: 90,
                promise_days: 14,
                board: BoardShape::default(),
                pages: vec![],
                contacts: vec![],
                questions: vec![],
                slots,
            },
            entries,
        }
    }

    /// Writes a batch that mallory made and signed, with tools of its own.
    pub(crate) fn write(&self, folder: &str, forged: &[Forged]) {
        let path = self.stick(folder);
        fs::create_dir(&path).unwrap();
        let mut parts = Vec::new();
        for Forged { draft, entries } in forged {
            let mut note = draft.to_note().unwrap();
            note.add_signature(&self.mallory.key()).unwrap();
            parts.push(AnnexPart {
                manifest: note.digest(),
                slots: entries.clone(),
            });
            let name = format!("{}-{}.manifest", draft.epoch, draft.version);
            fs::write(path.join(name), note.to_bytes()).unwrap();
        }
        let instance = forged[0].draft.instance;
        let annex = Annex { instance, parts }.to_text().unwrap();
        fs::write(path.join("annex"), annex.as_bytes()).unwrap();
    }
}

/// A manifest and what the annex is to say of it.
#[derive(Clone)]
pub(crate) struct Forged {
    pub(crate) draft: Draft,
    pub(crate) entries: Vec<Entry>,
}

/// How many of the charter's keys have signed.
pub(crate) fn signatures(manifest: &UntrustedManifest, chain: &CharterChain) -> usize {
    let signers = manifest.note().signers(&chain.newest().root_keys());
    signers.unwrap().len()
}
