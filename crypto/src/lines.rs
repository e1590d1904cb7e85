//! The lines of a body: `name value`, in one fixed order, each name once or a bounded number of times in a row.
//!
//! One reader and one writer serve charters, manifests, enrolments, receipts and annexes, so that all of them refuse
//! the same things: a line that is missing, repeated, out of place or left over, and a value with a second spelling.

use std::{fmt, ops::RangeInclusive, str::FromStr};

/// Longest text value (a name, a contact, a question's wording) in bytes.
pub const MAX_TEXT_LEN: usize = 1000;

/// What was wrong with the lines of a body. Lines are counted from 1, the type line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LineError {
    /// The body ends too early.
    #[error("line {line}: expected `{expected}`, but the text ends here")]
    Missing {
        /// Where it should stand.
        line: usize,
        /// Its name.
        expected: &'static str,
    },
    /// Another line stands where this one must: one was left out, or they are out of order.
    #[error("line {line}: expected `{expected}`, found `{found}`")]
    Unexpected {
        /// Where.
        line: usize,
        /// The name that must stand here.
        expected: &'static str,
        /// The name that does.
        found: String,
    },
    /// A line that may stand once stands again.
    #[error("line {line}: `{name}` stands a second time")]
    Duplicate {
        /// Where it stands again.
        line: usize,
        /// Its name.
        name: &'static str,
    },
    /// Something follows the last line there may be.
    #[error("line {line}: `{found}` stands after the last line there may be")]
    Trailing {
        /// Where.
        line: usize,
        /// Its name.
        found: String,
    },
    /// Too few or too many lines of this name.
    #[error("line {line}: {at_least} to {at_most} lines `{name}` are allowed, this would be number {count}")]
    Count {
        /// Where the one too many stands, or the missing one should.
        line: usize,
        /// Their name.
        name: &'static str,
        /// The number this line has or would have.
        count: usize,
        /// Least number of lines.
        at_least: usize,
        /// Largest number of lines.
        at_most: usize,
    },
    /// A value that is not what its line must hold.
    #[error("line {line}: `{name}`: {why}")]
    Value {
        /// Where.
        line: usize,
        /// The line's name.
        name: &'static str,
        /// What the value must be.
        why: String,
    },
}

/// Reads the lines of a body from the first to the last.
pub(crate) struct Reader<'a> {
    rest: &'a str,
    /// Number of the line that comes next.
    line: usize,
    previous: &'static str,
}

impl<'a> Reader<'a> {
    /// `body` is empty or ends with a newline; its first line has the number `line`.
    pub(crate) fn new(body: &'a str, line: usize) -> Self {
        Self {
            rest: body,
            line,
            previous: "",
        }
    }

