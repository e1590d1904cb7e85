//! `GET /v1/board/{shard}`: the board, whole, for everybody, so that nobody learns who has an answer.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{Path, State},
    http::header,
    response::{IntoResponse, Response},
};
use marram_crypto::board::Shard;
use tokio_util::io::ReaderStream;

use super::{App, problem::Problem};

const READ_LEN: usize = 1 << 16;

/// The board that hangs in a shard.
pub(super) async fn get(
    State(app): State<Arc<App>>,
    path: Result<Path<String>, axum::extract::rejection::PathRejection>,
) -> Result<Response, Problem> {
    let shard = path.ok().and_then(|Path(shard)| shard.parse::<Shard>().ok());
    let shard = shard.ok_or(Problem::NoBoard)?;
    let (len, reader) = app.store.board(shard).await?.ok_or(Problem::NoBoard)?;
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_LENGTH, len.to_string()),
    ];
    let body = Body::from_stream(ReaderStream::with_capacity(reader, READ_LEN));
    Ok((headers, body).into_response())
}
