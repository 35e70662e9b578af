//! The parts of a restore that need other rooms: erasures in the prediction log, and the checks of a restored registry.

use crate::cli::session::provenance;
use botops_backup::{ApplyErasures, Erased};
use botops_channels::{ErasedMessages, ErasedNames, forget_messages};
use botops_findings::{Fault, Finding, Result, Severity};
use botops_models::IntentModel;
use botops_predictions::forget;
use botops_registry::{Act, Registry};
use botops_store::{Erasure, Store};

/// Erases from the prediction logs of every environment, and from the versions of every model.
pub(super) struct Erasing;

impl ApplyErasures for Erasing {
    async fn predictions(&mut self, store: &Store, erased: &Erased) -> Result<()> {
        if erased.conversations.is_empty() {
            return Ok(());
        }
        for environment in store.folders("predictions").await? {
            forget(store, &environment, &erased.conversations, false).await?;
        }
        Ok(())
    }

    async fn messages(&mut self, store: &Store, erased: &Erased) -> Result<()> {
        let names = ErasedNames {
            conversations: erased.conversations.clone(),
            persons: erased.persons.clone(),
        };
        let at = provenance::now()?.timestamp();
        // What cannot be read was damaged before the backup, and is reported wherever it is used.
        Fault::unless_unreachable(forget_messages(store, &names, at, false).await)?.or_else(
            |fault| match fault.code() {
                "BOT-7505" => Ok(ErasedMessages::default()),
                _ => Err(fault),
            },
        )?;
        Ok(())
    }

    async fn versions(&mut self, store: &Store, erasure: &Erasure) -> Result<()> {
        let registry = Registry::open(store.clone());
        let blobs = erasure.blobs.iter().copied().collect();
        // A version whose manifest is damaged in the backup is reported by the verification of the registry. Its blobs are
        // not restored in any case.
        let plan = match Fault::unless_unreachable(registry.plan_erasure(blobs).await)? {
            Ok(plan) => plan,
            Err(_) => return Ok(()),
        };
        let act = Act::claimed(erasure.by.clone(), erasure.reason.clone(), erasure.at);
        registry.erase(&plan, &erasure.id, &act).await
    }
}

/// The findings of the checks of a restored registry.
pub(super) struct Checked {
    /// The number of models that were opened.
    pub(super) models: u64,
    /// The number of entries of logs that were read.
    pub(super) entries: u64,
    /// The problems.
    pub(super) problems: Vec<Finding>,
}

/// Checks a restored registry from itself alone: every log and blob is verified, deployments are replayed, and the file of each
/// version is opened.
///
/// # Errors
/// Those of a store that cannot be reached.
pub(super) async fn check(registry: &Registry) -> Result<Checked> {
    let mut verification = registry.verify(None).await?;
    verification.problems.extend(botops_serving::verify_deployments(registry).await?);
    let mut checked =
        Checked { models: 0, entries: verification.entries, problems: verification.problems };
    for model in registry.models().await? {
        for version in registry.versions(&model).await? {
            let Some(digest) = version.model_digest() else { continue };
            let opened = match Fault::unless_unreachable(registry.store().blob(&digest).await)? {
                Ok(bytes) => IntentModel::from_bytes(&bytes).map(drop),
                // It was erased on purpose.
                Err(fault) if fault.code() == "BOT-5130" => continue,
                Err(fault) => Err(fault),
            };
            match opened {
                Ok(()) => checked.models += 1,
                Err(fault) => {
                    let problem =
                        format!("`{}` does not open: {}", version.reference(), fault.message());
                    let help = "the backup holds the bytes of the live registry: run `botops registry verify`";
                    let finding = Finding::new("BOT-5109", Severity::Error, problem, help);
                    checked.problems.push(finding);
                }
            }
        }
    }
    Ok(checked)
}
