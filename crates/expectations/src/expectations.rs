//! The expectations file: bounds and labels for the whole data set, rules for its columns, and severities.

use crate::{
    rule::{RowBounds, RuleSpec},
    severity::{DEFAULTS, Level, default_severity},
};
use botops_datasets::{Presence, ReadOptions};
use botops_findings::{Fault, Place, Result, Severity};
use botops_spec::{self as spec, Outline, nearest};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// The newest `version:` of expectations that this program reads.
const NEWEST: u32 = 1;
const ROLES: [&str; 4] = ["text", "intent", "lang", "entities"];

/// The expected content of a data set.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expectations {
    /// The version of the format: 1.
    pub version: u32,
    /// Column names by role: `text`, `intent`, `lang`, `entities`.
    #[serde(default)]
    pub columns: BTreeMap<String, String>,
    /// The closed set of intents; `None`: any intent.
    #[serde(default)]
    pub intents: Option<Vec<String>>,
    /// The label of out-of-scope utterances.
    #[serde(default = "default_oos")]
    pub oos: String,
    /// Other labels of out-of-scope utterances.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub oos_labels: Vec<String>,
    /// The closed set of languages; `None`: any language.
    #[serde(default)]
    pub languages: Option<Vec<String>>,
    /// Bounds on the length of a text.
    #[serde(default)]
    pub text: TextBounds,
    /// The fewest examples of an intent.
    #[serde(default = "default_min_examples")]
    pub min_examples_per_intent: u64,
    /// Bounds on the number of records.
    #[serde(default)]
    pub rows: RowBounds,
    /// The largest share of the records, in [0, 1], that errors may reject; 0: any error fails the data.
    ///
    /// `validate` and `run` judge by it. An error about the file as a whole always fails.
    #[serde(default)]
    pub max_rejected_share: f64,
    /// The largest share of the test records, in [0, 1], that may also be in the data, as they are or as near duplicates;
    /// not set: each is a warning.
    ///
    /// `validate --test` judges by it.
    #[serde(default)]
    pub max_leaked_share: Option<f64>,
    /// The rules for columns and records.
    #[serde(default)]
    pub rules: Vec<RuleSpec>,
    /// Severities other than the default, by code: `BOT-2120: error`. `off` silences a code.
    #[serde(default)]
    pub severity: BTreeMap<String, String>,
    /// The folder of the expectations file; paths in the rules are relative to it.
    #[serde(skip)]
    pub folder: Option<PathBuf>,
}

fn default_oos() -> String {
    botops_labels::OOS.to_owned()
}

fn default_min_examples() -> u64 {
    5
}

/// Bounds on the length of a text, in code points.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TextBounds {
    /// The fewest code points.
    pub min_chars: usize,
    /// The most code points.
    pub max_chars: usize,
}

impl Default for TextBounds {
    fn default() -> Self {
        Self { min_chars: 1, max_chars: 5_000 }
    }
}

impl Default for Expectations {
    fn default() -> Self {
        Self {
            version: 1,
            columns: BTreeMap::new(),
            intents: None,
            oos: default_oos(),
            oos_labels: Vec::new(),
            languages: None,
            text: TextBounds::default(),
            min_examples_per_intent: default_min_examples(),
            rows: RowBounds::default(),
            max_rejected_share: 0.0,
            max_leaked_share: None,
            rules: Vec::new(),
            severity: BTreeMap::new(),
            folder: None,
        }
    }
}

impl Expectations {
    /// Returns whether `label` is one of out-of-scope utterances.
    #[must_use]
    pub fn is_oos(&self, label: &str) -> bool {
        label == self.oos
            || label == botops_labels::OOS
            || self.oos_labels.iter().any(|oos| oos == label)
    }

    /// Reads the expectations at `path` and checks them.
    ///
    /// # Errors
    /// As [`botops_spec::read_versioned`]; `BOT-1011` for an unknown role or code, with the nearest known one; `BOT-1012`
    /// for an unknown severity, for bounds that exclude every value, and for a rule that has no effect.
    pub fn read(path: &Path) -> Result<Self> {
        let file = path.display().to_string();
        let yaml = spec::text(path)?;
        spec::check_version(&yaml, &file, NEWEST)?;
        let mut expectations: Self = spec::parse(&yaml, &file)?;
        expectations.folder = path.parent().map(Path::to_owned);
        expectations.check().map_err(|fault| {
            let (line, column) =
                fault.place().key.as_deref().and_then(|key| Outline::of(&yaml).place(key)).unzip();
            let place = Place { file: Some(file), line, column, ..fault.place().clone() };
            fault.at(place)
        })?;
        Ok(expectations)
    }

    /// Checks the expectations; [`Expectations::read`] has done so already.
    ///
    /// # Errors
    /// See [`Expectations::read`]; the place is the key alone.
    pub fn check(&self) -> Result<()> {
        self.check_columns()?;
        self.check_severities()?;
        for (i, rule) in self.rules.iter().enumerate() {
            rule.check().map_err(|(key, message, hint)| {
                let key = match key {
                    "" => format!("rules[{i}]"),
                    key => format!("rules[{i}].{key}"),
                };
                fault("BOT-1012", key, message).hint(hint)
            })?;
        }
        self.check_bounds()
    }

