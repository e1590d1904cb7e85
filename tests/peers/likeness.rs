//! Nobody can tell by a sealed report whether the page or the command line made it: a thousand of each pass the server's
//! check, and neither the statistics of any feature nor two classifiers tell them apart.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]
#![allow(clippy::cast_precision_loss, reason = "every number is small")]

use std::{collections::BTreeMap, fmt::Write as _, path::Path, process::Command};

use base64::{Engine, prelude::BASE64_STANDARD_NO_PAD};
use marram_crypto::{
    codename::Codename,
    day::Epoch,
    header,
    manifest::Manifest,
    seal::{Content, Draft, Target},
};
use marram_tests::{
    organization::{Organization, rng},
    peers,
};
use serde_json::value::RawValue;

const REPORTS: usize = 1_000;
/// Two, which is a quarter of the work of eight: every slot has a stanza of its own, made like the others.
const SLOTS: usize = 2;
/// Beyond so many standard deviations is no accident: one in three million.
const SIGMAS: f64 = 5.0;

/// What anybody sees of a sealed report.
struct Seen {
    /// What is the same in all reports, unless something is wrong: types, numbers of arguments, lengths of lines.
    form: String,
    bucket: usize,
    header_len: usize,
    grease_words: Vec<Vec<u8>>,
    grease_body: Vec<u8>,
    /// As written: how it is broken into lines is a choice, too.
    grease_lines: Vec<usize>,
    first_of_payload: u8,
}

impl Seen {
    /// Reads a header line by line, apart from the parser that the server uses.
    fn of(start: &[u8], bucket: usize) -> Self {
        let header_len = 5 + start.windows(5).position(|five| five == b"\n--- ").unwrap();
        let mac_len = start[header_len..].iter().position(|&byte| byte == b'\n').unwrap();
        let text = std::str::from_utf8(&start[..header_len + mac_len]).unwrap();
        let mut stanzas = text.split("\n-> ");
        let mut form = format!("{} | mac {mac_len}", stanzas.next().unwrap());
        let stanzas: Vec<_> = stanzas.collect();
        let (grease, slots) = stanzas.split_last().unwrap();
        for slot in slots {
            let lines: Vec<_> = slot.lines().collect();
            let arguments: Vec<_> = lines[0].split(' ').collect();
            let lengths: Vec<_> = arguments[1..].iter().map(|argument| argument.len()).collect();
            let body: Vec<_> = lines[1..].iter().map(|line| line.len()).collect();
            write!(form, " | {} {lengths:?} {body:?}", arguments[0]).unwrap();
        }
        let grease = grease.split("\n---").next().unwrap();
        let mut lines = grease.split('\n');
        let words = lines.next().unwrap().split(' ').map(|word| word.as_bytes().to_vec());
        let body: Vec<_> = lines.collect();
        Self {
            form,
            bucket,
            header_len: header_len + mac_len,
            grease_words: words.collect(),
            grease_lines: body.iter().map(|line| line.len()).collect(),
            grease_body: BASE64_STANDARD_NO_PAD.decode(body.concat()).unwrap(),
            first_of_payload: start[header_len + mac_len + 1],
        }
    }

    fn name_len(&self) -> usize {
        self.grease_words[0].len()
    }

    /// Numbers for the classifiers.
    fn numbers(&self) -> Vec<f64> {
        let words = &self.grease_words[1..];
        let letters: Vec<_> = self
            .grease_words
            .iter()
            .flatten()
            .map(|&byte| f64::from(byte))
            .collect();
        let mean = |values: &[f64]| values.iter().sum::<f64>() / (values.len().max(1) as f64);
        let body: Vec<_> = self.grease_body.iter().map(|&byte| f64::from(byte)).collect();
        vec![
            (self.bucket as f64).log2(),
            self.header_len as f64,
            self.name_len() as f64,
            words.len() as f64,
            words.iter().map(|word| word.len() as f64).sum(),
            words.last().map_or(0.0, |word| word.len() as f64),
            self.grease_body.len() as f64,
            self.grease_lines.len() as f64,
            self.grease_lines.last().map_or(0.0, |&len| len as f64),
            mean(&letters),
            letters.iter().copied().fold(0.0, f64::max),
            mean(&body),
            f64::from(self.first_of_payload),
        ]
    }
}

/// How often each value of each feature occurs.
fn counts(reports: &[Seen]) -> BTreeMap<&'static str, BTreeMap<usize, f64>> {
    let mut counts: BTreeMap<_, BTreeMap<usize, f64>> = BTreeMap::new();
    let mut count = |feature, value: usize| *counts.entry(feature).or_default().entry(value).or_default() += 1.0;
    for seen in reports {
        count("bucket", seen.bucket);
        count("length of the header, by tens", seen.header_len / 10);
        count("length of the grease's name", seen.name_len());
        count("arguments of the grease", seen.grease_words.len() - 1);
        count("length of the grease's body", seen.grease_body.len());
        count("lines of the grease's body", seen.grease_lines.len());
        count("length of its last line", *seen.grease_lines.last().unwrap());
        for word in &seen.grease_words[1..] {
            count("length of an argument", word.len());
        }
        let own = seen.name_len() - "-grease".len();
        for &byte in seen.grease_words[0][..own]
            .iter()
            .chain(seen.grease_words[1..].iter().flatten())
        {
            count("letter of the grease", byte.into());
        }
        for &byte in &seen.grease_body {
            count("byte of the grease's body", byte.into());
        }
        count("first byte behind the header", seen.first_of_payload.into());
    }
    counts
}

