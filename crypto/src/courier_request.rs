//! Requests that only couriers may make: signed by RFC 9421 (HTTP Message Signatures), in one narrow profile.
//!
//! ```text
//! Content-Digest:  sha-256=:<base64 of SHA-256 of the body>:                                          (RFC 9530)
//! Signature-Input: courier=("@method" "@path" "@query" "content-digest");created=<unix seconds>;nonce="<32 hex>"
//!                  ;alg="ed25519";keyid="<base64 public key>";tag="marram/<instance>"
//! Signature:       courier=:<base64 of 64 bytes>:
//! ```
//!
//! Components and parameters have this order and no other. The verifier takes `created`, `nonce` and `keyid` out of the
//! header, writes the whole header again from them, and refuses what is not the same text: no algorithm, component or
//! parameter can be added, dropped or confused. `@authority` is left out because an onion service and a reverse proxy
//! see different ones; `tag` binds the request to the instance in its place.

use std::collections::BTreeSet;

use base64::{Engine, prelude::BASE64_STANDARD};

use crate::{
    digest::Digest,
    instance::InstanceId,
    key::{PublicKey, SigningKey},
};

/// A request is accepted this many seconds before and after it says it was made.
pub const WINDOW_S: u64 = 60;
/// Length of a nonce in bytes.
pub const NONCE_LEN: usize = 16;

const COMPONENTS: [&str; 4] = ["@method", "@path", "@query", "content-digest"];
const LABEL: &str = "courier=";

/// What is signed of a request.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// In capitals, e.g. `GET`.
    pub method: &'a str,
    /// As in the request line, percent-encoded, without the query.
    pub path: &'a str,
    /// Without the `?`; empty if there is none.
    pub query: &'a str,
    /// SHA-256 of the body; of no bytes if there is none.
    pub body: Digest,
}

/// The three headers of a signed request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignatureHeaders {
    /// `Content-Digest`
    pub content_digest: String,
    /// `Signature-Input`
    pub signature_input: String,
    /// `Signature`
    pub signature: String,
}

/// Who signed a request, and the nonce that may not come twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verified {
    /// The courier's key.
    pub courier: PublicKey,
    /// When it says it was made, in seconds of Unix time.
    pub created_unix_s: u64,
    /// Its nonce.
    pub nonce: [u8; NONCE_LEN],
}

/// Why a request is not a courier's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CourierError {
    /// `Signature-Input` is not of the one form there is.
    #[error("the Signature-Input header does not have the form that couriers use")]
    SignatureInput,
    /// Made for another instance.
    #[error("the request is signed for another instance")]
    AnotherInstance,
    /// Its key is in no manifest that is open.
    #[error("the key is not a courier of a current manifest")]
    UnknownKey,
    /// Older or newer than [`WINDOW_S`].
    #[error("the request is more than {WINDOW_S} seconds old or ahead: set the courier's clock")]
    Stale,
    /// `Content-Digest` is not the body's.
    #[error("the Content-Digest header is not the body's")]
    ContentDigest,
    /// The signature does not verify.
    #[error("the signature does not verify")]
    Signature,
    /// The same request came before.
    #[error("the request was made before")]
    Replayed,
}

/// Signs a request. `nonce` is drawn anew for each.
pub fn sign(
    request: Request<'_>,
    courier: &SigningKey,
    instance: InstanceId,
    created_unix_s: u64,
    nonce: [u8; NONCE_LEN],
) -> SignatureHeaders {
    let content_digest = content_digest(request.body);
    let params = params(
        created_unix_s,
        &nonce,
        &courier.public().to_string(),
        &instance.to_string(),
    );
    let signature = courier.sign(base(request, &content_digest, &params).as_bytes());
    SignatureHeaders {
        content_digest,
        signature_input: format!("{LABEL}{params}"),
        signature: format!("{LABEL}:{}:", BASE64_STANDARD.encode(signature)),
    }
}

