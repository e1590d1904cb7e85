//! Lines of bounded length from a terminal or a pipe, with Ctrl-C noticed at once.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader};
use std::os::fd::AsFd as _;

use super::AskError;
use crate::interrupt;

/// Why a line could not be read.
pub(super) enum Unread {
    /// It is no answer; say this, and ask again.
    Again(String),
    /// The input has ended.
    Ended,
    /// Nothing more can be asked.
    Fatal(AskError),
}

/// Reads ahead, so there is one for each input.
#[derive(Debug)]
pub(super) struct Lines {
    input: BufReader<File>,
}

impl Lines {
    pub(super) fn new(file: File) -> Self {
        Self {
            input: BufReader::new(file),
        }
    }

    /// The next line, without its end. A longer one is read to its end, but not kept.
    pub(super) fn next(&mut self, max_bytes: usize) -> Result<String, Unread> {
        let mut line = Vec::new();
        let mut size_bytes = 0;
        loop {
            if self.input.buffer().is_empty() {
                interrupt::wait_readable(self.input.get_ref().as_fd()).map_err(fatal)?;
            }
            let found = self.input.fill_buf().map_err(fatal)?;
            let newline = found.iter().position(|byte| *byte == b'\n');
            let ended = found.is_empty() || newline.is_some();
            let part = &found[..newline.unwrap_or(found.len())];
            let room = (max_bytes + 1).saturating_sub(line.len());
            line.extend_from_slice(&part[..part.len().min(room)]);
            size_bytes += part.len();
            if found.is_empty() && size_bytes == 0 {
                return Err(Unread::Ended);
            }
            let consumed = part.len() + usize::from(newline.is_some());
            self.input.consume(consumed);
            if ended {
                return text_of(line, size_bytes, max_bytes);
            }
        }
    }
}

fn text_of(mut line: Vec<u8>, mut size_bytes: usize, max_bytes: usize) -> Result<String, Unread> {
    let again = |what: String| Err(Unread::Again(what));
    if line.len() == size_bytes && line.last() == Some(&b'\r') {
        line.pop();
        size_bytes -= 1;
    }
    if size_bytes > max_bytes {
        return again(format!(
            "That has {size_bytes} bytes, and the limit is {max_bytes}. Please shorten it."
        ));
    }
    let Ok(line) = String::from_utf8(line) else {
        return again("That is not UTF-8 text. Please type it again.".into());
    };
    let line = line.replace('\t', " ");
    if line.chars().any(char::is_control) {
        return again("That holds a key such as an arrow, which is no text. Please type it again.".into());
    }
    Ok(line)
}

fn fatal(error: io::Error) -> Unread {
    Unread::Fatal(match interrupt::check() {
        Err(interrupted) => interrupted.into(),
        Ok(()) => AskError::Io(error),
    })
}
