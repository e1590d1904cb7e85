//! Charters and manifests: authority is in the signatures.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod harness;

use harness::{Organization, Server, contains, rng, sealed, sign_charter, sign_manifest};
use marram_crypto::{
    charter::{UntrustedCharter, UntrustedCharterChain},
    key::SigningKey,
    manifest::UntrustedManifest,
};

#[test]
fn a_manifest_signed_by_enough_keyholders_is_served_from_its_first_day() {
    let mut server = Server::start();
    let now = server.publish(server.epoch());
    let next = server.publish(server.epoch().plus(1));
    assert_eq!(server.get("/v1/manifest").expect(200).body, now.to_bytes());
    server.put("/v1/manifest", &now.to_bytes()).expect(200);
    server.restart();
    assert_eq!(server.get("/v1/manifest").expect(200).body, now.to_bytes());
    server.set_day(server.epoch().closes());
    assert_eq!(server.get("/v1/manifest").expect(200).body, next.to_bytes());
    server.set_day(server.epoch().closes());
    assert_eq!(server.get("/v1/manifest").expect(503).problem(), "no-open-manifest");
}

#[test]
fn one_answer_tells_a_page_who_the_organization_is_and_who_may_read() {
    let server = Server::start();
    assert_eq!(server.get("/v1/organization").expect(503).problem(), "no-open-manifest");
    let now = server.publish(server.epoch());
    let answer = server.get("/v1/organization").expect(200);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let organization: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    let charters = server.get("/v1/charter").expect(200).body;
    let charters: serde_json::Value = serde_json::from_slice(&charters).unwrap();
    let manifest = String::from_utf8(now.to_bytes()).unwrap();
    assert_eq!(
        organization,
        serde_json::json!({ "charters": charters, "manifest": manifest })
    );
}

#[test]
fn manifests_without_the_keyholders_are_refused_by_name() {
    let server = Server::start();
    let organization = &server.organization;
    let draft = organization.draft(server.epoch(), 1, server.log);
    let put = |manifest: &UntrustedManifest| server.put("/v1/manifest", &manifest.note().to_bytes());

    let one = sign_manifest(&draft, &organization.roots[..1]);
    assert_eq!(put(&one).expect(403).problem(), "manifest-refused");

    // The same key's line a second time.
    let mut twice = one.note().to_bytes();
    let line = twice.split(|byte| *byte == b'\n').rev().nth(1).unwrap().to_vec();
    twice.extend([line, b"\n".to_vec()].concat());
    assert_eq!(
        server.put("/v1/manifest", &twice).expect(403).problem(),
        "manifest-refused"
    );

    let strangers: Vec<_> = (0..2).map(|_| SigningKey::random(&mut rng())).collect();
    assert_eq!(
        put(&sign_manifest(&draft, &strangers)).expect(403).problem(),
        "manifest-refused"
    );

    let elsewhere = Organization::found();
    let foreign = elsewhere.sign(&elsewhere.draft(server.epoch(), 1, server.log));
    assert_eq!(
        server.put("/v1/manifest", &foreign.to_bytes()).expect(403).problem(),
        "manifest-refused"
    );

    let charter = organization.chain.newest().note().to_bytes();
    assert_eq!(
        server.put("/v1/manifest", &charter).expect(422).problem(),
        "not-a-manifest"
    );
    assert_eq!(
        server.put("/v1/manifest", b"hello").expect(422).problem(),
        "not-a-manifest"
    );
    assert_eq!(
        server.put("/v1/manifest", &vec![b'x'; 1_000_001]).expect(413).problem(),
        "too-large"
    );

    let other_log = organization.sign(&organization.draft(server.epoch(), 1, organization.courier.public()));
    let refused = server.put("/v1/manifest", &other_log.to_bytes()).expect(409);
    assert_eq!(refused.problem(), "other-log-key");
    assert!(String::from_utf8_lossy(&refused.body).contains(&server.log.to_string()));

    let closed = organization.sign(&organization.draft(server.epoch().previous().unwrap(), 1, server.log));
    server.set_day(server.epoch().opens().plus(2));
    assert_eq!(
        server.put("/v1/manifest", &closed.to_bytes()).expect(410).problem(),
        "epoch-closed"
    );
    server.set_day(server.epoch().opens().plus(1));
    server.put("/v1/manifest", &closed.to_bytes()).expect(201);

    assert_eq!(server.get("/v1/manifest").expect(503).problem(), "no-open-manifest");
}

