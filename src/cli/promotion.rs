//! Joins the two sides that do not know each other: pipelines and serving.
//!
//! A promotion is rehearsed in-process when no server is at hand, else made through the server's admin API.

use super::{Printer, context::Context};
use crate::{
    datasets::Traffic,
    findings::{Fault, Result},
    pipelines::{Promoter, PromotionRequest},
    rollout::{Decision, RolloutSpec},
    serving::{self, AdminClient, Message, Side},
    workspace::{Secret, Workspace},
};
use futures::future::{BoxFuture, FutureExt as _};
use std::time::{Duration, Instant};

/// Takes a challenger through its canary, one way or the other.
pub(crate) enum Promotion {
    /// In-process, on recorded traffic.
    Rehearsal,
    /// Through a server.
    Server(Server),
}

/// A server to promote through.
pub(crate) struct Server {
    admin_url: String,
    url: Option<String>,
    token: Option<Secret>,
    actor: String,
    printer: Printer,
    /// Give up watching after this; the rollout goes on by itself.
    patience: Option<Duration>,
}

impl Promotion {
    /// Chooses by the workspace: with `server.admin_url` the server, else a rehearsal.
    pub(crate) fn of(context: &Context, patience: Option<Duration>) -> Result<Self> {
        let workspace: &Workspace = context.workspace()?;
        Ok(match &workspace.admin_url.value {
            None => Self::Rehearsal,
            Some(admin_url) => Self::Server(Server {
                admin_url: admin_url.clone(),
                url: workspace.server_url.value.clone(),
                token: workspace.admin_token.value.clone(),
                actor: workspace.actor.value.clone(),
                printer: context.printer,
                patience,
            }),
        })
    }
}

impl Promoter for Promotion {
    fn identity(&self) -> String {
        match self {
            Self::Rehearsal => "rehearsal".to_owned(),
            Self::Server(server) => server.admin_url.clone(),
        }
    }

    fn promote<'a>(&'a self, request: PromotionRequest<'a>) -> BoxFuture<'a, Result<Decision>> {
        match self {
            Self::Rehearsal => rehearse(request).boxed(),
            Self::Server(server) => server.promote(request).boxed(),
        }
    }
}

async fn rehearse(request: PromotionRequest<'_>) -> Result<Decision> {
    let Some(traffic) = request.traffic else {
        return Err(Fault::usage(
            "BOT-8005",
            "there is no server to promote through and no recorded traffic to rehearse with",
        )
        .hint("give recorded traffic: `traffic:` of the promote stage, or `--traffic FILE`")
        .hint("or a server: `server.admin_url` in botops.yaml, or BOTOPS_ADMIN_URL"));
    };
    let side = |version: &crate::registry::Version, model| {
        let digest = version.model_digest().ok_or_else(|| {
            Fault::data("BOT-5018", format!("{} has no model file", version.reference()))
        })?;
        Ok::<_, Fault>(Side { model, digest, manifest: version.manifest_digest })
    };
    let champion = side(request.champion, request.champion_model.clone())?;
    let challenger = side(request.challenger, request.challenger_model.clone())?;
    serving::rehearse(
        &request.challenger.model,
        champion,
        challenger,
        request.plan,
        &messages(traffic),
        request.progress,
    )
    .await
}

/// Returns recorded traffic as messages to send.
pub(crate) fn messages(traffic: &Traffic) -> Vec<Message> {
    traffic
        .records
        .iter()
        .map(|record| Message {
            at: record.at,
            conversation_id: record.conversation_id.clone(),
            text: record.text.clone(),
            truth: record.truth.clone(),
        })
        .collect()
}

impl Server {
    async fn promote(&self, request: PromotionRequest<'_>) -> Result<Decision> {
        let client = AdminClient::new(&self.admin_url, self.token.as_ref())?;
        let model = &request.challenger.model;
        let reference = request.challenger.reference();
        let id = client.start(model, &reference, request.plan, &self.actor, request.reason).await?;
        self.printer.say(&format!("rollout {id} of {reference} on {}", self.admin_url));
        match (request.traffic, &self.url) {
            (Some(traffic), Some(url)) => {
                // Recorded traffic at a real server: sent while the rollout is watched, until it ends.
                let messages = messages(traffic);
                let replay = async {
                    while !self.is_over(&client, model, &id).await? {
                        serving::replay(url, &messages, request.progress).await?;
                        tokio::time::sleep(Duration::from_millis(200)).await;
                    }
                    Ok::<_, Fault>(())
                };
                let (watched, _) =
                    tokio::try_join!(self.watch(&client, model, &id, request.plan), replay)?;
                Ok(watched)
            }
            _ => self.watch(&client, model, &id, request.plan).await,
        }
    }

    async fn is_over(&self, client: &AdminClient, model: &str, id: &str) -> Result<bool> {
        let status = client.rollout(model, Some(id)).await?;
        Ok(status.rollout.is_over()
            || matches!(status.rollout.phase, crate::rollout::Phase::Paused { .. }))
    }

    /// Follows a rollout to its end, or to a pause: a pause waits for a person.
    async fn watch(
        &self,
        client: &AdminClient,
        model: &str,
        id: &str,
        plan: &RolloutSpec,
    ) -> Result<Decision> {
        let began = Instant::now();
        let interval = humantime::parse_duration(&plan.interval).unwrap_or(Duration::from_secs(5));
        let interval = interval.clamp(Duration::from_millis(50), Duration::from_secs(5));
        let mut shown = 0;
        loop {
            let status = client.rollout(model, Some(id)).await?;
            for transition in status.decision.transitions.iter().skip(shown) {
                self.printer.say(&format!(
                    "{}  {} at {} %: {}",
                    transition.at.format("%H:%M:%S"),
                    transition.phase,
                    transition.weight_percent,
                    transition.reason
                ));
            }
            shown = status.decision.transitions.len();
            if status.rollout.is_over()
                || matches!(status.rollout.phase, crate::rollout::Phase::Paused { .. })
            {
                return Ok(status.decision);
            }
            if self.patience.is_some_and(|patience| began.elapsed() >= patience) {
                return Err(Fault::insufficient(
                    "BOT-6040",
                    format!("rollout {id} is still under way"),
                )
                .hint("it goes on by itself; follow it with `botops rollout status`"));
            }
            tokio::time::sleep(interval).await;
        }
    }
}
