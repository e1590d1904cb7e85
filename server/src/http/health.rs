//! `GET /healthz`, on its own listener: whether the server can do its work, and how long the signed manifests last.
//! Nothing in it comes from a request, or counts any.

use std::sync::Arc;

use axum::{
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};

use super::App;
use crate::page;

/// 200 if reports can be stored, else 503.
pub(super) async fn get(State(app): State<Arc<App>>) -> Response {
    let today = app.clock.today();
    let published = app.published();
    let store = app.store.ready().await;
    let status = if store.is_ok() {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let json = serde_json::json!({
        "status": if store.is_ok() { "ok" } else { "failing" },
        "store": store.map_or_else(|error| error.to_string(), |()| "ready".to_owned()),
        "manifest_open": published.open_today(today).is_some(),
        "manifest_names_page": published.names_page(page::digest(), today),
        "manifest_days_left": published.covered_until(today).days_since(today),
    });
    (status, [(header::CONTENT_TYPE, "application/json")], json.to_string()).into_response()
}