    /// The value of the next line, which must have this name.
    pub(crate) fn value(&mut self, name: &'static str) -> Result<&'a str, LineError> {
        let Some((next, rest)) = self.rest.split_once('\n') else {
            return Err(LineError::Missing {
                line: self.line,
                expected: name,
            });
        };
        match next.split_once(' ') {
            Some((found, value)) if found == name => {
                self.rest = rest;
                self.line += 1;
                self.previous = name;
                Ok(value)
            }
            _ => Err(self.unexpected(name)),
        }
    }

    /// The next line's value as whatever `parse` makes of it.
    pub(crate) fn read<T, E: fmt::Display>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(&'a str) -> Result<T, E>,
    ) -> Result<T, LineError> {
        let line = self.line;
        parse(self.value(name)?).map_err(|error| LineError::Value {
            line,
            name,
            why: error.to_string(),
        })
    }

    /// The next line as a whole, for the one format whose first lines have no name.
    pub(crate) fn read_bare<T, E: fmt::Display>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(&'a str) -> Result<T, E>,
    ) -> Result<T, LineError> {
        let line = self.line;
        let Some((value, rest)) = self.rest.split_once('\n') else {
            return Err(LineError::Missing { line, expected: name });
        };
        let value = parse(value).map_err(|error| LineError::Value {
            line,
            name,
            why: error.to_string(),
        })?;
        (self.rest, self.line, self.previous) = (rest, line + 1, "");
        Ok(value)
    }

    /// As many lines of this name as there are, which must be within `count`.
    pub(crate) fn read_all<T, E: fmt::Display>(
        &mut self,
        name: &'static str,
        count: RangeInclusive<usize>,
        mut parse: impl FnMut(&'a str) -> Result<T, E>,
    ) -> Result<Vec<T>, LineError> {
        let mut values = Vec::new();
        let wrong_count = |line, number| LineError::Count {
            line,
            name,
            count: number,
            at_least: *count.start(),
            at_most: *count.end(),
        };
        while self.next_name() == Some(name) {
            if values.len() == *count.end() {
                return Err(wrong_count(self.line, values.len() + 1));
            }
            values.push(self.read(name, &mut parse)?);
        }
        if values.len() < *count.start() {
            return Err(if values.is_empty() && self.next_name().is_some() {
                self.unexpected(name)
            } else {
                wrong_count(self.line, values.len() + 1)
            });
        }
        Ok(values)
    }

    /// The name of the next line, if there is one.
    pub(crate) fn next_name(&self) -> Option<&'a str> {
        let (next, _) = self.rest.split_once('\n')?;
        Some(next.split_once(' ').map_or(next, |(name, _)| name))
    }

    /// Number of the line that comes next.
    pub(crate) fn line(&self) -> usize {
        self.line
    }

    /// Refuses anything that is left.
    pub(crate) fn end(&self) -> Result<(), LineError> {
        match self.next_name() {
            None if self.rest.is_empty() => Ok(()),
            Some(found) if found == self.previous => Err(self.unexpected("")),
            found => Err(LineError::Trailing {
                line: self.line,
                found: printable(found.unwrap_or(self.rest)),
            }),
        }
    }

    /// The next line is not the one that must stand here.
    fn unexpected(&self, expected: &'static str) -> LineError {
        let (line, found) = (self.line, self.next_name().unwrap_or_default());
        if found == self.previous {
            LineError::Duplicate {
                line,
                name: self.previous,
            }
        } else {
            LineError::Unexpected {
                line,
                expected,
                found: printable(found),
            }
        }
    }
}

/// Writes lines.
pub(crate) struct Writer {
    text: String,
    /// Number of the line that comes next.
    line: usize,
}

impl Writer {
    pub(crate) fn new(type_line: &str, instance: impl fmt::Display) -> Self {
        Self {
            text: format!("{type_line}\n{instance}\n"),
            line: 3,
        }
    }

    /// A line whose value cannot hold a newline.
    pub(crate) fn line(&mut self, name: &str, value: impl fmt::Display) {
        for part in [name, " ", &value.to_string(), "\n"] {
            self.text.push_str(part);
        }
        self.line += 1;
    }

    /// A line that ends with free text, which must not become lines of its own.
    pub(crate) fn text(&mut self, name: &'static str, before: &str, value: &str) -> Result<(), LineError> {
        text(value).map_err(|why| LineError::Value {
            line: self.line,
            name,
            why: why.to_owned(),
        })?;
        self.line(name, format_args!("{before}{value}"));
        Ok(())
    }

    pub(crate) fn finish(self) -> String {
        self.text
    }
}

/// A value that is parsed by its type, which must accept one spelling only.
pub(crate) fn parsed<T: FromStr>(value: &str) -> Result<T, T::Err> {
    value.parse()
}

/// A plain decimal number within `range`: no sign, no leading zero.
pub(crate) fn number<T>(value: &str, range: RangeInclusive<T>) -> Result<T, String>
where
    T: FromStr + fmt::Display + PartialOrd,
{
    value
        .parse()
        .ok()
        .filter(|number: &T| range.contains(number) && number.to_string() == value)
        .ok_or_else(|| format!("a plain decimal number from {} to {}", range.start(), range.end()))
}

/// A text value: 1 to [`MAX_TEXT_LEN`] bytes, no control characters, no space at either end.
pub(crate) fn text(value: &str) -> Result<String, &'static str> {
    if value.is_empty() || value.len() > MAX_TEXT_LEN {
        Err("a text of 1 to 1000 bytes")
    } else if value.chars().any(char::is_control) {
        Err("a text on one line, without control characters")
    } else if value.trim() != value {
        Err("a text without space at its beginning and end")
    } else {
        Ok(value.to_owned())
    }
}

