//! The form in which a browser without scripts uploads a sealed report: `multipart/form-data` (RFC 7578) with one part.
//!
//! ```text
//! Content-Type: multipart/form-data; boundary=BOUNDARY
//!
//! --BOUNDARY\r\n                                                             the head:
//! Content-Disposition: form-data; name="report"; filename="report.age"\r\n   at most MAX_HEAD_LEN bytes
//! Content-Type: application/octet-stream\r\n
//! \r\n
//! …                                                                          the sealed report
//! \r\n--BOUNDARY--\r\n                                                       the tail; its last line break may be missing
//! ```
//!
//! The report's length follows from the request's: what head and tail leave. So nothing is looked for in it, and it is known
//! to be no bucket before any of it is read. A second part would be taken for the report's end, and shows in its length.

use httparse::{EMPTY_HEADER, Status, parse_headers};

/// The longest head in bytes. A browser's has some 200, and the file's name.
pub const MAX_HEAD_LEN: usize = 4096;
/// The one part's name.
const PART: &[u8] = b"report";
/// Longest boundary (RFC 2046, section 5.1.1).
const MAX_BOUNDARY_LEN: usize = 70;
const MAX_HEADERS: usize = 8;

/// What stands before and behind the part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Boundary(String);

/// Why a form is none of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormError {
    /// Another `Content-Type`.
    #[error("it is no multipart/form-data with a boundary of 1 to {MAX_BOUNDARY_LEN} characters")]
    ContentType,
    /// It does not begin with its boundary, or its headers are none.
    #[error("it does not begin with a part")]
    NoPart,
    /// Another part.
    #[error("its one part has to be named report, and that has to stand first in Content-Disposition")]
    OtherPart,
    /// Too many headers, or too long ones.
    #[error("the headers of its part have more than {MAX_HEAD_LEN} bytes, or are more than {MAX_HEADERS}")]
    HeadTooLong,
    /// No file was chosen.
    #[error("no file came with it")]
    Empty,
    /// Something else stands where the end should be.
    #[error("it does not end behind its one part")]
    NoEnd,
}

impl Boundary {
    /// Reads a `Content-Type`.
    ///
    /// # Errors
    /// [`FormError::ContentType`].
    pub fn of(content_type: &str) -> Result<Self, FormError> {
        let mut parts = content_type.split(';').map(str::trim);
        let is_form = parts
            .next()
            .is_some_and(|kind| kind.eq_ignore_ascii_case("multipart/form-data"));
        let mut boundaries = parts.filter_map(|part| {
            let (name, value) = part.split_once('=')?;
            name.eq_ignore_ascii_case("boundary").then_some(value)
        });
        let (Some(boundary), None, true) = (boundaries.next(), boundaries.next(), is_form) else {
            return Err(FormError::ContentType);
        };
        let unquoted = boundary.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        let boundary = unquoted.unwrap_or(boundary);
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"'()+_,-./:=?".contains(&byte);
        if (1..=MAX_BOUNDARY_LEN).contains(&boundary.len()) && boundary.bytes().all(allowed) {
            Ok(Self(boundary.to_owned()))
        } else {
            Err(FormError::ContentType)
        }
    }

    /// How many bytes the head has, if it is whole in the `start` of the body.
    ///
    /// # Errors
    /// [`FormError`], as soon as it cannot be a head any more.
    pub fn head(&self, start: &[u8]) -> Result<Option<usize>, FormError> {
        let first = format!("--{}\r\n", self.0);
        let Some(headers) = start.strip_prefix(first.as_bytes()) else {
            return if first.as_bytes().starts_with(start) {
                Ok(None)
            } else {
                Err(FormError::NoPart)
            };
        };
        let mut found = [EMPTY_HEADER; MAX_HEADERS];
        let bounded = &headers[..headers.len().min(MAX_HEAD_LEN - first.len())];
        match parse_headers(bounded, &mut found) {
            Ok(Status::Complete((len, headers))) => {
                let mut dispositions = headers
                    .iter()
                    .filter(|header| header.name.eq_ignore_ascii_case("content-disposition"));
                match (dispositions.next(), dispositions.next()) {
                    (Some(one), None) if is_named_report(one.value) => Ok(Some(first.len() + len)),
                    _ => Err(FormError::OtherPart),
                }
            }
            Ok(Status::Partial) if start.len() < MAX_HEAD_LEN => Ok(None),
            Ok(Status::Partial) | Err(httparse::Error::TooManyHeaders) => Err(FormError::HeadTooLong),
            Err(_) => Err(FormError::NoPart),
        }
    }

    /// What stands behind the part.
    pub fn tail(&self) -> Vec<u8> {
        format!("\r\n--{}--\r\n", self.0).into_bytes()
    }
}

