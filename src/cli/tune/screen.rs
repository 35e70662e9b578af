//! A running search on the terminal: a bar with the best trial and the remaining time; plain lines without a terminal.

use crate::cli::{
    Printer,
    terminal::{progress, tables},
};
use botops_evaluation::MetricName;
use botops_text::percent;
use botops_tuning::{By, TuneEvent, TuneListener};
use indicatif::ProgressBar;
use std::sync::{Mutex, PoisonError};

/// Shows the events of a search.
pub(super) struct Screen {
    printer: Printer,
    metric: MetricName,
    bar: Mutex<ProgressBar>,
}

impl Screen {
    pub(super) fn new(printer: Printer, metric: MetricName) -> Self {
        Self { printer, metric, bar: Mutex::new(ProgressBar::hidden()) }
    }

    pub(super) fn clear(&self) {
        self.with(|bar| bar.finish_and_clear());
    }

    fn with(&self, act: impl FnOnce(&mut ProgressBar)) {
        act(&mut self.bar.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn say(&self, line: &str) {
        self.with(|bar| bar.suspend(|| self.printer.say(line)));
    }
}

impl TuneListener for Screen {
    fn hear(&self, event: &TuneEvent) {
        let metric = self.metric.name();
        match event {
            TuneEvent::Started { trials, fits, known } => {
                let finished = match known {
                    0 => String::new(),
                    known => format!(", {} of them finished before", tables::count(*known)),
                };
                self.say(&format!(
                    "{trials} trials, at most {} fits{finished}",
                    tables::count(*fits)
                ));
                self.with(|bar| *bar = progress::bar(&self.printer, "tune", *fits));
            }
            TuneEvent::RungStarted { rung, rungs, trials, folds, share } => {
                let records = match *share < 1.0 {
                    true => format!(", trained on {} of the records", percent(*share, 0)),
                    false => String::new(),
                };
                self.say(&format!(
                    "rung {rung} of {rungs}: {trials} trials on {folds} folds{records}"
                ));
            }
            TuneEvent::Judged { trial, score, best, fits, by, .. } => {
                let best = best.map(|(trial, score)| format!("best {score:.4} ({trial})"));
                self.with(|bar| {
                    bar.inc(*fits);
                    if let Some(best) = &best {
                        bar.set_message(best.clone());
                    }
                    if *by == By::Store {
                        // A stored result says nothing about the time that the other trials take.
                        bar.reset_eta();
                    }
                });
                // Stored results are not printed again.
                if !self.printer.draws_bars() && *by == By::Here {
                    let score = match score {
                        Some(score) => format!("{metric} {score:.4}"),
                        None => "training failed".to_owned(),
                    };
                    let best = best.map_or(String::new(), |best| format!(", {best}"));
                    self.say(&format!("  trial {trial}: {score}{best}"));
                }
            }
            TuneEvent::Waiting { missing, takeover } => {
                let left = tables::seconds(takeover.as_secs_f64());
                let results = if *missing == 1 { "result" } else { "results" };
                self.say(&format!(
                    "waiting for {missing} {results} of other shards; missing trials run here after {left}"
                ));
            }
            TuneEvent::Note { message } => self.say(&format!("note: {message}")),
        }
    }
}
