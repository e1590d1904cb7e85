//! Committing orders: each once, and with it the board that it hangs.

use super::{
    NewOrder, Ordered,
    committer::{Committer, Group},
    error::StoreError,
    record::Record,
    state::Hung,
    view::NotePlace,
};

impl Committer {
    /// Stages an order; a board that it hangs is durable when this returns.
    pub(super) fn stage_order(&mut self, order: &NewOrder, group: &mut Group) -> Result<Ordered, StoreError> {
        let in_group = (group.batch.first_order..).zip(&group.batch.orders);
        let known = in_group.into_iter().find(|(_, (id, _))| *id == order.id);
        let known = match known {
            Some((index, (_, place))) => Some((index, *place)),
            None => self.with_view(|view| view.order(order.id))?,
        };
        if let Some((index, place)) = known {
            return Ok(if place.digest == order.digest {
                Ordered::Repeated { index }
            } else {
                Ordered::Conflict
            });
        }
        if let Some(new) = &order.hangs {
            let hanging = group.hung.get(&new.shard).copied();
            let hanging = hanging.or_else(|| self.shared.state().boards().get(&new.shard).copied());
            if let Some(newest) = hanging.map(|hung| hung.day).filter(|day| *day > new.day) {
                return Ok(Ordered::BoardOlder { newest });
            }
            self.boards.write(new.shard, new.digest, &new.board)?;
            let (shard, day, digest) = (new.shard, new.day, new.digest);
            let hung = Hung { day, digest };
            Record::Hang { shard, hung }.write(&mut group.payload);
            group.hung.insert(shard, hung);
        }
        let index = group.batch.first_order + group.batch.orders.len() as u64;
        let (id, digest, note) = (order.id, order.digest, &*order.note);
        let at = Record::Order { id, digest, note }.write(&mut group.payload);
        let offset = self.ledger.next_payload() + at as u64;
        let len = u32::try_from(note.len()).unwrap_or(u32::MAX);
        group.batch.orders.push((id, NotePlace { digest, offset, len }));
        Ok(Ordered::Fresh { index })
    }

    /// Removes the boards that do not hang: those that were replaced, or that a failed group was to hang.
    ///
    /// What cannot be removed now goes with the next board, or on the next start.
    pub(super) fn take_down_boards(&self) {
        if self.shared.read_only().is_some() {
            // Perhaps one hangs of which the state does not know yet.
            return;
        }
        if let Err(error) = self.boards.keep_only(self.shared.state().boards()) {
            tracing::warn!(kind = %error.kind(), "a board that was taken down could not be removed yet");
        }
    }
}
