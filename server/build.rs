//! The page that the server shows, as it goes over the wire: compressed once, here, as far as it goes. The crates that do
//! it are locked, so that the same page gives the same server.

#![allow(
    clippy::expect_used,
    reason = "what goes wrong here ends the build, which is all it can do"
)]

use std::{
    env, fs,
    io::Write,
    path::{Path, PathBuf},
};

use brotli::enc::{BrotliEncoderParams, backward_references::BrotliEncoderMode};
use flate2::{Compression, write::GzEncoder};

const PAGE: &str = "../client-web/dist/page.html";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={PAGE}");
    let Ok(page) = fs::read(PAGE) else {
        println!("cargo::error=the page that the server shows is not built: run ./client-web/build, then this again");
        return;
    };
    let Some(policy) = std::str::from_utf8(&page).ok().and_then(policy) else {
        println!(
            "cargo::error=client-web/dist/page.html is not the page, or a damaged one: remove it, run ./client-web/build, \
             then this again"
        );
        return;
    };
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo says where"));
    write(&out, "page.html", &page);
    write(&out, "page.html.gz", &gzip(&page));
    write(&out, "page.html.br", &brotli(&page));
    write(&out, "policy", policy.as_bytes());
}

/// The page's own policy, narrowed: what a saved copy may reach, a copy that a server shows has no use for. What frames may
/// show it can be said in a header only.
fn policy(page: &str) -> Option<String> {
    let (_, after) = page.split_once("<meta http-equiv=\"Content-Security-Policy\" content=\"")?;
    let (policy, _) = after.split_once('"')?;
    let mut narrowed = 0;
    let directives = policy.split("; ").map(|directive| match directive.split_once(' ') {
        Some(("connect-src", _)) => {
            narrowed += 1;
            "connect-src 'self'"
        }
        _ => directive,
    });
    let policy = directives
        .chain(["frame-ancestors 'none'"])
        .collect::<Vec<_>>()
        .join("; ");
    (narrowed == 1).then_some(policy)
}

fn gzip(page: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(page).expect("memory takes it");
    encoder.finish().expect("memory takes it")
}

fn brotli(mut page: &[u8]) -> Vec<u8> {
    let parameters = BrotliEncoderParams {
        quality: 11,
        lgwin: 22,
        mode: BrotliEncoderMode::BROTLI_MODE_TEXT,
        size_hint: page.len(),
        ..BrotliEncoderParams::default()
    };
    let mut compressed = Vec::new();
    brotli::BrotliCompress(&mut page, &mut compressed, &parameters).expect("memory takes it");
    compressed
}

fn write(folder: &Path, name: &str, bytes: &[u8]) {
    fs::write(folder.join(name), bytes).expect("cargo's folder takes it");
}
