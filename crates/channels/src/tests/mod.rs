//! Channels against a server on this machine.

mod bench;
mod chatwoot;
mod deliveries;
mod desk;
mod failures;
mod platforms;
mod politeness;
mod privacy;
mod reports;
mod requests;
