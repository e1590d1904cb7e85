//! Every parser is total, and what a draft writes is what its reader reads.

use std::{collections::BTreeMap, sync::LazyLock};

use marram_crypto::{
    annex::Annex,
    charter::{self, UntrustedCharter, UntrustedCharterChain},
    day::{Day, Epoch},
    digest::Digest,
    enrolment::{self, Pair, UntrustedEnrolment},
    fingerprint::{Digits, Link},
    instance::InstanceId,
    key::{PublicKey, SigningKey},
    leaf::Leaf,
    manifest::{BoardShape, Choice, Code, Contact, Draft, Kind, Locale, Question, Slot, Texts, UntrustedManifest},
    note::UntrustedNote,
    receipt::{self, UntrustedReceipt},
    secret::SecretBytes,
    vacant,
};
use proptest::{collection::vec, option, prelude::*, sample::Index};

use crate::world::{self, TestRng, World, found, part, sign, sign_charter, signed};

/// Thirty-two slots, since making them is slow.
static SLOTS: LazyLock<Vec<Slot>> = LazyLock::new(|| {
    let epoch = Epoch::from_number(0).unwrap();
    (0..32)
        .map(|position| vacant::slot(&[1; 32], epoch, position))
        .collect()
});

/// One valid text of each kind.
static VALID: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let mut world = World::new();
    let (mut draft, mut entries) = world.draft();
    draft.slots.truncate(2);
    entries.truncate(2);
    let manifest = sign(&draft, &world.roots[..2]);
    let annex = Annex {
        instance: world.instance,
        parts: vec![part(&manifest, entries)],
    };
    let leaf = Leaf {
        digest: Digest::of(b""),
        epoch: world::epoch(),
        day: Day::MAX,
        log2_size: 20,
    };
    vec![
        manifest.into_note().to_bytes(),
        world.caseworkers[0].enrolment.note().to_bytes(),
        world.chain.newest().note().to_bytes(),
        world.chain.to_json().into_bytes(),
        receipt::sign(world.instance, &leaf, &world.log).unwrap().to_bytes(),
        annex.to_text().unwrap().as_bytes().to_vec(),
        draft.questions[0].to_string().into_bytes(),
        Link::new("https://host.example:8443", leaf.digest)
            .unwrap()
            .to_string()
            .into_bytes(),
        Digits::of(&leaf.digest).to_string().into_bytes(),
    ]
});

/// Gives the bytes to every parser. What one of them accepts must come out as it went in.
fn read_by_all(bytes: &[u8]) {
    let note = UntrustedNote::parse(bytes);
    assert_eq!(
        note.is_ok(),
        signed_note::Note::from_bytes(bytes).is_ok(),
        "as C2SP's own reader"
    );
    if let Ok(note) = note {
        assert_eq!(note.to_bytes(), bytes);
        let _ = (note.note_type(), note.instance());
    }
    if let Ok(charter) = UntrustedCharter::parse(bytes) {
        assert_eq!(charter.claims().to_note().unwrap().text(), charter.note().text());
    }
    if let Ok(chain) = UntrustedCharterChain::parse(bytes) {
        let pinned = chain.claimed_fingerprint().unwrap();
        let _ = chain.verify(pinned);
    }
    let _ = UntrustedEnrolment::parse(bytes);
    if let Ok(manifest) = UntrustedManifest::parse(bytes) {
        let again = manifest.claims().to_note().unwrap();
        assert_eq!(UntrustedManifest::from_note(again).unwrap().claims(), manifest.claims());
    }
    let _ = UntrustedReceipt::parse(bytes);
    if let Ok(annex) = Annex::parse(bytes) {
        assert_eq!(annex.to_text().unwrap().as_bytes(), bytes);
    }
    let text = String::from_utf8_lossy(bytes);
    if let Ok(question) = text.parse::<Question>() {
        assert_eq!(question.to_string().parse(), Ok(question));
    }
    if let Ok(link) = Link::parse(&text) {
        assert_eq!(Link::parse(&link.to_string()), Ok(link));
    }
    let _ = text.parse::<Digits>();
}

