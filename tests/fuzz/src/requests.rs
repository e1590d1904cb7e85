//! A courier's signed request, and a stranger's form.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use marram_crypto::{
    courier_request::{Request, SignatureHeaders, sign, verify},
    digest::Digest,
};

use marram_server::form::{Boundary, MAX_HEAD_LEN};

use crate::world::{courier, instance};

/// When all of this happens, in seconds of Unix time.
pub(crate) const NOW: u64 = 1_800_000_000;
/// As the first byte: the headers are as they are. Otherwise whoever sends them has a courier's key.
pub(crate) const STRANGER: u8 = b'0';

/// The request that was made.
pub(crate) fn request() -> Request<'static> {
    Request {
        method: "GET",
        path: "/v1/log/leaves",
        query: "from=0",
        body: Digest::of(b""),
    }
}

/// Three lines: the values of `Content-Digest`, `Signature-Input` and `Signature`.
///
/// Even a courier can make a request in one way only: what is accepted is what [`sign`] writes, letter by letter.
pub(crate) fn courier_request(bytes: &[u8]) -> bool {
    let Some((&who, text)) = bytes.split_first() else {
        return false;
    };
    let text = String::from_utf8_lossy(text);
    let mut lines = text.splitn(3, '\n').map(str::to_owned);
    let mut next = || lines.next().unwrap_or_default();
    let mut headers = SignatureHeaders {
        content_digest: next(),
        signature_input: next(),
        signature: next(),
    };
    if who != STRANGER {
        headers.signature = courier_signs(&headers);
    }
    let couriers = [courier().public()];
    let Ok(verified) = verify(request(), &headers, &couriers, instance(), NOW) else {
        return false;
    };
    let honest = sign(
        request(),
        &courier(),
        instance(),
        verified.created_unix_s,
        verified.nonce,
    );
    assert_eq!(headers, honest, "a request is signed in one way");
    assert_eq!(verified.courier, courier().public());
    true
}

/// A line with the `Content-Type`, and what the body begins with.
///
/// The head is the same however much of the body has come: what was accepted is not whole one byte before, and is the same with
/// more behind it.
pub(crate) fn form(bytes: &[u8]) -> bool {
    let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let (content_type, body) = bytes.split_at(end);
    let body = body.get(1..).unwrap_or_default();
    let Ok(boundary) = Boundary::of(&String::from_utf8_lossy(content_type)) else {
        return false;
    };
    match boundary.head(body) {
        Ok(Some(len)) => {
            assert!(len <= body.len() && len <= MAX_HEAD_LEN);
            assert_eq!(boundary.head(&body[..len]), Ok(Some(len)));
            assert_eq!(boundary.head(&body[..len - 1]), Ok(None));
            true
        }
        Ok(None) => {
            assert!(body.len() < MAX_HEAD_LEN, "a head that never ends is refused");
            false
        }
        Err(_) => false,
    }
}

/// A courier's signature over whatever the headers say, as section 2.5 of RFC 9421 would have it.
fn courier_signs(headers: &SignatureHeaders) -> String {
    let request = request();
    let params = headers.signature_input.strip_prefix("courier=").unwrap_or_default();
    let base = format!(
        "\"@method\": {}\n\"@path\": {}\n\"@query\": ?{}\n\"content-digest\": {}\n\"@signature-params\": {params}",
        request.method, request.path, request.query, headers.content_digest
    );
    format!("courier=:{}:", BASE64_STANDARD.encode(courier().sign(base.as_bytes())))
}
