//! The thresholds of a comparison, as written in YAML, and their checks.

use botops_findings::{Fault, Place, Result};
use botops_spec::Spec;
use serde::{Deserialize, Serialize};

/// The thresholds of a comparison.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DriftSpec {
    /// The largest share of reports that alarm although nothing changed, in (0, 1).
    ///
    /// Checks are corrected by Benjamini-Hochberg: if nothing changed, any alarm of the report is false, so its false
    /// discovery rate is the rate of false alarms; with real changes, it is the expected share of false ones among the
    /// checks that alarm.
    pub alpha: f64,
    /// The smallest PSI that counts as large.
    pub min_psi: f64,
    /// The smallest Kolmogorov-Smirnov distance that counts as large, in [0, 1].
    pub min_ks: f64,
    /// The least number of rows on each side; with fewer the verdict is insufficient.
    pub min_rows: usize,
    /// The smallest area under the ROC curve of the domain classifier that counts as large, in [0.5, 1].
    ///
    /// 0.55 is reached if a tenth of the texts is unlike any text of the reference.
    #[serde(skip_serializing_if = "is_default_auc")]
    pub min_auc: f64,
    /// The columns and the checks that are compared, by name; default: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub columns: Option<Vec<String>>,
}

impl DriftSpec {
    /// Returns whether one of `names` was chosen, or everything is.
    #[must_use]
    pub fn chooses(&self, names: &[&str]) -> bool {
        let chosen =
            |columns: &Vec<String>| names.iter().any(|name| columns.iter().any(|c| c == name));
        self.columns.as_ref().is_none_or(chosen)
    }

    /// Returns whether the user named `column`.
    pub(crate) fn names(&self, column: &str) -> bool {
        self.columns.is_some() && self.chooses(&[column])
    }
}

impl Default for DriftSpec {
    fn default() -> Self {
        Self {
            alpha: 0.05,
            min_psi: 0.1,
            min_ks: 0.1,
            min_rows: 100,
            min_auc: MIN_AUC,
            columns: None,
        }
    }
}

/// The default of `min_auc`.
const MIN_AUC: f64 = 0.55;

/// The default is not written, so versions of botops without this key can read a report.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_default_auc(min_auc: &f64) -> bool {
    *min_auc == MIN_AUC
}

impl Spec for DriftSpec {
    /// Checks the ranges.
    ///
    /// # Errors
    /// `BOT-4001` (exit 2) with the key: `alpha` not in (0, 1), `min_psi` negative or infinite, `min_ks`
    /// not in [0, 1], `min_auc` not in [0.5, 1], `min_rows` zero, `columns` empty.
    fn check_ranges(&self) -> Result<()> {
        let (key, message) = if !(self.alpha > 0.0 && self.alpha < 1.0) {
            ("alpha", format!("`alpha` is `{}`: expected a number between 0 and 1", self.alpha))
        } else if !(self.min_psi >= 0.0 && self.min_psi.is_finite()) {
            ("min_psi", format!("`min_psi` is `{}`: expected a number of at least 0", self.min_psi))
        } else if !(0.0..=1.0).contains(&self.min_ks) {
            ("min_ks", format!("`min_ks` is `{}`: expected a number from 0 to 1", self.min_ks))
        } else if !(0.5..=1.0).contains(&self.min_auc) {
            ("min_auc", format!("`min_auc` is `{}`: expected a number from 0.5 to 1", self.min_auc))
        } else if self.min_rows == 0 {
            ("min_rows", "`min_rows` is `0`: expected at least one row".to_owned())
        } else if self.columns.as_ref().is_some_and(Vec::is_empty) {
            ("columns", "`columns` is empty: expected the name of a column".to_owned())
        } else {
            return Ok(());
        };
        Err(Fault::usage("BOT-4001", message)
            .at(Place { key: Some(key.to_owned()), ..Place::default() })
            .hint("the defaults are `alpha: 0.05`, `min_psi: 0.1`, `min_ks: 0.1`, `min_rows: 100`"))
    }
}
