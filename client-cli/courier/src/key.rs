//! The courier's key: it signs requests for ciphertext, and opens nothing.
//!
//! It lies in a plain file that only its owner can read, since the program runs unattended, and since there is little to
//! protect: whoever steals it can fetch ciphertext until the keyholders take it out of the manifests.

use std::path::Path;

use anyhow::{Context as _, Result};
use marram_crypto::{key::SigningKey, secret::SecretBytes};
use marram_terminal::{
    error::{ResultExt as _, fail},
    files::{self, Existing, FileError},
    home::{Home, HomeArgs},
    output::{CODE, Output},
};
use zeroize::Zeroizing;

/// Its name in the home folder.
const FILE: &str = "courier.key";
const TYPE: &str = "marram/courier-key/v1";

/// `marram-courier key`
pub(crate) fn print(out: &Output, home: &HomeArgs) -> Result<()> {
    let home = home.create("courier")?;
    let made = !home.file(FILE).exists();
    if made {
        make(&home.file(FILE))?;
    }
    let key = load(&home)?;
    if made {
        out.note(format!("A new courier key, in {}", home.file(FILE).display()));
    }
    out.line(key.public());
    out.json(&serde_json::json!({"courier": key.public(), "new": made}));
    out.note(format!(
        "\nGive this line to a keyholder, for the list of couriers in {CODE}organization.toml{CODE:#}. It is public.\n\
         The key itself stays on this computer, in a plain file, so that the program can run unattended.\n\
         It fetches ciphertext and opens none of it. If it is stolen, tell the keyholders."
    ));
    Ok(())
}

/// The key in this home.
pub(crate) fn load(home: &Home) -> Result<SigningKey> {
    load_if_any(home)?.ok_or_else(|| {
        fail(
            "this courier has no key yet",
            "run marram-courier key, and give the line it prints to a keyholder",
        )
    })
}

/// The key in this home, if one was made.
pub(crate) fn load_if_any(home: &Home) -> Result<Option<SigningKey>> {
    let path = home.file(FILE);
    let text = match files::read_bounded(&path, 1_000) {
        Ok(text) => Zeroizing::new(text),
        Err(FileError::Missing { .. }) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    parse(&text)
        .map(Some)
        .with_context(|| format!("{} is not a courier key", path.display()))
        .hint("restore it from a copy, or move it away, run marram-courier key and give a keyholder the new one")
}

fn make(path: &Path) -> Result<()> {
    let mut seed = Zeroizing::new([0; SigningKey::SEED_LEN]);
    getrandom::fill(seed.as_mut_slice()).context("the operating system gives no randomness")?;
    let text = Zeroizing::new(format!("{TYPE}\n{}\n", *Zeroizing::new(hex::encode(*seed))));
    Ok(files::atomic_write(path, text.as_bytes(), 0o600, Existing::Keep)?)
}

fn parse(text: &[u8]) -> Result<SigningKey> {
    let text = std::str::from_utf8(text).ok();
    let seed = text
        .and_then(|text| text.strip_prefix(TYPE)?.strip_prefix('\n')?.strip_suffix('\n'))
        .with_context(|| format!("its first line must be {TYPE}"))?;
    let mut bytes = Zeroizing::new([0; SigningKey::SEED_LEN]);
    hex::decode_to_slice(seed, bytes.as_mut_slice())
        .ok()
        .context("its second line is damaged")?;
    Ok(SigningKey::from_seed(&SecretBytes::fill_with(|seed| *seed = *bytes)))
}
