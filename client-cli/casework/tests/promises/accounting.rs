//! Every leaf is accounted for: in whatever order bundles come, and whoever makes a report vanish.

use marram_crypto::{
    day::Day,
    digest::Digest,
    key::SigningKey,
    order::{Draft, OrderId, UntrustedOrder, What},
    receipt,
    seal::Target,
    secret::SecretBytes,
    tree::Head,
};
use serde_json::{Value, json};

use crate::support::{Home, Server, Told, names, one_line, organization, sealed, target, today, warnings};

fn told(codename: u8) -> Vec<u8> {
    let narrative = format!("report {codename}");
    Told {
        codename,
        ..Told::new(&narrative)
    }
    .seal(&target())
}

/// An order to delete, signed by these keys.
pub(crate) fn deletion(id: u8, digests: &[Digest], log: Head, signers: &[&SigningKey]) -> UntrustedOrder {
    let organization = organization();
    let mut digests = digests.to_vec();
    digests.sort();
    let draft = Draft {
        instance: organization.chain.instance(),
        id: OrderId::from_bytes([id; 16]),
        epoch: organization.epoch,
        expires: today().plus(5),
        log,
        what: What::Delete(digests),
    };
    let mut order = draft.to_note().unwrap();
    for signer in signers {
        order.add_signature(signer).unwrap();
    }
    order
}

fn signer(which: usize) -> &'static SigningKey {
    &organization().colleague(which, organization().epoch).signer
}

/// What must be the same, in whatever order everything came.
fn state(home: &Home) -> (Value, Value, Vec<(String, String)>, Value) {
    let status = home.json(&["status"]);
    let mut reports: Vec<_> = home.json(&["list"])["reports"]
        .as_array()
        .unwrap()
        .iter()
        .map(|report| {
            (
                report["headline"].clone(),
                report["day"].clone(),
                report["in_log"].clone(),
            )
        })
        .collect();
    reports.sort_by_key(|(headline, ..)| headline.to_string());
    let mut alarms = home.alarms();
    alarms.sort();
    (status["log"].clone(), status["leaves"].clone(), alarms, json!(reports))
}

/// Every order of the numbers below `count`.
fn permutations(count: usize) -> Vec<Vec<usize>> {
    let mut all = vec![vec![]];
    for next in 0..count {
        all = all
            .into_iter()
            .flat_map(|order: Vec<usize>| {
                (0..=order.len()).map(move |at| {
                    let mut order = order.clone();
                    order.insert(at, next);
                    order
                })
            })
            .collect();
    }
    all
}

#[test]
fn bundles_of_two_couriers_in_any_order_cut_and_twice_end_in_the_same_state() {
    // One courier comes three times. Meanwhile a report is read and deleted, one vanishes, and a colleague deletes what only
    // the first bundle had.
    let mut server = Server::new();
    for codename in 1..=3 {
        server.accept(told(codename));
    }
    let noise = vec![b'x'; 1 << 15];
    server.accept(noise);
    let first = server.clone();
    server.carried();
    server.accept(told(5));
    server.accept(told(6));
    server.reports.pop();
    let order = deletion(
        1,
        &[server.before[0].digest],
        first.tree().head(),
        &[signer(0), signer(1)],
    );
    server.orders.push((0, order.to_bytes()));
    let second = server.clone();
    server.carried();
    server.accept(told(7));
    let third = server.clone();
    // Another courier comes once, and brings everything that is still there.
    let mut other = third.clone();
    other.leaves = third.before.clone();
    other.leaves.extend(&third.leaves);
    other.before.clear();
    other.reports = [&first.reports[1..], &second.reports, &third.reports].concat();

    let bundles = [first, second, third, other];
    let mut expected = None;
    for order in permutations(bundles.len()) {
        let home = organization().alice();
        // The second one is cut at first, and the first one comes twice.
        let (path, bytes) = (home.beside("cut.tar"), bundles[order[1]].bytes());
        std::fs::write(&path, &bytes[..bytes.len() - 40_000]).unwrap();
        home.import(&bundles[order[0]]);
        home.run(&["import", path.to_str().unwrap()]);
        for at in &order[1..] {
            home.import(&bundles[*at]);
        }
        home.import(&bundles[order[0]]);
        let state = state(&home);
        let expected = expected.get_or_insert_with(|| state.clone());
        assert_eq!(&state, expected, "{order:?}");
    }
    let (log, classes, alarms, _) = expected.unwrap();
    assert_eq!(log["size"], 7);
    assert_eq!(
        classes,
        json!({"opened": 4, "deleted": 1, "not_for_me": 1, "withheld": 1})
    );
    assert_eq!(alarms, [("withheld".to_owned(), "leaf 5".to_owned())]);
}

