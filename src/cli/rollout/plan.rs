//! `botops rollout plan`.

use crate::cli::{
    Outcome,
    arguments::{model_arg::workspace_model, share::share_up_to_one},
    session::context::Context,
    terminal::{exit::Exit, tables},
};
use botops_findings::{Fault, FaultKind, Finding, Result};
use botops_rollout::{
    FailureKind, FailureRate, PlanForecast, RolloutSpec, StepForecast, TrafficRates, forecast,
};
use botops_serving::{PlanAnswer, ServerTraffic};
use botops_spec as spec;
use chrono::{DateTime, Utc};
use serde::Serialize;
use std::{collections::BTreeMap, path::PathBuf, str::FromStr, time::Duration};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Model; default: the workspace's model
    model: Option<String>,
    /// Plan of the rollout, in YAML; default: the plan of `promote`
    #[arg(long, value_name = "FILE")]
    plan: Option<PathBuf>,
    /// Conversations, such as 120/h; default: those that the server counts, or without one those of the latest rollout
    #[arg(long, value_name = "NUMBER/h")]
    rate: Option<Rate>,
    /// Failed share by kind, such as error=1%,fallback=8%; default: those of the champion in the same traffic
    #[arg(long, value_name = "KIND=SHARE", value_delimiter = ',')]
    failures: Vec<Failures>,
    /// Share of conversations with feedback, which measures `wrong`; default: all, or those of the latest rollout
    #[arg(long, value_name = "SHARE", value_parser = share_up_to_one)]
    feedback: Option<f64>,
}

/// Conversations in an hour.
#[derive(Debug, Clone, Copy)]
struct Rate(f64);

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let parsed = text.split_once('/').and_then(|(number, unit)| {
            let per_hour = match unit.trim() {
                "s" => 3600.0,
                "min" => 60.0,
                "h" => 1.0,
                "d" => 1.0 / 24.0,
                _ => return None,
            };
            Some(number.trim().parse::<f64>().ok()? * per_hour)
        });
        parsed
            .filter(|rate| (1e-6..=1e9).contains(rate))
            .map(Self)
            .ok_or_else(|| "write a rate above zero such as `120/h`, `2/s` or `500/d`".to_owned())
    }
}

/// The failed share of one kind.
#[derive(Debug, Clone, Copy)]
struct Failures(FailureKind, f64);

impl FromStr for Failures {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let (name, share) =
            text.split_once('=').ok_or("write a kind and its share, such as `error=1%`")?;
        let named = |kind: &FailureKind| kind.name() == name.trim();
        let kind = FailureKind::ALL.into_iter().filter(|k| *k != FailureKind::Disagreement);
        let kind = kind.clone().find(named).ok_or_else(|| {
            let names: Vec<&str> = kind.map(FailureKind::name).collect();
            format!("`{}` is not a kind of failure: write one of {}", name.trim(), names.join(", "))
        })?;
        Ok(Self(kind, share_up_to_one(share.trim())?))
    }
}

/// The answer.
#[derive(Serialize)]
struct Answer {
    /// `None` if the traffic was given without naming a model.
    model: Option<String>,
    environment: String,
    /// The rollout whose traffic was assumed; `None` if all of it was given.
    from_rollout: Option<String>,
    forecast: PlanForecast,
    /// The time up to which that rollout counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    counted_until: Option<DateTime<Utc>>,
    /// The traffic of the server that was assumed.
    #[serde(skip_serializing_if = "Option::is_none")]
    from_server: Option<ServerTraffic>,
}

