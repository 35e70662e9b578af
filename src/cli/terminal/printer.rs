//! The one place that writes to standard output and standard error.
//!
//! Standard output is the answer, standard error the conversation. A closed pipe ends quietly.

use crate::cli::{Exit, Outcome};
use botops_findings::{Fault, Finding, Place, Severity};
use std::io::{self, IsTerminal as _, Write as _};

/// How the answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people.
    Table,
    /// For programs: one document, also on failure.
    Json,
    /// For a summary or a pull request.
    Markdown,
    /// For code scanning: SARIF 2.1.0.
    Sarif,
    /// For the test page of a CI system: JUnit XML.
    Junit,
    /// For GitHub Actions: annotations on the lines.
    Github,
}

/// Writes answers, findings and errors.
#[derive(Debug, Clone, Copy)]
pub struct Printer {
    format: Format,
    quiet: bool,
    verbose: u8,
    stderr_is_terminal: bool,
}

impl Printer {
    /// Makes a printer.
    #[must_use]
    pub fn new(format: Format, quiet: bool, verbose: u8) -> Self {
        Self { format, quiet, verbose, stderr_is_terminal: io::stderr().is_terminal() }
    }

    /// Returns whether progress bars may be drawn: on a terminal, and not asked to be quiet.
    #[must_use]
    pub fn draws_bars(&self) -> bool {
        self.stderr_is_terminal && !self.quiet
    }

    /// Returns whether the answer is for programs.
    #[must_use]
    pub fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    /// Returns whether the answer is for a summary or a pull request.
    pub(crate) fn is_markdown(&self) -> bool {
        self.format == Format::Markdown
    }

    /// Returns how the answer is written.
    #[must_use]
    pub fn format(&self) -> Format {
        self.format
    }

    /// Says something in the conversation, unless asked to be quiet.
    pub fn say(&self, line: &str) {
        if !self.quiet {
            let _ = writeln!(anstream::stderr(), "{line}");
        }
    }

    /// Writes a verb's outcome; returns how the process ends: an answer that cannot be written is no success.
    pub(crate) fn outcome(&self, verb: &str, outcome: &Outcome) -> Exit {
        if self.is_json() {
            let document = serde_json::json!({
                "schema": format!("botops.{verb}/1"),
                "ok": outcome.exit == Exit::Done,
                "exit": outcome.exit.code(),
                "data": outcome.data,
                "findings": outcome.findings,
                "next": outcome.next,
            });
            let arrived = answer(&format!("{document:#}\n"));
            return if arrived { outcome.exit } else { Exit::Internal };
        }
        let mut text = outcome.text.clone();
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        let arrived = answer(&text);
        for next in &outcome.next {
            self.say(&format!("next: `{next}`"));
        }
        if arrived { outcome.exit } else { Exit::Internal }
    }

    /// Writes a part of a long answer for people at once.
    ///
    /// # Errors
    /// What the system said; a closed pipe is [`io::ErrorKind::BrokenPipe`]: whoever read it had enough.
    pub(crate) fn part(&self, text: &str) -> io::Result<()> {
        let mut out = anstream::stdout().lock();
        out.write_all(text.as_bytes())?;
        out.flush()
    }

    /// Writes an error: what happened, where, what to do next.
    pub(crate) fn fault(&self, verb: &str, fault: &Fault) {
        if self.is_json() {
            let mut findings = vec![Finding {
                code: fault.code().to_owned(),
                severity: Severity::Error,
                place: fault.place().clone(),
                message: fault.message().to_owned(),
                help: fault.hints().join("; "),
            }];
            findings.extend(fault.findings().iter().cloned());
            let document = serde_json::json!({
                "schema": format!("botops.{verb}/1"),
                "ok": false,
                "exit": Exit::from(fault).code(),
                "data": null,
                "findings": findings,
                "next": [format!("botops explain {}", fault.code())],
            });
            answer(&format!("{document:#}\n"));
            return;
        }
        let (red, bold, reset) = ("\x1b[1;31m", "\x1b[1m", "\x1b[0m");
        let mut text =
            format!("{red}error{reset}{bold}[{}]{reset}: {}\n", fault.code(), fault.message());
        if let Some(place) = place_line(fault.place()) {
            text.push_str(&format!("  --> {place}\n"));
        }
        for finding in fault.findings().iter().take(20) {
            text.push_str(&finding_line(finding));
        }
        for hint in fault.hints() {
            text.push_str(&format!("{bold}hint{reset}: {hint}\n"));
        }
        if self.verbose > 0 {
            let mut source = std::error::Error::source(fault);
            while let Some(error) = source {
                text.push_str(&format!("  caused by: {error}\n"));
                source = error.source();
            }
        }
        let _ = write!(anstream::stderr(), "{text}");
    }
}

/// Writes `text` to standard output; returns whether the answer arrived. A closed pipe is no error: whoever read it
/// had enough.
fn answer(text: &str) -> bool {
    let mut out = anstream::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => true,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => true,
        Err(error) => {
            let code = "BOT-1008";
            let _ = writeln!(
                anstream::stderr(),
                "error[{code}]: the answer cannot be written: {error}"
            );
            false
        }
    }
}

/// Returns `file, record 41 (line 43), key a.b`, as far as known.
#[must_use]
pub fn place_line(place: &Place) -> Option<String> {
    let mut parts = Vec::new();
    if let Some(file) = &place.file {
        let mut part = file.clone();
        if let (Some(line), None) = (place.line, place.record) {
            part.push_str(&format!(":{line}"));
            if let Some(column) = place.column {
                part.push_str(&format!(":{column}"));
            }
        }
        parts.push(part);
    }
    match (place.record, place.line) {
        (Some(record), Some(line)) => parts.push(format!("record {record} (line {line})")),
        (Some(record), None) => parts.push(format!("record {record}")),
        _ => {}
    }
    if let Some(key) = &place.key {
        parts.push(format!("key `{key}`"));
    }
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// Returns one finding as a line.
#[must_use]
pub fn finding_line(finding: &Finding) -> String {
    let severity = match finding.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Info => "info",
    };
    let place = place_line(&finding.place).map_or(String::new(), |place| format!("{place}: "));
    format!("  {severity}[{}] {place}{}\n", finding.code, finding.message)
}
