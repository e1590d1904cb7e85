//! `kill -9` at any moment. The page cache survives it, so that this tests the order of writes and the start, and not
//! the syncs: for those see `power` and `harsh`.

use std::{fs, time::Duration};

use marram_tests::server::Server;

use crate::{
    random_below,
    rig::{Promises, Rig, root, said_cut, stored_bytes},
    rounds,
};

/// More than a round can use up: the kill ends it, not the supply.
const PER_ROUND: usize = 400;

#[test]
fn killed_while_32_submit_the_server_loses_nothing_it_acknowledged_and_all_of_it_opens() {
    let folder = tempfile::tempdir().unwrap();
    let (rig, mut server) = Rig::found(folder.path());
    let promises = Promises::default();
    let mut last = Vec::new();
    for round in 1..=rounds(3) {
        let reports = rig.seal(PER_ROUND);
        // Anywhere between the first groups and many.
        let kill_after = 10 + usize::try_from(random_below(250)).unwrap();
        let (seen, refused) = rig.while_posting(&promises, &server.base, &reports, |posting| {
            let mut seen = Vec::new();
            posting.until(|| {
                seen = server.leaves(&rig.organization);
                posting.acknowledged() >= kill_after
            });
            std::thread::sleep(Duration::from_micros(random_below(4000)));
            kill(&server);
            seen
        });
        assert!(refused.is_empty(), "{refused:?}");
        server.ends();
        let left = stored_bytes(server.data());
        server.start();
        let cut = left - stored_bytes(server.data());
        assert_eq!(said_cut(&server.said()), cut, "it says what it cut: {}", server.said());

        let promised = promises.until_now();
        let leaves = rig.verify(&server, &promised, &seen);
        assert!(leaves.starts_with(&last));
        assert_eq!(root(&leaves[..seen.len()]), root(&seen));
        // Another kill, with nothing under way, changes nothing.
        server.kill();
        server.start();
        assert_eq!(said_cut(&server.said()), 0);
        assert_eq!(root(&server.leaves(&rig.organization)), root(&leaves));
        println!(
            "kill {round}: {} acknowledged, {} in the log, {} of them read before the kill, {cut} bytes cut, root {:.16}",
            promised.len(),
            leaves.len(),
            seen.len(),
            root(&leaves).to_string()
        );
        last = leaves;
    }
    // After a kill the view is rebuilt anyway. So its folder is lost after a clean stop, when it would be opened as it is.
    server.stop();
    assert!(server.data().join("store/clean").exists());
    fs::remove_dir_all(server.data().join("store/view")).unwrap();
    server.start();
    assert_eq!(rig.verify(&server, &promises.until_now(), &last), last);
}

/// Ends it without waiting, so that the submitters notice before anything else happens.
pub(crate) fn kill(server: &Server) {
    let process = server.process_id().to_string();
    marram_tests::programs::succeeds(std::process::Command::new("kill").args(["-9", &process]));
}
