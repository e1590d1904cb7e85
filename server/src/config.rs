//! The configuration: one TOML file. `deploy/marram-server.toml` is the commented sample, and what `init` writes.

use std::{
    fmt,
    net::SocketAddr,
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use anyhow::{Context, anyhow, bail};
use marram_crypto::digest::Digest;
use serde::{
    Deserialize, Deserializer,
    de::{self, Unexpected, Visitor},
};

use crate::failure::ResultExt;

const SAMPLE: &str = include_str!("../../deploy/marram-server.toml");
const SAMPLE_DATA_DIR: &str = "/var/lib/marram";
const SAMPLE_FINGERPRINT: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// The configuration.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where the routes are served.
    pub listen: Listen,
    /// Where `/healthz` is served.
    pub health_listen: Listen,
    /// The folder of log key and store.
    pub data_dir: PathBuf,
    /// A charter of the organization.
    #[serde(deserialize_with = "fingerprint")]
    pub charter_fingerprint: Digest,
    /// How much is logged.
    #[serde(default)]
    pub log_level: LogLevel,
    /// What bounds memory and slow clients.
    #[serde(default)]
    pub limits: Limits,
    /// How large files grow.
    #[serde(default)]
    pub store: StoreConfig,
}

/// An address to listen on.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(try_from = "String")]
pub enum Listen {
    /// `127.0.0.1:8080`; port 0 takes any free one.
    Tcp(SocketAddr),
    /// `unix:/run/marram/server.sock`.
    Unix(PathBuf),
}

/// How much is logged.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// What needs hands at once.
    Error,
    /// What needs hands soon.
    Warn,
    /// Start and stop too.
    #[default]
    Info,
    /// For developers.
    Debug,
    /// For developers.
    Trace,
}

/// What bounds memory and slow clients. The sample file explains each.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields, default)]
#[allow(missing_docs)]
pub struct Limits {
    #[serde(deserialize_with = "number::<1, MAX_COUNT, _, _>")]
    pub connections: usize,
    #[serde(deserialize_with = "number::<{ SMALL_UPLOAD_MAX_LEN as u64 }, { u32::MAX as u64 }, _, _>")]
    pub small_uploads_bytes: u32,
    #[serde(deserialize_with = "number::<1, MAX_COUNT, _, _>")]
    pub large_uploads: usize,
    #[serde(deserialize_with = "number::<1, MAX_TIMEOUT_S, _, _>")]
    pub header_timeout_s: u64,
    #[serde(deserialize_with = "number::<1, MAX_TIMEOUT_S, _, _>")]
    pub idle_timeout_s: u64,
    #[serde(deserialize_with = "number::<1, { u32::MAX as u64 }, _, _>")]
    pub upload_min_bytes_per_s: u64,
    #[serde(deserialize_with = "number::<0, MAX_TIMEOUT_S, _, _>")]
    pub stop_timeout_s: u64,
}

/// How large the store's files grow.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields, default)]
#[allow(missing_docs)]
pub struct StoreConfig {
    #[serde(deserialize_with = "number::<1, MAX_BYTES, _, _>")]
    pub segment_bytes: u64,
    #[serde(deserialize_with = "number::<0, MAX_BYTES, _, _>")]
    pub reserve_bytes: u64,
}

