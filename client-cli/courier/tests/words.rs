//! What the program says, word for word, in files that read like a terminal; and its manual.
//!
//! After a change of words: `TRYCMD=overwrite cargo test -p marram-courier --test words`, then read the difference.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    sync::{Arc, Mutex},
};

use marram_crypto::{day::Epoch, key::SigningKey};
use marram_online::{
    clock::today,
    testing::{Responder, Site},
};
use marram_tests::organization::{Organization, rng};

const PROGRAM: &str = env!("CARGO_BIN_EXE_marram-courier");

/// A link to a server that is not there: nothing listens on port 1.
const DEAD: &str = "http://127.0.0.1:1/#0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// Files and homes in which something is wrong.
fn fill(folder: &Path, organization: &Organization) {
    let home = |name: &str, file: &str, text: &str| {
        let home = folder.join(name);
        fs::create_dir(&home).unwrap();
        fs::set_permissions(&home, fs::Permissions::from_mode(0o700)).unwrap();
        fs::write(home.join(file), text).unwrap();
    };
    home("damaged-key", "courier.key", "garbage");
    home("damaged-state", "state.json", "{");
    home("damaged-leaves", "leaves", "garbage");
    fs::create_dir(folder.join("open-to-others")).unwrap();
    fs::set_permissions(folder.join("open-to-others"), fs::Permissions::from_mode(0o755)).unwrap();
    let this_week = Epoch::of(today()).unwrap();
    let manifest = organization.signed(&organization.draft(this_week, 1 << 20)).to_bytes();
    let text = String::from_utf8(manifest).unwrap();
    let one_signature = text.trim_end().rsplit_once('\n').unwrap().0;
    for (name, bytes) in [
        ("there.tar", b"precious".as_slice()),
        ("garbage", b"garbage\n"),
        ("garbage.json", b"[\"garbage\"]"),
        ("charter.json", organization.chain.to_json().as_bytes()),
        ("signed-once.manifest", format!("{one_signature}\n").as_bytes()),
        ("whole.manifest", text.as_bytes()),
        ("huge", &vec![b' '; 1_000_001]),
    ] {
        fs::write(folder.join(name), bytes).unwrap();
    }
}

#[test]
fn help_and_errors_are_as_written() {
    let folder = tempfile::tempdir().unwrap();
    let organization = Organization::found();
    fill(folder.path(), &organization);
    let site = Site::new(&organization.chain, vec![], SigningKey::random(&mut rng()));
    let site = Arc::new(Mutex::new(site));
    let server = Responder::start(move |request| site.lock().unwrap().answer(request));
    let link = server.link(organization.chain.pinned());
    let changed = if link.ends_with('0') { "1" } else { "0" };
    let strange = format!("{}{changed}", &link[..link.len() - 1]);
    marram_manual::testing::words(
        Path::new(PROGRAM),
        env!("CARGO_MANIFEST_DIR"),
        folder.path(),
        &[("DEAD", DEAD), ("LINK", &link), ("STRANGE", &strange)],
    );
}

#[test]
fn the_manual_is_whole_and_bash_completes_with_it() {
    marram_manual::testing::check(Path::new(PROGRAM), 1);
}
