//! Comparing digits: by ear, with whoever they belong to; or, in a script, with digits that are given whole.

use marram_crypto::fingerprint::Digits;
use marram_terminal::{
    ask::Ask,
    error::{fail, usage},
    output::Output,
};

/// The digits to compare with, from wherever they come.
#[derive(Debug)]
pub(crate) struct Comparison {
    given: Vec<(Digits, bool)>,
    json: bool,
}

impl Comparison {
    /// `given` are all the digits that a script expects. None: a person is asked.
    pub(crate) fn new(given: &[Digits], out: &Output) -> Self {
        Self {
            given: given.iter().map(|digits| (*digits, false)).collect(),
            json: out.is_json(),
        }
    }

    /// Whether a person is asked.
    pub(crate) fn asks(&self) -> bool {
        self.given.is_empty()
    }

    /// Refuses unless `digits` are the same as those that `whose` (“heron's enrolment key”) has.
    pub(crate) fn check(&mut self, ask: &mut Ask, whose: &str, digits: &Digits) -> anyhow::Result<()> {
        if self.given.is_empty() {
            if self.json {
                return Err(usage("--json asks nothing: give the expected digits with --digits"));
            }
            if ask.same_digits(whose, &digits.to_string())? {
                return Ok(());
            }
            return Err(fail(
                format!("the digits of {whose} were not confirmed; nothing was signed and nothing was kept"),
                "if they differ, the file was swapped on its way, or comes from somebody else: get it again, from hand to \
                 hand, and tell the other keyholders",
            ));
        }
        match self.given.iter_mut().find(|(given, _)| given == digits) {
            Some((_, used)) => {
                *used = true;
                Ok(())
            }
            None => Err(fail(
                format!("the digits of {whose} are not among those given with --digits; the file has\n{digits}"),
                "the file was swapped, or the digits are another's: compare them with the person; nothing was signed and \
                 nothing was kept",
            )),
        }
    }

    /// Refuses digits that belonged to nothing: whoever gave them expected another key.
    pub(crate) fn finish(&self) -> anyhow::Result<()> {
        match self.given.iter().find(|(_, used)| !used) {
            Some((digits, _)) => Err(usage(format!(
                "--digits {digits} belong to none of the keys; nothing was signed and nothing was kept"
            ))),
            None => Ok(()),
        }
    }
}

/// Shows digits in rows of four groups, as the one who compares them sees them too.
pub(crate) fn show(out: &Output, whose: &str, digits: &Digits) {
    out.heading(format!("The digits of {whose}:"));
    out.line("");
    for row in digits.groups().chunks(4) {
        out.line(format!("    {}", row.join("  ")));
    }
}
