//! How a program fails: what went wrong, why, and what to do next; then an exit code.
//!
//! ```text
//! error: cannot import the bundle
//!   because /media/stick/bundle.tar has 900 bytes, but its leaves need 4,100
//! next: copy the bundle again; the stick may have been pulled out too early
//! ```
//!
//! | exit code | meaning |
//! |---|---|
//! | 0 | done |
//! | 1 | failed |
//! | 2 | wrong usage (also clap's) |
//! | 128 + n | stopped by signal n; 130 is Ctrl-C |

use std::fmt::{self, Display};
use std::process::ExitCode;

use crate::files;
use crate::interrupt::{self, Interrupted};
use crate::output::{self, Output, OutputArgs};
use crate::text;

/// Runs the body of `main` and turns its end into what is printed and returned. Notices Ctrl-C from here on.
pub fn run(args: &OutputArgs, body: impl FnOnce(&Output) -> anyhow::Result<()>) -> ExitCode {
    let output = args.start();
    let result = interrupt::install()
        .map_err(anyhow::Error::from)
        .and_then(|()| body(&output))
        .and_then(|()| output.finish().map_err(anyhow::Error::from));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report(&error, output.is_json());
            exit_code(&error)
        }
    }
}

/// Adds what to do next to an error; see [`fail`] for one made from nothing.
pub trait ResultExt<T> {
    /// The text after `next:`. A hint that is already there, nearer to the cause, gives way to this one.
    ///
    /// # Errors
    /// The error, with the hint.
    fn hint(self, next: impl Into<String>) -> anyhow::Result<T>;
}

impl<T, E: Into<anyhow::Error>> ResultExt<T> for Result<T, E> {
    fn hint(self, next: impl Into<String>) -> anyhow::Result<T> {
        self.map_err(|error| {
            Hinted {
                error: error.into(),
                next: next.into(),
            }
            .into()
        })
    }
}

/// An error with its `next:`.
pub fn fail(message: impl Display, next: impl Into<String>) -> anyhow::Error {
    Hinted {
        error: anyhow::Error::msg(message.to_string()),
        next: next.into(),
    }
    .into()
}

/// An error in how the program was called: exit code 2.
pub fn usage(message: impl Display) -> anyhow::Error {
    Usage(message.to_string()).into()
}

/// The `next:` of an error, if anything in its chain has one: the outermost wins.
pub fn next_step(error: &anyhow::Error) -> Option<String> {
    error.chain().find_map(|cause| {
        if let Some(hinted) = cause.downcast_ref::<Hinted>() {
            return Some(hinted.next.clone());
        }
        let own = [
            cause
                .downcast_ref::<crate::files::FileError>()
                .map(crate::files::FileError::next_step),
            cause
                .downcast_ref::<crate::secret_file::SecretFileError>()
                .map(crate::secret_file::SecretFileError::next_step),
            cause
                .downcast_ref::<crate::home::HomeError>()
                .map(crate::home::HomeError::next_step),
            cause
                .downcast_ref::<crate::passphrase::PassphraseError>()
                .map(crate::passphrase::PassphraseError::next_step),
            cause
                .downcast_ref::<crate::ask::AskError>()
                .map(crate::ask::AskError::next_step),
            cause
                .downcast_ref::<crate::hardening::HardeningError>()
                .map(crate::hardening::HardeningError::next_step),
            cause.downcast_ref::<std::io::Error>().map(files::next_step_after),
        ];
        own.into_iter().flatten().flatten().next()
    })
}

/// Shows an error after which the program goes on.
pub fn tell(out: &Output, error: &anyhow::Error) {
    report(error, out.is_json());
}

