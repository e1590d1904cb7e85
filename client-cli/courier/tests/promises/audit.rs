//! What everybody is shown, against servers that show something else.

use std::io::Write as _;

use marram_crypto::{day::Epoch, digest::Digest};
use marram_online::{
    clock::today,
    testing::{Reply, Socks},
};

use crate::help::{Run, World};

const PAGE: &[u8] = b"<!doctype html><title>the page that was signed</title>";
const SWAPPED: &[u8] = b"<!doctype html><title>another page</title>";

fn gzip(page: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(page).unwrap();
    encoder.finish().unwrap()
}

fn brotli(page: &[u8]) -> Vec<u8> {
    let mut encoder = brotli::CompressorWriter::new(Vec::new(), 4096, 9, 22);
    encoder.write_all(page).unwrap();
    encoder.into_inner()
}

/// A server that shows the page, whose manifest names it.
fn honest(mut world: World) -> World {
    world.draft.pages = vec![Digest::of(b"the one before"), Digest::of(PAGE)];
    show_manifest(&world);
    let mut site = world.site.lock().unwrap();
    site.page = vec![("identity", PAGE.to_vec()), ("gzip", gzip(PAGE)), ("br", brotli(PAGE))];
    drop(site);
    world
}

fn show_manifest(world: &World) {
    let manifest = world.organization.signed(&world.draft).to_bytes();
    let mut site = world.site.lock().unwrap();
    site.manifest.clone_from(&manifest);
    site.manifests = vec![manifest];
}

fn audit(world: &World) -> Run {
    world.courier.run(&["--json", "audit", "--link", &world.link()])
}

/// The one difference that was found.
#[track_caller]
fn differs(run: &Run) -> (String, String) {
    run.failed();
    let json = run.json();
    let [difference] = json["differences"].as_array().unwrap().as_slice() else {
        panic!("{json}")
    };
    let text = |name: &str| difference[name].as_str().unwrap().to_owned();
    assert!(
        run.stderr.contains(&format!("the {} differs", text("what"))),
        "{}",
        run.stderr
    );
    assert!(run.stderr.contains("\"next\":"), "{}", run.stderr);
    (text("what"), text("how"))
}

#[test]
fn a_server_that_shows_what_was_signed_passes_however_the_page_is_asked_for() {
    let world = honest(World::new());
    let run = audit(&world).succeeded();
    assert_eq!(run.json()["page"], Digest::of(PAGE).to_string());
    assert_eq!(run.json()["differences"], serde_json::json!([]));
    let asked: Vec<_> = world
        .server
        .requests()
        .iter()
        .filter(|request| request.path == "/")
        .map(|request| request.header("accept-encoding").to_owned())
        .collect();
    assert_eq!(asked, ["gzip, deflate, br, zstd", "gzip, deflate", "identity"]);
    let signed = world
        .server
        .requests()
        .iter()
        .any(|request| !request.header("signature").is_empty());
    assert!(!signed, "nobody can tell a courier by its requests");
}

#[test]
fn a_swapped_page_is_named_in_whichever_coding_it_hides() {
    for (coding, swapped) in [
        ("identity", SWAPPED.to_vec()),
        ("gzip", gzip(SWAPPED)),
        ("br", brotli(SWAPPED)),
    ] {
        let world = honest(World::new());
        for (name, page) in &mut world.site.lock().unwrap().page {
            if *name == coding {
                page.clone_from(&swapped);
            }
        }
        let (what, how) = differs(&audit(&world));
        assert_eq!(what, "page");
        assert!(how.contains(&Digest::of(SWAPPED).to_string()), "{how}");
    }
    // What cannot be decoded is no page either.
    let world = honest(World::new());
    world.site.lock().unwrap().page[1].1 = PAGE.to_vec();
    assert_eq!(differs(&audit(&world)).0, "page");
}

#[test]
fn a_page_that_nobody_signed_for_cannot_be_verified_and_that_is_said() {
    let mut world = honest(World::new());
    world.draft.pages.clear();
    show_manifest(&world);
    let (what, how) = differs(&audit(&world));
    assert_eq!(what, "page");
    assert!(how.contains("names none"), "{how}");
}

#[test]
fn an_old_manifest_is_named_and_the_page_is_held_against_the_newest_that_is_known() {
    let mut world = honest(World::new());
    let old = world.site.lock().unwrap().manifest.clone();
    world.draft.version = 2;
    world.draft.pages = vec![Digest::of(SWAPPED)];
    show_manifest(&world);
    world.pull(&["--link", &world.link(), "--out", "1.tar"]);
    world.site.lock().unwrap().manifest = old;
    let run = audit(&world);
    let json = run.json();
    let differences: Vec<_> = json["differences"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["what"])
        .collect();
    assert_eq!(differences, ["manifest", "page"]);
    assert!(run.failed().contains("the manifest differs"));

    // Of another week.
    let mut world = honest(World::new());
    world.draft.epoch = Epoch::of(today()).unwrap().plus(1);
    show_manifest(&world);
    assert_eq!(differs(&audit(&world)).0, "manifest");
    // None.
    let world =
        World::hostile(|request, _| (request.path == "/v1/manifest").then(|| Reply::named(503, "no-open-manifest")));
    assert_eq!(differs(&audit(&honest(world))).0, "manifest");
}

#[test]
fn a_superseded_manifest_that_only_the_page_is_shown_is_named() {
    let mut first = None;
    let mut world = honest(World::hostile(move |request, now| {
        (request.path == "/v1/organization").then(|| first.get_or_insert_with(|| now.clone()).clone())
    }));
    audit(&world).succeeded();
    world.draft.version = 2;
    show_manifest(&world);
    let (what, how) = differs(&audit(&world));
    assert_eq!(what, "organization");
    assert!(how.contains("/v1/organization"), "{how}");

    // Who refuses it to the page does not keep the page from being judged.
    let world = honest(World::hostile(|request, _| {
        (request.path == "/v1/organization").then(|| Reply::named(404, "not-found"))
    }));
    let run = audit(&world);
    assert_eq!(differs(&run).0, "organization");
    assert_eq!(run.json()["page"], Digest::of(PAGE).to_string());
}

#[test]
fn another_organizations_charter_is_named() {
    let world = honest(World::new());
    audit(&world).succeeded();
    let other = World::new();
    world.site.lock().unwrap().charter = other.organization.chain.to_json().into_bytes();
    // What is known of the right one still tells the rest.
    let (what, how) = differs(&audit(&world));
    assert_eq!(what, "charter");
    assert!(!how.is_empty());
}

#[test]
fn it_goes_through_the_proxy_that_is_given() {
    let world = honest(World::new());
    let socks = Socks::start(world.server.address());
    let link = format!("http://{}.onion/#{}", "a".repeat(56), world.organization.chain.pinned());
    let proxy = socks.url();
    let run = world
        .courier
        .ok(&["--json", "audit", "--link", &link, "--proxy", &proxy]);
    assert!(!run.stderr.contains("without --proxy"), "{}", run.stderr);
    assert_eq!(run.json()["differences"], serde_json::json!([]));
}
