//! Sending a sealed report, and what to do when that fails.

use std::{
    fs::File,
    io::{self, Read, Seek as _, Write as _},
    path::Path,
    sync::Arc,
};

use anyhow::{Context as _, Result};
use marram_crypto::{
    bucket,
    digest::Hasher,
    fingerprint::Link,
    header::{self, SealedHeader},
    receipt::Receipt,
};
use marram_online::{
    client::Client,
    clock::today,
    proxy::OnlineArgs,
    report::{NotSent, Sealed},
};
use marram_terminal::{
    error::{ResultExt as _, fail, usage},
    files::{AtomicFile, Existing, atomic_write},
    interrupt::Interruptible,
    output::Output,
    text,
};

use crate::{SendArgs, organization::Organization};

/// Why a report is not with the organization.
#[derive(Debug)]
pub(crate) struct Unsent(pub(crate) anyhow::Error);

/// Writes a sealed report to a file, whole or not at all.
pub(crate) fn save(sealed: &Sealed, path: &Path) -> Result<()> {
    let mut file = AtomicFile::create(path, 0o600, Existing::Keep)?;
    io::copy(&mut Interruptible(sealed.reader()), &mut file)
        .with_context(|| format!("cannot write {}", path.display()))?;
    file.flush()
        .with_context(|| format!("cannot write {}", path.display()))?;
    Ok(file.commit()?)
}

/// Sends it, again if the connection breaks, and verifies the receipt.
pub(crate) fn send(
    out: &Output,
    link: &Link,
    args: &OnlineArgs,
    organization: &Organization,
    sealed: &Sealed,
) -> Result<Receipt, Unsent> {
    let client = Client::new(link, args).map_err(|error| Unsent(error.explained()))?;
    match sealed.send(out, &client, &organization.manifest, today()) {
        Ok(receipt) => Ok(receipt),
        Err(NotSent::Online(error)) => Err(Unsent(error.explained())),
        Err(error @ NotSent::Receipt(_)) => Err(error)
            .context("the report was sent: do not count on it having arrived")
            .hint("send it again later; if that happens again, tell the organization by another way")
            .map_err(Unsent),
    }
}

/// Keeps a receipt in a file.
pub(crate) fn keep_receipt(out: &Output, path: Option<&Path>, receipt: &Receipt) -> Result<()> {
    let Some(path) = path else { return Ok(()) };
    atomic_write(path, &receipt.to_bytes(), 0o600, Existing::Keep)
        .context("the report has arrived, but its receipt could not be kept")?;
    out.warning(format!(
        "the receipt lies in {}. It shows whoever finds it that this computer sent a report, and on which day; it shows \
         nothing of what the report says",
        path.display()
    ));
    Ok(())
}

/// `marram-submit send`
pub(crate) fn send_file(out: &Output, args: &SendArgs) -> Result<()> {
    let link = args.organization.link.as_ref();
    let link = link.ok_or_else(|| usage("name the organization's link after the file: https://HOST/#FINGERPRINT"))?;
    // Before anybody on the way can see that this computer asks for the organization.
    let file = File::open(&args.sealed).with_context(|| format!("cannot read {}", args.sealed.display()))?;
    let organization = Organization::find(out, link, &args.organization)?;
    let sealed = open(out, args, file, &organization)?;
    let receipt = send(out, link, &args.organization.online, &organization, &sealed).map_err(|Unsent(error)| error)?;
    out.line(format!(
        "sent: the server of {} has taken it, and its receipt is valid",
        text::visible(organization.name())
    ));
    keep_receipt(out, args.receipt.as_deref(), &receipt)?;
    out.json(&serde_json::json!({
        "sent": true,
        "digest": sealed.digest,
        "size_bytes": sealed.size,
        "epoch": sealed.epoch,
        "day": receipt.leaf().day,
    }));
    Ok(())
}

/// Opens a sealed report, after a look at whether it is one.
fn open(out: &Output, args: &SendArgs, file: File, organization: &Organization) -> Result<Sealed> {
    let path = &args.sealed;
    let cannot = || format!("cannot read {}", path.display());
    let size = file.metadata().with_context(cannot)?.len();
    let manifest = &organization.manifest;
    let slots = manifest.slots.len();
    let mut start = Vec::new();
    let longest = header::prefix_len(slots) as u64;
    (&file).take(longest).read_to_end(&mut start).with_context(cannot)?;
    if SealedHeader::check(&start, slots).is_err() || !bucket::is_bucket(size, slots, manifest.limit) {
        return Err(fail(
            format!("{} is not a report sealed for this organization", path.display()),
            "name a file that marram-submit has sealed",
        ));
    }
    let progress = out.bytes("measuring", size);
    let mut hasher = Hasher::new();
    (&file).rewind().with_context(cannot)?;
    let mut content = progress.reader(Interruptible(&file));
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match content.read(&mut buffer).with_context(cannot)? {
            0 => break,
            got => hasher.update(&buffer[..got]),
        }
    }
    drop(content);
    Ok(Sealed {
        file: Arc::new(file),
        digest: hasher.finish(),
        size,
        epoch: args.epoch.unwrap_or(manifest.epoch),
    })
}
