//! `GET /`: the page, and what a browser is told about everything that it shows of this server.

use axum::{
    body::{Body, Bytes},
    extract::Request,
    http::{HeaderMap, HeaderName, HeaderValue, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

use crate::page;

/// What no page of ours needs, and so nobody who gets into one has. Only names that Chromium knows: it complains of others in the
/// console, where somebody may look for what is wrong.
const NOTHING_ALLOWED: &str = "accelerometer=(), autoplay=(), browsing-topics=(), camera=(), clipboard-read=(), \
     clipboard-write=(), display-capture=(), encrypted-media=(), fullscreen=(), geolocation=(), gyroscope=(), hid=(), \
     local-fonts=(), magnetometer=(), microphone=(), midi=(), payment=(), picture-in-picture=(), \
     publickey-credentials-create=(), publickey-credentials-get=(), screen-wake-lock=(), serial=(), storage-access=(), \
     usb=(), window-management=(), xr-spatial-tracking=()";

/// How the page goes over the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coding {
    Brotli,
    Gzip,
    Identity,
}

/// The page, the same for everybody; only how it is compressed is the browser's choice.
pub(super) async fn get(headers: HeaderMap) -> Response {
    let (name, page) = match Coding::of(&headers) {
        Coding::Brotli => (Some("br"), page::BROTLI),
        Coding::Gzip => (Some("gzip"), page::GZIP),
        Coding::Identity => (None, page::PAGE),
    };
    let mut response = Body::from(Bytes::from_static(page)).into_response();
    let headers = response.headers_mut();
    let mut say = |name, value| headers.insert(name, HeaderValue::from_static(value));
    say(header::CONTENT_TYPE, "text/html; charset=utf-8");
    say(header::CONTENT_SECURITY_POLICY, page::POLICY);
    say(header::VARY, "accept-encoding");
    if let Some(name) = name {
        say(header::CONTENT_ENCODING, name);
    }
    response
}

impl Coding {
    /// The shortest that a browser takes (RFC 9110, section 12.5.3).
    fn of(headers: &HeaderMap) -> Self {
        let lines = headers.get_all(header::ACCEPT_ENCODING).iter();
        let accepted: Vec<_> = lines
            .filter_map(|line| line.to_str().ok())
            .flat_map(|line| line.split(','))
            .map(|offer| {
                let mut parts = offer.split(';').map(str::trim);
                let coding = parts.next().unwrap_or_default();
                let refused = parts.any(|part| {
                    let weight = part.strip_prefix("q=").or_else(|| part.strip_prefix("Q="));
                    weight.is_some_and(|weight| weight.parse::<f32>().is_ok_and(|weight| weight <= 0.0))
                });
                (coding, !refused)
            })
            .collect();
        let takes = |name: &str| {
            let said = |name: &str| accepted.iter().find(|(coding, _)| coding.eq_ignore_ascii_case(name));
            said(name).or_else(|| said("*")).is_some_and(|(_, takes)| *takes)
        };
        if takes("br") {
            Self::Brotli
        } else if takes("gzip") {
            Self::Gzip
        } else {
            Self::Identity
        }
    }
}

/// No other site may frame, open, embed or read what the server shows, nothing may name it to another, and it may use
/// nothing of the device.
pub(super) async fn alone(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in [
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-embedder-policy", "require-corp"),
        ("cross-origin-resource-policy", "same-origin"),
        ("referrer-policy", "no-referrer"),
        ("permissions-policy", NOTHING_ALLOWED),
    ] {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shortest_coding_that_a_browser_takes_is_chosen() {
        for (line, coding) in [
            ("gzip, deflate, br, zstd", Coding::Brotli),
            ("gzip, deflate", Coding::Gzip),
            ("br;q=0, gzip;q=0.5", Coding::Gzip),
            ("GZIP ; Q=0.1", Coding::Gzip),
            ("*", Coding::Brotli),
            ("br;q=0.0, *;q=1", Coding::Gzip),
            ("*;q=0", Coding::Identity),
            ("identity", Coding::Identity),
            ("identity;q=0", Coding::Identity),
            ("zstd", Coding::Identity),
            ("", Coding::Identity),
            (";;,,;q=,=,br2", Coding::Identity),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(line));
            assert_eq!(Coding::of(&headers), coding, "{line}");
        }
        let mut headers = HeaderMap::new();
        headers.append(header::ACCEPT_ENCODING, HeaderValue::from_static("deflate"));
        headers.append(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
        assert_eq!(Coding::of(&headers), Coding::Gzip);
        assert_eq!(Coding::of(&HeaderMap::new()), Coding::Identity);
    }
}