/// Pearson's χ² for two samples, as standard deviations of a normal variable (Wilson and Hilferty). Rare values are counted together.
fn deviation(ours: &BTreeMap<usize, f64>, theirs: &BTreeMap<usize, f64>) -> f64 {
    let get = |side: &BTreeMap<usize, f64>, value| side.get(value).copied().unwrap_or(0.0);
    let mut values: Vec<_> = ours.keys().chain(theirs.keys()).collect();
    values.sort_unstable();
    values.dedup();
    let (all_ours, all_theirs): (f64, f64) = (ours.values().sum(), theirs.values().sum());
    let mut chi_squared = 0.0;
    let mut cells = 0;
    let (mut a, mut b) = (0.0, 0.0);
    for (place, value) in values.iter().enumerate() {
        a += get(ours, value);
        b += get(theirs, value);
        if a + b < 20.0 && place + 1 < values.len() {
            continue;
        }
        let scale = (all_theirs / all_ours).sqrt();
        chi_squared += (scale * a - b / scale).powi(2) / (a + b);
        cells += 1;
        (a, b) = (0.0, 0.0);
    }
    if cells < 2 {
        return 0.0;
    }
    let spread = 2.0 / (9.0 * f64::from(cells - 1));
    ((chi_squared / f64::from(cells - 1)).cbrt() - (1.0 - spread)) / spread.sqrt()
}

