//! `marram-courier audit`: what the server shows everybody, held against what the keyholders have signed.
//!
//! The page is asked for as each kind of browser asks, and as a program does: a server could keep the honest one for those who
//! look. One that shows a single visitor another page is not caught by this, whoever runs it: the threat model says so.

use std::io::Read;

use anyhow::Result;
use brotli::Decompressor;
use flate2::read::GzDecoder;
use marram_crypto::{
    charter::{self, CharterChain, UntrustedCharterChain},
    day::{Day, Epoch},
    digest::Digest,
    manifest::{Manifest, UntrustedManifest},
    note,
};
use marram_online::{clock::today, error::OnlineError, proxy::Proxy};
use marram_terminal::{error::fail, home::HomeArgs, output::Output, text};
use serde_json::Value;

use crate::{
    AuditArgs,
    memory::{Memory, MemoryError},
    server::Server,
};

/// Largest answer of `/v1/organization`, in bytes.
const MAX_ORGANIZATION_LEN: u64 = 4_000_000;
/// Largest page, in bytes, compressed or not.
const MAX_PAGE_LEN: u64 = 4 << 20;
/// As browsers ask over TLS, as they ask an onion service, and as programs do.
const ASKED: [&str; 3] = ["gzip, deflate, br, zstd", "gzip, deflate", "identity"];
/// Longest name of a coding that is shown, in columns.
const SHOWN: usize = 40;

/// Something that is not as the keyholders have signed it.
struct Difference {
    /// `charter`, `manifest`, `organization` or `page`.
    what: &'static str,
    how: String,
    next: &'static str,
}

/// `marram-courier audit`
pub(crate) fn audit(out: &Output, home: &HomeArgs, args: &AuditArgs) -> Result<()> {
    let mut memory = Memory::open(home)?;
    let link = memory.link_or(args.server.link.as_ref())?;
    if !matches!(args.server.online.proxy, Some(Proxy::Socks { .. })) {
        out.warning(
            "without --proxy the server sees that it is the courier who looks, and can show it another page than visitors: \
             audit through Tor",
        );
    }
    let today = today();
    let server = Server::new(out, &link, &args.server.online)?;
    let mut differences = Vec::new();

    let json = server
        .public("/v1/charter", charter::MAX_CHAIN_LEN as u64)
        .map_err(OnlineError::explained)?;
    let charter = judged_charter(&memory, &json, link.fingerprint());
    let charter = take(charter, &mut differences);
    if let Some(chain) = &charter {
        memory.accept_charter(&link, chain.clone())?;
        let newest = chain.newest();
        out.line(format!("charter   version {}, as the link has it", newest.version));
    }

    let manifest = take(judged_manifest(&memory, &server, today)?, &mut differences);
    if let Some(manifest) = &manifest {
        out.line(format!(
            "manifest  epoch {}, version {}, as the keyholders have signed it",
            manifest.epoch, manifest.version
        ));
    }

    if let Some((chain, manifest)) = charter.as_ref().zip(manifest.as_ref()) {
        take(judged_organization(&server, chain, manifest)?, &mut differences);
    }

    let remembered = || {
        let epoch = Epoch::of(today)?;
        memory.manifests_of(epoch).last()
    };
    let mut page = None;
    if let Some(manifest) = manifest.as_ref().or_else(remembered) {
        page = take(judged_page(&server, manifest)?, &mut differences);
        if let Some(page) = page {
            out.line(format!(
                "page      {page}, as the keyholders have signed it, however it is asked for"
            ));
        }
    } else {
        out.warning("there is no good manifest that could say which page is right");
    }

    out.json(&serde_json::json!({
        "charter": charter.as_ref().map(|chain| chain.newest().fingerprint()),
        "manifest": manifest.as_ref().map(|manifest| serde_json::json!({
            "epoch": manifest.epoch,
            "version": manifest.version,
            "hash": manifest.hash(),
        })),
        "page": page,
        "differences": differences.iter().map(|difference| serde_json::json!({
            "what": difference.what,
            "how": difference.how,
        })).collect::<Vec<_>>(),
    }));
    let Some(last) = differences.pop() else {
        return Ok(());
    };
    for difference in differences {
        out.warning(format!("the {} differs: {}", difference.what, difference.how));
    }
    Err(fail(format!("the {} differs: {}", last.what, last.how), last.next))
}

