//! A real `marram-server` process of an [`Organization`], and the requests that strangers and couriers make of it.

use std::{
    ffi::OsString,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, PoisonError},
    thread::JoinHandle,
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
    environment: Vec<(String, OsString)>,
    process: Process,
    /// `http://127.0.0.1:PORT`
    pub base: String,
}

/// A process, and what it says on its standard error while it runs.
#[derive(Debug)]
struct Process {
    child: Child,
    said: Arc<Mutex<String>>,
    /// Reads on, or the server would wait for room in the pipe.
    reader: Option<JoinHandle<()>>,
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
        Self::run(data, log, Vec::new()).unwrap_or_else(|said| panic!("the server ended: {said}"))
    }

    /// Starts a server on a copy of this server's data folder, which may lie anywhere: its configuration is made to name
    /// that place.
    ///
    /// # Errors
    /// What the server said, if it did not start.
    pub fn on_a_copy(&self, data: &Path) -> Result<Self, String> {
        let config = data.join("marram-server.toml");
        let text = std::fs::read_to_string(&config).unwrap();
        let here = format!("data_dir = \"{}\"", data.display());
        let moved = text.lines().map(|line| match line {
            line if line.starts_with("data_dir = ") => &here,
            line => line,
        });
        std::fs::write(&config, moved.collect::<Vec<_>>().join("\n")).unwrap();
        Self::run(data.to_owned(), self.log, Vec::new())
    }

    fn run(data: PathBuf, log: PublicKey, environment: Vec<(String, OsString)>) -> Result<Self, String> {
        let (process, base) = Process::start(&data, &environment)?;
        Ok(Self {
            folder: data,
            log,
            environment,
            process,
            base,
        })
    }

    /// Gives it a variable of the environment, from the next start on.
    pub fn set_environment(&mut self, name: &str, value: impl Into<OsString>) {
        self.environment.push((name.to_owned(), value.into()));
    }

    /// Its data folder.
    pub fn data(&self) -> &Path {
        &self.folder
    }

    /// The number of its process.
    pub fn process_id(&self) -> u32 {
        self.process.child.id()
    }

    /// What it has logged since its last start; after its end, all of it.
    pub fn said(&self) -> String {
        self.process.said.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Ends it as a power switch would end the process: at once, whatever it does.
    pub fn kill(&mut self) {
        self.process.child.kill().unwrap();
        self.process.end();
    }

    /// Asks it to stop (SIGTERM), as a system does, and waits until it has.
    pub fn stop(&mut self) {
        self.ask_to_stop();
        assert!(self.ends(), "{}", self.said());
    }

    /// Asks it to stop (SIGTERM), as a system does.
    pub fn ask_to_stop(&self) {
        programs::succeeds(Command::new("kill").arg(self.process_id().to_string()));
    }

    /// Waits for its end, and says whether it was a good one.
    pub fn ends(&mut self) -> bool {
        self.process.end()
    }

    /// Starts it again.
    pub fn start(&mut self) {
        self.try_start()
            .unwrap_or_else(|said| panic!("the server ended: {said}"));
    }

    /// Starts it again.
    ///
    /// # Errors
    /// What it said, if it ended instead.
    pub fn try_start(&mut self) -> Result<(), String> {
        (self.process, self.base) = Process::start(&self.folder, &self.environment)?;
        Ok(())
    }

    /// What `/healthz` answers: the status, and the body.
    pub fn health(&self) -> (u16, String) {
        let said = self.said();
        let address = said.split("health=\"").nth(1).unwrap().split('"').next().unwrap();
        let agent = ureq::Agent::config_builder().http_status_as_error(false).build();
        let answer = ureq::Agent::new_with_config(agent).get(format!("http://{address}/healthz"));
        let mut answer = answer.call().unwrap();
        (answer.status().as_u16(), answer.body_mut().read_to_string().unwrap())
    }

    /// Publishes a note at `/v1/manifest` or `/v1/charter`.
    pub fn put(&self, route: &str, note: &[u8]) {
        ureq::put(format!("{}{route}", self.base)).send(note).unwrap();
    }

    /// A courier's signed GET.
    pub fn get_as_courier(&self, courier: &SigningKey, instance: InstanceId, path: &str, query: &str) -> Vec<u8> {
        self.try_get_as_courier(courier, instance, path, query).unwrap()
    }

    /// A courier's signed GET.
    ///
    /// # Errors
    /// No answer, or one that is no success.
    pub fn try_get_as_courier(
        &self,
        courier: &SigningKey,
        instance: InstanceId,
        path: &str,
        query: &str,
    ) -> Result<Vec<u8>, ureq::Error> {
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
            .call()?;
        answer.body_mut().with_config().limit(1 << 32).read_to_vec()
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

impl Process {
    fn start(data: &Path, environment: &[(String, OsString)]) -> Result<(Self, String), String> {
        let mut child = Command::new(programs::path("marram-server"))
            .args(["run", "--config"])
            .arg(data.join("marram-server.toml"))
            .envs(environment.iter().cloned())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let mut start = String::new();
        while !start.contains("listen=\"") {
            if log.read_line(&mut start).unwrap() == 0 {
                child.wait().unwrap();
                return Err(start);
            }
        }
        let address = start.split("listen=\"").nth(1).unwrap().split('"').next().unwrap();
        let base = format!("http://{address}");
        let said = Arc::new(Mutex::new(start));
        let shared = Arc::clone(&said);
        let reader = std::thread::spawn(move || {
            let mut line = String::new();
            while log.read_line(&mut line).is_ok_and(|len| len > 0) {
                shared.lock().unwrap_or_else(PoisonError::into_inner).push_str(&line);
                line.clear();
            }
        });
        let process = Self {
            child,
            said,
            reader: Some(reader),
        };
        Ok((process, base))
    }

    fn end(&mut self) -> bool {
        let success = self.child.wait().is_ok_and(|status| status.success());
        if let Some(reader) = self.reader.take() {
            drop(reader.join());
        }
        success
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.kill());
        self.end();
    }
}
