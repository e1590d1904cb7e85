//! `report.json`: what a report binds itself to, and the incident it carries.
//!
//! ```json
//! {"type":"marram/report/v1","instance":"<32 hex>","epoch":2951,"manifest":"<64 hex>",
//!  "codename_key":"<base64>","reply_key":"<base64>","continues":false,
//!  "attachments":[{"sha256":"<64 hex>","size_bytes":1234}],"answers":{},"incident":{…}}
//! ```
//!
//! `report.sig` beside it is the 64-byte Ed25519 signature of `codename_key` over the bytes of `report.json`. The digests
//! bind the attachments to that signature. What stands under `incident` is another layer's business.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{codename::ReplyKey, day::Epoch, digest::Digest, instance::InstanceId, key::PublicKey, strict_json};

/// The first field's value.
pub const TYPE: &str = "marram/report/v1";
/// `report.json` has at most this many bytes.
pub const MAX_LEN: u64 = 1024 * 1024;
/// A report has at most this many attachments.
pub const MAX_ATTACHMENTS: usize = 99;

/// The fields of `report.json`.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// Always [`TYPE`].
    #[serde(rename = "type")]
    pub(crate) kind: String,
    /// The instance it was written for: moved to another one, it is refused.
    pub instance: InstanceId,
    /// The epoch of the manifest it was sealed under.
    pub epoch: Epoch,
    /// The hash of that manifest.
    pub manifest: Digest,
    /// The public key of the codename.
    pub codename_key: PublicKey,
    /// The key that answers to this codename are sealed to.
    pub reply_key: ReplyKey,
    /// Whether the submitter says that it continues an earlier report under the same codename.
    pub continues: bool,
    /// The attachments, in the order in which they follow.
    #[serde(deserialize_with = "strict_json::objects")]
    pub attachments: Vec<Attachment>,
    /// Answers to the organization's own questions, by the question's id.
    pub answers: BTreeMap<String, String>,
    /// The incident, as JSON.
    pub incident: Box<RawValue>,
}

/// Length and digest of an attachment; its name stands in the incident only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attachment {
    /// SHA-256 of its bytes.
    pub sha256: Digest,
    /// Its length in bytes.
    pub size_bytes: u64,
}

/// What was wrong with a `report.json`.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// Not UTF-8.
    #[error("report.json is not UTF-8")]
    Utf8,
    /// Malformed JSON, an unknown or missing field, a key that stands twice.
    #[error("report.json is malformed: {0}")]
    Json(#[from] serde_json::Error),
    /// Another type or version.
    #[error("report.json says it is {0:?}; this program knows {TYPE}")]
    Type(String),
    /// More than [`MAX_ATTACHMENTS`].
    #[error("{0} attachments, and {MAX_ATTACHMENTS} is the limit")]
    Attachments(usize),
    /// More than [`MAX_LEN`] bytes.
    #[error("report.json has {0} bytes, and {MAX_LEN} is the limit")]
    TooLarge(u64),
}

impl Report {
    /// Reads the bytes of `report.json`.
    ///
    /// # Errors
    /// [`ReportError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, ReportError> {
        let text = std::str::from_utf8(bytes).map_err(|_| ReportError::Utf8)?;
        let report: Self = strict_json::from_str(text)?;
        report.check(bytes.len() as u64)?;
        Ok(report)
    }

    /// The bytes of `report.json`.
    ///
    /// # Errors
    /// [`ReportError`] for what [`Self::parse`] would refuse.
    pub fn to_json(&self) -> Result<Vec<u8>, ReportError> {
        let bytes = serde_json::to_vec(self)?;
        self.check(bytes.len() as u64)?;
        Ok(bytes)
    }

    fn check(&self, len: u64) -> Result<(), ReportError> {
        if self.kind != TYPE {
            return Err(ReportError::Type(self.kind.chars().take(100).collect()));
        }
        if self.attachments.len() > MAX_ATTACHMENTS {
            return Err(ReportError::Attachments(self.attachments.len()));
        }
        if len > MAX_LEN {
            return Err(ReportError::TooLarge(len));
        }
        Ok(())
    }
}

/// A report names people: `Debug` shows what binds it, and nothing of what it says.
impl fmt::Debug for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Report")
            .field("instance", &self.instance)
            .field("epoch", &self.epoch)
            .field("manifest", &self.manifest)
            .finish_non_exhaustive()
    }
}
