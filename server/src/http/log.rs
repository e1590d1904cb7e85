//! `/v1/log/…` and `/v1/reports/{digest}`: what couriers carry in. For nobody else: a public log would tell how many
//! people report.

use std::{ops::Range, sync::Arc};

use axum::{
    body::Body,
    extract::{Path, Query, Request, State},
    http::{HeaderMap, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use marram_crypto::{
    checkpoint,
    courier_request::{self, CourierError, SignatureHeaders},
    day::Epoch,
    digest::Digest,
    leaf::Leaf,
};
use serde::Deserialize;
use tokio_util::io::ReaderStream;

use super::{
    App,
    answers::Place,
    problem::{Problem, StoreProblem},
};

/// Leaves in one answer, at most.
pub const MAX_LEAVES: usize = 10_000;

/// Orders in one answer, at most.
pub const MAX_ORDERS: usize = 100;

/// Bytes of orders in one answer, but for the last of them: an order may have 70 KB, and a courier who turned may leave
/// several answers unread.
pub const MAX_ORDERS_LEN: usize = 1 << 18;

/// Orders that are read at a time.
const ORDERS_READ: usize = 4;

const READ_LEN: usize = 1 << 16;

/// The query of [`leaves`].
#[derive(Deserialize)]
pub(super) struct FromIndex {
    from: u64,
}

/// The query of [`manifests`].
#[derive(Deserialize)]
pub(super) struct FromEpoch {
    from: Epoch,
}

type Queried<T> = Result<Query<T>, axum::extract::rejection::QueryRejection>;

/// Leaves from an index on, 41 bytes each, at most [`MAX_LEAVES`].
pub(super) async fn leaves(
    State(app): State<Arc<App>>,
    query: Queried<FromIndex>,
    request: Request,
) -> Result<Response, Problem> {
    let place = authenticate(&app, &request.into_parts().0)?;
    let Query(FromIndex { from }) = query.map_err(|_| Problem::BadQuery {
        needs: "?from= and the index of a leaf",
    })?;
    let leaves = app.store.leaves(from, MAX_LEAVES).await?;
    let bytes: Vec<u8> = leaves.iter().flat_map(Leaf::to_bytes).collect();
    let response = ([(header::CONTENT_TYPE, "application/octet-stream")], bytes).into_response();
    Ok(place.held_by(response))
}

/// A checkpoint of all leaves there are, dated today.
pub(super) async fn checkpoint(State(app): State<Arc<App>>, request: Request) -> Result<Response, Problem> {
    let place = authenticate(&app, &request.into_parts().0)?;
    let head = app.store.head().await?;
    let signed = checkpoint::sign(app.instance, head, app.clock.today(), &app.log_key);
    let signed = signed.map_err(|_| Problem::Store(StoreProblem::Failed))?;
    let response = ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], signed.to_bytes()).into_response();
    Ok(place.held_by(response))
}

/// Accepted orders from an index on, at most [`MAX_ORDERS`], and no more once they have [`MAX_ORDERS_LEN`].
pub(super) async fn orders(
    State(app): State<Arc<App>>,
    query: Queried<FromIndex>,
    request: Request,
) -> Result<Response, Problem> {
    let place = authenticate(&app, &request.into_parts().0)?;
    let Query(FromIndex { from }) = query.map_err(|_| Problem::BadQuery {
        needs: "?from= and the index of an order",
    })?;
    let (mut orders, mut len) = (Vec::new(), 0);
    while orders.len() < MAX_ORDERS && len < MAX_ORDERS_LEN {
        let next = from.saturating_add(orders.len() as u64);
        let read = app.store.orders(next, ORDERS_READ).await?;
        if read.is_empty() {
            break;
        }
        for order in read {
            if len < MAX_ORDERS_LEN {
                len += order.len();
                orders.push(order);
            }
        }
    }
    Ok(place.held_by(json_of(orders)))
}

/// All manifests, of every version, of the epochs from one on.
pub(super) async fn manifests(
    State(app): State<Arc<App>>,
    query: Queried<FromEpoch>,
    request: Request,
) -> Result<Response, Problem> {
    let place = authenticate(&app, &request.into_parts().0)?;
    let Query(FromEpoch { from }) = query.map_err(|_| Problem::BadQuery {
        needs: "?from= and the number of an epoch",
    })?;
    let manifests = app.store.manifests(from).await?;
    Ok(place.held_by(json_of(manifests.into_iter().map(|(_, stored)| stored.note))))
}

