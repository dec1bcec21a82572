//! Requests that wait for the verification of a signature.

use std::rc::Rc;

use portcullis_verifier::AwaitedToken;

use crate::gate::Moment;
use crate::remembered::Fingerprint;
use crate::request_head::RequestHead;

/// How many may wait. WebCrypto finishes before the next request is looked at, unless a key is still being imported; a
/// request that is pushed out is decided again from the start.
const CAPACITY: usize = 64;

/// Names one request that waits.
pub type Ticket = u32;

/// A request as it was when the verification of its signature began.
#[derive(Debug)]
pub(crate) struct Undecided {
    pub(crate) head: Rc<RequestHead>,
    pub(crate) fingerprint: Fingerprint,
    pub(crate) token: AwaitedToken,
    pub(crate) moment: Moment,
}

/// The requests that wait, each in the place its ticket gives.
#[derive(Debug)]
pub(crate) struct Awaiting {
    places: [Option<(Ticket, Undecided)>; CAPACITY],
    next: Ticket,
}

impl Awaiting {
    pub(crate) fn new() -> Self {
        Self { places: [const { None }; CAPACITY], next: 0 }
    }

    /// Returns the ticket of the request that is put here next.
    pub(crate) fn next_ticket(&self) -> Ticket {
        self.next
    }

    /// Keeps a request, in the place of the one that has waited longest.
    pub(crate) fn put(&mut self, undecided: Undecided) -> Ticket {
        let ticket = self.next;
        self.next = ticket.wrapping_add(1);
        if let Some(place) = self.places.get_mut(ticket as usize % CAPACITY) {
            *place = Some((ticket, undecided));
        }
        ticket
    }

    /// Returns the request of a ticket, which counts once.
    pub(crate) fn take(&mut self, ticket: Ticket) -> Option<Undecided> {
        let place = self.places.get_mut(ticket as usize % CAPACITY)?;
        place.take_if(|(held, _)| *held == ticket).map(|(_, undecided)| undecided)
    }
}
