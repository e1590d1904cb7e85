//! The walls of the house: which package may know which, and that the offline programs have no way to a network.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::{collections::BTreeSet, process::Command};

use marram_tests::programs;

const OFFLINE: [&str; 2] = ["marram-casework", "marram-keyholder"];

/// Every package that `package` links, itself included.
fn dependencies(package: &str) -> BTreeSet<String> {
    let tree = Command::new(env!("CARGO"))
        .args([
            "tree",
            "--locked",
            "--offline",
            "--edges",
            "normal",
            "--prefix",
            "none",
            "--format",
            "{p}",
        ])
        .args(["--package", package])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .output()
        .unwrap();
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    let names = String::from_utf8(tree.stdout).unwrap();
    names
        .lines()
        .filter_map(|line| line.split(' ').next())
        .map(str::to_owned)
        .collect()
}

#[test]
fn the_server_does_not_know_what_a_report_says() {
    let server = dependencies("marram-server");
    assert!(server.contains("marram-crypto"), "{server:?}");
    assert!(!server.contains("marram-incident"));
    assert!(!dependencies("marram-crypto").contains("marram-incident"));
}

#[test]
fn the_offline_programs_link_no_network_code_and_no_async_runtime() {
    let network = [
        "async-io",
        "async-std",
        "curl",
        "curl-sys",
        "h2",
        "h3",
        "hickory-resolver",
        "hyper",
        "hyper-util",
        "mio",
        "native-tls",
        "quinn",
        "reqwest",
        "rustls",
        "smol",
        "socket2",
        "socks",
        "tokio",
        "tokio-rustls",
        "ureq",
    ];
    for package in OFFLINE {
        let linked = dependencies(package);
        assert!(linked.contains("marram-crypto"));
        let found: Vec<_> = network.iter().filter(|name| linked.contains(**name)).collect();
        assert!(found.is_empty(), "{package} links {found:?}");
        assert!(!linked.contains("marram-online"), "{package}");
    }
    // The list names what the online programs do link: it would notice.
    let online = dependencies("marram-submit");
    assert!(online.contains("ureq") && online.contains("rustls"));
    let server = dependencies("marram-server");
    assert!(
        ["hyper", "mio", "socket2", "tokio"]
            .iter()
            .all(|name| server.contains(*name))
    );
}

/// What the program asks of the C library.
fn imported_symbols(program: &str) -> BTreeSet<String> {
    let symbols = Command::new("nm")
        .args(["--dynamic", "--undefined-only", "--format=just-symbols"])
        .arg(programs::path(program))
        .output()
        .unwrap();
    assert!(symbols.status.success(), "{}", String::from_utf8_lossy(&symbols.stderr));
    let names = String::from_utf8(symbols.stdout).unwrap();
    names
        .lines()
        .map(|line| line.split('@').next().unwrap_or_default().to_owned())
        .collect()
}

#[test]
fn the_offline_programs_do_not_even_name_the_calls_that_reach_a_network() {
    let reach = [
        "accept",
        "accept4",
        "bind",
        "connect",
        "getaddrinfo",
        "gethostbyname",
        "listen",
        "res_init",
        "socket",
    ];
    for program in OFFLINE {
        let imported = imported_symbols(program);
        assert!(imported.contains("write"), "{program}: {imported:?}");
        let found: Vec<_> = reach.iter().filter(|name| imported.contains(**name)).collect();
        assert!(found.is_empty(), "{program} imports {found:?}");
    }
    let online = imported_symbols("marram-submit");
    assert!(online.contains("socket") && online.contains("connect") && online.contains("getaddrinfo"));
}
