//! Reports that opened and verified.

use marram_crypto::{
    day::{Day, Epoch},
    digest::Digest,
    key::{PublicKey, SigningKey},
    report::Report,
};
use rusqlite::{OptionalExtension as _, Row, params};
use zeroize::Zeroizing;

use super::{Casebook, CasebookError, Changes, Result, unsigned};

/// How a report stands to the others under its codename.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Continuity {
    /// The first under its codename.
    First,
    /// Continues the first report under its codename, as it says.
    FollowUp,
    /// Under a codename that is known, but it does not say that it continues anything.
    SameCodename,
    /// Says that it continues a report, and none under its codename is known: it is under another codename, or what it
    /// continues was not imported.
    ContinuesNothing,
    /// Under a codename that is known, with another reply key: answers would go to somebody else.
    AnotherReplyKey,
    /// With the reply key of a known report, under another codename.
    AnotherCodename,
}

/// The flag of a report that no leaf names.
pub const NOT_IN_LOG: &str = "not in the log as this casebook knows it";
/// The flag of a report whose leaf names an epoch far from its own, or another size.
pub const RELABELLED: &str = "relabelled leaf";

impl Continuity {
    const ALL: [Self; 6] = [
        Self::First,
        Self::FollowUp,
        Self::SameCodename,
        Self::ContinuesNothing,
        Self::AnotherReplyKey,
        Self::AnotherCodename,
    ];

    /// Its name in the casebook and in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::FollowUp => "follow_up",
            Self::SameCodename => "same_codename",
            Self::ContinuesNothing => "continues_nothing_known",
            Self::AnotherReplyKey => "another_reply_key",
            Self::AnotherCodename => "another_codename",
        }
    }

    /// A few words about it, with the report that it is compared with. None if there is nothing to say.
    pub fn flag(self, first: Option<i64>) -> Option<String> {
        let first = first.map(|first| format!(" #{first}")).unwrap_or_default();
        match self {
            Self::First => None,
            Self::FollowUp => Some(format!("follow-up of{first}")),
            Self::SameCodename => Some(format!("same codename as{first}")),
            Self::ContinuesNothing => Some("continues nothing known".to_owned()),
            Self::AnotherReplyKey => Some(format!("another reply key than{first}")),
            Self::AnotherCodename => Some(format!("a follow-up under another codename than{first}")),
        }
    }
}

/// A report to be kept.
#[derive(Debug)]
pub struct NewReport<'a> {
    /// The id it will have, from [`Changes::next_report_id`].
    pub id: i64,
    /// SHA-256 of the ciphertext.
    pub digest: Digest,
    /// Length of the ciphertext.
    pub size_bytes: u64,
    /// What it says.
    pub report: &'a Report,
    /// The bytes of `report.json`.
    pub report_json: &'a [u8],
    /// The codename's signature over them.
    pub signature: &'a [u8; SigningKey::SIGNATURE_LEN],
    /// Positions of the slots that were not given the key.
    pub unsealed_slots: &'a [usize],
    /// How it stands to the others under its codename.
    pub continuity: Continuity,
    /// The first report under its codename, or else with its reply key, if it is a later one.
    pub first_report: Option<i64>,
    /// What is wrong with the incident, if it could not be read.
    pub parse_fault: Option<String>,
    /// The line that a list shows.
    pub headline: String,
    /// The methods, separated by spaces.
    pub methods: String,
    /// The home country, or nothing.
    pub home_country: String,
    /// The name of the canary that it is, if it is one.
    pub canary: Option<&'a str>,
}

/// What is known of a report's ciphertext.
#[derive(Clone, Copy, Debug)]
pub struct Sealed {
    /// Whose key opened it.
    pub epoch: Epoch,
    /// Its length.
    pub size_bytes: u64,
}

/// What a list shows of a report.
#[derive(Clone, Debug)]
pub struct Listed {
    /// The number by which caseworkers know it.
    pub id: i64,
    /// The day on which the server accepted it, if a leaf says so.
    pub day: Option<Day>,
    /// The line that says who, what, where, when.
    pub headline: String,
    /// The methods, separated by spaces.
    pub methods: String,
    /// The home country, or nothing.
    pub home_country: String,
    /// How many attachments it has.
    pub attachments: u32,
    /// Positions of the slots that were not given the key.
    pub unsealed_slots: Vec<usize>,
    /// How it stands to the others under its codename.
    pub continuity: Continuity,
    /// The first report under its codename, or else with its reply key, if it is a later one.
    pub first_report: Option<i64>,
    /// Whether the incident could not be read.
    pub unreadable: bool,
    /// How often the same report was sent again.
    pub repeats: u32,
    /// Whether a leaf of the log, as it is known here, names it.
    pub in_log: bool,
    /// Whether its leaf names an epoch far from its own, or another size.
    pub relabelled: bool,
}

