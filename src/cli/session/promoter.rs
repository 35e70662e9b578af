//! Promotion through a canary: the connection between pipelines and serving, which do not depend on each other.
//!
//! Without a server, a promotion is rehearsed in this process; else it goes through the admin API of the server.

use super::{context::Context, following::Following, provenance, rollouts::RolloutSource};
use crate::cli::Printer;
use botops_datasets::Traffic;
use botops_findings::{Fault, Finding, Result};
use botops_http::PlainHttp;
use botops_models::IntentModel;
use botops_pipelines::{Promoter, PromotionRequest, Prospect};
use botops_registry::{Registry, Version};
use botops_rollout::{Decision, RolloutSpec};
use botops_serving::{
    self as serving, AdminClient, Message, ReplayTarget, RolloutStatus, Side, StartOptions,
};
use botops_workspace::{SecretSource, Workspace};
use futures::future::{BoxFuture, FutureExt as _, ready};
use std::{sync::Arc, time::Duration};

/// The way in which a challenger goes through its canary.
pub(crate) enum Promotion {
    /// A rehearsal in this process, on recorded traffic. The caller then moves `champion` in the registry. Warnings of the
    /// policy are printed.
    Rehearsal(Registry, Printer),
    /// A rollout on a server.
    Server(Box<Server>),
}

/// A server that promotes.
pub(crate) struct Server {
    admin_url: String,
    url: Option<String>,
    client_key: SecretSource,
    token: SecretSource,
    plain_http: PlainHttp,
    actor: String,
    printer: Printer,
    following: Following,
    /// Whether the rollout of another version that is under way is rolled back first.
    supersede: bool,
}

impl Promotion {
    /// Returns the server at `server.admin_url`, or a rehearsal if that is not set. A rollout on the server is followed as
    /// `following` says; with `supersede`, that of another version is rolled back first.
    pub(crate) fn of(context: &Context, following: Following, supersede: bool) -> Result<Self> {
        let workspace: &Workspace = context.workspace()?;
        Ok(match &workspace.admin_url.value {
            None => Self::Rehearsal(context.registry()?, context.printer),
            Some(admin_url) => Self::Server(Box::new(Server {
                admin_url: admin_url.clone(),
                url: workspace.server_url.value.clone(),
                client_key: workspace.client_key.value.clone(),
                token: workspace.admin_token.value.clone(),
                plain_http: context.plain_http(),
                actor: workspace.actor.value.clone(),
                printer: context.printer,
                following,
                supersede,
            })),
        })
    }
}

impl Promotion {
    /// Returns the same way, for a promotion in the environment of `registry`.
    pub(crate) fn in_registry(self, registry: &Registry) -> Self {
        match self {
            Self::Rehearsal(_, printer) => Self::Rehearsal(registry.clone(), printer),
            server @ Self::Server(_) => server,
        }
    }
}

impl Promoter for Promotion {
    fn identity(&self) -> String {
        match self {
            Self::Rehearsal(..) => "rehearsal".to_owned(),
            Self::Server(server) => server.admin_url.clone(),
        }
    }

    fn check<'a>(&'a self, prospect: Prospect<'a>) -> BoxFuture<'a, Result<()>> {
        match self {
            Self::Rehearsal(..) if !prospect.traffic => ready(Err(no_traffic())).boxed(),
            Self::Rehearsal(registry, _) => {
                registry.refuse_open_rollout(prospect.model, "rollouts").boxed()
            }
            Self::Server(server) => server.check(prospect).boxed(),
        }
    }

    fn promote<'a>(&'a self, request: PromotionRequest<'a>) -> BoxFuture<'a, Result<Decision>> {
        match self {
            Self::Rehearsal(registry, printer) => {
                rehearse_alone(registry, *printer, request).boxed()
            }
            Self::Server(server) => server.promote(request).boxed(),
        }
    }
}

/// Rehearses, unless a server drives a rollout of the model: it would not follow the move of `champion`.
///
/// A freeze, or the policy of the environment, refuses it before it begins.
async fn rehearse_alone(
    registry: &Registry,
    printer: Printer,
    request: PromotionRequest<'_>,
) -> Result<Decision> {
    let model = request.challenger.model.clone();
    registry.refuse_open_rollout(&model, "rollouts").await?;
    let plan = request.plan.check()?;
    let now = provenance::now()?;
    let warnings = registry.admit(request.challenger, None, Some(&plan), now).await?;
    say_warnings(printer, &warnings);
    let decision = rehearse(registry, request).await?;
    // A rehearsal takes minutes, in which a server may have begun one.
    registry.refuse_open_rollout(&model, "rollouts").await?;
    Ok(decision)
}

/// Prints the violations that a policy only warns of.
pub(crate) fn say_warnings(printer: Printer, warnings: &[Finding]) {
    for warning in warnings {
        printer.say(&format!("warning: {} [{}]", warning.message, warning.code));
    }
}

/// The fault of a promotion that nothing can judge. The caller knows where recorded traffic is named, and adds that hint.
fn no_traffic() -> Fault {
    Fault::usage(
        "BOT-8005",
        "a promotion needs a server, or recorded traffic for a rehearsal, and there is neither",
    )
    .hint("name a server: `server.admin_url` in botops.yaml, or BOTOPS_ADMIN_URL")
}

