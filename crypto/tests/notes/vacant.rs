//! Nobody can tell a vacant slot from a used one.
//!
//! Tells are looked for in some hundreds of slots of either kind, and the same bounds hold for both. Each tell is shown to
//! work: slots that were sampled carelessly, each in one way, are told. The randomness is fixed, so that a bound five
//! standard deviations wide is met or not met once and for all.

use std::sync::LazyLock;

use curve25519_dalek::{EdwardsPoint, MontgomeryPoint, edwards::CompressedEdwardsY};
use marram_crypto::{hybrid::Recipient, key::PublicKey, manifest::Slot, vacant};

use crate::world::{TestRng, epoch};

const SAMPLES: usize = 400;
const Q: usize = 3329;
const COEFFICIENTS: usize = 768;
/// Width of every bound in standard deviations.
const SIGMAS: f64 = 5.0;

/// The public bytes of one slot.
#[derive(Clone)]
struct Keys {
    recipient: [u8; Recipient::LEN],
    signer: [u8; PublicKey::LEN],
}

impl Keys {
    fn of(slot: &Slot) -> Self {
        Self {
            recipient: *slot.recipient.as_bytes(),
            signer: *slot.signer.as_bytes(),
        }
    }

    fn coefficients(&self) -> Vec<usize> {
        let decode = |b: &[u8]| {
            let [low, middle, high] = [b[0], b[1], b[2]].map(usize::from);
            [low | (middle & 15) << 8, middle >> 4 | high << 4]
        };
        self.recipient[..1152].chunks_exact(3).flat_map(decode).collect()
    }

    fn set_coefficients(&mut self, coefficients: &[usize]) {
        for (pair, bytes) in coefficients
            .chunks_exact(2)
            .zip(self.recipient[..1152].chunks_exact_mut(3))
        {
            bytes.copy_from_slice(&(pair[0] | pair[1] << 12).to_le_bytes()[..3]);
        }
    }

    fn rho(&self) -> &[u8] {
        &self.recipient[1152..1184]
    }

    fn x25519(&self) -> [u8; 32] {
        self.recipient[1184..].try_into().unwrap()
    }
}

static VACANT: LazyLock<Vec<Keys>> = LazyLock::new(|| {
    let mut rng = TestRng::new("vacant slots");
    let slot = |index: usize| Keys::of(&vacant::slot(&rng.bytes(), epoch(), u8::try_from(index % 8).unwrap()));
    (0..SAMPLES).map(slot).collect()
});

fn used_slots() -> Vec<Keys> {
    let mut rng = TestRng::new("used slots");
    (0..SAMPLES).map(|_| Keys::of(&rng.pair().into())).collect()
}

#[expect(clippy::cast_precision_loss, reason = "counts are small")]
fn real(count: usize) -> f64 {
    count as f64
}

/// Pearson's chi-square of counts against expected counts, as standard deviations from its mean. Too even is suspicious
/// as well.
fn chi_square_sigmas(counts: &[usize], expected: &[f64]) -> f64 {
    let terms = counts
        .iter()
        .zip(expected)
        .map(|(count, mean)| (real(*count) - mean).powi(2) / mean);
    let degrees = real(counts.len() - 1);
    (terms.sum::<f64>() - degrees) / (2.0 * degrees).sqrt()
}

fn byte_sigmas<'a>(bytes: impl Iterator<Item = &'a u8>) -> f64 {
    let mut counts = [0; 256];
    bytes.for_each(|byte| counts[usize::from(*byte)] += 1);
    let expected = real(counts.iter().sum()) / 256.0;
    chi_square_sigmas(&counts, &[expected; 256])
}

/// Of `trials` fair coins.
fn coin_sigmas(heads: usize, trials: usize) -> f64 {
    (real(heads) - real(trials) / 2.0) / (real(trials) / 4.0).sqrt()
}