#[test]
fn versions_only_rise_and_two_texts_of_one_version_are_a_conflict() {
    let server = Server::start();
    let organization = &server.organization;
    let second = organization.draft(server.epoch(), 2, server.log);
    let signed = organization.sign(&second);
    let put = |draft: &marram_crypto::manifest::Draft| server.put("/v1/manifest", &organization.sign(draft).to_bytes());
    server.put("/v1/manifest", &signed.to_bytes()).expect(201);

    let mut other_second = second.clone();
    other_second.promise_days += 1;
    assert_eq!(put(&other_second).expect(409).problem(), "manifest-conflict");
    let mut first = second.clone();
    first.version = 1;
    assert_eq!(put(&first).expect(409).problem(), "manifest-older");
    let mut third = second.clone();
    third.version = 3;
    third.slots.pop();
    assert_eq!(put(&third).expect(403).problem(), "manifest-refused");
    assert_eq!(server.get("/v1/manifest").expect(200).body, signed.to_bytes());

    let mut third = second.clone();
    third.version = 3;
    third.slots[0] = organization.draft(server.epoch(), 3, server.log).slots[0].clone();
    put(&third).expect(201);
    assert_eq!(
        server.get("/v1/manifest").expect(200).body,
        organization.sign(&third).to_bytes()
    );
    // A third signature on the same text is the same manifest.
    let all = sign_manifest(&third, &organization.roots);
    server.put("/v1/manifest", &all.note().to_bytes()).expect(200);
}

#[test]
fn a_charter_must_extend_the_chain() {
    let server = Server::start();
    let organization = &server.organization;
    let old = server.publish(server.epoch());
    let put = |chain: &UntrustedCharterChain| {
        let fingerprint = organization.chain.newest().fingerprint();
        let json = chain.clone().verify(fingerprint).unwrap().to_json();
        server.put("/v1/charter", json.as_bytes())
    };
    let newest_of = |body: &[u8]| {
        UntrustedCharterChain::parse(body)
            .unwrap()
            .claimed_fingerprint()
            .unwrap()
    };
    server
        .put("/v1/charter", organization.chain.to_json().as_bytes())
        .expect(200);

    let next = |name: &str| {
        let mut draft = organization.chain.newest().successor();
        draft.name = name.to_owned();
        sign_charter(&draft, &organization.roots[..2])
    };
    let chain_with = |charter: UntrustedCharter| {
        let notes = [organization.chain.newest().note(), charter.note()]
            .map(|note| String::from_utf8(note.to_bytes()).unwrap());
        serde_json::to_vec(&notes).unwrap()
    };
    let elsewhere = Organization::found();
    assert_eq!(
        server
            .put("/v1/charter", elsewhere.chain.to_json().as_bytes())
            .expect(403)
            .problem(),
        "charter-refused"
    );
    let unsigned = sign_charter(&organization.chain.newest().successor(), &organization.roots[..1]);
    assert_eq!(
        server.put("/v1/charter", &chain_with(unsigned)).expect(403).problem(),
        "charter-refused"
    );
    assert_eq!(server.put("/v1/charter", b"[]").expect(422).problem(), "not-a-charter");

    let longer = UntrustedCharterChain::parse(&chain_with(next("Renamed"))).unwrap();
    put(&longer).expect(201);
    put(&longer).expect(200);
    assert_eq!(
        newest_of(&server.get("/v1/charter").expect(200).body),
        longer.claimed_fingerprint().unwrap()
    );
    let fork = UntrustedCharterChain::parse(&chain_with(next("Forked"))).unwrap();
    assert_eq!(put(&fork).expect(409).problem(), "charter-fork");
    let rolled_back = server
        .put("/v1/charter", organization.chain.to_json().as_bytes())
        .expect(403);
    assert_eq!(rolled_back.problem(), "charter-refused");

    // What the old charter's keyholders signed is void.
    assert_eq!(server.get("/v1/manifest").expect(503).problem(), "no-open-manifest");
    assert_eq!(
        server.post(server.epoch(), &sealed(&old, 0)).expect(409).problem(),
        "epoch-not-open"
    );
}

