//! An organization, its server, and somebody who reports to it.

use std::{
    fs,
    io::{Read as _, Write as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
};

use marram_crypto::{
    board::{self, Answer, AnswerId, Composition, Header, Salt, Shard, UntrustedBoard},
    codename::{Codename, WordList},
    day::{Day, Epoch},
    digest::Digest,
    key::SigningKey,
    manifest::{Contact, Draft},
    open::{self, Opened},
    payload::Attachments,
    seal::Target,
};
use marram_online::{
    clock::today,
    testing::{Reply, Request, Responder, Site},
};
use marram_tests::organization::{Organization, rng};
use secrecy::ExposeSecret as _;

/// Stands in every report; must stand nowhere on a disk.
pub(crate) const SECRET: &str = "they came for my aunt at the third well";

/// The folder of somebody who reports, and whom they report to.
pub(crate) struct World {
    pub(crate) organization: Organization,
    pub(crate) draft: Draft,
    pub(crate) desk: Desk,
    pub(crate) site: Arc<Mutex<Site>>,
    pub(crate) server: Responder,
    folder: tempfile::TempDir,
}

/// What came of running the program.
pub(crate) struct Run {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    success: bool,
}

/// Attachments in memory.
#[derive(Default)]
pub(crate) struct Kept(pub(crate) Vec<Vec<u8>>);

impl Attachments for Kept {
    fn begin(&mut self, _: usize, _: u64) -> std::io::Result<()> {
        self.0.push(Vec::new());
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.0.last_mut().unwrap().extend_from_slice(bytes);
        Ok(())
    }
}

impl World {
    pub(crate) fn new() -> Self {
        Self::hostile(|_, _, _| None)
    }

    /// Where `instead` gives a reply, it takes the place of the honest one.
    pub(crate) fn hostile(instead: impl FnMut(&Request, &Reply, &mut Site) -> Option<Reply> + Send + 'static) -> Self {
        Self::cutting(|_| None, instead)
    }

    /// Where `cut` gives a number, the server closes the connection after so many bytes of the body.
    pub(crate) fn cutting(
        cut: impl FnMut(&Request) -> Option<usize> + Send + 'static,
        mut instead: impl FnMut(&Request, &Reply, &mut Site) -> Option<Reply> + Send + 'static,
    ) -> Self {
        let organization = Organization::found();
        let log = SigningKey::random(&mut rng());
        let desk = Desk::of(Epoch::of(today()).unwrap());
        let mut draft = Draft {
            log: log.public(),
            contacts: vec![
                Contact {
                    locale: Some("en".parse().unwrap()),
                    text: "In danger now? Call 112".into(),
                },
                Contact {
                    locale: Some("tr".parse().unwrap()),
                    text: "Tehlikede misiniz? 155".into(),
                },
            ],
            questions: vec![
                r#"{"id":"how_found","kind":"choice","text":{"en":"How did you find us?"},"choices":[{"code":"friend","text":{"en":"A friend"}},{"code":"news","text":{"en":"The news"}}]}"#
                    .parse()
                    .unwrap(),
            ],
            ..organization.draft(Epoch::of(today()).unwrap(), 1 << 20)
        };
        draft.slots[0].signer = desk.this_week.public();
        let manifest = organization.signed(&draft).to_bytes();
        let site = Arc::new(Mutex::new(Site::new(&organization.chain, manifest, log)));
        let shared = Arc::clone(&site);
        let server = Responder::start_cutting(cut, move |request| {
            let mut site = shared.lock().unwrap();
            let honest = site.answer(request);
            instead(request, &honest, &mut site).unwrap_or(honest)
        });
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("tmp")).unwrap();
        fs::create_dir(folder.path().join("home")).unwrap();
        let world = Self {
            organization,
            draft,
            desk,
            site,
            server,
            folder,
        };
        world.write("incident.json", incident("[]"));
        world
    }

    pub(crate) fn link(&self) -> String {
        self.server.link(self.organization.chain.pinned())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.path(name), bytes).unwrap();
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_marram-submit"));
        command
            .args(args)
            .current_dir(self.folder.path())
            .env_clear()
            .env("LANG", "en_US.UTF-8")
            .env("TMPDIR", self.path("tmp"))
            .env("HOME", self.path("home"));
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Run {
        let output = self.command(args).stdin(Stdio::null()).output().unwrap();
        Run {
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
            success: output.status.success(),
        }
    }

    /// Sends `incident.json`.
    pub(crate) fn submit(&self, more: &[&str]) -> Run {
        let link = self.link();
        self.run(&[&["--json", &link, "--incident", "incident.json"], more].concat())
    }

    pub(crate) fn spawn(&self, args: &[&str]) -> Child {
        let mut command = self.command(args);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command.spawn().unwrap()
    }

    /// The one report that the server has.
    pub(crate) fn received(&self) -> Vec<u8> {
        let site = self.site.lock().unwrap();
        assert_eq!(site.reports.len(), 1);
        site.reports.values().next().unwrap().clone()
    }

    /// Opens a report as the second caseworker.
    pub(crate) fn open(&self, ciphertext: &[u8]) -> (Opened, Kept) {
        let manifest = self.organization.signed(&self.draft);
        let mut kept = Kept::default();
        let identity = &self.organization.caseworkers[1];
        let opened = open::open(ciphertext, &Target::from(&manifest), identity, &mut kept).unwrap();
        opened.wholly_sealed(&Target::from(&manifest)).unwrap();
        (opened, kept)
    }

    /// Every file below the folders for temporary files and for the home, with its content.
    pub(crate) fn left_behind(&self) -> Vec<(PathBuf, Vec<u8>)> {
        ["tmp", "home"]
            .iter()
            .flat_map(|folder| files(&self.path(folder)))
            .collect()
    }
}

