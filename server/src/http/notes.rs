//! `/v1/charter` and `/v1/manifest`: read by everyone, written by whoever has the keyholders' signatures; and both at
//! once as `/v1/organization`, for the page.
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
    charter::{CharterError, MAX_CHAIN_LEN},
    manifest::{GRACE_DAYS, ManifestError, UntrustedManifest},
    note,
};
use tokio::sync::Semaphore;

use super::{
    App,
    problem::{Problem, StoreProblem},
    upload::{self, Buffer, Upload, receiving},
};
use crate::{chain, published::Published, store::Put};

/// How many bytes of charters and manifests may be in memory until they are verified: eight of the longest.
pub(super) const MAX_PUBLICATIONS_LEN: usize = 8 * MAX_CHAIN_LEN;

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

/// Charter chain and manifest in one answer, so that a page can be written in after two requests: a slow link, and Tor
/// above all, pays for each one.
pub(super) async fn get_organization(State(app): State<Arc<App>>) -> Result<Response, Problem> {
    let published = app.published();
    let manifest = published.open_today(app.clock.today()).ok_or(Problem::NoOpenManifest)?;
    let notes = published
        .chain
        .charters()
        .iter()
        .map(|charter| charter.note().to_bytes());
    let text = |note: Vec<u8>| String::from_utf8_lossy(&note).into_owned();
    let organization = serde_json::json!({
        "charters": notes.map(text).collect::<Vec<_>>(),
        "manifest": text(manifest.to_bytes()),
    });
    Ok(([(header::CONTENT_TYPE, "application/json")], organization.to_string()).into_response())
}

/// Takes a longer charter chain. 201 if it is new, 200 if it is ours.
pub(super) async fn put_charter(State(app): State<Arc<App>>, request: Request) -> Result<StatusCode, Problem> {
    let json = read(&app, request, MAX_CHAIN_LEN as u64, &app.publications).await?;
    to_the_end(publish_charters(app, json)).await
}

async fn publish_charters(app: Arc<App>, json: Buffer) -> Result<StatusCode, Problem> {
    let _turn = app.publishing.lock().await;
    let known = app.published();
    let ours = Arc::clone(&known);
    let longer = aside(move || {
        let offered = chain::read(&json.bytes).map_err(|error| refuse("not-a-charter", &error))?;
        chain::extended(&ours.chain, &offered).map_err(|error| match error {
            CharterError::Fork { .. } => refuse("charter-fork", &error),
            _ => refuse("charter-refused", &error),
        })
    });
    let Some(chain) = longer.await? else {
        return Ok(StatusCode::OK);
    };
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
    let note = read(&app, request, note::MAX_LEN as u64, &app.publications).await?;
    to_the_end(publish_manifest(app, note)).await
}

async fn publish_manifest(app: Arc<App>, note: Buffer) -> Result<StatusCode, Problem> {
    let _turn = app.publishing.lock().await;
    let published = app.published();
    let ours = Arc::clone(&published);
    let (manifest, note) = aside(move || {
        let manifest = UntrustedManifest::parse(&note.bytes).map_err(|error| refuse("not-a-manifest", &error))?;
        let manifest = manifest
            .verify(&ours.chain)
            .map_err(|error| refuse("manifest-refused", &error))?;
        // Signature lines are not signed: none stays that anybody could have added.
        let mut note = manifest.note().clone();
        note.keep_only(&ours.chain.newest().root_keys());
        Ok((manifest, note.to_bytes()))
    })
    .await?;
    let log_key = app.log_key.public();
    if manifest.log != log_key {
        return Err(Problem::OtherLogKey {
            ours: Box::new(log_key),
        });
    }
    let epoch = manifest.epoch;
    if app.clock.today() >= epoch.closes().plus(GRACE_DAYS) {
        return Err(Problem::EpochClosed { epoch });
    }
    let newest = published.newest(epoch);
    if let Some(newest) = newest.filter(|newest| newest.version != manifest.version) {
        manifest.replaces(newest).map_err(|error| match error {
            ManifestError::Rollback { .. } => refuse("manifest-older", &error),
            _ => refuse("manifest-refused", &error),
        })?;
    }
    let put = app
        .store
        .put_manifest(epoch, manifest.version.into(), manifest.hash(), note)
        .await?;
    match put {
        Put::Fresh => {
            reload(&app).await?;
            Ok(StatusCode::CREATED)
        }
        Put::Repeated => {
            // It is shown already, unless it was stored and taking it over failed.
            if newest.is_none_or(|newest| newest.hash() != manifest.hash()) {
                reload(&app).await?;
            }
            Ok(StatusCode::OK)
        }
        Put::Conflict => Err(conflict(
            "manifest-conflict",
            "another manifest of this epoch and version is stored: a keyholder has signed two; issue a higher version",
        )),
        Put::Older { newest } => Err(conflict(
            "manifest-older",
            &format!("version {newest} of this epoch is stored already"),
        )),
    }
}

/// Receives a body. Anyone can send these, so they have room of their own.
pub(super) async fn read(app: &App, request: Request, limit: u64, room: &Arc<Semaphore>) -> Result<Buffer, Problem> {
    let (parts, body) = request.into_parts();
    let upload = Upload::new(&parts.headers, body, app.limits);
    receiving(upload, async |upload| {
        upload::small(upload, &parts.headers, limit, room).await
    })
    .await
}

/// Runs `publish` even if the client goes away, so that nothing is stored and not shown, and nobody gets two turns at
/// once by leaving. What waits is bounded by the room its bodies hold.
pub(super) async fn to_the_end(
    publish: impl Future<Output = Result<StatusCode, Problem>> + Send + 'static,
) -> Result<StatusCode, Problem> {
    tokio::spawn(publish)
        .await
        .unwrap_or(Err(Problem::Store(StoreProblem::Failed)))
}

/// Runs `verify` off the async threads. Callers hold `publishing`, so that there is one at a time.
pub(super) async fn aside<T: Send + 'static>(
    verify: impl FnOnce() -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    tokio::task::spawn_blocking(verify)
        .await
        .unwrap_or(Err(Problem::Store(StoreProblem::Failed)))
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
