//! The explanation of a prediction: the terms that support it, and the nearest records of the training data.

use super::{
    arguments::Args,
    classification::Classified,
    explained::{Explained, Near},
};
use crate::cli::{arguments::model_arg::Found, session::context::Context, terminal::tables};
use botops_datasets::{self as datasets, Dataset, Presence};
use botops_findings::Result;
use botops_models::Explanation;
use botops_text::utterance;

/// The most terms in the text; the JSON has all.
const TERMS: usize = 12;
/// The number of nearest records.
const NEAREST: usize = 5;

/// Explains each prediction.
pub(super) fn explain(
    args: &Args,
    context: &Context,
    found: &Found,
    predictions: &mut [Classified],
) -> Result<()> {
    let learned = learned_from(args, context, found)?;
    let labels = found.model.labels();
    for one in predictions {
        let explanation = found.model.explain(&one.text)?;
        let nearest = learned.as_ref().map(|data| {
            let texts: Vec<&str> = data.records.iter().map(|record| record.text.as_str()).collect();
            let near = found.model.nearest(&one.text, &texts, NEAREST);
            near.into_iter()
                .map(|(i, cosine)| {
                    let record = &data.records[i];
                    Near {
                        file: data.name.clone(),
                        record: record.record,
                        line: record.line,
                        cosine,
                        intent: record.intent.clone(),
                        text: record.text.clone(),
                    }
                })
                .collect()
        });
        let [winner, runner_up] = explanation.intents.map(|intent| labels.name(intent).to_owned());
        one.explanation = Some(Explained { winner, runner_up, explanation, nearest });
    }
    Ok(())
}

/// Returns the training data, if it is available: the file of `--data`, else the data that a recorded run kept.
fn learned_from(args: &Args, context: &Context, found: &Found) -> Result<Option<Dataset>> {
    let Some(path) = &args.data else { return kept(args, context, found) };
    let data = datasets::read(path, &args.columns.options(Presence::Optional))?;
    if let Some(digest) = found.model.lineage().data
        && digest != data.digest
    {
        context.printer.say(&format!(
            "note: `{}` is {}, and the model was trained on {}: the nearest records may not be from its training data",
            path.display(),
            data.digest.short(),
            digest.short()
        ));
    }
    Ok(Some(data))
}

/// Returns the training data, if a run in the experiments store kept it.
fn kept(args: &Args, context: &Context, found: &Found) -> Result<Option<Dataset>> {
    let Some(digest) = found.model.lineage().data else { return Ok(None) };
    let experiments = context.experiments()?;
    let bytes = context.wait(async {
        let store = experiments.store();
        if store.has_blob(&digest).await? { store.blob(&digest).await.map(Some) } else { Ok(None) }
    })??;
    let Some(bytes) = bytes else {
        context.printer.say(
            "note: no run kept the training data; name the file with `--data` to see the nearest records",
        );
        return Ok(None);
    };
    // The store does not keep the name of the file; its format is detected from the content.
    let name = format!("the data of the model ({})", digest.short());
    datasets::read_bytes(&bytes, &name, &args.columns.options(Presence::Optional)).map(Some)
}

impl Explained {
    /// Renders the explanation, to be printed below the prediction.
    pub(super) fn text(&self) -> String {
        let Explanation { scores, intercepts, terms, embedding, .. } = &self.explanation;
        let signed = |value: f64| format!("{value:+.3}");
        let difference = |pair: &[f64; 2]| signed(pair[0] - pair[1]);
        let mut rows: Vec<Vec<String>> = terms
            .iter()
            .take(TERMS)
            .map(|one| {
                let [winner, runner_up] = one.adds.map(signed);
                // Backticks make spaces at the ends of a character n-gram visible.
                vec![format!("`{}`", one.term), winner, runner_up, difference(&one.adds)]
            })
            .collect();
        let total = |terms: &[botops_models::Contribution]| {
            terms.iter().fold([0.0, 0.0], |sum, one| [sum[0] + one.adds[0], sum[1] + one.adds[1]])
        };
        let mut rest = |name: String, pair: &[f64; 2]| {
            let [winner, runner_up] = pair.map(signed);
            rows.push(vec![name, winner, runner_up, difference(pair)]);
        };
        if terms.len() > TERMS {
            rest(format!("{} more terms", terms.len() - TERMS), &total(&terms[TERMS..]));
        }
        if let Some(embedding) = embedding {
            rest("the embedding".to_owned(), embedding);
        }
        rest("without any term".to_owned(), intercepts);
        rest("score".to_owned(), scores);
        let header = ["term", self.winner.as_str(), self.runner_up.as_str(), "difference"];
        let mut out = format!("\n{}", tables::table(&header, rows, &[1, 2, 3]));
        if terms.is_empty() && embedding.is_none() {
            out.push_str(&format!("no term is known, so {} is only a guess\n", self.winner));
        }
        match &self.nearest {
            None => {}
            Some(near) if near.is_empty() => {
                out.push_str("\nno record of the training data shares a term with it\n");
            }
            Some(near) => {
                let rows = near.iter().map(|near| {
                    vec![
                        format!("{:.3}", near.cosine),
                        near.record.to_string(),
                        near.intent.clone().unwrap_or_default(),
                        utterance(&near.text, 80),
                    ]
                });
                let header = ["cosine", "record", "intent", "nearest record"];
                out.push_str(&format!("\n{}", tables::table(&header, rows, &[0, 1])));
            }
        }
        out
    }
}
