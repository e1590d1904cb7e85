//! The charter chain and the manifests: what was verified, and the memory against forks, rollback and equivocation.

use marram_crypto::{
    charter::{CharterChain, UntrustedCharterChain},
    day::Epoch,
    digest::Digest,
    manifest::{Manifest, UntrustedManifest},
};
use rusqlite::{OptionalExtension as _, Row, params};

use super::{Casebook, CasebookError, Changes, Result};

impl Casebook {
    /// The charter chain, verified again from the fingerprint that the caseworker compared.
    ///
    /// # Errors
    /// [`CasebookError`].
    pub fn charter(&self) -> Result<CharterChain> {
        let stored = self.db.query_row("SELECT pinned, chain FROM charter", [], |row| {
            Ok((row.get::<_, [u8; 32]>(0)?, row.get::<_, String>(1)?))
        });
        let (pinned, chain) = stored.optional()?.ok_or(CasebookError::Damaged("it has no charter"))?;
        Ok(UntrustedCharterChain::parse(chain.as_bytes())?.verify(Digest::from_bytes(pinned))?)
    }

    /// The manifest with this hash, verified again under `chain`.
    ///
    /// # Errors
    /// [`CasebookError`].
    pub fn manifest(&self, hash: Digest, chain: &CharterChain) -> Result<Option<Manifest>> {
        let note = self
            .db
            .query_row("SELECT note FROM manifest WHERE hash = ?1", [hash.as_bytes()], note)
            .optional()?;
        note.map(|note| verified(&note, chain)).transpose()
    }

    /// The manifests of an epoch, newest version first.
    ///
    /// # Errors
    /// [`CasebookError`].
    pub fn manifests_of(&self, epoch: Epoch, chain: &CharterChain) -> Result<Vec<Manifest>> {
        let mut query = self
            .db
            .prepare_cached("SELECT note FROM manifest WHERE epoch = ?1 ORDER BY version DESC")?;
        let notes = query.query_map([epoch.number()], note)?;
        notes.map(|note| verified(&note?, chain)).collect()
    }

    /// The highest version of an epoch's manifest that was seen; 0 if there is none.
    ///
    /// # Errors
    /// [`CasebookError`].
    pub fn highest_version(&self, epoch: Epoch) -> Result<u32> {
        let sql = "SELECT coalesce(max(version), 0) FROM manifest WHERE epoch = ?1";
        Ok(self.db.query_row(sql, [epoch.number()], |row| row.get(0))?)
    }

    /// An epoch of this range whose manifest was replaced, which drops somebody, and its highest version.
    ///
    /// # Errors
    /// [`CasebookError`].
    pub fn replaced_between(&self, first: Epoch, last: Epoch) -> Result<Option<(Epoch, u32)>> {
        let sql = "SELECT epoch, max(version) FROM manifest WHERE epoch BETWEEN ?1 AND ?2 AND version > 1
                   GROUP BY epoch ORDER BY epoch LIMIT 1";
        let found = self.db.query_row(sql, [first.number(), last.number()], |row| {
            Ok((row.get(0)?, row.get(1)?))
        });
        let found = found.optional()?;
        found
            .map(|(epoch, version)| Ok((super::epoch(epoch)?, version)))
            .transpose()
    }

    /// The hash of the manifest of this epoch and version that was seen.
    ///
    /// # Errors
    /// [`CasebookError`].
    pub fn manifest_hash(&self, epoch: Epoch, version: u32) -> Result<Option<Digest>> {
        let sql = "SELECT hash FROM manifest WHERE epoch = ?1 AND version = ?2";
        let hash = self.db.query_row(sql, [epoch.number(), version], |row| row.get(0));
        Ok(hash.optional()?.map(Digest::from_bytes))
    }

    /// The last epoch of which a manifest is known.
    ///
    /// # Errors
    /// [`CasebookError`].
    pub fn last_manifest_epoch(&self) -> Result<Option<Epoch>> {
        let last: Option<u32> = self
            .db
            .query_row("SELECT max(epoch) FROM manifest", [], |row| row.get(0))?;
        last.map(super::epoch).transpose()
    }
}

impl Changes<'_> {
    /// Keeps a charter chain in place of the one before.
    ///
    /// # Errors
    /// [`CasebookError`].
    pub fn set_charter(&self, chain: &CharterChain) -> Result<()> {
        self.tx.execute(
            "INSERT INTO charter (id, pinned, chain) VALUES (1, ?1, ?2)
             ON CONFLICT (id) DO UPDATE SET pinned = excluded.pinned, chain = excluded.chain",
            params![chain.pinned().as_bytes(), chain.to_json()],
        )?;
        Ok(())
    }

    /// Keeps a manifest that is not known yet, and has what it may explain accounted for again.
    ///
    /// # Errors
    /// [`CasebookError`].
    pub fn add_manifest(&self, manifest: &Manifest) -> Result<()> {
        self.tx.execute(
            "INSERT INTO manifest (hash, epoch, version, note) VALUES (?1, ?2, ?3, ?4)",
            params![
                manifest.hash().as_bytes(),
                manifest.epoch.number(),
                manifest.version,
                manifest.to_bytes()
            ],
        )?;
        self.account_again_in(manifest.epoch)
    }
}

fn note(row: &Row<'_>) -> rusqlite::Result<Vec<u8>> {
    row.get(0)
}

fn verified(note: &[u8], chain: &CharterChain) -> Result<Manifest> {
    UntrustedManifest::parse(note)
        .and_then(|manifest| manifest.verify_for_opening(chain))
        .map_err(|_| CasebookError::Damaged("a manifest in it does not verify under its charter"))
}
