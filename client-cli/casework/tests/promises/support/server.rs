//! What a server holds, and a courier brings in a bundle.

use std::{fs, path::Path};

use marram_crypto::{
    bundle::BundleWriter,
    checkpoint,
    day::{Day, Epoch},
    digest::Digest,
    instance::InstanceId,
    leaf::Leaf,
    manifest::Manifest,
    tree::{Head, Tree},
};

use super::{organization, today};

/// What a server holds, and a courier carries.
#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) chain: String,
    pub(crate) instance: InstanceId,
    /// The leaves before those that the bundle has.
    pub(crate) before: Vec<Leaf>,
    /// Where the bundle says that its leaves begin, if that is a lie.
    pub(crate) from: Option<u64>,
    pub(crate) leaves: Vec<Leaf>,
    /// The checkpoint's day; none for a bundle without one.
    pub(crate) day: Option<Day>,
    /// A checkpoint that is not of these leaves.
    pub(crate) checkpoint: Option<Vec<u8>>,
    pub(crate) orders: Vec<(u64, Vec<u8>)>,
    pub(crate) canaries: Vec<(String, Vec<u8>)>,
    pub(crate) manifests: Vec<(Epoch, u32, Vec<u8>)>,
    pub(crate) reports: Vec<(Digest, Vec<u8>)>,
}

impl Server {
    /// With this week's manifest.
    pub(crate) fn new() -> Self {
        let organization = organization();
        let mut server = Self::empty();
        server.publish(&organization.manifest(organization.epoch, 1));
        server
    }

    pub(crate) fn empty() -> Self {
        let chain = &organization().chain;
        Self {
            chain: chain.to_json(),
            instance: chain.instance(),
            before: vec![],
            from: None,
            leaves: vec![],
            day: Some(today()),
            checkpoint: None,
            orders: vec![],
            canaries: vec![],
            manifests: vec![],
            reports: vec![],
        }
    }

    /// What the next bundle begins with: everything that is here was carried away.
    pub(crate) fn carried(&mut self) {
        self.before.append(&mut self.leaves);
        self.reports.clear();
    }

    /// The tree of all leaves there are.
    pub(crate) fn tree(&self) -> Tree {
        self.before.iter().chain(&self.leaves).collect()
    }

    pub(crate) fn sign(&self, head: Head, day: Day) -> Vec<u8> {
        let log = &organization().roots()[0];
        checkpoint::sign(self.instance, head, day, log).unwrap().to_bytes()
    }

    pub(crate) fn publish(&mut self, manifest: &Manifest) {
        self.publish_note(manifest.epoch, manifest.version, manifest.to_bytes());
    }

    pub(crate) fn publish_note(&mut self, epoch: Epoch, version: u32, note: Vec<u8>) {
        self.manifests.push((epoch, version, note));
    }

    /// Takes a report in this week.
    pub(crate) fn accept(&mut self, ciphertext: Vec<u8>) {
        self.accept_in(organization().epoch, ciphertext);
    }

    pub(crate) fn accept_in(&mut self, epoch: Epoch, ciphertext: Vec<u8>) {
        self.accept_on(epoch.opens(), epoch, ciphertext);
    }

    pub(crate) fn accept_on(&mut self, day: Day, epoch: Epoch, ciphertext: Vec<u8>) {
        assert!(ciphertext.len().is_power_of_two());
        let leaf = Leaf {
            digest: Digest::of(&ciphertext),
            epoch,
            day,
            log2_size: u8::try_from(ciphertext.len().ilog2()).unwrap(),
        };
        self.leaves.push(leaf);
        self.reports.push((leaf.digest, ciphertext));
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bundle = BundleWriter::new(Vec::new());
        bundle.charter(self.chain.as_bytes()).unwrap();
        let signed = self.day.map(|day| self.sign(self.tree().head(), day));
        if let Some(checkpoint) = self.checkpoint.as_ref().or(signed.as_ref()) {
            bundle.checkpoint(checkpoint).unwrap();
        }
        let from = self.from.unwrap_or(self.before.len() as u64);
        bundle.leaves(self.instance, from, &self.leaves).unwrap();
        for (epoch, version, note) in &self.manifests {
            bundle.manifest(*epoch, *version, note).unwrap();
        }
        for (index, note) in &self.orders {
            bundle.order(*index, note).unwrap();
        }
        for (name, receipt) in &self.canaries {
            bundle.canary(name, receipt).unwrap();
        }
        for (digest, body) in &self.reports {
            bundle.report(*digest, body.len() as u64, body.as_slice()).unwrap();
        }
        bundle.finish().unwrap()
    }

    pub(crate) fn write(&self, path: &Path) {
        fs::write(path, self.bytes()).unwrap();
    }
}
