//! The charter and the manifests of a bundle.

use anyhow::Context as _;
use marram_crypto::{
    charter::{CharterError, UntrustedCharterChain},
    manifest::UntrustedManifest,
};
use marram_terminal::error::ResultExt as _;

use super::{Importer, summary::CharterNews};

impl Importer<'_> {
    /// The bundle's chain must hold the charter that was compared at enrolment, and everything seen since.
    pub(super) fn charter(&mut self, json: &[u8]) -> anyhow::Result<()> {
        let refused = "the charter in this bundle is refused, and with it the bundle";
        let offered = UntrustedCharterChain::parse(json)
            .and_then(|chain| chain.verify(self.chain.pinned()))
            .context(refused)
            .hint("nothing of this bundle was imported: ask the courier where it comes from, and the keyholders")?;
        match offered.extends(&self.chain) {
            Ok(()) if offered.charters().len() == self.chain.charters().len() => {
                self.summary.charter = CharterNews::Known;
            }
            Ok(()) => {
                let changes = self.unlocked.casebook.change()?;
                changes.set_charter(&offered)?;
                changes.commit()?;
                self.chain = offered;
                self.summary.charter = CharterNews::Extended;
            }
            // An old bundle, imported again; or a server that goes back. The newer chain stays.
            Err(error @ CharterError::Rollback { .. }) => {
                self.summary.charter = CharterNews::Older;
                self.summary.warn("charter rollback", &error);
            }
            Err(error) => {
                return Err(error)
                    .context(refused)
                    .hint("nothing of this bundle was imported: call the keyholders, and keep the bundle as evidence");
            }
        }
        Ok(())
    }

    /// A manifest that cannot be believed is named and left out; the import goes on.
    pub(super) fn manifest(&mut self, note: &[u8]) -> anyhow::Result<()> {
        let verified = UntrustedManifest::parse(note).and_then(|manifest| manifest.verify_for_opening(&self.chain));
        let manifest = match verified {
            Ok(manifest) => manifest,
            Err(error) => {
                self.summary.manifests.refused += 1;
                self.summary.warn("refused manifest", &error);
                return Ok(());
            }
        };
        let (epoch, version) = (manifest.epoch, manifest.version);
        let casebook = &mut self.unlocked.casebook;
        if let Some(seen) = casebook.manifest_hash(epoch, version)? {
            if seen == manifest.hash() {
                self.summary.manifests.known += 1;
            } else {
                self.summary.manifests.refused += 1;
                let what = format!(
                    "the keyholders' keys have signed two manifests of epoch {epoch}, version {version}: {seen} was seen \
                     first and stays, {} is refused; tell the keyholders",
                    manifest.hash()
                );
                self.summary.warn("manifest equivocation", &what);
            }
            return Ok(());
        }
        // Against what was known before this bundle: within it, versions come in any order.
        let highest = match self.highest.get(&epoch) {
            Some(highest) => *highest,
            None => casebook.highest_version(epoch)?,
        };
        self.highest.insert(epoch, highest);
        if manifest.check_not_older_than(highest).is_err() {
            // Nothing is sealed here: it serves only to open, and who kept it back must not make reports unreadable.
            let what = format!(
                "epoch {epoch}, version {version} came after version {highest}; it is kept to open what was sealed under \
                 it, and version {highest} stays the newest"
            );
            self.summary.warn("older version arrived late", &what);
        }
        let changes = casebook.change()?;
        changes.add_manifest(&manifest)?;
        changes.commit()?;
        self.summary.manifests.new += 1;
        Ok(())
    }
}
