//! Hostile submitters. Reports that only some slots can open are tested where they can be made: in `crypto/` and in the
//! caseworkers' own tests.

use marram_crypto::{codename::Codename, secret::SecretBytes};
use marram_tests::server::this_epoch;

use crate::office::Office;

#[test]
fn a_flood_of_well_formed_noise_is_counted_and_hides_nothing() {
    let office = Office::new();
    let template = office.report();
    for number in 0..200_u32 {
        let mut noise = template.clone();
        let end = noise.len();
        noise[end - 4..].copy_from_slice(&number.to_be_bytes());
        office.server().add(noise, this_epoch());
        if number == 100 {
            office.reported();
        }
    }
    office.pull("swift", "1.tar");
    assert_eq!(office.import("heron", &["1.tar"]), [""; 0]);
    assert_eq!(office.cases("heron"), 1);
}

#[test]
fn a_lying_epoch_keeps_no_report_out() {
    let office = Office::new();
    let report = office.report();
    office.server().add(report, this_epoch().previous().unwrap());
    office.pull("swift", "1.tar");
    office.import("heron", &["1.tar"]);
    assert_eq!(office.cases("heron"), 1);
}

#[test]
fn a_report_under_anothers_codename_cannot_be_forged_and_a_follow_up_of_the_same_words_is_bound() {
    let office = Office::new();
    let codename = Codename::from_entropy(SecretBytes::from([3; 16]));
    office.server().add(office.sealed(&codename, false), this_epoch());
    office.server().add(office.sealed(&codename, true), this_epoch());
    office.pull("swift", "1.tar");
    assert_eq!(office.import("heron", &["1.tar"]), [""; 0]);
    assert_eq!(office.cases("heron"), 2);
    // Who does not have the words has no key to sign with; crypto/ and casework's own tests hold each forgery.
}
