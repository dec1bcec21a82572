//! A bounded number of things that are under way at once.

use std::cell::{Cell, RefCell};

use crate::Millis;

/// Places for what is under way. The platform may abandon a request without another word, so a place is also free again
/// when its holder would have to be finished.
#[derive(Debug)]
pub struct Slots {
    capacity: usize,
    /// How long a holder takes at most.
    lifetime: Millis,
    next: Cell<u64>,
    /// When each place that is taken was taken, with a number of its own.
    taken: RefCell<Vec<(u64, Millis)>>,
}

/// A place, free again when this is dropped.
#[derive(Debug)]
pub struct Slot<'s> {
    slots: &'s Slots,
    number: u64,
}

impl Slots {
    /// Returns `capacity` free places.
    pub const fn new(capacity: usize, lifetime: Millis) -> Self {
        Self { capacity, lifetime, next: Cell::new(0), taken: RefCell::new(Vec::new()) }
    }

    /// Takes a place; `None` if all are taken.
    pub fn take(&self, now: Millis) -> Option<Slot<'_>> {
        let mut taken = self.taken.borrow_mut();
        taken.retain(|(_, since)| now.saturating_sub(*since) <= self.lifetime);
        if taken.len() >= self.capacity {
            return None;
        }
        let number = self.next.replace(self.next.get() + 1);
        taken.push((number, now));
        Some(Slot { slots: self, number })
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        self.slots.taken.borrow_mut().retain(|(number, _)| *number != self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_free_again_when_it_is_left_or_abandoned() {
        let slots = Slots::new(2, 100);
        let first = slots.take(0).unwrap();
        std::mem::forget(slots.take(50).unwrap());
        assert!(slots.take(60).is_none(), "both are taken");
        drop(first);
        let third = slots.take(60).unwrap();
        assert!(slots.take(150).is_none());
        assert!(slots.take(151).is_some(), "the abandoned one has taken too long");
        drop(third);
    }
}
