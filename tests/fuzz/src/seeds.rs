//! What a fuzzer begins with: one or two valid inputs for each target, made from the fixed organization.

use std::{fs, path::Path};

use age::secrecy::ExposeSecret as _;
use getrandom::{SysRng, rand_core::UnwrapErr};
use marram_crypto::{
    board::{self, Answer, AnswerId, Composition, Salt, Shard, UntrustedBoard},
    bundle::BundleWriter,
    checkpoint,
    codename::WordList,
    courier_request::{NONCE_LEN, SignatureHeaders, sign},
    digest::Digest,
    fingerprint::{Digits, Link},
    header::SealedHeader,
    note::UntrustedNote,
    open,
    order::{self, OrderFile, OrderId, What},
    payload, receipt,
    seal::{Content, Draft, Measure},
    standing,
    tree::Tree,
    ustar::{BLOCK, Entry},
};
use marram_server::store::{Body, Embedded, Settings, Store as _};
use marram_terminal::{
    files::Existing,
    secret_file::{WorkFactor, write_wrapped},
};
use serde_json::value::RawValue;

use crate::{
    requests::{self, NOW, STRANGER},
    sealed::{self, Kept, SIGNATURE, SUMS},
    stored::{self, FILE},
    world::{WORLD, codename, courier, epoch, instance, key, leaf, log, signer},
};

/// A seed: its target, its name, its bytes.
pub type Seed = (&'static str, &'static str, Vec<u8>);

