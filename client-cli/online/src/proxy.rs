//! Directly, or through a SOCKS proxy that looks up the names too.
//!
//! `socks5://` means what `curl` calls `socks5h://`: the server's name goes to the proxy as a name. A name looked up by
//! this computer would tell its network which organization somebody writes to, proxy or not.

use std::{env, fmt, str::FromStr};

use marram_crypto::fingerprint::Link;
use ureq::{
    config::Config,
    http::Uri,
    unversioned::{
        resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver},
        transport::NextTimeout,
    },
};

use crate::error::OnlineError;

/// Seconds without an answer after which to give up; Tor needs its time.
const TIMEOUT_S: u64 = 120;

/// What other programs take as an order to use a proxy.
const VARIABLES: [&str; 6] = [
    "ALL_PROXY",
    "all_proxy",
    "HTTPS_PROXY",
    "https_proxy",
    "HTTP_PROXY",
    "http_proxy",
];

/// The arguments that say how to go online; flatten them into the program's.
#[derive(Debug, Clone, clap::Args)]
pub struct OnlineArgs {
    /// The SOCKS proxy to go through.
    #[arg(
        long,
        value_name = "URL",
        help = "Go through this SOCKS proxy, which looks up names too: socks5://127.0.0.1:9050 is Tor; none: go directly"
    )]
    pub proxy: Option<Proxy>,
    /// Seconds without an answer after which to give up; what is long has as many more for each MiB
    #[arg(long, value_name = "SECONDS", default_value_t = TIMEOUT_S, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub timeout: u64,
}

/// The way to the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proxy {
    /// No proxy, whatever the environment says.
    Direct,
    /// A SOCKS version 5 proxy.
    Socks {
        /// Its host.
        host: String,
        /// Its port.
        port: u16,
    },
}

/// What was wrong with `--proxy`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProxyError {
    /// Another kind of proxy.
    #[error("a proxy is written socks5://HOST:PORT (or none, to go directly); other kinds are not supported")]
    Scheme,
    /// No host or no port.
    #[error("the proxy needs a host and a port: socks5://127.0.0.1:9050 is Tor, socks5://127.0.0.1:9150 Tor Browser")]
    Address,
    /// A password: arguments are visible to every user of the computer.
    #[error("leave user and password out of --proxy: arguments can be read by everyone on this computer")]
    Password,
}

impl Default for OnlineArgs {
    fn default() -> Self {
        Self {
            proxy: None,
            timeout: TIMEOUT_S,
        }
    }
}

impl OnlineArgs {
    /// The proxy to reach `link` through, in the terms of the HTTP library.
    ///
    /// # Errors
    /// [`OnlineError::OnionWithoutProxy`]; [`OnlineError::ProxyInEnvironment`]: going past a proxy that somebody
    /// relies on could give them away, and so could using one that they never chose for this.
    pub(crate) fn proxy_for(&self, link: &Link) -> Result<Option<ureq::Proxy>, OnlineError> {
        self.proxy_in(link, |name| env::var_os(name).is_some_and(|value| !value.is_empty()))
    }

    fn proxy_in(&self, link: &Link, is_set: impl Fn(&str) -> bool) -> Result<Option<ureq::Proxy>, OnlineError> {
        let host = host_of(link);
        match &self.proxy {
            Some(Proxy::Socks { host, port }) => socks(host, *port).map(Some),
            _ if is_onion(host) => Err(OnlineError::OnionWithoutProxy { host: host.to_owned() }),
            Some(Proxy::Direct) => Ok(None),
            None if is_loopback(host) => Ok(None),
            None => match VARIABLES.into_iter().find(|name| is_set(name)) {
                Some(variable) => Err(OnlineError::ProxyInEnvironment { variable }),
                None => Ok(None),
            },
        }
    }
}

/// The host that a link names, without the port.
pub fn host_of(link: &Link) -> &str {
    let authority = link.base().split_once("://").map_or("", |(_, authority)| authority);
    authority.split_once(':').map_or(authority, |(host, _)| host)
}

fn is_onion(host: &str) -> bool {
    // A link's host is in small letters.
    host.rsplit('.').next() == Some("onion")
}

fn is_loopback(host: &str) -> bool {
    ["127.0.0.1", "localhost"].contains(&host)
}

fn socks(host: &str, port: u16) -> Result<ureq::Proxy, OnlineError> {
    // Tor gives each user name its own circuits, so that nothing else that goes through the same Tor at the same time
    // can be linked to this. Other proxies choose to ask for no password.
    let mut isolation = [0; 16];
    getrandom::fill(&mut isolation).map_err(|_| OnlineError::Randomness)?;
    ureq::Proxy::builder(ureq::ProxyProtocol::Socks5h)
        .host(host)
        .port(port)
        .username(&hex::encode(isolation))
        .password("x")
        .resolve_target(false)
        .build()
        .map_err(|_| OnlineError::Proxy(ProxyError::Address))
}

