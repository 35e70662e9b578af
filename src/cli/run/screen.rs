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
    bar: Mutex<StageBar>,
}

/// The bar of a phase. Of stages that run at once, the one that began a phase last has it.
struct StageBar {
    bar: ProgressBar,
    stage: String,
}

impl Screen {
    pub(in crate::cli) fn new(printer: Printer) -> Self {
        let bar = StageBar { bar: ProgressBar::hidden(), stage: String::new() };
        Self { printer, bar: Mutex::new(bar) }
    }

    /// Removes the bar.
    pub(in crate::cli) fn clear(&self) {
        self.with(|shown| shown.bar.finish_and_clear());
    }

    fn with(&self, act: impl FnOnce(&mut StageBar)) {
        act(&mut self.bar.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn say(&self, line: &str) {
        self.with(|shown| shown.bar.suspend(|| self.printer.say(line)));
    }
}

impl Listener for Screen {
    fn hear(&self, event: &Event) {
        match event {
            Event::Started { pipeline, stages } => {
                self.say(&format!("{pipeline}: {} stages", stages.len()));
            }
            Event::StageStarted { stage, reason } => self.say(&format!("{stage}: {reason}")),
            Event::Phase { stage, phase, total } => self.with(|shown| {
                shown.bar.finish_and_clear();
                let label = if phase == "messages" { stage } else { phase };
                shown.bar = progress::bar(&self.printer, label, *total);
                shown.stage.clone_from(stage);
            }),
            Event::Advanced { stage, steps } => self.with(|shown| {
                if shown.stage == *stage {
                    shown.bar.inc(*steps);
                }
            }),
            Event::StageFinished { stage, outcome, summary, seconds } => {
                self.with(|shown| {
                    if shown.stage == *stage {
                        shown.bar.finish_and_clear();
                    }
                });
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