impl Config {
    /// Reads and checks the file.
    ///
    /// # Errors
    /// Names file, line and field, and what would be right.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read the configuration {}", path.display()))
            .next("name the file that `marram-server init` wrote into the data folder, and run this as its owner")?;
        Self::parse(&text)
            .with_context(|| format!("the configuration {} is wrong", path.display()))
            .next(format!(
                "correct it, then: marram-server check-config --config {}",
                path.display()
            ))
    }

    /// Parses and checks the text.
    ///
    /// # Errors
    /// As [`Config::read`].
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let config: Self = toml::from_str(text).map_err(|error| placed(text, &error))?;
        let any_free_port = matches!(config.listen, Listen::Tcp(address) if address.port() == 0);
        if config.listen == config.health_listen && !any_free_port {
            bail!("`health_listen` must be another address than `listen`: strangers must not reach it");
        }
        Ok(config)
    }

    /// The commented file that `init` writes.
    ///
    /// # Errors
    /// If the folder's name is not UTF-8.
    pub fn sample(data_dir: &Path, fingerprint: Digest) -> anyhow::Result<String> {
        let data_dir = data_dir.to_str().context("the data folder's name must be UTF-8")?;
        let quoted = toml::Value::from(data_dir).to_string();
        Ok(SAMPLE.replacen(&format!("\"{SAMPLE_DATA_DIR}\""), &quoted, 1).replacen(
            SAMPLE_FINGERPRINT,
            &fingerprint.to_string(),
            1,
        ))
    }
}

/// Longest report that is received in memory, in bytes.
pub const SMALL_UPLOAD_MAX_LEN: u32 = 1 << 20;

/// Longest timeout in seconds: one day.
const MAX_TIMEOUT_S: u64 = 86_400;
/// Most connections, and most large uploads.
const MAX_COUNT: u64 = 1_000_000;
/// Longest segment, and largest reserve, in bytes: 1 TiB.
const MAX_BYTES: u64 = 1 << 40;

/// The error with its line, and what stands there.
fn placed(text: &str, error: &toml::de::Error) -> anyhow::Error {
    let message = error.message();
    let before = error.span().and_then(|span| text.get(..span.start));
    match before {
        // What is missing stands nowhere.
        Some(before) if !message.starts_with("missing field") => {
            let number = before.matches('\n').count();
            let line = text.lines().nth(number).unwrap_or_default().trim();
            anyhow!("line {}, `{line}`: {message}", number + 1)
        }
        _ => anyhow!("{message}"),
    }
}

/// A number from `MIN` to `MAX`.
fn number<'de, const MIN: u64, const MAX: u64, T: TryFrom<u64>, D: Deserializer<'de>>(from: D) -> Result<T, D::Error> {
    struct Number<const MIN: u64, const MAX: u64>;
    impl<const MIN: u64, const MAX: u64> Visitor<'_> for Number<MIN, MAX> {
        type Value = u64;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "a whole number from {MIN} to {MAX}")
        }

        fn visit_u64<E: de::Error>(self, value: u64) -> Result<u64, E> {
            if (MIN..=MAX).contains(&value) {
                return Ok(value);
            }
            Err(E::invalid_value(Unexpected::Unsigned(value), &self))
        }

        fn visit_i64<E: de::Error>(self, value: i64) -> Result<u64, E> {
            match u64::try_from(value) {
                Ok(value) => self.visit_u64(value),
                Err(_) => Err(E::invalid_value(Unexpected::Signed(value), &self)),
            }
        }
    }
    let value = from.deserialize_u64(Number::<MIN, MAX>)?;
    T::try_from(value).map_err(|_| de::Error::custom("the number is too large for this machine"))
}

fn fingerprint<'de, D: Deserializer<'de>>(from: D) -> Result<Digest, D::Error> {
    let fingerprint = Digest::deserialize(from)?;
    if fingerprint.as_bytes() == &[0; Digest::LEN] {
        return Err(de::Error::custom(
            "this is still the sample's: write the fingerprint of your charter there",
        ));
    }
    Ok(fingerprint)
}

impl Limits {
    pub(crate) const fn idle_timeout(&self) -> Duration {
        Duration::from_secs(self.idle_timeout_s)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 4096,
            small_uploads_bytes: 64 << 20,
            large_uploads: 64,
            header_timeout_s: 20,
            idle_timeout_s: 60,
            upload_min_bytes_per_s: 1024,
            stop_timeout_s: 30,
        }
    }
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self {
            segment_bytes: 256 << 20,
            reserve_bytes: 32 << 20,
        }
    }
}

