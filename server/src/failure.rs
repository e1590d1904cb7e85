//! How the program fails: what went wrong, why, and what to do next. The manners are those of the other programs; their
//! package is not used, since it brings much that a server has no use for.
//!
//! ```text
//! error: cannot listen on 127.0.0.1:8080 (`listen`)
//!   because Address already in use (os error 98)
//! next: another program listens there, perhaps this server already: ss -ltnp shows which
//! ```

use std::{
    fmt::{self, Display},
    io::Write,
};

/// Adds what to do next to an error.
pub trait ResultExt<T> {
    /// The text after `next:`.
    ///
    /// # Errors
    /// The error, with the text.
    fn next(self, next: impl Into<String>) -> anyhow::Result<T>;
}

impl<T, E: Into<anyhow::Error>> ResultExt<T> for Result<T, E> {
    fn next(self, next: impl Into<String>) -> anyhow::Result<T> {
        self.map_err(|error| {
            Advised {
                error: error.into(),
                next: next.into(),
            }
            .into()
        })
    }
}

/// An error with its `next:`.
pub fn fail(message: impl Display, next: impl Into<String>) -> anyhow::Error {
    Advised {
        error: anyhow::Error::msg(message.to_string()),
        next: next.into(),
    }
    .into()
}

/// Says what went wrong. That nobody can be told is nothing that could be told to anybody.
pub fn report(error: &anyhow::Error, to: &mut impl Write) {
    let causes: Vec<String> = error.chain().map(ToString::to_string).collect();
    // Written in one piece, and a piece of memory can always be written.
    let mut text = Vec::new();
    let _ = writeln!(text, "error: {}", causes.first().map_or("", String::as_str));
    for pair in causes.windows(2) {
        // A wrapper often repeats the words of what it wraps; nothing is said twice.
        if !pair[0].contains(&*pair[1]) {
            let _ = writeln!(text, "  because {}", pair[1].replace('\n', "\n      "));
        }
    }
    if let Some(advised) = error.chain().find_map(|cause| cause.downcast_ref::<Advised>()) {
        let _ = writeln!(text, "next: {}", advised.next);
    }
    drop(to.write_all(&text));
}

/// Stands in the chain in place of the error it wraps: same words, same causes, and a next step.
struct Advised {
    error: anyhow::Error,
    next: String,
}

impl Display for Advised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Display::fmt(&self.error, f)
    }
}

impl fmt::Debug for Advised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.error, f)
    }
}

impl std::error::Error for Advised {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.error.source()
    }
}

#[cfg(test)]
mod tests {
    use anyhow::Context;

    use super::*;

    #[test]
    fn an_error_says_what_why_and_what_next_and_nothing_twice() {
        let system = std::io::Error::other("no such luck");
        let error = Err::<(), _>(system)
            .context("log.key: no such luck")
            .next("find it")
            .context("cannot start");
        let mut said = Vec::new();
        report(&error.unwrap_err(), &mut said);
        assert_eq!(
            String::from_utf8(said).unwrap(),
            "error: cannot start\n  because log.key: no such luck\nnext: find it\n"
        );
    }
}
