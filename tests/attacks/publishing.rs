//! Charters and manifests from strangers: padded, forged, many at once.

use marram_crypto::{
    key::SigningKey,
    manifest::UntrustedManifest,
    note::{MAX_LEN, MAX_SIGNATURES},
};
use marram_tests::{organization::rng, server::this_epoch};

use crate::{
    crowd::{answer, crowd, flood, status, write},
    target::{LIMIT, Target},
};

fn put(route: &str, body: &[u8]) -> Vec<u8> {
    let len = body.len();
    let head = format!("PUT {route} HTTP/1.1\r\nHost: x\r\nContent-Length: {len}\r\n\r\n");
    [head.as_bytes(), body].concat()
}

/// The manifest that is published, with signature lines of strangers, as many as a note may have.
fn padded(target: &Target) -> Vec<u8> {
    let mut note = target.manifest.note().clone();
    while note.add_signature(&SigningKey::random(&mut rng())).is_ok() {}
    let padded = note.to_bytes();
    // A line has more than 90 bytes.
    assert!(padded.len() > target.manifest.to_bytes().len() + 90 * (MAX_SIGNATURES - 10));
    padded
}

#[test]
fn a_manifest_padded_with_strangers_signatures() {
    let target = Target::new();
    let request = put("/v1/manifest", &padded(&target));
    let sent = flood(
        &target,
        32,
        500,
        |_, stream| {
            write(stream, &request);
            assert!(matches!(status(stream), Some(200 | 503)));
        },
        || (0..3).for_each(|_| target.serves_honest_submitters()),
    );
    println!("{sent} padded manifests");
    target.stays_below_mib(96);
    // What is shown, and what couriers carry, has none of those lines.
    target.recovers();
}

#[test]
fn megabytes_that_are_no_notes() {
    let target = Target::new();
    let signature = {
        let bytes = padded(&target);
        let text = String::from_utf8(bytes).unwrap();
        text.lines().last().unwrap().to_owned()
    };
    let text = String::from_utf8(target.manifest.to_bytes()).unwrap();
    let full = |mut body: String, with: &str| {
        while body.len() + with.len() < MAX_LEN {
            body.push_str(with);
        }
        body.into_bytes()
    };
    let charters = target.organization.chain.to_json();
    let bodies = [
        ("/v1/manifest", vec![b'x'; MAX_LEN]),
        ("/v1/manifest", vec![0xff; MAX_LEN]),
        ("/v1/manifest", vec![b'\n'; MAX_LEN]),
        ("/v1/manifest", full(text.clone(), &format!("{signature}\n"))),
        (
            "/v1/manifest",
            full(text.lines().next().unwrap().to_owned(), "\nslot x"),
        ),
        ("/v1/charter", full("[".to_owned(), "[")),
        ("/v1/charter", full("[\"".to_owned(), "\\n")),
        ("/v1/charter", full("[\"\"".to_owned(), ",\"\"")),
        (
            "/v1/charter",
            full(
                charters.trim_end_matches(']').to_owned(),
                &format!(",{}", charters.trim_matches(['[', ']'])),
            ),
        ),
        ("/v1/charter", full(charters, " ")),
    ];
    let requests = bodies.map(|(route, body)| put(route, &body));
    let mut streams = crowd(&target, 20 * requests.len(), |number, stream| {
        write(stream, &requests[number % requests.len()]);
    });
    target.serves_honest_submitters();
    let mut busy = 0;
    for (number, stream) in streams.iter_mut().enumerate() {
        match answer(stream) {
            Some((503, _)) => busy += 1,
            // Our own charter, with spaces behind it.
            Some((200, _)) => assert_eq!(number % requests.len(), requests.len() - 1),
            Some((status, _)) => assert!((400..500).contains(&status), "{number}: {status}"),
            None => {}
        }
    }
    println!("{} megabytes, {busy} told to come back", streams.len());
    drop(streams);
    target.stays_below_mib(96);
    target.recovers();
}

#[test]
fn publications_that_stop_before_the_end_keep_no_publication_out_for_long() {
    let target = Target::with(&[("idle_timeout_s", 2)]);
    let request = put("/v1/manifest", &vec![b'x'; MAX_LEN]);
    let held = crowd(&target, 200, |_, stream| write(stream, &request[..MAX_LEN / 2]));
    // Reports have room of their own.
    target.serves_honest_submitters();
    target.stays_below_mib(96);
    target.recovers();
    let own = put("/v1/manifest", &target.manifest.to_bytes());
    let mut stream = target.connect();
    write(&mut stream, &own);
    assert_eq!(status(&mut stream), Some(200));
    drop(held);
}

#[test]
fn manifests_of_keyholders_who_are_none() {
    let target = Target::new();
    let strangers: Vec<_> = (0..2).map(|_| SigningKey::random(&mut rng())).collect();
    let forged = (2..6).map(|version| {
        let mut draft = target.organization.draft(this_epoch(), LIMIT);
        draft.version = version;
        let mut manifest = UntrustedManifest::from_note(draft.to_note().unwrap()).unwrap();
        // One of the two is a keyholder; the threshold is two.
        for key in [&target.organization.roots[0], &strangers[0], &strangers[1]] {
            let mut note = manifest.note().clone();
            note.add_signature(key).unwrap();
            manifest = UntrustedManifest::from_note(note).unwrap();
        }
        put("/v1/manifest", &manifest.note().to_bytes())
    });
    let forged: Vec<_> = forged.collect();
    let sent = flood(
        &target,
        32,
        1000,
        |number, stream| {
            write(stream, &forged[number % forged.len()]);
            assert!(matches!(status(stream), Some(403 | 503)));
        },
        || (0..3).for_each(|_| target.serves_honest_submitters()),
    );
    println!("{sent} forged manifests");
    target.stays_below_mib(96);
    target.recovers();
}
