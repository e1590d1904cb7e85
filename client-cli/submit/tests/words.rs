//! What the program says, word for word, in files that read like a terminal; and its manual.
//!
//! After a change of words: `TRYCMD=overwrite cargo test -p marram-submit --test words`, then read the difference.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::{
    fs,
    path::Path,
    sync::{Arc, Mutex},
};

use marram_crypto::{day::Epoch, key::SigningKey};
use marram_online::{
    clock::today,
    testing::{Reply, Responder, Site},
};
use marram_tests::organization::{Organization, rng};

const PROGRAM: &str = env!("CARGO_BIN_EXE_marram-submit");

/// A link to a server that is not there: nothing listens on port 1.
const DEAD: &str = "http://127.0.0.1:1/#0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

#[test]
fn help_and_errors_are_as_written() {
    let folder = tempfile::tempdir().unwrap();
    let organization = Organization::found();
    let this_week = Epoch::of(today()).unwrap();
    let manifest = |epoch| organization.signed(&organization.draft(epoch, 1 << 20)).to_bytes();
    let incident = r#"{"schema":"marram/incident/v1","reporter":{"role":"relative","language":"en"},"consent":{"store":true},"narrative":"They came."}"#;
    let over = Epoch::from_number(this_week.number() - 3).unwrap();
    for (name, bytes) in [
        ("report.json", incident.as_bytes().to_vec()),
        ("wrong.json", incident.replace("relative", "cousin").into_bytes()),
        ("charter.json", organization.chain.to_json().into_bytes()),
        ("manifest", manifest(this_week)),
        ("old-manifest", manifest(over)),
        ("garbage", b"garbage\n".to_vec()),
        ("there", b"precious".to_vec()),
        ("huge.json", vec![b' '; (1 << 20) + 1]),
        ("huge.mp4", vec![1; 2 << 20]),
    ] {
        fs::write(folder.path().join(name), bytes).unwrap();
    }
    let site = Site::new(&organization.chain, manifest(this_week), SigningKey::random(&mut rng()));
    let site = Arc::new(Mutex::new(site));
    let shared = Arc::clone(&site);
    let server = Responder::start(move |request| shared.lock().unwrap().answer(request));
    // One that has no manifest for this week.
    let closed = Responder::start(move |request| match request.path.as_str() {
        "/v1/manifest" => Reply::problem(404, "No manifest", "none is valid today"),
        _ => site.lock().unwrap().answer(request),
    });
    let pinned = organization.chain.pinned();
    let link = server.link(pinned);
    let changed = if link.ends_with('0') { "1" } else { "0" };
    marram_manual::testing::words(
        Path::new(PROGRAM),
        env!("CARGO_MANIFEST_DIR"),
        folder.path(),
        &[
            ("DEAD", DEAD),
            ("LINK", &link),
            ("CLOSED", &closed.link(pinned)),
            ("CHANGED", &format!("{}{changed}", &link[..link.len() - 1])),
        ],
    );
}

#[test]
fn the_manual_is_whole_and_bash_completes_with_it() {
    marram_manual::testing::check(Path::new(PROGRAM), 1);
}