#[test]
fn a_caseworker_who_deletes_what_others_have_not_read_is_named_by_slot() {
    let home = organization().alice();
    let mut server = Server::new();
    server.accept(told(1));
    server.accept(told(2));
    server.reports.remove(0);
    let head = Head::empty();
    let order = deletion(1, &[server.leaves[0].digest], head, &[signer(0), signer(1)]);
    server.orders.push((0, order.to_bytes()));
    let summary = home.import(&server);
    assert_eq!(summary["alarms"], json!({"deleted before I opened it": 1}), "{summary}");
    let detail = &warnings(&summary)[0].1;
    assert!(detail.contains("signed by slot 3 and 6"), "{detail}");
    assert_eq!(summary["classes"], json!({"opened": 1, "deleted_unopened": 1}));
}

#[test]
fn one_signer_deletes_after_seven_days_and_not_before() {
    let organization = organization();
    let last_week = organization.manifest(organization.ago(1), 1);
    let narrative = |codename| {
        let narrative = format!("report {codename}");
        Told {
            codename,
            ..Told::new(&narrative)
        }
        .seal(&Target::from(&last_week))
    };
    let (due, early) = (today().minus(7), today().minus(6));
    let mut server = Server::new();
    server.publish(&last_week);
    server.publish(&organization.manifest(organization.ago(2), 1));
    for (codename, day) in [(1, due), (2, early)] {
        // In whichever epoch takes reports on that day.
        let epoch = marram_crypto::day::Epoch::of(day).unwrap();
        server.accept_on(day, epoch, narrative(codename));
    }
    let digests: Vec<_> = server.leaves.iter().map(|leaf| leaf.digest).collect();
    let order = deletion(1, &digests, Head::empty(), &[signer(1)]);
    server.orders.push((0, order.to_bytes()));
    let whole = server.clone();
    server.reports.clear();

    let home = organization.alice();
    let summary = home.import(&server);
    assert_eq!(
        summary["alarms"],
        json!({"deleted before I opened it": 1, "destroyed without a valid order": 1}),
        "{summary}"
    );
    // Whoever had opened both in time is told of neither; one of the two is gone.
    let home = organization.alice();
    let mut before = whole.clone();
    before.orders.clear();
    home.import(&before);
    let summary = home.import(&whole);
    assert_eq!(
        (&summary["alarms"], &summary["classes"]),
        (&json!({}), &json!({"opened": 1, "deleted": 1}))
    );
}

#[test]
fn a_server_that_obeys_a_dropped_caseworker_is_named() {
    let organization = organization();
    let home = organization.alice();
    let mut server = Server::new();
    // The second version has another in the slot of the colleague.
    let mut draft = organization.draft(organization.epoch, 2);
    draft.slots[crate::support::OTHERS[0]] = marram_crypto::vacant::slot(&[77; 32], organization.epoch, 3);
    server.publish(&organization.sign(&draft));
    server.accept(told(1));
    server.reports.clear();
    let order = deletion(1, &[server.leaves[0].digest], Head::empty(), &[signer(0)]);
    server.orders.push((0, order.to_bytes()));
    let summary = home.import(&server);
    assert_eq!(
        summary["alarms"],
        json!({"invalid order": 1, "destroyed without a valid order": 1}),
        "{summary}"
    );
    let said = one_line(&home.ok(&["alarms"]));
    assert!(
        said.contains("slot 3 of version 1 signed it, who was dropped since"),
        "{said}"
    );
}

#[test]
fn an_order_that_a_stranger_signed_destroys_nothing_quietly() {
    let home = organization().alice();
    let mut server = Server::new();
    server.accept(told(1));
    server.reports.clear();
    let stranger = SigningKey::from_seed(&SecretBytes::from([9; 32]));
    let order = deletion(1, &[server.leaves[0].digest], Head::empty(), &[&stranger]);
    server.orders.push((0, order.to_bytes()));
    let summary = home.import(&server);
    assert_eq!(
        summary["alarms"],
        json!({"invalid order": 1, "destroyed without a valid order": 1}),
        "{summary}"
    );
}

#[test]
fn an_order_whose_maker_saw_another_log_shows_the_fork() {
    let home = organization().alice();
    let mut server = Server::new();
    server.accept(told(1));
    server.accept(told(2));
    let root = Digest::of(b"another log");
    let order = deletion(1, &[server.leaves[0].digest], Head { size: 1, root }, &[signer(0)]);
    server.orders.push((0, order.to_bytes()));
    assert_eq!(home.import(&server)["alarms"], json!({"forked": 1}));
    assert_eq!(home.alarms(), [("forked".to_owned(), "size 1".to_owned())]);
}

