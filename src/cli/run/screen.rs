//! A running pipeline on the terminal: a bar for each phase; plain lines where there is no terminal.

use crate::cli::{
    Printer,
    terminal::{progress, tables},
};
use botops_pipelines::{Event, Listener, StageOutcome};
use indicatif::ProgressBar;
use std::sync::{Mutex, PoisonError};

/// Shows the events of a pipeline.
pub(in crate::cli) struct Screen {
    printer: Printer,
    bar: Mutex<ProgressBar>,
}

impl Screen {
    pub(in crate::cli) fn new(printer: Printer) -> Self {
        Self { printer, bar: Mutex::new(ProgressBar::hidden()) }
    }

    /// Removes the bar.
    pub(in crate::cli) fn clear(&self) {
        self.with(|bar| bar.finish_and_clear());
    }

    fn with(&self, act: impl FnOnce(&mut ProgressBar)) {
        act(&mut self.bar.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn say(&self, line: &str) {
        self.with(|bar| bar.suspend(|| self.printer.say(line)));
    }
}

impl Listener for Screen {
    fn hear(&self, event: &Event) {
        match event {
            Event::Started { pipeline, stages } => {
                self.say(&format!("{pipeline}: {} stages", stages.len()));
            }
            Event::StageStarted { stage, reason } => self.say(&format!("{stage}: {reason}")),
            Event::Phase { stage, phase, total } => self.with(|bar| {
                bar.finish_and_clear();
                let label = if phase == "messages" { stage } else { phase };
                *bar = progress::bar(&self.printer, label, *total);
            }),
            Event::Advanced { steps, .. } => self.with(|bar| bar.inc(*steps)),
            Event::StageFinished { stage, outcome, summary, seconds } => {
                self.clear();
                let took = match outcome {
                    StageOutcome::Skipped => String::new(),
                    _ => format!(" in {}", tables::seconds(*seconds)),
                };
                self.say(&format!("{stage}: {}{took}: {summary}", outcome.name()));
            }
            Event::Note { message } => self.say(&format!("note: {message}")),
        }
    }
}
