//! What a bundle says that the server did, and what the courier did: accepted orders, and canaries.

use marram_crypto::{
    charter::CharterChain,
    day::Epoch,
    key::PublicKey,
    order::UntrustedOrder,
    receipt::{Receipt, UntrustedReceipt},
};

use super::Importer;
use crate::casebook::Casebook;

impl Importer<'_> {
    /// Whether an order is valid is judged when the bundle has ended, under the newest manifest.
    pub(super) fn order(&mut self, index: u64, note: &[u8]) -> anyhow::Result<()> {
        let own = self.chain.instance();
        let order = match UntrustedOrder::parse(note) {
            Ok(order) if order.claims().instance == own => order,
            Ok(_) => {
                self.summary
                    .warn("unreadable order", &format!("order {index} is of another instance"));
                return Ok(());
            }
            Err(error) => {
                self.summary
                    .warn("unreadable order", &format!("order {index}: {error}"));
                return Ok(());
            }
        };
        if i64::try_from(index).is_err() {
            self.summary
                .warn("unreadable order", &format!("no server has accepted {index} orders"));
            return Ok(());
        }
        let changes = self.unlocked.casebook.change()?;
        changes.add_accepted_order(index, &order)?;
        Ok(changes.commit()?)
    }

    /// The receipt of a report that the courier itself sent. Whether it arrived is seen when the bundle has ended.
    pub(super) fn canary(&mut self, name: &str, receipt: &[u8]) -> anyhow::Result<()> {
        let casebook = &mut self.unlocked.casebook;
        let receipt = match verified(casebook, &self.chain, receipt)? {
            Ok(receipt) => receipt,
            Err(error) => {
                self.summary.warn("refused canary", &format!("{name}: {error}"));
                return Ok(());
            }
        };
        let leaf = *receipt.leaf();
        let changes = casebook.change()?;
        changes.add_canary(leaf.digest, name, &receipt.to_bytes(), leaf.day)?;
        Ok(changes.commit()?)
    }
}

/// A receipt is signed by the log key of a manifest of its day, or of the epoch that it names.
pub(crate) fn verified(
    casebook: &Casebook,
    chain: &CharterChain,
    receipt: &[u8],
) -> anyhow::Result<Result<Receipt, String>> {
    let receipt = match UntrustedReceipt::parse(receipt) {
        Ok(receipt) => receipt,
        Err(error) => return Ok(Err(error.to_string())),
    };
    let mut keys: Vec<PublicKey> = Vec::new();
    for epoch in [
        Epoch::of(receipt.claimed_leaf().day),
        Some(receipt.claimed_leaf().epoch),
    ] {
        for manifest in epoch
            .map(|epoch| casebook.manifests_of(epoch, chain))
            .transpose()?
            .unwrap_or_default()
        {
            if !keys.contains(&manifest.log) {
                keys.push(manifest.log);
            }
        }
    }
    let mut refused = format!(
        "no manifest of epoch {} is known here, so nobody can say whose log key must have signed it",
        receipt.claimed_leaf().epoch
    );
    for key in keys {
        match receipt.clone().verify(chain.instance(), &key) {
            Ok(receipt) => return Ok(Ok(receipt)),
            Err(error) => refused = error.to_string(),
        }
    }
    Ok(Err(refused))
}
