//! What whoever watches the wire can count: every byte of every request and answer, headers included.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
};

use marram_crypto::{
    board::{self, Answer, AnswerId, Composition, Header, MAX_TEXT_LEN, Salt, Shard, UntrustedBoard},
    codename::{Codename, WordList},
    digest::Digest,
    key::SigningKey,
    manifest::BoardShape,
    order::What,
    seal::{Content, Draft, Target},
};
use marram_tests::{organization::rng, server::this_epoch};
use secrecy::ExposeSecret;
use serde_json::value::RawValue;

use crate::{World, today};

/// Small, so that eight shards are full of answers soon.
const SHAPE: BoardShape = BoardShape {
    shards: 16,
    tags: 64,
    cells: 40,
    cadence_days: 1,
};
const BUCKET: usize = 32 << 10;
const INCIDENT: &str = r#"{"schema":"marram/incident/v1","reporter":{"role":"relative","language":"en"},"consent":{"store":true},"narrative":"NARRATIVE"}"#;

/// Stands before the server, and writes down what passes.
struct Recorder {
    address: SocketAddr,
    connections: Arc<Mutex<Vec<Arc<Connection>>>>,
}

#[derive(Default)]
struct Connection {
    sent: Mutex<Vec<u8>>,
    received: Mutex<Vec<u8>>,
}

/// What one program sent and received, by connection.
#[derive(Debug, PartialEq, Eq)]
struct Conversation {
    sent: Vec<Vec<u8>>,
    received: Vec<Vec<u8>>,
}

impl Recorder {
    fn before(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::<Mutex<Vec<_>>>::default();
        let log = Arc::clone(&connections);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let connection = Arc::<Connection>::default();
                log.lock().unwrap().push(Arc::clone(&connection));
                let server = TcpStream::connect(server).unwrap();
                let (from_client, to_client) = (client.try_clone().unwrap(), client);
                let (from_server, to_server) = (server.try_clone().unwrap(), server);
                let other = Arc::clone(&connection);
                std::thread::spawn(move || pump(from_client, to_server, &connection.sent));
                std::thread::spawn(move || pump(from_server, to_client, &other.received));
            }
        });
        Self { address, connections }
    }

    /// What has passed since the last time.
    fn take(&self) -> Conversation {
        let connections = std::mem::take(&mut *self.connections.lock().unwrap());
        let bytes = |bytes: &Mutex<Vec<u8>>| bytes.lock().unwrap().clone();
        Conversation {
            sent: connections.iter().map(|connection| bytes(&connection.sent)).collect(),
            received: connections
                .iter()
                .map(|connection| bytes(&connection.received))
                .collect(),
        }
    }
}

impl Conversation {
    fn lengths(&self) -> [Vec<usize>; 2] {
        [&self.sent, &self.received].map(|streams| streams.iter().map(Vec::len).collect())
    }
}

/// Writes down before it passes on, so that what a program has received stands there when the program ends.
fn pump(mut from: TcpStream, mut to: TcpStream, record: &Mutex<Vec<u8>>) {
    let mut bytes = [0; 1 << 14];
    while let Ok(len @ 1..) = from.read(&mut bytes) {
        record.lock().unwrap().extend(&bytes[..len]);
        if to.write_all(&bytes[..len]).is_err() {
            break;
        }
    }
    drop(to.shutdown(Shutdown::Write));
}

impl World {
    fn address(&self) -> SocketAddr {
        self.server.base.strip_prefix("http://").unwrap().parse().unwrap()
    }