fn report(error: &anyhow::Error, json: bool) {
    // Messages quote what they found, and what they found may come from a report or a hostile file name.
    let causes: Vec<String> = error
        .chain()
        .map(|cause| text::visible_lines(&cause.to_string()))
        .collect();
    // A wrapper often repeats the words of what it wraps; say nothing twice.
    let because: Vec<&String> = causes
        .windows(2)
        .filter(|pair| !pair[0].contains(&*pair[1]))
        .map(|pair| &pair[1])
        .collect();
    let next = next_step(error);
    if json {
        let value = serde_json::json!({"error": causes.first(), "because": because, "next": next});
        output::stderr_line(format_args!("{}", output::safe_json(&value.to_string())));
        return;
    }
    output::stderr_labelled(
        output::ERROR,
        "error:",
        0,
        causes.first().map_or("", |first| first.trim_end()),
    );
    for cause in because {
        output::stderr_labelled(output::DIM, "because", 2, cause.trim_end());
    }
    if let Some(next) = next {
        output::stderr_labelled(output::GOOD, "next:", 0, text::visible_lines(&next).trim_end());
    }
}

fn exit_code(error: &anyhow::Error) -> ExitCode {
    if let Some(interrupted) = find::<Interrupted>(error) {
        return ExitCode::from(128 + (interrupted.signal & 0x7f));
    }
    ExitCode::from(if find::<Usage>(error).is_some() { 2 } else { 1 })
}

/// Looks through hints and contexts alike, and into `io::Error`s, which hide what they wrap.
fn find<T: std::error::Error + 'static>(error: &anyhow::Error) -> Option<&T> {
    error.chain().find_map(|cause| {
        let hinted = || {
            cause
                .downcast_ref::<Hinted>()
                .and_then(|hinted| find::<T>(&hinted.error))
        };
        let io = || cause.downcast_ref::<std::io::Error>()?.get_ref()?.downcast_ref::<T>();
        cause.downcast_ref::<T>().or_else(hinted).or_else(io)
    })
}

/// Stands in the chain in place of the error it wraps: same words, same causes, and a next step.
struct Hinted {
    error: anyhow::Error,
    next: String,
}

impl Display for Hinted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Display::fmt(&self.error, f)
    }
}

impl fmt::Debug for Hinted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.error, f)
    }
}

impl std::error::Error for Hinted {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.error.source()
    }
}

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Usage(String);

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::*;

    fn interrupted() -> anyhow::Result<()> {
        Err(Interrupted { signal: 2 }.into())
    }

    #[test]
    fn the_outermost_hint_wins() {
        let inner = Err::<(), _>(fail("no bundle", "copy it again"));
        assert_eq!(
            next_step(&inner.context("import").unwrap_err()).as_deref(),
            Some("copy it again")
        );
        let outer = Err::<(), _>(fail("no bundle", "copy it again")).hint("ask the courier");
        assert_eq!(next_step(&outer.unwrap_err()).as_deref(), Some("ask the courier"));
    }

    #[test]
    fn an_interrupt_keeps_its_exit_code_under_context_hint_and_io() {
        let buried = interrupted()
            .context("importing")
            .hint("run it again")
            .context("at last")
            .unwrap_err();
        assert_eq!(exit_code(&buried), ExitCode::from(130));
        let io = anyhow::Error::from(std::io::Error::other(Interrupted { signal: 15 }));
        assert_eq!(exit_code(&io), ExitCode::from(143));
        let at_prompt = anyhow::Error::from(crate::ask::AskError::from(Interrupted { signal: 2 }));
        assert_eq!(exit_code(&at_prompt.context("asking")), ExitCode::from(130));
        let at_passphrase = crate::passphrase::PassphraseError::from(Interrupted { signal: 2 });
        assert_eq!(exit_code(&at_passphrase.into()), ExitCode::from(130));
    }

    #[test]
    fn wrong_usage_is_two_and_failure_is_one() {
        assert_eq!(exit_code(&usage("two homes")), ExitCode::from(2));
        assert_eq!(exit_code(&fail("no", "yes")), ExitCode::from(1));
    }
}
