//! Channels against a server on this machine.