/// Verifies a request. Whether its nonce is new is the caller's to ask, of [`Nonces`].
///
/// # Errors
/// [`CourierError`], naming what does not hold.
pub fn verify(
    request: Request<'_>,
    headers: &SignatureHeaders,
    couriers: &[PublicKey],
    instance: InstanceId,
    now_unix_s: u64,
) -> Result<Verified, CourierError> {
    let sent = headers
        .signature_input
        .strip_prefix(LABEL)
        .ok_or(CourierError::SignatureInput)?;
    let value = |name: &str| {
        let start = sent.find(&format!(";{name}=")).ok_or(CourierError::SignatureInput)? + name.len() + 2;
        let value = sent[start..].split(';').next().unwrap_or_default();
        Ok(value.trim_matches('"'))
    };
    let created_unix_s: u64 = value("created")?.parse().map_err(|_| CourierError::SignatureInput)?;
    let mut nonce = [0; NONCE_LEN];
    hex::decode_to_slice(value("nonce")?, &mut nonce).map_err(|_| CourierError::SignatureInput)?;
    let key: PublicKey = value("keyid")?.parse().map_err(|_| CourierError::SignatureInput)?;
    let sent_instance = value("tag")?
        .strip_prefix("marram/")
        .ok_or(CourierError::SignatureInput)?;
    if params(created_unix_s, &nonce, &key.to_string(), sent_instance) != sent {
        return Err(CourierError::SignatureInput);
    }
    if sent_instance != instance.to_string() {
        return Err(CourierError::AnotherInstance);
    }
    let courier = *couriers
        .iter()
        .find(|courier| **courier == key)
        .ok_or(CourierError::UnknownKey)?;
    if created_unix_s.abs_diff(now_unix_s) > WINDOW_S {
        return Err(CourierError::Stale);
    }
    if headers.content_digest != content_digest(request.body) {
        return Err(CourierError::ContentDigest);
    }
    let signature = headers.signature.strip_prefix(LABEL).ok_or(CourierError::Signature)?;
    let signature = signature
        .strip_prefix(':')
        .and_then(|text| text.strip_suffix(':'))
        .ok_or(CourierError::Signature)?;
    let signature = BASE64_STANDARD.decode(signature).map_err(|_| CourierError::Signature)?;
    if !courier.verifies(base(request, &headers.content_digest, sent).as_bytes(), &signature) {
        return Err(CourierError::Signature);
    }
    Ok(Verified {
        courier,
        created_unix_s,
        nonce,
    })
}

/// The nonces of the last [`WINDOW_S`], so that no request is taken twice.
#[derive(Debug, Default)]
pub struct Nonces(BTreeSet<(u64, [u8; NONCE_LEN])>);

impl Nonces {
    /// At most this many are kept. Only verified requests get here, so only a courier could fill it.
    pub const CAPACITY: usize = 100_000;

    /// Notes the nonce of a verified request.
    ///
    /// # Errors
    /// [`CourierError::Replayed`] if it came before, or if too many came within the window to remember.
    pub fn first_use(&mut self, verified: &Verified, now_unix_s: u64) -> Result<(), CourierError> {
        // What is older than the window is refused by its time.
        let oldest = now_unix_s.saturating_sub(WINDOW_S);
        self.0 = self.0.split_off(&(oldest, [0; NONCE_LEN]));
        if self.0.len() < Self::CAPACITY && self.0.insert((verified.created_unix_s, verified.nonce)) {
            Ok(())
        } else {
            Err(CourierError::Replayed)
        }
    }
}

fn content_digest(body: Digest) -> String {
    format!("sha-256=:{}:", BASE64_STANDARD.encode(body.as_bytes()))
}

fn params(created_unix_s: u64, nonce: &[u8; NONCE_LEN], key: &str, instance: &str) -> String {
    let components = COMPONENTS.map(|component| format!("\"{component}\"")).join(" ");
    let nonce = hex::encode(nonce);
    format!(
        "({components});created={created_unix_s};nonce=\"{nonce}\";alg=\"ed25519\";keyid=\"{key}\";tag=\"marram/{instance}\""
    )
}

fn base(request: Request<'_>, content_digest: &str, params: &str) -> String {
    let query = format!("?{}", request.query);
    let values = [request.method, request.path, &query, content_digest];
    signature_base(COMPONENTS.into_iter().zip(values), params)
}

/// The signature base of RFC 9421 section 2.5.
fn signature_base<'a>(components: impl Iterator<Item = (&'a str, &'a str)>, params: &str) -> String {
    let lines = components.map(|(name, value)| format!("\"{name}\": {value}\n"));
    lines.chain([format!("\"@signature-params\": {params}")]).collect()
}

