//! An organization of three caseworkers, one of whom runs the program; the bundles that a courier would bring; and the
//! reports that an honest or hostile stranger would seal.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    rc::Rc,
    sync::OnceLock,
    time::{SystemTime, UNIX_EPOCH},
};

use getrandom::{SysRng, rand_core::UnwrapErr};
use marram_casework::epochs::EpochKeys;
use marram_crypto::{
    bucket,
    bundle::BundleWriter,
    charter::{self, CharterChain, UntrustedCharter, UntrustedCharterChain},
    checkpoint,
    codename::Codename,
    day::{Day, Epoch},
    digest::Digest,
    enrolment::{Enrolment, UntrustedEnrolment},
    hybrid::Recipient,
    instance::InstanceId,
    key::SigningKey,
    leaf::Leaf,
    manifest::{self, BoardShape, Manifest, Slot, UntrustedManifest},
    seal::{Content, Draft, Measure, Target},
    secret::SecretBytes,
    tree::{Head, Tree},
    ustar::Entry,
    vacant,
};
use marram_terminal::{
    files::Existing,
    secret_file::{self, WorkFactor},
};
use serde_json::{Value, value::RawValue};
use tempfile::TempDir;

pub(crate) const PASSPHRASE: &str = "seven dunes and a lighthouse";
/// My slot, and those of the two others.
pub(crate) const MINE: usize = 1;
pub(crate) const OTHERS: [usize; 2] = [3, 6];
/// Epochs with keys: from six weeks ago to next week.
pub(crate) const FIRST: u32 = 6;
pub(crate) const EPOCHS: u32 = 8;
/// The codename of every report that says nothing else.
pub(crate) const CODENAME: u8 = 1;

pub(crate) struct Organization {
    roots: Vec<SigningKey>,
    pub(crate) chain: CharterChain,
    /// This week.
    pub(crate) epoch: Epoch,
    pub(crate) enrolment: Enrolment,
    /// What `enrol` printed.
    pub(crate) enrolled: String,
    others: BTreeMap<Epoch, Vec<EpochKeys>>,
    home: TempDir,
}

/// Founded once for all tests: making an identity takes a second of scrypt.
pub(crate) fn organization() -> &'static Organization {
    static ORGANIZATION: OnceLock<Organization> = OnceLock::new();
    ORGANIZATION.get_or_init(Organization::found)
}

pub(crate) fn today() -> Day {
    Day::from_unix_seconds(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs())
}

pub(crate) fn roots() -> Vec<SigningKey> {
    (0..3)
        .map(|n| SigningKey::from_seed(&SecretBytes::from([200 + n; 32])))
        .collect()
}

/// A charter signed by two of three.
pub(crate) fn charter(instance: InstanceId, roots: &[SigningKey]) -> charter::Draft {
    charter::Draft {
        instance,
        version: 1,
        previous: None,
        name: "Dune Watch".into(),
        contact: "https://dunewatch.example".into(),
        threshold: 2,
        roots: roots.iter().map(SigningKey::public).collect(),
    }
}

pub(crate) fn signed(draft: &charter::Draft, roots: &[SigningKey]) -> UntrustedCharter {
    let mut charter = UntrustedCharter::from_note(draft.to_note().unwrap()).unwrap();
    for root in &roots[..2] {
        charter.add_signature(root).unwrap();
    }
    charter
}

pub(crate) fn founded(instance: InstanceId, roots: &[SigningKey]) -> CharterChain {
    let chain = UntrustedCharterChain::founding(signed(&charter(instance, roots), roots));
    let pinned = chain.claimed_fingerprint().unwrap();
    chain.verify(pinned).unwrap()
}