/// Returns one side of a rehearsal: the model of `version`, and the knowledge that the registry has of it.
async fn side(registry: &Registry, version: &Version, model: Arc<IntentModel>) -> Result<Side> {
    let digest = version.model_digest().ok_or_else(|| {
        Fault::data("BOT-5021", format!("{} has no model file", version.reference()))
    })?;
    let knowledge = serving::knowledge_files(registry, version).await?;
    Ok(Side { model, digest, manifest: version.manifest_digest, knowledge })
}

async fn rehearse(registry: &Registry, request: PromotionRequest<'_>) -> Result<Decision> {
    let traffic = request.traffic.ok_or_else(no_traffic)?;
    let champion = side(registry, request.champion, request.champion_model.clone()).await?;
    let challenger = side(registry, request.challenger, request.challenger_model.clone()).await?;
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

/// Converts recorded traffic to messages.
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
    /// Returns whether recorded traffic can be replayed at the server: its public address must be known.
    pub(crate) fn can_replay(&self) -> bool {
        self.url.is_some()
    }

    /// Makes a client of the server. The token is read here, because a pipeline without a promotion needs none.
    fn client(&self) -> Result<AdminClient> {
        AdminClient::over(self.plain_http, &self.admin_url, self.token.resolve()?.as_ref())
    }

    /// Checks that the server answers and takes the token and, while there is a champion, the model it serves and the
    /// rollout under way.
    async fn check(&self, prospect: Prospect<'_>) -> Result<()> {
        let client = self.client()?;
        match prospect.served {
            true => client.check(prospect.model, prospect.version).await,
            // The run makes the first champion, which no server can serve yet.
            false => client.check_access().await,
        }
    }

    /// Starts the rollout of `request`, or joins that of the same version. Returns its status.
    pub(crate) async fn start(&self, request: &PromotionRequest<'_>) -> Result<RolloutStatus> {
        let reference = request.challenger.reference();
        let options = StartOptions {
            accept_labels: request.accept_labels,
            supersede: self.supersede,
            drill: false,
        };
        let status = self
            .client()?
            .start_with(
                (&request.challenger.model, &reference),
                Some(request.plan),
                (&self.actor, request.reason),
                options,
            )
            .await?;
        let id = &status.rollout.id;
        self.printer.say(&format!("rollout {id} of {reference} on {}", self.admin_url));
        for warning in &status.rollout.warnings {
            self.printer.say(&format!("warning: {}", botops_text::display(warning, 400)));
        }
        Ok(status)
    }

    async fn promote(&self, request: PromotionRequest<'_>) -> Result<Decision> {
        let model = &request.challenger.model;
        let id = self.start(&request).await?.rollout.id;
        let source = RolloutSource::Server(self.client()?);
        if request.traffic.is_some() && self.url.is_none() {
            // In a pipeline, the traffic may be meant for rehearsals.
            self.printer.say(
                "note: the recorded traffic is not replayed, because `server.url` is not set; the rollout waits for the \
                 traffic that the server gets",
            );
        }
        let (Some(traffic), Some(url)) = (request.traffic, &self.url) else {
            return self.watch(&source, model, &id).await;
        };
        // The traffic is spread over the shortest time that the steps can take: sent at once, it would all reach the
        // first step. After the last message nothing new can be observed, so the watch ends soon after it.
        let messages = messages(traffic);
        let target = ReplayTarget {
            url: url.clone(),
            key: self.client_key.resolve()?,
            plain_http: self.plain_http,
        };
        let watch = self.watch(&source, model, &id);
        let replay = async {
            const CHUNK: usize = 25;
            let chunks = messages.len().div_ceil(CHUNK).max(1);
            let pause = least_time(request.plan) / u32::try_from(chunks).unwrap_or(u32::MAX);
            for (index, chunk) in messages.chunks(CHUNK).enumerate() {
                serving::replay(&target, chunk, &|_, _| ()).await?;
                let sent = (index * CHUNK + chunk.len()) as u64;
                (request.progress)(sent, messages.len() as u64);
                tokio::time::sleep(pause).await;
            }
            Ok::<_, Fault>(())
        };
        let (mut watch, mut replay) = (std::pin::pin!(watch), std::pin::pin!(replay));
        tokio::select! {
            decision = &mut watch => return decision,
            sent = &mut replay => sent?,
        }
        let grace = (parsed(&request.plan.interval) * 3).max(Duration::from_secs(3));
        match tokio::time::timeout(grace, &mut watch).await {
            Ok(decision) => decision,
            Err(_) => {
                let mut decision = source.look(model, Some(&id)).await?.status.decision;
                decision.reason = format!("the recorded traffic is used up: {}", decision.reason);
                Ok(decision)
            }
        }
    }

    /// Follows a rollout.
    async fn watch(&self, source: &RolloutSource, model: &str, id: &str) -> Result<Decision> {
        let seen = self.following.follow(source, self.printer, (model, Some(id))).await?;
        Ok(seen.status.decision)
    }
}

/// Parses a duration of a checked plan.
fn parsed(text: &str) -> Duration {
    humantime::parse_duration(text).unwrap_or(Duration::from_secs(5))
}

/// Returns the shortest time that the steps of `plan` can take, with two ticks for each.
fn least_time(plan: &RolloutSpec) -> Duration {
    let tick = parsed(&plan.interval);
    plan.steps
        .iter()
        .map(|step| step.min_time.as_deref().map_or(Duration::ZERO, parsed) + tick * 2)
        .sum()
}
