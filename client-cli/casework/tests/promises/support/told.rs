//! What an honest or hostile stranger seals.

use std::{
    cell::RefCell,
    io::{self, Read, Write},
    rc::Rc,
};

use marram_crypto::{
    bucket,
    codename::Codename,
    hybrid::Recipient,
    seal::{Content, Draft, Measure, Target},
    secret::SecretBytes,
    ustar::Entry,
};
use serde_json::value::RawValue;

use super::{CODENAME, organization};

pub(crate) fn codename(seed: u8) -> Codename {
    Codename::from_entropy(SecretBytes::from([seed; 16]))
}

pub(crate) fn incident(narrative: &str) -> String {
    serde_json::json!({"narrative": narrative}).to_string().replacen(
        '{',
        r#"{"schema":"marram/incident/v1","reporter":{"role":"relative","language":"zh-Hans"},
           "target":{"home_country":{"country":"CN","subdivision":"CN-XJ"},"host_country":{"country":"TR"}},
           "relative":[{"relation":"parent","country":{"country":"CN"},"status":"held"}],
           "act":[{"method":"F01","date":"2026-03","victim":"relative[0]","demand":["return","silence"]}],
           "consent":{"store":true},"#,
        1,
    )
}

/// A report that is to be sealed.
pub(crate) struct Told {
    pub(crate) codename: u8,
    pub(crate) continues: bool,
    pub(crate) incident: String,
    pub(crate) attachments: Vec<Vec<u8>>,
}

impl Told {
    pub(crate) fn new(narrative: &str) -> Self {
        Self {
            codename: CODENAME,
            continues: false,
            incident: incident(narrative),
            attachments: vec![],
        }
    }

    pub(crate) fn seal(&self, target: &Target) -> Vec<u8> {
        let measured: Vec<_> = self
            .attachments
            .iter()
            .map(|bytes| Measure::of(bytes.as_slice()).unwrap())
            .collect();
        let content = Content {
            continues: self.continues,
            answers: [("heard".to_owned(), "from a friend".to_owned())].into(),
            incident: RawValue::from_string(self.incident.clone()).unwrap(),
        };
        let draft = Draft::new(target, &codename(self.codename), content, &measured).unwrap();
        let mut sealed = Vec::new();
        let open = |index: usize| Ok(Box::new(io::Cursor::new(self.attachments[index].clone())) as Box<dyn Read>);
        draft.seal(&mut sealed, open).unwrap();
        sealed
    }
}

/// This week's first manifest.
pub(crate) fn target() -> Target {
    let organization = organization();
    Target::from(&organization.manifest(organization.epoch, 1))
}

pub(crate) fn sealed(narrative: &str) -> Vec<u8> {
    Told::new(narrative).seal(&target())
}

/// The recipients of this week's slots.
pub(crate) fn recipients() -> Vec<Recipient> {
    let slots = organization().slots(organization().epoch);
    slots.into_iter().map(|slot| slot.recipient).collect()
}

/// The fields of `report.json`, as an honest program writes them.
pub(crate) fn report_json(narrative: &str) -> String {
    let target = organization().manifest(organization().epoch, 1);
    let codename = codename(CODENAME);
    let reply_key = serde_json::to_string(&codename.reply_key()).unwrap();
    format!(
        r#"{{"type":"marram/report/v1","instance":"{}","epoch":{},"manifest":"{}","codename_key":"{}","reply_key":{reply_key},"continues":false,"attachments":[],"answers":{{}},"incident":{}}}"#,
        target.instance,
        target.epoch,
        target.hash(),
        codename.signing_key().public(),
        incident(narrative),
    )
}

/// One entry of a payload, or bytes as they are.
pub(crate) enum Part<'a> {
    Entry(&'a str, &'a [u8]),
    /// An entry that says another length than it has.
    Lying(&'a str, u64, &'a [u8]),
    Raw(&'a [u8]),
}

/// Seals any payload to exactly one bucket, as only an attacker would.
pub(crate) fn seal_parts(recipients: &[Recipient], size: u64, parts: &[Part<'_>]) -> Vec<u8> {
    let mut payload = Vec::new();
    for part in parts {
        let (path, len, bytes) = match part {
            Part::Raw(bytes) => {
                payload.extend_from_slice(bytes);
                continue;
            }
            Part::Entry(path, bytes) => (*path, bytes.len() as u64, *bytes),
            Part::Lying(path, len, bytes) => (*path, *len, *bytes),
        };
        let entry = Entry::new(path, len);
        payload.extend_from_slice(&entry.header().unwrap());
        payload.extend_from_slice(bytes);
        payload.resize(payload.len().next_multiple_of(512), 0);
    }
    loop {
        let output = Shared::default();
        let encryptor = age::Encryptor::with_recipients(recipients.iter().map(|recipient| recipient as _)).unwrap();
        let mut writer = encryptor.wrap_output(output.clone()).unwrap();
        let header_len = output.0.borrow().len() as u64;
        // Rarely no fill gives the exact length: another header has another length.
        if let Some(payload_len) = bucket::payload_len(size - header_len) {
            payload.resize(usize::try_from(payload_len).unwrap(), 0);
            writer.write_all(&payload).unwrap();
            writer.finish().unwrap();
            return output.0.take();
        }
    }
}

#[derive(Clone, Default)]
struct Shared(Rc<RefCell<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