impl Organization {
    fn found() -> Self {
        let roots = roots();
        let chain = founded(InstanceId::random(&mut UnwrapErr(SysRng)), &roots);
        // It outlives the tests; so it stands where `cargo clean` finds it.
        let folder = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let charter = folder.path().join("charter.json");
        let note = folder.path().join("alice.enrolment");
        fs::write(&charter, chain.to_json()).unwrap();
        let epoch = Epoch::of(today()).unwrap();
        let first = Epoch::from_number(epoch.number() - FIRST).unwrap();
        let home = Home::at(folder.path().join("home"));
        let enrolled = home.ok(&[
            "enrol",
            "--charter",
            charter.to_str().unwrap(),
            "--fingerprint",
            &chain.newest().fingerprint().to_string(),
            "--out",
            note.to_str().unwrap(),
            "--from",
            &first.to_string(),
            "--epochs",
            &EPOCHS.to_string(),
        ]);
        // From here on the tests should not wait for scrypt.
        let identity = home.path.join("identity.age");
        let secrets = secret_file::read_wrapped(&identity, &PASSPHRASE.into(), 4096).unwrap();
        let quick = WorkFactor::Log2(1);
        secret_file::write_wrapped(&identity, &PASSPHRASE.into(), &secrets, quick, Existing::Replace).unwrap();

        let enrolment = UntrustedEnrolment::parse(&fs::read(&note).unwrap()).unwrap();
        let random = |_| EpochKeys::random(&mut UnwrapErr(SysRng));
        Self {
            roots,
            epoch,
            enrolment: enrolment.verify(chain.instance()).unwrap(),
            enrolled,
            others: (0..EPOCHS)
                .map(|n| (first.plus(n), OTHERS.iter().map(random).collect()))
                .collect(),
            chain,
            home: folder,
        }
    }

    /// The epoch so many weeks ago.
    pub(crate) fn ago(&self, weeks: u32) -> Epoch {
        Epoch::from_number(self.epoch.number() - weeks).unwrap()
    }

    pub(crate) fn slots(&self, epoch: Epoch) -> Vec<Slot> {
        let mut slots: Vec<Slot> = (0..8)
            .map(|position| vacant::slot(&[position; 32], epoch, position))
            .collect();
        slots[MINE] = self.enrolment.pair(epoch).unwrap().clone().into();
        for (position, keys) in OTHERS.iter().zip(&self.others[&epoch]) {
            slots[*position] = keys.pair().into();
        }
        slots
    }

