//! The locked state of a rollout, and the copy of it that is shown.

use super::{
    driver::Canary,
    state::{Active, State, no_such_rollout},
    view::View,
};
use botops_findings::Result;
use botops_rollout::{self as rollout, Command, Decision, Transition};
use chrono::{DateTime, Utc};
use std::{
    ops::{Deref, DerefMut},
    sync::{Arc, PoisonError, atomic::Ordering},
};
use tokio::sync::MutexGuard;

/// The locked state. Releasing it shows what changed.
pub(super) struct Held<'a> {
    canary: &'a Canary,
    state: MutexGuard<'a, State>,
}

impl Deref for Held<'_> {
    type Target = State;
    fn deref(&self) -> &State {
        &self.state
    }
}

impl DerefMut for Held<'_> {
    fn deref_mut(&mut self) -> &mut State {
        &mut self.state
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        let durable = self.state.pending.is_none() && !self.state.refused;
        self.canary.model_durable.store(durable, Ordering::SeqCst);
        let view = self.state.active.as_ref().map(|active| Arc::new(View::of(active, true)));
        self.canary.set_view(view);
    }
}

impl Canary {
    /// Locks the state.
    pub(super) async fn lock(&self) -> Held<'_> {
        Held { canary: self, state: self.state.lock().await }
    }

    fn set_view(&self, view: Option<Arc<View>>) {
        *self.view.lock().unwrap_or_else(PoisonError::into_inner) = view;
    }

    /// Returns the rollout `id`; `latest` names the current or the last one.
    ///
    /// # Errors
    /// `BOT-6034`.
    fn view(&self, id: &str) -> Result<Arc<View>> {
        let view = self.view.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let named = view.filter(|view| id == "latest" || view.rollout.id == id);
        named.ok_or_else(|| no_such_rollout(id, &self.app.model))
    }

    /// Reads the rollout `id`; `latest` names the current or the last one. Never waits for the store.
    ///
    /// # Errors
    /// `BOT-6034`.
    pub(crate) async fn read<T>(
        &self,
        id: &str,
        read: impl FnOnce(&View, Decision) -> T,
    ) -> Result<T> {
        let view = self.view(id)?;
        let decision = Decision::new(&view.rollout, view.transitions.clone(), self.rehearsal);
        Ok(read(&view, decision))
    }

    /// Shows the effect of `command` before it can be recorded.
    ///
    /// # Errors
    /// `BOT-6034`; `BOT-6002` if the phase does not allow the command.
    pub(super) fn show_ahead(&self, id: &str, command: &Command, now: DateTime<Utc>) -> Result<()> {
        let view = self.view(id)?;
        if view.rollout.is_over() && !view.durable {
            // An earlier abort is in effect and not written yet: the answer to a repeated one is the state shown.
            return Ok(());
        }
        let transition = rollout::command(&view.rollout, command, now)?;
        self.set_view(Some(Arc::new(view.after(&transition))));
        Ok(())
    }

    /// Shows `transition` of `active`, which is in effect and not written yet.
    pub(super) fn show_unwritten(&self, active: &Active, transition: &Transition) {
        self.set_view(Some(Arc::new(View::of(active, false).after(transition))));
    }

    /// Returns whether this server drives a rollout that is under way. Never waits for the store.
    pub(super) fn drives_open_rollout(&self) -> bool {
        self.view("latest").is_ok_and(|view| view.driven && !view.rollout.is_over())
    }

    /// Returns whether everything in effect is recorded. Never waits for the store.
    pub(crate) fn is_durable(&self) -> bool {
        let view = self.view.lock().unwrap_or_else(PoisonError::into_inner);
        self.model_durable.load(Ordering::SeqCst) && view.as_ref().is_none_or(|view| view.durable)
    }
}
