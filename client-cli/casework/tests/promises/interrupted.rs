//! Imports that are cut off, and what they cost in memory.

use std::{
    fs,
    os::unix::process::ExitStatusExt as _,
    path::{Path, PathBuf},
    process::Child,
    time::Duration,
};

use serde_json::json;

use crate::support::{Home, Server, Told, organization, target, text};

/// Ten reports, each with 6 MiB: enough to be caught half way.
fn large() -> Server {
    let mut server = Server::new();
    for n in 0..10 {
        let mut told = Told::new(&format!("report {n}"));
        (told.codename, told.attachments) = (n, vec![vec![n; 6 << 20]]);
        server.accept(told.seal(&target()));
    }
    server
}

/// Waits until the program is in the middle of writing a report: `SQLite`'s journal is there.
fn wait_until_writing(home: &Home, child: &mut Child, after: usize) {
    let (journal, casebook) = (home.path.join("casebook-journal"), home.path.join("casebook"));
    let begun = |path: &std::path::Path| fs::metadata(path).is_ok_and(|found| found.len() > 0);
    while !(begun(&journal) && fs::metadata(&casebook).unwrap().len() > after as u64 * (6 << 20)) {
        assert!(
            child.try_wait().unwrap().is_none(),
            "it ended before it could be interrupted"
        );
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn signal(child: &Child, name: &str) {
    let id = child.id().to_string();
    assert!(
        std::process::Command::new("kill")
            .args(["-s", name, &id])
            .status()
            .unwrap()
            .success()
    );
}

#[test]
fn an_import_killed_half_way_and_run_again_ends_in_the_same_state() {
    let (control, home) = (organization().alice(), organization().alice());
    let server = large();
    control.import(&server);
    let expected = control.everything();

    let bundle = home.beside("bundle.tar");
    server.write(&bundle);
    for round in 1..=3 {
        let mut child = home.start(&["import", bundle.to_str().unwrap()]);
        wait_until_writing(&home, &mut child, 2 * round);
        signal(&child, "KILL");
        assert_eq!(child.wait().unwrap().signal(), Some(9));
        // What is there is whole.
        for report in home.json(&["list"])["reports"].as_array().unwrap() {
            assert_eq!(report["attachments"], 1);
        }
    }
    home.json(&["import", bundle.to_str().unwrap()]);
    assert_eq!(home.everything(), expected);
    assert_eq!(expected[1]["attachment_bytes"], json!(10 * (6 << 20)));
}

#[test]
fn ctrl_c_ends_an_import_and_leaves_nothing_half_written() {
    let home = organization().alice();
    let (server, bundle) = (large(), home.beside("bundle.tar"));
    server.write(&bundle);
    let mut child = home.start(&["import", bundle.to_str().unwrap()]);
    wait_until_writing(&home, &mut child, 1);
    signal(&child, "INT");
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", text(&output.stderr));
    assert!(!home.path.join("casebook-journal").exists());
    let status = home.json(&["status"]);
    assert_eq!(status["reports"], status["attachments"]);
    assert!(status["reports"].as_u64().unwrap() < 10, "{status}");
    home.json(&["import", bundle.to_str().unwrap()]);
    assert_eq!(home.json(&["status"])["reports"], 10);
}

/// A home with one report of 96 MiB, and its extraction, caught while a file is half written.
fn extracting_half_way() -> (Home, PathBuf, Child) {
    let home = organization().alice();
    let mut told = Told::new("two long recordings");
    told.attachments = vec![vec![3; 48 << 20], vec![4; 48 << 20]];
    let mut server = Server::new();
    server.accept(told.seal(&target()));
    home.import(&server);
    let folder = home.beside("out");
    let mut child = home.start(&["extract", "1", "--to", folder.to_str().unwrap()]);
    while !partials(&folder)
        .iter()
        .any(|path| fs::metadata(path).is_ok_and(|found| found.len() > 0))
    {
        assert!(
            child.try_wait().unwrap().is_none(),
            "it ended before it could be interrupted"
        );
        std::thread::sleep(Duration::from_millis(1));
    }
    (home, folder, child)
}

fn partials(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "partial"));
    paths
}

#[test]
fn plaintext_that_a_killed_extract_left_is_swept_and_named_by_the_next() {
    let (home, folder, mut child) = extracting_half_way();
    signal(&child, "KILL");
    assert_eq!(child.wait().unwrap().signal(), Some(9));
    let left = partials(&folder);
    assert_eq!(left.len(), 1);
    let name = left[0].file_name().unwrap().to_str().unwrap();
    // Neither a stranger's file nor what a link points to is touched.
    let (stranger, target) = (folder.join("notes.partial"), folder.join("notes"));
    fs::write(&stranger, "mine").unwrap();
    fs::write(&target, "mine").unwrap();
    std::os::unix::fs::symlink(&target, folder.join(".marram-link.partial")).unwrap();
    for done in ["01-attachment", "02-attachment"] {
        // The first may have been finished.
        let _ = fs::remove_file(folder.join(done));
    }
    let output = home.run(&["extract", "1", "--to", folder.to_str().unwrap()]);
    let said = text(&output.stderr);
    assert!(
        output.status.success() && said.contains("cut off") && said.contains(name),
        "{said}"
    );
    assert!(!left[0].exists());
    assert_eq!(
        (fs::read(&stranger).unwrap(), fs::read(&target).unwrap()),
        (b"mine".to_vec(), b"mine".to_vec())
    );
}

#[test]
fn ctrl_c_ends_an_extract_and_leaves_nothing_half_written() {
    let (_home, folder, child) = extracting_half_way();
    signal(&child, "INT");
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", text(&output.stderr));
    assert_eq!(partials(&folder), Vec::<PathBuf>::new());
}

#[test]
fn memory_stays_flat_for_an_attachment_of_64_mib() {
    let home = organization().alice();
    let mut told = Told::new("a long recording");
    told.attachments = vec![vec![3; 64 << 20]];
    let mut server = Server::new();
    server.accept(told.seal(&target()));
    let bundle = home.beside("bundle.tar");
    server.write(&bundle);
    drop((server, told));

    let importing = peak(home.start(&["import", bundle.to_str().unwrap()]));
    let folder = home.beside("out");
    let extracting = peak(home.start(&["extract", "1", "--to", folder.to_str().unwrap()]));
    assert!(
        importing < 64 << 10 && extracting < 64 << 10,
        "{importing} KiB to import, {extracting} KiB to extract"
    );
    assert_eq!(fs::metadata(folder.join("01-attachment")).unwrap().len(), 64 << 20);
}

/// The most memory the program ever had, in KiB.
fn peak(mut child: Child) -> u64 {
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    let ended = loop {
        if let Some(line) = fs::read_to_string(&status)
            .unwrap_or_default()
            .lines()
            .find(|line| line.starts_with("VmHWM:"))
        {
            peak = line.split_whitespace().nth(1).unwrap().parse().unwrap();
        }
        if let Some(ended) = child.try_wait().unwrap() {
            break ended;
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    assert!(ended.success() && peak > 0);
    peak
}
