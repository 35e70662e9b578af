//! Channels against a server on this machine.

mod bench;
mod deliveries;
mod failures;
mod platforms;
mod politeness;
mod requests;
