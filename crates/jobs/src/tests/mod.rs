//! Tests of jobs: the contract on each kind of store, and the fold.

mod contract;
mod fold;
mod lost_workers;

use crate::{JobRequest, Jobs};
use botops_store::Store;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use std::collections::BTreeMap;

/// Returns the time `seconds` after the begin of a test.
fn at(seconds: i64) -> DateTime<Utc> {
    let begin: DateTime<Utc> = "2026-11-20T10:00:00Z".parse().unwrap();
    begin + TimeDelta::seconds(seconds)
}

/// Returns a request that counts to three.
fn request() -> JobRequest {
    JobRequest::new("count", "numbers", "ada", json!({"to": 3}))
}

/// Runs `check` on an empty store of each kind.
async fn on_each_store(check: impl AsyncFn(Jobs)) {
    check(Jobs::open(Store::in_memory())).await;
    let folder = tempfile::tempdir().unwrap();
    let location = folder.path().join("store").display().to_string();
    check(Jobs::open(Store::open(&location, &BTreeMap::new()).unwrap())).await;
}
