//! Refusals: RFC 9457 problem+json, each kind under its own name, all of one length.

use axum::{
    body::Body,
    http::{HeaderValue, Response, StatusCode, header},
    response::IntoResponse,
};
use marram_crypto::{day::Epoch, header::ShapeError, key::PublicKey};

use crate::{form::FormError, store::StoreError};

/// Length of every problem's JSON in bytes: padded with spaces, so that a watcher does not learn which it was.
pub const LEN: usize = 1024;

/// Before its name in `type`.
const TYPE_PREFIX: &str = "urn:marram:problem:";

/// After how many seconds to come back, where that is of use.
pub(super) const RETRY_AFTER_S: &str = "30";

/// Why a request was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Problem {
    NotFound,
    MethodNotAllowed,
    BadQuery {
        needs: &'static str,
    },
    LengthRequired,
    TooLarge {
        limit: u64,
    },
    NotABucket {
        smallest: u64,
        limit: u64,
    },
    BodyIncomplete,
    Form(FormError),
    TooSlow,
    Busy,
    NoOpenManifest,
    EpochNotOpen {
        epoch: Epoch,
    },
    EpochClosed {
        epoch: Epoch,
    },
    Shape(ShapeError),
    Refused {
        name: &'static str,
        status: StatusCode,
        detail: String,
    },
    OtherLogKey {
        ours: Box<PublicKey>,
    },
    NotACourier {
        detail: String,
    },
    NoBoard,
    ReportDestroyed,
    RangeNotSatisfiable {
        size: u64,
    },
    Store(StoreProblem),
}

/// What the store could not do.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum StoreProblem {
    Full,
    ReadOnly,
    BodyLost { segment: u32 },
    Failed,
}

