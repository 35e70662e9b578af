//! Uploads of documents to a real server, and the background jobs that index them.

mod files;
mod interrupted;
mod job_verbs;
mod library;
mod refused;
mod unreadable;
mod versions;