#[cfg(test)]
mod tests {
    use proptest::{prelude::*, sample::Index};

    use super::*;
    use crate::secret::SecretBytes;

    const NOW: u64 = 1_800_000_000;
    const INSTANCE: &str = "00112233445566778899aabbccddeeff";

    fn courier() -> SigningKey {
        SigningKey::from_seed(&SecretBytes::from([5; 32]))
    }

    fn request() -> Request<'static> {
        Request {
            method: "GET",
            path: "/v1/log/leaves",
            query: "from=0",
            body: Digest::of(b""),
        }
    }

    fn signed() -> SignatureHeaders {
        sign(request(), &courier(), INSTANCE.parse().unwrap(), NOW, [9; NONCE_LEN])
    }

    fn check(request: Request<'_>, headers: &SignatureHeaders, now: u64) -> Result<Verified, CourierError> {
        verify(request, headers, &[courier().public()], INSTANCE.parse().unwrap(), now)
    }

    /// RFC 9421 appendix B.2.6.
    #[test]
    fn the_rfcs_ed25519_vector_verifies_and_is_made_again() {
        let components = [
            ("date", "Tue, 20 Apr 2021 02:07:55 GMT"),
            ("@method", "POST"),
            ("@path", "/foo"),
            ("@authority", "example.com"),
            ("content-type", "application/json"),
            ("content-length", "18"),
        ];
        let params = r#"("date" "@method" "@path" "@authority" "content-type" "content-length");created=1618884473;keyid="test-key-ed25519""#;
        let base = signature_base(components.into_iter(), params);
        let key: PublicKey = "JrQLj5P/89iXES9+vFgrIy29clF9CC/oPPsw3c5D0bs=".parse().unwrap();
        let signature = "wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==";
        assert!(key.verifies(base.as_bytes(), &BASE64_STANDARD.decode(signature).unwrap()));
        let mut seed = [0; 32];
        hex::decode_to_slice(
            "9f8362f87a484a954e6e740c5b4c0e84229139a20aa8ab56ff66586f6a7d29c5",
            &mut seed,
        )
        .unwrap();
        let again = SigningKey::from_seed(&SecretBytes::from(seed)).sign(base.as_bytes());
        assert_eq!(BASE64_STANDARD.encode(again), signature);
    }

    #[test]
    fn an_honest_request_verifies_within_its_window() {
        for now in [NOW - WINDOW_S, NOW, NOW + WINDOW_S] {
            assert!(check(request(), &signed(), now).is_ok());
        }
        for now in [0, NOW - WINDOW_S - 1, NOW + WINDOW_S + 1, u64::MAX] {
            assert_eq!(check(request(), &signed(), now), Err(CourierError::Stale));
        }
    }

    #[test]
    fn a_signature_is_good_for_its_request_alone() {
        let other = |change: fn(&mut Request<'static>)| {
            let mut request = request();
            change(&mut request);
            check(request, &signed(), NOW)
        };
        assert_eq!(other(|r| r.method = "PUT"), Err(CourierError::Signature));
        assert_eq!(other(|r| r.path = "/v1/log/manifests"), Err(CourierError::Signature));
        assert_eq!(other(|r| r.query = "from=1"), Err(CourierError::Signature));
        assert_eq!(other(|r| r.body = Digest::of(b"x")), Err(CourierError::ContentDigest));
        let elsewhere = "ffffffffffffffffffffffffffffffff".parse().unwrap();
        let verified = verify(request(), &signed(), &[courier().public()], elsewhere, NOW);
        assert_eq!(verified, Err(CourierError::AnotherInstance));
        assert_eq!(
            verify(request(), &signed(), &[], INSTANCE.parse().unwrap(), NOW),
            Err(CourierError::UnknownKey)
        );
    }

    #[test]
    fn downgraded_reordered_and_confused_parameters_are_refused() {
        let honest = signed();
        for (from, to) in [
            ("alg=\"ed25519\"", "alg=\"hmac-sha256\""),
            (";alg=\"ed25519\"", ""),
            ("\"@query\" ", ""),
            ("\"@method\" \"@path\"", "\"@path\" \"@method\""),
            ("courier=", "sig1="),
            (";nonce", ";expires=9999999999;nonce"),
            ("created=", "created=+"),
            ("created=", "created=0"),
            (";tag", ";keyid=\"AAAA\";tag"),
        ] {
            let mut headers = honest.clone();
            headers.signature_input = headers.signature_input.replacen(from, to, 1);
            assert_ne!(headers, honest);
            assert_eq!(
                check(request(), &headers, NOW),
                Err(CourierError::SignatureInput),
                "{from} → {to}"
            );
        }
        for (from, to) in [("courier=:", "courier="), ("courier=:", "courier=:AAAA"), ("==:", "=:")] {
            let mut headers = honest.clone();
            headers.signature = headers.signature.replacen(from, to, 1);
            assert_eq!(
                check(request(), &headers, NOW),
                Err(CourierError::Signature),
                "{from} → {to}"
            );
        }
    }

    /// RFC 9530 appendix B.1 and RFC 9421 section 2: of `{"hello": "world"}`.
    #[test]
    fn the_rfcs_content_digest_is_made_again() {
        assert_eq!(
            content_digest(Digest::of(br#"{"hello": "world"}"#)),
            "sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:"
        );
    }

    /// The headers with `from` replaced in `Signature-Input`, signed anew by the courier: so the form alone refuses them.
    fn resigned(from: &str, to: &str) -> SignatureHeaders {
        let mut headers = signed();
        headers.signature_input = headers.signature_input.replacen(from, to, 1);
        assert_ne!(headers, signed(), "{from}");
        let params = headers.signature_input.strip_prefix(LABEL).unwrap_or_default();
        let signature = courier().sign(base(request(), &headers.content_digest, params).as_bytes());
        headers.signature = format!("{LABEL}:{}:", BASE64_STANDARD.encode(signature));
        headers
    }

    #[test]
    fn even_a_couriers_own_signature_does_not_make_another_form_good() {
        let two = format!(", sig2={}", signed().signature_input.strip_prefix(LABEL).unwrap());
        for (what, from, to) in [
            ("no method", "\"@method\" ", ""),
            ("no path", "\"@path\" ", ""),
            ("no query", "\"@query\" ", ""),
            ("no digest", " \"content-digest\"", ""),
            (
                "nothing at all",
                "\"@method\" \"@path\" \"@query\" \"content-digest\"",
                "",
            ),
            ("another order", "\"@path\" \"@query\"", "\"@query\" \"@path\""),
            ("twice", "\"@path\" ", "\"@path\" \"@path\" "),
            ("of another request", "\"@path\"", "\"@path\";req"),
            ("a component more", "\"@path\" ", "\"@path\" \"@authority\" "),
            ("a structured field", "\"content-digest\"", "\"content-digest\";sf"),
            ("no algorithm", ";alg=\"ed25519\"", ""),
            ("a shared key", "alg=\"ed25519\"", "alg=\"hmac-sha256\""),
            ("another curve", "alg=\"ed25519\"", "alg=\"ecdsa-p256-sha256\""),
            ("no time", &format!(";created={NOW}"), ""),
            (
                "a time that is a text",
                &format!("created={NOW}"),
                &format!("created=\"{NOW}\""),
            ),
            ("an end of its own", ";nonce", ";expires=99999999999;nonce"),
            ("no nonce", ";nonce=\"09090909090909090909090909090909\"", ""),
            ("a nonce in capitals", "0909\"", "090A\""),
            ("a short nonce", "0909\"", "09\""),
            ("no tag", &format!(";tag=\"marram/{INSTANCE}\""), ""),
            ("another application's tag", "tag=\"marram/", "tag=\"web-bot-auth/"),
            (
                "the key twice",
                ";tag",
                &format!(";keyid=\"{}\";tag", courier().public()),
            ),
            (
                "a key without its quotes",
                &format!("\"{}\"", courier().public()),
                &courier().public().to_string(),
            ),
            ("a space", ";alg", "; alg"),
            ("another label", "courier=", "Courier="),
            (
                "two signatures",
                &format!("{INSTANCE}\""),
                &format!("{INSTANCE}\"{two}"),
            ),
        ] {
            let refused = check(request(), &resigned(from, to), NOW);
            assert_eq!(refused, Err(CourierError::SignatureInput), "{what}");
        }
        let elsewhere = resigned(INSTANCE, "ffffffffffffffffffffffffffffffff");
        assert_eq!(check(request(), &elsewhere, NOW), Err(CourierError::AnotherInstance));
        let longer = resigned("eeff\"", "eeff/x\"");
        assert_eq!(check(request(), &longer, NOW), Err(CourierError::AnotherInstance));
        let mut two = signed();
        two.signature = format!("{}, sig2=:AAAA:", two.signature);
        assert_eq!(check(request(), &two, NOW), Err(CourierError::Signature));
        let mut two = signed();
        two.content_digest = format!("{}, sha-512=:AAAA:", two.content_digest);
        assert_eq!(check(request(), &two, NOW), Err(CourierError::ContentDigest));
    }

    #[test]
    fn a_path_or_query_that_only_means_the_same_is_another_request() {
        for path in [
            "/v1/log/leaves/",
            "/v1//log/leaves",
            "/v1/log/%6ceaves",
            "/V1/log/leaves",
            "/v1/log/../log/leaves",
        ] {
            let request = Request { path, ..request() };
            assert_eq!(check(request, &signed(), NOW), Err(CourierError::Signature), "{path}");
        }
        for query in ["", "from=00", "from=0&", "from=0&from=9", "%66rom=0", "?from=0"] {
            let request = Request { query, ..request() };
            assert_eq!(check(request, &signed(), NOW), Err(CourierError::Signature), "{query}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_header_with_a_letter_changed_added_or_lost_is_accepted(
            which in 0..3_usize, at in any::<Index>(), letter in prop_oneof![any::<char>(), prop::char::range(' ', '~')],
            how in 0..3,
        ) {
            let mut headers = signed();
            let header = [&mut headers.content_digest, &mut headers.signature_input, &mut headers.signature]
                .into_iter().nth(which).unwrap();
            let at = at.index(header.len());
            match how {
                0 => header.insert(at, letter),
                1 => header.replace_range(at..=at, &letter.to_string()),
                _ => drop(header.remove(at)),
            }
            prop_assume!(headers != signed());
            prop_assert!(check(request(), &headers, NOW).is_err());
        }
    }

    #[test]
    fn a_request_dated_ahead_is_remembered_as_long_as_it_would_be_accepted() {
        let ahead = sign(
            request(),
            &courier(),
            INSTANCE.parse().unwrap(),
            NOW + WINDOW_S,
            [9; NONCE_LEN],
        );
        let mut nonces = Nonces::default();
        let verified = check(request(), &ahead, NOW).unwrap();
        assert_eq!(nonces.first_use(&verified, NOW), Ok(()));
        let last = NOW + 2 * WINDOW_S;
        let again = check(request(), &ahead, last).unwrap();
        assert_eq!(nonces.first_use(&again, last), Err(CourierError::Replayed));
        assert_eq!(check(request(), &ahead, last + 1), Err(CourierError::Stale));
    }

    #[test]
    fn more_requests_than_can_be_remembered_are_refused_and_none_is_forgotten() {
        let mut nonces = Nonces::default();
        let nth = |n: usize| {
            let mut nonce = [0; NONCE_LEN];
            nonce[..8].copy_from_slice(&(n as u64).to_be_bytes());
            Verified {
                courier: courier().public(),
                created_unix_s: NOW,
                nonce,
            }
        };
        // Straight into the set, since each first use looks for what is old.
        nonces.0 = (0..Nonces::CAPACITY).map(|n| (NOW, nth(n).nonce)).collect();
        assert_eq!(
            nonces.first_use(&nth(Nonces::CAPACITY), NOW),
            Err(CourierError::Replayed)
        );
        assert_eq!(nonces.first_use(&nth(0), NOW), Err(CourierError::Replayed));
        assert_eq!(nonces.0.len(), Nonces::CAPACITY);
    }

    #[test]
    fn a_replayed_request_is_refused_and_memory_is_bounded() {
        let verified = check(request(), &signed(), NOW).unwrap();
        let mut nonces = Nonces::default();
        assert_eq!(nonces.first_use(&verified, NOW), Ok(()));
        assert_eq!(nonces.first_use(&verified, NOW + WINDOW_S), Err(CourierError::Replayed));
        let later = Verified {
            created_unix_s: NOW + 300,
            ..verified
        };
        assert_eq!(nonces.first_use(&later, NOW + 300), Ok(()));
        assert_eq!(nonces.0.len(), 1, "what left the window is forgotten");
    }
}
