//! The routes. One file for each family.
//!
//! | route | who | file |
//! |---|---|---|
//! | `GET /` | all | `page` |
//! | `POST /drop` | all | `drop` |
//! | `GET /v1/organization`, `GET /v1/charter`, `GET /v1/manifest` | all | `notes` |
//! | `PUT /v1/charter`, `PUT /v1/manifest` | signed content | `notes` |
//! | `POST /v1/reports?epoch=N` | all | `reports` |
//! | `POST /v1/orders` | signed content | `orders` |
//! | `GET /v1/board/{shard}` | all | `board` |
//! | `GET /v1/log/checkpoint`, `GET /v1/log/leaves?from=N`, `GET /v1/log/orders?from=N`, `GET /v1/log/manifests?from=EPOCH`, `GET /v1/reports/{digest}` | couriers | `log` |
//! | `GET /healthz` | own listener | `health` |
//!
//! Handlers log nothing: what happened is in the answer and, if it was stored, in the ledger.

mod answers;
mod board;
mod connection;
mod drop;
mod health;
mod log;
mod notes;
mod orders;
mod page;
mod problem;
mod reports;
mod upload;

use std::{
    fmt,
    os::fd::AsFd,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError, RwLock},
};

use axum::{
    Router,
    extract::Request,
    http::{HeaderName, HeaderValue, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use marram_crypto::{
    courier_request::{CourierError, Nonces, Verified},
    digest::Digest,
    instance::InstanceId,
    key::SigningKey,
};
use tokio::sync::Semaphore;

use self::answers::Answers;
use crate::{
    clock::Clock,
    config::{Config, Limits},
    deletions::Deletions,
    published::Published,
    store::{Store, StoreError},
};

pub use connection::{Bound, serve};
pub use drop::LEN as DROP_LEN;
pub use log::{MAX_LEAVES, MAX_ORDERS, MAX_ORDERS_LEN};
pub use problem::{LEN as PROBLEM_LEN, Problem, StoreProblem};

/// What the handlers share.
pub struct App {
    store: Arc<dyn Store>,
    clock: Clock,
    limits: Limits,
    data_dir: PathBuf,
    spool_reserve_bytes: u64,
    instance: InstanceId,
    pinned: Digest,
    log_key: SigningKey,
    published: RwLock<Arc<Published>>,
    /// Held while something is published, so that what is stored and what is shown agree.
    publishing: tokio::sync::Mutex<()>,
    deletions: Deletions,
    nonces: Mutex<Nonces>,
    /// One permit for each byte that a small report has in memory.
    small_uploads: Arc<Semaphore>,
    /// The same for charters and manifests, apart: whoever fills it keeps no report out.
    publications: Arc<Semaphore>,
    /// The same for order files.
    order_files: Arc<Semaphore>,
    large_uploads: Semaphore,
    courier_answers: Answers,
}

impl App {
    /// Puts together what the handlers need.
    pub fn new(
        store: Arc<dyn Store>,
        clock: Clock,
        config: &Config,
        log_key: SigningKey,
        published: Published,
        deletions: Deletions,
    ) -> Self {
        let limits = config.limits;
        Self {
            store,
            clock,
            data_dir: config.data_dir.clone(),
            // Twice what the store keeps free: small reports can still be stored when large ones no longer can.
            spool_reserve_bytes: config.store.reserve_bytes.saturating_mul(2),
            instance: published.chain.instance(),
            pinned: published.chain.pinned(),
            log_key,
            published: RwLock::new(Arc::new(published)),
            publishing: tokio::sync::Mutex::new(()),
            deletions,
            nonces: Mutex::default(),
            small_uploads: Arc::new(Semaphore::new(limits.small_uploads_bytes as usize)),
            publications: Arc::new(Semaphore::new(notes::MAX_PUBLICATIONS_LEN)),
            order_files: Arc::new(Semaphore::new(orders::MAX_ORDER_FILES_LEN)),
            large_uploads: Semaphore::new(limits.large_uploads),
            courier_answers: Answers::default(),
            limits,
        }
    }

    /// What is published now.
    pub fn published(&self) -> Arc<Published> {
        Arc::clone(&self.published.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Destroys what is due, if that was not done today.
    ///
    /// # Errors
    /// What the store said. The next call tries again.
    pub async fn destroy_what_is_due(&self) -> Result<(), StoreError> {
        let chain = &self.published().chain;
        self.deletions
            .sweep(self.store.as_ref(), chain, self.clock.today())
            .await
    }

    fn replace_published(&self, published: Published) {
        *self.published.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(published);
    }

    /// Whether the disk of temporary files is nearly full.
    fn spooling_crowds(&self, file: impl AsFd) -> bool {
        let stat = rustix::fs::fstatvfs(file);
        stat.is_ok_and(|stat| stat.f_bavail.saturating_mul(stat.f_frsize) < self.spool_reserve_bytes)
    }

    fn first_use(&self, verified: &Verified, now_unix_s: u64) -> Result<(), CourierError> {
        self.nonces
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .first_use(verified, now_unix_s)
    }
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("App")
    }
}

/// The routes for submitters, keyholders and couriers.
pub fn routes(app: Arc<App>) -> Router {
    let public = Router::new()
        .route("/v1/organization", get(notes::get_organization).options(preflight))
        .route(
            "/v1/charter",
            get(notes::get_charter).put(notes::put_charter).options(preflight),
        )
        .route(
            "/v1/manifest",
            get(notes::get_manifest).put(notes::put_manifest).options(preflight),
        )
        .route("/v1/reports", post(reports::post).options(preflight))
        .route("/v1/orders", post(orders::post).options(preflight))
        .route("/v1/board/{shard}", get(board::get).options(preflight))
        .method_not_allowed_fallback(async || Problem::MethodNotAllowed)
        .fallback(async || Problem::NotFound)
        .layer(middleware::from_fn(any_origin));
    let couriers = Router::new()
        .route("/v1/log/checkpoint", get(log::checkpoint))
        .route("/v1/log/leaves", get(log::leaves))
        .route("/v1/log/orders", get(log::orders))
        .route("/v1/log/manifests", get(log::manifests))
        .route("/v1/reports/{digest}", get(log::report))
        .method_not_allowed_fallback(async || Problem::MethodNotAllowed);
    // What browsers show. No other site has to do with it, so it says nothing to other origins.
    let shown = Router::new()
        .route("/", get(page::get))
        .route("/drop", post(drop::post))
        .method_not_allowed_fallback(drop::other_method)
        .layer(middleware::from_fn(page::alone));
    public
        .merge(couriers)
        .merge(shown)
        .layer(middleware::from_fn(never_stored))
        .with_state(app)
}

/// The route for the operator's monitoring.
pub fn health_routes(app: Arc<App>) -> Router {
    Router::new()
        .route("/healthz", get(health::get))
        .fallback(async || Problem::NotFound)
        .layer(middleware::from_fn(never_stored))
        .with_state(app)
}

/// A saved page may use the public routes from anywhere: there are no credentials that could be abused.
async fn any_origin(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    response
        .headers_mut()
        .insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    response
}

async fn preflight() -> impl IntoResponse {
    (
        StatusCode::NO_CONTENT,
        [
            (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST"),
            (header::ACCESS_CONTROL_ALLOW_HEADERS, "content-type"),
            (header::ACCESS_CONTROL_MAX_AGE, "600"),
        ],
    )
}

/// Nothing that a server answered is to be found in a cache.
async fn never_stored(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(
        HeaderName::from_static("x-content-type-options"),
        HeaderValue::from_static("nosniff"),
    );
    response
}