/// What is good; what is not goes to the differences.
fn take<T>(judged: Result<T, Difference>, differences: &mut Vec<Difference>) -> Option<T> {
    judged.map_err(|difference| differences.push(difference)).ok()
}

fn judged_charter(memory: &Memory, json: &[u8], pinned: Digest) -> Result<CharterChain, Difference> {
    let differs = |how: String| Difference {
        what: "charter",
        how: text::visible(&how),
        next: "compare the link with the organization's own. If it is right, tell the keyholders and the operator: the server, \
               or somebody in front of it, shows another organization, or a charter that was replaced",
    };
    let chain = UntrustedCharterChain::parse(json).and_then(|chain| chain.verify(pinned));
    let chain = chain.map_err(|error| differs(error.to_string()))?;
    memory
        .check_charter(&chain)
        .map_err(|error| differs(format!("{error:#}")))?;
    Ok(chain)
}

/// The manifest that everybody is shown, held against those that couriers are shown.
fn judged_manifest(memory: &Memory, server: &Server<'_>, today: Day) -> Result<Result<Manifest, Difference>> {
    let differs = |how: String, next| {
        Ok(Err(Difference {
            what: "manifest",
            how: text::visible(&how),
            next,
        }))
    };
    let note = match server.public("/v1/manifest", note::MAX_LEN as u64) {
        Err(error) if error.problem() == Some("no-open-manifest") => {
            return differs(
                "the server has none for today, so nobody can report".to_owned(),
                "publish the one of this week: marram-courier publish FOLDER/*.manifest. If it was published, tell the \
                 operator",
            );
        }
        note => note.map_err(OnlineError::explained)?,
    };
    let Some(chain) = &memory.chain else {
        return differs("there is no good charter to verify it by".to_owned(), MemoryError::NEXT);
    };
    let manifest = UntrustedManifest::parse(&note).and_then(|manifest| {
        let manifest = manifest.verify(chain)?;
        manifest.check_open(today)?;
        Ok(manifest)
    });
    let manifest = match manifest {
        Ok(manifest) => manifest,
        Err(error) => {
            return differs(
                error.to_string(),
                "check this computer's date. If it is right, tell the keyholders and the operator: the server shows keys \
                 that are not to be used, and programs refuse them",
            );
        }
    };
    if let Err(error) = memory.check(&manifest) {
        return differs(error.to_string(), MemoryError::NEXT);
    }
    let seen = memory.highest(manifest.epoch).unwrap_or(0);
    if let Err(error) = manifest.check_not_older_than(seen) {
        return differs(error.to_string(), MemoryError::NEXT);
    }
    Ok(Ok(manifest))
}

/// What the page reads: in one answer the same charter and manifest that programs are shown.
fn judged_organization(
    server: &Server<'_>,
    chain: &CharterChain,
    manifest: &Manifest,
) -> Result<Result<(), Difference>> {
    let differs = |how: String| {
        Ok(Err(Difference {
            what: "organization",
            how: text::visible(&how),
            next: "run it again, for the keyholders may have published just now. If it stays, tell them and the operator: \
                   the page would seal for keys that were replaced, or for nobody",
        }))
    };
    let json = match server.public("/v1/organization", MAX_ORGANIZATION_LEN) {
        // The page must be judged all the same.
        Err(error) if error.status().is_some() => return differs(format!("the page is refused it: {error}")),
        json => json.map_err(OnlineError::explained)?,
    };
    let shown: Option<Value> = serde_json::from_slice(&json).ok();
    let same = serde_json::json!({
        "charters": serde_json::from_str::<Value>(&chain.to_json())?,
        "manifest": String::from_utf8_lossy(&manifest.to_bytes()),
    });
    if shown == Some(same) {
        Ok(Ok(()))
    } else {
        differs(
            "the page is shown another charter or manifest (/v1/organization) than programs are (/v1/charter, \
             /v1/manifest)"
                .to_owned(),
        )
    }
}

