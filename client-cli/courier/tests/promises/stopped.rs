//! Ctrl-C in the middle of a pull: no bundle, nothing lost, and the next pull goes on.

use std::{
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
};

use crate::help::{World, report};
use marram_tests::terminal::ctrl_c;

#[test]
fn a_pull_that_is_stopped_writes_no_bundle_and_the_next_one_goes_on() {
    let (let_go, stuck_until) = mpsc::channel::<()>();
    let stuck = Arc::new(AtomicBool::new(true));
    let is_stuck = Arc::clone(&stuck);
    let mut reports = 0;
    let world = World::hostile(move |request, _| {
        if request.path.starts_with("/v1/reports/") {
            reports += 1;
            if reports == 2 && is_stuck.load(Ordering::SeqCst) {
                // Until the test lets go.
                let _ = stuck_until.recv();
            }
        }
        None
    });
    world.add(&[1, 2]);
    let mut pull = Command::new(env!("CARGO_BIN_EXE_marram-courier"));
    pull.arg("--home").arg(world.courier.home());
    pull.args(["pull", "--link", &world.link(), "--out"])
        .arg(world.path("1.tar"));
    ctrl_c(&pull, "32.00 KiB/64.00 KiB");
    assert!(!world.path("1.tar").exists());
    assert_ne!(world.spool(), 0, "what came is kept");

    stuck.store(false, Ordering::SeqCst);
    drop(let_go);
    world.pull(&["--out", &world.path("1.tar").display().to_string()]);
    assert_eq!(world.bundle("1.tar").3, [report(1), report(2)]);
    assert_eq!(world.spool(), 0);
    assert_eq!(world.ranges().len(), 3, "the first report was not fetched again");
}
