//! botops: from a file of utterances to a canaried, served chatbot model.
//!
//! This crate is the command line; each room below it is a crate of its own, `botops-<room>` under `crates/`.

pub mod cli;
