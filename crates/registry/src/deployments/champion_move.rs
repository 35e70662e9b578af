//! A move of the champion, which needs a proof.

use crate::{FormerChampion, Version};
use botops_digest::Digest;
use botops_evaluation::PassedGates;
use botops_findings::{Fault, Result};
use serde::{Deserialize, Serialize};

/// A move of the champion of a model in one environment.
///
/// Only [`Self::forward`] and [`Self::back`] make a new one; reading a log gives those that it holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ChampionMove {
    /// The manifest that was champion; `None` for the first champion.
    from: Option<Digest>,
    /// The manifest that is champion from then on.
    to: Digest,
    /// The gate report behind the move, a blob; for a move back, that of the latest promotion of the version.
    evidence: Option<Digest>,
}

impl ChampionMove {
    /// Makes `version` champion; `evidence` is the blob of the gate report behind `passed`.
    ///
    /// # Errors
    /// `BOT-5016` (exit 6) `passed` is about another model file or other knowledge.
    pub fn forward(
        version: &Version,
        from: Option<Digest>,
        passed: &PassedGates,
        evidence: Digest,
    ) -> Result<Self> {
        if version.set() != Some(passed.set()) {
            if version.model_digest() == Some(passed.model()) {
                let message = format!(
                    "the gates were passed with other knowledge than that of `{}`",
                    version.reference()
                );
                return Err(Fault::policy("BOT-5016", message).hint(
                    "judge the model with the knowledge of that version: `botops push MODEL --knowledge NAME --questions FILE --test FILE --rules FILE`",
                ));
            }
            let message = format!(
                "the gates were passed by model `{}`, but `{}` holds another model",
                passed.model().short(),
                version.reference()
            );
            return Err(Fault::policy("BOT-5016", message)
                .hint("evaluate and gate the model file of that version"));
        }
        Ok(Self { from, to: version.manifest_digest, evidence: Some(evidence) })
    }

    /// Makes a former champion champion again.
    #[must_use]
    pub fn back(to: &FormerChampion, from: Option<Digest>) -> Self {
        Self { from, to: to.manifest(), evidence: to.evidence() }
    }

    /// Returns the manifest that was champion; `None` for the first champion.
    #[must_use]
    pub fn from(&self) -> Option<Digest> {
        self.from
    }

    /// Returns the manifest that is champion from then on.
    #[must_use]
    pub fn to(&self) -> Digest {
        self.to
    }

    /// Returns the gate report behind the move.
    #[must_use]
    pub fn evidence(&self) -> Option<Digest> {
        self.evidence
    }
}