/// Something a stranger wrote, short and harmless enough for an error message.
pub(crate) fn printable(text: &str) -> String {
    let mut short: String = text.chars().take(32).flat_map(char::escape_default).collect();
    if text.chars().nth(32).is_some() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_out_of_order_repeated_missing_or_left_over_are_refused_by_name() {
        let read = |body: &str| {
            let mut lines = Reader::new(body, 3);
            lines.value("a")?;
            lines.value("b")?;
            lines.read_all("c", 1..=2, text)?;
            lines.end()
        };
        assert_eq!(read("a 1\nb 2\nc 3\n"), Ok(()));
        let unexpected = |line, expected, found: &str| LineError::Unexpected {
            line,
            expected,
            found: found.to_owned(),
        };
        assert_eq!(read("b 2\na 1\nc 3\n"), Err(unexpected(3, "a", "b")));
        assert_eq!(read("a 1\nc 3\n"), Err(unexpected(4, "b", "c")));
        assert_eq!(read("a 1\nb\nc 3\n"), Err(unexpected(4, "b", "b")));
        assert_eq!(read("a 1\nb 2\nd 1\n"), Err(unexpected(5, "c", "d")));
        assert_eq!(
            read("a 1\na 1\nb 2\nc 3\n"),
            Err(LineError::Duplicate { line: 4, name: "a" })
        );
        assert_eq!(
            read("a 1\nb 2\nb 2\nc 3\n"),
            Err(LineError::Duplicate { line: 5, name: "b" })
        );
        assert_eq!(read("a 1\n"), Err(LineError::Missing { line: 4, expected: "b" }));
        let count = |line, count| LineError::Count {
            line,
            name: "c",
            count,
            at_least: 1,
            at_most: 2,
        };
        assert_eq!(read("a 1\nb 2\n"), Err(count(5, 1)));
        assert_eq!(read("a 1\nb 2\nc 1\nc 2\nc 3\n"), Err(count(7, 3)));
        for left_over in ["d", "", " ", "a", "a 1"] {
            let result = read(&format!("a 1\nb 2\nc 3\n{left_over}\n"));
            assert!(
                matches!(result, Err(LineError::Trailing { line: 6, .. })),
                "{left_over}: {result:?}"
            );
        }
    }

    #[test]
    fn a_number_has_one_spelling_and_a_range() {
        assert_eq!(number("10", 1..=10_u32), Ok(10));
        for wrong in ["", "0", "11", "010", "+1", "-1", "1 ", "1.0", "4294967297", "१"] {
            assert!(number(wrong, 1..=10_u32).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_text_stays_on_its_line() {
        assert_eq!(text("Ma’lumot 中 ئۇيغۇر").as_deref(), Ok("Ma’lumot 中 ئۇيغۇر"));
        assert!(text(&"x".repeat(1000)).is_ok());
        for wrong in [
            "",
            " x",
            "x ",
            "a\nb",
            "a\tb",
            "a\u{7f}b",
            "a\u{85}b",
            "\u{3000}x",
            &"x".repeat(1001),
        ] {
            assert!(text(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn what_a_stranger_wrote_is_made_harmless_in_messages() {
        assert_eq!(printable("\u{1b}[31mred x"), "\\u{1b}[31mred x");
        assert_eq!(printable(&"y".repeat(100)), format!("{}…", "y".repeat(32)));
    }
}