impl Run {
    pub(crate) fn succeeded(self) -> Self {
        assert!(self.success, "{}", self.stderr);
        self
    }

    pub(crate) fn failed(&self) -> &str {
        assert!(!self.success, "it did not fail: {}", self.stdout);
        &self.stderr
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap()
    }

    pub(crate) fn codename(&self) -> Codename {
        Codename::from_words(self.json()["codename"].as_str().unwrap()).unwrap()
    }
}

/// An incident with this list of evidence.
pub(crate) fn incident(evidence: &str) -> String {
    format!(
        r#"{{"schema":"marram/incident/v1","reporter":{{"role":"relative","language":"en"}},
            "evidence":{evidence},"consent":{{"store":true}},"narrative":"{SECRET}"}}"#
    )
}

/// Writes bytes into a pipe whose other end a child can be given.
pub(crate) fn pipe_with(bytes: &[u8]) -> std::io::PipeReader {
    let (reader, mut writer) = std::io::pipe().unwrap();
    writer.write_all(bytes).unwrap();
    reader
}

fn files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            let mut bytes = Vec::new();
            fs::File::open(&path).unwrap().read_to_end(&mut bytes).unwrap();
            found.push((path, bytes));
        }
    }
    found
}

/// Who makes the board: a caseworker with a slot in this week and the next.
pub(crate) struct Desk {
    pub(crate) epoch: Epoch,
    pub(crate) this_week: SigningKey,
    pub(crate) next_week: SigningKey,
}

impl Desk {
    pub(crate) fn of(epoch: Epoch) -> Self {
        let [this_week, next_week] = [0, 1].map(|_| SigningKey::random(&mut rng()));
        Self {
            epoch,
            this_week,
            next_week,
        }
    }

    /// A board of a day, on which so many reports of a codename are acknowledged, and these answers hang.
    pub(crate) fn board(
        &self,
        world: &World,
        day: Day,
        codename: &Codename,
        read: u32,
        answers: &[&str],
    ) -> UntrustedBoard {
        let (instance, shape) = (world.organization.chain.instance(), world.draft.board);
        let reply_key = codename.reply_key();
        let answers: Vec<Answer> = answers
            .iter()
            .map(|text| Answer::new(AnswerId::random(&mut rng()), day, (*text).to_owned()).unwrap())
            .collect();
        let composition = Composition {
            acknowledged: if read > 0 { vec![(&reply_key, read)] } else { vec![] },
            answers: answers.iter().map(|answer| (&reply_key, answer)).collect(),
        };
        let salt = Salt::random(&mut rng());
        let (image, left_out) = board::compose(shape, instance, salt, &composition, &mut rng());
        assert!(left_out.answers.is_empty());
        self.signed(world, day, Shard::of(&reply_key, shape), salt, image)
    }

    /// Signs an image for a shard.
    pub(crate) fn signed(&self, world: &World, day: Day, shard: Shard, salt: Salt, image: Vec<u8>) -> UntrustedBoard {
        let header = Header {
            instance: world.organization.chain.instance(),
            epoch: self.epoch,
            day,
            shard,
            salt,
            image: Digest::of(&image),
        };
        let signers = [&self.this_week, &self.next_week].map(|key| SigningKey::from_seed(&key.seed()));
        UntrustedBoard::sign(header, image, &signers).unwrap()
    }
}

impl World {
    /// Hangs a board in its shard.
    pub(crate) fn hangs(&self, board: &UntrustedBoard) {
        let shard = board.claims().shard.to_string();
        self.site.lock().unwrap().boards.insert(shard, board.to_bytes());
    }

    /// Polls with a codename, for programs.
    pub(crate) fn check(&self, codename: &Codename) -> Run {
        self.check_words(codename.words(WordList::English).expose_secret())
    }

    pub(crate) fn check_words(&self, words: &str) -> Run {
        self.polled(&["--json"], words)
    }

    /// Polls, and gives what a person reads, in one line.
    pub(crate) fn told(&self, codename: &Codename) -> String {
        let run = self.polled(&[], codename.words(WordList::English).expose_secret());
        run.succeeded().stdout.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    fn polled(&self, more: &[&str], words: &str) -> Run {
        let link = self.link();
        let mut command = self.command(&[more, &["check", &link, "--codename-fd", "0"]].concat());
        command.stdin(pipe_with(words.as_bytes()));
        let output = command.output().unwrap();
        Run {
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
            success: output.status.success(),
        }
    }
}
