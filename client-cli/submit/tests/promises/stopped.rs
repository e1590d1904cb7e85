//! Ctrl-C, at a prompt and in everything that takes long: nothing is left, and the terminal is as it was.

use std::{fs::File, sync::mpsc};

use crate::help::World;
use marram_online::testing::Reply;
use marram_tests::terminal::ctrl_c;

#[test]
fn at_the_first_question() {
    let world = World::new();
    ctrl_c(&world.command(&[]), "\n> ");
    assert_eq!(world.left_behind(), []);
}

#[test]
fn while_a_large_file_is_measured() {
    let world = World::new();
    // Without a block on the disk, and longer than anybody waits for.
    File::create(world.path("video.mp4")).unwrap().set_len(1 << 40).unwrap();
    let link = world.link();
    let args = [
        &link,
        "--incident",
        "incident.json",
        "--attach",
        "video.mp4",
        "--only-seal",
        "sealed.age",
    ];
    ctrl_c(&world.command(&args), "measuring");
    assert!(!world.path("sealed.age").exists());
    assert_eq!(world.left_behind(), []);
    assert_eq!(world.server.requests().len(), 0);
}

#[test]
fn while_the_server_takes_its_time_with_the_report() {
    let (_held, hold) = mpsc::channel::<()>();
    let world = World::hostile(move |request, _, _| {
        if request.method != "POST" {
            return None;
        }
        // Until the test is over.
        let _ = hold.recv();
        Some(Reply::problem(503, "Late", ""))
    });
    let link = world.link();
    ctrl_c(
        &world.command(&[
            &link,
            "--incident",
            "incident.json",
            "--save-unsent",
            "unsent.age",
            "--receipt",
            "receipt",
        ]),
        "sending",
    );
    assert!(!world.path("receipt").exists());
    assert_eq!(world.left_behind(), []);
}
