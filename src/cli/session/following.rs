//! A rollout that is followed until it is over: a block that is redrawn on a terminal, else a line for each change.

use super::rollouts::{RolloutSource, Seen};
use crate::cli::{Printer, terminal::tables};
use botops_findings::{Fault, FaultKind, Result};
use botops_rollout::{PauseReason, Phase};
use botops_text::{count, shell_line};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::time::{Duration, Instant};
use tokio::signal::unix::{SignalKind, signal};

/// The time for which a server or store that cannot be reached is asked again.
const UNREACHABLE: Duration = Duration::from_secs(15);
/// The time between two lines that only tell counts.
const COUNTS: Duration = Duration::from_secs(60);
/// The time between two looks at the log.
const LOOK_AT_LOG: Duration = Duration::from_millis(500);

/// The state at which following ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Until {
    /// It waits for approvals, or needs none and promotes
    Approval,
    /// It is over
    Promoted,
}

impl Until {
    /// Returns whether `phase` is the state that was waited for, or beyond it.
    pub(crate) fn is_reached(self, phase: &Phase) -> bool {
        match self {
            Self::Approval => matches!(
                phase,
                Phase::AwaitingApproval { .. }
                    | Phase::Promoting
                    | Phase::Settling { .. }
                    | Phase::Promoted
            ),
            Self::Promoted => matches!(phase, Phase::Promoted),
        }
    }
}

/// How a rollout is followed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Following {
    /// The state at which it ends.
    pub(crate) until: Until,
    /// The time after which it ends; the rollout itself continues.
    pub(crate) timeout: Option<Duration>,
    /// Whether a terminal gets a block that is redrawn.
    pub(crate) is_live: bool,
    /// Whether SIGINT and SIGTERM end it. If not, the caller attends to them.
    pub(crate) ends_on_signal: bool,
}

impl Following {
    /// Follows the rollout `id` of `model` until it is over, has reached the state, or pauses for lack of evidence. A pause
    /// that a person requested, or that a hold causes, is waited for.
    ///
    /// # Errors
    /// `BOT-6034` (exit 2) there is none; `BOT-6040` (exit 4) the time is over; those of the server or of the store, if it
    /// cannot be reached for 15 s; `BOT-6080`, `BOT-6081` (exit 130, 143) a signal ended it.
    pub(crate) async fn follow(
        &self,
        source: &RolloutSource,
        printer: Printer,
        (model, id): (&str, Option<&str>),
    ) -> Result<Seen> {
        let seen = source.look(model, id).await?;
        // The id is fixed here: a rollout that begins later is another one.
        let id = seen.status.rollout.id.clone();
        tokio::select! {
            seen = self.follow_from(seen, source, printer, (model, &id)) => seen,
            fault = left_alone(model, &id), if self.ends_on_signal => Err(fault),
        }
    }

    async fn follow_from(
        &self,
        mut seen: Seen,
        source: &RolloutSource,
        printer: Printer,
        (model, id): (&str, &str),
    ) -> Result<Seen> {
        let began = Instant::now();
        let mut screen = Screen::new(printer, self.is_live);
        let mut seen_at = Instant::now();
        loop {
            screen.show(&seen);
            let rollout = &seen.status.rollout;
            let in_doubt = matches!(
                &rollout.phase,
                Phase::Paused { reason, .. }
                    if !matches!(reason, PauseReason::Requested | PauseReason::Held)
            );
            if rollout.is_over() || in_doubt || self.until.is_reached(&rollout.phase) {
                return Ok(seen);
            }
            if self.timeout.is_some_and(|timeout| began.elapsed() >= timeout) {
                let watch = shell_line(["botops", "rollout", "watch", model, "--id", id]);
                let message = format!("rollout {id} is still in progress");
                return Err(Fault::insufficient("BOT-6040", message)
                    .hint(format!("it continues on the server; follow it with `{watch}`")));
            }
            tokio::time::sleep(pause(source, &seen)).await;
            match source.look(model, Some(id)).await {
                Ok(now) => (seen, seen_at) = (now, Instant::now()),
                Err(fault)
                    if fault.kind() == FaultKind::Unreachable
                        && seen_at.elapsed() < UNREACHABLE =>
                {
                    screen.note(&format!("{}: {fault}; asked again", fault.code()));
                }
                Err(fault) => return Err(fault),
            }
        }
    }
}

/// Returns the time until the next look: the interval of the plan, within bounds.
fn pause(source: &RolloutSource, seen: &Seen) -> Duration {
    let least = match source {
        RolloutSource::Server(_) => Duration::from_millis(50),
        RolloutSource::Log(_) => LOOK_AT_LOG,
    };
    seen.status.rollout.policy.interval().clamp(least, Duration::from_secs(5))
}