    /// Hangs a board in a shard; everybody in `answered` finds a text there.
    fn hang(&self, id: u8, shard: Shard, answered: &[(&Codename, String)]) {
        let keys: Vec<_> = answered.iter().map(|(codename, _)| codename.reply_key()).collect();
        let answers: Vec<_> = answered
            .iter()
            .map(|(_, text)| Answer::new(AnswerId::random(&mut rng()), today(), text.clone()).unwrap())
            .collect();
        let composition = Composition {
            acknowledged: keys.iter().map(|key| (key, 1)).collect(),
            answers: keys.iter().zip(&answers).collect(),
        };
        let (instance, salt) = (self.organization.chain.instance(), Salt::random(&mut rng()));
        let (image, left_out) = board::compose(self.this_week.board, instance, salt, &composition, &mut rng());
        assert_eq!(left_out, board::LeftOut::default());
        let header = Header {
            instance,
            epoch: this_epoch(),
            day: today(),
            shard,
            salt,
            image: Digest::of(&image),
        };
        let signers = [&self.signers[0], &self.next_week].map(|key| SigningKey::from_seed(&key.seed()));
        let board = UntrustedBoard::sign(header, image, &signers).unwrap();
        let hang = What::Hang {
            shard,
            header: board.header_digest(),
        };
        self.order(id, hang, &self.signers[..1], Some(board.to_bytes()));
        self.courier(&["publish", "outbox"]);
    }

    /// Polls with these words, through the recorder.
    fn poll(&self, recorder: &Recorder, codename: &Codename) -> (serde_json::Value, Conversation) {
        fs::write(
            self.folder.path().join("words"),
            codename.words(WordList::English).expose_secret(),
        )
        .unwrap();
        recorder.take();
        let found = self.check_at(&format!("http://{}", recorder.address));
        (found, recorder.take())
    }

    fn sealed(&self, incident: &str) -> Vec<u8> {
        let content = Content {
            continues: false,
            answers: [].into(),
            incident: RawValue::from_string(incident.to_owned()).unwrap(),
        };
        let target = Target::from(&self.organization.signed(&self.this_week));
        let draft = Draft::new(&target, &Codename::random(&mut rng()), content, &[]).unwrap();
        let mut ciphertext = Vec::new();
        draft.seal(&mut ciphertext, |_| unreachable!()).unwrap();
        ciphertext
    }
}

/// A codename whose answers hang in this shard.
fn of_shard(shard: Shard, shape: BoardShape) -> Codename {
    let mut codenames = std::iter::repeat_with(|| Codename::random(&mut rng()));
    codenames
        .find(|codename| Shard::of(&codename.reply_key(), shape) == shard)
        .unwrap()
}

/// The whole answer to these bytes.
fn ask(server: SocketAddr, request: &[&[u8]]) -> Vec<u8> {
    let mut stream = TcpStream::connect(server).unwrap();
    // A refusal may come before all of it is sent.
    drop(stream.write_all(&request.concat()));
    let (mut answer, mut bytes) = (Vec::new(), [0; 1 << 14]);
    while !is_whole(&answer) {
        match stream.read(&mut bytes) {
            Ok(len @ 1..) => answer.extend(&bytes[..len]),
            end => panic!("{end:?}: {}", String::from_utf8_lossy(request[0])),
        }
    }
    answer
}

fn is_whole(answer: &[u8]) -> bool {
    let Some(head) = answer.windows(4).position(|end| end == b"\r\n\r\n") else {
        return false;
    };
    let headers = String::from_utf8_lossy(&answer[..head]).to_lowercase();
    let length = headers.split("content-length: ").nth(1).unwrap();
    let body: usize = length.lines().next().unwrap().parse().unwrap();
    assert!(answer.len() <= head + 4 + body);
    answer.len() == head + 4 + body
}

fn head(method: &str, path: &str, headers: &str) -> Vec<u8> {
    format!("{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n").into_bytes()
}

fn post(path: &str, body: usize) -> Vec<u8> {
    head("POST", path, &format!("Content-Length: {body}\r\n"))
}

/// What kind of answer it is: of a refusal its name, else its status.
fn kind(answer: &[u8]) -> String {
    let text = String::from_utf8_lossy(answer);
    let status = text.split(' ').nth(1).unwrap().to_owned();
    let name = text.split("urn:marram:problem:").nth(1);
    name.map_or(status, |name| name.split('"').next().unwrap().to_owned())
}

