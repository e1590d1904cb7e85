//! `marram-server init`: a new data folder for an organization.

use std::{
    fs,
    io::{BufRead, IsTerminal, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use anyhow::Context;
use marram_crypto::{
    charter::{CharterChain, CharterError, UntrustedCharter, UntrustedCharterChain},
    digest::Digest,
    fingerprint::Digits,
    key::PublicKey,
};

use crate::{
    chain,
    config::Config,
    failure::{ResultExt, fail},
    log_key,
    run::check_folder,
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
    const GET_IT: &str = "get charter.json from a keyholder again";
    let bytes = fs::read(path)
        .with_context(|| format!("cannot read the charter {}", path.display()))
        .next("name the file charter.json that the keyholders have made")?;
    let chain = if bytes.first() == Some(&b'[') {
        UntrustedCharterChain::parse(&bytes)
    } else {
        UntrustedCharter::parse(&bytes).map(UntrustedCharterChain::founding)
    };
    let chain = chain
        .with_context(|| format!("{} is not a charter", path.display()))
        .next(GET_IT)?;
    let newest = chain.claimed_fingerprint().context("the chain is empty").next(GET_IT)?;
    let pinned = match expected {
        Some(Expected::Fingerprint(fingerprint)) => *fingerprint,
        Some(Expected::Digits(digits)) if *digits == Digits::of(&newest) => newest,
        Some(Expected::Digits(_)) => return Err(another(path, newest)),
        None => newest,
    };
    match chain.verify(pinned) {
        Err(CharterError::OtherFingerprint { newest, .. }) => Err(another(path, newest)),
        verified => verified
            .with_context(|| format!("the charter {} does not verify", path.display()))
            .next(format!("do not use it; {GET_IT}, and tell them if that does not help")),
    }
}

fn another(path: &Path, newest: Digest) -> anyhow::Error {
    fail(
        format!(
            "{} is another charter than the one whose fingerprint you gave: its own is {newest}, in digits\n  {}",
            path.display(),
            rows(newest)
        ),
        "compare with a keyholder, by telephone or in person, then use the charter that they mean",
    )
}

/// The digits, four groups in a row.
fn rows(fingerprint: Digest) -> String {
    let groups = Digits::of(&fingerprint).groups();
    let rows: Vec<String> = groups.chunks(4).map(|row| row.join("  ")).collect();
    rows.join("\n  ")
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
        rows(newest.fingerprint())
    )?;
    if !std::io::stdin().is_terminal() {
        return Err(fail(
            "nobody can be asked whether these are the right digits: this is no terminal",
            "compare them with a keyholder, then run this again with --fingerprint and the digits, the 64 characters or \
             the link; nothing was made",
        ));
    }
    writeln!(
        out,
        "Compare these digits with a keyholder, by telephone or in person.\nAre all of them the same? (yes or no)"
    )?;
    write!(out, "> ")?;
    out.flush()?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    if answer.trim() != "yes" {
        return Err(fail(
            "the digits were not confirmed",
            "nothing was made; ask a keyholder for the charter again",
        ));
    }
    Ok(())
}

/// Makes the data folder: log key, store with the charter, configuration.
///
/// # Errors
/// If the folder is in use already, or cannot be written.
pub async fn init(data_dir: &Path, chain: CharterChain) -> anyhow::Result<Initialized> {
    let data_dir = std::path::absolute(data_dir)?;
    if fs::symlink_metadata(&data_dir).is_ok() {
        check_folder(&data_dir)?;
    }
    let key_path = log_key::path_in(&data_dir);
    let config_path = data_dir.join("marram-server.toml");
    for path in [&key_path, &config_path] {
        if path.exists() {
            return Err(fail(
                format!("{} is there already: a server lives in this folder", path.display()),
                "name another folder with --data; nothing was changed",
            ));
        }
    }
    let chain = chain::without_junk(&chain)?;
    let fingerprint = chain.newest().fingerprint();
    let config = Config::sample(&data_dir, fingerprint)?;

    let store_path = data_dir.join("store");
    let store = tokio::task::spawn_blocking(move || Embedded::open(&store_path, Settings::default())).await?;
    let store = store
        .with_context(|| format!("cannot make a store in {}", data_dir.display()))
        .next("name a folder with --data that this user may write to, on a disk with room")?;
    for charter in chain.charters() {
        match store
            .put_charter(charter.version.into(), charter.fingerprint(), charter.note().to_bytes())
            .await?
        {
            Put::Fresh | Put::Repeated => {}
            Put::Conflict | Put::Older { .. } => {
                return Err(fail(
                    format!("the store in {} has another organization's charter", data_dir.display()),
                    "name another folder with --data; nothing was changed",
                ));
            }
        }
    }
    store.close().await?;

    let key = log_key::create(&key_path)?;
    let mut file = fs::File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&config_path)
        .with_context(|| format!("cannot write {}", config_path.display()))?;
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
