//! `POST /v1/orders`: what caseworkers ask, carried by a courier.
//!
//! Authority is in the signatures of the order, never in the sender. They are checked before anything that depends on what
//! is stored, so that nobody else can ask the server whether it has a report or an order.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::StatusCode,
};
use marram_crypto::order::{MAX_FILE_LEN, Order, OrderError, OrderFile, What};

use super::{
    App,
    notes::{aside, read, to_the_end},
    problem::Problem,
    upload::Buffer,
};
use crate::{
    orders::{self, Refusal},
    store::{NewBoard, NewOrder, Ordered},
};

/// How many bytes of order files may be in memory until they are verified: two of the longest.
#[allow(clippy::cast_possible_truncation, reason = "34 MB")]
pub(super) const MAX_ORDER_FILES_LEN: usize = 2 * MAX_FILE_LEN as usize;

/// Takes an order file. 201 if the order is new, 200 if the same text was accepted before.
pub(super) async fn post(State(app): State<Arc<App>>, request: Request) -> Result<StatusCode, Problem> {
    let file = read(&app, request, MAX_FILE_LEN, &app.order_files).await?;
    to_the_end(take(app, file)).await
}

async fn take(app: Arc<App>, file: Buffer) -> Result<StatusCode, Problem> {
    let published = app.published();
    let accepted = {
        // One at a time, and none while a manifest is published that may drop its signer.
        let _turn = app.publishing.lock().await;
        accept(&app, file).await?
    };
    match accepted {
        Ordered::Fresh { index } => {
            let (store, today) = (app.store.as_ref(), app.clock.today());
            app.deletions.accepted(store, &published.chain, index, today).await;
            Ok(StatusCode::CREATED)
        }
        Ordered::Repeated { .. } => Ok(StatusCode::OK),
        Ordered::Conflict => Err(conflict(
            "order-conflict",
            "another order with this id was accepted; make the order again, which gives it a new id".to_owned(),
        )),
        Ordered::BoardOlder { newest } => Err(conflict(
            "board-older",
            format!("a board of {newest} hangs there, which is later; make a new one"),
        )),
    }
}

async fn accept(app: &App, mut file: Buffer) -> Result<Ordered, Problem> {
    let (parsed, _room) = aside(move || {
        let parsed = OrderFile::parse(&file.bytes).map_err(|error| Problem::Refused {
            name: "not-an-order",
            status: StatusCode::UNPROCESSABLE_ENTITY,
            detail: error.to_string(),
        })?;
        // Its room is held until the end, and it is not.
        file.bytes = Vec::new();
        Ok((parsed, file))
    })
    .await?;
    let OrderFile { order, board } = parsed;
    let (published, today) = (app.published(), app.clock.today());
    let (store, chain) = (app.store.as_ref(), &published.chain);

    let claims = order.claims();
    if claims.instance != app.instance {
        return Err(refused(&"the order is for another organization"));
    }
    let expired = match claims.check_day(today) {
        Ok(()) => None,
        Err(OrderError::NotYet(epoch)) => return Err(Problem::EpochNotOpen { epoch }),
        Err(OrderError::Expired(day)) => Some(Problem::Refused {
            name: "order-expired",
            status: StatusCode::GONE,
            detail: OrderError::Expired(day).to_string(),
        }),
        Err(error) => return Err(refused(&error)),
    };
    let order = match orders::verify(store, chain, order, today).await {
        Ok(order) => order,
        Err(Refusal::NoManifest(epoch)) => return Err(expired.unwrap_or(Problem::EpochNotOpen { epoch })),
        Err(refusal) => return Err(refuse(refusal)),
    };

    // From here on the sender has what a signer made.
    let (id, digest) = (order.draft().id, order_digest(&order));
    match store.order_of(id).await? {
        Some((index, known)) if known == digest => return Ok(Ordered::Repeated { index }),
        Some(_) => return Ok(Ordered::Conflict),
        None => {}
    }
    if let Some(expired) = expired {
        return Err(expired);
    }
    let hangs = match (&order.draft().what, board) {
        (What::Delete(digests), _) => {
            for digest in digests {
                if store.leaf_of(*digest).await?.is_none() {
                    return Err(Problem::Refused {
                        name: "unknown-report",
                        status: StatusCode::UNPROCESSABLE_ENTITY,
                        detail: format!("the log has no report {digest}; nothing was deleted"),
                    });
                }
            }
            None
        }
        (What::Hang { shard, header }, Some(board)) => {
            let (shard, digest) = (*shard, *header);
            let day = orders::verify_board(store, chain, (shard, digest), &board, today).await;
            let day = day.map_err(refuse)?;
            Some(NewBoard {
                shard,
                day,
                digest,
                board,
            })
        }
        (What::Hang { .. }, None) => return Err(refused(&OrderError::Board)),
    };
    let note = order.trusted_note().to_bytes();
    let new = NewOrder {
        id,
        digest,
        note,
        hangs,
    };
    Ok(store.put_order(new).await?)
}

fn order_digest(order: &Order) -> marram_crypto::digest::Digest {
    order.trusted_note().digest()
}

fn refuse(refusal: Refusal) -> Problem {
    match refusal {
        Refusal::Store(error) => error.into(),
        refusal => refused(&refusal),
    }
}

fn refused(why: &impl ToString) -> Problem {
    Problem::Refused {
        name: "order-refused",
        status: StatusCode::FORBIDDEN,
        detail: why.to_string(),
    }
}

fn conflict(name: &'static str, detail: String) -> Problem {
    Problem::Refused {
        name,
        status: StatusCode::CONFLICT,
        detail,
    }
}
