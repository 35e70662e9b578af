//! botops: from a file of utterances to a canaried, served chatbot model.

pub mod cli;
pub mod datasets;
pub mod dialogue;
pub mod digest;
pub mod drift;
pub mod evaluation;
pub mod experiments;
pub mod features;
pub mod findings;
pub mod labels;
pub mod models;
pub mod pipelines;
pub mod registry;
pub mod report;
pub mod rollout;
pub mod serving;
pub mod spec;
pub mod stats;
pub mod store;
pub mod text;
pub mod workspace;
