//! Requests to the one server that a link names.

use std::{
    io::{self, Read},
    sync::mpsc,
    thread,
    time::Duration,
};

use marram_crypto::{courier_request::SignatureHeaders, fingerprint::Link};
use marram_terminal::{interrupt, text};
use ureq::{
    Agent, AsSendBody, Body, SendBody,
    config::Config,
    http::{Request, Response, header},
    unversioned::transport::DefaultConnector,
};

use crate::{
    error::{OnlineError, Problem},
    proxy::{CarefulResolver, OnlineArgs, Proxy, host_of},
};

/// Says nothing about program, version or system, and no proxy on the way finds it strange.
const USER_AGENT: &str = "Mozilla/5.0";
/// Largest refusal that is read, in bytes.
const MAX_PROBLEM_LEN: u64 = 16 * 1024;
/// So many bytes of a body have as much time again as an answer has to begin.
const BYTES_PER_TIMEOUT: u64 = 1 << 20;
/// How long the server has to refuse a report by its headers alone, before its body is sent.
const CONTINUE_WITHIN: Duration = Duration::from_secs(3);
/// How soon Ctrl-C is noticed while waiting.
const TICK: Duration = Duration::from_millis(100);

/// Talks to one server. Keeps one connection.
#[derive(Debug)]
pub struct Client {
    agent: Agent,
    base: String,
    host: String,
    proxy: Option<String>,
    timeout: Duration,
}

/// A body that is being received. Ends at its announced length or with an error.
pub struct Download {
    reader: ureq::BodyReader<'static>,
    left: u64,
    /// Position in the whole of the first byte that comes: what was asked for, or 0 if the server begins anew.
    pub from: u64,
}

impl Client {
    /// A client for the server of `link`. Nothing is sent yet.
    ///
    /// # Errors
    /// [`OnlineError`], if there is no safe way to it.
    pub fn new(link: &Link, args: &OnlineArgs) -> Result<Self, OnlineError> {
        let proxy = args.proxy_for(link)?;
        let timeout = Duration::from_secs(args.timeout);
        let resolver = CarefulResolver::new(proxy.as_ref());
        let config = Config::builder()
            .proxy(proxy)
            .user_agent(USER_AGENT)
            .http_status_as_error(false)
            // 0 and no error: the redirect itself is the answer, and is refused by name.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .max_idle_connections(1)
            .max_idle_connections_per_host(1)
            .max_response_header_size(16 * 1024)
            .timeout_resolve(Some(timeout))
            .timeout_connect(Some(timeout))
            .timeout_send_request(Some(timeout))
            .timeout_await_100(Some(CONTINUE_WITHIN.min(timeout)))
            .timeout_recv_response(Some(timeout))
            .timeout_per_read(Some(timeout))
            .timeout_per_write(Some(timeout))
            .build();
        Ok(Self {
            agent: Agent::with_parts(config, DefaultConnector::default(), resolver),
            base: link.base().to_owned(),
            host: host_of(link).to_owned(),
            proxy: match &args.proxy {
                Some(Proxy::Direct) | None => None,
                Some(proxy) => Some(proxy.to_string()),
            },
            timeout,
        })
    }

    /// The host, for messages.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The body of a whole answer of at most `limit` bytes. `path` may have a query.
    ///
    /// # Errors
    /// [`OnlineError`].
    pub fn get(&self, path: &str, signature: Option<&SignatureHeaders>, limit: u64) -> Result<Vec<u8>, OnlineError> {
        let what = format!("GET {path}");
        let request = signed(Request::get(self.url(path)), signature).body(());
        let response = self.sent(&what, request, limit, |()| ())?;
        self.whole(&what, response, limit)
    }

    /// The same, asked for as a browser does that takes these codings (RFC 9110, section 12.5.3). Which it is coded in, and
    /// its bytes as they came.
    ///
    /// # Errors
    /// [`OnlineError`].
    pub fn get_coded(&self, path: &str, codings: &str, limit: u64) -> Result<(String, Vec<u8>), OnlineError> {
        let what = format!("GET {path}");
        let request = Request::get(self.url(path))
            .header(header::ACCEPT, "text/html,*/*;q=0.8")
            .header(header::ACCEPT_ENCODING, codings)
            .body(());
        let response = self.sent(&what, request, limit, |()| ())?;
        let coding = header_text(&response, header::CONTENT_ENCODING);
        Ok((coding, self.whole(&what, response, limit)?))
    }