#[test]
fn every_board_every_receipt_and_every_refusal_of_a_kind_has_one_length_headers_included() {
    let world = World::with(SHAPE);
    let server = world.address();
    // Of one to eight cells, few and many, and none at all.
    for (number, answers) in [0, 1, 2, 3, 5].into_iter().enumerate() {
        let shard = Shard::from_number(u16::try_from(number).unwrap() * 3).unwrap();
        let codenames: Vec<_> = (0..answers).map(|_| of_shard(shard, SHAPE)).collect();
        let texts = [1, 4024, MAX_TEXT_LEN, 100, 9000].map(|len| "x".repeat(len));
        let answered: Vec<_> = codenames.iter().zip(texts).collect();
        world.hang(u8::try_from(number).unwrap(), shard, &answered);
    }
    let mut lengths = BTreeMap::<String, Vec<usize>>::new();
    let mut note = |kind: String, answer: Vec<u8>| lengths.entry(kind).or_default().push(answer.len());

    for shard in Shard::all(SHAPE) {
        let answer = ask(server, &[&head("GET", &format!("/v1/board/{shard}"), "")]);
        let kind = kind(&answer);
        note(if kind == "200" { "board".to_owned() } else { kind }, answer);
    }
    let (epoch, long) = (this_epoch(), "y".repeat(20_000));
    let reports = format!("/v1/reports?epoch={epoch}");
    let narrative = |text: &str| serde_json::json!({ "narrative": text }).to_string();
    for report in ["", "They came.", &long].map(|text| world.sealed(&narrative(text))) {
        for _ in 0..2 {
            let answer = ask(server, &[&post(&reports, report.len()), &report]);
            assert_eq!(kind(&answer), "201");
            note("receipt".to_owned(), answer);
        }
    }

    let of_epoch = |number: u32| format!("/v1/reports?epoch={number}");
    let stored = world.sealed("{}");
    ask(server, &[&post(&reports, stored.len()), &stored]);
    let mut other_slots = stored.clone();
    other_slots[60] ^= 1;
    let requests: Vec<(Vec<u8>, Vec<u8>)> = vec![
        (head("GET", "/nothing", ""), vec![]),
        (head("GET", "/nothing/is/here?at=all", ""), vec![]),
        (head("GET", "/v1/board/no%20shard", ""), vec![]),
        (head("GET", "/v1/board/fff", ""), vec![]),
        (post("/v1/reports", BUCKET), vec![]),
        (post("/v1/reports?epoch=soon", BUCKET), vec![]),
        (post(&of_epoch(1), BUCKET), vec![]),
        (post(&of_epoch(epoch.number() - 3), BUCKET), vec![]),
        (post(&of_epoch(epoch.number() + 9), BUCKET), vec![]),
        (post(&of_epoch(epoch.number() + 1000), BUCKET), vec![]),
        (post(&reports, 1), vec![]),
        (post(&reports, BUCKET + 1), vec![]),
        (post(&reports, 2 << 20), vec![]),
        (post(&reports, 1 << 50), vec![]),
        (head("POST", &reports, ""), vec![]),
        (head("POST", &reports, "Transfer-Encoding: chunked\r\n"), vec![]),
        (post(&reports, BUCKET), vec![0; BUCKET]),
        (post(&reports, 2 * BUCKET), vec![0xff; 2 * BUCKET]),
        (post(&reports, BUCKET), other_slots.clone()),
        (post("/v1/orders", 5), b"order".to_vec()),
        (post("/v1/orders", long.len()), long.as_bytes().to_vec()),
        // Whether there is such a report or not.
        (head("GET", &format!("/v1/reports/{}", Digest::of(&stored)), ""), vec![]),
        (head("GET", &format!("/v1/reports/{}", Digest::of(b"none")), ""), vec![]),
        (head("GET", "/v1/log/leaves?from=0", ""), vec![]),
        (
            head("GET", "/v1/log/checkpoint", "Signature: courier=:AAAA:\r\n"),
            vec![],
        ),
        // Of routes with the same `Allow`, which names what can be done instead.
        (head("DELETE", "/v1/charter", ""), vec![]),
        (head("DELETE", "/v1/manifest", ""), vec![]),
    ];
    for (head, body) in requests {
        let answer = ask(server, &[&head, &body]);
        note(kind(&answer), answer);
    }
    let expected = [
        "bad-query",
        "board",
        "epoch-closed",
        "epoch-not-open",
        "length-required",
        "method-not-allowed",
        "no-board",
        "not-a-bucket",
        "not-a-courier",
        "not-an-order",
        "not-found",
        "not-sealed",
        "receipt",
        "too-large",
    ];
    for kind in expected {
        let seen = lengths.get(kind).unwrap_or_else(|| panic!("{kind}: {lengths:?}"));
        assert!(seen.len() > 1, "{kind} was asked for once only");
        assert_eq!(seen.iter().collect::<BTreeSet<_>>().len(), 1, "{kind}: {seen:?}");
    }
    assert_eq!(lengths["board"].len(), 5);
}

