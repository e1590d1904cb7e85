//! What holds for every bucket, archive header, bundle, annex and codename: not for examples only.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::io::Read as _;

use marram_crypto::{
    annex::{Annex, AnnexPart, Entry as SlotEntry},
    bucket,
    bundle::{BundleEntry, BundleReader, BundleWriter},
    codename::{Codename, CodenameError, WORDS, WordList},
    day::{Day, Epoch},
    digest::Digest,
    header,
    key::SigningKey,
    leaf::Leaf,
    manifest::MAX_SLOTS,
    secret::SecretBytes,
    ustar::{BLOCK, Entry},
};
use proptest::{collection::vec, prelude::*, sample::Index};
use secrecy::ExposeSecret as _;

/// The largest bucket there may be.
const LARGEST: u64 = 1 << 32;
/// From the shortest header to the longest: section 10.1 of the protocol.
const GREASE: usize = 260 - 83;

#[test]
fn whatever_grease_is_drawn_every_bucket_can_be_filled_exactly() {
    for slots in 1..=MAX_SLOTS {
        let mut size = bucket::smallest(slots);
        while size <= LARGEST {
            let capacity = bucket::capacity(size, slots);
            for shorter in 0..=GREASE {
                let header = (header::max_len(slots) - shorter) as u64;
                let payload = bucket::payload_len(size - header - bucket::NONCE_LEN);
                assert!(
                    payload.is_some_and(|payload| payload >= capacity),
                    "{slots} slots, {size} bytes, a header of {header}: {payload:?}"
                );
            }
            size *= 2;
        }
    }
}

fn epoch() -> impl Strategy<Value = Epoch> {
    (0..=Epoch::MAX.number()).prop_map(|number| Epoch::from_number(number).unwrap())
}

fn leaf() -> impl Strategy<Value = Leaf> {
    let day = (0..=Day::MAX.number()).prop_map(|number| Day::from_number(number).unwrap());
    (any::<[u8; 32]>(), epoch(), day, 0_u8..64).prop_map(|(digest, epoch, day, log2_size)| Leaf {
        digest: Digest::from_bytes(digest),
        epoch,
        day,
        log2_size,
    })
}

/// Good paths, and such as are nearly good.
fn path() -> impl Strategy<Value = String> {
    prop_oneof!["[!-~]{1,100}", "(\\.{0,2}|[a-z]{1,9})(/(\\.{0,2}|[a-z]{1,9})){0,4}"]
}

fn slot() -> impl Strategy<Value = SlotEntry> {
    let pseudonym = "[^\\s\\p{Cc}](\\PC{0,40}[^\\s\\p{Cc}])?".prop_filter("a text value", |text| {
        text.trim() == text && !text.chars().any(char::is_control)
    });
    prop_oneof![
        (any::<[u8; 32]>(), pseudonym).prop_map(|(seed, pseudonym)| SlotEntry::Enrolment {
            key: SigningKey::from_seed(&SecretBytes::from(seed)).public(),
            pseudonym,
        }),
        any::<[u8; 32]>().prop_map(|seed| SlotEntry::Vacant {
            seed: SecretBytes::from(seed)
        }),
        Just(SlotEntry::Kept),
    ]
}

