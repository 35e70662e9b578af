//! `botops rollback`.

use super::Outcome;
use crate::cli::{
    arguments::{model_arg::workspace_model, output_args::ReasonArg},
    session::context::Context,
};
use botops_findings::{Fault, Result};
use botops_registry::{CHAMPION, Reference};
use botops_serving::AdminClient;
use serde::Serialize;

/// Return to the previous champion
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Model; default: the workspace's model
    model: Option<String>,
    /// Version to return to; default: the previous champion
    #[arg(long, value_name = "REFERENCE")]
    to: Option<String>,
    #[command(flatten)]
    reason: ReasonArg,
    /// Show the change, but make none
    #[arg(long)]
    dry_run: bool,
}

#[derive(Serialize)]
struct Answer {
    model: String,
    from: String,
    to: String,
    moved: bool,
    server: Option<String>,
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<Outcome> {
    let model = match &args.model {
        Some(model) => model.parse::<Reference>()?.model,
        None => workspace_model(context)?,
    };
    let registry = context.registry()?;
    let workspace = context.workspace()?;
    let act = context.act(args.reason.reason.clone())?;
    if let (Some(url), None, false) = (&workspace.admin_url.value, &args.to, args.dry_run) {
        // The server knows the previous champion, and needs no registry to return to it.
        let client = AdminClient::new(url, workspace.admin_token.value.as_ref())?;
        let restored = context.wait(client.roll_back(&model, None, &act.actor, &act.reason))??;
        let text = format!("{model}: {url} serves the previous champion again\n");
        return Ok(Outcome::done(&restored, text).next(format!("botops registry log {model}")));
    }
    let answer = context.wait(async {
        let champion = registry.alias(&model, CHAMPION).await?.ok_or_else(|| {
            Fault::usage("BOT-5012", format!("`{model}` has no champion to roll back from"))
                .hint(format!("list its versions: `botops registry list {model}`"))
        })?;
        let target = match &args.to {
            Some(text) => registry.resolve(&text.parse()?).await?,
            None => registry.champion_before(&model, &champion.manifest_digest).await?.ok_or_else(
                || {
                    Fault::usage(
                        "BOT-5012",
                        format!("`{model}` had no champion before {}", champion.reference()),
                    )
                    .hint("name the version to return to with `--to`")
                },
            )?,
        };
        if target.model != model {
            return Err(Fault::usage(
                "BOT-5012",
                format!("{} is a version of another model", target.reference()),
            )
            .hint(format!("name a version of `{model}`")));
        }
        let mut answer = Answer {
            model: model.clone(),
            from: champion.reference(),
            to: target.reference(),
            moved: false,
            server: workspace.admin_url.value.clone(),
        };
        if args.dry_run || champion.manifest_digest == target.manifest_digest {
            return Ok(answer);
        }
        if let Some(url) = &workspace.admin_url.value {
            let client = AdminClient::new(url, workspace.admin_token.value.as_ref())?;
            client.roll_back(&model, Some(&target.reference()), &act.actor, &act.reason).await?;
        } else {
            if !registry.has_reigned(&target).await? {
                return Err(Fault::policy(
                    "BOT-5031",
                    format!(
                        "{} was never champion, so there is nothing to return to",
                        target.reference()
                    ),
                )
                .hint(format!(
                    "promote it through its canary: `botops promote {}`",
                    target.reference()
                )));
            }
            // The evidence of its first promotion is the evidence of this one.
            let passed = registry.proof(&target).await?;
            registry.promote(&target, Some(champion.manifest_digest), &passed, &act).await?;
        }
        answer.moved = true;
        Ok::<_, Fault>(answer)
    })??;
    let text = if answer.moved {
        format!("{}: champion moved from {} back to {}\n", answer.model, answer.from, answer.to)
    } else if answer.from == answer.to {
        format!("{} is the champion already: nothing to do\n", answer.to)
    } else {
        format!(
            "{}: champion would move from {} back to {} (dry run)\n",
            answer.model, answer.from, answer.to
        )
    };
    Ok(Outcome::done(&answer, text).next(format!("botops registry log {}", answer.model)))
}
