//! Where and when a command runs: the time, the state of the code, the machine.

use botops_experiments::{CodeState, Environment};
use botops_findings::{Fault, Result};
use chrono::{DateTime, Utc};
use std::{
    path::Path,
    process::{Command, Stdio},
};

/// Returns the time: that of `SOURCE_DATE_EPOCH` (seconds since 1970) if it is set, so that output can be reproduced,
/// else the system clock's. An empty variable counts as unset, as everywhere.
///
/// # Errors
/// `BOT-1004` (exit 2) when `SOURCE_DATE_EPOCH` is not a number of seconds.
pub(crate) fn now() -> Result<DateTime<Utc>> {
    let set = std::env::var("SOURCE_DATE_EPOCH").ok().filter(|text| !text.trim().is_empty());
    let Some(text) = set else { return Ok(Utc::now()) };
    let seconds = text.trim().parse().ok().and_then(|seconds| DateTime::from_timestamp(seconds, 0));
    seconds.ok_or_else(|| {
        Fault::usage(
            "BOT-1004",
            format!("`SOURCE_DATE_EPOCH` is `{text}`, not a number of seconds"),
        )
        .hint("unset SOURCE_DATE_EPOCH")
    })
}

/// Returns the git commit of `folder` and whether tracked files differ from it; both are `None` outside a repository.
pub(crate) fn code_state(folder: &Path) -> CodeState {
    let git = |arguments: &[&str]| {
        let output = Command::new("git")
            .current_dir(folder)
            .args(arguments)
            .stderr(Stdio::null())
            .output()
            .ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    CodeState {
        git_commit: git(&["rev-parse", "HEAD"]),
        git_dirty: git(&["status", "--porcelain", "--untracked-files=no"])
            .map(|changes| !changes.is_empty()),
    }
}

/// Returns the machine that the program runs on.
pub(crate) fn environment() -> Environment {
    Environment {
        botops: env!("CARGO_PKG_VERSION").to_owned(),
        platform: format!("{}-{}", std::env::consts::OS, std::env::consts::ARCH),
        cores: std::thread::available_parallelism().map_or(1, |cores| cores.get() as u64),
        ci: std::env::var_os("CI").is_some(),
    }
}
