//! Manifests that are superseded, or of another founding.

use marram_tests::{organization::Organization, programs, server::this_epoch};

use crate::office::{self, Office};

#[test]
fn a_superseded_manifest_is_refused_by_whoever_has_a_memory() {
    let office = Office::new();
    let mut newer = office::draft(0);
    newer.version = 2;
    let newer = office::signed(&newer);
    office.reported();
    {
        let mut server = office.server();
        server.manifests.push(newer.to_bytes());
        server.manifest = newer.to_bytes();
    }
    office.pull("swift", "1.tar");
    assert_eq!(office.import("heron", &["1.tar"]), [""; 0]);
    // The version before, as if the newer one had never been.
    {
        let mut server = office.server();
        server.manifests.pop();
        server.manifest = office.manifest.to_bytes();
    }
    let said = office.pull_alarms("swift", "2.tar");
    assert!(said.contains("version"), "{said}");
    // A submitter keeps no state, and believes it until it closes: docs/threat-model.md says so.
}

#[test]
fn a_manifest_of_another_founding_is_refused_by_everybody() {
    let office = Office::new();
    let mut stranger = Organization::found();
    stranger.log_is(office::organization().log);
    let foreign = stranger.signed(&stranger.draft(this_epoch(), 1 << 20));
    office.reported();
    {
        let mut server = office.server();
        server.manifests = vec![foreign.to_bytes()];
        server.manifest = foreign.to_bytes();
    }
    office.pull_alarms("swift", "1.tar");
    let sample = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../deploy/samples/01-uyghur-teacher-himself/report.json"
    );
    let before = office.server().leaves.len();
    let mut submit = programs::program("marram-submit", &office.path("stranger"));
    programs::fails(submit.arg(office.link()).args(["--incident", sample]));
    assert_eq!(office.server().leaves.len(), before, "nothing was sent");
}