/// A signature line that nobody made: of an unknown key, with a long name.
fn junk() -> String {
    format!("\u{2014} {} {}AAA=\n", "junk".repeat(2000), "A".repeat(88))
}

fn text_of(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap()
}

fn chain_json(notes: &[String]) -> Vec<u8> {
    serde_json::to_vec(notes).unwrap()
}

#[test]
fn lines_that_nobody_of_the_keyholders_signed_are_neither_stored_nor_served() {
    let mut server = Server::start();
    let organization = &server.organization;
    let first = text_of(organization.chain.newest().note().to_bytes());
    let mut draft = organization.chain.newest().successor();
    draft.name = "Renamed".to_owned();
    let second = text_of(sign_charter(&draft, &organization.roots[..2]).note().to_bytes());
    let padding = junk().repeat(80);
    let chain = chain_json(&[first.clone(), format!("{second}{padding}")]);
    assert!(chain.len() > 600_000);
    server.put("/v1/charter", &chain).expect(201);
    let clean = chain_json(&[first, second]);
    assert_eq!(server.get("/v1/charter").expect(200).body, clean);

    let mut manifest = organization.draft(server.epoch(), 1, server.log);
    manifest.charter = draft.to_note().unwrap().digest();
    let manifest = text_of(sign_manifest(&manifest, &organization.roots).note().to_bytes());
    server
        .put("/v1/manifest", format!("{manifest}{padding}").as_bytes())
        .expect(201);
    server.put("/v1/manifest", manifest.as_bytes()).expect(200);
    let shown = server.get("/v1/manifest").expect(200).body;
    assert!(!text_of(shown.clone()).contains("junk"));
    let sorted = |note: &str| {
        let mut lines: Vec<_> = note.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    assert_eq!(sorted(&text_of(shown)), sorted(&manifest));

    assert_eq!(contains(&server.folder.path().join("store"), b"junkjunk"), None);
    server.restart();
    assert_eq!(server.get("/v1/charter").expect(200).body, clean);
}

#[test]
fn padded_charters_never_make_the_chain_too_long_to_be_read_again() {
    let mut server = Server::start();
    let mut chain = server.organization.chain.clone();
    let mut notes = vec![text_of(chain.newest().note().to_bytes())];
    // Each as long as it may be; together they would have 4 MB.
    for version in 2..=5 {
        let mut draft = chain.newest().successor();
        draft.name = format!("Renamed {version}");
        let charter = sign_charter(&draft, &server.organization.roots[..2]);
        let padded = format!("{}{}", text_of(charter.note().to_bytes()), junk().repeat(95));
        let offered = [notes.clone(), vec![padded]].concat();
        server.put("/v1/charter", &chain_json(&offered)).expect(201);
        notes.push(text_of(charter.note().to_bytes()));
        chain = chain.append(charter).unwrap();
        server.restart();
    }
    assert_eq!(server.get("/v1/charter").expect(200).body, chain_json(&notes));
}

#[test]
fn behind_the_real_charters_the_first_bogus_one_ends_it() {
    let server = Server::start();
    let organization = &server.organization;
    let real = text_of(organization.chain.newest().note().to_bytes());
    let stranger = SigningKey::random(&mut rng());
    let bogus = text_of(
        sign_charter(&organization.chain.newest().successor(), &[stranger])
            .note()
            .to_bytes(),
    );
    // 63 of them, and 63 that would each be refused by another name if they were looked at.
    for follower in [bogus.clone(), real.clone()] {
        let mut notes = vec![real.clone(), bogus.clone()];
        notes.resize(64, follower);
        let refused = server.put("/v1/charter", &chain_json(&notes)).expect(403);
        assert_eq!(refused.problem(), "charter-refused");
        let detail = text_of(refused.body);
        assert!(
            detail.contains("charter 2 is signed by 0 root keys of the version before it"),
            "{detail}"
        );
    }
    // What is known already is not looked at again: only its text counts, with whatever lines it comes.
    let (body, _) = real.rsplit_once("\n\n").unwrap();
    let relined = format!("{body}\n\n{}", junk());
    server.put("/v1/charter", &chain_json(&[relined])).expect(200);
    server.put("/v1/charter", &chain_json(&vec![real; 65])).expect(422);
    assert_eq!(
        server.get("/v1/charter").expect(200).body,
        organization.chain.to_json().as_bytes()
    );
}
