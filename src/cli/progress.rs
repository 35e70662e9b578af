//! How far the work is: bars on a terminal, plain lines elsewhere.

use super::Printer;
use crate::models::Progress;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::sync::Mutex;

/// Returns a bar with rate and remaining time, or one that draws nothing.
pub(crate) fn bar(printer: &Printer, label: &str, total: u64) -> ProgressBar {
    if !printer.draws_bars() {
        return ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::hidden());
    }
    let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr());
    let style =
        ProgressStyle::with_template("{msg:>12} [{bar:30}] {pos}/{len} {per_sec} {eta} left")
            .expect("the template is valid")
            .progress_chars("=> ");
    bar.set_style(style);
    bar.set_message(label.to_owned());
    bar
}

/// Shows a training.
pub(crate) struct Training<'a> {
    printer: &'a Printer,
    bar: Mutex<ProgressBar>,
}

impl<'a> Training<'a> {
    pub(crate) fn new(printer: &'a Printer) -> Self {
        Self { printer, bar: Mutex::new(ProgressBar::hidden()) }
    }

    fn with(&self, act: impl FnOnce(&mut ProgressBar)) {
        act(&mut self.bar.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
    }
}

impl Progress for Training<'_> {
    fn begin(&self, phase: &'static str, total: u64) {
        self.with(|held| {
            held.finish_and_clear();
            *held = bar(self.printer, phase, total);
        });
    }

    fn advance(&self, done: u64) {
        self.with(|held| held.inc(done));
    }

    fn finish(&self) {
        self.with(|held| held.finish_and_clear());
    }
}
