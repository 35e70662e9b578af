//! `botops knowledge evaluate`.

use crate::cli::{
    Exit, Outcome,
    arguments::output_args::PageArgs,
    gate,
    session::{
        context::Context,
        knowledge_source::{self, LoadedKnowledge},
    },
    terminal::tables,
};
use botops_digest::Digest;
use botops_evaluation::{
    GateResult, JudgedKnowledge, judge_knowledge,
    knowledge::{
        KNOWLEDGE_METRICS, KnowledgeComparison, KnowledgeReport, QuestionOutcome, QuestionSet,
        compare_knowledge,
    },
};
use botops_findings::{Fault, Finding, Place, Result, Severity};
use botops_knowledge::Mode;
use botops_report as report;
use botops_text::shell_line;
use serde::Serialize;
use std::path::PathBuf;

/// The groups of questions that the terminal shows.
const SHOWN_GAPS: usize = 5;

/// Evaluate a knowledge base on questions whose documents and answers are known
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Knowledge base such as help or help@3, or a .knowledge file
    #[arg(value_name = "NAME|FILE")]
    knowledge: String,
    /// Questions: JSONL, or JSON in the format of SQuAD
    #[arg(value_name = "QUESTIONS")]
    questions: PathBuf,
    /// Compare with this knowledge on the same questions
    #[arg(long, value_name = "NAME|FILE")]
    against: Option<String>,
    /// Judge by the rules under `knowledge` in this YAML file
    #[arg(long, value_name = "FILE")]
    rules: Option<PathBuf>,
    /// Ranking of passages; without an encoder in the index, all rank by words
    #[arg(long, value_name = "MODE", value_enum, default_value = "hybrid")]
    mode: Ranking,
    /// Language of questions that name none
    #[arg(long, value_name = "LANGUAGE")]
    language: Option<String>,
    #[command(flatten)]
    page: PageArgs,
}

/// The ranking of passages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Ranking {
    /// By words
    Lexical,
    /// By embeddings
    Dense,
    /// By both
    Hybrid,
}

impl From<Ranking> for Mode {
    fn from(ranking: Ranking) -> Self {
        match ranking {
            Ranking::Lexical => Self::Lexical,
            Ranking::Dense => Self::Dense,
            Ranking::Hybrid => Self::Hybrid,
        }
    }
}

#[derive(Serialize)]
struct Answer<'a> {
    #[serde(flatten)]
    report: &'a KnowledgeReport,
    #[serde(skip_serializing_if = "Option::is_none")]
    against: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    comparison: Option<&'a KnowledgeComparison>,
    #[serde(skip_serializing_if = "Option::is_none")]
    results: Option<&'a [GateResult]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    html: Option<String>,
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<Outcome> {
    args.page.check(&[Some(&args.questions), args.rules.as_deref()])?;
    let rules = args.rules.as_deref().map(gate::read_rules).transpose()?;
    let rules = match rules.as_ref().map(|rules| rules.knowledge.as_ref()) {
        Some(None) => {
            return Err(Fault::usage("BOT-7265", "the rules have no `knowledge`")
                .hint("write some, such as `knowledge: {recall_at_5: {min: 0.9}}`"));
        }
        rules => rules.flatten(),
    };
    let set = knowledge_source::questions(&args.questions, args.language.as_deref())?;
    let loaded = knowledge_source::load(context, &args.knowledge)?;
    let mode = args.mode.into();
    let (report, outcomes, warnings) = knowledge_source::evaluate(&loaded, &set, mode)?;
    let comparison = match &args.against {
        Some(against) => {
            let other = knowledge_source::load(context, against)?;
            Some(compared(&other, (loaded.index.digest(), &outcomes), &set, mode)?)
        }
        None => None,
    };
    let comparison = comparison.as_ref();
    let judged = [JudgedKnowledge { report: &report, comparison }];
    let results = rules.map(|rules| judge_knowledge(rules, &judged));
    let html = args.page.write(|| report::knowledge_html(&report, comparison))?;
    let is_markdown = context.printer.is_markdown();
    let mut text = match is_markdown {
        true => report::knowledge_markdown(&report, comparison),
        false => self::text(&loaded.shown, &report, comparison.zip(args.against.as_deref())),
    };
    if !is_markdown {
        text.push_str(&tables::findings(&warnings, 3));
    }
    if let Some(results) = &results {
        let table = match is_markdown {
            true => report::gate_results_markdown(results),
            false => rules_text(results),
        };
        text.push_str(&format!("\n{table}"));
    }
    if let Some(file) = html.as_ref().filter(|_| !is_markdown) {
        text.push_str(&format!("\nwrote {file}\n"));
    }
    let next = match html.is_some() {
        true => None,
        false => {
            let file = args.questions.display().to_string();
            let words = ["botops", "knowledge", "evaluate", &args.knowledge, &file];
            Some(shell_line(words.into_iter().chain(["--html", "knowledge.html"])))
        }
    };
    let answer = Answer {
        report: &report,
        against: args.against.as_deref(),
        comparison,
        results: results.as_deref(),
        html,
    };
    let outcome = next.into_iter().fold(Outcome::done(&answer, text), Outcome::next);
    let failed: Vec<Finding> =
        results.iter().flatten().filter(|it| !it.passed).map(finding).collect();
    Ok(match failed.is_empty() {
        true => outcome.findings(warnings),
        false => outcome.exit(Exit::Gate).findings(warnings.into_iter().chain(failed).collect()),
    })
}