/// Traffic that was counted, and its origin.
struct Counted {
    model: String,
    rates: TrafficRates,
    from_rollout: Option<String>,
    counted_until: Option<DateTime<Utc>>,
    from_server: Option<ServerTraffic>,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Outcome> {
    let plan: RolloutSpec = args.plan.as_deref().map_or(Ok(RolloutSpec::default()), spec::read)?;
    let plan = plan.check()?;
    let given = given(args)?;
    let environment = context.workspace()?.environment.value.clone();
    let answer = match (args.rate, given) {
        (Some(Rate(rate)), Some(failures)) => {
            let traffic = TrafficRates { conversations_per_hour: rate, failures };
            let forecast = forecast(&plan, &traffic);
            let (model, from_rollout, counted_until, from_server) =
                (args.model.clone(), None, None, None);
            Answer { model, environment, from_rollout, forecast, counted_until, from_server }
        }
        (rate, failures) => {
            let Counted { model, mut rates, from_rollout, counted_until, from_server } =
                counted(args, context)?;
            rates.conversations_per_hour = rate.map_or(rates.conversations_per_hour, |r| r.0);
            if let Some(failures) = failures {
                rates.failures = failures;
            }
            if let (Some(share), Some(wrong)) =
                (args.feedback, rates.failures.get_mut(&FailureKind::Wrong))
            {
                wrong.measured = share;
            }
            let (model, forecast) = (Some(model), forecast(&plan, &rates));
            Answer { model, environment, from_rollout, forecast, counted_until, from_server }
        }
    };
    let findings: Vec<Finding> = answer
        .forecast
        .problems
        .iter()
        .map(|problem| {
            Fault::insufficient("BOT-6071", format!("the plan cannot conclude: {problem}"))
                .as_finding()
        })
        .collect();
    let exit = if findings.is_empty() { Exit::Done } else { Exit::Insufficient };
    Ok(Outcome::done(&answer, text(&answer)).findings(findings).exit(exit))
}

/// Returns the failures that were given; `None` if there are none.
fn given(args: &Args) -> Result<Option<BTreeMap<FailureKind, FailureRate>>> {
    let mut failures = BTreeMap::new();
    for &Failures(kind, rate) in &args.failures {
        let measured = match kind {
            FailureKind::Wrong => args.feedback.unwrap_or(1.0),
            _ => 1.0,
        };
        if failures.insert(kind, FailureRate { rate, measured }).is_some() {
            let name = kind.name();
            return Err(Fault::usage("BOT-1001", format!("`--failures` names `{name}` twice"))
                .hint("name each kind once"));
        }
    }
    Ok((!failures.is_empty()).then_some(failures))
}

/// Returns the traffic as the server that is configured counts it; that of the latest rollout in the log if there is none, or
/// if it cannot be reached.
fn counted(args: &Args, context: &Context) -> Result<Counted> {
    let model = match &args.model {
        Some(model) => model.clone(),
        None => workspace_model(context)?,
    };
    let Some(url) = &context.workspace()?.admin_url.value else { return latest(model, context) };
    let client = context.admin_client(url)?;
    match context.wait(client.traffic(&model))? {
        Ok(PlanAnswer { from_rollout, counted_until, from_server, forecast, .. }) => {
            let rates = forecast.traffic;
            Ok(Counted { model, rates, from_rollout, counted_until, from_server })
        }
        Err(fault) if fault.code() == "BOT-6072" => Err(fault.hint(NAME_TRAFFIC)),
        Err(fault) if fault.kind() == FaultKind::Unreachable => {
            context.printer.say(&format!("note: {fault}; the counts are those of the log"));
            latest(model, context)
        }
        Err(fault) => Err(fault),
    }
}

const NAME_TRAFFIC: &str = "name the traffic: `--rate 120/h --failures error=1%,fallback=8%`";

/// Returns the traffic of the latest rollout of `model` in the log of the environment.
fn latest(model: String, context: &Context) -> Result<Counted> {
    let registry = context.registry()?;
    let environment = context.wait(registry.environment())??;
    let rollout =
        environment.model(&model).and_then(|deployed| Some(&deployed.step.as_ref()?.rollout));
    let traffic = rollout.and_then(|rollout| Some((rollout, TrafficRates::of(rollout)?)));
    let (rollout, rates) = traffic.ok_or_else(|| {
        let name =
            &context.workspace().map_or_else(|_| String::new(), |w| w.environment.value.clone());
        Fault::usage(
            "BOT-6072",
            format!("no rollout of `{model}` in `{name}` saw traffic to forecast from"),
        )
        .hint(NAME_TRAFFIC)
    })?;
    let (from_rollout, counted_until) = (Some(rollout.id.clone()), Some(rollout.updated_at));
    Ok(Counted { model, rates, from_rollout, counted_until, from_server: None })
}

/// Renders where the traffic was counted.
fn origin(answer: &Answer) -> String {
    let until = answer
        .counted_until
        .as_ref()
        .map_or_else(String::new, |at| format!(", which counted until {} UTC", tables::time(at)));
    match (&answer.from_server, &answer.from_rollout) {
        (None, None) => String::new(),
        (None, Some(id)) => format!(" (from rollout {id}{until})"),
        (Some(server), rollout) => {
            let others = rollout.as_ref().map_or_else(String::new, |id| {
                format!("; the kinds that it cannot measure are from rollout {id}{until}")
            });
            format!(
                "\n({} conversations at this server alone in the last {:.1} hours{others})",
                tables::count(server.conversations),
                server.hours
            )
        }
    }
}

fn text(answer: &Answer) -> String {
    let PlanForecast { traffic, shadow_seconds, steps, total_seconds, problems, .. } =
        &answer.forecast;
    let rates: Vec<String> = traffic
        .failures
        .iter()
        .map(|(kind, rate)| format!("{} {:.1} %", kind.name(), rate.rate * 100.0))
        .collect();
    let mut text = format!("{:.1} conversations an hour", traffic.conversations_per_hour);
    if !rates.is_empty() {
        text.push_str(&format!("; on the champion fail: {}", rates.join(", ")));
    }
    text.push_str(&origin(answer));
    text.push_str("\n\n");
    if let Some(seconds) = shadow_seconds {
        text.push_str(&format!("shadow stage: {}\n\n", words(*seconds)));
    }
    if !steps.is_empty() {
        let header = ["weight", "takes", "on the challenger", "excludes", "rolls back after"];
        text.push_str(&tables::table(&header, steps.iter().map(row), &[0]));
        text.push('\n');
    }
    match total_seconds {
        Some(total) => text.push_str(&format!(
            "An equal challenger is promoted after about {} (half of them later).\n",
            words(*total)
        )),
        None => {
            text.push_str("The plan cannot conclude:\n");
            problems.iter().for_each(|problem| text.push_str(&format!("  {problem}\n")));
        }
    }
    text
}

fn row(step: &StepForecast) -> Vec<String> {
    let excluded: Vec<String> = step
        .excluded_risk
        .iter()
        .filter_map(|(kind, risk)| Some(format!("{} x{:.2}", kind.name(), (*risk)?)))
        .collect();
    let found: Vec<String> = step
        .rollbacks
        .iter()
        .filter_map(|one| {
            Some(format!("{} x{}: {}", one.kind.name(), one.risk, words(one.seconds?)))
        })
        .collect();
    let or_nothing = |parts: Vec<String>| match parts.is_empty() {
        true => "-".to_owned(),
        false => parts.join(", "),
    };
    vec![
        format!("{} %", step.weight_percent),
        step.seconds.map_or_else(|| "beyond its deadline".to_owned(), words),
        tables::count(step.canary_units),
        or_nothing(excluded),
        or_nothing(found),
    ]
}

/// Returns a time in words, to the minute above an hour.
fn words(seconds: u64) -> String {
    let rounded = if seconds >= 3600 { seconds.div_ceil(60) * 60 } else { seconds };
    humantime::format_duration(Duration::from_secs(rounded)).to_string()
}
