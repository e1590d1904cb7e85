//! How many answers each courier may leave unread.

use std::{
    collections::HashMap,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use axum::{
    body::{Body, Bytes},
    response::Response,
};
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use marram_crypto::key::PublicKey;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Answers under way to one courier, at most. Each holds up to half a megabyte until it is read, and a courier who turned
/// need not read; an honest one asks for one thing at a time.
const EACH: usize = 8;

/// The places of each courier. One who takes all of theirs keeps no other out.
///
/// Only who has signed a request gets in, so that there are no more of them than the manifests name.
#[derive(Default)]
pub(super) struct Answers(Mutex<HashMap<PublicKey, Arc<Semaphore>>>);

/// A courier's place, given back when the answer is sent or its reader is gone.
pub(super) struct Place(OwnedSemaphorePermit);

impl Answers {
    /// A place for an answer to this courier, if one is free.
    pub(super) fn place(&self, courier: PublicKey) -> Option<Place> {
        let mut couriers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let places = couriers
            .entry(courier)
            .or_insert_with(|| Arc::new(Semaphore::new(EACH)));
        Arc::clone(places).try_acquire_owned().ok().map(Place)
    }
}

impl Place {
    /// The answer, which holds the place.
    pub(super) fn held_by(self, response: Response) -> Response {
        response.map(|body| Body::new(Held { body, _place: self.0 }))
    }
}

struct Held {
    body: Body,
    _place: OwnedSemaphorePermit,
}

impl HttpBody for Held {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