/// The seeds that are the same whenever they are made.
///
/// # Panics
/// If the organization's formats contradict each other.
pub fn fixed() -> Vec<Seed> {
    let (plain, json) = sealed_report(&[]);
    let (attached, _) = sealed_report(&[b"a photograph", b""]);
    let helped = |archive: &[u8]| [&[SUMS | SIGNATURE], archive].concat();
    let mut note = UntrustedNote::unsigned(format!("marram/receipt/v1\n{}\nleaf x\n", instance())).unwrap();
    note.add_signature(&key(1)).unwrap();
    note.add_signature(&key(2)).unwrap();
    let ledger = ledger();
    let mut seeds = vec![
        ("annex", "each_kind_of_slot", WORLD.annex.to_text().unwrap().as_bytes().to_vec()),
        ("answer", "two_parts", answer().parts().flat_map(|part| part.to_vec()).collect()),
        ("bundle", "all_entries", bundle()),
        ("checkpoint", "of_two_leaves", checkpoint()),
        ("charter", "two_versions", WORLD.chain.to_json().into_bytes()),
        ("courier_request", "as_sent", requested(STRANGER)),
        ("courier_request", "signed_anew", requested(b'1')),
        ("digits", "of_abc", Digits::of(&Digest::of(b"abc")).to_string().into_bytes()),
        ("enrolment", "one_epoch", WORLD.enrolment.note().to_bytes()),
        ("form", "a_browsers", browsers_form().into_bytes()),
        ("incident", "full", include_bytes!("../../../incident/tests/full.json").to_vec()),
        ("incident", "few_words", few_words()),
        ("keys", "recipient", identity_text().0),
        ("keys", "identity", identity_text().1),
        ("keys", "public_key", log().public().to_string().into_bytes()),
        ("keys", "instance", instance().to_string().into_bytes()),
        ("keys", "day", epoch().opens().to_string().into_bytes()),
        ("keys", "epoch", epoch().to_string().into_bytes()),
        ("leaf", "a_leaf", leaf(1).to_bytes().to_vec()),
        ("ledger", "file", [&[FILE], ledger.as_slice()].concat()),
        ("ledger", "groups", stored::ungrouped(&ledger)),
        ("link", "https", Link::new("https://host.example:8443", Digest::of(b"x")).unwrap().to_string().into_bytes()),
        ("link", "onion", format!("http://{}.onion/#{}", "a".repeat(56), Digest::of(b"x")).into_bytes()),
        ("manifest", "one_slot", WORLD.manifest.to_bytes()),
        ("note", "two_signatures", note.to_bytes()),
        ("order", "delete", order(What::Delete(vec![leaf(1).digest])).to_bytes().unwrap()),
        ("payload", "plain", helped(&plain)),
        ("payload", "attachments", helped(&attached)),
        ("question", "yes_no", WORLD.manifest.questions[0].to_string().into_bytes()),
        ("question", "choice", br#"{"id":"q","kind":"choice","text":{"en":"Q"},"choices":[{"code":"a","text":{"en":"A"}},{"code":"b","text":{"en":"B","ug":"x"}}]}"#.to_vec()),
        ("receipt", "a_receipt", receipt()),
        ("report", "plain", json),
        ("standing", "one_opened", standing()),
        ("ustar", "report_json", Entry::new(payload::REPORT, 1234).header().unwrap().to_vec()),
    ];
    for list in WordList::ALL {
        let name = match list {
            WordList::English => "english",
            WordList::ChineseSimplified => "chinese_simplified",
            WordList::ChineseTraditional => "chinese_traditional",
            WordList::Spanish => "spanish",
            WordList::French => "french",
        };
        seeds.push((
            "codename",
            name,
            codename().words(list).expose_secret().as_bytes().to_vec(),
        ));
    }
    for (name, date) in [
        ("day", "2021-11-03~"),
        ("unspecified", "2021-XX-XX"),
        ("season", "2021-22"),
        ("interval", "2019-01/2021"),
        ("since", "2019/.."),
    ] {
        seeds.push(("date", name, date.as_bytes().to_vec()));
    }
    seeds
}

fn browsers_form() -> String {
    let boundary = "----WebKitFormBoundaryqR7xX0sYb1vLkT2d";
    format!(
        "multipart/form-data; boundary={boundary}\n--{boundary}\r\nContent-Disposition: form-data; name=\"report\"; \
         filename=\"report-2968.age\"\r\nContent-Type: application/octet-stream\r\n\r\nage-encryption.org/v1\n"
    )
}

/// The seeds in which something is drawn at random: they differ each time, and are kept as they were made first.
///
/// # Panics
/// If sealing fails.
pub fn drawn() -> Vec<Seed> {
    let sealed = sealed::seal(&sealed_to_bucket());
    let header_len = SealedHeader::parse(&sealed, 1).unwrap().len;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret");
    write_wrapped(
        &path,
        &stored::PASSPHRASE.into(),
        b"secret",
        WorkFactor::Log2(1),
        Existing::Keep,
    )
    .unwrap();
    let board = board();
    vec![
        ("board", "an_answer", board.to_bytes()),
        ("order", "hang", hang(&board).to_bytes().unwrap()),
        ("header", "one_slot", sealed[..header_len].to_vec()),
        ("open", "a_report", sealed),
        ("secret_file", "a_secret", fs::read(path).unwrap()),
    ]
}

/// An archive without its end, and its `report.json`.
fn sealed_report(attachments: &[&'static [u8]]) -> (Vec<u8>, Vec<u8>) {
    let content = Content {
        continues: false,
        answers: [("q".to_owned(), "yes".to_owned())].into(),
        incident: RawValue::from_string(r#"{"narrative":"…"}"#.to_owned()).unwrap(),
    };
    let measured: Vec<_> = attachments.iter().map(|bytes| Measure::of(*bytes).unwrap()).collect();
    let draft = Draft::new(&WORLD.target, &codename(), content, &measured).unwrap();
    let mut out = Vec::new();
    draft.seal(&mut out, |index| Ok(Box::new(attachments[index]))).unwrap();
    let mut kept = Kept::default();
    let opened = open::open(out.as_slice(), &WORLD.target, &WORLD.identity, &mut kept).unwrap();
    (sealed::archived(&opened, &kept.0), opened.report_json)
}

/// A short archive, so that the seed is.
fn sealed_to_bucket() -> Vec<u8> {
    let mut archive = sealed_report(&[b"a photograph"]).0;
    archive.extend_from_slice(&[0; 2 * BLOCK]);
    archive
}

fn receipt() -> Vec<u8> {
    receipt::sign(instance(), &leaf(1), &log()).unwrap().to_bytes()
}

/// Of the log.
fn tree() -> Tree {
    let mut tree = Tree::new();
    tree.push(&leaf(1));
    tree.push(&leaf(2));
    tree
}

fn checkpoint() -> Vec<u8> {
    let day = epoch().opens();
    let checkpoint = checkpoint::sign(instance(), tree().head(), day, &log()).unwrap();
    checkpoint.to_bytes()
}

fn standing() -> Vec<u8> {
    let draft = standing::Draft {
        instance: instance(),
        epoch: epoch(),
        day: epoch().opens(),
        tree: tree(),
        opened: vec![1..=1],
    };
    draft.sign(&signer()).unwrap().to_bytes()
}

fn order(what: What) -> OrderFile {
    let draft = order::Draft {
        instance: instance(),
        id: OrderId::from_bytes([4; OrderId::LEN]),
        epoch: epoch(),
        expires: epoch().closes(),
        log: tree().head(),
        what,
    };
    let mut order = draft.to_note().unwrap();
    order.add_signature(&signer()).unwrap();
    OrderFile { order, board: None }
}

fn hang(board: &UntrustedBoard) -> OrderFile {
    let (shard, header) = (board.claims().shard, board.header_digest());
    OrderFile {
        board: Some(board.to_bytes()),
        ..order(What::Hang { shard, header })
    }
}

/// In two parts.
fn answer() -> Answer {
    let id = AnswerId::from_bytes([5; AnswerId::LEN]);
    Answer::new(id, epoch().opens(), "Do not call home. ".repeat(300)).unwrap()
}

fn board() -> UntrustedBoard {
    let (shape, salt) = (WORLD.manifest.board, Salt::from_bytes([6; Salt::LEN]));
    let reply_key = codename().reply_key();
    let answer = answer();
    let composition = Composition {
        acknowledged: vec![(&reply_key, 3)],
        answers: vec![(&reply_key, &answer)],
    };
    let (image, left_out) = board::compose(shape, instance(), salt, &composition, &mut UnwrapErr(SysRng));
    assert_eq!(left_out, board::LeftOut::default());
    let header = board::Header {
        instance: instance(),
        epoch: epoch(),
        day: epoch().opens(),
        shard: Shard::of(&reply_key, shape),
        salt,
        image: Digest::of(&image),
    };
    UntrustedBoard::sign(header, image, &[signer(), key(14)]).unwrap()
}

fn bundle() -> Vec<u8> {
    let mut writer = BundleWriter::new(Vec::new());
    writer.charter(WORLD.chain.to_json().as_bytes()).unwrap();
    writer.checkpoint(&checkpoint()).unwrap();
    writer.leaves(instance(), 0, &[leaf(1), leaf(2)]).unwrap();
    writer.manifest(epoch(), 1, &WORLD.manifest.to_bytes()).unwrap();
    let order = order(What::Delete(vec![leaf(1).digest])).order;
    writer.order(0, &order.to_bytes()).unwrap();
    writer.canary("swift-1", &receipt()).unwrap();
    for n in 1..=2 {
        writer.report(Digest::of(&[n; 100]), 100, [n; 100].as_slice()).unwrap();
    }
    writer.finish().unwrap()
}

fn requested(who: u8) -> Vec<u8> {
    let SignatureHeaders {
        content_digest,
        signature_input,
        signature,
    } = sign(requests::request(), &courier(), instance(), NOW, [9; NONCE_LEN]);
    let mut bytes = vec![who];
    bytes.extend_from_slice([content_digest, signature_input, signature].join("\n").as_bytes());
    bytes
}

fn identity_text() -> (Vec<u8>, Vec<u8>) {
    let identity = &WORLD.identity;
    (
        identity.recipient().to_string().into_bytes(),
        identity.to_secret_string().expose_secret().as_bytes().to_vec(),
    )
}

fn few_words() -> Vec<u8> {
    include_bytes!("../../../deploy/samples/20-few-words/report.json").to_vec()
}

/// The ledger of a server with a charter, a manifest and two reports.
fn ledger() -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let store = Embedded::open(folder.path(), Settings::default()).unwrap();
    stored::RUNTIME.block_on(async {
        let charter = WORLD.chain.newest();
        store
            .put_charter(2, charter.fingerprint(), b"a charter".to_vec())
            .await
            .unwrap();
        store
            .put_manifest(epoch(), 1, WORLD.manifest.hash(), b"a manifest".to_vec())
            .await
            .unwrap();
        for n in 1..=2 {
            let body = Body::in_memory(vec![n; 64]).unwrap();
            store.append(body, epoch(), epoch().opens()).await.unwrap();
        }
        store.close().await.unwrap();
    });
    fs::read(folder.path().join("ledger")).unwrap()
}

/// Writes seeds below a folder.
///
/// # Errors
/// Of writing.
pub fn write(folder: &Path, seeds: Vec<Seed>, over: bool) -> std::io::Result<()> {
    for (target, name, bytes) in seeds {
        fs::create_dir_all(folder.join(target))?;
        let path = folder.join(target).join(name);
        if over || !path.exists() {
            fs::write(path, bytes)?;
        }
    }
    Ok(())
}
