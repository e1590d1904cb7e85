//! `POST /drop`: a sealed report from a browser without scripts, in the page's form.
//!
//! It is received as `POST /v1/reports` receives one, but for the epoch, which such a form cannot know: it is the newest
//! open one of whose reports the file has the shape. Caseworkers try neighbouring epochs too, so that nothing is lost if it
//! was the one before. The answer is for a person to read: a page without scripts, of the same length whatever it says.

use std::sync::{Arc, LazyLock};

use axum::{
    body::Body,
    extract::{Request, State},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use marram_crypto::digest::Digest;

use super::{
    App,
    problem::{Problem, RETRY_AFTER_S, StoreProblem},
    reports,
    upload::{Upload, receiving},
};
use crate::form::{Boundary, FormError, MAX_HEAD_LEN};

/// Length of every answer in bytes: padded with spaces, so that a watcher does not learn which it was.
pub const LEN: usize = 4096;

const STYLE: &str = include_str!("drop.css");

static POLICY: LazyLock<Option<HeaderValue>> = LazyLock::new(|| {
    let hash = BASE64_STANDARD.encode(Digest::of(STYLE.as_bytes()).as_bytes());
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{hash}'; img-src data:; form-action 'none'; base-uri 'none'; \
         frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    );
    HeaderValue::try_from(policy).ok()
});

/// What a person is told.
pub(super) struct Answer(Result<String, Problem>);

/// Takes the form.
pub(super) async fn post(State(app): State<Arc<App>>, request: Request) -> Answer {
    let (parts, body) = request.into_parts();
    let upload = Upload::new(&parts.headers, body, app.limits);
    let receipt = receiving(upload, async |upload| {
        let len = upload.len(&parts.headers)?;
        let content_type = parts.headers.get(header::CONTENT_TYPE);
        let content_type = content_type.and_then(|value| value.to_str().ok()).unwrap_or_default();
        take(&app, len, &Boundary::of(content_type)?, upload).await
    });
    Answer(receipt.await)
}

/// Another method: somebody loads the answer's address again, say.
pub(super) async fn other_method() -> Answer {
    Answer(Err(Problem::MethodNotAllowed))
}

async fn take(app: &App, len: u64, boundary: &Boundary, upload: &mut Upload) -> Result<String, Problem> {
    let manifests = app.published().accepting(app.clock.today());
    let largest = manifests.iter().map(|manifest| manifest.limit).max();
    let limit = largest.ok_or(Problem::NoOpenManifest)?;
    let tail = boundary.tail();
    let around = MAX_HEAD_LEN + tail.len();
    if len > limit.saturating_add(around as u64) {
        return Err(Problem::TooLarge { limit });
    }
    let head = read_head(boundary, upload).await?;
    let inside = len.checked_sub((head + tail.len()) as u64);
    // Its last line break may be missing.
    let (len, tail) = match inside {
        Some(len) if len.is_power_of_two() => (len, tail.as_slice()),
        Some(len) => (len.saturating_add(2), &tail[..tail.len() - 2]),
        None => return Err(FormError::NoEnd.into()),
    };
    if len <= 2 {
        return Err(FormError::Empty.into());
    }
    upload.only(len);
    let received = reports::receive(app, &manifests, len, upload).await?;
    upload.ends_with(tail).await?;
    let receipt = reports::accept(app, received).await?;
    String::from_utf8(receipt).map_err(|_| Problem::Store(StoreProblem::Failed))
}

/// Reads the form's head, and no byte of what follows.
async fn read_head(boundary: &Boundary, upload: &mut Upload) -> Result<usize, Problem> {
    let mut start = Vec::new();
    loop {
        // At the most what was too long, and what came with it: a connection's buffer.
        start.extend_from_slice(&upload.next().await?.ok_or(FormError::NoPart)?);
        if let Some(len) = boundary.head(&start)? {
            upload.unread(start.split_off(len).into());
            return Ok(len);
        }
    }
}

impl Answer {
    const fn status(&self) -> StatusCode {
        match &self.0 {
            Ok(_) => StatusCode::CREATED,
            Err(problem) => problem.status(),
        }
    }

    fn html(&self) -> String {
        let (title, text) = match &self.0 {
            Ok(receipt) => ("Received", received(receipt)),
            Err(problem) => refused(problem),
        };
        let name = self.0.as_ref().map_or_else(Problem::name, |_| "received");
        let mut html = format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n<meta name=\"robots\" content=\"noindex\">\n\
             <title>{title}</title>\n<link rel=\"icon\" href=\"data:,\">\n<style>{STYLE}</style>\n</head>\n\
             <body>\n<main id=\"{name}\">\n<h1>{title}</h1>\n{text}</main>\n</body>\n</html>\n"
        );
        html.extend(std::iter::repeat_n(' ', LEN.saturating_sub(html.len())));
        html
    }
}