/// Waits for the first SIGINT or SIGTERM and returns the fault that ends the command. The rollout `id` of `model` goes on.
async fn left_alone(model: &str, id: &str) -> Fault {
    let (Ok(mut interrupt), Ok(mut terminate)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return std::future::pending().await;
    };
    let (kind, code) = tokio::select! {
        _ = interrupt.recv() => (FaultKind::Interrupted, "BOT-6080"),
        _ = terminate.recv() => (FaultKind::Terminated, "BOT-6081"),
    };
    let watch = shell_line(["botops", "rollout", "watch", model, "--id", id]);
    Fault::new(kind, code, format!("no longer watched: rollout {id} goes on"))
        .hint(format!("follow it again: `{watch}`"))
}

/// The view of a rollout that is followed.
struct Screen {
    printer: Printer,
    /// The block; hidden without a terminal.
    block: ProgressBar,
    /// The transitions that were shown.
    n_shown: usize,
    /// The last line of counts, and when it was shown.
    counts: Option<(String, Instant)>,
    /// The last note.
    noted: String,
}

impl Screen {
    fn new(printer: Printer, is_live: bool) -> Self {
        let block = match is_live && printer.draws_bars() {
            true => ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr()),
            false => ProgressBar::hidden(),
        };
        block.set_style(ProgressStyle::with_template("{msg}").expect("the template is valid"));
        Self { printer, block, n_shown: 0, counts: None, noted: String::new() }
    }

    fn say(&self, line: &str) {
        self.block.suspend(|| self.printer.say(line));
    }

    /// Says `note`, unless it was the last one.
    fn note(&mut self, note: &str) {
        if self.noted != note {
            self.say(&format!("note: {note}"));
            note.clone_into(&mut self.noted);
        }
    }

    fn show(&mut self, seen: &Seen) {
        self.noted.clear();
        let transitions = &seen.status.decision.transitions;
        for transition in transitions.iter().skip(self.n_shown) {
            self.say(&format!(
                "{} UTC  {} at {} %: {}",
                transition.at.format("%H:%M:%S"),
                transition.phase,
                transition.weight_percent,
                transition.reason
            ));
        }
        let is_new = transitions.len() > self.n_shown;
        self.n_shown = transitions.len();
        if seen.status.rollout.is_over() {
            self.block.finish_and_clear();
            return;
        }
        if !self.block.is_hidden() {
            self.block.set_message(block(seen));
            self.block.tick();
            return;
        }
        let line = line(seen);
        let is_due = match &self.counts {
            None => seen.status.rollout.units() != [0, 0],
            Some((said, at)) => *said != line && (is_new || at.elapsed() >= COUNTS),
        };
        if is_due {
            self.say(&line);
            self.counts = Some((line, Instant::now()));
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.block.finish_and_clear();
    }
}

/// Renders the evidence by kind, each against its thresholds.
fn evidence(seen: &Seen) -> Vec<String> {
    let decision = &seen.status.decision;
    let judged = decision.evidence.iter().map(|evidence| {
        let name = evidence.kind.name();
        match evidence.is_measured() {
            false => format!("{name}: not measured"),
            true => format!(
                "{name}: log e worse {:.2} of {:.2}, not worse {:.2} of {:.2}",
                evidence.log_e_rollback,
                evidence.log_threshold,
                evidence.log_e_promote,
                evidence.log_threshold_promote
            ),
        }
    });
    let limits = decision.limits.iter().map(|limit| {
        format!(
            "{} limit of {} %: {} of {} failed, log e above {:.2} of {:.2}",
            limit.kind.name(),
            limit.limit_percent,
            count(limit.failures),
            count(limit.units),
            limit.log_e_above,
            limit.log_threshold
        )
    });
    judged.chain(limits).collect()
}

/// Renders where the rollout is: `ramping at 5 %, step 1 of 3`.
fn place(seen: &Seen) -> String {
    let rollout = &seen.status.rollout;
    let phase = rollout.phase.name().replace('_', " ");
    let step = match rollout.phase {
        Phase::Ramping { step, .. } => {
            format!(", step {} of {}", step + 1, rollout.policy.steps().len())
        }
        _ => String::new(),
    };
    format!("{phase} at {} %{step}", seen.status.weight_percent)
}

/// Renders the counts and the evidence in one line.
fn line(seen: &Seen) -> String {
    let [primary, canary] = seen.status.rollout.units();
    format!(
        "{}: {} conversations on the challenger, {} on the champion; {}; waiting for {}",
        place(seen),
        count(canary),
        count(primary),
        evidence(seen).join("; "),
        seen.waiting_for()
    )
}

/// Renders the block of a terminal.
fn block(seen: &Seen) -> String {
    let rollout = &seen.status.rollout;
    let [primary, canary] = rollout.units();
    let mut text = format!(
        "rollout {} of {}: {}, since {} UTC\n  conversations: {} on the challenger, {} on the champion",
        rollout.id,
        rollout.model,
        place(seen),
        tables::time(&rollout.updated_at),
        count(canary),
        count(primary)
    );
    for line in evidence(seen) {
        text.push_str(&format!("\n  {line}"));
    }
    text.push_str(&format!("\n  waiting for {}", seen.waiting_for()));
    text
}
