//! The problems of a patch, a quarantine or a list: all are collected, then reported together.

use botops_findings::{Fault, Finding, Place, Result, Severity};

/// The problems so far.
#[derive(Debug, Default)]
pub(crate) struct Complaints {
    /// Lines that cannot be used.
    malformed: Vec<Finding>,
    /// Lines that do not match the data.
    stale: Vec<Finding>,
}

impl Complaints {
    /// Adds a line, at `place`, that cannot be used.
    pub(crate) fn malformed(
        &mut self,
        code: &'static str,
        place: &Place,
        message: String,
        help: &str,
    ) {
        self.malformed.push(Finding::new(code, Severity::Error, message, help).at(place.clone()));
    }

    /// Adds a line, at `place`, that does not match the data.
    pub(crate) fn stale(&mut self, code: &'static str, place: &Place, message: String, help: &str) {
        self.stale.push(Finding::new(code, Severity::Error, message, help).at(place.clone()));
    }

    /// Refuses the file if there is a problem; `name` names the kind of file.
    ///
    /// # Errors
    /// A fault with the code of the first problem, and all problems as findings: exit 3 if a line cannot be used, or else
    /// exit 5.
    pub(crate) fn refuse(self, name: &str) -> Result<()> {
        let Self { malformed, stale } = self;
        let (first, fault) = match (malformed.first(), stale.first()) {
            (Some(first), _) => {
                let message = summary(name, "cannot be used", malformed.len(), &first.message);
                (first, Fault::data(code(&first.code), message))
            }
            (None, Some(first)) => {
                let message = summary(name, "does not match the data", stale.len(), &first.message);
                (first, Fault::conflict(code(&first.code), message))
            }
            (None, None) => return Ok(()),
        };
        let (place, help) = (first.place.clone(), first.help.clone());
        let findings = [malformed, stale].concat();
        Err(fault.at(place).hint(help).with_findings(findings))
    }
}

fn summary(name: &str, verdict: &str, n: usize, first: &str) -> String {
    let more = if n > 1 { format!(" (and {} more)", n - 1) } else { String::new() };
    format!("the {name} {verdict}, so nothing was written: {first}{more}")
}

/// Returns `code`, the code of a problem, as a static string.
fn code(code: &str) -> &'static str {
    ["BOT-2221", "BOT-2222", "BOT-2223", "BOT-2224", "BOT-2225", "BOT-2227", "BOT-2228"]
        .into_iter()
        .find(|known| *known == code)
        .unwrap_or("BOT-2221")
}