    /// Puts a signed text.
    ///
    /// # Errors
    /// [`OnlineError`].
    pub fn put(&self, path: &str, content_type: &'static str, body: Vec<u8>) -> Result<(), OnlineError> {
        let size = body.len() as u64;
        let request = Request::put(self.url(path))
            .header(header::CONTENT_TYPE, content_type)
            .body(body);
        self.sent(&format!("PUT {path}"), request, size, |body| body).map(drop)
    }

    /// Sends `size` bytes, no more and no fewer, and gives back the body of the answer, of at most `limit` bytes.
    ///
    /// # Errors
    /// [`OnlineError`]. [`OnlineError::is_passing`] says whether to send the same again.
    pub fn post(
        &self,
        path: &str,
        body: impl Read + Send + 'static,
        size: u64,
        limit: u64,
    ) -> Result<Vec<u8>, OnlineError> {
        let what = format!("POST {path}");
        let request = Request::post(self.url(path))
            .header(header::CONTENT_TYPE, "application/octet-stream")
            .header(header::CONTENT_LENGTH, size)
            // So that a refusal is read instead of a broken connection.
            .header(header::EXPECT, "100-continue")
            .body(body);
        let response = self.sent(&what, request, size, SendBody::from_owned_reader)?;
        self.whole(&what, response, limit)
    }

    /// Begins to receive a body that has `size` bytes in all, from byte `from` on.
    ///
    /// # Errors
    /// [`OnlineError`]; [`OnlineError::Nonsense`] for a part or a length that is not the one asked for.
    pub fn download(
        &self,
        path: &str,
        signature: Option<&SignatureHeaders>,
        from: u64,
        size: u64,
    ) -> Result<Download, OnlineError> {
        let mut request = signed(Request::get(self.url(path)), signature);
        if from > 0 {
            request = request.header(header::RANGE, format!("bytes={from}-"));
        }
        let what = format!("GET {path}");
        let response = self.sent(&what, request.body(()), size, |()| ())?;
        let nonsense = |why: String| OnlineError::Nonsense {
            host: self.host.clone(),
            what: what.clone(),
            why,
        };
        let from = if response.status().as_u16() == 206 {
            let range = header_text(&response, header::CONTENT_RANGE);
            if range != format!("bytes {from}-{}/{size}", size.saturating_sub(1)) {
                return Err(nonsense("it is another part than the one asked for".to_owned()));
            }
            from
        } else {
            0
        };
        let left = size - from.min(size);
        match response.body().content_length() {
            Some(announced) if announced != left => Err(nonsense(format!(
                "it announces {announced} bytes, and {left} were asked for"
            ))),
            _ => Ok(Download {
                reader: response.into_body().into_with_config().limit(left).reader(),
                left,
                from,
            }),
        }
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// The rest of an answer.
    fn whole(&self, what: &str, mut response: Response<Body>, limit: u64) -> Result<Vec<u8>, OnlineError> {
        let received = off_this_thread(move || response.body_mut().with_config().limit(limit).read_to_vec())?;
        received.map_err(|error| self.error(what, error))
    }

    /// Sends a request and receives the head of the answer; anything but success is an error. `bytes` is the length of
    /// the larger one of the two bodies.
    fn sent<B: Send + 'static, S: AsSendBody>(
        &self,
        what: &str,
        request: Result<Request<B>, ureq::http::Error>,
        bytes: u64,
        body: impl FnOnce(B) -> S + Send + 'static,
    ) -> Result<Response<Body>, OnlineError> {
        let request = request.map_err(|error| self.error(what, error.into()))?;
        let agent = self.agent.clone();
        let times = 1 + bytes.div_ceil(BYTES_PER_TIMEOUT);
        let budget = self.timeout.saturating_mul(u32::try_from(times).unwrap_or(u32::MAX));
        let send = move || {
            let request = agent
                .configure_request(request.map(body))
                .timeout_send_body(Some(budget))
                .timeout_recv_body(Some(budget))
                .build();
            agent.run(request)
        };
        let response = off_this_thread(send)?.map_err(|error| self.error(what, error))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        if status.is_redirection() {
            return Err(OnlineError::Redirect {
                host: self.host.clone(),
                to: text::truncate(&text::visible(&header_text(&response, header::LOCATION)), 200),
            });
        }
        let content_type = header_text(&response, header::CONTENT_TYPE);
        let mut body = response.into_body();
        // A refusal that cannot be read is a refusal all the same.
        let body = off_this_thread(move || body.with_config().limit(MAX_PROBLEM_LEN).read_to_vec())?;
        Err(OnlineError::Refused {
            host: self.host.clone(),
            what: what.to_owned(),
            problem: Box::new(Problem::parse(
                status.as_u16(),
                &content_type,
                &body.unwrap_or_default(),
            )),
        })
    }

