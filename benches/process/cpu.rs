//! CPU time of a process.

use std::fs;

/// Returns the CPU seconds of this process so far, in all threads and in the child processes it waited for. Linux
/// counts hundredths.
pub(crate) fn cpu_seconds() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<f64> = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .map(|field| field.parse().unwrap_or(0.0))
        .collect();
    fields.get(11..15).map_or(0.0, |times| times.iter().sum::<f64>() / 100.0)
}
