//! The messages of one conversation, one after the other: the turn of each follows the turn before it.
//!
//! Without this, messages that come at the same time are answered at the same time, one turn is stored, and the others begin
//! again, some of them until their tries are used up. Servers do not wait for each other: between them, the store decides.

use crate::problem::Problem;
use botops_conversations::Id;
use botops_findings::Fault;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{sync::OwnedMutexGuard, time::timeout};

/// The most messages of a conversation that are answered or wait.
const MOST: usize = 64;
/// The longest time that a message waits for those before it.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// The order of the messages of each conversation that this server answers.
#[derive(Debug)]
pub(super) struct TurnOrder {
    lines: Mutex<HashMap<Id, Line>>,
    longest_wait: Duration,
}

impl Default for TurnOrder {
    fn default() -> Self {
        Self { lines: Mutex::default(), longest_wait: LONGEST_WAIT }
    }
}

/// The messages of one conversation.
#[derive(Debug, Default)]
struct Line {
    /// Held by the one that is answered. It serves in the order of asking.
    front: Arc<tokio::sync::Mutex<()>>,
    /// Those that are answered or wait.
    n: usize,
}

/// The turn of a message: no other of its conversation is answered until this is dropped.
#[derive(Debug)]
pub(super) struct MyTurn {
    // Dropped first, so that the next one goes on.
    _front: OwnedMutexGuard<()>,
    _place: Place,
}

/// A place in a line, until this is dropped.
#[derive(Debug)]
struct Place {
    order: Arc<TurnOrder>,
    conversation: Id,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut lines = self.order.lines();
        if let Some(line) = lines.get_mut(&self.conversation) {
            line.n -= 1;
            if line.n == 0 {
                lines.remove(&self.conversation);
            }
        }
    }
}

impl TurnOrder {
    /// Waits until the messages of `conversation` that came before are answered.
    ///
    /// # Errors
    /// `BOT-6122` (409) too many wait, or they take too long.
    pub(super) async fn wait(self: &Arc<Self>, conversation: Id) -> Result<MyTurn, Problem> {
        let busy = || {
            let message = "too many messages of this conversation wait for their answers";
            let hint = "send the message again when the ones before it are answered";
            Problem::from(Fault::conflict("BOT-6122", message).hint(hint))
        };
        let front = {
            let mut lines = self.lines();
            let line = lines.entry(conversation).or_default();
            if line.n >= MOST {
                return Err(busy());
            }
            line.n += 1;
            Arc::clone(&line.front)
        };
        let place = Place { order: Arc::clone(self), conversation };
        match timeout(self.longest_wait, front.lock_owned()).await {
            Ok(front) => Ok(MyTurn { _front: front, _place: place }),
            Err(_) => Err(busy()),
        }
    }

    fn lines(&self) -> MutexGuard<'_, HashMap<Id, Line>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use botops_conversations::Names;

    fn id(conversation: &str) -> Id {
        Names::new(b"a key", None).of(conversation, None).conversation
    }

    #[tokio::test]
    async fn messages_of_a_conversation_wait_in_their_order_and_others_do_not() {
        let order = Arc::new(TurnOrder::default());
        let first = order.wait(id("a")).await.unwrap();
        let served = Arc::new(Mutex::new(Vec::new()));
        let waiting: Vec<_> = (0..5)
            .map(|i| {
                let (order, served) = (Arc::clone(&order), Arc::clone(&served));
                tokio::spawn(async move {
                    let _turn = order.wait(id("a")).await.unwrap();
                    served.lock().unwrap().push(i);
                    tokio::task::yield_now().await;
                })
            })
            .collect();
        drop(order.wait(id("b")).await.unwrap());
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert!(served.lock().unwrap().is_empty());
        drop(first);
        for task in waiting {
            task.await.unwrap();
        }
        assert_eq!(*served.lock().unwrap(), [0, 1, 2, 3, 4]);
        assert!(order.lines().is_empty(), "no conversation is remembered");
    }

    #[tokio::test]
    async fn a_line_is_bounded_in_length_and_time_and_whoever_leaves_gives_the_place_back() {
        let longest_wait = Duration::from_millis(300);
        let order = Arc::new(TurnOrder { longest_wait, ..TurnOrder::default() });
        let first = order.wait(id("a")).await.unwrap();
        let others: Vec<_> = (1..MOST)
            .map(|_| {
                let order = Arc::clone(&order);
                tokio::spawn(async move { order.wait(id("a")).await.map(drop) })
            })
            .collect();
        while order.lines()[&id("a")].n < MOST {
            tokio::task::yield_now().await;
        }
        let problem = order.wait(id("a")).await.unwrap_err();
        assert_eq!((problem.status.as_u16(), problem.fault.code()), (409, "BOT-6122"));
        for other in others {
            assert_eq!(other.await.unwrap().unwrap_err().status.as_u16(), 409);
        }
        assert_eq!(order.lines()[&id("a")].n, 1);
        drop(first);
        assert!(order.lines().is_empty());
    }
}
