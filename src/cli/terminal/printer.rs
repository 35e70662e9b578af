//! The only code that writes to standard output and standard error.
//!
//! Answers go to standard output, everything else to standard error. If standard output takes a file that the verb writes
//! (`--out -`), the answer goes to standard error, too. A closed pipe is not an error. No line begins with a
//! command of a CI system ([`defused`]), except in an answer that consists of such commands (`--format github`).

use super::{
    ci_commands::defused,
    faults::{self, Style},
    tables,
};
use crate::cli::{Exit, Outcome};
use botops_findings::{Fault, Finding};
use std::io::{self, IsTerminal as _, Write as _};

/// The format of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// Tables and text for people
    Table,
    /// One JSON document, also on failure
    Json,
    /// Markdown for a job summary or a pull request
    Markdown,
    /// SARIF 2.1.0 for code scanning
    Sarif,
    /// JUnit XML for the test page of a CI system
    Junit,
    /// Annotations on the lines, for GitHub Actions
    Github,
}

/// Writes answers, findings and errors.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Printer {
    format: Format,
    quiet: bool,
    verbose: u8,
    stderr_is_terminal: bool,
    /// Whether standard output takes a file of the verb, so that the answer goes to standard error.
    stdout_is_taken: bool,
}

impl Printer {
    /// Makes a printer for this process.
    pub(crate) fn new(format: Format, quiet: bool, verbose: u8) -> Self {
        let stderr_is_terminal = io::stderr().is_terminal();
        Self { format, quiet, verbose, stderr_is_terminal, stdout_is_taken: false }
    }

    /// Returns a printer that leaves standard output to a file of the verb.
    pub(crate) fn beside_standard_output(self) -> Self {
        Self { stdout_is_taken: true, ..self }
    }

    /// Returns whether progress bars are drawn: on a terminal, without `--quiet`.
    pub(crate) fn draws_bars(&self) -> bool {
        self.stderr_is_terminal && !self.quiet
    }

    /// Returns whether the answer is a JSON document.
    pub(crate) fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    /// Returns whether the answer is Markdown.
    pub(crate) fn is_markdown(&self) -> bool {
        self.format == Format::Markdown
    }

    /// Returns the format of the answer.
    pub(crate) fn format(&self) -> Format {
        self.format
    }

    /// Writes a line to standard error, unless `--quiet` is set.
    pub(crate) fn say(&self, line: &str) {
        if !self.quiet {
            let _ = writeln!(anstream::stderr(), "{}", defused(line));
        }
    }

    /// Writes a prompt to standard error, and leaves the cursor behind it.
    pub(crate) fn prompt(&self, text: &str) {
        let mut terminal = anstream::stderr();
        let _ = write!(terminal, "{text}").and_then(|()| terminal.flush());
    }

    /// Writes the findings of reading files to standard error, unless the answer is a JSON document.
    pub(crate) fn notices(&self, notices: &[Finding]) {
        const SAMPLES: usize = 5;
        let text = tables::findings(notices, SAMPLES);
        if !self.is_json() && !text.is_empty() {
            self.say(text.trim_end());
        }
    }

    /// Adds `notices`, the findings of reading files, to `outcome`, unless the verb reported them itself.
    ///
    /// They are findings of the JSON document. Beside any other answer, they are written to standard error.
    pub(crate) fn with_notices(&self, mut outcome: Outcome, mut notices: Vec<Finding>) -> Outcome {
        notices.retain(|notice| !outcome.findings.contains(notice));
        self.notices(&notices);
        if self.is_json() {
            outcome.findings.extend(notices);
        }
        outcome
    }

    /// Writes the outcome of a verb; returns the exit code, which is 1 if the answer could not be written.
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
            let is_written = answer(&format!("{document:#}\n"));
            return if is_written { outcome.exit } else { Exit::Internal };
        }
        let mut text = outcome.text.clone();
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        if self.stdout_is_taken {
            // The next commands would name a file, and there is none.
            let _ = write!(anstream::stderr(), "{}", defused(&text));
            return outcome.exit;
        }
        let is_written = match self.format {
            Format::Github => answer(&text),
            _ => answer(&defused(&text)),
        };
        for next in &outcome.next {
            self.say(&format!("next: `{next}`"));
        }
        if is_written { outcome.exit } else { Exit::Internal }
    }

    /// Writes a part of a long answer without waiting for the rest.
    ///
    /// # Errors
    /// The error of the write; a reader that closed the pipe is [`io::ErrorKind::BrokenPipe`].
    pub(crate) fn part(&self, text: &str) -> io::Result<()> {
        let mut out = anstream::stdout().lock();
        out.write_all(defused(text).as_bytes())?;
        out.flush()
    }

    /// Writes a fault: to standard error, or as a document to standard output.
    pub(crate) fn fault(&self, verb: &str, fault: &Fault) {
        if !self.is_json() {
            let text = faults::fault(fault, Style::Colored, self.verbose);
            let _ = write!(anstream::stderr(), "{}", defused(&text));
            return;
        }
        let document = serde_json::json!({
            "schema": format!("botops.{verb}/1"),
            "ok": false,
            "exit": Exit::from(fault).code(),
            "data": null,
            "findings": faults::as_findings(fault),
            "next": [format!("botops explain {}", fault.code())],
        });
        answer(&format!("{document:#}\n"));
    }
}

/// Writes `text` to standard output; returns whether that succeeded. A pipe that its reader closed counts as success.
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
