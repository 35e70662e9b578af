//! Requests of the client of the admin API with bodies of their own: a version on mirror only, another share, the traffic.

use super::{PlanAnswer, RolloutStatus, client::AdminClient};
use botops_findings::{Fault, Result};
use botops_http::Method;
use botops_rollout::Transition;
use serde::{Serialize, de::DeserializeOwned};

/// A request for a version on mirror only.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct ShadowOrder<'a> {
    /// The version, a registry reference.
    pub version: &'a str,
    /// The share of conversations to mirror, in percent, in (0, 100]; `None`: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub percent: Option<f64>,
    /// The duration, such as `24h`; `None`: that of the server, a day.
    #[serde(rename = "for", skip_serializing_if = "Option::is_none")]
    pub duration: Option<&'a str>,
    /// The conversations after which the run ends before that; `None`: it ends with its duration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_units: Option<u64>,
    /// Whether a rollout that is under way is rolled back first.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub supersede: bool,
}

/// An order with its author and reason.
#[derive(Serialize)]
struct Ordered<'a, T> {
    #[serde(flatten)]
    order: T,
    actor: &'a str,
    reason: &'a str,
}

#[derive(Serialize)]
struct Weight {
    percent: f64,
}

const DRY: Option<&str> = Some("dry_run=true");

impl AdminClient {
    /// Puts a version of `model` on mirror only, or joins the run of that version. Returns its status.
    ///
    /// # Errors
    /// Those of [`Self::start`]; `BOT-6001` (exit 2) the share, the duration or the conversations are not fit.
    pub async fn shadow(
        &self,
        model: &str,
        order: ShadowOrder<'_>,
        by: (&str, &str),
    ) -> Result<RolloutStatus> {
        self.put(&["models", model, "shadow"], order, by, None).await
    }

    /// Returns the first transition of the run that [`Self::shadow`] would start, after the same checks. Changes nothing.
    ///
    /// # Errors
    /// Those of [`Self::shadow`].
    pub async fn would_shadow(
        &self,
        model: &str,
        order: ShadowOrder<'_>,
        by: (&str, &str),
    ) -> Result<Transition> {
        self.put(&["models", model, "shadow"], order, by, DRY).await
    }

    /// Gives the challenger of the current rollout another share, up to that of its step. Returns the status afterwards.
    ///
    /// # Errors
    /// Those of [`Self::command`]; `BOT-6009` (exit 2) the share is beyond the step.
    pub async fn weight(
        &self,
        model: &str,
        percent: f64,
        by: (&str, &str),
    ) -> Result<RolloutStatus> {
        let id = self.rollout(model, None).await?.rollout.id;
        self.put(&["rollouts", &id, "weight"], Weight { percent }, by, None).await
    }

    /// Returns the transition that [`Self::weight`] would make, after the same checks. Changes nothing.
    ///
    /// # Errors
    /// Those of [`Self::weight`].
    pub async fn would_weigh(
        &self,
        model: &str,
        percent: f64,
        by: (&str, &str),
    ) -> Result<Transition> {
        let id = self.rollout(model, None).await?.rollout.id;
        self.put(&["rollouts", &id, "weight"], Weight { percent }, by, DRY).await
    }

    /// Returns the traffic that the server would forecast a plan from, with its origin, and the forecast of the default plan.
    /// Changes nothing.
    ///
    /// # Errors
    /// Those of [`Self::start`]; `BOT-6072` (exit 2) it knows of no traffic; `BOT-6036` (exit 2) it serves another model.
    pub async fn traffic(&self, model: &str) -> Result<PlanAnswer> {
        let answer: PlanAnswer =
            self.ask(Method::POST, &["plan"], None, Some(&serde_json::json!({}))).await?;
        if answer.model == model {
            return Ok(answer);
        }
        let message = format!("this server serves `{}`, not `{model}`", answer.model);
        Err(Fault::usage("BOT-6036", message))
    }

    async fn put<T: DeserializeOwned>(
        &self,
        path: &[&str],
        order: impl Serialize,
        (actor, reason): (&str, &str),
        query: Option<&str>,
    ) -> Result<T> {
        self.ask(Method::PUT, path, query, Some(&Ordered { order, actor, reason })).await
    }
}
