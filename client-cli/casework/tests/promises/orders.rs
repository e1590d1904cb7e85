//! `order`: what leaves for the server, and what a second signature is given for.

use std::{fs, path::PathBuf};

use marram_crypto::{
    digest::Digest,
    order::{OrderFile, What},
    tree::Head,
};
use serde_json::json;

use crate::{
    accounting::deletion,
    support::{Home, Server, Told, one_line, organization, sealed, target, text, today},
};

fn orders(outbox: &PathBuf) -> Vec<(PathBuf, OrderFile)> {
    let entries = fs::read_dir(outbox).unwrap();
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
        .into_iter()
        .map(|path| {
            let file = OrderFile::parse(&fs::read(&path).unwrap()).unwrap();
            (path, file)
        })
        .collect()
}

/// A casebook with a report, and a report of a stranger that nobody can open.
fn home() -> (Home, Server) {
    let home = organization().alice();
    let mut server = Server::new();
    server.accept(sealed("one"));
    server.accept(vec![b'x'; 1 << 15]);
    home.import(&server);
    (home, server)
}

#[test]
fn an_order_to_delete_is_signed_by_my_slot_and_tells_which_log_i_know() {
    let (home, server) = home();
    let outbox = home.beside("outbox");
    let said = home.json(&["order", "delete", "1", "--out", outbox.to_str().unwrap()]);
    let (_, file) = orders(&outbox).remove(0);
    assert_eq!(said["deletes"], json!([server.leaves[0].digest]));
    let manifest = organization().manifest(organization().epoch, 1);
    let order = file.order.verify(&manifest).unwrap();
    assert_eq!(order.slots(), [crate::support::MINE]);
    let draft = order.draft();
    assert_eq!(draft.what, What::Delete(vec![server.leaves[0].digest]));
    assert_eq!(draft.log, server.tree().head());
    draft.check_day(today()).unwrap();
}

#[test]
fn what_i_have_not_opened_is_not_deleted_unless_i_insist() {
    let (home, server) = home();
    let outbox = home.beside("outbox");
    let out = outbox.to_str().unwrap();
    let noise = server.leaves[1].digest.to_string();
    let said = one_line(&home.fails(&["order", "delete", &noise, "--out", out]));
    assert!(said.contains("I have not opened"), "{said}");
    home.ok(&["order", "delete", &noise, "--out", out, "--even-unread"]);
    assert_eq!(orders(&outbox).len(), 1);
    let unknown = Digest::of(b"nothing").to_string();
    let said = one_line(&home.fails(&["order", "delete", &unknown, "--out", out, "--even-unread"]));
    assert!(said.contains("the server would refuse the order"), "{said}");
}

#[test]
fn a_second_signature_is_given_to_what_i_have_opened_and_to_nothing_else() {
    let (home, server) = home();
    let colleague = &organization().colleague(0, organization().epoch).signer;
    let digests: Vec<_> = server.leaves.iter().map(|leaf| leaf.digest).collect();
    let file = home.beside("colleague.order");
    let write = |digests: &[Digest], log: Head| {
        let order = deletion(7, digests, log, &[colleague]);
        let bytes = OrderFile { order, board: None }.to_bytes().unwrap();
        fs::write(&file, &bytes).unwrap();
        bytes
    };
    let cosign = ["order", "co-sign", file.to_str().unwrap()];

    let unread = write(&digests, server.tree().head());
    let refused = home.answer(&cosign, "yes\n");
    let said = one_line(&text(&refused.stderr));
    assert!(
        !refused.status.success() && said.contains("I have not opened: 1"),
        "{said}"
    );
    assert_eq!(fs::read(&file).unwrap(), unread);

    let one = write(&digests[..1], server.tree().head());
    assert!(!home.answer(&cosign, "no\n").status.success());
    assert_eq!(fs::read(&file).unwrap(), one);
    let signed = home.answer(&cosign, "yes\n");
    assert!(signed.status.success(), "{}", text(&signed.stderr));
    assert!(text(&signed.stdout).contains("#1"));
    let order = OrderFile::parse(&fs::read(&file).unwrap()).unwrap().order;
    let manifest = organization().manifest(organization().epoch, 1);
    let order = order.verify(&manifest).unwrap();
    assert_eq!((order.signers().len(), order.deletes_from(today())), (2, None));
    // Nobody signs twice.
    let said = one_line(&text(&home.answer(&cosign, "yes\n").stderr));
    assert!(said.contains("I have signed this order already"), "{said}");

    // Its maker has seen another log.
    let size = server.tree().size();
    write(
        &digests[..1],
        Head {
            size,
            root: Digest::of(b"another"),
        },
    );
    let said = one_line(&text(&home.answer(&cosign, "yes\n").stderr));
    assert!(said.contains("the log is forked"), "{said}");
    assert_eq!(home.alarms()[0].0, "forked");
}