#[test]
fn a_poll_that_finds_an_answer_and_one_that_finds_none_are_the_same_bytes_and_lengths() {
    let world = World::new();
    let recorder = Recorder::before(world.address());
    let shard = Shard::from_number(0).unwrap();
    let [answered, at_length, nobody] = [(); 3].map(|()| Codename::random(&mut rng()));
    let (none, before) = world.poll(&recorder, &answered);
    assert_eq!(none["board"], "none");
    let answers = [
        (&answered, "Come on Monday".to_owned()),
        (&at_length, "word ".repeat(MAX_TEXT_LEN / 5)),
    ];
    world.hang(1, shard, &answers);

    let polls = [&answered, &at_length, &nobody].map(|codename| world.poll(&recorder, codename));
    let found = polls
        .each_ref()
        .map(|(found, _)| found["answers"].as_array().unwrap().len());
    assert_eq!(found, [1, 1, 0]);
    let [first, others @ ..] = polls.map(|(_, conversation)| conversation);
    let asked = String::from_utf8(first.sent.concat()).unwrap();
    for path in ["/v1/charter", "/v1/manifest", "/v1/board/000"] {
        assert!(asked.contains(&format!("GET {path} ")), "{asked}");
    }
    for other in others {
        assert_eq!(other, first);
    }
    assert_eq!(before.sent, first.sent, "nor does a poll know whether a board hangs");

    // Another board, on which nothing is answered.
    world.hang(2, shard, &[]);
    let (found, empty) = world.poll(&recorder, &answered);
    assert_eq!(
        (&found["board"], found["answers"].as_array().unwrap().len()),
        (&"current".into(), 0)
    );
    assert_eq!(empty.sent, first.sent);
    assert_eq!(empty.lengths(), first.lengths());
    assert_ne!(empty.received, first.received);
}

#[test]
fn polls_of_two_shards_have_the_same_lengths_and_two_reports_of_a_size_class_too() {
    let world = World::with(SHAPE);
    let recorder = Recorder::before(world.address());
    let shards = [0, 11].map(|number| Shard::from_number(number).unwrap());
    let codenames = shards.map(|shard| of_shard(shard, SHAPE));
    world.hang(1, shards[0], &[(&codenames[0], "x".repeat(MAX_TEXT_LEN))]);
    world.hang(2, shards[1], &[]);
    let [one, other] = codenames.each_ref().map(|codename| world.poll(&recorder, codename).1);
    assert_eq!(one.lengths(), other.lengths());

    let mut reports = [
        "They came.".to_owned(),
        "They came, and asked for her by name. ".repeat(100),
    ]
    .into_iter()
    .map(|narrative| {
        let incident = INCIDENT.replace("NARRATIVE", &narrative);
        fs::write(world.folder.path().join("incident.json"), incident).unwrap();
        let link = world.link_at(&format!("http://{}", recorder.address));
        world.submit(&[&link, "--incident", "incident.json"]);
        recorder.take()
    });
    let (short, long) = (reports.next().unwrap(), reports.next().unwrap());
    assert!(short.sent.concat().len() > BUCKET);
    assert_eq!(short.lengths(), long.lengths());
}
