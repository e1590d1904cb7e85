//! Caseworkers and couriers whose keys their own programs have made.

use std::path::Path;

use marram_crypto::{day::Epoch, enrolment::UntrustedEnrolment, key::PublicKey, manifest::Slot};
use marram_terminal::{
    files::Existing,
    secret_file::{self, WorkFactor},
};

use crate::{organization::Organization, programs};

/// Enrols a caseworker with the folder `home`, for epochs from `from` on; the slot for each of these. The passphrase is
/// [`programs::PASSPHRASE`].
pub fn enrol(organization: &Organization, home: &Path, from: Epoch, epochs: u32) -> Vec<Slot> {
    let (charter, enrolment) = (home.with_extension("charter"), home.with_extension("enrolment"));
    std::fs::write(&charter, organization.chain.to_json()).unwrap();
    let fingerprint = organization.chain.newest().fingerprint().to_string();
    let mut enrol = programs::offline("marram-casework", home);
    enrol
        .arg("--home")
        .arg(home)
        .args(["enrol", "--fingerprint", &fingerprint]);
    enrol.args(["--epochs", &epochs.to_string(), "--from", &from.to_string()]);
    programs::succeeds(enrol.arg("--charter").arg(&charter).arg("--out").arg(&enrolment));
    unlock_quickly(home, programs::PASSPHRASE);
    let enrolment = UntrustedEnrolment::parse(&std::fs::read(enrolment).unwrap()).unwrap();
    let enrolment = enrolment.verify(organization.chain.instance()).unwrap();
    enrolment.pairs.values().cloned().map(Slot::from).collect()
}

/// Wraps the identity of the caseworker with the folder `home` anew: commands no longer take the second that a guess at the
/// passphrase is to take.
pub fn unlock_quickly(home: &Path, passphrase: &str) {
    let identity = home.join("identity.age");
    let secrets = secret_file::read_wrapped(&identity, &passphrase.into(), 4096).unwrap();
    let quick = WorkFactor::Log2(1);
    secret_file::write_wrapped(&identity, &passphrase.into(), &secrets, quick, Existing::Replace).unwrap();
}

/// Makes the key of a courier with the folder `home`.
pub fn courier_key(home: &Path) -> PublicKey {
    let mut key = programs::program("marram-courier", home);
    programs::succeeds(key.arg("--home").arg(home).arg("key"))
        .trim()
        .parse()
        .unwrap()
}