/// The page's digest, if it is one that the manifest names and the same whoever asks.
fn judged_page(server: &Server<'_>, manifest: &Manifest) -> Result<Result<Digest, Difference>> {
    let differs = |how: String| {
        Ok(Err(Difference {
            what: "page",
            how,
            next: "keep what the server shows: it is the proof. Tell the keyholders and the operator at once, and people to use \
                   a saved page or marram-submit meanwhile: a false page reads what is written into it. If the operator has \
                   only installed another version, the keyholders look at it and name it: marram-keyholder issue --page FILE",
        }))
    };
    let mut same = None;
    for codings in ASKED {
        let (coding, body) = server.page(codings, MAX_PAGE_LEN).map_err(OnlineError::explained)?;
        let asked = format!("asked for with Accept-Encoding: {codings}");
        let Some(page) = decoded(&coding, &body) else {
            let coding = text::truncate(&text::visible(&coding), SHOWN);
            return differs(format!("{asked}, what came cannot be decoded ({coding})"));
        };
        let digest = Digest::of(&page);
        if manifest.pages.is_empty() {
            return Ok(Err(Difference {
                what: "page",
                how: format!(
                    "it is {digest}, and the manifest of epoch {} names none",
                    manifest.epoch
                ),
                next: "the keyholders look at the page and name it: marram-keyholder issue --page FILE. Until then nobody can \
                       tell a false page from the right one",
            }));
        }
        if !manifest.pages.contains(&digest) {
            return differs(format!(
                "{asked}, it is {digest}, which is none of those that the manifest of epoch {} names",
                manifest.epoch
            ));
        }
        if same.is_some_and(|same| same != digest) {
            return differs(format!(
                "{asked}, it is {digest}: another signed page than asked for otherwise"
            ));
        }
        same = Some(digest);
    }
    same.map_or_else(|| differs("it was not asked for".to_owned()), |digest| Ok(Ok(digest)))
}

/// At most [`MAX_PAGE_LEN`] bytes: a few compressed ones can become any number.
fn decoded(coding: &str, body: &[u8]) -> Option<Vec<u8>> {
    let mut page = Vec::new();
    let limit = MAX_PAGE_LEN + 1;
    match coding {
        "" | "identity" => body.take(limit).read_to_end(&mut page),
        "gzip" => GzDecoder::new(body).take(limit).read_to_end(&mut page),
        "br" => Decompressor::new(body, 4096).take(limit).read_to_end(&mut page),
        _ => return None,
    }
    .ok()?;
    (page.len() as u64 <= MAX_PAGE_LEN).then_some(page)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_few_bytes_that_become_very_many_are_no_page() {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        let mut brotli = brotli::CompressorWriter::new(Vec::new(), 4096, 9, 22);
        let zeros = vec![0; 5 << 20];
        gzip.write_all(&zeros).unwrap();
        brotli.write_all(&zeros).unwrap();
        let bombs = [("gzip", gzip.finish().unwrap()), ("br", brotli.into_inner())];
        for (coding, bomb) in bombs {
            assert!(bomb.len() < 10_000);
            assert_eq!(decoded(coding, &bomb), None, "{coding}");
        }
        for (coding, body) in [("zstd", b"x".as_slice()), ("gzip", b"<html>"), ("br", b"<html>")] {
            assert_eq!(decoded(coding, body), None, "{coding}");
        }
    }
}