/// A report with everything that is kept of it.
#[derive(Debug)]
pub struct Kept {
    /// What a list shows.
    pub listed: Listed,
    /// The bytes of `report.json`.
    pub report_json: Vec<u8>,
    /// What is wrong with the incident, if it could not be read.
    pub parse_fault: Option<String>,
    /// The place of its leaf in the log, if one names it.
    pub leaf: Option<u64>,
    /// SHA-256 of the ciphertext.
    pub digest: Digest,
    /// The epoch for which it was sealed.
    pub epoch: Epoch,
    /// The manifest under which it was sealed.
    pub manifest: Digest,
    /// The public key of its codename.
    pub codename_key: PublicKey,
    /// Other reports under the same codename, oldest first.
    pub same_codename: Vec<i64>,
}

impl Listed {
    /// What is remarkable about it, in a few words each.
    pub fn flags(&self) -> Vec<String> {
        let mut flags = Vec::new();
        if !self.in_log {
            flags.push(NOT_IN_LOG.to_owned());
        }
        if self.relabelled {
            flags.push(RELABELLED.to_owned());
        }
        if !self.unsealed_slots.is_empty() {
            flags.push("partly sealed".to_owned());
        }
        flags.extend(self.continuity.flag(self.first_report));
        if self.unreadable {
            flags.push("unreadable".to_owned());
        }
        if self.repeats > 0 {
            flags.push(format!("sent {} times", self.repeats + 1));
        }
        flags
    }
}

const LISTED: &str = "report.id, leaf.day, headline, methods, home_country,
    (SELECT count(*) FROM attachment WHERE attachment.report = report.id),
    unsealed_slots, continuity, first_report, parse_fault IS NOT NULL,
    (SELECT count(*) FROM outcome AS again WHERE again.report = report.id AND again.outcome = 'repeat'),
    coalesce(abs(leaf.epoch - report.epoch) >= 2 OR 1 << leaf.log2_size <> report.size_bytes, FALSE)";
/// A leaf may name its report later, or never; of several, the first counts.
const WITH_LEAF: &str = "report LEFT JOIN leaf
    ON leaf.idx = (SELECT min(idx) FROM leaf AS named WHERE named.digest = report.digest)";

impl Casebook {
    /// Gives each report to `each`, oldest first; not those that couriers sent themselves.
    ///
    /// # Errors
    /// [`CasebookError`].
    pub fn list(&self, mut each: impl FnMut(Listed)) -> Result<()> {
        let sql = format!("SELECT {LISTED} FROM {WITH_LEAF} WHERE canary IS NULL ORDER BY report.id");
        let mut query = self.db.prepare(&sql)?;
        let mut rows = query.query([])?;
        while let Some(row) = rows.next()? {
            each(listed(row)?);
        }
        Ok(())
    }

    /// How many reports there are, and the highest id.
    ///
    /// # Errors
    /// [`CasebookError`].
    pub fn count_reports(&self) -> Result<(u64, i64)> {
        let sql = "SELECT count(*), coalesce(max(id), 0) FROM report WHERE canary IS NULL";
        let (count, last) = self.db.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok((unsigned(count)?, last))
    }

    /// What is known of the ciphertext with this digest from which a report was opened.
    ///
    /// # Errors
    /// [`CasebookError`].
    pub fn sealed(&self, id: i64, digest: Digest) -> Result<Option<Sealed>> {
        let sql = "SELECT epoch, size_bytes FROM report WHERE id = ?1 AND digest = ?2";
        let mut query = self.db.prepare_cached(sql)?;
        let found = query.query_row(params![id, digest.as_bytes()], |row| Ok((row.get(0)?, row.get(1)?)));
        found
            .optional()?
            .map(|(epoch, size)| {
                Ok(Sealed {
                    epoch: super::epoch(epoch)?,
                    size_bytes: unsigned(size)?,
                })
            })
            .transpose()
    }

    /// The number of the report that was opened from this ciphertext, or from one that says the same word for word.
    ///
    /// # Errors
    /// [`CasebookError`].
    pub fn report_of(&self, digest: Digest) -> Result<Option<i64>> {
        Ok(self.outcome(digest)?.and_then(|(_, report)| report))
    }

    /// The report with this id.
    ///
    /// # Errors
    /// [`CasebookError`].
    pub fn report(&self, id: i64) -> Result<Option<Kept>> {
        let sql = format!(
            "SELECT {LISTED}, report_json, parse_fault, leaf.idx, report.digest, report.epoch, manifest, codename_key
             FROM {WITH_LEAF} WHERE report.id = ?1"
        );
        let mut query = self.db.prepare(&sql)?;
        let mut rows = query.query([id])?;
        let Some(row) = rows.next()? else { return Ok(None) };
        let codename_key: [u8; PublicKey::LEN] = row.get(18)?;
        let mut same = self
            .db
            .prepare("SELECT id FROM report WHERE codename_key = ?1 AND id <> ?2 ORDER BY id")?;
        let same_codename = same.query_map(params![codename_key, id], |row| row.get(0))?;
        Ok(Some(Kept {
            listed: listed(row)?,
            report_json: row.get(12)?,
            parse_fault: row.get(13)?,
            leaf: row.get::<_, Option<i64>>(14)?.map(unsigned).transpose()?,
            digest: Digest::from_bytes(row.get(15)?),
            epoch: super::epoch(row.get(16)?)?,
            manifest: Digest::from_bytes(row.get(17)?),
            codename_key: PublicKey::from_bytes(&codename_key)
                .map_err(|_| CasebookError::Damaged("a codename's key is none"))?,
            same_codename: same_codename.collect::<rusqlite::Result<_>>()?,
        }))
    }
}

