//! What a data set is expected to hold.

pub mod condition;
mod rule;
mod severity;
mod threshold;

pub use rule::{Reference, RowBounds, RuleSpec};
pub use severity::{DEFAULTS, default_severity};
pub use threshold::{Scalar, Threshold};

use botops_datasets::{Presence, ReadOptions};
use botops_findings::{Fault, FaultKind, Place, Result, Severity};
use botops_spec::{self as spec, Outline, nearest};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// The newest `version:` of expectations this program knows.
const NEWEST: u32 = 1;
const ROLES: [&str; 4] = ["text", "intent", "lang", "entities"];

/// What a data set is expected to hold.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expectations {
    /// 1.
    pub version: u32,
    /// Column names by role: `text`, `intent`, `lang`, `entities`.
    #[serde(default)]
    pub columns: BTreeMap<String, String>,
    /// The closed set of intents; none: whatever the data holds.
    #[serde(default)]
    pub intents: Option<Vec<String>>,
    /// The label of out-of-scope utterances.
    #[serde(default = "default_oos")]
    pub oos: String,
    /// The closed set of languages.
    #[serde(default)]
    pub languages: Option<Vec<String>>,
    /// Bounds on the length of a text.
    #[serde(default)]
    pub text: TextBounds,
    /// Fewer examples of an intent than this is a finding.
    #[serde(default = "default_min_examples")]
    pub min_examples_per_intent: u64,
    /// How many records there are.
    #[serde(default)]
    pub rows: RowBounds,
    /// What holds of columns and records.
    #[serde(default)]
    pub rules: Vec<RuleSpec>,
    /// Severities other than the default, by code: `BOT-2120: error`. `off` silences one.
    #[serde(default)]
    pub severity: BTreeMap<String, String>,
    /// The folder that paths in the rules start from: that of the file.
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
            languages: None,
            text: TextBounds::default(),
            min_examples_per_intent: default_min_examples(),
            rows: RowBounds::default(),
            rules: Vec::new(),
            severity: BTreeMap::new(),
            folder: None,
        }
    }
}

impl Expectations {
    /// Reads the expectations at `path`, and checks that they make sense.
    ///
    /// # Errors
    /// As [`botops_spec::read_versioned`]; `BOT-1011` for a role or code that is not known (the nearest is named),
    /// `BOT-1012` for a severity that is none, bounds that nothing can meet, or a rule that makes no sense.
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

    /// Checks that the expectations make sense; [`Expectations::read`] has done so.
    ///
    /// # Errors
    /// See [`Expectations::read`]; the place is the key alone.
    pub fn check(&self) -> Result<()> {
        let fault = |code, key: String, message: String| {
            Fault::usage(code, message).at(Place { key: Some(key), ..Place::default() })
        };
        for role in self.columns.keys() {
            if !ROLES.contains(&role.as_str()) {
                let shown = botops_text::display(role, 40);
                let fault =
                    fault("BOT-1011", format!("columns.{role}"), format!("unknown role `{shown}`"));
                return Err(match nearest(role, ROLES) {
                    Some(near) => fault.hint(format!("did you mean `{near}`?")),
                    None => fault.hint("roles are `text`, `intent`, `lang` and `entities`"),
                });
            }
        }
        if self.columns.get("entities").is_some_and(|name| name != "entities") {
            return Err(fault(
                "BOT-1012",
                "columns.entities".to_owned(),
                "the column of the entities is always called `entities`".to_owned(),
            )
            .hint("rename the column, and remove this key"));
        }
        for (code, severity) in &self.severity {
            let key = format!("severity.{code}");
            if default_severity(code).is_none() {
                let shown = botops_text::display(code, 40);
                let fault =
                    fault("BOT-1011", key, format!("`{shown}` is no code of a check of data"));
                let codes = DEFAULTS.iter().map(|(code, _)| *code);
                return Err(match nearest(code, codes) {
                    Some(near) => fault.hint(format!("did you mean `{near}`?")),
                    None => fault.hint("codes of checks look like `BOT-2120`"),
                });
            }
            if Level::of(severity).is_none() {
                let shown = botops_text::display(severity, 40);
                let fault = fault("BOT-1012", key, format!("`{shown}` is no severity"));
                return Err(match nearest(severity, ["error", "warning", "info", "off"]) {
                    Some(near) => fault.hint(format!("did you mean `{near}`?")),
                    None => fault.hint("write `error`, `warning`, `info` or `off`"),
                });
            }
        }
        for (i, rule) in self.rules.iter().enumerate() {
            rule.check().map_err(|(key, what, hint)| {
                let key = match key {
                    "" => format!("rules[{i}]"),
                    key => format!("rules[{i}].{key}"),
                };
                fault("BOT-1012", key, what).hint(hint)
            })?;
        }
        if let RowBounds { min: Some(min), max: Some(max) } = self.rows
            && min > max
        {
            return Err(fault(
                "BOT-1012",
                "rows.min".to_owned(),
                format!("no file has at least {min} and at most {max} records"),
            )
            .hint("exchange `min` and `max`"));
        }
        if self.text.min_chars > self.text.max_chars {
            return Err(fault(
                "BOT-1012",
                "text.min_chars".to_owned(),
                format!(
                    "no text has at least {} and at most {} characters",
                    self.text.min_chars, self.text.max_chars
                ),
            )
            .hint("exchange `min_chars` and `max_chars`"));
        }
        if self.oos.trim().is_empty() {
            return Err(fault(
                "BOT-1012",
                "oos".to_owned(),
                "the label of out-of-scope utterances is empty".to_owned(),
            )
            .hint("leave `oos` out to use `oos`"));
        }
        Ok(())
    }

    /// Returns how to read a file of which these are the expectations.
    #[must_use]
    pub fn read_options(&self) -> ReadOptions {
        let column = |role| self.columns.get(role).cloned();
        ReadOptions {
            text_column: column("text"),
            intent_column: column("intent"),
            lang_column: column("lang"),
            // Rules can be about a table that has no text.
            text: if self.rules.is_empty() { Presence::Required } else { Presence::Optional },
            ..ReadOptions::default()
        }
    }

    /// Iterates over the files that rules refer to: as they are written, and where they are.
    pub fn referenced(&self) -> impl Iterator<Item = (&Path, PathBuf)> {
        let folder = self.folder.as_deref().unwrap_or_else(|| Path::new(""));
        let references = self.rules.iter().filter_map(|rule| rule.references.as_ref());
        references.map(move |reference| (reference.file.as_path(), folder.join(&reference.file)))
    }

    /// Returns whether what holds today may not hold tomorrow.
    #[must_use]
    pub fn has_freshness(&self) -> bool {
        self.rules.iter().any(|rule| rule.fresh_within.is_some())
    }

    /// Returns how much `code` matters; `None` when it is silenced.
    pub fn severity_of(&self, code: &str) -> Option<Severity> {
        let default = default_severity(code).unwrap_or(Severity::Warning);
        match self.severity.get(code).and_then(|word| Level::of(word)) {
            None => Some(default),
            Some(Level(severity)) => severity,
        }
    }
}

/// A severity as written; `None` for `off`.
struct Level(Option<Severity>);

impl Level {
    fn of(word: &str) -> Option<Self> {
        Some(Self(match word {
            "error" => Some(Severity::Error),
            "warning" => Some(Severity::Warning),
            "info" => Some(Severity::Info),
            "off" => None,
            _ => return None,
        }))
    }
}