#[test]
fn what_expired_before_i_opened_it_is_an_alarm_and_what_expired_after_is_none() {
    let organization = organization();
    let past = organization.ago(4);
    let mut draft = organization.draft(past, 1);
    draft.retention_days = 10;
    let manifest = organization.sign(&draft);
    let mut server = Server::new();
    server.publish(&manifest);
    server.publish(&organization.manifest(past.plus(1), 1));
    server.accept_in(past, Told::new("in time").seal(&Target::from(&manifest)));
    let mut then = server.clone();
    then.day = Some(past.opens().plus(10));
    server.reports.clear();

    let late = organization.alice();
    let summary = late.import(&server);
    assert_eq!(summary["alarms"], json!({"expired before I opened it": 1}), "{summary}");

    let in_time = organization.alice();
    assert_eq!(in_time.import(&then)["classes"], json!({"opened": 1}));
    let summary = in_time.import(&server);
    assert_eq!(
        (&summary["alarms"], &summary["classes"]),
        (&json!({}), &json!({"expired": 1}))
    );

    // A server that withholds it until it may say that it expired is caught by the bundle that showed the leaf in time.
    let patient = organization.alice();
    then.reports.clear();
    patient.import(&then);
    patient.import(&server);
    let open = patient.alarms();
    assert_eq!(open, [("withheld".to_owned(), "leaf 0".to_owned())]);
    let other_way_round = organization.alice();
    other_way_round.import(&server);
    other_way_round.import(&then);
    assert_eq!(other_way_round.alarms(), open);
}

/// A canary as a courier would send it.
fn canary(name: &str) -> Vec<u8> {
    let incident = json!({"schema": "marram/canary/v1", "name": name}).to_string();
    Told {
        incident,
        codename: 50,
        ..Told::new("")
    }
    .seal(&target())
}

fn receipt_for(server: &Server, leaf: usize) -> Vec<u8> {
    let log = &organization().roots()[0];
    receipt::sign(server.instance, &server.leaves[leaf], log)
        .unwrap()
        .to_bytes()
}

#[test]
fn a_canary_that_arrives_is_ticked_off_and_is_no_case() {
    let home = organization().alice();
    let mut server = Server::new();
    server.accept(canary("wren"));
    server.canaries.push(("wren".into(), receipt_for(&server, 0)));
    server.accept(told(1));
    let summary = home.import(&server);
    assert_eq!(names(&summary), Vec::<String>::new());
    let status = home.json(&["status"]);
    assert_eq!(
        (&status["canaries"], &status["reports"]),
        (&json!({"sent": 1, "arrived": 1}), &json!(1))
    );
    let listed = home.json(&["list"]);
    assert_eq!(listed["reports"].as_array().unwrap().len(), 1);
    assert_eq!(listed["reports"][0]["readable"], true);
}

#[test]
fn a_canary_that_the_server_dropped_is_named() {
    let home = organization().alice();
    let mut server = Server::new();
    // On a Monday yesterday was in another epoch.
    server.publish(&organization().manifest(organization().ago(1), 1));
    server.accept(canary("wren"));
    server.leaves[0].day = today().minus(1);
    server.canaries.push(("wren".into(), receipt_for(&server, 0)));
    server.leaves.clear();
    server.reports.clear();
    // A checkpoint of the same day does not prove anything yet.
    server.day = Some(today().minus(1));
    home.import(&server);
    assert_eq!(home.alarms(), []);
    server.day = Some(today());
    let summary = home.import(&server);
    assert_eq!(summary["alarms"], json!({"lost canary": 1}), "{summary}");
    assert_eq!(home.alarms(), [("lost_canary".to_owned(), "canary wren".to_owned())]);
}

