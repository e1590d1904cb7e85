//! The orders that the server says it has accepted, against what this courier remembers of them.
//!
//! The list only grows, like the log. The courier remembers id and digest of each, compares the last 100 on each pull
//! (with `--all` every one), and names an order that came twice, changed, vanished, or that no caseworker has signed.
//! What it carried itself must be on the list. Whether an order is *right* is the caseworkers' business: all of them go
//! into the bundle.

use std::{collections::BTreeSet, fmt, str::FromStr};

use anyhow::Result;
use marram_crypto::{
    day::Epoch,
    digest::Digest,
    instance::InstanceId,
    manifest::Manifest,
    order::{OrderId, UntrustedOrder},
};
use marram_terminal::interrupt;

use crate::alarm::Alarm;

/// The server gives at most so many at once.
pub(crate) const ORDERS_PER_PAGE: usize = 100;
/// How many known orders are asked for again without `--all`.
const OVERLAP: usize = 100;
/// Most orders that are kept.
const MAX_ORDERS: usize = 100_000;

/// What is remembered of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Known {
    id: OrderId,
    digest: Digest,
}

/// An order as the server lists it.
#[derive(Debug, Clone)]
pub(crate) struct Accepted {
    pub(crate) index: u64,
    pub(crate) order: UntrustedOrder,
}

/// What the server lists.
#[derive(Debug, Default)]
pub(crate) struct Listed {
    /// From the position asked for on.
    pub(crate) accepted: Vec<Accepted>,
    /// Those not known before, if nothing was wrong.
    pub(crate) new: Vec<Known>,
    pub(crate) faults: Vec<OrderFault>,
}

/// What was wrong with the list.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum OrderFault {
    #[error("the server listed {seen} orders when last seen, and lists {offered} now")]
    Withdrawn { seen: usize, offered: usize },
    #[error("order number {index} of the server is another one than when last seen")]
    Changed { index: usize },
    #[error("the server lists order {id} twice: as number {first} and as number {again}. An order is applied once")]
    Replayed { id: OrderId, first: usize, again: usize },
    #[error("order number {index} of the server is none: {why}")]
    NotAnOrder { index: usize, why: String },
    #[error("order {id} is signed by no caseworker of its week: the server cannot have accepted it")]
    Unsigned { id: OrderId },
    #[error("the server said that it took order {id}, and does not list it")]
    Hidden { id: String },
    #[error("the server gives no list of orders: {0}")]
    NoList(String),
    #[error("the server lists more than {MAX_ORDERS} orders, the limit")]
    TooMany,
}

impl OrderFault {
    pub(crate) fn alarm(&self) -> Alarm {
        let kind = match self {
            Self::Withdrawn { .. } | Self::Hidden { .. } => "order-hidden",
            Self::Changed { .. } => "order-changed",
            Self::Replayed { .. } => "order-replayed",
            Self::NotAnOrder { .. } | Self::Unsigned { .. } => "order-unsigned",
            Self::NoList(_) | Self::TooMany => "no-orders",
        };
        let next = match self {
            Self::Hidden { .. } => {
                "carry the order again, from a copy (marram-courier publish), and tell the caseworker who made it, and \
                 the operator"
            }
            Self::NoList(_) | Self::TooMany => "tell the operator of the server",
            _ => {
                "tell the keyholders and the operator at once: the server does what no caseworker ordered, or was \
                 restored from an old copy. Keep this home folder: it is the proof"
            }
        };
        Alarm {
            kind,
            what: self.to_string(),
            next,
        }
    }
}

/// Reads the list from `position` on, and as much before as is compared; `page` gives the notes from an index on.
pub(crate) fn list(
    known: &[Known],
    position: usize,
    compare_all: bool,
    mut page: impl FnMut(u64) -> Result<Vec<String>>,
) -> Result<Listed> {
    let mut listed = Listed::default();
    let mut index = if compare_all {
        0
    } else {
        position.min(known.len().saturating_sub(OVERLAP))
    };
    loop {
        interrupt::check()?;
        let notes = page(index as u64)?;
        // Long orders come in short pages: only an empty one is behind the last.
        let is_last = notes.is_empty();
        for note in notes.into_iter().take(ORDERS_PER_PAGE) {
            listed.take(known, position, index, &note);
            index += 1;
        }
        if index > MAX_ORDERS {
            listed.faults.push(OrderFault::TooMany);
            break;
        }
        if is_last {
            break;
        }
    }
    if index < known.len() {
        let seen = known.len();
        listed.faults.push(OrderFault::Withdrawn { seen, offered: index });
    }
    Ok(listed)
}

impl Listed {
    fn take(&mut self, known: &[Known], position: usize, index: usize, note: &str) {
        let order = match UntrustedOrder::parse(note.as_bytes()) {
            Ok(order) => order,
            Err(error) => {
                let why = error.to_string();
                return self.faults.push(OrderFault::NotAnOrder { index, why });
            }
        };
        let this = Known {
            id: order.claims().id,
            digest: order.digest(),
        };
        match known.get(index) {
            Some(same) if *same == this => {}
            Some(_) => self.faults.push(OrderFault::Changed { index }),
            None => {
                let mut earlier = known.iter().chain(&self.new);
                if let Some(first) = earlier.position(|earlier| earlier.id == this.id) {
                    let (id, again) = (this.id, index);
                    self.faults.push(OrderFault::Replayed { id, first, again });
                }
                self.new.push(this);
            }
        }
        if index >= position {
            let index = index as u64;
            self.accepted.push(Accepted { index, order });
        }
    }

    /// Names the orders of another instance, and those that no slot of a manifest of their epoch has signed.
    pub(crate) fn check_signatures<'a, I: Iterator<Item = &'a Manifest>>(
        &mut self,
        instance: InstanceId,
        manifests: impl Fn(Epoch) -> I,
    ) {
        for Accepted { order, .. } in &self.accepted {
            let claims = order.claims();
            let signed = claims.instance == instance
                && manifests(claims.epoch).any(|manifest| order.clone().verify(manifest).is_ok());
            if !signed {
                self.faults.push(OrderFault::Unsigned { id: claims.id });
            }
        }
    }

    /// Takes out of `taken` what is listed, and names the rest: the server said that it took them.
    pub(crate) fn check_taken(&mut self, known: &[Known], taken: &mut BTreeSet<String>) {
        let listed: BTreeSet<String> = known
            .iter()
            .chain(&self.new)
            .map(|known| known.id.to_string())
            .collect();
        taken.retain(|id| !listed.contains(id));
        self.faults
            .extend(taken.iter().map(|id| OrderFault::Hidden { id: id.clone() }));
    }

    /// Epochs of which manifests are needed.
    pub(crate) fn epochs(&self) -> impl Iterator<Item = Epoch> {
        self.accepted.iter().map(|accepted| accepted.order.claims().epoch)
    }
}

/// `<id> <digest>`
impl fmt::Display for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.id, self.digest)
    }
}

impl FromStr for Known {
    type Err = &'static str;

    fn from_str(line: &str) -> Result<Self, Self::Err> {
        let (id, digest) = line.split_once(' ').ok_or("an id, a space and a digest")?;
        Ok(Self {
            id: id.parse()?,
            digest: digest.parse().map_err(|_| "a digest")?,
        })
    }
}