#[test]
fn an_order_that_nobody_who_may_has_signed_gets_no_second_signature() {
    let (home, server) = home();
    let stranger = marram_crypto::key::SigningKey::from_seed(&marram_crypto::secret::SecretBytes::from([9; 32]));
    let order = deletion(7, &[server.leaves[0].digest], server.tree().head(), &[&stranger]);
    let file = home.beside("colleague.order");
    fs::write(&file, OrderFile { order, board: None }.to_bytes().unwrap()).unwrap();
    let said = one_line(&text(
        &home
            .answer(&["order", "co-sign", file.to_str().unwrap()], "yes\n")
            .stderr,
    ));
    assert!(said.contains("no slot of the newest manifest has signed"), "{said}");
}

#[test]
fn an_order_is_followed_until_a_bundle_shows_that_the_server_took_it() {
    let (home, mut server) = home();
    let outbox = home.beside("outbox");
    home.ok(&["order", "delete", "1", "--out", outbox.to_str().unwrap()]);
    assert_eq!(home.json(&["status"])["orders_under_way"], 1);
    let (_, file) = orders(&outbox).remove(0);
    server.orders.push((0, file.order.to_bytes()));
    home.import(&server);
    assert_eq!(home.json(&["status"])["orders_under_way"], 0);
    assert_eq!(home.alarms(), []);
}

#[test]
fn an_order_of_mine_that_the_server_never_applied_is_named() {
    let (home, mut server) = home();
    let outbox = home.beside("outbox");
    home.ok(&["order", "delete", "1", "--out", outbox.to_str().unwrap()]);
    let (_, file) = orders(&outbox).remove(0);
    let expires = file.order.claims().expires;
    // A checkpoint from after its expiry: of a server whose clock is ahead.
    let epoch = marram_crypto::day::Epoch::of(expires.plus(1)).unwrap();
    let mut draft = organization().draft(organization().epoch, 1);
    draft.epoch = epoch;
    draft.slots = (0..8)
        .map(|n| marram_crypto::vacant::slot(&[n; 32], epoch, n))
        .collect();
    server.publish(&organization().sign(&draft));
    server.day = Some(expires.plus(1));
    let id = file.order.claims().id;
    home.import(&server);
    let applied =
        |alarms: Vec<(String, String)>| !alarms.contains(&("order_not_applied".into(), format!("order {id}")));
    assert!(!applied(home.alarms()));
    // Late is better than never.
    server.orders.push((0, file.order.to_bytes()));
    home.import(&server);
    assert!(applied(home.alarms()));
}

#[test]
fn a_caseworker_without_a_slot_makes_no_orders() {
    let organization = organization();
    let home = organization.alice();
    let mut server = Server::new();
    server.accept(Told::new("one").seal(&target()));
    let mut draft = organization.draft(organization.epoch, 2);
    draft.slots[crate::support::MINE] = marram_crypto::vacant::slot(&[77; 32], organization.epoch, 1);
    server.publish(&organization.sign(&draft));
    home.import(&server);
    let out = home.beside("outbox");
    for command in [
        &["order", "delete", "1", "--out", out.to_str().unwrap()][..],
        &["board", "--out", out.to_str().unwrap()],
        &["standing", "--out", out.to_str().unwrap()],
    ] {
        let said = one_line(&home.fails(command));
        assert!(said.contains("has no slot of mine"), "{said}");
    }
    assert!(!out.exists());
}