/// Every other report is learnt from, the rest is guessed. Gives how many of those were guessed right, by logistic
/// regression and by the nine nearest neighbours.
fn guessed(ours: &[Seen], theirs: &[Seen]) -> [(&'static str, usize, usize); 2] {
    let mut all: Vec<_> = ours
        .iter()
        .map(|seen| (seen.numbers(), 0.0))
        .chain(theirs.iter().map(|seen| (seen.numbers(), 1.0)))
        .collect();
    let features = all[0].0.len();
    for feature in 0..features {
        let n = all.len() as f64;
        let mean = all.iter().map(|(numbers, _)| numbers[feature]).sum::<f64>() / n;
        let variance = all
            .iter()
            .map(|(numbers, _)| (numbers[feature] - mean).powi(2))
            .sum::<f64>()
            / n;
        for (numbers, _) in &mut all {
            numbers[feature] = (numbers[feature] - mean) / variance.sqrt().max(1e-9);
        }
    }
    let (known, asked): (Vec<_>, Vec<_>) = all.into_iter().enumerate().partition(|(place, _)| place % 2 == 0);

    let mut weights = vec![0.0; features + 1];
    let score = |weights: &[f64], numbers: &[f64]| {
        let sum: f64 = weights
            .iter()
            .zip(numbers)
            .map(|(weight, number)| weight * number)
            .sum();
        1.0 / (1.0 + (-sum - weights[features]).exp())
    };
    for _ in 0..300 {
        let mut slope = vec![0.0; features + 1];
        for (_, (numbers, label)) in &known {
            let error = label - score(&weights, numbers);
            for (slope, number) in slope.iter_mut().zip(numbers.iter().chain([&1.0])) {
                *slope += error * number / known.len() as f64;
            }
        }
        for (weight, slope) in weights.iter_mut().zip(slope) {
            *weight += 2.0 * slope;
        }
    }
    let by_score = |numbers: &[f64]| score(&weights, numbers) > 0.5;
    let by_neighbours = |numbers: &[f64]| {
        let distance = |other: &[f64]| numbers.iter().zip(other).map(|(a, b)| (a - b).powi(2)).sum::<f64>();
        let mut near: Vec<_> = known
            .iter()
            .map(|(_, (other, label))| (distance(other), *label))
            .collect();
        near.select_nth_unstable_by(9, |(a, _), (b, _)| a.total_cmp(b));
        near[..9].iter().map(|(_, label)| label).sum::<f64>() > 4.5
    };
    let right = |guess: &dyn Fn(&[f64]) -> bool| {
        asked
            .iter()
            .filter(|(_, (numbers, label))| guess(numbers) == (*label > 0.5))
            .count()
    };
    [
        ("logistic regression", right(&by_score), asked.len()),
        ("nearest neighbours", right(&by_neighbours), asked.len()),
    ]
}

/// The features whose frequencies tell two heaps of reports apart.
fn by_statistics(ours: &[Seen], theirs: &[Seen]) -> Vec<String> {
    let (ours, theirs) = (counts(ours), counts(theirs));
    let compared = ours
        .iter()
        .map(|(feature, counted)| (feature, deviation(counted, &theirs[feature])));
    let apart = compared.filter(|&(_, sigmas)| sigmas > SIGMAS);
    apart
        .map(|(feature, sigmas)| format!("{feature}: {sigmas:.1} standard deviations"))
        .collect()
}

/// The classifiers that guess better than a coin.
fn by_classifiers(ours: &[Seen], theirs: &[Seen]) -> Vec<String> {
    let mut found = Vec::new();
    for (classifier, right, of) in guessed(ours, theirs) {
        let sigmas = (right as f64 - of as f64 / 2.0) / (of as f64 / 4.0).sqrt();
        if sigmas > SIGMAS {
            found.push(format!(
                "{classifier}: {right} of {of}, {sigmas:.1} standard deviations"
            ));
        }
    }
    found
}

fn manifest_and(organization: &Organization) -> Manifest {
    let mut draft = organization.draft(Epoch::from_number(2951).unwrap(), 1 << 20);
    draft.slots.truncate(SLOTS);
    organization.signed(&draft)
}

/// Lengths of stories, of two buckets.
fn narratives() -> Vec<usize> {
    (0..REPORTS).map(|n| n * 97 % 30_000).collect()
}

fn from_the_command_line(manifest: &Manifest) -> Vec<(Vec<u8>, usize)> {
    let target = Target::from(manifest);
    let seal = |length: usize| {
        let incident = format!(r#"{{"narrative":"{}"}}"#, "n".repeat(length));
        let content = Content {
            continues: false,
            answers: [].into(),
            incident: RawValue::from_string(incident).unwrap(),
        };
        let codename = Codename::random(&mut rng());
        let mut sealed = Vec::new();
        let draft = Draft::new(&target, &codename, content, &[]).unwrap();
        draft.seal(&mut sealed, |_| unreachable!("no attachments")).unwrap();
        let size = sealed.len();
        sealed.truncate(16_384);
        (sealed, size)
    };
    narratives().into_iter().map(seal).collect()
}

fn from_the_page(organization: &Organization, manifest: &Manifest) -> Vec<(Vec<u8>, usize)> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../client-web");
    assert!(
        page.join("node_modules").is_dir(),
        "the page's packages are not installed: run `npm ci` in client-web, or ./tests/run, which does"
    );
    let order = serde_json::json!({
        "charters": organization.chain.to_json(),
        "manifest": String::from_utf8(manifest.to_bytes()).unwrap(),
        "fingerprint": organization.chain.pinned().to_string(),
        "narratives": narratives(),
    });
    let mut node = Command::new("node");
    node.arg("tools/seal-many.mjs").current_dir(page);
    let output = peers::run(&mut node, order.to_string().as_bytes());
    let record = |record: &[u8]| {
        let size = u32::from_be_bytes(record[..4].try_into().unwrap());
        (record[4..].to_vec(), size as usize)
    };
    output.chunks_exact(4 + 16_384).map(record).collect()
}

#[test]
fn nobody_can_tell_the_pages_reports_from_the_command_lines() {
    let organization = Organization::found();
    let manifest = manifest_and(&organization);
    let ours = from_the_command_line(&manifest);
    let theirs = from_the_page(&organization, &manifest);
    assert_eq!(theirs.len(), REPORTS);
    for (start, size) in ours.iter().chain(&theirs) {
        header::SealedHeader::check(start, SLOTS).unwrap();
        assert!(size.is_power_of_two());
    }
    let see = |reports: Vec<(Vec<u8>, usize)>| {
        let reports = reports.into_iter();
        reports.map(|(start, size)| Seen::of(&start, size)).collect::<Vec<_>>()
    };
    let (ours, theirs) = (see(ours), see(theirs));
    for seen in ours.iter().chain(&theirs) {
        assert_eq!(seen.form, ours[0].form);
    }
    // The same story takes the same bucket.
    for (here, there) in ours.iter().zip(&theirs) {
        assert_eq!(here.bucket, there.bucket);
    }
    assert_eq!(by_statistics(&ours, &theirs), Vec::<String>::new());
    assert_eq!(by_classifiers(&ours, &theirs), Vec::<String>::new());

    // The measure is one: a grease that differs a little is found by it.
    let named = |found: Vec<String>, what: &str| found.iter().any(|difference| difference.starts_with(what));
    let mut changed = theirs;
    for seen in &mut changed {
        seen.grease_body.truncate(90);
    }
    assert!(named(by_statistics(&ours, &changed), "length of the grease's body"));
    for word in changed.iter_mut().flat_map(|seen| &mut seen.grease_words) {
        for byte in word {
            *byte = (*byte).max(b'%');
        }
    }
    assert!(named(by_statistics(&ours, &changed), "letter of the grease"));
    for seen in &mut changed {
        seen.grease_words.truncate(4);
    }
    assert!(named(by_statistics(&ours, &changed), "arguments of the grease"));
    for seen in &mut changed {
        seen.header_len += seen.grease_body.len();
    }
    assert!(named(by_classifiers(&ours, &changed), "logistic regression"));
}
