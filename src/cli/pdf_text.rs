//! `botops pdf-text`: the pages of one PDF file from standard input, as one line of JSON. botops starts itself with this verb for each
//! PDF, so that a file that takes too much memory or time ends this process and no other.

use super::Outcome;
use botops_documents::{Limits, pdf};
use botops_findings::{Fault, Result};
use rustix::process::{Resource, Rlimit, setrlimit};
use std::io::Read as _;

/// The address space that reading one file may take.
const MEMORY: u64 = 1 << 30;
/// The CPU seconds that reading one file may take.
const CPU_SECONDS: u64 = 60;

/// Reads the PDF on standard input.
///
/// # Errors
/// `BOT-7107` (exit 1) the limits of the process cannot be set, or standard input cannot be read.
pub(crate) fn run() -> Result<Outcome> {
    let fault = |problem: String| Fault::internal("BOT-7107", problem);
    for (resource, most) in [(Resource::As, MEMORY), (Resource::Cpu, CPU_SECONDS)] {
        setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })
            .map_err(|error| fault(format!("the process cannot be limited: {error}")))?;
    }
    let most = Limits::default().file_bytes;
    let mut bytes = Vec::new();
    std::io::stdin()
        .take(most as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| fault(format!("the file cannot be read: {error}")))?;
    if bytes.len() > most {
        return Err(fault(format!("the file has more than {most} bytes")));
    }
    // Its panics are an answer, and no bug to report.
    std::panic::set_hook(Box::new(|_| {}));
    let answer = pdf::answer(&bytes);
    Ok(Outcome::done(&(), format!("{answer}\n")))
}
