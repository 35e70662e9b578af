//! Verdicts by their sources: those that count as labels, and those that are only shown.

use botops_findings::{Finding, Result};
use botops_predictions::{RecordKey, SourceClass, Verdict, resolve, stored_verdicts};
use botops_store::Store;
use std::collections::{BTreeMap, BTreeSet};

/// The true intent of a message, and when it became known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// The true intent.
    pub intent: String,
    /// The time of the verdict, in milliseconds since 1970.
    pub at: i64,
}

/// The labels of messages, by the sources of their verdicts.
///
/// Each side is resolved by itself: a verdict of a source that does not count never replaces one that counts, nor the other
/// way round.
#[derive(Debug, Clone, Default)]
pub struct Judgements {
    /// The sources that count.
    pub(crate) sources: BTreeSet<SourceClass>,
    /// The label of each message, from the sources that count.
    pub(crate) labels: BTreeMap<RecordKey, Label>,
    /// For each other source, its label of each message.
    pub(crate) apart: BTreeMap<SourceClass, BTreeMap<RecordKey, Label>>,
    /// The number of messages on which the sources that count differ.
    pub(crate) contradicted: u64,
    /// The satisfaction with each message, from 1 to 5, of all sources.
    pub(crate) satisfaction: BTreeMap<RecordKey, u8>,
}

impl Judgements {
    /// The sources that count by default: reviewers. Agents and end users see only what reached them, and judge it with
    /// other aims.
    #[must_use]
    pub fn reviewers() -> BTreeSet<SourceClass> {
        BTreeSet::from([SourceClass::Reviewer])
    }

    /// Resolves `verdicts`; only those of `sources` count.
    #[must_use]
    pub fn of(
        verdicts: impl IntoIterator<Item = Verdict>,
        sources: &BTreeSet<SourceClass>,
    ) -> Self {
        let (mut counted, mut rated) = (Vec::new(), Vec::new());
        let mut others: BTreeMap<SourceClass, Vec<Verdict>> = BTreeMap::new();
        for verdict in verdicts {
            if verdict.satisfaction.is_some() {
                rated.push(Verdict { intent: None, ..verdict.clone() });
            }
            match sources.contains(&verdict.source) {
                true => counted.push(verdict),
                false => others.entry(verdict.source).or_default().push(verdict),
            }
        }
        let satisfaction = resolve(rated).satisfaction.into_iter();
        let satisfaction = satisfaction.map(|(key, it)| (key, it.level)).collect();
        let resolved = resolve(counted);
        let contradicted = resolved.contradicted;
        let labels = |verdicts: botops_predictions::Verdicts| {
            let messages = verdicts.by_message.into_iter();
            messages.map(|(key, it)| (key, Label { intent: it.intent, at: it.at })).collect()
        };
        let apart =
            others.into_iter().map(|(source, all)| (source, labels(resolve(all)))).collect();
        Self {
            sources: sources.clone(),
            labels: labels(resolved),
            apart,
            contradicted,
            satisfaction,
        }
    }

    /// Reads the verdicts of `environment`; only those of `sources` count. Returns the problems of the stored lines, too.
    ///
    /// # Errors
    /// Those of [`stored_verdicts`].
    pub async fn read(
        store: &Store,
        environment: &str,
        sources: &BTreeSet<SourceClass>,
    ) -> Result<(Self, Vec<Finding>)> {
        let (verdicts, findings) = stored_verdicts(store, environment).await?;
        Ok((Self::of(verdicts, sources), findings))
    }

    /// Returns the number of messages with a label that counts, in any window.
    #[must_use]
    pub fn n_labels(&self) -> u64 {
        self.labels.len() as u64
    }

    /// Returns the label that counts of a message.
    #[must_use]
    pub fn label(&self, key: &RecordKey) -> Option<&Label> {
        self.labels.get(key)
    }
}
