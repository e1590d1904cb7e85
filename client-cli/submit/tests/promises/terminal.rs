//! A person at a terminal: the real program in a real pseudo-terminal.

use std::fs;

use crate::help::{SECRET, World};
use marram_crypto::codename::{Codename, WordList};
use marram_incident::catalogue;
use marram_online::{clock::today, testing::Reply};
use marram_tests::organization::rng;
use rexpect::session::{PtySession, spawn_command};
use secrecy::ExposeSecret as _;

/// What the program shows before it waits for an answer; answers are typed by [`Person::types`].
struct Person {
    pty: PtySession,
    seen: String,
}

impl Person {
    fn sits_down(world: &World, args: &[&str]) -> Self {
        let mut command = world.command(args);
        command.env("NO_COLOR", "1").env("TERM", "xterm");
        let pty = spawn_command(command, Some(30_000)).unwrap();
        Self {
            pty,
            seen: String::new(),
        }
    }

    /// Reads up to the next prompt, however the lines are wrapped.
    fn reads(&mut self) -> String {
        let shown = self.pty.exp_string("\n> ").unwrap();
        self.seen.push_str(&shown);
        shown.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// The same where letters are not Latin: rexpect takes each byte for a letter.
    fn reads_letters(&mut self) -> String {
        let shown = self.pty.exp_string("\n> ").unwrap();
        let bytes: Vec<u8> = shown.chars().filter_map(|c| u8::try_from(u32::from(c)).ok()).collect();
        let letters = String::from_utf8(bytes).unwrap();
        letters.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    fn types(&mut self, line: &str) {
        self.pty.send_line(line).unwrap();
    }

    /// Types the words where nothing is shown.
    fn says_the_words(&mut self, words: &str) {
        let shown = self.pty.exp_string("(not shown): ").unwrap();
        self.seen.push_str(&shown);
        self.types(words);
    }

    /// Goes through everything, skipping what can be skipped, up to the prompt that `until` stands in.
    fn goes_on_until(&mut self, until: &str) -> String {
        loop {
            let shown = self.reads();
            if shown.contains(until) {
                return shown;
            }
            if shown.contains("tell it in your own words") {
                self.types(SECRET);
                self.types("");
            } else if shown.contains("What are you to the person") {
                self.types("2");
            } else if shown.contains("keep this report and read it?") {
                self.types("yes");
            } else {
                self.types("");
            }
        }
    }

    /// Keeps the codename that is on the screen, and proves it.
    fn keeps_the_codename(&mut self) -> Vec<String> {
        let shown = self.goes_on_until("Have you kept them?");
        assert!(shown.contains("read answers, and add something later"), "{shown}");
        let words: Vec<&str> = shown.split_whitespace().collect();
        let word = |n: usize| {
            let mut places = words.windows(2).filter(|pair| pair[0] == n.to_string());
            places.next_back().unwrap()[1].to_owned()
        };
        let codename = (1..=12).map(word).collect::<Vec<_>>();
        self.types("yes");
        let asked = self.reads();
        let number = asked.split("Word number ").nth(1).unwrap().split(' ').next().unwrap();
        self.types(&codename[number.parse::<usize>().unwrap() - 1]);
        codename
    }

    fn leaves_by_interrupt(mut self) -> String {
        self.pty.send_control('c').unwrap();
        self.leaves()
    }

    fn leaves(mut self) -> String {
        let last = self.pty.exp_eof().unwrap();
        self.seen
            .push_str(&last.split_whitespace().collect::<Vec<_>>().join(" "));
        self.seen
    }
}

#[test]
fn a_translation_that_nobody_has_reviewed_says_so_and_its_dates_can_be_read() {
    let texts = catalogue().texts("ar").unwrap();
    let text = |key: &str| texts.get(key).unwrap().split_whitespace().collect::<Vec<_>>().join(" ");
    let world = World::new();
    let mut person = Person::sits_down(&world, &["--language", "ar"]);
    person.goes_on_until("The organization's link");
    person.types(&world.link());
    person.reads();
    person.types("yes");
    let first = person.reads_letters();
    assert!(first.contains(&text("message.not_reviewed")), "{first}");
    person.types("");
    let date = loop {
        let shown = person.reads_letters();
        if shown.contains(&text("question.act.date")) {
            break shown;
        } else if shown.contains(&text("question.narrative")) {
            person.types(SECRET);
            person.types("");
        } else if shown.contains(&text("question.reporter.role")) || shown.contains(&text("question.act.method")) {
            person.types("2");
        } else if shown.contains(&text("question.act.first")) {
            person.types("yes");
        } else {
            person.types("");
        }
    };
    // In isolates of our own a date is not turned around; what somebody else wrote has none.
    assert!(date.contains(&text("question.act.date.help")), "{date}");
    assert!(date.contains("\u{2066}2021-11~\u{2069}"), "{date}");
    assert!(!person.leaves_by_interrupt().contains("U+2066"));
}

#[test]
fn somebody_reports_with_a_file_and_keeps_a_codename_that_was_shown_once() {
    let world = World::new();
    world.write("a photo.png", b"\x89PNG\r\n\x1a\n.");
    let mut person = Person::sits_down(&world, &[]);
    assert!(
        person
            .goes_on_until("The organization's link")
            .contains("nothing is kept")
    );
    person.types(&world.link());
    let who = person.reads();
    for said in [
        "Who you are writing to",
        "within 14 days",
        "60 days after it came",
        "Call 112",
        "Only as safe as this device",
    ] {
        assert!(who.contains(said), "{who}");
    }
    assert!(
        !who.contains("155"),
        "the emergency contacts of another language: {who}"
    );
    person.types("yes");
    person.goes_on_until("When you have read this: (Enter to go on, < to go back)");
    person.types("");
    person.goes_on_until("The path of a file?");
    assert!(person.seen.contains("part 9 of"));
    person.types("'a photo.png'");
    assert!(person.reads().contains("image/png"));
    person.types("");
    person.goes_on_until("Our answers wait for you");
    person.types("");
    assert!(person.goes_on_until("How did you find us?").contains("2) The news"));
    person.types("2");
    let summary = person.goes_on_until("Seal it and send it");
    assert!(
        summary.contains(SECRET) && summary.contains("a photo.png") && summary.contains("The news"),
        "{summary}"
    );
    person.types("1");
    let codename = person.keeps_the_codename();
    let arrived = person.goes_on_until("Clear this window now?");
    for said in [
        "it took exactly this report",
        "does not say that anybody has read it",
        "Keep your twelve words",
        "marram-submit check",
        "send it again",
    ] {
        assert!(arrived.contains(said), "{said}: {arrived}");
    }
    for promise in ["cannot lose", "report again"] {
        assert!(!arrived.contains(promise), "{promise}: {arrived}");
    }
    person.types("yes");
    let seen = person.leaves();
    assert!(seen.contains("\u{1b}[3J"), "the scrollback is cleared");

    let (opened, attachments) = world.open(&world.received());
    assert_eq!(attachments.0.len(), 1);
    assert_eq!(opened.report.answers["how_found"], "news");
    let codename = marram_crypto::codename::Codename::from_words(&codename.join(" ")).unwrap();
    assert_eq!(opened.report.codename_key, codename.signing_key().public());
    assert_eq!(world.left_behind(), []);
}

#[test]
fn going_back_changes_an_answer_and_stopping_sends_nothing() {
    let world = World::new();
    let link = world.link();
    let mut person = Person::sits_down(&world, &[&link]);
    person.goes_on_until("What are you to the person");
    person.types("2");
    assert!(person.reads().contains("In which language are you writing?"));
    person.types("<");
    assert!(person.reads().contains("What are you to the person"));
    person.types("3");
    person.goes_on_until("Seal it and send it");
    person.types("2");
    assert!(person.reads().contains("How did you find us?"));
    person.types("<");
    assert!(person.reads().contains("contact you in some other way?"));
    person.types("");
    let summary = person.goes_on_until("Seal it and send it");
    assert!(
        summary.contains("I saw or heard it") && !summary.contains("A member of the family"),
        "{summary}"
    );
    person.types("3");
    assert!(person.leaves().contains("Nothing was sent, and nothing was kept"));
    assert_eq!(world.server.count("POST", "/v1/reports"), 0);
    assert_eq!(world.left_behind(), []);
}

#[test]
fn ctrl_c_in_the_middle_leaves_nothing() {
    let world = World::new();
    let link = world.link();
    let mut person = Person::sits_down(&world, &[&link]);
    person.goes_on_until("Which country does the pressure come from?");
    person.pty.send_control('c').unwrap();
    assert!(person.leaves().contains("nothing was kept"));
    assert_eq!(world.left_behind(), []);
}

#[test]
fn a_report_that_cannot_be_sent_can_be_saved_and_the_codename_still_fits() {
    let world = World::hostile(|request, _, _| {
        (request.method == "POST").then(|| Reply::problem(403, "Closed", "come back tomorrow"))
    });
    let link = world.link();
    let mut person = Person::sits_down(&world, &[&link]);
    person.goes_on_until("Seal it and send it");
    person.types("1");
    let codename = person.keeps_the_codename();
    let failed = person.goes_on_until("Try again now?");
    assert!(
        failed.contains("has not arrived") && failed.contains("come back tomorrow"),
        "{failed}"
    );
    person.types("no");
    person.goes_on_until("Save the sealed report to a file");
    person.types("yes");
    person.goes_on_until("The name of the file");
    person.types("saved.age");
    person.goes_on_until("Clear this window now?");
    person.types("no");
    assert!(person.leaves().contains("marram-submit send saved.age LINK"));
    let (opened, _) = world.open(&fs::read(world.path("saved.age")).unwrap());
    let codename = marram_crypto::codename::Codename::from_words(&codename.join(" ")).unwrap();
    assert_eq!(opened.report.codename_key, codename.signing_key().public());
}

#[test]
fn a_file_that_vanished_does_not_cost_the_answers() {
    let world = World::new();
    world.write("photo.png", b"picture");
    let link = world.link();
    let mut person = Person::sits_down(&world, &[&link]);
    person.goes_on_until("The path of a file?");
    person.types("photo.png");
    person.goes_on_until("Seal it and send it");
    person.types("1");
    fs::remove_file(world.path("photo.png")).unwrap();
    person.keeps_the_codename();
    assert!(
        person
            .goes_on_until("Try again now?")
            .contains("attachment 00 could not be read")
    );
    world.write("photo.png", b"picture");
    person.types("yes");
    person.goes_on_until("Clear this window now?");
    person.types("no");
    person.leaves();
    assert_eq!(world.open(&world.received()).1.0, [b"picture"]);
}

#[test]
fn a_follow_up_is_asked_for_its_words_and_continues_the_report() {
    let world = World::new();
    let first = world.submit(&[]).succeeded();
    let one = world.open(&world.received()).0;
    world.site.lock().unwrap().reports.clear();
    let link = world.link();
    let words = first.json()["codename"].as_str().unwrap().to_owned();
    let mut person = Person::sits_down(&world, &["add", &link]);
    person.says_the_words("abandon abandon abandon");
    person.pty.exp_string("a codename has 12 words, these are 3").unwrap();
    let misspelled = words.rsplit_once(' ').unwrap().0.to_owned() + " marramm";
    person.says_the_words(&misspelled);
    person.pty.exp_string("word 12 is in none of the word lists").unwrap();
    person.says_the_words(&words);
    person.goes_on_until("Seal it and send it");
    person.types("1");
    person.goes_on_until("Clear this window now?");
    person.types("yes");
    let seen = person.leaves();
    assert!(
        !seen.contains("Your codename") && !seen.contains(&words),
        "the words are not shown"
    );
    let two = world.open(&world.received()).0;
    two.report.follows(&one.report).unwrap();
}

#[test]
fn another_organization_is_refused_before_a_single_question() {
    let world = World::new();
    let mut link = world.link();
    let last = link.pop().unwrap();
    link.push(if last == '0' { '1' } else { '0' });
    let person = Person::sits_down(&world, &[&link]);
    let seen = person.leaves();
    assert!(
        seen.contains("THIS IS NOT THE ORGANIZATION") && !seen.contains("\n> "),
        "{seen}"
    );
}

#[test]
fn somebody_looks_for_an_answer_and_their_words_are_never_on_the_screen() {
    let world = World::new();
    let codename = Codename::random(&mut rng());
    let words = codename.words(WordList::Spanish);
    world.hangs(
        &world
            .desk
            .board(&world, today(), &codename, 1, &["Come on \u{202e}Monday\u{1b}[2J"]),
    );
    let link = world.link();
    let mut person = Person::sits_down(&world, &["check", &link]);
    person.says_the_words(words.expose_secret());
    let shown = person.pty.exp_string("Clear this window now?").unwrap();
    assert!(
        shown.contains("1 report was read") && shown.contains("Come on"),
        "{shown}"
    );
    assert!(!shown.contains('\u{202e}') && !shown.contains("\u{1b}[2J"), "{shown:?}");
    let first = words.expose_secret().split(' ').next().unwrap();
    assert!(!shown.contains(first), "{shown}");
    person.types("no");
    person.leaves();
    assert_eq!(world.left_behind(), []);
}
