//! File descriptors: how many the process may open, and how many of them connections of the public may take.
//!
//! The admin listener and the store have descriptors of their own: however many clients connect, an administrator can log in,
//! and the deployment log can be read.

use crate::limits::{ADMIN_CONNECTIONS, ConnectionLimits};
use botops_findings::{Fault, Result};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::fs;

/// The descriptors of the store, of files and of outgoing connections.
const STORE: usize = 96;
/// The descriptors that a process has open by itself, if it cannot count them.
const USUAL: usize = 32;
/// The fewest places for connections of the public with which a server starts.
const FEWEST: usize = 16;

/// Raises the number of descriptors that this process may open to the most that the system allows. Returns it; `None` for
/// no limit.
///
/// The system may refuse it: then the limit stays.
fn raise() -> Option<u64> {
    let found = getrlimit(Resource::Nofile);
    let wanted = Rlimit { current: found.maximum, maximum: found.maximum };
    match found.current == found.maximum || setrlimit(Resource::Nofile, wanted).is_err() {
        true => found.current,
        false => found.maximum,
    }
}

/// Bounds the public connections of `limits` by the descriptors of this process. Returns the number that was asked for if it
/// is too high.
///
/// # Errors
/// `BOT-1092` (exit 1) too few descriptors are left for connections.
pub fn bound(limits: &mut ConnectionLimits) -> Result<Option<usize>> {
    let open = fs::read_dir("/proc/self/fd").map_or(USUAL, |entries| entries.count());
    bound_by(limits, raise(), open)
}

fn bound_by(
    limits: &mut ConnectionLimits,
    most: Option<u64>,
    open: usize,
) -> Result<Option<usize>> {
    let Some(most) = most else { return Ok(None) };
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    // With few descriptors, each side gets a half.
    let reserve = (ADMIN_CONNECTIONS + STORE).min(most / 2);
    let left = most.saturating_sub(reserve + open);
    if left < FEWEST {
        return Err(Fault::internal(
            "BOT-1092",
            format!("this process may open {most} files, and {left} are left for clients"),
        )
        .hint("allow more: `ulimit -n 4096`, or `LimitNOFILE=65536` in a unit of systemd"));
    }
    if limits.connections <= left {
        return Ok(None);
    }
    Ok(Some(std::mem::replace(&mut limits.connections, left)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_admin_listener_and_the_store_keep_their_descriptors() {
        let bounded = |most: Option<u64>, connections: usize| {
            let mut limits = ConnectionLimits { connections, ..ConnectionLimits::default() };
            let asked = bound_by(&mut limits, most, 20)?;
            Ok::<_, Fault>((limits.connections, asked))
        };
        assert_eq!(bounded(None, 10_000).unwrap(), (10_000, None));
        assert_eq!(bounded(Some(1 << 20), 10_000).unwrap(), (10_000, None));
        assert_eq!(bounded(Some(1_024), 10_000).unwrap(), (1_024 - 224 - 20, Some(10_000)));
        assert_eq!(bounded(Some(1_024), 100).unwrap(), (100, None));
        assert_eq!(bounded(Some(128), 100).unwrap(), (128 - 64 - 20, Some(100)));
        for few in [0, 20, 40, 70] {
            let fault = bounded(Some(few), 100).unwrap_err();
            assert_eq!((fault.code(), fault.kind().exit_code()), ("BOT-1092", 1), "{few}");
        }
        assert!(bounded(Some(71), 100).is_ok());
    }

    #[test]
    fn the_limit_of_this_process_is_the_most_that_the_system_allows() {
        let most = raise();
        assert_eq!(getrlimit(Resource::Nofile).current, most);
        assert_eq!(most, getrlimit(Resource::Nofile).maximum);
    }
}
