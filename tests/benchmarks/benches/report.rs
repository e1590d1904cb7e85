//! What sealing and opening cost: a text report and one with a large attachment, to the eight slots of a manifest.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, reason = "a benchmark")]

use std::{
    hint::black_box,
    io::{self, Read},
};

use age_core::format::FileKey;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use marram_crypto::{
    codename::Codename,
    open::open,
    payload::Discard,
    seal::{Content, Draft, Measure, Target},
};
use marram_tests::{
    organization::{Organization, rng},
    server::this_epoch,
};
use serde_json::value::RawValue;

const LIMIT: u64 = 64 << 20;
/// Fills the 64 MiB bucket.
const ATTACHMENT: u64 = LIMIT - (1 << 20);

fn content() -> Content {
    let incident = serde_json::json!({ "account": "They came again. ".repeat(200) });
    Content {
        continues: false,
        answers: [].into(),
        incident: RawValue::from_string(incident.to_string()).unwrap(),
    }
}

fn contents() -> Box<dyn Read> {
    Box::new(io::repeat(0x5a).take(ATTACHMENT))
}

fn seal(target: &Target, codename: &Codename, attachments: &[Measure]) -> Vec<u8> {
    let draft = Draft::new(target, codename, content(), attachments).unwrap();
    let mut ciphertext = Vec::with_capacity(usize::try_from(draft.bucket()).unwrap());
    draft.seal(&mut ciphertext, |_| Ok(contents())).unwrap();
    ciphertext
}

fn reports(criterion: &mut Criterion) {
    let organization = Organization::found();
    let manifest = organization.signed(&organization.draft(this_epoch(), LIMIT));
    let target = Target::from(&manifest);
    let identity = &organization.caseworkers[2];
    let codename = Codename::random(&mut rng());
    let attachment = [Measure::of(contents()).unwrap()];
    // What opening cannot do without, whatever this machine does meanwhile.
    let stanza = identity.recipient().wrap(&FileKey::new(Box::new([7; 16]))).unwrap();
    criterion.bench_function("one decapsulation alone", |bencher| {
        bencher.iter(|| black_box(identity.unwrap(&stanza)));
    });
    for (name, attachments) in [("32 KiB", &[][..]), ("64 MiB", &attachment)] {
        let mut group = criterion.benchmark_group(name);
        let ciphertext = seal(&target, &codename, attachments);
        group.throughput(Throughput::Bytes(ciphertext.len() as u64));
        if attachments.len() == 1 {
            group.sample_size(10);
        }
        group.bench_function("seal to 8 slots", |bencher| {
            bencher.iter(|| black_box(seal(&target, &codename, attachments)));
        });
        let opened = || open(ciphertext.as_slice(), &target, identity, &mut Discard).unwrap();
        group.bench_function("open, own slot known", |bencher| bencher.iter(|| black_box(opened())));
        let report = opened();
        group.bench_function("prove it wholly sealed", |bencher| {
            bencher.iter(|| report.wholly_sealed(&target).unwrap());
        });
    }
}

criterion_group!(benches, reports);
criterion_main!(benches);