fn word_list() -> impl Strategy<Value = WordList> {
    prop::sample::select(WordList::ALL.to_vec())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_payload_takes_the_least_bucket_that_holds_it_and_two_that_take_one_look_alike(
        payload in prop_oneof![0..1_000_000_u64, 0..u64::MAX], slots in 1..=MAX_SLOTS, limit in 15..=32,
    ) {
        let limit = 1_u64 << limit;
        match bucket::for_payload(payload, slots, limit) {
            Ok(size) => {
                prop_assert!(bucket::is_bucket(size, slots, limit));
                prop_assert!(bucket::capacity(size, slots) >= payload);
                let half = size / 2;
                prop_assert!(!bucket::is_bucket(half, slots, limit) || bucket::capacity(half, slots) < payload);
            }
            Err(refused) => {
                prop_assert_eq!(refused.needs, payload);
                prop_assert!(!bucket::is_bucket(limit, slots, limit) || bucket::capacity(limit, slots) < payload);
            }
        }
    }

    #[test]
    fn every_archive_header_reads_back_or_is_never_written(path in path(), size in any::<u64>(), small in 0..40) {
        let entry = Entry::new(path, size >> small);
        if let Ok(header) = entry.header() {
            prop_assert_eq!(Entry::parse(&header), Ok(Some(entry)));
        }
    }

    #[test]
    fn an_archive_header_with_bytes_changed_and_the_sum_put_right_is_refused_or_says_what_it_says(
        changes in vec((0..BLOCK, any::<u8>()), 1..4), size in 0..=0o77_777_777_777_u64,
    ) {
        let mut block = Entry::new("attachments/07", size).header().unwrap();
        for (at, byte) in changes {
            block[at] = byte;
        }
        block[148..156].fill(b' ');
        let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
        block[148..156].copy_from_slice(format!("{sum:07o}\0").as_bytes());
        if let Ok(entry) = Entry::parse(&block) {
            prop_assert_eq!(entry.unwrap().header().unwrap(), block);
        }
    }

    #[test]
    fn a_bundle_reads_back_whole_and_every_cut_of_it_is_noticed(
        chain in vec(any::<u8>(), 0..700), from in any::<u64>(), leaves in vec(leaf(), 0..40),
        manifests in vec((epoch(), any::<u32>(), vec(any::<u8>(), 0..700)), 0..4),
        reports in vec(vec(any::<u8>(), 0..2000), 0..4), cut in any::<Index>(),
    ) {
        let instance = "00112233445566778899aabbccddeeff".parse().unwrap();
        let mut writer = BundleWriter::new(Vec::new());
        writer.charter(&chain).unwrap();
        writer.leaves(instance, from, &leaves).unwrap();
        for (epoch, version, note) in &manifests {
            writer.manifest(*epoch, *version, note).unwrap();
        }
        for report in &reports {
            writer.report(Digest::of(report), report.len() as u64, report.as_slice()).unwrap();
        }
        let bytes = writer.finish().unwrap();
        let mut reader = BundleReader::new(bytes.as_slice());
        let (mut notes, mut bodies) = (Vec::new(), Vec::new());
        while let Some(entry) = reader.next_entry().unwrap() {
            match entry {
                BundleEntry::Charter(found) => prop_assert_eq!(&found, &chain),
                BundleEntry::Leaves { instance: of, from: first, count, leaves: found } => {
                    prop_assert_eq!((of, first, count), (instance, from, leaves.len() as u64));
                    prop_assert_eq!(&found.collect::<Result<Vec<_>, _>>().unwrap(), &leaves);
                }
                BundleEntry::Manifest(note) => notes.push(note),
                BundleEntry::Checkpoint(_) | BundleEntry::Order { .. } | BundleEntry::Canary { .. } => {
                    prop_assert!(false, "nobody wrote one");
                }
                BundleEntry::Report { digest, size, mut content } => {
                    let mut body = Vec::new();
                    content.read_to_end(&mut body).unwrap();
                    prop_assert_eq!((digest, size), (Digest::of(&body), body.len() as u64));
                    bodies.push(body);
                }
            }
        }
        prop_assert_eq!(notes, manifests.into_iter().map(|(_, _, note)| note).collect::<Vec<_>>());
        prop_assert_eq!(bodies, reports);

        let cut = &bytes[..cut.index(bytes.len())];
        let mut reader = BundleReader::new(cut);
        let noticed = loop {
            match reader.next_entry() {
                Err(_) => break true,
                Ok(None) => break false,
                Ok(Some(_)) => {}
            }
        };
        prop_assert!(noticed);
    }

    #[test]
    fn an_annex_reads_back_and_has_one_spelling(
        instance in "[0-9a-f]{32}", parts in vec((any::<[u8; 32]>(), vec(slot(), 1..=MAX_SLOTS)), 1..4),
        at in any::<Index>(), byte in any::<u8>(),
    ) {
        let annex = Annex {
            instance: instance.parse().unwrap(),
            parts: parts.into_iter().map(|(hash, slots)| AnnexPart { manifest: Digest::from_bytes(hash), slots }).collect(),
        };
        let text = annex.to_text().unwrap();
        let again = Annex::parse(text.as_bytes()).unwrap();
        prop_assert_eq!(again.to_text().unwrap(), text.clone());
        prop_assert_eq!(again.parts.len(), annex.parts.len());
        let mut changed = text.as_bytes().to_vec();
        let at = at.index(changed.len());
        changed[at] = byte;
        if let Ok(annex) = Annex::parse(&changed) {
            let written = annex.to_text().unwrap();
            prop_assert_eq!(written.as_bytes(), changed);
        }
    }

    #[test]
    fn a_codename_reads_back_however_it_is_typed_and_no_other_word_gives_the_same(
        entropy in any::<[u8; 16]>(), list in word_list(), spaces in vec("[ \t\n\u{3000}]{1,3}", WORDS),
        capitals in any::<bool>(), place in 0..WORDS, other in any::<[u8; 16]>(),
    ) {
        let codename = Codename::from_entropy(SecretBytes::from(entropy));
        let words = codename.words(list);
        let words: Vec<&str> = words.expose_secret().split(' ').collect();
        let typed: String = words.iter().zip(&spaces).flat_map(|(word, space)| [*word, space.as_str()]).collect();
        let typed = if capitals { typed.to_uppercase() } else { typed };
        let again = Codename::from_words(&typed).unwrap();
        prop_assert_eq!(again.entropy(), &entropy);

        let others = Codename::from_entropy(SecretBytes::from(other)).words(list);
        let mut mistaken = words.clone();
        mistaken[place] = others.expose_secret().split(' ').nth(place).unwrap();
        if mistaken != words && let Ok(found) = Codename::from_words(&mistaken.join(" ")) {
            prop_assert_ne!(found.entropy(), &entropy);
        }
        let short = Codename::from_words(&words[1..].join(" ")).unwrap_err();
        prop_assert_eq!(short, CodenameError::Count(WORDS - 1));
    }
}
