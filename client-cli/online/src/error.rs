//! What can go wrong on the way to a server and back, and what to do next.

use marram_terminal::{error::ResultExt as _, interrupt::Interrupted, text};
use serde::Deserialize;

use crate::proxy::ProxyError;

/// Longest text of a server's error that is shown, in columns.
const SHOWN: usize = 300;
/// How the `type` of the server's own problems begins.
const NAMES: &str = "urn:marram:problem:";

/// Why there is no answer, or none that may be used.
#[derive(Debug, thiserror::Error)]
pub enum OnlineError {
    /// An onion service cannot be reached directly, and asking for its name would tell the local network about it.
    #[error("{host} is an onion service: it can be reached through Tor only")]
    OnionWithoutProxy {
        /// The host.
        host: String,
    },
    /// The environment names a proxy, and nobody said whether it is to be used.
    #[error("{variable} is set in the environment: it is not clear whether to go through that proxy")]
    ProxyInEnvironment {
        /// Its name.
        variable: &'static str,
    },
    /// The proxy's address.
    #[error(transparent)]
    Proxy(#[from] ProxyError),
    /// The operating system gave no randomness.
    #[error("the operating system gives no randomness")]
    Randomness,
    /// No connection, or it broke off.
    #[error("no connection with {host}{}: {why}", through(.proxy.as_deref()))]
    NoConnection {
        /// The host.
        host: String,
        /// The proxy.
        proxy: Option<String>,
        /// What the system, the proxy or TLS said.
        why: String,
    },
    /// The certificate is not one for this host.
    #[error("{host} cannot prove that it is {host}: {why}")]
    Certificate {
        /// The host.
        host: String,
        /// What is wrong with it.
        why: String,
    },
    /// Too slow.
    #[error("{host} took too long: nothing, or too little, came within {timeout_s} seconds")]
    Slow {
        /// The host.
        host: String,
        /// The limit.
        timeout_s: u64,
    },
    /// A redirect. None is followed: whoever can send one could send a submitter anywhere.
    #[error("{host} sends us on to {to}, and no redirect is followed")]
    Redirect {
        /// The host.
        host: String,
        /// Where to.
        to: String,
    },
    /// An answer that says no.
    #[error("{host} says no to {what}: {problem}")]
    Refused {
        /// The host.
        host: String,
        /// Method and path.
        what: String,
        /// What it says.
        problem: Box<Problem>,
    },
    /// More bytes than such an answer can have.
    #[error("the answer of {host} to {what} has more than {limit} bytes, the limit")]
    TooLarge {
        /// The host.
        host: String,
        /// Method and path.
        what: String,
        /// The limit in bytes.
        limit: u64,
    },
    /// The answer is not as the protocol has it.
    #[error("the answer of {host} to {what} makes no sense: {why}")]
    Nonsense {
        /// The host.
        host: String,
        /// Method and path.
        what: String,
        /// What is wrong.
        why: String,
    },
    /// Ctrl-C. Not transparent: it must be found in the chain, for the exit status.
    #[error("{0}")]
    Interrupted(#[from] Interrupted),
    /// What was to be sent could not be read.
    #[error("what was to be sent could not be read: {0}")]
    Unreadable(std::io::Error),
}

/// What a server says about a refusal (RFC 9457), in words that are safe to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The status code.
    pub status: u16,
    /// Which one it is, without `urn:marram:problem:`; empty if the server gave none, or another kind.
    pub name: String,
    /// A short name for it; empty if the server gave none.
    pub title: String,
    /// What is wrong in this case; empty if the server gave none.
    pub detail: String,
}

impl OnlineError {
    /// Whether the same request may well succeed at once. What took too long has had its time.
    pub const fn is_passing(&self) -> bool {
        match self {
            Self::NoConnection { .. } => true,
            Self::Refused { problem, .. } => matches!(problem.status, 429 | 500..=599),
            _ => false,
        }
    }

    /// The status code, if the server answered with a refusal.
    pub const fn status(&self) -> Option<u16> {
        match self {
            Self::Refused { problem, .. } => Some(problem.status),
            _ => None,
        }
    }

    /// The name of the server's problem (protocol, section 17), if it gave one.
    pub fn problem(&self) -> Option<&str> {
        match self {
            Self::Refused { problem, .. } => Some(problem.name.as_str()).filter(|name| !name.is_empty()),
            _ => None,
        }
    }