/// Everything about these slots by which they could be told.
fn tells(slots: &[Keys]) -> Vec<String> {
    let mut tells = Vec::new();
    let mut tell = |name: &str, sigmas: f64| {
        if sigmas.abs() > SIGMAS {
            tells.push(format!("{name}: {sigmas:.1}"));
        }
    };

    // ML-KEM: each coefficient uniform below q, at every position, and independent of its neighbour.
    let vectors: Vec<_> = slots.iter().map(Keys::coefficients).collect();
    tell(
        "not canonical",
        if vectors.iter().flatten().any(|value| *value >= Q) {
            f64::INFINITY
        } else {
            0.0
        },
    );
    let bins = 64;
    let bin_of = |value: usize| value.min(Q - 1) * bins / Q;
    let mut expected_share = vec![0.0; bins];
    (0..Q).for_each(|value| expected_share[bin_of(value)] += 1.0 / real(Q));
    let spread = |values: &mut dyn Iterator<Item = usize>| {
        let mut counts = vec![0; bins];
        values.for_each(|value| counts[bin_of(value)] += 1);
        let total = real(counts.iter().sum());
        chi_square_sigmas(
            &counts,
            &expected_share.iter().map(|share| share * total).collect::<Vec<_>>(),
        )
    };
    tell("coefficients", spread(&mut vectors.iter().flatten().copied()));
    let differences = vectors
        .iter()
        .flat_map(|vector| vector.windows(2).map(|pair| (pair[0] + Q - pair[1] % Q) % Q));
    tell("neighbours", spread(&mut differences.collect::<Vec<_>>().into_iter()));
    let odd = vectors.iter().flatten().filter(|value| *value % 2 == 1).count();
    // 1664 of 3329 values are odd; as a coin, that is 0.08 standard deviations off here.
    tell("odd coefficients", coin_sigmas(odd, SAMPLES * COEFFICIENTS));
    let deviation = (real(Q).powi(2) / 12.0 * real(SAMPLES)).sqrt();
    let means = (0..COEFFICIENTS).map(|position| {
        let sum: usize = vectors.iter().map(|vector| vector[position]).sum();
        (real(sum) - real(SAMPLES * (Q - 1)) / 2.0) / deviation
    });
    tell(
        "mean of a coefficient",
        means.fold(0.0, |worst, mean| if mean.abs() > worst.abs() { mean } else { worst }),
    );
    tell("rho", byte_sigmas(slots.iter().flat_map(Keys::rho)));

    // X25519: a canonical u-coordinate of a point of prime order.
    let x25519: Vec<_> = slots.iter().map(Keys::x25519).collect();
    let edwards = |u: &[u8; 32]| MontgomeryPoint(*u).to_edwards(0);
    let good = |u: &[u8; 32]| edwards(u).is_some_and(|point| point.is_torsion_free() && point.to_montgomery().0 == *u);
    tell(
        "X25519 points",
        if x25519.iter().all(good) { 0.0 } else { f64::INFINITY },
    );
    tell("X25519 bytes", byte_sigmas(x25519.iter().flat_map(|u| &u[..31])));

    // Ed25519: the canonical encoding of a point of prime order, either sign.
    let good = |key: &[u8; 32]| {
        let point = CompressedEdwardsY(*key).decompress();
        point.is_some_and(|point| point.is_torsion_free() && point.compress().0 == *key)
    };
    tell(
        "signer points",
        if slots.iter().all(|keys| good(&keys.signer)) {
            0.0
        } else {
            f64::INFINITY
        },
    );
    tell(
        "signer sign bit",
        coin_sigmas(slots.iter().filter(|keys| keys.signer[31] & 0x80 != 0).count(), SAMPLES),
    );
    tell(
        "signer bytes",
        byte_sigmas(slots.iter().flat_map(|keys| &keys.signer[..31])),
    );
    tells
}

#[test]
fn vacant_slots_are_not_told_from_used_ones() {
    assert_eq!(tells(&used_slots()), [""; 0], "the bounds must hold for used slots");
    assert_eq!(tells(&VACANT), [""; 0], "and for vacant ones");
}

/// What `change` does to vacant slots must show as `tell`.
fn told(tell: &str, mut change: impl FnMut(&mut Keys, &mut TestRng)) {
    let mut rng = TestRng::new("carelessness");
    let mut slots = VACANT.clone();
    for keys in &mut slots {
        change(keys, &mut rng);
    }
    let tells = tells(&slots);
    assert!(
        tells.iter().any(|told| told.starts_with(tell)),
        "{tell} not among {tells:?}"
    );
}

/// A point on the curve that was not multiplied by the cofactor.
fn any_point(rng: &mut TestRng) -> EdwardsPoint {
    loop {
        if let Some(point) = CompressedEdwardsY(rng.bytes()).decompress() {
            return point;
        }
    }
}

fn twelve_bits(rng: &mut TestRng) -> usize {
    usize::from(u16::from_le_bytes(rng.bytes())) % 4096
}

#[test]
fn coefficients_without_rejection_are_told() {
    told("not canonical", |keys, rng| {
        let raw: Vec<_> = (0..COEFFICIENTS).map(|_| twelve_bits(rng)).collect();
        keys.set_coefficients(&raw);
    });
    told("coefficients", |keys, rng| {
        let reduced: Vec<_> = (0..COEFFICIENTS).map(|_| twelve_bits(rng) % Q).collect();
        keys.set_coefficients(&reduced);
    });
}

#[test]
fn coefficients_that_repeat_or_stand_still_are_told() {
    told("neighbours", |keys, _| {
        let mut vector = keys.coefficients();
        (0..COEFFICIENTS / 8).for_each(|index| vector[8 * index + 1] = vector[8 * index]);
        keys.set_coefficients(&vector);
    });
    told("mean of a coefficient", |keys, _| {
        let mut vector = keys.coefficients();
        vector[COEFFICIENTS - 1] = 17;
        keys.set_coefficients(&vector);
    });
    told("odd coefficients", |keys, _| {
        let even: Vec<_> = keys.coefficients().iter().map(|value| value - value % 2).collect();
        keys.set_coefficients(&even);
    });
    told("rho", |keys, _| keys.recipient[1152] = 0);
}

#[test]
fn points_that_were_not_multiplied_by_the_cofactor_are_told() {
    told("signer points", |keys, rng| keys.signer = any_point(rng).compress().0);
    told("X25519 points", |keys, rng| {
        keys.recipient[1184..].copy_from_slice(&any_point(rng).to_montgomery().0);
    });
}

#[test]
fn bytes_that_are_no_points_and_signs_that_are_dropped_are_told() {
    told("X25519 points", |keys, rng| {
        keys.recipient[1184..].copy_from_slice(&rng.bytes::<32>());
    });
    told("X25519 points", |keys, _| keys.recipient[Recipient::LEN - 1] |= 0x80);
    told("signer sign bit", |keys, _| {
        // The negative point: still canonical and of prime order.
        keys.signer[31] &= 0x7f;
    });
    told("signer bytes", |keys, _| {
        keys.signer = keys.x25519().map(|byte| byte & 0xfe);
    });
}
