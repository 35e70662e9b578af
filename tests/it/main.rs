//! Tests of the library and the program from the outside. Each file covers one subject.
#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test stops at the first surprise, and prints that it is skipped"
)]

mod architecture;
mod bot;
mod browser;
mod chat;
mod chat_page;
mod codes;
mod confidence;
mod conversations;
mod data_labels;
mod data_profile;
mod data_repair;
mod data_snapshots;
mod data_splits;
mod dialogue;
mod doctor;
mod drift;
mod drift_profiles;
mod encoder;
mod entity_metrics;
mod environments;
mod evaluation;
mod faulty;
mod formats;
mod gitlab_jobs;
mod hints;
mod hostile_files;
mod hostile_settings;
mod hub;
mod image;
mod init;
mod job_summaries;
mod keys;
mod killed_actions;
mod mistakes;
mod monitor;
mod older_formats;
mod out_of_scope;
mod outputs;
mod packages;
mod pages;
mod pipeline;
mod pipes;
mod policy;
mod predict;
mod predictions;
mod promotion;
mod python_client;
mod readers;
mod readme;
mod reference;
mod registry;
mod registry_verbs;
mod release;
mod release_workflow;
mod replicas;
mod rollout_plan;
mod runs;
mod servers;
mod serving;
mod store;
mod support;
mod switched;
mod terminal;
mod training;
mod typescript_client;
mod validation;
mod version;
mod weekly_loop;
mod workflows;
mod workspaces;
mod written_workflows;
