//! Taking turns: so many at a time, and while some wait, one tenant after the other.
//!
//! Both queries and their jobs take turns. A tenant with a thousand of them waiting gets every second
//! turn beside a tenant with one, so nobody's load decides how long another one waits.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use storage::ids::TenantId;
use tokio::sync::oneshot;

/// Gives out turns; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Turns {
    queues: Arc<Mutex<Queues>>,
}

/// Someone's turn, which ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    turns: Turns,
}

/// As many of the tenant wait as may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct QueueFull;

#[derive(Debug)]
struct Queues {
    /// Turns that nobody has. While there are any, nobody waits.
    free: usize,
    /// Who waits, first come first; no queue is empty.
    waiting: HashMap<TenantId, VecDeque<Waiting>>,
    /// The tenants of these queues; the first is served next.
    order: VecDeque<TenantId>,
    next_ticket: u64,
}

#[derive(Debug)]
struct Waiting {
    ticket: u64,
    turn: oneshot::Sender<Turn>,
}

impl Turns {
    /// So many turns, at least one.
    pub(crate) fn new(count: usize) -> Self {
        let queues = Queues {
            free: count.max(1),
            waiting: HashMap::new(),
            order: VecDeque::new(),
            next_ticket: 0,
        };
        Self {
            queues: Arc::new(Mutex::new(queues)),
        }
    }

    /// Waits for a turn unless `max_waiting` of the tenant wait already. Dropping the future gives up
    /// the place in the queue.
    pub(crate) async fn take(
        &self,
        tenant: &TenantId,
        max_waiting: usize,
    ) -> Result<Turn, QueueFull> {
        let mut place = {
            let mut queues = self.lock();
            if queues.free > 0 {
                queues.free -= 1;
                return Ok(self.turn());
            }
            let (ticket, turn) = queues.join(tenant, max_waiting)?;
            Place {
                turns: self,
                tenant,
                ticket,
                turn,
            }
        };
        // The sender is dropped only with the queue, which this keeps alive.
        (&mut place.turn).await.map_err(|_closed| QueueFull)
    }

    fn turn(&self) -> Turn {
        Turn {
            turns: self.clone(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queues> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let next = {
            let mut queues = self.turns.lock();
            let next = queues.next();
            if next.is_none() {
                queues.free += 1;
            }
            next
        };
        if let Some(next) = next {
            // If it left in this moment, the turn comes back, and being dropped goes to the next one.
            drop(next.turn.send(self.turns.turn()));
        }
    }
}

impl Queues {
    fn join(
        &mut self,
        tenant: &TenantId,
        max_waiting: usize,
    ) -> Result<(u64, oneshot::Receiver<Turn>), QueueFull> {
        let waiting = self.waiting.get(tenant).map_or(0, VecDeque::len);
        if waiting >= max_waiting {
            return Err(QueueFull);
        }
        if waiting == 0 {
            self.order.push_back(tenant.clone());
        }
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        let (turn, receiver) = oneshot::channel();
        let queue = self.waiting.entry(tenant.clone()).or_default();
        queue.push_back(Waiting { ticket, turn });
        Ok((ticket, receiver))
    }

    /// The first of the tenant whose turn it is; the tenant goes to the end.
    fn next(&mut self) -> Option<Waiting> {
        let tenant = self.order.pop_front()?;
        let queue = self.waiting.get_mut(&tenant)?;
        let next = queue.pop_front();
        if queue.is_empty() {
            self.waiting.remove(&tenant);
        } else {
            self.order.push_back(tenant);
        }
        next
    }

    fn leave(&mut self, tenant: &TenantId, ticket: u64) {
        let Some(queue) = self.waiting.get_mut(tenant) else {
            return;
        };
        queue.retain(|waiting| waiting.ticket != ticket);
        if queue.is_empty() {
            self.waiting.remove(tenant);
            self.order.retain(|other| other != tenant);
        }
    }
}

/// A place in a queue, left when dropped.
struct Place<'a> {
    turns: &'a Turns,
    tenant: &'a TenantId,
    ticket: u64,
    /// A turn that came just before its place was left is dropped with this, and so passed on.
    turn: oneshot::Receiver<Turn>,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.turns.lock().leave(self.tenant, self.ticket);
    }
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;