/// One small change of some bytes.
#[derive(Clone, Debug)]
enum Mutation {
    Flip(Index, u8),
    Insert(Index, Vec<u8>),
    Remove(Index, usize),
    Repeat(Index, usize),
    SwapLines(Index, Index),
    DropLine(Index),
}

impl Mutation {
    fn any() -> impl Strategy<Value = Self> {
        let byte = prop_oneof![any::<u8>(), prop::sample::select(b"\n 0a-=\"{}".to_vec())];
        prop_oneof![
            (any::<Index>(), 1_u8..).prop_map(|(at, bits)| Self::Flip(at, bits)),
            (any::<Index>(), vec(byte, 1..4)).prop_map(|(at, bytes)| Self::Insert(at, bytes)),
            (any::<Index>(), 1_usize..80).prop_map(|(at, len)| Self::Remove(at, len)),
            (any::<Index>(), 1_usize..80).prop_map(|(at, len)| Self::Repeat(at, len)),
            (any::<Index>(), any::<Index>()).prop_map(|(one, other)| Self::SwapLines(one, other)),
            any::<Index>().prop_map(Self::DropLine),
        ]
    }

    fn apply(&self, bytes: &mut Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        let len = bytes.len();
        match self {
            Self::Flip(at, bits) => bytes[at.index(len)] ^= bits,
            Self::Insert(at, new) => {
                let at = at.index(len);
                bytes.splice(at..at, new.iter().copied());
            }
            Self::Remove(at, count) => {
                let at = at.index(len);
                bytes.drain(at..len.min(at + count));
            }
            Self::Repeat(at, count) => {
                let at = at.index(len);
                let piece = bytes[at..len.min(at + count)].to_vec();
                bytes.splice(at..at, piece);
            }
            Self::SwapLines(one, other) => {
                let mut lines: Vec<_> = bytes.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
                let count = lines.len();
                lines.swap(one.index(count), other.index(count));
                *bytes = lines.join(&b'\n');
            }
            Self::DropLine(at) => {
                let mut lines: Vec<_> = bytes.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
                lines.remove(at.index(lines.len()));
                *bytes = lines.join(&b'\n');
            }
        }
    }
}

fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed(&SecretBytes::from([seed; 32]))
}

fn public() -> impl Strategy<Value = PublicKey> {
    any::<u8>().prop_map(|seed| key(seed).public())
}

fn instance() -> impl Strategy<Value = InstanceId> {
    any::<u64>().prop_map(|seed| InstanceId::random(&mut TestRng::new(&seed.to_string())))
}

fn digest() -> impl Strategy<Value = Digest> {
    any::<[u8; 32]>().prop_map(Digest::from_bytes)
}

fn epoch(room: u32) -> impl Strategy<Value = Epoch> {
    (0..=Epoch::MAX.number() - room).prop_map(|number| Epoch::from_number(number).unwrap())
}

/// Text values as people may write them, in any script.
fn text() -> impl Strategy<Value = String> {
    "[^\\s\\p{Cc}](\\PC{0,60}[^\\s\\p{Cc}])?".prop_filter("a text value", |text| {
        text.trim() == text && !text.chars().any(char::is_control)
    })
}

fn locale() -> impl Strategy<Value = Locale> {
    "[a-zA-Z]{2,8}(-[a-zA-Z0-9]{1,8}){0,2}".prop_map(|tag| tag.parse().unwrap())
}

fn code() -> impl Strategy<Value = Code> {
    "[a-z0-9_]{1,32}".prop_map(|code| code.parse().unwrap())
}

fn texts() -> impl Strategy<Value = Texts> {
    (text(), prop::collection::btree_map(locale(), text(), 0..3)).prop_map(|(english, mut others)| {
        others.insert("en".parse().unwrap(), english);
        others
    })
}