    fn error(&self, what: &str, error: ureq::Error) -> OnlineError {
        let host = self.host.clone();
        let nonsense = |why: String| OnlineError::Nonsense {
            host: self.host.clone(),
            what: what.to_owned(),
            why,
        };
        match error {
            ureq::Error::Timeout(_) => OnlineError::Slow {
                host,
                timeout_s: self.timeout.as_secs(),
            },
            ureq::Error::Io(error) if is_unreadable(&error) => OnlineError::Unreadable(error),
            // The library gives no type to tell by: rustls says "invalid peer certificate: …".
            ureq::Error::Io(error) if error.to_string().contains("certificate") => OnlineError::Certificate {
                host,
                why: error.to_string(),
            },
            ureq::Error::Rustls(error) => OnlineError::Certificate {
                host,
                why: error.to_string(),
            },
            ureq::Error::Io(error) => OnlineError::NoConnection {
                host,
                proxy: self.proxy.clone(),
                why: error.to_string(),
            },
            ureq::Error::HostNotFound | ureq::Error::ConnectionFailed => OnlineError::NoConnection {
                host,
                proxy: self.proxy.clone(),
                why: "there is no such host, or it does not answer".to_owned(),
            },
            ureq::Error::BodyExceedsLimit(limit) => OnlineError::TooLarge {
                host,
                what: what.to_owned(),
                limit,
            },
            ureq::Error::LargeResponseHeader(_, limit) => OnlineError::TooLarge {
                host,
                what: what.to_owned(),
                limit: limit as u64,
            },
            error => nonsense(error.to_string()),
        }
    }
}

impl Download {
    /// What went wrong while reading, in the terms of this package.
    pub fn error(client: &Client, path: &str, error: io::Error) -> OnlineError {
        match interrupt::check() {
            Err(interrupted) => interrupted.into(),
            Ok(()) => client.error(&format!("GET {path}"), error.into()),
        }
    }
}

impl std::fmt::Debug for Download {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Download({} bytes left, from {})", self.left, self.from)
    }
}

impl Read for Download {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        interrupt::check().map_err(io::Error::other)?;
        let got = self.reader.read(buffer)?;
        if got == 0 && self.left > 0 && !buffer.is_empty() {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it broke off"));
        }
        self.left = self.left.saturating_sub(got as u64);
        Ok(got)
    }
}

/// Wraps a body that is to be sent, so that a failure to read it is not taken for one of the network, and Ctrl-C is
/// noticed between two pieces.
#[derive(Debug)]
pub struct Outgoing<R>(pub R);

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Unreadable(io::Error);

impl<R: Read> Read for Outgoing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        interrupt::check().map_err(io::Error::other)?;
        self.0.read(buffer).map_err(|error| io::Error::other(Unreadable(error)))
    }
}

fn is_unreadable(error: &io::Error) -> bool {
    matches!(error.get_ref(), Some(inner) if inner.is::<Unreadable>())
}

fn signed(request: ureq::http::request::Builder, signature: Option<&SignatureHeaders>) -> ureq::http::request::Builder {
    match signature {
        None => request,
        Some(signature) => request
            .header("Content-Digest", &signature.content_digest)
            .header("Signature-Input", &signature.signature_input)
            .header("Signature", &signature.signature),
    }
}

fn header_text(response: &Response<Body>, name: header::HeaderName) -> String {
    response
        .headers()
        .get(name)
        .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
        .unwrap_or_default()
}

/// Does something that may block for minutes, and comes back at once on Ctrl-C. The other thread is left behind then:
/// the program is about to end.
fn off_this_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, OnlineError> {
    let (sender, receiver) = mpsc::sync_channel(1);
    thread::spawn(move || drop(sender.send(work())));
    loop {
        interrupt::check()?;
        match receiver.recv_timeout(TICK) {
            Ok(done) => return Ok(done),
            Err(mpsc::RecvTimeoutError::Timeout) => {}
            // Only a panic of the library comes here; its message stands on stderr already.
            Err(mpsc::RecvTimeoutError::Disconnected) => {
                return Err(OnlineError::NoConnection {
                    host: "the server".to_owned(),
                    proxy: None,
                    why: "the request was given up".to_owned(),
                });
            }
        }
    }
}
