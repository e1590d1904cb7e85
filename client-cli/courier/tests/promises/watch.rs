//! `watch` with the real program: a round from a timer, a server that is down, and a stop. The schedule itself is tested
//! beside the code, with time that passes at will.

use std::{
    fs,
    io::Read as _,
    process::{Command, Stdio},
};

use crate::help::World;

/// One round without waiting.
const ONCE: [&str; 6] = ["watch", "--once", "--jitter", "0s", "--into", "bundles"];

fn bundles(world: &World) -> usize {
    fs::read_dir(world.path("bundles")).map_or(0, Iterator::count)
}

#[test]
fn one_round_pulls_and_tells_everybody_the_same_whether_anything_came_or_not() {
    let world = World::new();
    let link = world.link();
    let heard = "tee -a heard >/dev/null";
    let round = || {
        world
            .courier
            .run(&[&ONCE[..], &["--link", &link, "--notify", heard, "--notify", heard]].concat())
    };
    world.add(&[1]);
    round().succeeded();
    let first = fs::read(world.path("heard")).unwrap();
    round().succeeded();
    assert_eq!(fs::read(world.path("heard")).unwrap(), [&first[..], &first].concat());
    assert_eq!(bundles(&world), 2);

    // The server is down: the pull fails, and everybody is told the same.
    world.refuse_everything();
    assert!(round().failed().contains("An older charter"));
    assert_eq!(
        fs::read(world.path("heard")).unwrap(),
        [&first[..], &first, &first].concat()
    );
    assert_eq!(bundles(&world), 2);
    let status = world.courier.ok(&["--json", "status"]).json();
    assert!(
        status["watch"]["pull_failed"]
            .as_str()
            .unwrap()
            .contains("An older charter")
    );

    // And up again.
    world.site.lock().unwrap().refuse = None;
    round().succeeded();
    assert!(world.courier.ok(&["--json", "status"]).json()["watch"]["pull_failed"].is_null());
}

#[test]
fn a_failed_delivery_shows_everywhere_and_keeps_back_no_other() {
    let world = World::new();
    let link = world.link();
    let round = |command: &str| {
        world.courier.run(
            &[
                &ONCE[..],
                &["--link", &link, "--notify", command, "--notify", "cat >heard"],
            ]
            .concat(),
        )
    };
    let run = round("exit 3");
    assert!(
        run.failed().contains("not delivered: exit 3: exit status: 3"),
        "{}",
        run.stderr
    );
    assert!(world.path("heard").exists());
    assert_eq!(bundles(&world), 1);
    let status = world.courier.ok(&["status"]).stdout;
    assert!(
        status.contains("not delivered: exit 3: exit status: 3, 1 times in a row"),
        "{status}"
    );
    round("true").succeeded();
    assert!(!world.courier.ok(&["status"]).stdout.contains("not delivered"));
}

#[test]
fn a_watch_survives_a_server_that_is_down_and_ends_cleanly_when_it_is_told_to() {
    let world = World::new();
    let link = world.link();
    world.refuse_everything();
    let (mut reader, writer) = std::io::pipe().unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_marram-courier"))
        .arg("--home")
        .arg(world.courier.home())
        .args([
            "watch", "--into", "bundles", "--every", "1s", "--jitter", "0s", "--link", &link,
        ])
        .args(["--notify", "cat >&2"])
        .current_dir(world.path(""))
        .env_clear()
        .stdin(Stdio::null())
        .stderr(writer)
        .spawn()
        .unwrap();
    let mut heard = String::new();
    let mut wait_for = |what: &str| {
        while !heard.contains(what) {
            let mut byte = [0];
            assert_eq!(reader.read(&mut byte).unwrap(), 1, "{heard}");
            heard.push(char::from(byte[0]));
        }
        heard.clear();
    };
    wait_for("An older charter");
    wait_for("Look as usual");
    world.add(&[1]);
    world.site.lock().unwrap().refuse = None;
    wait_for("marram-casework import");
    wait_for("Look as usual");
    let stopped = Command::new("kill")
        .args(["-TERM", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(stopped.success());
    assert_eq!(child.wait().unwrap().code(), Some(143));
    let partial = fs::read_dir(world.path("bundles")).unwrap().filter(|entry| {
        !entry
            .as_ref()
            .unwrap()
            .file_name()
            .to_string_lossy()
            .starts_with("bundle-")
    });
    assert_eq!(partial.count(), 0);
    assert!(bundles(&world) > 0);
    world.pull(&["--out", "after.tar"]);
}
