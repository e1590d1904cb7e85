//! Charter chains as strangers offer them: only what is new is looked at, and nothing is kept that anybody could have
//! added on the way.
//!
//! A note's signature lines are not signed. So before a charter is stored or served, every line goes that is not a
//! signature of one of its own root keys or of those of the charter before it; otherwise whoever sends the next charter
//! first could pad it until no chain with it can be read.

use marram_crypto::{
    charter::{CharterChain, CharterError, MAX_CHAIN, UntrustedCharter, UntrustedCharterChain},
    key::PublicKey,
};

/// Reads the JSON array of notes; as [`UntrustedCharterChain::parse`], one by one.
///
/// # Errors
/// [`CharterError::NotAChain`], or what is wrong with a charter in it.
pub fn read(json: &[u8]) -> Result<Vec<UntrustedCharter>, CharterError> {
    let notes: Vec<String> = serde_json::from_slice(json).map_err(|_| CharterError::NotAChain)?;
    if notes.is_empty() || notes.len() > MAX_CHAIN {
        return Err(CharterError::NotAChain);
    }
    notes
        .iter()
        .map(|note| UntrustedCharter::parse(note.as_bytes()))
        .collect()
}

/// What `known` becomes with `offered`; `None` if that says nothing new.
///
/// Where the texts are those of `known`, the offered signatures are not looked at: there the chain is verified with the
/// signatures it has, which are few. The first bogus charter behind them ends it.
///
/// # Errors
/// [`CharterError`]: not of this organization, shorter, forked, not signed by enough, or too long to be read again.
pub fn extended(known: &CharterChain, offered: &[UntrustedCharter]) -> Result<Option<CharterChain>, CharterError> {
    let same = known
        .charters()
        .iter()
        .zip(offered)
        .take_while(|(known, offered)| known.fingerprint() == offered.note().digest())
        .count();
    if same == known.charters().len() {
        let new = &offered[same..];
        if new.is_empty() {
            return Ok(None);
        }
        let ours = known.charters().iter().map(|charter| charter.note().to_bytes());
        let chain = join(ours.chain(new.iter().map(|charter| charter.note().to_bytes())))?;
        return without_junk(&chain.verify(known.pinned())?).map(Some);
    }
    let chain = join(offered.iter().map(|charter| charter.note().to_bytes()))?;
    chain.verify(known.pinned())?.extends(known)?;
    // Not reached: what extends `known` begins with its texts.
    Ok(None)
}

/// The same chain without any signature line that is not by a key that counts.
///
/// # Errors
/// [`CharterError`]; not for a chain that was verified.
pub fn without_junk(chain: &CharterChain) -> Result<CharterChain, CharterError> {
    let mut before: Option<&[PublicKey]> = None;
    let roots: Vec<Vec<PublicKey>> = chain.charters().iter().map(|charter| charter.root_keys()).collect();
    let mut notes = Vec::with_capacity(roots.len());
    for (charter, own) in chain.charters().iter().zip(&roots) {
        let mut keys = own.clone();
        keys.extend(before.unwrap_or_default().iter().filter(|key| !own.contains(key)));
        let mut note = charter.note().clone();
        note.keep_only(&keys);
        notes.push(note.to_bytes());
        before = Some(own);
    }
    join(notes.into_iter())?.verify(chain.pinned())
}

/// As it will be read again, with the limit there is then.
fn join(notes: impl Iterator<Item = Vec<u8>>) -> Result<UntrustedCharterChain, CharterError> {
    let notes: Vec<_> = notes
        .map(|note| String::from_utf8(note).map_err(|_| CharterError::NotAChain))
        .collect::<Result<_, _>>()?;
    let json = serde_json::to_vec(&notes).map_err(|_| CharterError::NotAChain)?;
    UntrustedCharterChain::parse(&json)
}
