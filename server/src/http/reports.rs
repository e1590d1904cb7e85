//! `POST /v1/reports?epoch=N`: a sealed report.
//!
//! Refused before anything of it is read: no length, a length that is no bucket, an epoch that is not open. Refused
//! after the first bytes: what does not have the shape of a sealed report of that epoch. Only then is anything written,
//! and to a file without a name (see `spool`); what breaks off leaves nothing.

use std::{io, sync::Arc};

use axum::{
    body::{Body, Bytes},
    extract::{Query, Request, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use marram_crypto::{
    bucket,
    day::Epoch,
    digest::Hasher,
    header::{SealedHeader, prefix_len},
    manifest::Manifest,
    receipt,
};
use serde::Deserialize;
use tokio::{io::AsyncWriteExt, sync::SemaphorePermit};

use super::{
    App,
    problem::{Problem, StoreProblem},
    upload::{Buffer, Upload, receiving},
};
use crate::{config::SMALL_UPLOAD_MAX_LEN, published::Acceptance, store};

/// After how many bytes of a large report the free space is looked at again.
const SPACE_CHECK_LEN: u64 = 1 << 20;

/// The query of [`post`].
#[derive(Deserialize)]
pub(super) struct ForEpoch {
    epoch: Epoch,
}

/// Takes a sealed report. 201 with a receipt, always of the same length.
pub(super) async fn post(
    State(app): State<Arc<App>>,
    query: Result<Query<ForEpoch>, axum::extract::rejection::QueryRejection>,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let upload = Upload::new(&parts.headers, body, app.limits);
    receiving(upload, async |upload| {
        let Query(ForEpoch { epoch }) = query.map_err(|_| Problem::BadQuery {
            needs: "?epoch= and the number of an epoch",
        })?;
        take(&app, epoch, &parts.headers, upload).await
    })
    .await
}

async fn take(app: &App, epoch: Epoch, headers: &HeaderMap, upload: &mut Upload) -> Result<Response, Problem> {
    let manifest = match app.published().accepts(epoch, app.clock.today()) {
        Acceptance::Open(manifest) => manifest,
        Acceptance::Closed => return Err(Problem::EpochClosed { epoch }),
        Acceptance::NotOpen => return Err(Problem::EpochNotOpen { epoch }),
    };
    let len = upload.len(headers)?;
    let received = receive(app, &[manifest], len, upload).await?;
    let receipt = accept(app, received).await?;
    let headers = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];
    Ok((StatusCode::CREATED, headers, Body::from(receipt)).into_response())
}

/// Something that has come whole and has the shape of a sealed report. Nothing of it is kept unless it is accepted.
pub(super) struct Received<'a> {
    body: store::Body,
    epoch: Epoch,
    _place: Option<SemaphorePermit<'a>>,
}

/// Receives `len` bytes that have the shape of a sealed report of one of these manifests: the first that fits.
pub(super) async fn receive<'a>(
    app: &'a App,
    manifests: &[Arc<Manifest>],
    len: u64,
    upload: &mut Upload,
) -> Result<Received<'a>, Problem> {
    let mut refusal = Problem::NoOpenManifest;
    let mut fitting = Vec::new();
    for manifest in manifests.iter().rev() {
        match check_len(len, manifest) {
            Ok(()) => fitting.insert(0, manifest),
            Err(problem) => refusal = problem,
        }
    }
    let Some(start) = fitting.iter().map(|manifest| prefix_len(manifest.slots.len())).max() else {
        return Err(refusal);
    };
    let small = len <= u64::from(SMALL_UPLOAD_MAX_LEN);
    let mut buffer = Buffer::new(&app.small_uploads);
    buffer.expect(len);
    upload.fill(&mut buffer, start).await?;
    let manifest = first_of_shape(&buffer.bytes, &fitting)?;

    // Not before there is a header: a place among the large costs what a sealed report costs to begin.
    let place = if small {
        None
    } else {
        Some(app.large_uploads.try_acquire().map_err(|_| Problem::Busy)?)
    };
    let body = if small {
        upload.fill(&mut buffer, usize::MAX).await?;
        store::Body::in_memory(std::mem::take(&mut buffer.bytes))
    } else {
        spool(app, buffer, len, upload).await?
    };
    Ok(Received {
        body: body.map_err(|_| not_a_bucket(manifest))?,
        epoch: manifest.epoch,
        _place: place,
    })
}

/// Stores it, and promises to keep it.
pub(super) async fn accept(app: &App, received: Received<'_>) -> Result<Vec<u8>, Problem> {
    let appended = app
        .store
        .append(received.body, received.epoch, app.clock.today())
        .await?;
    let receipt =
        receipt::sign(app.instance, appended.leaf(), &app.log_key).map_err(|_| Problem::Store(StoreProblem::Failed))?;
    Ok(receipt.to_bytes())
}

/// The first manifest to whose slots a report with this beginning can be sealed; if there is none, what is wrong with it by
/// the first of all.
fn first_of_shape<'a>(start: &[u8], manifests: &[&'a Arc<Manifest>]) -> Result<&'a Arc<Manifest>, Problem> {
    let mut refusal = Problem::NoOpenManifest;
    for manifest in manifests.iter().rev() {
        if let Err(shape) = SealedHeader::check(start, manifest.slots.len()) {
            refusal = Problem::Shape(shape);
        }
    }
    let fits = |manifest: &&&Arc<Manifest>| SealedHeader::check(start, manifest.slots.len()).is_ok();
    manifests.iter().find(fits).copied().ok_or(refusal)
}

fn check_len(len: u64, manifest: &Manifest) -> Result<(), Problem> {
    if len > manifest.limit {
        return Err(Problem::TooLarge { limit: manifest.limit });
    }
    if bucket::is_bucket(len, manifest.slots.len(), manifest.limit) {
        Ok(())
    } else {
        Err(not_a_bucket(manifest))
    }
}

fn not_a_bucket(manifest: &Manifest) -> Problem {
    Problem::NotABucket {
        smallest: bucket::smallest(manifest.slots.len()),
        limit: manifest.limit,
    }
}

/// Receives the rest into a file without a name, on the file system of the store: one that never had a name
/// (`O_TMPFILE`), or, on a file system that has no such files (NFS, say), one whose random name is removed as soon as it
/// is made. A crash in just that moment leaves an empty file; and the folder's times then show when it was.
async fn spool(
    app: &App,
    mut start: Buffer,
    len: u64,
    upload: &mut Upload,
) -> Result<Result<store::Body, store::BodyError>, Problem> {
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Problem::Store(StoreProblem::Full),
        _ => Problem::Store(StoreProblem::Failed),
    };
    let file = tempfile::tempfile_in(&app.data_dir).map_err(failed)?;
    let mut file = tokio::fs::File::from_std(file);
    let mut hasher = Hasher::new();
    let mut written = 0_u64;
    let mut next = Some(Bytes::from(std::mem::take(&mut start.bytes)));
    let mut start = Some(start);
    while let Some(bytes) = next {
        hasher.update(&bytes);
        file.write_all(&bytes).await.map_err(failed)?;
        // Its room in memory.
        drop(start.take());
        let before = written / SPACE_CHECK_LEN;
        written += bytes.len() as u64;
        // What is only under way must not crowd out what could be stored.
        if written / SPACE_CHECK_LEN > before && app.spooling_crowds(&file) {
            return Err(Problem::Store(StoreProblem::Full));
        }
        next = upload.next().await?;
    }
    file.flush().await.map_err(failed)?;
    Ok(store::Body::in_file(file.into_std().await, hasher.finish(), len))
}