/// An array of notes.
fn json_of(notes: impl IntoIterator<Item = Vec<u8>>) -> Response {
    let notes = notes
        .into_iter()
        .map(|note| String::from_utf8_lossy(&note).into_owned());
    let json = serde_json::Value::from(notes.collect::<Vec<_>>()).to_string();
    ([(header::CONTENT_TYPE, "application/json")], json).into_response()
}

/// A sealed report, or a part of it.
pub(super) async fn report(
    State(app): State<Arc<App>>,
    path: Result<Path<String>, axum::extract::rejection::PathRejection>,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, _) = request.into_parts();
    let place = authenticate(&app, &parts)?;
    let digest: Digest = path
        .ok()
        .and_then(|Path(digest)| digest.parse().ok())
        .ok_or(Problem::NotFound)?;
    let logged = app.store.leaf_of(digest).await?.ok_or(Problem::NotFound)?;
    if logged.destroyed {
        return Err(Problem::ReportDestroyed);
    }
    let size = logged.leaf.size();
    let part = part(&parts.headers, size)?;
    let range = part.clone().unwrap_or(0..size);
    let reader = app.store.read(digest, range.clone()).await?.ok_or(Problem::NotFound)?;

    let mut response = Body::from_stream(ReaderStream::with_capacity(reader, READ_LEN)).into_response();
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        header::HeaderValue::from_static("application/octet-stream"),
    );
    headers.insert(header::CONTENT_LENGTH, (range.end - range.start).into());
    headers.insert(header::ACCEPT_RANGES, header::HeaderValue::from_static("bytes"));
    if part.is_some() {
        let value = format!("bytes {}-{}/{size}", range.start, range.end - 1);
        headers.insert(
            header::CONTENT_RANGE,
            value.parse().map_err(|_| Problem::RangeNotSatisfiable { size })?,
        );
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    }
    Ok(place.held_by(response))
}

/// The one range a `Range` header asks for. RFC 9110 lets a server ignore what it does not support.
fn part(headers: &HeaderMap, size: u64) -> Result<Option<Range<u64>>, Problem> {
    let Some(value) = headers.get(header::RANGE).and_then(|value| value.to_str().ok()) else {
        return Ok(None);
    };
    let Some((first, last)) = value.strip_prefix("bytes=").and_then(|range| range.split_once('-')) else {
        return Ok(None);
    };
    let Ok(first) = first.parse::<u64>() else {
        return Ok(None);
    };
    let end = match last {
        "" => size,
        last => match last.parse::<u64>() {
            Ok(last) if last >= first => last.saturating_add(1).min(size),
            _ => return Ok(None),
        },
    };
    if first < size {
        Ok(Some(first..end))
    } else {
        Err(Problem::RangeNotSatisfiable { size })
    }
}

fn authenticate(app: &App, parts: &Parts) -> Result<Place, Problem> {
    let refused = |error: CourierError| Problem::NotACourier {
        detail: error.to_string(),
    };
    let value = |name: &str| {
        let mut values = parts.headers.get_all(name).iter();
        let value = values.next().and_then(|value| value.to_str().ok()).map(str::to_owned);
        value
            .filter(|_| values.next().is_none())
            .ok_or_else(|| refused(CourierError::SignatureInput))
    };
    let signed = SignatureHeaders {
        content_digest: value("content-digest")?,
        signature_input: value("signature-input")?,
        signature: value("signature")?,
    };
    let request = courier_request::Request {
        method: parts.method.as_str(),
        path: parts.uri.path(),
        query: parts.uri.query().unwrap_or_default(),
        // These routes read no body, so what was signed must be none.
        body: Digest::of(b""),
    };
    let now = app.clock.now_unix_s();
    let couriers = app.published().couriers(app.clock.today());
    let verified = courier_request::verify(request, &signed, &couriers, app.instance, now).map_err(refused)?;
    app.first_use(&verified, now).map_err(refused)?;
    app.courier_answers.place(verified.courier).ok_or(Problem::Busy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_one_part_of_the_report_or_is_ignored() {
        let part = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::RANGE, value.parse().unwrap());
            part(&headers, 100)
        };
        assert_eq!(part("bytes=0-9"), Ok(Some(0..10)));
        assert_eq!(part("bytes=90-"), Ok(Some(90..100)));
        assert_eq!(part("bytes=90-18446744073709551615"), Ok(Some(90..100)));
        assert_eq!(part("bytes=100-"), Err(Problem::RangeNotSatisfiable { size: 100 }));
        for ignored in ["bytes=9-0", "bytes=-5", "bytes=0-1,5-6", "lines=0-1", "bytes=x-"] {
            assert_eq!(part(ignored), Ok(None), "{ignored}");
        }
    }
}