impl Changes<'_> {
    /// The id that the next report will have. Ids are never given twice.
    ///
    /// # Errors
    /// [`CasebookError`].
    pub fn next_report_id(&self) -> Result<i64> {
        let sql = "SELECT coalesce(max(seq), 0) + 1 FROM sqlite_sequence WHERE name = 'report'";
        Ok(self.tx.prepare_cached(sql)?.query_row([], |row| row.get(0))?)
    }

    /// The report with exactly these bytes of `report.json`.
    ///
    /// # Errors
    /// [`CasebookError`].
    pub fn find_report(&self, report_json: &[u8]) -> Result<Option<i64>> {
        let sql = "SELECT id FROM report WHERE report_sha256 = ?1";
        let digest = Digest::of(report_json);
        let mut query = self.tx.prepare_cached(sql)?;
        Ok(query.query_row([digest.as_bytes()], |row| row.get(0)).optional()?)
    }

    /// The first report under this codename.
    ///
    /// # Errors
    /// [`CasebookError`].
    pub fn first_under(&self, codename_key: &PublicKey) -> Result<Option<(i64, Report)>> {
        self.first("codename_key = ?1", codename_key.as_bytes())
    }

    /// The first report with the same reply key, which another codename signed.
    ///
    /// # Errors
    /// [`CasebookError`].
    pub fn first_with_reply_key_of(&self, report: &Report) -> Result<Option<(i64, Report)>> {
        self.first("reply_key_sha256 = ?1", reply_key_sha256(report)?.as_bytes())
    }

    fn first(&self, condition: &str, parameter: &[u8; 32]) -> Result<Option<(i64, Report)>> {
        let sql = format!("SELECT id, report_json FROM report WHERE {condition} ORDER BY id LIMIT 1");
        let mut query = self.tx.prepare_cached(&sql)?;
        let first = query.query_row([parameter], |row| Ok((row.get(0)?, row.get::<_, Vec<u8>>(1)?)));
        let damaged = |_| CasebookError::Damaged("a report in it cannot be read");
        first
            .optional()?
            .map(|(id, json)| Ok((id, Report::parse(&json).map_err(damaged)?)))
            .transpose()
    }

    /// Keeps a report.
    ///
    /// # Errors
    /// [`CasebookError`].
    pub fn add_report(&self, new: &NewReport<'_>) -> Result<()> {
        let mut insert = self.tx.prepare_cached(
            "INSERT INTO report (id, digest, size_bytes, epoch, manifest, report_sha256, report_json, signature,
                codename_key, reply_key_sha256, unsealed_slots, continuity, first_report, parse_fault, headline,
                methods, home_country, canary)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)",
        )?;
        insert.execute(params![
            new.id,
            new.digest.as_bytes(),
            super::signed(new.size_bytes)?,
            new.report.epoch.number(),
            new.report.manifest.as_bytes(),
            Digest::of(new.report_json).as_bytes(),
            new.report_json,
            new.signature,
            new.report.codename_key.as_bytes(),
            reply_key_sha256(new.report)?.as_bytes(),
            serde_json::json!(new.unsealed_slots).to_string(),
            new.continuity.as_str(),
            new.first_report,
            new.parse_fault,
            new.headline,
            new.methods,
            new.home_country,
            new.canary,
        ])?;
        Ok(())
    }
}

/// To find reports by it: the key itself stands only in `report.json`.
fn reply_key_sha256(report: &Report) -> Result<Digest> {
    let key = serde_json::to_vec(&report.reply_key).map(Zeroizing::new);
    let key = key.map_err(|_| CasebookError::Damaged("a reply key cannot be written"))?;
    Ok(Digest::of(&key))
}

fn listed(row: &Row<'_>) -> Result<Listed> {
    let slots: String = row.get(6)?;
    let continuity: String = row.get(7)?;
    let day: Option<u32> = row.get(1)?;
    Ok(Listed {
        id: row.get(0)?,
        day: day
            .map(|day| Day::from_number(day).ok_or(CasebookError::Damaged("a day is out of range")))
            .transpose()?,
        headline: row.get(2)?,
        methods: row.get(3)?,
        home_country: row.get(4)?,
        attachments: row.get(5)?,
        unsealed_slots: serde_json::from_str(&slots).map_err(|_| CasebookError::Damaged("a list of slots is none"))?,
        continuity: Continuity::ALL
            .into_iter()
            .find(|known| known.as_str() == continuity)
            .ok_or(CasebookError::Damaged("a report's continuity is unknown"))?,
        first_report: row.get(8)?,
        unreadable: row.get(9)?,
        repeats: row.get(10)?,
        in_log: day.is_some(),
        relabelled: row.get(11)?,
    })
}
