//! What comes of a report: the honest ones open, and every fault is named.

use marram_crypto::{enrolment::Pair, manifest::Slot, seal::Target, ustar::Entry};
use serde_json::json;

use crate::support::{
    CODENAME, OTHERS, Part, Server, Told, codename, incident, one_line, organization, outcome, recipients, report_json,
    seal_parts, sealed, target,
};

const SMALLEST: u64 = 1 << 15;

/// What the program says of one ciphertext.
fn fate(ciphertext: Vec<u8>) -> (String, String) {
    let mut server = Server::new();
    server.accept(ciphertext);
    outcome(&organization().alice().import(&server))
}

#[test]
fn with_the_identities_of_two_of_three_caseworkers_lost_the_third_still_reads() {
    // The identities of the two others exist nowhere on disk, and five slots never had one.
    let home = organization().alice();
    let mut server = Server::new();
    server.accept(sealed("a letter from home"));
    assert_eq!(home.import(&server)["outcomes"], json!({"opened": 1}));
    assert!(home.ok(&["show", "1"]).contains("a letter from home"));
}

#[test]
fn noise_and_reports_to_others_are_counted_as_not_for_me() {
    let mut others = recipients();
    others[crate::support::MINE] = others[OTHERS[0]].clone();
    let ciphertext = seal_parts(&others, SMALLEST, &[Part::Raw(b"noise")]);
    assert_eq!(fate(ciphertext).0, "not_for_me");
}

#[test]
fn a_partly_sealed_report_is_kept_and_marked() {
    let organization = organization();
    // The stranger leaves one slot out: it seals to a key of its own in its place.
    let mut narrowed = organization.draft(organization.epoch, 1);
    narrowed.slots[OTHERS[1]] = Slot::from(Pair {
        recipient: organization.slots(organization.ago(1))[0].recipient.clone(),
        signer: narrowed.slots[OTHERS[1]].signer,
    });
    let recipients: Vec<_> = narrowed.slots.iter().map(|slot| slot.recipient.clone()).collect();
    let json = report_json("who answers this?");
    let signature = codename(CODENAME).signing_key().sign(json.as_bytes());
    let parts = [
        Part::Entry("report.json", json.as_bytes()),
        Part::Entry("report.sig", &signature),
    ];
    let ciphertext = seal_parts(&recipients, SMALLEST, &parts);

    let home = organization.alice();
    let mut server = Server::new();
    server.accept(ciphertext);
    let summary = home.import(&server);
    assert_eq!(summary["reports"][0]["flags"], json!(["partly sealed"]));
    assert_eq!(summary["partly_sealed"], 1);
    let listed = home.json(&["list"]);
    assert_eq!(listed["reports"][0]["unsealed_slots"], json!([OTHERS[1]]));
    let shown = one_line(&home.ok(&["show", "1"]));
    assert!(
        shown.contains("Partly sealed") && shown.contains("Slots 6") && shown.contains("never acknowledge"),
        "{shown}"
    );
    assert!(home.ok(&["list"]).contains("partly sealed"));
}

#[test]
fn a_report_moved_from_another_instance_is_named() {
    let mut draft = organization().draft(organization().epoch, 1);
    draft.instance = "00112233445566778899aabbccddeeff".parse().unwrap();
    let instance = organization().chain.instance().to_string();
    let json = report_json("moved").replace(&instance, &draft.instance.to_string());
    let (name, detail) = fate(signed_as(&json));
    assert!(name == "another_instance" && detail.contains("00112233"), "{detail}");
}

