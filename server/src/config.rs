//! The configuration: one TOML file. `deploy/marram-server.toml` is the commented sample, and what `init` writes.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use anyhow::{Context, bail};
use marram_crypto::digest::Digest;
use serde::Deserialize;

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
    pub connections: usize,
    pub small_uploads_bytes: u32,
    pub large_uploads: usize,
    pub header_timeout_s: u64,
    pub idle_timeout_s: u64,
    pub upload_min_bytes_per_s: u64,
    pub stop_timeout_s: u64,
}

/// How large the store's files grow.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields, default)]
#[allow(missing_docs)]
pub struct StoreConfig {
    pub segment_bytes: u64,
    pub reserve_bytes: u64,
}

impl Config {
    /// Reads and checks the file.
    ///
    /// # Errors
    /// Names the line or the value, and what would be right.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read the configuration {}", path.display()))?;
        Self::parse(&text).with_context(|| format!("the configuration {} is wrong", path.display()))
    }

    /// Parses and checks the text.
    ///
    /// # Errors
    /// As [`Config::read`].
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let config: Self = toml::from_str(text)?;
        if config.charter_fingerprint.as_bytes() == &[0; Digest::LEN] {
            bail!("`charter_fingerprint` is still the sample's: write your charter's there");
        }
        let any_free_port = matches!(config.listen, Listen::Tcp(address) if address.port() == 0);
        if config.listen == config.health_listen && !any_free_port {
            bail!("`health_listen` must be another address than `listen`: strangers must not reach it");
        }
        let limits = &config.limits;
        if limits.connections == 0
            || limits.large_uploads == 0
            || limits.idle_timeout_s == 0
            || limits.header_timeout_s == 0
            || limits.upload_min_bytes_per_s == 0
        {
            bail!("in [limits], every number but `stop_timeout_s` must be at least 1");
        }
        if limits.idle_timeout_s > MAX_TIMEOUT_S || limits.header_timeout_s > MAX_TIMEOUT_S {
            bail!("in [limits], `idle_timeout_s` and `header_timeout_s` must be at most {MAX_TIMEOUT_S}, one day");
        }
        if limits.small_uploads_bytes < SMALL_UPLOAD_MAX_LEN {
            bail!(
                "`limits.small_uploads_bytes` must be at least {SMALL_UPLOAD_MAX_LEN}, the length of one small report"
            );
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

/// Longest timeout in seconds.
const MAX_TIMEOUT_S: u64 = 86_400;

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
    fn a_misspelt_name_is_refused_by_name() {
        for wrong in [
            "listne = \"x\"\n",
            "[limits]\nidle_timeout = 1\n",
            "[store]\nsegments = 1\n",
        ] {
            let text = if wrong.starts_with('[') {
                let (section, line) = wrong.split_once('\n').unwrap();
                sample().replace(section, &format!("{section}\n{line}"))
            } else {
                format!("{wrong}{}", sample())
            };
            let refused = format!("{:#}", Config::parse(&text).unwrap_err());
            assert!(refused.contains("unknown field"), "{refused}");
        }
    }

    #[test]
    fn values_that_cannot_work_are_refused() {
        for (from, to, why) in [
            ("127.0.0.1:8080", "localhost", "neither address:port"),
            ("127.0.0.1:8080", "unix:here", "must begin with /"),
            ("127.0.0.1:8081", "127.0.0.1:8080", "health_listen"),
            ("[limits]", "[limits]\nidle_timeout_s = 0", "at least 1"),
            ("[limits]", "[limits]\nupload_min_bytes_per_s = 0", "at least 1"),
            (
                "[limits]",
                "[limits]\nidle_timeout_s = 18446744073709551615",
                "at most 86400",
            ),
            (
                "[limits]",
                "[limits]\nsmall_uploads_bytes = 1000",
                "small_uploads_bytes",
            ),
        ] {
            let refused = format!("{:#}", Config::parse(&sample().replacen(from, to, 1)).unwrap_err());
            assert!(refused.contains(why), "{refused}");
        }
        assert!(
            Config::parse(SAMPLE)
                .unwrap_err()
                .to_string()
                .contains("charter_fingerprint")
        );
    }
}
