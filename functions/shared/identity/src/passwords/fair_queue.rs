//! A bounded queue that no client can fill for all others: the clients that wait are served in turn, and where the queue
//! is full, whoever waits with most makes room for whoever waits with less.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// The queue is full of jobs of clients that have no more in it than this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Full;

/// Jobs `J` of clients `C`, for threads that take them.
#[derive(Debug)]
pub(crate) struct FairQueue<C, J> {
    waiting: Mutex<Waiting<C, J>>,
    changed: Condvar,
    capacity: usize,
}

#[derive(Debug)]
struct Waiting<C, J> {
    /// Who waits, in the order of their turns, each with at least one job.
    clients: VecDeque<(C, VecDeque<J>)>,
    jobs: usize,
    is_closed: bool,
}

impl<C: Eq, J> FairQueue<C, J> {
    /// Returns an empty queue for so many jobs.
    pub(crate) fn new(capacity: usize) -> Self {
        let waiting = Waiting { clients: VecDeque::new(), jobs: 0, is_closed: false };
        Self { waiting: Mutex::new(waiting), changed: Condvar::new(), capacity }
    }

    /// Appends a job. Where there is no room, the newest job of the client with most jobs is dropped for it; fails with
    /// [`Full`] if this client would then have more than that one.
    pub(crate) fn push(&self, client: C, job: J) -> Result<(), Full> {
        let mut waiting = self.lock();
        if waiting.jobs >= self.capacity {
            waiting.make_room(&client)?;
        }
        waiting.jobs += 1;
        match waiting.clients.iter_mut().find(|(other, _)| *other == client) {
            Some((_, jobs)) => jobs.push_back(job),
            None => waiting.clients.push_back((client, VecDeque::from([job]))),
        }
        drop(waiting);
        self.changed.notify_one();
        Ok(())
    }

    /// Waits for a job and takes it: the oldest of the client whose turn it is. Returns `None` once the queue is closed.
    pub(crate) fn pop(&self) -> Option<J> {
        let mut waiting = self.lock();
        loop {
            if waiting.is_closed {
                return None;
            }
            if let Some(job) = waiting.take() {
                return Some(job);
            }
            waiting = self.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Ends every thread that waits or will.
    pub(crate) fn close(&self) {
        self.lock().is_closed = true;
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Waiting<C, J>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<C: Eq, J> Waiting<C, J> {
    fn make_room(&mut self, client: &C) -> Result<(), Full> {
        let own = self.clients.iter().find(|(other, _)| other == client).map_or(0, |(_, jobs)| jobs.len());
        let most = self.clients.iter_mut().map(|(_, jobs)| jobs).max_by_key(|jobs| jobs.len());
        // At least one of that client's stays: nobody is put out altogether.
        let most = most.filter(|jobs| jobs.len() > own + 1).ok_or(Full)?;
        most.pop_back();
        self.jobs -= 1;
        Ok(())
    }

    fn take(&mut self) -> Option<J> {
        let (client, mut jobs) = self.clients.pop_front()?;
        let job = jobs.pop_front();
        if !jobs.is_empty() {
            self.clients.push_back((client, jobs));
        }
        self.jobs -= usize::from(job.is_some());
        job
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn queue(capacity: usize, jobs: &[&'static str]) -> FairQueue<char, &'static str> {
        let queue = FairQueue::new(capacity);
        for job in jobs {
            let _ = queue.push(job.chars().next().unwrap(), *job);
        }
        queue
    }

    fn left(queue: &FairQueue<char, &'static str>) -> Vec<&'static str> {
        std::iter::from_fn(|| queue.lock().take()).collect()
    }

    #[test]
    fn clients_are_served_in_turn_and_each_ones_jobs_in_their_order() {
        let waiting = queue(8, &["a1", "a2", "a3", "a4", "b1", "c1", "c2"]);
        assert_eq!(left(&waiting), ["a1", "b1", "c1", "a2", "c2", "a3", "a4"]);
    }

    #[test]
    fn whoever_waits_with_most_makes_room_for_whoever_waits_with_less() {
        let waiting = queue(4, &["a1", "a2", "a3", "a4"]);
        assert_eq!(waiting.push('a', "a5"), Err(Full), "of its own it drops none");
        assert_eq!(waiting.push('b', "b1"), Ok(()));
        assert_eq!(waiting.push('b', "b2"), Ok(()));
        assert_eq!(waiting.push('b', "b3"), Err(Full), "as many as the other");
        assert_eq!(waiting.push('c', "c1"), Ok(()));
        assert_eq!(waiting.push('d', "d1"), Ok(()));
        assert_eq!(waiting.push('e', "e1"), Err(Full), "one each");
        let mut kept = left(&waiting);
        kept.sort_unstable();
        assert_eq!(kept, ["a1", "b1", "c1", "d1"]);
    }

    #[test]
    fn a_place_is_free_again_once_its_job_is_taken() {
        let waiting = queue(2, &["a1", "a2"]);
        assert_eq!(waiting.pop(), Some("a1"));
        assert_eq!(waiting.push('a', "a3"), Ok(()));
        assert_eq!(waiting.push('a', "a4"), Err(Full));
    }

    #[test]
    fn closing_ends_the_threads_that_wait() {
        let waiting = Arc::new(queue(2, &[]));
        let thread = std::thread::spawn({
            let waiting = Arc::clone(&waiting);
            move || waiting.pop()
        });
        waiting.close();
        assert_eq!(thread.join().unwrap(), None);
        assert_eq!(waiting.pop(), None);
    }
}
