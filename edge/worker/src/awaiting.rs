//! Requests that wait for the outcome of a signature.

use portcullis_verifier::AwaitedToken;

use crate::gate::Moment;
use crate::remembered::Fingerprint;

/// How many may wait. WebCrypto answers before the next request is looked at, unless a key is still being imported; what
/// is pushed out is asked again from the beginning.
const CAPACITY: usize = 64;

/// Names one request that waits.
pub type Ticket = u32;

/// A request as it stood when its signature was asked about.
#[derive(Debug)]
pub(crate) struct Undecided {
    /// The request as the shell described it.
    pub(crate) lines: String,
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

    /// The ticket of the request that is put here next.
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

    /// Each ticket counts once.
    pub(crate) fn take(&mut self, ticket: Ticket) -> Option<Undecided> {
        let place = self.places.get_mut(ticket as usize % CAPACITY)?;
        place.take_if(|(held, _)| *held == ticket).map(|(_, undecided)| undecided)
    }
}
