//! What a user sees of botops, and what its house promises.
#![expect(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod architecture;
mod readme;
mod support;
mod version;
mod workflows;
