//! botops: from a file of utterances to a canaried, served chatbot model.
//!
//! This crate is the command line. The rooms below it are the crates `botops-<room>` under `crates/`.

pub mod cli;
