//! What a user of the library or the program sees, one file a subject.
#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test stops at what it did not expect, and says aloud what it skips"
)]

mod architecture;
mod codes;
mod faulty;
mod mistakes;
mod pipeline;
mod predict;
mod readme;
mod registry;
mod servers;
mod serving;
mod store;
mod support;
mod terminal;
mod version;
mod workflows;