    /// What to do next.
    pub fn next_step(&self) -> Option<String> {
        Some(match self {
            Self::OnionWithoutProxy { .. } => {
                "start Tor or Tor Browser, then add --proxy socks5://127.0.0.1:9050 (Tor) or \
                 --proxy socks5://127.0.0.1:9150 (Tor Browser)"
                    .into()
            }
            Self::ProxyInEnvironment { .. } => {
                "say --proxy socks5://HOST:PORT to go through a proxy, or --proxy none to go directly".into()
            }
            Self::NoConnection { proxy: Some(proxy), .. } => format!(
                "check that the proxy at {proxy} is running (Tor needs a minute after starting), then run this again"
            ),
            Self::NoConnection { host, .. } => format!(
                "check that this computer is online, then run this again. If other sites answer and {host} does not, its \
                 server is down: tell the organization, or its operator"
            ),
            Self::Certificate { .. } => {
                "do not go on from this network: something between you and the server may be listening. Check this \
                 computer's date; then try another network, or Tor (--proxy)"
                    .into()
            }
            Self::Slow { .. } => "run this again later, or wait longer with --timeout SECONDS".into(),
            Self::Redirect { .. } => {
                "on public Wi-Fi, open its sign-in page in a browser first; otherwise ask the organization whether its \
                 link has changed"
                    .into()
            }
            Self::Refused { problem, .. } if self.is_passing() => {
                format!("the server is in trouble (status {}): run this again in a while", problem.status)
            }
            Self::TooLarge { .. } | Self::Nonsense { .. } => {
                "nothing of it was used. If it happens again, tell the organization: its server is broken, or something \
                 between you and it answers in its place"
                    .into()
            }
            _ => return None,
        })
    }

    /// The error for people, with its next step.
    pub fn explained(self) -> anyhow::Error {
        match self.next_step() {
            Some(next) => match Err::<(), _>(self).hint(next) {
                Err(error) => error,
                Ok(()) => unreachable!("it was an error"),
            },
            None => self.into(),
        }
    }
}

impl Problem {
    /// Reads the body of a refusal; what is no `problem+json` is left out, as is what is too long.
    pub(crate) fn parse(status: u16, content_type: &str, body: &[u8]) -> Self {
        #[derive(Deserialize, Default)]
        struct Fields {
            #[serde(default, rename = "type")]
            name: String,
            #[serde(default)]
            title: String,
            #[serde(default)]
            detail: String,
        }
        let fields = if content_type.starts_with("application/problem+json") {
            serde_json::from_slice(body).unwrap_or_default()
        } else {
            Fields::default()
        };
        let shown = |text: &str| text::truncate(&text::visible(text), SHOWN);
        Self {
            status,
            name: fields.name.strip_prefix(NAMES).map(shown).unwrap_or_default(),
            title: shown(&fields.title),
            detail: shown(&fields.detail),
        }
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.title.as_str(), self.detail.as_str()) {
            ("", "") => write!(f, "status {}, without saying why", self.status),
            (said, "") | ("", said) => write!(f, "{said} (status {})", self.status),
            (title, detail) => write!(f, "{title} (status {}): {detail}", self.status),
        }
    }
}

fn through(proxy: Option<&str>) -> String {
    proxy.map_or_else(String::new, |proxy| format!(" through the proxy at {proxy}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_cannot_write_to_the_terminal_through_its_errors() {
        let hostile = serde_json::json!({"title": "\u{1b}]0;owned\u{7}No", "detail": "a\u{202e}b\nc".repeat(1000)});
        let problem = Problem::parse(422, "application/problem+json", hostile.to_string().as_bytes());
        let shown = problem.to_string();
        assert!(!shown.contains(['\u{1b}', '\u{7}', '\u{202e}', '\n']), "{shown:?}");
        assert!(text::width(&shown) < 2 * SHOWN + 50, "{shown}");
    }

    #[test]
    fn what_is_no_problem_json_is_not_shown() {
        for (content_type, body) in [
            ("text/html", "<h1>Sign in to the Wi-Fi</h1>"),
            ("application/problem+json", "not json"),
            ("application/problem+json", r#"{"title": 7}"#),
        ] {
            let problem = Problem::parse(502, content_type, body.as_bytes());
            assert_eq!(problem.to_string(), "status 502, without saying why");
        }
    }
}
