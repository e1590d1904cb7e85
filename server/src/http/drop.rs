//! `POST /drop`: a sealed report from a browser without scripts, in the page's form.
//!
//! It is received as `POST /v1/reports` receives one, but for the epoch, which such a form cannot know: it is the newest
//! open one of whose reports the file has the shape. Caseworkers try neighbouring epochs too, so that nothing is lost if it
//! was the one before. The answer is for a person to read (`answer`), in the language that the form's address names (`texts`).

mod answer;
mod texts;

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::header,
};

use self::{answer::Answer, texts::Language};
use super::{
    App,
    problem::{Problem, StoreProblem},
    reports,
    upload::{Upload, receiving},
};
use crate::form::{Boundary, FormError, MAX_HEAD_LEN};

pub use answer::LEN;

/// Takes the form.
pub(super) async fn post(State(app): State<Arc<App>>, language: Language, request: Request) -> Answer {
    let (parts, body) = request.into_parts();
    let upload = Upload::new(&parts.headers, body, app.limits);
    let receipt = receiving(upload, async |upload| {
        let len = upload.len(&parts.headers)?;
        let content_type = parts.headers.get(header::CONTENT_TYPE);
        let content_type = content_type.and_then(|value| value.to_str().ok()).unwrap_or_default();
        take(&app, len, &Boundary::of(content_type)?, upload).await
    });
    Answer::new(language, receipt.await)
}

/// Another method: somebody loads the answer's address again, say.
pub(super) async fn other_method(language: Language) -> Answer {
    Answer::new(language, Err(Problem::MethodNotAllowed))
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
