//! A real `marram-server` process of an [`Organization`], and the requests that strangers and couriers make of it.

use std::{
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{SystemTime, UNIX_EPOCH},
};

use marram_crypto::{
    courier_request::{self, Request},
    day::{Day, Epoch},
    digest::Digest,
    instance::InstanceId,
    key::{PublicKey, SigningKey},
    leaf::Leaf,
};

use crate::{organization::Organization, programs};

/// A server's folder, and its process while it runs.
#[derive(Debug)]
pub struct Server {
    folder: PathBuf,
    /// Its log key.
    pub log: PublicKey,
    child: Child,
    /// `http://127.0.0.1:PORT`
    pub base: String,
}

/// The epoch of today.
pub fn this_epoch() -> Epoch {
    Epoch::of(Day::from_unix_seconds(now_unix_s())).unwrap()
}

fn now_unix_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

impl Server {
    /// Makes the folder `folder/server` and starts the server.
    pub fn init(folder: &Path, organization: &Organization) -> Self {
        let charter = folder.join("charter.json");
        std::fs::write(&charter, organization.chain.to_json()).unwrap();
        let data = folder.join("server");
        let said = programs::succeeds(
            programs::program("marram-server", folder)
                .args(["init", "--data"])
                .arg(&data)
                .arg("--charter")
                .arg(&charter)
                .args(["--fingerprint", &organization.chain.newest().fingerprint().to_string()]),
        );
        let log = said
            .lines()
            .find_map(|line| line.strip_prefix("log key: "))
            .unwrap()
            .parse()
            .unwrap();
        let config = data.join("marram-server.toml");
        let text = std::fs::read_to_string(&config).unwrap();
        let on_free_ports: String = text
            .lines()
            .map(|line| match line.split_once(" = ") {
                Some((name @ ("listen" | "health_listen"), _)) => format!("{name} = \"127.0.0.1:0\"\n"),
                _ => format!("{line}\n"),
            })
            .collect();
        std::fs::write(&config, on_free_ports).unwrap();
        let (child, base) = start(&data);
        Self {
            folder: data,
            log,
            child,
            base,
        }
    }

    /// Its data folder.
    pub fn data(&self) -> &Path {
        &self.folder
    }

    /// Ends it as a power switch would end the process: at once, whatever it does.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to stop (SIGTERM), as a system does, and waits until it has.
    pub fn stop(&mut self) {
        programs::succeeds(Command::new("kill").arg(self.child.id().to_string()));
        assert!(self.child.wait().unwrap().success());
    }

    /// Starts it again.
    pub fn start(&mut self) {
        (self.child, self.base) = start(&self.folder);
    }

    /// Publishes a note at `/v1/manifest` or `/v1/charter`.
    pub fn put(&self, route: &str, note: &[u8]) {
        ureq::put(format!("{}{route}", self.base)).send(note).unwrap();
    }

    /// A courier's signed GET.
    pub fn get_as_courier(&self, courier: &SigningKey, instance: InstanceId, path: &str, query: &str) -> Vec<u8> {
        let mut nonce = [0; courier_request::NONCE_LEN];
        getrandom::fill(&mut nonce).unwrap();
        let request = Request {
            method: "GET",
            path,
            query,
            body: Digest::of(b""),
        };
        let headers = courier_request::sign(request, courier, instance, now_unix_s(), nonce);
        let question = if query.is_empty() {
            String::new()
        } else {
            format!("?{query}")
        };
        let mut answer = ureq::get(format!("{}{path}{question}", self.base))
            .header("Content-Digest", headers.content_digest)
            .header("Signature-Input", headers.signature_input)
            .header("Signature", headers.signature)
            .call()
            .unwrap();
        answer.body_mut().with_config().limit(1 << 32).read_to_vec().unwrap()
    }

    /// Every leaf of the log, as a courier reads them.
    pub fn leaves(&self, organization: &Organization) -> Vec<Leaf> {
        let mut leaves = Vec::new();
        loop {
            let query = format!("from={}", leaves.len());
            let instance = organization.chain.instance();
            let page = self.get_as_courier(&organization.courier, instance, "/v1/log/leaves", &query);
            if page.is_empty() {
                return leaves;
            }
            leaves.extend(page.chunks(Leaf::LEN).map(|bytes| Leaf::from_bytes(bytes).unwrap()));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn start(data: &Path) -> (Child, String) {
    let mut child = Command::new(programs::path("marram-server"))
        .args(["run", "--config"])
        .arg(data.join("marram-server.toml"))
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap());
    let mut said = String::new();
    while !said.contains("listen=\"") {
        assert_ne!(log.read_line(&mut said).unwrap(), 0, "the server ended: {said}");
    }
    let address = said.split("listen=\"").nth(1).unwrap().split('"').next().unwrap();
    let base = format!("http://{address}");
    // Read on, or the server would wait for room in the pipe.
    std::thread::spawn(move || log.read_to_end(&mut Vec::new()));
    (child, base)
}
