//! The program itself: real processes, real signals.

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../harness/mod.rs"]
mod harness;
mod kills;

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    os::unix::{fs::PermissionsExt, net::UnixStream},
    path::Path,
    process::{Child, Command, Output, Stdio},
    sync::{Arc, Mutex},
    thread::JoinHandle,
    time::{SystemTime, UNIX_EPOCH},
};

use harness::{Organization, contains, files_in, on_free_ports, sealed, send, send_raw};
use marram_crypto::{
    day::{Day, Epoch},
    digest::Digest,
    fingerprint::Digits,
    key::PublicKey,
    manifest::Manifest,
    receipt::UntrustedReceipt,
};
use marram_server::{
    config::Config,
    log_key,
    store::{Embedded, Settings},
};
use rustix::process::{Pid, Signal, kill_process};

fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_marram-server"))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Runs `init` in `folder/data`.
fn init(folder: &Path, organization: &Organization, fingerprint: &str) -> Output {
    let charter = folder.join("charter");
    fs::write(&charter, organization.chain.to_json()).unwrap();
    let mut init = program();
    init.arg("init")
        .arg("--data")
        .arg(folder.join("data"))
        .arg("--charter")
        .arg(charter);
    if !fingerprint.is_empty() {
        init.arg("--fingerprint").arg(fingerprint);
    }
    init.stdin(Stdio::null()).output().unwrap()
}

struct Process {
    child: Child,
    address: SocketAddr,
    log: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
}