fn received(receipt: &str) -> String {
    format!(
        "<p>The server has taken the sealed file and promises to keep it for the caseworkers. Nobody else can open it.</p>\n\
         <p><strong>If it could endanger you, delete the file from this device now.</strong> Keep the twelve words that you were \
         given when it was sealed: with them you can find out later whether it was read, and what was answered.</p>\n\
         <p>Sending the same file again does no harm. It is kept once.</p>\n\
         <details><summary>The promise, signed by the server</summary><p>You need not keep this. Whoever does can prove that the \
         file was sent on this day.</p><pre>{receipt}</pre></details>\n"
    )
}

/// A title, and paragraphs. Nothing in them comes from the request.
fn refused(problem: &Problem) -> (&'static str, String) {
    const AGAIN: &str = "<p><a href=\"/\">Back to the form</a></p>\n";
    const LATER: &str = "Keep the file, and send it again later. If that goes on for days, tell the organization.";
    let said = |title, what: &str, next: &str| {
        (
            title,
            format!("<p>{what} Nothing was stored.</p>\n<p>{next}</p>\n{AGAIN}"),
        )
    };
    match problem {
        Problem::Form(_) => said(
            "No file came",
            "What was sent is not the form of this page with one file in it.",
            "Go back, choose the sealed file (its name ends in .age), and send it. A program must send the one part \
             <code>report</code> as multipart/form-data.",
        ),
        Problem::Shape(_) | Problem::NotABucket { .. } => said(
            "This is not a sealed file for this organization",
            "The server takes only reports that were sealed for this organization and for this week. This file is another one, \
             or was changed on the way. If it was not sealed at all, whoever runs the server could have read it.",
            "Choose the file that marram-submit, or a saved copy of the page, has made: its name ends in .age. If that is the \
             one you sent, it was sealed for a week that is over, or for somebody else: seal the report again with the \
             organization’s link, and send the new file.",
        ),
        Problem::TooLarge { limit } => said(
            "The file is too large",
            &format!("This organization takes sealed files of at most {limit} bytes."),
            "Seal the report again with fewer or smaller attachments.",
        ),
        Problem::BodyIncomplete | Problem::TooSlow => said(
            "The file did not arrive whole",
            "The connection broke off, or was too slow.",
            "Send it again, over a better connection if you can.",
        ),
        Problem::Busy => said(
            "The server is busy",
            "Too much is being sent at this moment.",
            &format!("Send it again in {RETRY_AFTER_S} seconds."),
        ),
        Problem::NoOpenManifest => said(
            "The organization cannot take reports today",
            "Nobody has said who may read what is sent this week.",
            LATER,
        ),
        Problem::MethodNotAllowed => said(
            "There is nothing to see here",
            "This address only takes the form of the page.",
            "Open the organization’s link again.",
        ),
        _ => said(
            "The server cannot take it now",
            "Something is wrong with the server.",
            LATER,
        ),
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let mut response = (self.status(), Body::from(self.html())).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("text/html; charset=utf-8"),
        );
        if let Some(policy) = POLICY.clone() {
            headers.insert(header::CONTENT_SECURITY_POLICY, policy);
        }
        if self.0.is_err_and(|problem| problem.is_passing()) {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_S));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_answer_has_one_length_whatever_it_says() {
        let receipt = "x".repeat(marram_crypto::receipt::LEN);
        let mut answers = vec![Answer(Ok(receipt))];
        for problem in [
            Problem::Form(FormError::Empty),
            Problem::NotABucket {
                smallest: 1,
                limit: u64::MAX,
            },
            Problem::TooLarge { limit: u64::MAX },
            Problem::TooSlow,
            Problem::Busy,
            Problem::NoOpenManifest,
            Problem::MethodNotAllowed,
            Problem::Store(StoreProblem::Full),
        ] {
            answers.push(Answer(Err(problem)));
        }
        for answer in answers {
            let html = answer.html();
            assert_eq!(html.len(), LEN, "{html}");
            assert!(html.contains("</html>") && !html.contains("<script"));
        }
    }
}
