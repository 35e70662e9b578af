//! Progress bars on a terminal, and the cost of each phase of a training.

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

/// Shows the progress of a training and measures the cost of its phases.
pub(crate) struct Training<'a> {
    printer: &'a Printer,
    state: Mutex<State>,
}

struct State {
    bar: ProgressBar,
    /// The current phase, with the wall-clock time and the CPU seconds at its start.
    phase: Option<(&'static str, Instant, Option<f64>)>,
    costs: Vec<Cost>,
}

impl<'a> Training<'a> {
    pub(crate) fn new(printer: &'a Printer) -> Self {
        let state = State { bar: ProgressBar::hidden(), phase: None, costs: Vec::new() };
        Self { printer, state: Mutex::new(state) }
    }

    /// Returns the costs of the finished phases, in order.
    pub(crate) fn costs(&self) -> Vec<Cost> {
        self.with(|state| state.costs.clone())
    }

    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }
}

impl Progress for Training<'_> {
    fn begin(&self, phase: &'static str, total: u64) {
        self.with(|state| {
            state.bar.finish_and_clear();
            state.bar = bar(self.printer, phase, total);
            state.phase = Some((phase, Instant::now(), cpu_seconds()));
        });
    }

    fn advance(&self, done: u64) {
        self.with(|state| state.bar.inc(done));
    }

    fn finish(&self) {
        self.with(|state| {
            state.bar.finish_and_clear();
            if let Some((phase, began, cpu)) = state.phase.take() {
                state.costs.push(Cost {
                    phase: phase.to_owned(),
                    seconds: began.elapsed().as_secs_f64(),
                    cpu_seconds: cpu.zip(cpu_seconds()).map(|(before, now)| now - before),
                });
            }
        });
    }

    fn note(&self, message: &str) {
        self.with(|state| state.bar.suspend(|| self.printer.say(message)));
    }
}

/// Returns the CPU seconds that this process has used; `None` where `/proc` is missing.
pub(crate) fn cpu_seconds() -> Option<f64> {
    // Linux reports ticks of 1/100 s to programs, whatever unit the kernel uses internally.
    const TICKS: f64 = 100.0;
    let line = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The program name is in parentheses and may contain spaces; user and system time are words 12 and 13 after it.
    let (_, rest) = line.rsplit_once(')')?;
    let mut words = rest.split_whitespace().skip(11);
    let user: f64 = words.next()?.parse().ok()?;
    let system: f64 = words.next()?.parse().ok()?;
    Some((user + system) / TICKS)
}