impl Process {
    fn start(config: &Path) -> Self {
        let mut child = program()
            .arg("run")
            .arg("--config")
            .arg(config)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut log = String::new();
        while !log.contains("listen=") {
            assert_ne!(stderr.read_line(&mut log).unwrap(), 0, "the server ended: {log}");
        }
        let address = log.split("listen=\"").nth(1).unwrap().split('"').next().unwrap();
        let address = address.parse().unwrap_or(SocketAddr::from(([127, 0, 0, 1], 0)));
        let log = Arc::new(Mutex::new(log));
        let shared = Arc::clone(&log);
        let reader = std::thread::spawn(move || {
            let mut rest = String::new();
            stderr.read_to_string(&mut rest).unwrap();
            shared.lock().unwrap().push_str(&rest);
        });
        Self {
            child,
            address,
            log,
            reader: Some(reader),
        }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for the end. Returns the whole log.
    fn end(mut self) -> (bool, String) {
        let success = self.child.wait().unwrap().success();
        self.reader.take().unwrap().join().unwrap();
        let log = self.log.lock().unwrap().clone();
        (success, log)
    }

    fn terminate(self) -> String {
        self.signal(Signal::TERM);
        let (success, log) = self.end();
        assert!(success, "{log}");
        log
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

struct Installed {
    folder: tempfile::TempDir,
    organization: Organization,
    manifest: Manifest,
    log_key: PublicKey,
}

impl Installed {
    /// An initialized server that has today's manifest. Gives back the process that took it.
    fn new(config: impl FnOnce(String) -> String) -> (Self, Process) {
        let folder = tempfile::tempdir().unwrap();
        let organization = Organization::found();
        let fingerprint = organization.chain.newest().fingerprint();
        let made = init(folder.path(), &organization, &fingerprint.to_string());
        assert!(made.status.success(), "{}", text(&made.stderr));
        let path = folder.path().join("data/marram-server.toml");
        fs::write(&path, config(on_free_ports(&fs::read_to_string(&path).unwrap()))).unwrap();
        let log_key = log_key::read(&folder.path().join("data/log.key")).unwrap().public();
        assert!(text(&made.stdout).contains(&log_key.to_string()));
        let manifest = organization.sign(&organization.draft(today_epoch(), 1, log_key));
        let installed = Self {
            folder,
            organization,
            manifest,
            log_key,
        };
        let process = installed.start();
        send(
            process.address,
            "PUT",
            "/v1/manifest",
            "",
            &installed.manifest.to_bytes(),
        )
        .expect(201);
        (installed, process)
    }

    fn data(&self) -> std::path::PathBuf {
        self.folder.path().join("data")
    }

    fn start(&self) -> Process {
        Process::start(&self.data().join("marram-server.toml"))
    }
}

fn today_epoch() -> Epoch {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    Epoch::of(Day::from_unix_seconds(now)).unwrap()
}

/// Whether a report was acknowledged.
fn submit(address: SocketAddr, report: &[u8]) -> bool {
    post(address, &format!("/v1/reports?epoch={}", today_epoch()), report)
}

/// Whether it was taken; a server that dies answers nothing.
fn post(address: SocketAddr, path: &str, body: &[u8]) -> bool {
    let Ok(mut stream) = TcpStream::connect(address) else {
        return false;
    };
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let mut answer = Vec::new();
    let sent = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
    sent.is_ok() && stream.read_to_end(&mut answer).is_ok() && answer.starts_with(b"HTTP/1.1 20")
}

#[test]
fn init_believes_only_the_fingerprint_the_operator_was_told() {
    let organization = Organization::found();
    let fingerprint = organization.chain.newest().fingerprint();
    let digits = Digits::of(&fingerprint).to_string();
    let other = Organization::found().chain.newest().fingerprint();
    for (told, taken) in [
        (fingerprint.to_string(), true),
        (digits, true),
        (format!("https://example.org/#{fingerprint}"), true),
        (other.to_string(), false),
        (Digits::of(&other).to_string(), false),
        ("12345".to_owned(), false),
        // Nobody to ask.
        (String::new(), false),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let made = init(folder.path(), &organization, &told);
        assert_eq!(made.status.success(), taken, "{told}: {}", text(&made.stderr));
        assert_eq!(folder.path().join("data/log.key").exists(), taken);
        if taken {
            let again = init(folder.path(), &organization, &told);
            assert!(
                text(&again.stderr).contains("there already"),
                "a second server never takes over a folder"
            );
            let config = folder.path().join("data/marram-server.toml");
            let checked = program()
                .arg("check-config")
                .arg("--config")
                .arg(&config)
                .output()
                .unwrap();
            assert!(checked.status.success(), "{}", text(&checked.stderr));
        }
    }
}

#[test]
fn check_config_names_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("marram-server.toml");
    let sample = Config::sample(folder.path(), Digest::of(b"x")).unwrap();
    for (text_of_config, wrong) in [(sample.replace("listen", "listne"), "listne"), (sample, "log key")] {
        fs::write(&config, text_of_config).unwrap();
        let checked = program()
            .arg("check-config")
            .arg("--config")
            .arg(&config)
            .output()
            .unwrap();
        assert!(!checked.status.success());
        assert!(text(&checked.stderr).contains(wrong), "{}", text(&checked.stderr));
    }
}

#[test]
fn sigterm_finishes_what_is_under_way_and_leaves_a_clean_store() {
    let (installed, process) = Installed::new(|config| config);
    let report = sealed(&installed.manifest, 0);
    let mut under_way = TcpStream::connect(process.address).unwrap();
    let head = format!(
        "POST /v1/reports?epoch={} HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: {}\r\n\r\n",
        today_epoch(),
        report.len()
    );
    under_way.write_all(head.as_bytes()).unwrap();
    let mut go_on = [0; 25];
    under_way.read_exact(&mut go_on).unwrap();
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
    under_way.write_all(&report[..20_000]).unwrap();
    process.signal(Signal::TERM);
    under_way.write_all(&report[20_000..]).unwrap();
    let receipt = harness::read_answer(under_way).expect(201);
    UntrustedReceipt::parse(&receipt.body)
        .unwrap()
        .verify(installed.organization.chain.instance(), &installed.log_key)
        .unwrap();
    let (success, log) = process.end();
    assert!(success, "{log}");
    assert!(log.contains("stopped"), "{log}");
    assert!(installed.data().join("store/clean").exists());
    let store = Embedded::open(&installed.data().join("store"), Settings::default()).unwrap();
    assert!(!store.rebuilt());
}

#[test]
fn two_servers_never_run_on_one_folder() {
    let (installed, process) = Installed::new(|config| config);
    let second = program()
        .arg("run")
        .arg("--config")
        .arg(installed.data().join("marram-server.toml"))
        .output()
        .unwrap();
    assert!(!second.status.success());
    assert!(
        text(&second.stderr).contains("another marram-server"),
        "{}",
        text(&second.stderr)
    );
    process.terminate();
}

#[test]
fn memory_stays_flat_whatever_comes() {
    let (installed, process) = Installed::new(|config| config);
    let report = sealed(&installed.manifest, 3_000_000);
    assert_eq!(report.len(), 4 << 20);
    std::thread::scope(|scope| {
        for submitter in 0..16_u8 {
            let (mut report, address) = (report.clone(), process.address);
            scope.spawn(move || {
                for n in 0..8 {
                    let end = report.len();
                    report[end - 2..].copy_from_slice(&[submitter, n]);
                    assert!(submit(address, &report));
                }
            });
        }
    });
    let status = fs::read_to_string(format!("/proc/{}/status", process.child.id())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let peak_kib: u32 = peak.trim().strip_suffix(" kB").unwrap().parse().unwrap();
    eprintln!("512 MiB came, 16 at a time; the most memory ever used was {peak_kib} KiB");
    assert!(peak_kib < 64 << 10);
    process.terminate();
}

#[test]
fn no_level_of_logging_and_no_file_shows_who_came_or_what_they_sent() {
    let (installed, process) =
        Installed::new(|config| config.replace("#log_level = \"info\"", "log_level = \"trace\""));
    let secret = "PLANTED7f3a";
    let epoch = today_epoch();
    let headers = format!("User-Agent: {secret}\r\nX-Forwarded-For: 203.0.113.77\r\nCookie: {secret}\r\n");
    let target = format!("/v1/reports?epoch={epoch}&name={secret}");
    let report = sealed(&installed.manifest, 0);
    send(process.address, "POST", &target, &headers, &report).expect(201);
    let mut plaintext = secret.repeat(report.len() / secret.len() + 1).into_bytes();
    plaintext.truncate(report.len());
    send(process.address, "POST", &target, &headers, &plaintext).expect(422);
    send(process.address, "PUT", "/v1/manifest", &headers, &plaintext).expect(422);
    send(process.address, "GET", &format!("/{secret}"), &headers, b"").expect(404);
    send(
        process.address,
        "GET",
        &format!("/v1/log/leaves?from={secret}"),
        &headers,
        b"",
    )
    .expect(401);
    drop(harness::begin(
        process.address,
        epoch,
        report.len(),
        &plaintext[..10_000],
    ));
    let mut malformed = TcpStream::connect(process.address).unwrap();
    malformed
        .write_all(format!("{secret} \x01\r\n\r\n").as_bytes())
        .unwrap();
    let client = malformed.local_addr().unwrap().port().to_string();
    let _ = malformed.read_to_end(&mut Vec::new());
    let head = format!("POST {target} HTTP/1.1\r\nHost: {secret}\r\nContent-Length: x\r\n\r\n");
    send_raw(process.address, &head, b"");

    let listens = process.address.to_string();
    let log = process.terminate();
    assert!(log.contains("started"), "the log was captured");
    let log = log.replace(&listens, "");
    for needle in [
        secret,
        "203.0.113.77",
        client.as_str(),
        &Digest::of(&report).to_string(),
    ] {
        assert!(!log.contains(needle), "{needle} in {log}");
    }
    // Days, and nothing finer.
    for line in log.lines() {
        let (day, rest) = line.split_at_checked(10).unwrap();
        assert!(day.parse::<marram_crypto::day::Day>().is_ok(), "{line}");
        let level = rest.split_whitespace().next().unwrap();
        assert!(["ERROR", "WARN", "INFO", "DEBUG", "TRACE"].contains(&level), "{line}");
        assert!(rest.starts_with(' '), "{line}");
        let shape: Vec<u8> = line
            .bytes()
            .map(|byte| if byte.is_ascii_digit() { b'0' } else { byte })
            .collect();
        assert!(!shape.windows(8).any(|part| part == b"00:00:00"), "{line}");
    }
    for needle in [secret.as_bytes(), b"203.0.113.77"] {
        assert_eq!(contains(&installed.data(), needle), None);
    }
    for file in files_in(&installed.data()) {
        let mode = fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{} can be read by others", file.display());
    }
}

#[test]
fn a_unix_socket_serves_too_and_is_removed() {
    let folder = tempfile::tempdir().unwrap();
    let organization = Organization::found();
    init(
        folder.path(),
        &organization,
        &organization.chain.newest().fingerprint().to_string(),
    );
    let path = folder.path().join("data/marram-server.toml");
    let socket = folder.path().join("socket");
    let config = fs::read_to_string(&path).unwrap();
    let config = config.replacen("127.0.0.1:8080", &format!("unix:{}", socket.display()), 1);
    fs::write(&path, on_free_ports(&config)).unwrap();
    // What a killed server leaves does not stop the next.
    drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
    let process = Process::start(&path);
    let mut stream = UnixStream::connect(&socket).unwrap();
    stream
        .write_all(b"GET /v1/charter HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.ends_with(&organization.chain.to_json()), "{answer}");
    process.terminate();
    assert!(!socket.exists());
}

#[test]
fn the_server_knows_nothing_of_what_a_report_says() {
    let tree = Command::new(env!("CARGO"))
        .args([
            "tree",
            "--offline",
            "--package",
            "marram-server",
            "--edges",
            "normal,build",
            "--prefix",
            "none",
        ])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let tree = text(&tree.stdout);
    assert!(tree.contains("marram-crypto"), "{tree}");
    assert!(!tree.contains("marram-incident"), "{tree}");
}