    use futures::FutureExt as _;

    use super::*;

    fn tenant(name: &str) -> TenantId {
        name.parse().unwrap()
    }

    type Waiter = Pin<Box<dyn Future<Output = Result<Turn, QueueFull>>>>;

    /// Joins the queue, in which there is no free turn.
    fn join(turns: &Turns, name: &str) -> Waiter {
        let (turns, name) = (turns.clone(), tenant(name));
        let mut waiter: Waiter = Box::pin(async move { turns.take(&name, usize::MAX).await });
        assert!(waiter.as_mut().now_or_never().is_none());
        waiter
    }

    /// Gives turns out one by one, and writes down who gets them.
    fn served(mut turn: Turn, mut waiters: Vec<(&'static str, Waiter)>) -> String {
        let mut order = String::new();
        while !waiters.is_empty() {
            drop(turn);
            let mut ready = waiters
                .iter_mut()
                .enumerate()
                .filter_map(|(index, (_, waiter))| Some((index, waiter.now_or_never()?)));
            let (index, next) = ready.next().expect("someone is served");
            assert!(ready.next().is_none(), "one at a time");
            drop(ready);
            turn = next.unwrap();
            order += waiters.remove(index).0;
        }
        order
    }

    #[test]
    fn tenants_are_served_one_after_the_other() {
        let turns = Turns::new(1);
        let first = turns.take(&tenant("a"), 0).now_or_never().unwrap().unwrap();
        let names = ["a", "a", "a", "a", "b", "b", "c"];
        let waiters = names.map(|name| (name, join(&turns, name))).into();
        assert_eq!(served(first, waiters), "abcabaa");
        let queues = turns.lock();
        assert_eq!(queues.free, 1);
        assert!(queues.waiting.is_empty() && queues.order.is_empty());
    }

    #[test]
    fn a_tenant_that_comes_late_is_not_behind_those_of_another_that_came_early() {
        let turns = Turns::new(1);
        let first = turns.take(&tenant("a"), 0).now_or_never().unwrap().unwrap();
        let mut waiters: Vec<_> = (0..100).map(|_| ("a", join(&turns, "a"))).collect();
        waiters.push(("b", join(&turns, "b")));
        assert!(served(first, waiters).starts_with("aba"));
    }

    #[test]
    fn whoever_leaves_costs_nobody_a_turn() {
        let turns = Turns::new(1);
        let first = turns.take(&tenant("a"), 0).now_or_never().unwrap().unwrap();
        let (left, stays) = (join(&turns, "a"), join(&turns, "b"));
        let late = join(&turns, "a");
        drop(left);
        assert_eq!(served(first, vec![("b", stays), ("a", late)]), "ab");

        // The turn had come, but nobody looked any more.
        let first = turns.take(&tenant("a"), 0).now_or_never().unwrap().unwrap();
        let (left, stays) = (join(&turns, "a"), join(&turns, "b"));
        drop(first);
        drop(left);
        let turn = stays.now_or_never().unwrap().unwrap();
        drop(turn);
        assert_eq!(turns.lock().free, 1);
    }

    #[test]
    fn a_full_queue_refuses_and_frees_itself() {
        let turns = Turns::new(2);
        let (a, b) = (tenant("a"), tenant("b"));
        let held: Vec<_> = (0..2)
            .map(|_| turns.take(&a, 0).now_or_never().unwrap().unwrap())
            .collect();
        let mut waiting = Box::pin(turns.take(&a, 1));
        assert!(waiting.as_mut().now_or_never().is_none());
        let refused = turns.take(&a, 1).now_or_never().unwrap();
        assert_eq!(refused.unwrap_err(), QueueFull);
        // Each tenant has a queue of its own.
        assert!(turns.take(&b, 1).now_or_never().is_none());
        drop(waiting);
        assert!(turns.take(&a, 1).now_or_never().is_none());
        drop(held);
        assert_eq!(turns.lock().free, 2);
    }
}
