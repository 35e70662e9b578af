//! `botops rollback`.

use super::Outcome;
use crate::cli::{
    arguments::{model_arg::workspace_model, output_args::ReasonArg},
    session::context::Context,
};
use botops_findings::{Fault, Result};
use botops_registry::{Act, CHAMPION, Reference, Registry, Selector, check_reasoned};
use botops_serving::{AdminClient, EndedRollout};
use serde::Serialize;

/// Return to the previous champion; during a rollout, end it and keep the champion
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Model; default: the workspace's model
    model: Option<String>,
    /// Former champion to return to; default: the previous one, or the current one during a rollout
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
    /// The champion before.
    from: String,
    /// The champion afterwards.
    to: String,
    /// Whether the champion was moved.
    moved: bool,
    /// The rollout that ended, or would.
    ended: Option<EndedRollout>,
    server: Option<String>,
    dry_run: bool,
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<Outcome> {
    let model = match &args.model {
        Some(model) => model.parse::<Reference>()?.model,
        None => workspace_model(context)?,
    };
    let to = args.to.as_deref().map(|text| of_model(text, &model)).transpose()?;
    let workspace = context.workspace()?;
    let act = context.act(args.reason.reason.trim())?;
    check_reasoned("a rollback", &act.actor, &act.reason)?;
    let answer = match &workspace.admin_url.value {
        Some(url) => {
            let client = context.admin_client(url)?;
            context.wait(by_server(&client, url, &model, to, args, &act))??
        }
        None => context.wait(by_registry(&context.registry()?, &model, to, args, &act))??,
    };
    Ok(Outcome::done(&answer, text(&answer)).next(format!("botops registry log {}", answer.model)))
}

/// Reads a reference to a version of `model`: `2` means `model@2`.
fn of_model(text: &str, model: &str) -> Result<Reference> {
    let is_number =
        text != model && !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let reference: Reference =
        if is_number { format!("{model}@{text}").parse()? } else { text.parse()? };
    if reference.model == model {
        return Ok(reference);
    }
    Err(Fault::usage("BOT-5012", format!("{text} is a version of another model"))
        .hint(format!("name a version of `{model}`, such as `{model}@2`")))
}

/// Asks the server, which knows the open rollout and the former champions.
async fn by_server(
    client: &AdminClient,
    url: &str,
    model: &str,
    to: Option<Reference>,
    args: &Args,
    act: &Act,
) -> Result<Answer> {
    let to = to.map(|reference| reference.to_string());
    let to = to.as_deref();
    let restored = match args.dry_run {
        true => client.would_roll_back(model, to, &act.actor, &act.reason).await?,
        false => client.roll_back(model, to, &act.actor, &act.reason).await?,
    };
    Ok(Answer {
        model: model.to_owned(),
        moved: !args.dry_run && restored.from != restored.to,
        from: restored.from,
        to: restored.to,
        ended: restored.ended,
        server: Some(url.to_owned()),
        dry_run: args.dry_run,
    })
}

/// Moves `champion` in the registry, unless a server drives a rollout of the model.
async fn by_registry(
    registry: &Registry,
    model: &str,
    to: Option<Reference>,
    args: &Args,
    act: &Act,
) -> Result<Answer> {
    registry.refuse_open_rollout(model, "rollback").await?;
    let current =
        Reference { model: model.to_owned(), selector: Selector::Alias(CHAMPION.to_owned()) };
    let champion = registry.former_champion(&current).await?;
    let target = match &to {
        Some(reference) => registry.former_champion(reference).await?,
        None => {
            registry.previous_champion(model, &champion.manifest()).await?.ok_or_else(|| {
                let champion = champion.reference();
                Fault::usage(
                    "BOT-5012",
                    format!("`{model}` had no other champion before {champion}"),
                )
                .hint(format!("see its history: `botops registry log {model}`"))
            })?
        }
    };
    let moved = !args.dry_run && target.manifest() != champion.manifest();
    if moved {
        registry.go_back(&target, Some(champion.manifest()), act).await?;
    }
    Ok(Answer {
        model: model.to_owned(),
        from: champion.reference(),
        to: target.reference(),
        moved,
        ended: None,
        server: None,
        dry_run: args.dry_run,
    })
}

fn text(answer: &Answer) -> String {
    let Answer { model, from, to, ended, dry_run, .. } = answer;
    let would = |does: &str, would: &str| if *dry_run { would.to_owned() } else { does.to_owned() };
    let dry = would("", " (dry run)");
    let mut out = String::new();
    if let Some(EndedRollout { id, challenger }) = ended {
        let ends = would("ended", "would end");
        out.push_str(&format!("{model}: rollout {id} of {challenger} {ends}{dry}\n"));
    }
    match (from == to, ended) {
        (true, Some(_)) => {
            let stays = would("stays", "would stay");
            out.push_str(&format!(
                "{to} {stays} the champion; to go back behind it: `--to VERSION`\n"
            ));
        }
        (true, None) => out.push_str(&format!("{to} is the champion already: nothing to do\n")),
        (false, _) => {
            let moves = would("moved", "would move");
            out.push_str(&format!("{model}: champion {moves} from {from} back to {to}{dry}\n"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_number_is_a_version_of_the_model() {
        let read = |text: &str| of_model(text, "support").map(|reference| reference.to_string());
        assert_eq!(read("2").unwrap(), "support@2");
        assert_eq!(read("support@2").unwrap(), "support@2");
        assert_eq!(read("support").unwrap(), "support@champion");
        assert_eq!(read("0").unwrap_err().code(), "BOT-5010");
        let other = read("billing@2").unwrap_err();
        assert_eq!(other.code(), "BOT-5012");
        assert!(other.hints()[0].contains("`support@2`"), "{other}");
        assert_eq!(of_model("2", "2").unwrap().to_string(), "2@champion");
    }
}