/// Looks up the name of the proxy, and through a proxy no other: what the library promises, held here as well, since a
/// single name looked up by this computer would undo the proxy.
#[derive(Debug)]
pub(crate) struct CarefulResolver {
    inner: DefaultResolver,
    only: Option<String>,
}

impl CarefulResolver {
    pub(crate) fn new(proxy: Option<&ureq::Proxy>) -> Self {
        Self {
            inner: DefaultResolver::default(),
            only: proxy.map(|proxy| proxy.host().to_owned()),
        }
    }
}

impl Resolver for CarefulResolver {
    fn resolve(&self, uri: &Uri, config: &Config, timeout: NextTimeout) -> Result<ResolvedSocketAddrs, ureq::Error> {
        match &self.only {
            Some(proxy) if uri.host() != Some(proxy) => Err(ureq::Error::HostNotFound),
            _ => self.inner.resolve(uri, config, timeout),
        }
    }
}

impl FromStr for Proxy {
    type Err = ProxyError;

    fn from_str(text: &str) -> Result<Self, ProxyError> {
        if text == "none" {
            return Ok(Self::Direct);
        }
        let address = text
            .strip_prefix("socks5://")
            .or_else(|| text.strip_prefix("socks5h://"))
            .ok_or(ProxyError::Scheme)?;
        let address = address.strip_suffix('/').unwrap_or(address);
        if address.contains('@') {
            return Err(ProxyError::Password);
        }
        let (host, port) = address.rsplit_once(':').ok_or(ProxyError::Address)?;
        let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '[' | ']' | ':');
        match port.parse() {
            Ok(port) if port > 0 && !host.is_empty() && host.chars().all(good) => Ok(Self::Socks {
                host: host.to_owned(),
                port,
            }),
            _ => Err(ProxyError::Address),
        }
    }
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Direct => f.write_str("none"),
            Self::Socks { host, port } => write!(f, "socks5://{host}:{port}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(base: &str) -> Link {
        Link::new(base, marram_crypto::digest::Digest::of(b"")).unwrap()
    }

    fn args(proxy: &str) -> OnlineArgs {
        OnlineArgs {
            proxy: Some(proxy.parse().unwrap()),
            ..OnlineArgs::default()
        }
    }

    #[test]
    fn a_proxy_reads_back_and_other_kinds_are_refused() {
        for text in [
            "none",
            "socks5://127.0.0.1:9050",
            "socks5://tor.local:1080",
            "socks5://[::1]:9050",
        ] {
            assert_eq!(text.parse::<Proxy>().unwrap().to_string(), text);
        }
        let wrong = |text: &str| text.parse::<Proxy>().unwrap_err();
        for text in ["http://127.0.0.1:8118", "socks4://127.0.0.1:9050", "127.0.0.1:9050", ""] {
            assert_eq!(wrong(text), ProxyError::Scheme, "{text}");
        }
        for text in [
            "socks5://127.0.0.1",
            "socks5://:9050",
            "socks5://a b:1",
            "socks5://a:0",
            "socks5://a:65536",
        ] {
            assert_eq!(wrong(text), ProxyError::Address, "{text}");
        }
        assert_eq!(wrong("socks5://me:secret@127.0.0.1:9050"), ProxyError::Password);
    }

    #[test]
    fn an_onion_address_is_never_asked_for_without_a_proxy() {
        let onion = link(&format!("http://{}.onion", "a".repeat(56)));
        for args in [OnlineArgs::default(), args("none")] {
            let refused = args.proxy_in(&onion, |_| false);
            assert!(matches!(refused, Err(OnlineError::OnionWithoutProxy { .. })));
        }
        let proxy = args("socks5://127.0.0.1:9050")
            .proxy_in(&onion, |_| true)
            .unwrap()
            .unwrap();
        assert!(!proxy.resolve_target() && proxy.port() == 9050);
    }

    #[test]
    fn a_proxy_in_the_environment_is_neither_used_nor_passed_over_silently() {
        let open = link("https://example.org");
        for variable in VARIABLES {
            let refused = OnlineArgs::default().proxy_in(&open, |name| name == variable);
            assert!(matches!(refused, Err(OnlineError::ProxyInEnvironment { variable: v }) if v == variable));
            assert!(args("none").proxy_in(&open, |name| name == variable).unwrap().is_none());
            let here = link("http://127.0.0.1:8080");
            assert!(
                OnlineArgs::default()
                    .proxy_in(&here, |name| name == variable)
                    .unwrap()
                    .is_none()
            );
        }
    }

    #[test]
    fn through_a_proxy_no_name_but_its_own_is_looked_up_here() {
        let proxy = ureq::Proxy::new("socks5h://127.0.0.1:9050").unwrap();
        let careful = CarefulResolver::new(Some(&proxy));
        let resolve = |uri: &str| careful.resolve(&uri.parse().unwrap(), &Config::default(), NextTimeout::default());
        assert!(matches!(
            resolve("http://localhost:80/"),
            Err(ureq::Error::HostNotFound)
        ));
        assert_eq!(resolve("socks5h://127.0.0.1:9050").unwrap().len(), 1);
    }
}
