//! `botops rollout drill`.

use super::target::{named, server_url};
use crate::cli::{
    Outcome, arguments::output_args::ReasonArg, session::context::Context, terminal::tables,
};
use botops_findings::{Fault, FaultKind, Result};
use botops_rollout::Phase;
use botops_serving::{AdminClient, RolloutStatus, StartOptions};
use botops_text::{shell_line, without_credentials};
use futures::future::try_join_all;
use serde::Serialize;
use std::time::{Duration, Instant};

/// The time that each part of a drill may take.
const LIMIT: Duration = Duration::from_secs(30);
/// The time between two looks at a server.
const LOOK: Duration = Duration::from_millis(50);

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Model; default: the workspace's model
    model: Option<String>,
    #[command(flatten)]
    reason: ReasonArg,
    /// Admin address of another server, which has to follow; may be given several times
    #[arg(long = "replica", value_name = "URL")]
    replicas: Vec<String>,
    /// Check, but start nothing
    #[arg(long)]
    dry_run: bool,
}

#[derive(Serialize)]
struct Answer {
    rollout: String,
    model: String,
    /// The champion, which was its own challenger.
    version: Option<String>,
    /// Seconds from the request until the challenger had its share in the log.
    ramping_seconds: f64,
    /// Seconds from the abort until it was in effect at the server and in the log.
    aborted_seconds: f64,
    /// Seconds from the abort until the log recorded the end.
    ended_seconds: f64,
    /// Seconds from the abort until each of the other servers had followed.
    replicas: Vec<Replica>,
    total_seconds: f64,
}

#[derive(Serialize)]
struct Replica {
    server: String,
    seconds: f64,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Outcome> {
    let model = named(args.model.as_deref(), context)?;
    let client = context.admin_client(&server_url(context)?)?;
    let replicas: Vec<(String, AdminClient)> = args
        .replicas
        .iter()
        .map(|url| Ok((without_credentials(url).into_owned(), context.admin_client(url)?)))
        .collect::<Result<_>>()?;
    let act = context.act(format!("drill: {}", args.reason.reason.trim()))?;
    let drill = Drill { client: &client, model: &model, by: (&act.actor, &act.reason) };
    if args.dry_run {
        let would = context.wait(drill.would_start())??;
        let text = format!("a drill of {model}@champion would start, and be aborted (dry run)\n");
        return Ok(Outcome::done(&would, text));
    }
    let answer = context.wait(drill.run(&replicas))??;
    let history = ["botops", "rollout", "history", &model, "--id", &answer.rollout];
    Ok(Outcome::done(&answer, text(&answer)).next(shell_line(history)))
}

/// A rollout of the champion's own version, which is aborted as soon as it has its share.
struct Drill<'a> {
    client: &'a AdminClient,
    model: &'a str,
    by: (&'a str, &'a str),
}

impl Drill<'_> {
    fn options() -> StartOptions {
        StartOptions { drill: true, accept_labels: true, ..StartOptions::default() }
    }

    async fn would_start(&self) -> Result<botops_rollout::Transition> {
        let version = format!("{}@champion", self.model);
        let version = (self.model, version.as_str());
        self.client.would_start(version, None, self.by, Self::options()).await
    }

    async fn run(&self, replicas: &[(String, AdminClient)]) -> Result<Answer> {
        // A server that cannot be asked must not be found out about after the abort.
        try_join_all(replicas.iter().map(|(_, client)| client.check_access())).await?;
        let began = Instant::now();
        let version = format!("{}@champion", self.model);
        let version = (self.model, version.as_str());
        let status = self.client.start_with(version, None, self.by, Self::options()).await?;
        let id = status.rollout.id;
        let is_ramping = |status: &RolloutStatus| {
            matches!(status.rollout.phase, Phase::Ramping { .. }) || status.rollout.is_over()
        };
        let ramping = self.wait_for(self.client, &id, "did not get its share", is_ramping).await;
        let (ramping_seconds, aborted_at) = (began.elapsed().as_secs_f64(), Instant::now());
        // Whatever happened before: nothing may stay behind.
        let aborted = match &ramping {
            Ok(status) if status.rollout.is_over() => Err(failed(&id, &status.decision.reason)),
            _ => self.client.command(self.model, "rollback", self.by.0, self.by.1).await,
        };
        ramping?;
        let aborted = aborted?;
        let aborted_seconds = aborted_at.elapsed().as_secs_f64();
        let is_over = |status: &RolloutStatus| status.rollout.is_over();
        let ended = async {
            self.wait_for(self.client, &id, "did not end", is_over).await?;
            Ok::<_, Fault>(aborted_at.elapsed().as_secs_f64())
        };
        let followed = try_join_all(replicas.iter().map(async |(server, client)| {
            let what = format!("is not followed by {server}");
            self.wait_for(client, &id, &what, is_over).await?;
            let seconds = aborted_at.elapsed().as_secs_f64();
            Ok::<_, Fault>(Replica { server: server.clone(), seconds })
        }));
        let (ended_seconds, replicas) = futures::future::try_join(ended, followed).await?;
        Ok(Answer {
            rollout: id,
            model: self.model.to_owned(),
            version: aborted.rollout.versions.map(|versions| versions.champion),
            ramping_seconds,
            aborted_seconds,
            ended_seconds,
            replicas,
            total_seconds: began.elapsed().as_secs_f64(),
        })
    }

    /// Waits until the rollout `id`, as `client` shows it, is as `wanted`.
    async fn wait_for(
        &self,
        client: &AdminClient,
        id: &str,
        problem: &str,
        wanted: impl Fn(&RolloutStatus) -> bool,
    ) -> Result<RolloutStatus> {
        let began = Instant::now();
        loop {
            match client.rollout(self.model, Some(id)).await {
                Ok(status) if wanted(&status) => return Ok(status),
                // A server that follows may not have read of it yet.
                Ok(_) => {}
                Err(fault) if fault.code() == "BOT-6034" => {}
                Err(fault) => return Err(fault),
            }
            if began.elapsed() > LIMIT {
                return Err(failed(id, &format!("it {problem} within 30 s")));
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}

/// The fault of a drill that did not get through.
fn failed(id: &str, why: &str) -> Fault {
    Fault::new(FaultKind::Internal, "BOT-6086", format!("the drill, rollout {id}, failed: {why}"))
        .hint("see the state of the servers: `botops rollout status`, and their `/readiness`")
        .hint("end the drill if it is still open: `botops rollout abort --reason TEXT`")
}

fn text(answer: &Answer) -> String {
    let mut rows = vec![
        vec![
            "request until the share is in the log".to_owned(),
            tables::seconds(answer.ramping_seconds),
        ],
        vec![
            "abort until in effect and recorded".to_owned(),
            tables::seconds(answer.aborted_seconds),
        ],
        vec!["abort until the end is recorded".to_owned(), tables::seconds(answer.ended_seconds)],
    ];
    for Replica { server, seconds } in &answer.replicas {
        rows.push(vec![format!("abort until {server} followed"), tables::seconds(*seconds)]);
    }
    rows.push(vec!["total".to_owned(), tables::seconds(answer.total_seconds)]);
    let version = answer.version.as_deref().unwrap_or(&answer.model);
    format!(
        "drill of {version}, rollout {}: rolled back\n{}",
        answer.rollout,
        tables::table(&["part", "time"], rows, &[1])
    )
}
