//! A model in the environment of a registry.

use super::{CHAMPION, Champions, Registry, state::State};
use botops_digest::Digest;
use botops_findings::{Fault, FaultKind, Result};
use std::sync::Arc;

/// A model in an environment: the fold of its log, and its champions.
pub(super) struct Standing {
    /// The fold of the model's log.
    pub(super) state: Arc<State>,
    /// The champions; none if the deployment log is damaged.
    pub(super) champions: Champions,
    /// The fault of a damaged deployment log.
    pub(super) damage: Option<Fault>,
}

impl Standing {
    /// Returns the model, unless the deployment log is damaged.
    ///
    /// # Errors
    /// That fault.
    pub(super) fn sound(self) -> Result<Self> {
        match self.damage {
            Some(fault) => Err(fault),
            None => Ok(self),
        }
    }

    /// Returns the aliases that point to `manifest`, sorted; without `champion` if the deployment log is damaged.
    pub(super) fn aliases(&self, manifest: &Digest) -> Vec<String> {
        let champion = self.champions.current().map(|champion| (CHAMPION, champion));
        let mut names: Vec<String> = (self.state.set_aliases().chain(champion))
            .filter(|(_, to)| to == manifest)
            .map(|(alias, _)| alias.to_owned())
            .collect();
        names.sort();
        names
    }
}

impl Registry {
    /// Returns the model in this environment; `None` if no version was ever registered under that name.
    ///
    /// Versions can be read by number or digest although the deployment log is damaged.
    pub(super) async fn standing(&self, model: &str) -> Result<Option<Standing>> {
        let Some(state) = self.state(model).await? else { return Ok(None) };
        match self.champions_in(&self.environment, model, &state).await {
            Ok(champions) => Ok(Some(Standing { state, champions, damage: None })),
            Err(fault) if fault.kind() == FaultKind::Gate => {
                Ok(Some(Standing { state, champions: Champions::default(), damage: Some(fault) }))
            }
            Err(fault) => Err(fault),
        }
    }
}
