//! A registry over a store, in one environment.

use super::{
    Event, deployments::DEFAULT_ENVIRONMENT, known_environments::KnownEnvironments,
    known_folds::KnownFolds, state::State,
};
use botops_store::Store;
use std::sync::Arc;

/// A registry over a store.
///
/// It is in one environment, which decides the champion; [`DEFAULT_ENVIRONMENT`] unless [`Self::in_environment`] says
/// otherwise. Clones share the entries of the logs that they have read: each is read once, and then only what was appended.
#[derive(Clone)]
pub struct Registry {
    pub(super) store: Store,
    pub(super) logs: Arc<KnownFolds<Event, State>>,
    pub(super) deployments: Arc<KnownEnvironments>,
    pub(super) environment: Arc<str>,
}

impl Registry {
    /// Opens the registry of `store`.
    #[must_use]
    pub fn open(store: Store) -> Self {
        Self {
            logs: Arc::new(KnownFolds::new(store.clone())),
            deployments: Arc::new(KnownEnvironments::new(store.clone())),
            environment: DEFAULT_ENVIRONMENT.into(),
            store,
        }
    }

    /// Returns the store.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }
}
