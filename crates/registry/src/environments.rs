//! The environment of a registry.

use super::{
    CHAMPION, Champions, DEFAULT_ENVIRONMENT, Environment, Registry, Version, reference::is_alias,
    state::State,
};
use botops_digest::Digest;
use botops_findings::{Fault, FaultKind, Finding, Result, Severity};
use std::{collections::BTreeMap, sync::Arc};

/// Checks the name of an environment.
///
/// # Errors
/// `BOT-5029` it has an invalid name (exit 2).
pub fn check_environment(name: &str) -> Result<()> {
    if is_alias(name) && name != CHAMPION {
        return Ok(());
    }
    Err(Fault::usage("BOT-5029", format!("`{name}` cannot be the name of an environment"))
        .hint("begin with a lowercase letter, then use lowercase letters, digits, `-` and `_`"))
}

impl Registry {
    /// Returns the same registry in the environment `name`, with the same caches.
    ///
    /// # Errors
    /// `BOT-5029` (exit 2).
    pub fn in_environment(&self, name: &str) -> Result<Self> {
        check_environment(name)?;
        Ok(Self { environment: name.into(), ..self.clone() })
    }

    /// Returns the name of the environment.
    #[must_use]
    pub fn environment_name(&self) -> &str {
        &self.environment
    }

    /// Returns the state of the environment: the fold of its deployment log.
    ///
    /// # Errors
    /// Those of the store; `BOT-5006` the log is damaged (exit 3).
    pub async fn environment(&self) -> Result<Arc<Environment>> {
        Ok(self.deployments.read(&self.environment).await?.environment)
    }

    /// Returns the problem of the checkpoint of this environment's log that could not be read or written, if any. The whole
    /// log was read instead, and nothing failed because of it.
    #[must_use]
    pub fn checkpoint_problem(&self) -> Option<Finding> {
        self.deployments.log(&self.environment).checkpoint_problem()
    }

    /// Returns the names of the environments that have a deployment log or are in force, sorted.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn environments(&self) -> Result<Vec<String>> {
        let mut names = self.store.folders("deployments").await?;
        names.retain(|name| check_environment(name).is_ok());
        names.push(self.environment.to_string());
        names.push(DEFAULT_ENVIRONMENT.to_owned());
        names.sort();
        names.dedup();
        Ok(names)
    }

    /// Returns the champions that `model` had in this environment.
    ///
    /// # Errors
    /// `BOT-5011` no such model (exit 2); `BOT-5006` a log is damaged (exit 3).
    pub async fn champions(&self, model: &str) -> Result<Champions> {
        Ok(self.known(model).await?.sound()?.champions)
    }

    /// Returns the manifest of the champion of `model` in every environment that has one, by the name of the environment.
    ///
    /// # Errors
    /// `BOT-5011` no such model (exit 2); `BOT-5006` a log is damaged (exit 3).
    pub async fn champions_everywhere(&self, model: &str) -> Result<BTreeMap<String, Digest>> {
        let state = self.known(model).await?.state;
        let mut champions = BTreeMap::new();
        for name in self.environments().await? {
            if let Some(champion) = self.champions_in(&name, model, &state).await?.current() {
                champions.insert(name, champion);
            }
        }
        Ok(champions)
    }

    /// Returns a warning for every environment whose deployment log is damaged: its champions are unknown.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn environment_warnings(&self) -> Result<Vec<Finding>> {
        let mut warnings = Vec::new();
        for name in self.environments().await? {
            match self.deployments.read(&name).await {
                Ok(_) => {}
                Err(fault) if fault.kind() == FaultKind::Gate => {
                    let mut finding = fault.as_finding();
                    finding.severity = Severity::Warning;
                    finding.message =
                        format!("the champions of `{name}` are unknown: {}", finding.message);
                    warnings.push(finding);
                }
                Err(fault) => return Err(fault),
            }
        }
        Ok(warnings)
    }

    /// Adds, to the aliases of each of `versions` of one model, the names of the other environments whose champion it is.
    ///
    /// The champion of an environment whose log is damaged is unknown, as [`Self::environment_warnings`] says.
    ///
    /// # Errors
    /// Those of the store; `BOT-5011` no such model (exit 2).
    pub async fn name_environments(&self, model: &str, versions: &mut [Version]) -> Result<()> {
        let state = self.known(model).await?.state;
        for name in self.environments().await? {
            if *name == *self.environment {
                continue;
            }
            let champion = match self.champions_in(&name, model, &state).await {
                Ok(champions) => champions.current(),
                Err(fault) if fault.kind() == FaultKind::Gate => None,
                Err(fault) => return Err(fault),
            };
            let of_it = |version: &&mut Version| Some(version.manifest_digest) == champion;
            for version in versions.iter_mut().filter(of_it) {
                version.aliases.push(name.clone());
                version.aliases.sort();
                version.aliases.dedup();
            }
        }
        Ok(())
    }

    /// Returns the champions of the model with `state` in the environment `name`.
    pub(super) async fn champions_in(
        &self,
        name: &str,
        model: &str,
        state: &State,
    ) -> Result<Champions> {
        let known = self.deployments.read(name).await?;
        let deployed = known.environment.model(model);
        Ok(Champions::of(model, state, deployed, name == DEFAULT_ENVIRONMENT))
    }
}
