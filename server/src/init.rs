//! `marram-server init`: a new data folder for an organization.

use std::{
    fs,
    io::{BufRead, IsTerminal, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use marram_crypto::{
    charter::{CharterChain, UntrustedCharter, UntrustedCharterChain},
    digest::Digest,
    fingerprint::Digits,
    key::PublicKey,
};

use crate::{
    chain,
    config::Config,
    log_key,
    store::{Embedded, Put, Settings, Store},
};

/// What was made.
#[derive(Debug)]
pub struct Initialized {
    /// The configuration file.
    pub config: PathBuf,
    /// What the keyholders put into manifests as `log`.
    pub log_key: PublicKey,
    /// The organization's charter chain.
    pub chain: CharterChain,
}

/// How the operator says which organization this is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    /// 64 hexadecimal characters.
    Fingerprint(Digest),
    /// Twelve groups of five digits.
    Digits(Digits),
}

/// Reads the charter chain and checks that it is the expected one.
///
/// # Errors
/// If the file is no charter or chain, or the chain does not verify, or it is another organization's.
pub fn read_charter(path: &Path, expected: Option<&Expected>) -> anyhow::Result<CharterChain> {
    let bytes = fs::read(path).with_context(|| format!("cannot read the charter {}", path.display()))?;
    let chain = if bytes.first() == Some(&b'[') {
        UntrustedCharterChain::parse(&bytes)
    } else {
        UntrustedCharter::parse(&bytes).map(UntrustedCharterChain::founding)
    };
    let chain = chain.with_context(|| format!("{} is not a charter", path.display()))?;
    let newest = chain.claimed_fingerprint().context("the chain is empty")?;
    let pinned = match expected {
        Some(Expected::Fingerprint(fingerprint)) => *fingerprint,
        Some(Expected::Digits(digits)) if *digits != Digits::of(&newest) => bail!(
            "the digits are not this charter's, which are\n  {}\nGet the charter again, by a way you trust",
            Digits::of(&newest)
        ),
        Some(Expected::Digits(_)) | None => newest,
    };
    chain.verify(pinned).context("the charter does not verify")
}

/// Asks the operator, at the terminal, whether the fingerprint is right.
///
/// # Errors
/// If it is not, or there is nobody to ask.
pub fn confirm(chain: &CharterChain) -> anyhow::Result<()> {
    let newest = chain.newest();
    let mut out = std::io::stderr();
    writeln!(
        out,
        "{} (charter version {})\n\n  {}\n",
        newest.name,
        newest.version,
        Digits::of(&newest.fingerprint())
    )?;
    if !std::io::stdin().is_terminal() {
        bail!(
            "compare these digits with the keyholders', then run again with --fingerprint and the digits or the 64 characters"
        );
    }
    write!(
        out,
        "Compare these digits with a keyholder, by telephone or in person. Are they the same? Type yes: "
    )?;
    out.flush()?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    if answer.trim() != "yes" {
        bail!("not confirmed, nothing was made");
    }
    Ok(())
}

/// Makes the data folder: log key, store with the charter, configuration.
///
/// # Errors
/// If the folder is in use already, or cannot be written.
pub async fn init(data_dir: &Path, chain: CharterChain) -> anyhow::Result<Initialized> {
    let data_dir = std::path::absolute(data_dir)?;
    let key_path = log_key::path_in(&data_dir);
    let config_path = data_dir.join("marram-server.toml");
    for path in [&key_path, &config_path] {
        if path.exists() {
            bail!(
                "{} exists: this folder has a server already; choose another",
                path.display()
            );
        }
    }
    let chain = chain::without_junk(&chain)?;
    let fingerprint = chain.newest().fingerprint();
    let config = Config::sample(&data_dir, fingerprint)?;

    let store_path = data_dir.join("store");
    let store = tokio::task::spawn_blocking(move || Embedded::open(&store_path, Settings::default())).await??;
    for charter in chain.charters() {
        match store
            .put_charter(charter.version.into(), charter.fingerprint(), charter.note().to_bytes())
            .await?
        {
            Put::Fresh | Put::Repeated => {}
            Put::Conflict | Put::Older { .. } => {
                bail!("the store in {} has another organization's charter", data_dir.display())
            }
        }
    }
    store.close().await?;

    let key = log_key::create(&key_path)?;
    let mut file = fs::File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&config_path)?;
    file.write_all(config.as_bytes())?;
    file.sync_all()?;
    Ok(Initialized {
        config: config_path,
        log_key: key.public(),
        chain,
    })
}

impl std::str::FromStr for Expected {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        // A link's fragment is what people have at hand.
        let last = text.rsplit('#').next().unwrap_or(text);
        if let Ok(fingerprint) = last.parse() {
            return Ok(Self::Fingerprint(fingerprint));
        }
        text.parse()
            .map(Self::Digits)
            .map_err(|_| "neither 64 hexadecimal characters nor twelve groups of five digits".to_owned())
    }
}
