//! The outcome of a verb.

use super::terminal::exit::Exit;
use botops_findings::Finding;
use botops_text::shell_line;
use std::path::Path;

/// The result of a verb.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// The struct that `text` was made from.
    pub(crate) data: serde_json::Value,
    /// The answer for people.
    pub(crate) text: String,
    /// The findings.
    pub(crate) findings: Vec<Finding>,
    /// The exit code.
    pub(crate) exit: Exit,
    /// The next commands, ready to paste.
    pub(crate) next: Vec<String>,
}

impl Outcome {
    /// Makes the outcome of a verb that succeeded.
    pub(crate) fn done<T: serde::Serialize>(data: &T, text: impl Into<String>) -> Self {
        Self {
            data: serde_json::to_value(data).expect("the answers of verbs are valid JSON"),
            text: text.into(),
            findings: Vec::new(),
            exit: Exit::Done,
            next: Vec::new(),
        }
    }

    /// Sets the exit code.
    pub(crate) fn exit(mut self, exit: Exit) -> Self {
        self.exit = exit;
        self
    }

    /// Sets the findings.
    pub(crate) fn findings(mut self, findings: Vec<Finding>) -> Self {
        self.findings = findings;
        self
    }

    /// Adds `-C` to the next commands, because their paths are relative to `folder`.
    pub(crate) fn in_folder(mut self, folder: Option<&Path>) -> Self {
        let Some(folder) = folder else { return self };
        let folder = shell_line(["botops", "-C", &folder.display().to_string()]);
        for next in &mut self.next {
            if let Some(rest) = next.strip_prefix("botops ") {
                *next = format!("{folder} {rest}");
            }
        }
        self
    }

    /// Adds a next command.
    pub(crate) fn next(mut self, command: impl Into<String>) -> Self {
        self.next.push(command.into());
        self
    }
}