/// Whether it begins `form-data; name="report"`, as browsers write it, or without the quotation marks.
fn is_named_report(disposition: &[u8]) -> bool {
    let after = |value: &[u8], word: &[u8]| {
        let rest = value.trim_ascii_start();
        let (start, rest) = rest.split_at_checked(word.len())?;
        start.eq_ignore_ascii_case(word).then(|| rest.to_vec())
    };
    let name = after(disposition, b"form-data")
        .and_then(|rest| after(&rest, b";"))
        .and_then(|rest| after(&rest, b"name="));
    let Some(name) = name else { return false };
    let value = name.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    let unquoted = value.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\""));
    unquoted.unwrap_or(value) == PART
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str =
        "--B\r\nContent-Disposition: form-data; name=\"report\"; filename=\"r.age\"\r\nContent-Type: x/y\r\n\r\n";

    fn boundary() -> Boundary {
        Boundary::of("multipart/form-data; boundary=B").unwrap()
    }

    #[test]
    fn the_boundary_is_read_as_browsers_and_programs_write_it() {
        let long = "b".repeat(70);
        for (content_type, expected) in [
            (
                "multipart/form-data; boundary=----WebKitFormBoundaryAbC123",
                "----WebKitFormBoundaryAbC123",
            ),
            ("Multipart/Form-Data;charset=utf-8;Boundary=\"a'b:c\"", "a'b:c"),
            (&format!("multipart/form-data; boundary={long}"), &long),
        ] {
            assert_eq!(Boundary::of(content_type), Ok(Boundary(expected.to_owned())));
        }
        for wrong in [
            "",
            "text/plain; boundary=x",
            "multipart/form-data",
            "multipart/form-data; boundary=",
            "multipart/form-data; boundary=\"\"",
            "multipart/form-data; boundary=a b",
            "multipart/form-data; boundary=a; boundary=b",
            &format!("multipart/form-data; boundary={long}b"),
        ] {
            assert_eq!(Boundary::of(wrong), Err(FormError::ContentType), "{wrong}");
        }
    }

    #[test]
    fn a_head_is_found_wherever_it_is_cut_and_what_follows_is_not_looked_at() {
        for cut in 0..HEAD.len() {
            assert_eq!(boundary().head(&HEAD.as_bytes()[..cut]), Ok(None), "{cut}");
        }
        for more in ["", "\0\r\n--B", &"x".repeat(100_000)] {
            assert_eq!(
                boundary().head(format!("{HEAD}{more}").as_bytes()),
                Ok(Some(HEAD.len()))
            );
        }
    }

    #[test]
    fn a_file_may_have_any_name() {
        for name in ["", "; name=", "a\\", "报告.age", "%22"] {
            let head = HEAD.replace("r.age", name);
            assert_eq!(boundary().head(head.as_bytes()), Ok(Some(head.len())), "{name}");
        }
    }

    #[test]
    fn every_other_head_is_refused_by_what_is_wrong() {
        let headers = |headers: &str| format!("--B\r\n{headers}\r\n\r\n");
        let disposition = |rest: &str| headers(&format!("Content-Disposition: {rest}"));
        for (head, error) in [
            ("--C\r\n".to_owned(), FormError::NoPart),
            ("preamble\r\n--B\r\n".to_owned(), FormError::NoPart),
            ("--B--\r\n".to_owned(), FormError::NoPart),
            (headers("no header"), FormError::NoPart),
            (headers("A: \0"), FormError::NoPart),
            ("--B\r\n\r\n".to_owned(), FormError::OtherPart),
            (disposition("form-data"), FormError::OtherPart),
            (disposition("form-data; name=\"file\""), FormError::OtherPart),
            (disposition("form-data; name=\"reports\""), FormError::OtherPart),
            (
                disposition("form-data; filename=\"x\"; name=\"report\""),
                FormError::OtherPart,
            ),
            (disposition("attachment; name=\"report\""), FormError::OtherPart),
            (
                headers("Content-Disposition: form-data; name=report\r\nContent-Disposition: form-data; name=report"),
                FormError::OtherPart,
            ),
            (headers(&"A: b\r\n".repeat(9)), FormError::HeadTooLong),
            (headers(&format!("A: {}", "b".repeat(5000))), FormError::HeadTooLong),
        ] {
            assert_eq!(boundary().head(head.as_bytes()), Err(error), "{head}");
        }
        let endless = format!("--B\r\nA: {}", "b".repeat(5000));
        let longest = &endless.as_bytes()[..MAX_HEAD_LEN];
        assert_eq!(boundary().head(&longest[..MAX_HEAD_LEN - 1]), Ok(None));
        assert_eq!(boundary().head(longest), Err(FormError::HeadTooLong));
    }
}
