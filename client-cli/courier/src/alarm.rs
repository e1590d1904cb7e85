//! What no honest server does. It is named, it fails the command, and it keeps no report from the caseworkers.

use marram_terminal::error::fail;

/// Something to tell the keyholders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Alarm {
    /// In a word, for programs.
    pub(crate) kind: &'static str,
    /// What the server did.
    pub(crate) what: String,
    /// What to do next.
    pub(crate) next: &'static str,
}

impl Alarm {
    /// The end of a command that did its work all the same.
    pub(crate) fn into_error(self, done: &str) -> anyhow::Error {
        fail(self.what, self.next).context(format!("{done}, but the server is not to be trusted"))
    }
}