impl Problem {
    /// The last part of its `type`.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::NotFound => "not-found",
            Self::MethodNotAllowed => "method-not-allowed",
            Self::BadQuery { .. } => "bad-query",
            Self::LengthRequired => "length-required",
            Self::TooLarge { .. } => "too-large",
            Self::NotABucket { .. } => "not-a-bucket",
            Self::BodyIncomplete => "body-incomplete",
            Self::Form(_) => "not-the-form",
            Self::TooSlow => "too-slow",
            Self::Busy => "busy",
            Self::NoOpenManifest => "no-open-manifest",
            Self::EpochNotOpen { .. } => "epoch-not-open",
            Self::EpochClosed { .. } => "epoch-closed",
            Self::Shape(shape) => match shape {
                ShapeError::NotAge => "not-sealed",
                ShapeError::NotPostQuantum { .. } => "not-post-quantum",
                ShapeError::Stanza { .. } => "malformed-slot",
                ShapeError::Slots { .. } => "wrong-number-of-slots",
                ShapeError::Grease => "wrong-grease",
                ShapeError::Incomplete { .. } => "header-incomplete",
                ShapeError::Mac => "malformed-header",
            },
            Self::Refused { name, .. } => name,
            Self::OtherLogKey { .. } => "other-log-key",
            Self::NotACourier { .. } => "not-a-courier",
            Self::NoBoard => "no-board",
            Self::ReportDestroyed => "report-destroyed",
            Self::RangeNotSatisfiable { .. } => "range-not-satisfiable",
            Self::Store(StoreProblem::Full) => "store-full",
            Self::Store(StoreProblem::ReadOnly) => "store-read-only",
            Self::Store(StoreProblem::BodyLost { .. }) => "body-lost",
            Self::Store(StoreProblem::Failed) => "store-failed",
        }
    }

    pub(super) const fn status(&self) -> StatusCode {
        match self {
            Self::NotFound | Self::NoBoard => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::BadQuery { .. } | Self::NotABucket { .. } | Self::BodyIncomplete | Self::Form(_) => {
                StatusCode::BAD_REQUEST
            }
            Self::LengthRequired => StatusCode::LENGTH_REQUIRED,
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::EpochNotOpen { .. } | Self::OtherLogKey { .. } => StatusCode::CONFLICT,
            Self::EpochClosed { .. } | Self::ReportDestroyed => StatusCode::GONE,
            Self::Shape(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Refused { status, .. } => *status,
            Self::NotACourier { .. } => StatusCode::UNAUTHORIZED,
            Self::RangeNotSatisfiable { .. } => StatusCode::RANGE_NOT_SATISFIABLE,
            Self::Store(StoreProblem::BodyLost { .. }) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Busy | Self::NoOpenManifest | Self::Store(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// Whether the same request may be taken later.
    pub(super) const fn is_passing(&self) -> bool {
        matches!(self, Self::Busy | Self::NoOpenManifest | Self::Store(_))
    }

    const fn title(&self) -> &'static str {
        match self {
            Self::NotFound => "There is nothing here",
            Self::MethodNotAllowed => "This cannot be done here",
            Self::BadQuery { .. } => "The address lacks something",
            Self::LengthRequired => "Content-Length is required",
            Self::TooLarge { .. } => "Too large",
            Self::NotABucket { .. } => "Not the length of a sealed report",
            Self::BodyIncomplete => "The upload broke off",
            Self::Form(_) => "Not the form of the page",
            Self::TooSlow => "The upload was too slow",
            Self::Busy => "The server is busy",
            Self::NoOpenManifest => "No manifest is valid today",
            Self::EpochNotOpen { .. } => "This epoch is not open",
            Self::EpochClosed { .. } => "This epoch is closed",
            Self::Shape(_) => "Not a sealed report for this organization",
            Self::Refused { .. } => "Refused",
            Self::OtherLogKey { .. } => "The manifest names another log key",
            Self::NotACourier { .. } => "For couriers only",
            Self::NoBoard => "No board hangs here",
            Self::ReportDestroyed => "The report was destroyed",
            Self::RangeNotSatisfiable { .. } => "No such part",
            Self::Store(_) => "The server cannot do this now",
        }
    }

    fn detail(&self) -> String {
        match self {
            Self::NotFound => "Check the address.".to_owned(),
            Self::MethodNotAllowed => "The address exists; the method is wrong.".to_owned(),
            Self::BadQuery { needs } => format!("The address must end with {needs}."),
            Self::LengthRequired => "Send the body with a Content-Length header, not in chunks.".to_owned(),
            Self::TooLarge { limit } => format!("The limit is {limit} bytes. Nothing was stored."),
            Self::NotABucket { smallest, limit } => {
                format!("A sealed report's length is a power of two from {smallest} to {limit} bytes. Nothing was stored.")
            }
            Self::BodyIncomplete => "Fewer bytes came than Content-Length announced. Nothing was stored; send it again.".to_owned(),
            Self::Form(form) => format!("{form}. Nothing was stored."),
            Self::TooSlow => "Nothing was stored. Send it again, over a better connection or with smaller attachments.".to_owned(),
            Self::Busy => format!("Too much is under way. Nothing was stored; send it again in {RETRY_AFTER_S} seconds."),
            Self::NoOpenManifest => {
                "The organization's keyholders have signed none for this week. Try again later, and tell the organization.".to_owned()
            }
            Self::EpochNotOpen { epoch } => {
                format!("No manifest for epoch {epoch} is open. Fetch /v1/manifest, seal to what it says, and send that.")
            }
            Self::EpochClosed { epoch } => {
                format!("Epoch {epoch} closed more than two days ago. Fetch /v1/manifest, seal to what it says, and send that.")
            }
            Self::Shape(shape) => format!("{shape}. Nothing was stored. Fetch /v1/manifest and seal to all its slots, in their order."),
            Self::Refused { detail, .. } | Self::NotACourier { detail } => format!("{detail}."),
            Self::OtherLogKey { ours } => {
                format!("This server's log key is {ours}. Issue the manifest with that key, or publish it on the server it names.")
            }
            Self::NoBoard => {
                "The organization has hung no board in this shard yet, or there is no such shard: shards are written as three hexadecimal \
                 digits, and /v1/manifest says how many there are."
                    .to_owned()
            }
            Self::ReportDestroyed => {
                "Caseworkers ordered that, or its retention was over. Its leaf stays in the log; /v1/log/orders has the orders.".to_owned()
            }
            Self::RangeNotSatisfiable { size } => format!("The report has {size} bytes."),
            Self::Store(StoreProblem::Full) => "The disk is full. Nothing was stored; send it again later.".to_owned(),
            Self::Store(StoreProblem::ReadOnly) => "The server's disk has failed. Nothing was stored; send it again later.".to_owned(),
            Self::Store(StoreProblem::BodyLost { segment }) => {
                format!("The report is logged, but its body is damaged: the operator must restore segment {segment:08}.")
            }
            Self::Store(StoreProblem::Failed) => "Nothing was stored; send it again later.".to_owned(),
        }
    }

    fn json(&self) -> String {
        let mut detail = self.detail();
        loop {
            let mut json = serde_json::json!({
                "type": format!("{TYPE_PREFIX}{}", self.name()),
                "title": self.title(),
                "status": self.status().as_u16(),
                "detail": detail,
            })
            .to_string();
            if json.len() <= LEN {
                json.extend(std::iter::repeat_n(' ', LEN - json.len()));
                return json;
            }
            // Only a detail that quotes what was sent is this long.
            let shorter = detail.chars().count() * 3 / 4;
            detail = detail.chars().take(shorter).chain(['…']).collect();
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response<Body> {
        let mut response = (self.status(), self.json()).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if self.is_passing() {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_S));
        }
        if matches!(self, Self::NotACourier { .. }) {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Signature"));
        }
        response
    }
}

impl From<FormError> for Problem {
    fn from(error: FormError) -> Self {
        Self::Form(error)
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        Self::Store(match error {
            StoreError::Full => StoreProblem::Full,
            StoreError::ReadOnly(_) | StoreError::View(_) | StoreError::Closed => StoreProblem::ReadOnly,
            StoreError::BodyLost { segment } => StoreProblem::BodyLost { segment },
            StoreError::Destroyed => return Self::ReportDestroyed,
            StoreError::NoteTooLong { limit, .. } => return Self::TooLarge { limit: limit as u64 },
            StoreError::Io(_) => StoreProblem::Failed,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_problem_has_one_length_whatever_it_quotes() {
        let long = |text: &str| Problem::Refused {
            name: "x",
            status: StatusCode::CONFLICT,
            detail: text.repeat(5000),
        };
        for problem in [
            Problem::NotFound,
            Problem::TooLarge { limit: u64::MAX },
            Problem::Shape(ShapeError::NotAge),
            long("x"),
            long("\u{1}"),
            long("\u{10FFFF}"),
        ] {
            let json = problem.json();
            assert_eq!(json.len(), LEN);
            let value: serde_json::Value = serde_json::from_str(&json).unwrap();
            assert_eq!(value["type"], format!("urn:marram:problem:{}", problem.name()));
        }
    }
}