#[test]
fn a_report_moved_from_another_epoch_or_manifest_is_named() {
    let epoch = organization().epoch;
    let json = report_json("moved").replace(&format!(r#""epoch":{epoch}"#), &format!(r#""epoch":{}"#, epoch.plus(1)));
    assert_eq!(fate(signed_as(&json)).0, "another_epoch");
    let unknown = organization().manifest(epoch, 9);
    assert_eq!(
        fate(Told::new("moved").seal(&Target::from(&unknown))).0,
        "another_manifest"
    );
}

/// Sealed and signed by the codename, whatever it says.
fn signed_as(json: &str) -> Vec<u8> {
    let signature = codename(CODENAME).signing_key().sign(json.as_bytes());
    seal_parts(
        &recipients(),
        SMALLEST,
        &[
            Part::Entry("report.json", json.as_bytes()),
            Part::Entry("report.sig", &signature),
        ],
    )
}

#[test]
fn a_forged_signature_and_a_missing_one_are_named() {
    let json = report_json("forged");
    let mallory = codename(99).signing_key().sign(json.as_bytes());
    let parts = [
        Part::Entry("report.json", json.as_bytes()),
        Part::Entry("report.sig", &mallory),
    ];
    assert_eq!(fate(seal_parts(&recipients(), SMALLEST, &parts)).0, "forged");
    let (name, detail) = fate(seal_parts(&recipients(), SMALLEST, &parts[..1]));
    assert!(name == "hostile_payload" && detail.contains("report.sig"), "{detail}");
}

#[test]
fn every_hostile_payload_is_named_and_leaves_nothing() {
    let json = report_json("hostile");
    let report = json.as_bytes();
    let signature = codename(CODENAME).signing_key().sign(report);
    let honest = || {
        vec![
            Part::Entry("report.json", report),
            Part::Entry("report.sig", &signature),
        ]
    };
    let named = |name: &str| {
        header(|header| {
            header[..100].fill(0);
            header[..name.len()].copy_from_slice(name.as_bytes());
        })
    };
    let twice = json.replacen(r#""continues":false"#, r#""continues":false,"continues":true"#, 1);
    let newer = json.replacen("marram/report/v1", "marram/report/v2", 1);
    let claims = json.replacen(
        r#""attachments":[]"#,
        &format!(r#""attachments":[{{"sha256":"{}","size_bytes":4}}]"#, "0".repeat(64)),
        1,
    );
    let (symlink, hardlink) = (header(|header| header[156] = b'2'), header(|header| header[156] = b'1'));
    let (device, folder) = (header(|header| header[156] = b'3'), header(|header| header[156] = b'5'));
    let (pax, gnu) = (header(|header| header[156] = b'x'), header(|header| header[156] = b'L'));
    let setuid = header(|header| header[100..107].copy_from_slice(b"0004755"));
    let (climbing, absolute) = (named("../../.ssh/authorized_keys"), named("/etc/passwd"));

    let garbage = b"these bytes are no header, and there are more than 512 of them. ".repeat(9);
    let fill = [[0; 512], [1; 512]].concat();
    let unnamed = [&Entry::new("attachments/00", 4).header().unwrap()[..], &[7; 512]].concat();

    let cases: Vec<(&str, Vec<Part<'_>>)> = vec![
        ("nothing at all", vec![]),
        ("no report.json", vec![Part::Entry("report.sig", &signature)]),
        (
            "report.json twice",
            vec![Part::Entry("report.json", report), Part::Entry("report.json", report)],
        ),
        ("path traversal", honest_and(honest(), &climbing)),
        ("absolute path", honest_and(honest(), &absolute)),
        ("symbolic link", honest_and(honest(), &symlink)),
        ("hard link", honest_and(honest(), &hardlink)),
        ("device", honest_and(honest(), &device)),
        ("folder", honest_and(honest(), &folder)),
        ("pax extension", honest_and(honest(), &pax)),
        ("GNU long name", honest_and(honest(), &gnu)),
        ("set-uid mode", honest_and(honest(), &setuid)),
        ("no archive", vec![Part::Raw(&garbage)]),
        ("size that lies", vec![Part::Lying("report.json", 1 << 19, report)]),
        ("tar bomb", vec![Part::Lying("report.json", 4 << 30, report)]),
        ("fill that is not zero", honest_and(honest(), &fill)),
        (
            "duplicate key",
            vec![
                Part::Entry("report.json", twice.as_bytes()),
                Part::Entry("report.sig", &signature),
            ],
        ),
        (
            "unknown version",
            vec![
                Part::Entry("report.json", newer.as_bytes()),
                Part::Entry("report.sig", &signature),
            ],
        ),
        (
            "not UTF-8",
            vec![
                Part::Entry("report.json", b"\xff\xfe"),
                Part::Entry("report.sig", &signature),
            ],
        ),
        ("attachment nobody named", honest_and(honest(), &unnamed)),
        (
            "attachment of another digest",
            vec![
                Part::Entry("report.json", claims.as_bytes()),
                Part::Entry("report.sig", &signature),
                Part::Entry("attachments/00", b"evil"),
            ],
        ),
    ];

    let home = organization().alice();
    let mut server = Server::new();
    for (_, parts) in &cases {
        server.accept(seal_parts(&recipients(), SMALLEST, parts));
    }
    let summary = home.import(&server);
    for ((case, _), line) in cases.iter().zip(summary["reports"].as_array().unwrap()) {
        assert_eq!(line["outcome"], "hostile_payload", "{case}: {line}");
        assert!(
            line["detail"].as_str().unwrap().len() > "hostile payload: ".len(),
            "{case}: {line}"
        );
    }
    assert_eq!(summary["outcomes"], json!({"hostile_payload": cases.len()}));
    assert_eq!(summary["alarms"], json!({"hostile payload": cases.len()}));
    let status = home.json(&["status"]);
    assert_eq!((&status["reports"], &status["attachments"]), (&json!(0), &json!(0)));
}

fn honest_and<'a>(mut honest: Vec<Part<'a>>, more: &'a [u8]) -> Vec<Part<'a>> {
    honest.push(Part::Raw(more));
    honest
}

/// An attachment's header that [`Entry`] would not write, with its checksum right.
fn header(change: impl Fn(&mut [u8; 512])) -> [u8; 512] {
    let mut header = Entry::new("attachments/00", 0).header().unwrap();
    change(&mut header);
    let counted = |(at, byte): (usize, &u8)| if (148..156).contains(&at) { 32 } else { u32::from(*byte) };
    let sum: u32 = header.iter().enumerate().map(counted).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    header
}

#[test]
fn an_attachment_that_does_not_authenticate_to_its_end_is_forgotten() {
    let mut told = Told::new("with a recording");
    told.attachments = vec![vec![5; 3_000_000]];
    let mut ciphertext = told.seal(&target());
    let last = ciphertext.len() - 1;
    ciphertext[last] ^= 1;
    let home = organization().alice();
    let mut server = Server::new();
    server.accept(ciphertext);
    server.accept(sealed("the next one"));
    let summary = home.import(&server);
    assert_eq!(summary["outcomes"], json!({"opened": 1, "damaged": 1}));
    assert_eq!(home.json(&["status"])["attachments"], 0);
    assert_eq!(home.json(&["list"])["reports"][0]["id"], 1);
}

#[test]
fn what_has_not_the_shape_of_a_sealed_report_is_named() {
    assert_eq!(fate(vec![b'x'; 1 << 15]).0, "not_a_sealed_report");
    let seven = seal_parts(&recipients()[..7], SMALLEST, &[Part::Raw(b"")]);
    assert_eq!(fate(seven).0, "not_a_sealed_report");
}

#[test]
fn a_follow_up_is_linked_to_the_first_report_of_its_codename() {
    let home = organization().alice();
    let mut server = Server::new();
    server.accept(sealed("first"));
    for (codename, continues) in [(1, true), (1, false), (2, true)] {
        let told = Told {
            codename,
            continues,
            ..Told::new(&format!("{codename} {continues}"))
        };
        server.accept(told.seal(&target()));
    }
    // The same codename signs, but names a reply key that is not its own.
    let reply = |seed| serde_json::to_string(&codename(seed).reply_key()).unwrap();
    server.accept(signed_as(
        &report_json("answer me elsewhere").replace(&reply(CODENAME), &reply(50)),
    ));
    let summary = home.import(&server);
    assert_eq!(summary["outcomes"], json!({"opened": 5}));
    let listed = home.json(&["list"]);
    let seen: Vec<_> = listed["reports"]
        .as_array()
        .unwrap()
        .iter()
        .map(|report| (report["continuity"].as_str().unwrap(), report["first_report"].as_i64()))
        .collect();
    assert_eq!(
        seen,
        [
            ("first", None),
            ("follow_up", Some(1)),
            ("same_codename", Some(1)),
            ("continues_nothing_known", None),
            ("another_reply_key", Some(1)),
        ]
    );
    assert!(home.ok(&["show", "2"]).contains("It continues #1"));
    assert!(one_line(&home.ok(&["show", "4"])).contains("another codename"));
    assert!(one_line(&home.ok(&["show", "5"])).contains("answers to it would go to somebody"));
    let first = home.ok(&["show", "1"]);
    assert!(first.contains("#2, #3, #5"), "{first}");
}

#[test]
fn a_follow_up_under_another_codename_or_with_another_reply_key_is_named() {
    let home = organization().alice();
    let mut server = Server::new();
    server.accept(sealed("first"));
    // Another codename signs, and names the reply key of the first report.
    let key = |seed| codename(seed).signing_key().public().to_string();
    let stolen = report_json("I am the same person").replace(&key(CODENAME), &key(60));
    assert!(stolen.contains(&key(60)));
    let stolen = stolen.replace(r#""continues":false"#, r#""continues":true"#);
    let reply = |seed| serde_json::to_string(&codename(seed).reply_key()).unwrap();
    let diverted = report_json("answer me elsewhere").replace(&reply(CODENAME), &reply(50));
    let diverted = diverted.replace(r#""continues":false"#, r#""continues":true"#);
    for (seed, json) in [(60, stolen), (CODENAME, diverted)] {
        let signature = codename(seed).signing_key().sign(json.as_bytes());
        let parts = [
            Part::Entry("report.json", json.as_bytes()),
            Part::Entry("report.sig", &signature),
        ];
        server.accept(seal_parts(&recipients(), SMALLEST, &parts));
    }
    let summary = home.import(&server);
    assert_eq!(summary["outcomes"], json!({"opened": 3}), "{summary}");
    assert_eq!(
        summary["reports"][1]["flags"],
        json!(["a follow-up under another codename than #1"])
    );
    assert_eq!(summary["reports"][2]["flags"], json!(["another reply key than #1"]));
    let listed = home.json(&["list"]);
    assert_eq!(listed["reports"][1]["continuity"], "another_codename");
    assert_eq!(listed["reports"][2]["continuity"], "another_reply_key");
    assert!(one_line(&home.ok(&["show", "2"])).contains("another codename has signed it"));
}

#[test]
fn a_report_that_is_sent_again_is_named_a_repeat_and_kept_once() {
    let home = organization().alice();
    let mut told = Told::new("sent twice");
    told.attachments = vec![b"a photograph".to_vec()];
    let mut server = Server::new();
    server.accept(told.seal(&target()));
    server.accept(told.seal(&target()));
    let summary = home.import(&server);
    assert_eq!(summary["outcomes"], json!({"opened": 1, "repeat": 1}));
    assert_eq!(summary["reports"][1]["report"], 1);
    assert_eq!(home.json(&["status"])["attachments"], 1);
    assert!(home.ok(&["list"]).contains("sent 2 times"));
}

#[test]
fn an_incident_that_cannot_be_read_is_kept_and_shown_as_it_came() {
    let home = organization().alice();
    let mut told = Told::new("");
    told.incident = incident("readable by people").replace("\"F01\"", "\"F99\"");
    let mut server = Server::new();
    server.accept(told.seal(&target()));
    let summary = home.import(&server);
    assert_eq!(summary["reports"][0]["flags"], json!(["unreadable"]));
    let shown = home.ok(&["show", "1"]);
    assert!(
        shown.contains("act[0].method") && shown.contains("readable by people"),
        "{shown}"
    );
    assert!(home.ok(&["list"]).contains("cannot be read"));
    assert_eq!(home.json(&["show", "1"])["incident"]["narrative"], "readable by people");
}
