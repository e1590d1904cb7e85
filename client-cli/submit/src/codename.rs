//! The codename: shown once, and kept by the submitter alone.

use std::{fmt::Write as _, fs::OpenOptions, io::Write as _};

use anyhow::{Context as _, Result};
use getrandom::rand_core::UnwrapErr;
use marram_crypto::codename::{Codename, WORDS, WordList};
use marram_terminal::{
    ask::{Ask, Question},
    error::{ResultExt as _, fail},
    output::CODE,
    passphrase::{self, PassphraseError},
    text,
};
use rand_core::Rng as _;
use secrecy::{ExposeSecret as _, SecretString};
use zeroize::Zeroizing;

use crate::screen::Screen;

/// Longest line of typed words in bytes.
const MAX_TYPED: usize = 1_000;
/// How often the words are asked for.
const TRIES: usize = 5;
/// What Enter stands for; nothing that could be a word.
const ANOTHER_LOOK: &str = "another look";

/// A codename, and whether it is an earlier report's.
pub(crate) struct Chosen {
    pub(crate) codename: Codename,
    pub(crate) continues: bool,
}

/// Draws a new one.
pub(crate) fn draw() -> Chosen {
    Chosen {
        codename: Codename::random(&mut UnwrapErr(getrandom::SysRng)),
        continues: false,
    }
}

/// The codename of an earlier report: from a file descriptor, else asked for without showing what is typed.
pub(crate) fn earlier(fd: Option<u32>) -> Result<Codename> {
    if let Some(fd) = fd {
        let words = passphrase::read_fd(fd).context("cannot read the codename")?;
        return Codename::from_words(words.expose_secret())
            .context("what came is not a codename")
            .hint("write its twelve words on one line, as they were given; nothing was sent");
    }
    let mut tries = 0;
    loop {
        let typed = passphrase::hidden_line("the codename", "The twelve words, in their order (not shown): ");
        let typed = match typed {
            Err(PassphraseError::NoTerminal { .. }) => {
                return Err(fail(
                    "there is no terminal to ask for the twelve words",
                    "run it in a terminal, or hand them over with --codename-fd N",
                ));
            }
            // Only Enter: no words, as the next line says.
            Err(PassphraseError::Empty) => SecretString::default(),
            typed => typed?,
        };
        tries += 1;
        match Codename::from_words(typed.expose_secret()) {
            Ok(codename) => return Ok(codename),
            Err(error) if tries < TRIES => anstream::eprintln!("  {error}. Again."),
            Err(error) => {
                return Err(error)
                    .hint("look at what you kept, and run this again. Nothing was sent, and nobody can find the words for you");
            }
        }
    }
}

/// Writes the words to a file descriptor.
pub(crate) fn write_fd(codename: &Codename, list: WordList, fd: u32) -> Result<()> {
    let words = codename.words(list);
    let write = || {
        let mut file = OpenOptions::new().write(true).open(format!("/dev/fd/{fd}"))?;
        file.write_all(Zeroizing::new(format!("{}\n", words.expose_secret())).as_bytes())
    };
    write()
        .with_context(|| format!("cannot write the codename to file descriptor {fd}"))
        .hint("open it for writing, for example: 3>codename.txt; nothing was sent")
}

/// Shows the words once, and makes sure that they were kept.
pub(crate) fn show_once(ask: &mut Ask, screen: Screen, codename: &Codename, list: WordList) -> Result<()> {
    loop {
        screen.part("Your codename", "");
        screen.paragraph(
            "With these twelve words you can see whether this report was read, read answers, and add something later. The \
             organization does not have the words, and nobody can give them to you again.\n\n\
             Write them on paper, in this order, or learn them by heart. Keep the paper where nobody looks. Take no photo, \
             and store them in no device, this one or another: whoever finds them knows that you wrote, and can read \
             answers and write in your place.",
        );
        screen.blank();
        screen.plain(&table(&codename.words(list)));
        ask.line(
            &Question::new("Have you kept them? They go from the screen then, and we ask for one of them.")
                .default("yes"),
        )?;
        // So that they are asked for from the paper, and do not stay on the screen.
        screen.clear();
        if kept(ask, codename, list)? {
            screen.paragraph("That is right. Keep them well.");
            return Ok(());
        }
        screen.paragraph("Then here they are again.");
    }
}

/// Asks for one of the words, drawn at random. Three tries.
fn kept(ask: &mut Ask, codename: &Codename, list: WordList) -> Result<bool> {
    let place = (UnwrapErr(getrandom::SysRng).next_u32() % 12) as usize;
    let text = format!("Word number {} of your codename", place + 1);
    for _ in 0..3 {
        let typed = ask.line(&Question::new(&text).default(ANOTHER_LOOK).max_bytes(MAX_TYPED))?;
        let typed = Zeroizing::new(typed.given().unwrap_or_default());
        if *typed == ANOTHER_LOOK {
            return Ok(false);
        }
        if is_word(codename, list, place, &typed) {
            return Ok(true);
        }
        anstream::eprintln!("  That is another word.");
    }
    Ok(false)
}

/// Whether `typed` is the word at `place`, however it is capitalized or its accents are encoded.
fn is_word(codename: &Codename, list: WordList, place: usize, typed: &str) -> bool {
    let words = codename.words(list);
    let mut words: Vec<&str> = words.expose_secret().split(' ').collect();
    if typed.split_whitespace().count() != 1 {
        return false;
    }
    words[place] = typed;
    let again = Codename::from_words(&Zeroizing::new(words.join(" ")));
    again.is_ok_and(|again| again.entropy() == codename.entropy())
}

/// The words, numbered, in three columns read downwards.
fn table(words: &SecretString) -> Zeroizing<String> {
    const ROWS: usize = WORDS / 3;
    let words: Vec<&str> = words.expose_secret().split(' ').collect();
    let widest = words.iter().map(|word| text::width(word)).max().unwrap_or(0);
    let mut table = Zeroizing::new(String::new());
    for row in 0..ROWS {
        table.push_str("   ");
        for column in 0..3 {
            let place = column * ROWS + row;
            let word = words.get(place).copied().unwrap_or_default();
            let space = " ".repeat(widest - text::width(word) + 3);
            let _ = write!(*table, "{:>4}  {CODE}{word}{CODE:#}{space}", place + 1);
        }
        table.push('\n');
    }
    table
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_right_word_is_recognized_in_every_list_and_no_other_is() {
        let Chosen { codename, continues } = draw();
        assert!(!continues);
        for list in WordList::ALL {
            let words = codename.words(list);
            let words: Vec<&str> = words.expose_secret().split(' ').collect();
            for (place, word) in words.iter().enumerate() {
                assert!(is_word(&codename, list, place, &word.to_uppercase()), "{list}");
                for other in &words {
                    assert_eq!(is_word(&codename, list, place, other), other == word, "{list}");
                }
            }
            assert!(!is_word(&codename, list, 0, &words[..2].join(" ")));
        }
    }

    #[test]
    fn the_table_has_every_word_at_its_number() {
        let codename = draw().codename;
        let words = codename.words(WordList::English);
        let table = anstream::adapter::strip_str(&table(&words)).to_string();
        let shown: Vec<&str> = table.split_whitespace().collect();
        for (place, word) in words.expose_secret().split(' ').enumerate() {
            let at = shown
                .iter()
                .position(|shown| *shown == (place + 1).to_string())
                .unwrap();
            assert_eq!(shown[at + 1], word);
        }
    }
}
