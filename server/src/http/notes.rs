//! `/v1/charter` and `/v1/manifest`: read by everyone, written by whoever has the keyholders' signatures.
//!
//! Authority is in the content, never in the sender: a charter must extend the chain, a manifest must be signed by the
//! newest charter's keyholders.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use marram_crypto::{
    charter::{CharterError, MAX_CHAIN_LEN, UntrustedCharterChain},
    manifest::{GRACE_DAYS, ManifestError, UntrustedManifest},
    note,
};

use super::{
    App,
    problem::{Problem, StoreProblem},
    upload::{self, Buffer, Upload, receiving},
};
use crate::{published::Published, store::Put};

/// The charter chain.
pub(super) async fn get_charter(State(app): State<Arc<App>>) -> Response {
    (
        [(header::CONTENT_TYPE, "application/json")],
        app.published().chain.to_json(),
    )
        .into_response()
}

/// The manifest that is valid today.
pub(super) async fn get_manifest(State(app): State<Arc<App>>) -> Result<Response, Problem> {
    let published = app.published();
    let manifest = published.open_today(app.clock.today()).ok_or(Problem::NoOpenManifest)?;
    Ok((
        [(header::CONTENT_TYPE, "text/plain; charset=utf-8")],
        manifest.to_bytes(),
    )
        .into_response())
}

/// Takes a longer charter chain. 201 if it is new, 200 if it is ours.
pub(super) async fn put_charter(State(app): State<Arc<App>>, request: Request) -> Result<StatusCode, Problem> {
    let json = read(&app, request, MAX_CHAIN_LEN).await?;
    let chain = UntrustedCharterChain::parse(&json.bytes).map_err(|error| refuse("not-a-charter", &error))?;
    let chain = chain
        .verify(app.pinned)
        .map_err(|error| refuse("charter-refused", &error))?;

    let _publishing = app.publishing.lock().await;
    let known = app.published();
    chain.extends(&known.chain).map_err(|error| match error {
        CharterError::Fork { .. } => refuse("charter-fork", &error),
        _ => refuse("charter-refused", &error),
    })?;
    let mut status = StatusCode::OK;
    for charter in chain.charters().iter().skip(known.chain.charters().len()) {
        let note = charter.note().to_bytes();
        match app
            .store
            .put_charter(charter.version.into(), charter.fingerprint(), note)
            .await?
        {
            Put::Fresh => status = StatusCode::CREATED,
            Put::Repeated => {}
            Put::Conflict | Put::Older { .. } => {
                return Err(conflict("charter-fork", "another charter of this version is stored"));
            }
        }
    }
    reload(&app).await?;
    Ok(status)
}

/// Takes a manifest. 201 if it is new, 200 if it is stored already.
pub(super) async fn put_manifest(State(app): State<Arc<App>>, request: Request) -> Result<StatusCode, Problem> {
    let body = read(&app, request, note::MAX_LEN).await?;
    let manifest = UntrustedManifest::parse(&body.bytes).map_err(|error| refuse("not-a-manifest", &error))?;

    let _publishing = app.publishing.lock().await;
    let published = app.published();
    let manifest = manifest
        .verify(&published.chain)
        .map_err(|error| refuse("manifest-refused", &error))?;
    let ours = app.log_key.public();
    if manifest.log != ours {
        return Err(Problem::OtherLogKey { ours: Box::new(ours) });
    }
    let epoch = manifest.epoch;
    if app.clock.today() >= epoch.closes().plus(GRACE_DAYS) {
        return Err(Problem::EpochClosed { epoch });
    }
    if let Some(newest) = published
        .newest(epoch)
        .filter(|newest| newest.version != manifest.version)
    {
        manifest.replaces(newest).map_err(|error| match error {
            ManifestError::Rollback { .. } => refuse("manifest-older", &error),
            _ => refuse("manifest-refused", &error),
        })?;
    }
    let put = app
        .store
        .put_manifest(epoch, manifest.version.into(), manifest.hash(), manifest.to_bytes())
        .await?;
    let status = match put {
        Put::Fresh => StatusCode::CREATED,
        Put::Repeated => StatusCode::OK,
        Put::Conflict => {
            return Err(conflict(
                "manifest-conflict",
                "another manifest of this epoch and version is stored: a keyholder has signed two; issue a higher version",
            ));
        }
        Put::Older { newest } => {
            return Err(conflict(
                "manifest-older",
                &format!("version {newest} of this epoch is stored already"),
            ));
        }
    };
    reload(&app).await?;
    Ok(status)
}

async fn read(app: &App, request: Request, limit: usize) -> Result<Buffer<'_>, Problem> {
    let (parts, body) = request.into_parts();
    let upload = Upload::new(&parts.headers, body, app.limits);
    // Anyone can send these, so they share the room of small reports.
    receiving(upload, async |upload| {
        upload::small(upload, &parts.headers, limit as u64, &app.small_uploads).await
    })
    .await
}

/// Takes over what was published. Callers hold `publishing`.
async fn reload(app: &App) -> Result<(), Problem> {
    let published = Published::load(app.store.as_ref(), app.pinned, app.clock.today()).await;
    app.replace_published(published.map_err(|_| Problem::Store(StoreProblem::Failed))?);
    Ok(())
}

fn refuse(name: &'static str, error: &impl ToString) -> Problem {
    let status = match name {
        "not-a-charter" | "not-a-manifest" => StatusCode::UNPROCESSABLE_ENTITY,
        "charter-fork" | "manifest-older" => StatusCode::CONFLICT,
        _ => StatusCode::FORBIDDEN,
    };
    Problem::Refused {
        name,
        status,
        detail: error.to_string(),
    }
}

fn conflict(name: &'static str, detail: &str) -> Problem {
    Problem::Refused {
        name,
        status: StatusCode::CONFLICT,
        detail: detail.to_owned(),
    }
}