    fn check_columns(&self) -> Result<()> {
        for role in self.columns.keys() {
            if !ROLES.contains(&role.as_str()) {
                let role_shown = botops_text::display(role, 40);
                let message = format!("unknown role `{role_shown}`");
                let fault = fault("BOT-1011", format!("columns.{role}"), message);
                return Err(match nearest(role, ROLES) {
                    Some(near) => fault.hint(format!("did you mean `{near}`?")),
                    None => fault.hint("the roles are `text`, `intent`, `lang` and `entities`"),
                });
            }
        }
        if self.columns.get("entities").is_some_and(|name| name != "entities") {
            let message = "the column of the entities must be named `entities`".to_owned();
            return Err(fault("BOT-1012", "columns.entities".to_owned(), message)
                .hint("rename the column, and remove this key"));
        }
        Ok(())
    }

    fn check_severities(&self) -> Result<()> {
        for (code, severity) in &self.severity {
            let key = format!("severity.{code}");
            if default_severity(code).is_none() {
                let code_shown = botops_text::display(code, 40);
                let message = format!("`{code_shown}` is not the code of a data check");
                let codes = DEFAULTS.iter().map(|(code, _)| *code);
                let fault = fault("BOT-1011", key, message);
                return Err(match nearest(code, codes) {
                    Some(near) => fault.hint(format!("did you mean `{near}`?")),
                    None => fault.hint("codes of data checks look like `BOT-2120`"),
                });
            }
            if Level::of(severity).is_none() {
                let severity_shown = botops_text::display(severity, 40);
                let message = format!("`{severity_shown}` is not a severity");
                let fault = fault("BOT-1012", key, message);
                return Err(match nearest(severity, ["error", "warning", "info", "off"]) {
                    Some(near) => fault.hint(format!("did you mean `{near}`?")),
                    None => fault.hint("write `error`, `warning`, `info` or `off`"),
                });
            }
        }
        Ok(())
    }

    fn check_bounds(&self) -> Result<()> {
        if let RowBounds { min: Some(min), max: Some(max) } = self.rows
            && min > max
        {
            let message = format!("`min` is {min}, which is more than `max`, {max}");
            return Err(
                fault("BOT-1012", "rows.min".to_owned(), message).hint("exchange `min` and `max`")
            );
        }
        let TextBounds { min_chars, max_chars } = self.text;
        if min_chars > max_chars {
            let message =
                format!("`min_chars` is {min_chars}, which is more than `max_chars`, {max_chars}");
            return Err(fault("BOT-1012", "text.min_chars".to_owned(), message)
                .hint("exchange `min_chars` and `max_chars`"));
        }
        check_share("max_rejected_share", self.max_rejected_share)?;
        self.max_leaked_share.map_or(Ok(()), |share| check_share("max_leaked_share", share))?;
        if self.oos.trim().is_empty() {
            let message = "the label of out-of-scope utterances is empty".to_owned();
            return Err(
                fault("BOT-1012", "oos".to_owned(), message).hint("leave `oos` out to use `oos`")
            );
        }
        Ok(())
    }

    /// Returns the options with which the data set is read: its columns by role.
    #[must_use]
    pub fn read_options(&self) -> ReadOptions {
        let column = |role| self.columns.get(role).cloned();
        ReadOptions {
            text_column: column("text"),
            intent_column: column("intent"),
            lang_column: column("lang"),
            // Rules may be for a table without a text.
            text: if self.rules.is_empty() { Presence::Required } else { Presence::Optional },
            ..ReadOptions::default()
        }
    }

    /// Iterates over the files that rules refer to: the path as written, and the path from the current folder.
    pub fn referenced(&self) -> impl Iterator<Item = (&Path, PathBuf)> {
        let folder = self.folder.as_deref().unwrap_or_else(|| Path::new(""));
        let references = self.rules.iter().filter_map(|rule| rule.references.as_ref());
        references.map(move |reference| (reference.file.as_path(), folder.join(&reference.file)))
    }

    /// Returns whether the result depends on the date: a rule has `fresh_within`.
    #[must_use]
    pub fn has_freshness(&self) -> bool {
        self.rules.iter().any(|rule| rule.fresh_within.is_some())
    }

    /// Returns the severity of `code`; `None` when it is silenced.
    pub fn severity_of(&self, code: &str) -> Option<Severity> {
        let default = default_severity(code).unwrap_or(Severity::Warning);
        match self.severity.get(code).and_then(|word| Level::of(word)) {
            None => Some(default),
            Some(Level(severity)) => severity,
        }
    }
}

/// Checks that the `share` under `key` is in [0, 1].
fn check_share(key: &str, share: f64) -> Result<()> {
    if (0.0..=1.0).contains(&share) {
        return Ok(());
    }
    let message = format!("`{key}` is {share}, which is not a share in [0, 1]");
    Err(fault("BOT-1012", key.to_owned(), message)
        .hint("write a share of the records, such as 0.01 for 1 %"))
}

fn fault(code: &'static str, key: String, message: String) -> Fault {
    Fault::usage(code, message).at(Place { key: Some(key), ..Place::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_outside_of_zero_to_one_is_refused_by_its_key() {
        for share in [-0.1, 1.5, f64::NAN] {
            let expectations =
                Expectations { max_rejected_share: share, ..Expectations::default() };
            let fault = expectations.check().unwrap_err();
            assert_eq!(fault.code(), "BOT-1012");
            assert_eq!(fault.place().key.as_deref(), Some("max_rejected_share"));
        }
        let expectations = Expectations { max_rejected_share: 1.0, ..Expectations::default() };
        assert!(expectations.check().is_ok());
    }
}