    pub(crate) fn draft(&self, epoch: Epoch, version: u32) -> manifest::Draft {
        manifest::Draft {
            instance: self.chain.instance(),
            epoch,
            version,
            charter: self.chain.newest().fingerprint(),
            log: self.roots[0].public(),
            couriers: vec![],
            limit: 1 << 28,
            retention_days: 180,
            promise_days: 7,
            board: BoardShape::default(),
            pages: vec![],
            contacts: vec![],
            questions: vec![
                serde_json::from_str(r#"{"id":"heard","kind":"text","text":{"en":"How did you hear of us?"}}"#)
                    .unwrap(),
            ],
            slots: self.slots(epoch),
        }
    }

    pub(crate) fn manifest(&self, epoch: Epoch, version: u32) -> Manifest {
        self.sign(&self.draft(epoch, version))
    }

    pub(crate) fn sign(&self, draft: &manifest::Draft) -> Manifest {
        let note = self.note(draft, 2);
        UntrustedManifest::parse(&note).unwrap().verify(&self.chain).unwrap()
    }

    /// A manifest's note with so many signatures.
    pub(crate) fn note(&self, draft: &manifest::Draft, signatures: usize) -> Vec<u8> {
        let mut manifest = UntrustedManifest::from_note(draft.to_note().unwrap()).unwrap();
        for root in &self.roots[..signatures] {
            manifest.add_signature(root).unwrap();
        }
        manifest.note().to_bytes()
    }

    pub(crate) fn roots(&self) -> &[SigningKey] {
        &self.roots
    }

    /// The keys of one of the two others.
    pub(crate) fn colleague(&self, which: usize, epoch: Epoch) -> &EpochKeys {
        &self.others[&epoch][which]
    }

    /// A home of my own, as it was after the enrolment.
    pub(crate) fn alice(&self) -> Home {
        let home = Home::new();
        copy(&self.home.path().join("home"), &home.path);
        home
    }
}

fn copy(from: &Path, to: &Path) {
    use std::os::unix::fs::DirBuilderExt as _;
    fs::DirBuilder::new().mode(0o700).create(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

// --- running the program --------------------------------------------------------------------------------------------

pub(crate) struct Home {
    pub(crate) path: PathBuf,
    pub(crate) folder: TempDir,
}

impl Home {
    /// A place for a home, and for files beside it.
    pub(crate) fn new() -> Self {
        let folder = TempDir::new().unwrap();
        Self {
            path: folder.path().join("home"),
            folder,
        }
    }

    fn at(path: PathBuf) -> Self {
        Self {
            path,
            folder: TempDir::new().unwrap(),
        }
    }

    /// A path beside the home.
    pub(crate) fn beside(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn start_with(&self, arguments: &[&str], passphrase: &str) -> Child {
        let secret = self.beside("passphrase");
        fs::write(&secret, format!("{passphrase}\n")).unwrap();
        Command::new("sh")
            // The shell opens the descriptor and becomes the program: its id is the program's.
            .args([
                "-c",
                r#"exec "$@" 3<"$SECRET""#,
                "sh",
                env!("CARGO_BIN_EXE_marram-casework"),
            ])
            .arg("--home")
            .arg(&self.path)
            .args(["--passphrase-fd", "3"])
            .args(arguments)
            .env("SECRET", secret)
            .env("TMPDIR", self.folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    pub(crate) fn start(&self, arguments: &[&str]) -> Child {
        self.start_with(arguments, PASSPHRASE)
    }

    pub(crate) fn answer(&self, arguments: &[&str], answers: &str) -> Output {
        let mut child = self.start(arguments);
        // It may end without asking.
        let _ = child.stdin.take().unwrap().write_all(answers.as_bytes());
        child.wait_with_output().unwrap()
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.answer(arguments, "")
    }

    /// What it printed; it must have done what it was told.
    pub(crate) fn ok(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
        text(&output.stdout)
    }

    /// What it said on stderr; it must have failed.
    pub(crate) fn fails(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {}", text(&output.stdout));
        let said = text(&output.stderr);
        assert!(said.contains("error: ") && said.contains("next: "), "{said}");
        said
    }

    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let arguments = [&["--json"], arguments].concat();
        serde_json::from_str(&self.ok(&arguments)).unwrap()
    }

    /// Imports what the server has, and gives the summary of it.
    pub(crate) fn import(&self, server: &Server) -> Value {
        let bundle = self.beside("bundle.tar");
        server.write(&bundle);
        let output = self.run(&["--json", "import", bundle.to_str().unwrap()]);
        let said = text(&output.stderr);
        let mut printed: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{said}"));
        let summary = printed["bundles"][0].take();
        // Whatever was named, the import itself must be complete; and a script must see what was named.
        let calm = summary["alarms"].as_object().unwrap().is_empty();
        assert_eq!(output.status.code(), Some(i32::from(!calm)), "{summary}: {said}");
        assert!(calm || said.contains("the import is complete"), "{said}");
        summary
    }

    /// The alarms that nobody has acknowledged and that are not over: kind and subject.
    pub(crate) fn alarms(&self) -> Vec<(String, String)> {
        let listed = self.json(&["alarms"]);
        let alarms = listed["alarms"].as_array().unwrap().iter();
        let field = |alarm: &Value, name: &str| alarm[name].as_str().unwrap().to_owned();
        alarms
            .filter(|alarm| alarm["over"].is_null())
            .map(|alarm| (field(alarm, "kind"), field(alarm, "subject")))
            .collect()
    }

    /// Everything that people can see of the casebook.
    pub(crate) fn everything(&self) -> Vec<Value> {
        let mut seen = vec![self.json(&["list"]), self.json(&["status"]), self.json(&["alarms"])];
        for report in seen[0]["reports"].as_array().unwrap().clone() {
            seen.push(self.json(&["show", &report["id"].to_string()]));
        }
        seen
    }
}

/// A text as one line, however it was wrapped.
pub(crate) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// The outcome of the only report in a summary, and its detail.
pub(crate) fn outcome(summary: &Value) -> (String, String) {
    let reports = summary["reports"].as_array().unwrap();
    assert_eq!(reports.len(), 1, "{summary}");
    let field = |name: &str| reports[0][name].as_str().unwrap_or_default().to_owned();
    (field("outcome"), field("detail"))
}

pub(crate) fn warnings(summary: &Value) -> Vec<(String, String)> {
    let warnings = summary["warnings"].as_array().unwrap().iter();
    let field = |warning: &Value, name: &str| warning[name].as_str().unwrap().to_owned();
    warnings
        .map(|warning| (field(warning, "name"), field(warning, "detail")))
        .collect()
}

/// The names of a summary's warnings.
pub(crate) fn names(summary: &Value) -> Vec<String> {
    warnings(summary).into_iter().map(|(name, _)| name).collect()
}

// --- what a courier would bring -------------------------------------------------------------------------------------

/// What a server holds, and a courier carries.
#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) chain: String,
    pub(crate) instance: InstanceId,
    /// The leaves before those that the bundle has.
    pub(crate) before: Vec<Leaf>,
    /// Where the bundle says that its leaves begin, if that is a lie.
    pub(crate) from: Option<u64>,
    pub(crate) leaves: Vec<Leaf>,
    /// The checkpoint's day; none for a bundle without one.
    pub(crate) day: Option<Day>,
    /// A checkpoint that is not of these leaves.
    pub(crate) checkpoint: Option<Vec<u8>>,
    pub(crate) orders: Vec<(u64, Vec<u8>)>,
    pub(crate) canaries: Vec<(String, Vec<u8>)>,
    pub(crate) manifests: Vec<(Epoch, u32, Vec<u8>)>,
    pub(crate) reports: Vec<(Digest, Vec<u8>)>,
}

impl Server {
    /// With this week's manifest.
    pub(crate) fn new() -> Self {
        let organization = organization();
        let mut server = Self::empty();
        server.publish(&organization.manifest(organization.epoch, 1));
        server
    }

    pub(crate) fn empty() -> Self {
        let chain = &organization().chain;
        Self {
            chain: chain.to_json(),
            instance: chain.instance(),
            before: vec![],
            from: None,
            leaves: vec![],
            day: Some(today()),
            checkpoint: None,
            orders: vec![],
            canaries: vec![],
            manifests: vec![],
            reports: vec![],
        }
    }

    /// What the next bundle begins with: everything that is here was carried away.
    pub(crate) fn carried(&mut self) {
        self.before.append(&mut self.leaves);
        self.reports.clear();
    }

    /// The tree of all leaves there are.
    pub(crate) fn tree(&self) -> Tree {
        self.before.iter().chain(&self.leaves).collect()
    }

    pub(crate) fn sign(&self, head: Head, day: Day) -> Vec<u8> {
        let log = &organization().roots[0];
        checkpoint::sign(self.instance, head, day, log).unwrap().to_bytes()
    }

    pub(crate) fn publish(&mut self, manifest: &Manifest) {
        self.publish_note(manifest.epoch, manifest.version, manifest.to_bytes());
    }

    pub(crate) fn publish_note(&mut self, epoch: Epoch, version: u32, note: Vec<u8>) {
        self.manifests.push((epoch, version, note));
    }

    /// Takes a report in this week.
    pub(crate) fn accept(&mut self, ciphertext: Vec<u8>) {
        self.accept_in(organization().epoch, ciphertext);
    }

    pub(crate) fn accept_in(&mut self, epoch: Epoch, ciphertext: Vec<u8>) {
        self.accept_on(epoch.opens(), epoch, ciphertext);
    }

    pub(crate) fn accept_on(&mut self, day: Day, epoch: Epoch, ciphertext: Vec<u8>) {
        assert!(ciphertext.len().is_power_of_two());
        let leaf = Leaf {
            digest: Digest::of(&ciphertext),
            epoch,
            day,
            log2_size: u8::try_from(ciphertext.len().ilog2()).unwrap(),
        };
        self.leaves.push(leaf);
        self.reports.push((leaf.digest, ciphertext));
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bundle = BundleWriter::new(Vec::new());
        bundle.charter(self.chain.as_bytes()).unwrap();
        let signed = self.day.map(|day| self.sign(self.tree().head(), day));
        if let Some(checkpoint) = self.checkpoint.as_ref().or(signed.as_ref()) {
            bundle.checkpoint(checkpoint).unwrap();
        }
        let from = self.from.unwrap_or(self.before.len() as u64);
        bundle.leaves(self.instance, from, &self.leaves).unwrap();
        for (epoch, version, note) in &self.manifests {
            bundle.manifest(*epoch, *version, note).unwrap();
        }
        for (index, note) in &self.orders {
            bundle.order(*index, note).unwrap();
        }
        for (name, receipt) in &self.canaries {
            bundle.canary(name, receipt).unwrap();
        }
        for (digest, body) in &self.reports {
            bundle.report(*digest, body.len() as u64, body.as_slice()).unwrap();
        }
        bundle.finish().unwrap()
    }

    pub(crate) fn write(&self, path: &Path) {
        File::create(path).unwrap().write_all(&self.bytes()).unwrap();
    }
}

// --- what a stranger would seal -------------------------------------------------------------------------------------

pub(crate) fn codename(seed: u8) -> Codename {
    Codename::from_entropy(SecretBytes::from([seed; 16]))
}

pub(crate) fn incident(narrative: &str) -> String {
    serde_json::json!({"narrative": narrative}).to_string().replacen(
        '{',
        r#"{"schema":"marram/incident/v1","reporter":{"role":"relative","language":"zh-Hans"},
           "target":{"home_country":{"country":"CN","subdivision":"CN-XJ"},"host_country":{"country":"TR"}},
           "relative":[{"relation":"parent","country":{"country":"CN"},"status":"held"}],
           "act":[{"method":"F01","date":"2026-03","victim":"relative[0]","demand":["return","silence"]}],
           "consent":{"store":true},"#,
        1,
    )
}

/// A report that is to be sealed.
pub(crate) struct Told {
    pub(crate) codename: u8,
    pub(crate) continues: bool,
    pub(crate) incident: String,
    pub(crate) attachments: Vec<Vec<u8>>,
}

impl Told {
    pub(crate) fn new(narrative: &str) -> Self {
        Self {
            codename: CODENAME,
            continues: false,
            incident: incident(narrative),
            attachments: vec![],
        }
    }

    pub(crate) fn seal(&self, target: &Target) -> Vec<u8> {
        let measured: Vec<_> = self
            .attachments
            .iter()
            .map(|bytes| Measure::of(bytes.as_slice()).unwrap())
            .collect();
        let content = Content {
            continues: self.continues,
            answers: [("heard".to_owned(), "from a friend".to_owned())].into(),
            incident: RawValue::from_string(self.incident.clone()).unwrap(),
        };
        let draft = Draft::new(target, &codename(self.codename), content, &measured).unwrap();
        let mut sealed = Vec::new();
        let open = |index: usize| Ok(Box::new(io::Cursor::new(self.attachments[index].clone())) as Box<dyn Read>);
        draft.seal(&mut sealed, open).unwrap();
        sealed
    }
}

/// This week's first manifest.
pub(crate) fn target() -> Target {
    let organization = organization();
    Target::from(&organization.manifest(organization.epoch, 1))
}

pub(crate) fn sealed(narrative: &str) -> Vec<u8> {
    Told::new(narrative).seal(&target())
}

/// The recipients of this week's slots.
pub(crate) fn recipients() -> Vec<Recipient> {
    let slots = organization().slots(organization().epoch);
    slots.into_iter().map(|slot| slot.recipient).collect()
}

/// The fields of `report.json`, as an honest program writes them.
pub(crate) fn report_json(narrative: &str) -> String {
    let target = organization().manifest(organization().epoch, 1);
    let codename = codename(CODENAME);
    let reply_key = serde_json::to_string(&codename.reply_key()).unwrap();
    format!(
        r#"{{"type":"marram/report/v1","instance":"{}","epoch":{},"manifest":"{}","codename_key":"{}","reply_key":{reply_key},"continues":false,"attachments":[],"answers":{{}},"incident":{}}}"#,
        target.instance,
        target.epoch,
        target.hash(),
        codename.signing_key().public(),
        incident(narrative),
    )
}

/// One entry of a payload, or bytes as they are.
pub(crate) enum Part<'a> {
    Entry(&'a str, &'a [u8]),
    /// An entry that says another length than it has.
    Lying(&'a str, u64, &'a [u8]),
    Raw(&'a [u8]),
}

/// Seals any payload to exactly one bucket, as only an attacker would.
pub(crate) fn seal_parts(recipients: &[Recipient], size: u64, parts: &[Part<'_>]) -> Vec<u8> {
    let mut payload = Vec::new();
    for part in parts {
        let (path, len, bytes) = match part {
            Part::Raw(bytes) => {
                payload.extend_from_slice(bytes);
                continue;
            }
            Part::Entry(path, bytes) => (*path, bytes.len() as u64, *bytes),
            Part::Lying(path, len, bytes) => (*path, *len, *bytes),
        };
        let entry = Entry::new(path, len);
        payload.extend_from_slice(&entry.header().unwrap());
        payload.extend_from_slice(bytes);
        payload.resize(payload.len().next_multiple_of(512), 0);
    }
    loop {
        let output = Shared::default();
        let encryptor = age::Encryptor::with_recipients(recipients.iter().map(|recipient| recipient as _)).unwrap();
        let mut writer = encryptor.wrap_output(output.clone()).unwrap();
        let header_len = output.0.borrow().len() as u64;
        // Rarely no fill gives the exact length: another header has another length.
        if let Some(payload_len) = bucket::payload_len(size - header_len) {
            payload.resize(usize::try_from(payload_len).unwrap(), 0);
            writer.write_all(&payload).unwrap();
            writer.finish().unwrap();
            return output.0.take();
        }
    }
}

#[derive(Clone, Default)]
struct Shared(Rc<RefCell<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
