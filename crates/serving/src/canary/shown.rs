//! The state as it is shown: a copy that can be read while the state is locked.
//!
//! A server holds the state while it writes to the store. The status of a rollout, and the check of an abort, must not
//! wait for a store that hangs.

use super::{
    follow::Canary,
    state::{InEffect, Reverted, State, no_such_rollout},
    view::{Shown, View},
};
use botops_findings::Result;
use botops_rollout::{self as rollout, Command, Decision, Rollout};
use chrono::{DateTime, Utc};
use std::sync::{Arc, PoisonError};

impl Canary {
    /// Shows `state`, with the acts in effect that the log does not have yet.
    pub(super) fn show_state(&self, state: &State) {
        let model = self.app.model.as_str();
        let deployed = state.deployed(model);
        let acts = self.in_effect();
        let mut view = deployed.and_then(|deployed| {
            let step = deployed.step.as_ref()?;
            Some(View {
                rollout: step.rollout.clone(),
                transitions: deployed.decisions.clone(),
                durable: true,
                driven: self.rehearsal || state.holder(model) == Some(self.journal.writer()),
            })
        });
        if let Some(view) = &mut view {
            acts.iter().for_each(|act| show_ahead(view, act, self.rehearsal));
        }
        let metrics = &self.app.metrics;
        if let Some(View { rollout, .. }) = &view {
            metrics.phase.set(i64::from(rollout.phase.number()));
            metrics.weight.set(rollout.weight());
            metrics.changed.set(rollout.updated_at.timestamp_millis() as f64 / 1e3);
            metrics.evidence(&rollout.evidence());
        }
        let holder = state.holder(model);
        metrics.first.set(i64::from(holder.is_none_or(|holder| holder == self.journal.writer())));
        self.set_shown(Shown {
            view,
            lease: deployed.and_then(|deployed| deployed.lease.clone()),
            seq: state.tip.as_ref().map_or(0, |tip| tip.seq),
            durable: acts.is_empty(),
        });
    }

    fn set_shown(&self, shown: Shown) {
        self.tip.send_replace(shown.seq);
        *self.shown.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(shown);
    }

    /// Shows the effect of `act` at once.
    pub(super) fn show_act(&self, act: &InEffect) {
        let mut shown = Shown::clone(&self.shown());
        shown.durable = false;
        if let Some(view) = &mut shown.view {
            show_ahead(view, act, self.rehearsal);
        }
        self.set_shown(shown);
    }

    /// Returns what is shown.
    pub(crate) fn shown(&self) -> Arc<Shown> {
        Arc::clone(&self.shown.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Returns the rollout `id`; `latest` names the current or the last one.
    ///
    /// # Errors
    /// `BOT-6034`.
    pub(super) fn view(&self, id: &str) -> Result<View> {
        let view = self.shown().view.clone();
        let named = view.filter(|view| id == "latest" || view.rollout.id == id);
        named.ok_or_else(|| no_such_rollout(id, &self.app.model))
    }

    /// Reads the rollout `id`; `latest` names the current or the last one. Never waits for the store.
    ///
    /// # Errors
    /// `BOT-6034`.
    pub(crate) fn read<T>(&self, id: &str, read: impl FnOnce(&View, Decision) -> T) -> Result<T> {
        let view = self.view(id)?;
        let decision = Decision::new(&view.rollout, view.transitions.clone(), self.rehearsal);
        Ok(read(&view, decision))
    }

    /// Returns whether every act in effect on this server is in the log. Never waits for the store.
    pub(crate) fn is_durable(&self) -> bool {
        self.shown().durable
    }

    /// Returns whether another server ticks the rollout that is under way.
    pub(crate) fn is_second(&self) -> bool {
        let shown = self.shown();
        let is_open = shown.view.as_ref().is_some_and(|view| !view.rollout.is_over());
        let lease = shown.lease.as_ref();
        is_open && lease.is_some_and(|lease| lease.holder != self.journal.writer())
    }
}

/// Applies `act`, which is in effect and not written yet, to the rollout that is shown.
fn show_ahead(view: &mut View, act: &InEffect, rehearsal: bool) {
    let Reverted::Abort { id, reason } = &act.act else { return };
    if view.rollout.id != *id {
        return;
    }
    view.durable = false;
    let Some(next) = aborted(&view.rollout, reason, act.at) else { return };
    let record = next.record();
    view.transitions.push(if rehearsal { record } else { record.by(&act.requester.by.label()) });
    view.rollout = next.next;
}

/// Returns the abort of `rollout`; `None` if it is being rolled back already, or over.
pub(super) fn aborted(
    rollout: &Rollout,
    reason: &str,
    at: DateTime<Utc>,
) -> Option<rollout::Transition> {
    if rollout.is_over() || matches!(rollout.phase, rollout::Phase::RollingBack { .. }) {
        return None;
    }
    rollout::command(rollout, &Command::Abort { reason: reason.to_owned() }, at).ok()
}
