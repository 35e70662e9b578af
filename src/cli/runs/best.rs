//! `botops runs best`.

use crate::cli::{Outcome, session::context::Context, terminal::tables};
use botops_evaluation::Better;
use botops_experiments::{RankQuery, RankedOn, Ranking, Standing, TEST, rank};
use botops_findings::Result;
use botops_text::shell_line;
use serde::Serialize;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Metric
    #[arg(long, value_name = "NAME", default_value = "macro_f1")]
    metric: String,
    /// Direction in which the metric is better; default: the known direction of the metrics of botops
    #[arg(long, value_enum, value_name = "WAY")]
    better: Option<Way>,
    /// Only runs of this kind, such as train, or the name of a pipeline
    #[arg(long, value_name = "KIND")]
    kind: Option<String>,
    /// Only runs measured on this data (its digest, or the beginning of it); default: the data of the newest run
    #[arg(long, value_name = "DIGEST", conflicts_with = "same_as")]
    data: Option<String>,
    /// Only runs measured on the same data as this run
    #[arg(long, value_name = "RUN")]
    same_as: Option<String>,
    /// Show at most N runs
    #[arg(long, short = 'n', value_name = "N", default_value_t = 10)]
    limit: usize,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Way {
    /// More is better
    Higher,
    /// Less is better
    Lower,
}

#[derive(Serialize)]
struct Answer<'a> {
    best: &'a str,
    /// The runs whose intervals overlap that of the best run, and ties.
    not_told_apart: Vec<&'a str>,
    #[serde(flatten)]
    ranking: &'a Ranking,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Outcome> {
    let experiments = context.experiments()?;
    let same_as = match &args.same_as {
        Some(id) => Some(context.wait(experiments.find(id))??),
        None => None,
    };
    let runs = context.wait(experiments.list())??;
    let ranking = rank(
        &runs,
        &RankQuery {
            metric: &args.metric,
            better: args.better.map(|way| match way {
                Way::Higher => Better::Higher,
                Way::Lower => Better::Lower,
            }),
            kind: args.kind.as_deref(),
            on: match (&same_as, &args.data) {
                (Some(run), _) => RankedOn::SameAs(run),
                (None, Some(data)) => RankedOn::Data(data),
                (None, None) => RankedOn::Newest,
            },
        },
    )?;
    let alike = |standing| matches!(standing, Standing::Tied | Standing::Overlaps);
    let best = ranking.ranked.first().map_or("", |run| &run.id);
    let not_told_apart: Vec<&str> = ranking
        .ranked
        .iter()
        .filter(|run| alike(run.standing))
        .map(|run| run.id.as_str())
        .collect();
    let next = match not_told_apart.first() {
        Some(other) => shell_line(["botops", "runs", "compare", other, best]),
        None => shell_line(["botops", "runs", "show", best]),
    };
    let text = text(&ranking, args.limit, not_told_apart.len());
    Ok(Outcome::done(&Answer { best, not_told_apart, ranking: &ranking }, text).next(next))
}

fn text(ranking: &Ranking, limit: usize, n_alike: usize) -> String {
    let shown = &ranking.ranked[..ranking.ranked.len().min(limit.max(1))];
    let rows = shown.iter().enumerate().map(|(place, run)| {
        let standing = match run.standing {
            Standing::Best => "best",
            Standing::Tied => "tied with the best",
            Standing::Overlaps => "interval overlaps that of the best",
            Standing::Worse => "worse",
        };
        vec![
            (place + 1).to_string(),
            run.id.clone(),
            run.kind.clone(),
            tables::time(&run.finished_at),
            tables::metric(&run.metric),
            standing.to_owned(),
        ]
    });
    let name = format!("{} ({} is better)", ranking.metric, ranking.better);
    let header = ["", "run", "kind", "finished (UTC)", &name, ""];
    let mut out = tables::table(&header, rows, &[0]);
    let total = ranking.ranked.len();
    let (data, method) = (ranking.basis.data.short(), &ranking.basis.method);
    out.push_str(&format!("\nmeasured on {data} ({method}): {}", runs(total as u64)));
    if shown.len() < total {
        out.push_str(&format!(", {} shown", tables::count(shown.len() as u64)));
    }
    out.push('\n');
    if ranking.on_other_data > 0 {
        out.push_str(&format!(
            "left out: {}, measured on other data or by another method (`--data`, `--same-as`)\n",
            runs(ranking.on_other_data)
        ));
    }
    if ranking.on_unknown_data > 0 {
        out.push_str(&format!(
            "left out: {}, measured on unknown data\n",
            runs(ranking.on_unknown_data)
        ));
    }
    if n_alike > 0 {
        out.push_str(&format!(
            "{} not distinguishable from the best by intervals alone; `runs compare` compares them record by record\n",
            runs(n_alike as u64)
        ));
    }
    if total > 1 && method == TEST {
        out.push_str(
            "the best of several runs on one test set looks better than it is: confirm it on other data\n",
        );
    }
    out
}

/// Returns `1 run` or `12 runs`.
fn runs(n: u64) -> String {
    tables::counted(n, "run", "runs")
}
