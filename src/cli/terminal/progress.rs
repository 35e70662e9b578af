//! How far the work is: bars on a terminal, plain lines elsewhere.

use crate::cli::Printer;
use botops_experiments::Cost;
use botops_models::Progress;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::{sync::Mutex, time::Instant};

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

/// Shows a training, and measures it.
pub(crate) struct Training<'a> {
    printer: &'a Printer,
    shown: Mutex<Shown>,
}

struct Shown {
    bar: ProgressBar,
    /// The phase under way, and what the clocks said when it began.
    began: Option<(&'static str, Instant, Option<f64>)>,
    costs: Vec<Cost>,
}

impl<'a> Training<'a> {
    pub(crate) fn new(printer: &'a Printer) -> Self {
        let shown = Shown { bar: ProgressBar::hidden(), began: None, costs: Vec::new() };
        Self { printer, shown: Mutex::new(shown) }
    }

    /// Returns what each phase that is over cost, in order.
    pub(crate) fn costs(&self) -> Vec<Cost> {
        self.with(|shown| shown.costs.clone())
    }

    fn with<T>(&self, act: impl FnOnce(&mut Shown) -> T) -> T {
        act(&mut self.shown.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }
}

impl Progress for Training<'_> {
    fn begin(&self, phase: &'static str, total: u64) {
        self.with(|shown| {
            shown.bar.finish_and_clear();
            shown.bar = bar(self.printer, phase, total);
            shown.began = Some((phase, Instant::now(), cpu_seconds()));
        });
    }

    fn advance(&self, done: u64) {
        self.with(|shown| shown.bar.inc(done));
    }

    fn finish(&self) {
        self.with(|shown| {
            shown.bar.finish_and_clear();
            if let Some((phase, began, cpu)) = shown.began.take() {
                shown.costs.push(Cost {
                    phase: phase.to_owned(),
                    seconds: began.elapsed().as_secs_f64(),
                    cpu_seconds: cpu.zip(cpu_seconds()).map(|(before, now)| now - before),
                });
            }
        });
    }

    fn note(&self, message: &str) {
        self.with(|shown| shown.bar.suspend(|| self.printer.say(message)));
    }
}

/// Returns the seconds that processors have worked for this process, where Linux tells.
fn cpu_seconds() -> Option<f64> {
    // A tick is 1/100 s in what Linux shows to programs, whatever its kernel counts in.
    const TICKS: f64 = 100.0;
    let line = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The name stands in parentheses and may hold blanks; user and system time are the 12th and 13th word after it.
    let (_, rest) = line.rsplit_once(')')?;
    let mut words = rest.split_whitespace().skip(11);
    let user: f64 = words.next()?.parse().ok()?;
    let system: f64 = words.next()?.parse().ok()?;
    Some((user + system) / TICKS)
}