fn question() -> impl Strategy<Value = Question> {
    let choices = prop_oneof![
        prop::sample::select(vec![Kind::Text, Kind::LongText, Kind::YesNo]).prop_map(|kind| (kind, BTreeMap::new())),
        prop::collection::btree_map(code(), texts(), 2..5).prop_map(|choices| (Kind::Choice, choices)),
    ];
    (code(), texts(), choices).prop_map(|(id, text, (kind, choices))| Question {
        id,
        kind,
        text,
        choices: choices.into_iter().map(|(code, text)| Choice { code, text }).collect(),
    })
}

fn draft() -> impl Strategy<Value = Draft> {
    let board = (0_u32..=12, 1_u32..=1 << 20, 1_u32..=1 << 16, 1_u32..=36_500);
    let board = board.prop_map(|(shards, tags, cells, cadence_days)| BoardShape {
        shards: 1 << shards,
        tags,
        cells,
        cadence_days,
    });
    let contact = (option::of(locale()), text()).prop_map(|(locale, text)| Contact { locale, text });
    let head = (instance(), epoch(0), 1_u32.., digest(), public());
    let lists = (
        prop::collection::btree_set(public(), 0..=16),
        prop::collection::btree_set(digest(), 0..=16),
        vec(contact, 0..4),
        vec(question(), 0..4).prop_map(|mut questions| {
            questions.sort_by(|one, other| one.id.cmp(&other.id));
            questions.dedup_by(|one, other| one.id == other.id);
            questions
        }),
        prop::sample::subsequence(SLOTS.clone(), 1..=32).prop_shuffle(),
    );
    (head, lists, board, 17_u32..=32, 1_u32..=36_500, 1_u32..=36_500).prop_map(
        |((instance, epoch, version, charter, log), lists, board, limit, retention_days, promise_days)| {
            let (couriers, pages, contacts, questions, slots) = lists;
            Draft {
                instance,
                epoch,
                version,
                charter,
                log,
                couriers: couriers.into_iter().collect(),
                limit: 1 << limit,
                retention_days,
                promise_days,
                board,
                pages: pages.into_iter().collect(),
                contacts,
                questions,
                slots,
            }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes_make_no_parser_panic(bytes in vec(any::<u8>(), 0..400)) {
        read_by_all(&bytes);
    }

    #[test]
    fn arbitrary_lines_make_no_parser_panic(
        first in prop::sample::select(vec!["marram/charter/v1", "marram/manifest/v1", "marram/enrolment/v1",
            "marram/receipt/v1", "marram/order/v1", "marram/board/v1", "marram/annex/v1"]),
        lines in vec("(version|previous|name|contact|threshold|root|epoch|key|pair|slot|leaf|manifest|limit) \\PC{0,40}", 0..12),
    ) {
        let text = format!("{first}\n000102030405060708090a0b0c0d0e0f\n{}\n", lines.join("\n"));
        read_by_all(text.as_bytes());
        read_by_all(&signed(UntrustedNote::unsigned(text).unwrap(), &[key(0)]).to_bytes());
    }

    #[test]
    fn valid_texts_with_small_changes_make_no_parser_panic(
        which in any::<Index>(),
        mutations in vec(Mutation::any(), 1..4),
    ) {
        let mut bytes = which.get(&VALID).clone();
        for mutation in &mutations {
            mutation.apply(&mut bytes);
        }
        read_by_all(&bytes);
        // And signed anew, so that the change gets past the signature.
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((text, _)) = text.rsplit_once("\n\n") && let Ok(note) = UntrustedNote::unsigned(format!("{text}\n")) {
            read_by_all(&signed(note, &[key(0)]).to_bytes());
        }
    }

    #[test]
    fn a_signed_manifest_with_small_changes_is_the_same_or_refused(mutations in vec(Mutation::any(), 1..3)) {
        static WORLD: LazyLock<World> = LazyLock::new(World::new);
        let mut bytes = VALID[0].clone();
        let text_of = |bytes: &[u8]| UntrustedNote::parse(bytes).map(|note| note.text().to_owned());
        let text = text_of(&bytes);
        for mutation in &mutations {
            mutation.apply(&mut bytes);
        }
        if UntrustedManifest::parse(&bytes).and_then(|manifest| manifest.verify(&WORLD.chain)).is_ok() {
            prop_assert_eq!(text_of(&bytes), text);
        }
    }

}

proptest! {
    // Fewer, since each parses some hundred recipients.
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn what_a_manifest_draft_writes_verifies_as_what_it_said(mut draft in draft()) {
        static WORLD: LazyLock<World> = LazyLock::new(World::new);
        draft.instance = WORLD.instance;
        draft.charter = WORLD.chain.newest().fingerprint();
        let bytes = sign(&draft, &WORLD.roots[1..]).into_note().to_bytes();
        let manifest = UntrustedManifest::parse(&bytes).unwrap().verify(&WORLD.chain).unwrap();
        prop_assert_eq!(&*manifest, &draft);
        prop_assert_eq!(manifest.to_bytes(), bytes);
        prop_assert_eq!(manifest.hash(), draft.to_note().unwrap().digest());
    }

    #[test]
    fn what_a_charter_draft_writes_verifies_as_what_it_said(
        instance in instance(), name in text(), contact in text(),
        seeds in prop::collection::btree_set(any::<u8>(), 1..=16), threshold in any::<Index>(),
    ) {
        let roots: Vec<_> = seeds.into_iter().map(key).collect();
        let threshold = threshold.index(roots.len()) + 1;
        let draft = charter::Draft {
            instance,
            version: 1,
            previous: None,
            name,
            contact,
            threshold,
            roots: roots.iter().map(SigningKey::public).collect(),
        };
        let chain = found(&draft, &roots[..threshold]);
        prop_assert_eq!(&**chain.newest(), &draft);
        let again = UntrustedCharterChain::parse(chain.to_json().as_bytes()).unwrap().verify(chain.pinned()).unwrap();
        prop_assert_eq!(&**again.newest(), &draft);
        let short = UntrustedCharterChain::founding(sign_charter(&draft, &roots[..threshold - 1]));
        prop_assert!(short.verify(chain.pinned()).is_err());
    }

    #[test]
    fn what_an_enrolment_draft_writes_verifies_as_what_it_said(
        instance in instance(), first in epoch(32), counter in 1_u32..,
        slots in prop::sample::subsequence(SLOTS.clone(), 1..=32).prop_shuffle(),
    ) {
        let pairs = (0..).zip(slots).map(|(later, Slot { recipient, signer })| (first.plus(later), Pair { recipient, signer }));
        let draft = enrolment::Draft { instance, key: key(0).public(), counter, pairs: pairs.collect() };
        let bytes = draft.sign(&key(0)).unwrap().note().to_bytes();
        prop_assert_eq!(&*UntrustedEnrolment::parse(&bytes).unwrap().verify(instance).unwrap(), &draft);
    }
}

#[test]
fn every_valid_text_is_accepted_by_its_own_parser() {
    // Otherwise the changes above would be changes of nothing.
    VALID.iter().for_each(|bytes| read_by_all(bytes));
    assert!(UntrustedManifest::parse(&VALID[0]).is_ok());
    assert!(UntrustedEnrolment::parse(&VALID[1]).is_ok());
    assert!(UntrustedCharter::parse(&VALID[2]).is_ok());
    assert!(UntrustedCharterChain::parse(&VALID[3]).is_ok());
    assert!(UntrustedReceipt::parse(&VALID[4]).is_ok());
    assert!(Annex::parse(&VALID[5]).is_ok());
    let text = |index: usize| String::from_utf8(VALID[index].clone()).unwrap();
    assert!(text(6).parse::<Question>().is_ok() && Link::parse(&text(7)).is_ok() && text(8).parse::<Digits>().is_ok());
}