#[test]
fn a_receipt_tells_what_became_of_its_report_and_shows_a_broken_promise() {
    let home = organization().alice();
    let mut server = Server::new();
    server.publish(&organization().manifest(organization().ago(1), 1));
    server.accept(told(1));
    server.accept(vec![b'x'; 1 << 15]);
    server.accept(told(3));
    let last: Day = today().minus(1);
    server.leaves[2].day = last;
    let path = |name: &str, bytes: Vec<u8>| {
        let path = home.beside(name);
        std::fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let kept: Vec<String> = (0..3)
        .map(|at| path(&format!("{at}"), receipt_for(&server, at)))
        .collect();
    // The server drops the last one from its log.
    server.leaves.pop();
    server.reports.pop();
    server.day = Some(last);
    home.import(&server);
    assert_eq!(home.json(&["receipt", &kept[0]])["verdict"], "opened");
    assert_eq!(home.json(&["receipt", &kept[1]])["verdict"], "not_for_me");
    assert_eq!(home.json(&["receipt", &kept[2]])["verdict"], "not_covered");
    assert_eq!(home.alarms(), []);
    server.day = Some(today());
    home.import(&server);
    let said = one_line(&home.fails(&["receipt", &kept[2]]));
    assert!(said.contains("withheld: the log as it was on"), "{said}");
    let subject = format!(
        "report {}",
        receipt::UntrustedReceipt::parse(&receipt_for_file(&kept[2]))
            .unwrap()
            .claimed_leaf()
            .digest
    );
    assert_eq!(home.alarms(), [("receipt_withheld".to_owned(), subject)]);
    // One that the server did not sign proves nothing.
    let mut forged = receipt_for_file(&kept[2]);
    let at = forged.len() - 20;
    forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
    let said = home.fails(&["receipt", &path("forged", forged)]);
    assert!(said.contains("proves nothing"), "{said}");
}

fn receipt_for_file(path: &str) -> Vec<u8> {
    std::fs::read(path).unwrap()
}

#[test]
fn a_follow_up_that_a_turned_caseworker_forged_is_an_alarm_and_is_never_acknowledged_or_answered() {
    let home = organization().alice();
    let mut server = Server::new();
    server.accept(told(1));
    // Whoever has read the first knows its reply key, and not its codename.
    let target = organization().manifest(organization().epoch, 1);
    let (victim, insider) = (crate::support::codename(1), crate::support::codename(66));
    let reply_key = serde_json::to_string(&victim.reply_key()).unwrap();
    let json = crate::support::report_json("I take everything back").replacen(
        &serde_json::to_string(&crate::support::codename(crate::support::CODENAME).reply_key()).unwrap(),
        &reply_key,
        1,
    );
    let json = json.replacen(
        &crate::support::codename(crate::support::CODENAME)
            .signing_key()
            .public()
            .to_string(),
        &insider.signing_key().public().to_string(),
        1,
    );
    let signature = insider.signing_key().sign(json.as_bytes());
    let parts = [
        crate::support::Part::Entry("report.json", json.as_bytes()),
        crate::support::Part::Entry("report.sig", &signature),
        crate::support::Part::Raw(&[0; 1024]),
    ];
    let recipients: Vec<_> = target.recipients().cloned().collect();
    server.accept(crate::support::seal_parts(&recipients, 1 << 15, &parts));
    let summary = home.import(&server);
    assert_eq!(summary["alarms"], json!({"forged": 1}), "{summary}");
    assert_eq!(home.alarms(), [("forged".to_owned(), "report #2".to_owned())]);
    let said = one_line(&home.fails(&["reply", "2"]));
    assert!(said.contains("an answer would go astray"), "{said}");
}

#[test]
fn an_alarm_stays_until_somebody_acknowledges_it_with_a_comment() {
    let home = organization().alice();
    let mut server = Server::new();
    for codename in 1..=4 {
        server.accept(told(codename));
    }
    server.reports.clear();
    home.import(&server);
    for wrong in [
        &["acknowledge", "1", "--comment", " "][..],
        &["acknowledge", "5", "--comment", "x"],
        &["acknowledge", "3-9", "--comment", "x"],
    ] {
        home.fails(wrong);
    }
    assert_eq!(home.alarms().len(), 4);
    let done = home.answer(&["--json", "acknowledge", "1", "3-4"], "a disk was lost\n");
    assert!(done.status.success());
    assert_eq!(home.alarms(), [("withheld".to_owned(), "leaf 1".to_owned())]);
    home.fails(&["acknowledge", "1", "--comment", "again"]);
    // Importing again raises nothing that was acknowledged.
    assert_eq!(home.import(&server)["alarms"], json!({}));
    let all = home.json(&["alarms", "--all"]);
    assert_eq!(all["alarms"][0]["comment"], "a disk was lost");
    assert_eq!(all["alarms"].as_array().unwrap().len(), 4);
}

#[test]
fn a_report_of_which_only_the_key_is_missing_is_accounted_for_once_it_is_back() {
    let organization = organization();
    let home = organization.alice();
    let file = home.path.join(format!("epochs/{}.age", organization.epoch));
    let key = std::fs::read(&file).unwrap();
    std::fs::write(&file, "damaged").unwrap();
    let mut server = Server::new();
    server.accept(sealed("one"));
    assert_eq!(home.import(&server)["classes"], json!({"unopened": 1}));
    std::fs::write(&file, key).unwrap();
    assert_eq!(home.import(&server)["classes"], json!({"opened": 1}));
    assert_eq!(home.alarms(), []);
}
