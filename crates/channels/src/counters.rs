//! Plain counts of a channel, which the server shows as metrics.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)+) => {
        /// The counters of a channel in this process.
        #[derive(Debug, Default)]
        pub(crate) struct Counters { $(pub(crate) $name: Counter,)+ }

        /// The counts of a channel since the process began.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        pub struct ChannelCounts { $($(#[$doc])* pub $name: u64,)+ }

        impl Counters {
            /// Returns the counts now.
            pub(crate) fn counts(&self) -> ChannelCounts {
                ChannelCounts { $($name: self.$name.value(),)+ }
            }
        }

        impl ChannelCounts {
            /// Returns each count with its name, in a fixed order.
            #[must_use]
            pub fn named(&self) -> Vec<(&'static str, u64)> {
                vec![$((stringify!($name), self.$name),)+]
            }
        }
    };
}

counters! {
    /// The messages that were stored.
    received,
    /// The messages that were known already.
    duplicates,
    /// The messages older than the retention, which were acknowledged and not processed.
    stale,
    /// The requests with a wrong or missing signature.
    bad_signatures,
    /// The requests that no adapter can read.
    malformed,
    /// The requests and messages for an account that is not set.
    unknown_accounts,
    /// The requests that were asked to come later.
    overloaded,
    /// The messages that were answered or needed no answer.
    processed,
    /// The turns that were answered.
    turns,
    /// The tries of a turn that failed.
    failed_turns,
    /// The messages of a type that the bot cannot read.
    unsupported,
    /// The messages of persons who opted out.
    silenced,
    /// The calls that the platform accepted.
    sent,
    /// The calls that the platform refused, and which are tried again.
    retried_sends,
    /// The calls whose response was lost. The platform may have got each of them, and the next try is then a duplicate.
    uncertain_sends,
    /// The conversations that were handed to a person.
    handoffs,
    /// The messages in conversations that a person continues, in which the bot was silent.
    with_person,
    /// The conversations that the desk took, without a hand-off of the bot.
    taken,
    /// The conversations that the desk gave back to the bot.
    given_back,
    /// The hand-offs that were not delivered.
    failed_handoffs,
    /// The messages that became dead letters.
    dead,
    /// The claims that were taken over from another replica.
    takeovers,
    /// The failures of the store.
    store_failures,
    /// The statuses `sent`.
    status_sent,
    /// The statuses `delivered`.
    status_delivered,
    /// The statuses `read`.
    status_read,
    /// The statuses `failed`.
    status_failed,
    /// The failed answers that were sent again.
    failed_retried,
    /// The failed answers that were given up.
    failed_final,
    /// The failed answers to persons who want no templates, and get none any more.
    failed_opted_out,
}

/// One counter.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    /// Adds 1.
    pub(crate) fn add(&self) {
        self.add_many(1);
    }

    /// Adds `n`.
    pub(crate) fn add_many(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
