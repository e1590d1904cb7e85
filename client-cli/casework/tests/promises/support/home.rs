//! The program, run in a caseworker's home, and what it says.

use std::{
    fs,
    io::Write as _,
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
};

use serde_json::Value;
use tempfile::TempDir;

use super::{PASSPHRASE, Server};

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

    pub(super) fn at(path: PathBuf) -> Self {
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