/// As the configuration writes it.
impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "{address}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.strip_prefix("unix:") {
            Some(path) if path.starts_with('/') => Ok(Self::Unix(path.into())),
            Some(_) => Err(format!("`{text}`: a socket's path must begin with /")),
            None => text
                .parse()
                .map(Self::Tcp)
                .map_err(|_| format!("`{text}` is neither address:port, like 127.0.0.1:8080, nor unix:/path")),
        }
    }
}

impl TryFrom<String> for Listen {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> String {
        Config::sample(Path::new("/srv/with \"quotes\""), Digest::of(b"charter")).unwrap()
    }

    #[test]
    fn the_sample_parses_and_shows_the_defaults() {
        let config = Config::parse(&sample()).unwrap();
        assert_eq!(config.data_dir, Path::new("/srv/with \"quotes\""));
        assert_eq!(config.charter_fingerprint, Digest::of(b"charter"));
        // Every line that is commented out is a value, and is the default.
        let uncommented: String = sample()
            .lines()
            .map(|line| match line.strip_prefix('#') {
                Some(value) if !value.starts_with(' ') => format!("{value}\n"),
                _ => format!("{line}\n"),
            })
            .collect();
        assert_eq!(Config::parse(&uncommented).unwrap(), config);
        assert_eq!(uncommented.matches("\nidle_timeout_s").count(), 1);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line_and_what_would_be_right() {
        for (from, to, said) in [
            (
                "[limits]",
                "[limits]\nidle_timeout = 1",
                "line 21, `idle_timeout = 1`: unknown field `idle_timeout`, expected one of `connections`",
            ),
            ("[store]", "[store]\nsegments = 1", "unknown field `segments`"),
            (
                "listen = \"127.0.0.1:8080\"",
                "listne = 1",
                "line 6, `listne = 1`: unknown field `listne`",
            ),
            ("listen = \"127.0.0.1:8080\"", "", "missing field `listen`"),
            (
                "\"127.0.0.1:8080\"",
                "8080",
                "line 6, `listen = 8080`: invalid type: integer `8080`, expected a string",
            ),
            ("127.0.0.1:8080", "localhost", "neither address:port"),
            ("127.0.0.1:8080", "unix:here", "must begin with /"),
            (
                "127.0.0.1:8081",
                "127.0.0.1:8080",
                "`health_listen` must be another address",
            ),
            (
                "[limits]",
                "[limits]\nidle_timeout_s = 0",
                "line 21, `idle_timeout_s = 0`: invalid value: integer `0`, expected a whole number from 1 to 86400",
            ),
            (
                "[limits]",
                "[limits]\nconnections = \"many\"",
                "invalid type: string \"many\", expected a whole number from 1 to 1000000",
            ),
            ("[limits]", "[limits]\nlarge_uploads = -1", "integer `-1`"),
            ("[limits]", "[limits]\nupload_min_bytes_per_s = 0", "from 1 to"),
            ("[limits]", "[limits]\nstop_timeout_s = 86401", "from 0 to 86400"),
            // More than a semaphore has.
            ("[limits]", "[limits]\nconnections = 9223372036854775807", "to 1000000"),
            ("[limits]", "[limits]\nsmall_uploads_bytes = 1000", "from 1048576 to"),
            (
                "[store]",
                "[store]\nreserve_bytes = 9223372036854775807",
                "to 1099511627776",
            ),
            ("[limits]", "[limits", "line 20, `[limits`: "),
        ] {
            let refused = format!("{:#}", Config::parse(&sample().replacen(from, to, 1)).unwrap_err());
            assert!(refused.contains(said), "{refused}");
        }
        let refused = Config::parse(SAMPLE).unwrap_err().to_string();
        assert!(refused.contains("line 15, `charter_fingerprint"), "{refused}");
        assert!(refused.contains("still the sample's"), "{refused}");
    }
}