fn compared(
    other: &LoadedKnowledge,
    (digest, outcomes): (Digest, &[QuestionOutcome]),
    set: &QuestionSet,
    mode: Mode,
) -> Result<KnowledgeComparison> {
    let (_, earlier, _) = knowledge_source::evaluate(other, set, mode)?;
    compare_knowledge(set, (other.index.digest(), &earlier), (digest, outcomes))
}

fn finding(result: &GateResult) -> Finding {
    Finding {
        code: "BOT-3020".to_owned(),
        severity: Severity::Error,
        place: Place::default(),
        message: format!("gate `{}` failed: {}", result.rule, result.observed),
        help: "look at the questions that were missed, and add or correct the documents".to_owned(),
    }
}

/// Renders each rule with the observed value and the verdict.
fn rules_text(results: &[GateResult]) -> String {
    let verdict = |passed: bool| if passed { "passed" } else { "failed" }.to_owned();
    let rows =
        results.iter().map(|it| vec![it.rule.clone(), it.observed.clone(), verdict(it.passed)]);
    tables::table(&["rule", "observed", "verdict"], rows, &[])
}

fn text(
    shown: &str,
    report: &KnowledgeReport,
    comparison: Option<(&KnowledgeComparison, &str)>,
) -> String {
    let mut out = format!(
        "{shown} on {}: {}, {} without an answer, ranked {}\n",
        report.data,
        tables::counted(report.n, "question", "questions"),
        tables::count(report.n_unanswerable),
        report.knowledge.mode,
    );
    let rows = KNOWLEDGE_METRICS.iter().filter_map(|(name, _)| {
        let metric = report.metrics.get(*name)?;
        let [lower, upper] = metric.ci95;
        let interval = format!("[{lower:.3}, {upper:.3}]");
        Some(vec![
            (*name).to_owned(),
            format!("{:.3}", metric.value),
            interval,
            tables::count(metric.n),
        ])
    });
    out.push_str(&tables::table(&["metric", "value", "95 % interval", "n"], rows, &[1, 3]));
    if let Some(least) = report.least_confidence {
        out.push_str(&format!(
            "from a confidence of {least:.2} on, at most 25 % of the answers are wrong (level 0.9): `min_confidence` under `knowledge` in botops.yaml\n"
        ));
    }
    if let Some((comparison, against)) = comparison {
        out.push_str(&format!(
            "against {against}: first passage newly right {}, newly wrong {}, McNemar p {}\n",
            comparison.newly_right.len(),
            comparison.newly_wrong.len(),
            tables::p_value(comparison.mcnemar_p)
        ));
    }
    if !report.gaps.is_empty() {
        out.push_str("\nquestions without an answer, by subject:\n");
        let rows = report.gaps.iter().take(SHOWN_GAPS).map(|gap| {
            let example = gap.examples.first().map_or("", String::as_str);
            vec![gap.n.to_string(), gap.words.join(", "), botops_text::utterance(example, 80)]
        });
        out.push_str(&tables::table(&["n", "words", "example"], rows, &[0]));
    }
    out
}
