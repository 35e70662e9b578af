//! The payloads of the documentation, and changed ones.
