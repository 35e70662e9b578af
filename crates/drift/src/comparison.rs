//! Two sides compared, quantity by quantity and column by column.

use crate::{
    checks::{Found, text_column},
    column::Column,
    joined::verdict,
    quantities::{Quantities, new_words},
    report::DriftReport,
    row::Row,
    spec::DriftSpec,
};
use botops_findings::Result;
use botops_spec::Checked;

/// One side of a comparison.
#[derive(Debug, Clone, Copy)]
pub struct DriftSide<'a> {
    /// The name, as the user gave it.
    pub name: &'a str,
    /// The utterances; none if the data has no texts.
    pub rows: &'a [Row<'a>],
    /// The columns of the data.
    pub columns: &'a [Column],
}

/// Compares `current` with `reference`.
///
/// A quantity is compared if both sides have at least one value of it; rows without a value do not count.
///
/// - `intent`, `language`, and columns of categories: Pearson's test; drift if p (corrected) <= `alpha` and
///   PSI >= `min_psi`
/// - `confidence`, `length_words`, `length_chars`, `unseen_word_rate`, and columns of numbers: Kolmogorov-Smirnov;
///   drift if p (corrected) <= `alpha` and the distance >= `min_ks`
/// - missing values are a check of their own (`intent_missing`), with the rule of categories, if a side has any
///
/// `intent` is the predicted intent if the rows have one, and then `intent_declared` is that of the data. Columns are
/// paired by role, else by name, and compared by their type (see [`Column`]); the others are listed in `not_judged`
/// with the reason.
///
/// PSI and Pearson's test share their bins: bins that are expected to hold fewer than 5 rows on either
/// side are pooled (see [`botops_stats::homogeneity::pool_rare`]). If a single bin would be left, the largest is compared
/// with all others by Fisher's test, or not judged if a side has fewer than 10 rows. The Jensen-Shannon distance and `top`
/// use every bin. A check with fewer than `min_rows` on either side is reported but not judged: its
/// verdict is insufficient, its `p_adjusted` is 1, and the correction ignores it. The whole comparison
/// drifts if a check does, and is insufficient if no check could be judged.
///
/// `new_words` leaves out words without a letter (order numbers, dates), and lists at most 50.
///
/// # Errors
/// `BOT-2101` (exit 2) for a name in `columns` that is neither a column nor a check, and for tables that have neither
/// texts nor a common column to compare.
pub fn compare(
    reference: &DriftSide<'_>,
    current: &DriftSide<'_>,
    spec: &Checked<DriftSpec>,
) -> Result<DriftReport> {
    let sides = [Quantities::new(reference.rows), Quantities::new(current.rows)];
    let [r, c] = &sides;
    let columns = [reference.columns, current.columns];
    let mut found = Found::new(spec, columns);
    found.add_utterances(r, c);
    found.add_columns();
    found.check_choice()?;
    found.check_any()?;
    let (checks, not_judged) = found.judged();
    let with_words = spec.chooses(&columns.map(text_column));
    Ok(DriftReport {
        schema: "botops.drift/1".to_owned(),
        reference: reference.name.to_owned(),
        current: current.name.to_owned(),
        spec: (**spec).clone(),
        new_words: if with_words { new_words(r, c) } else { Vec::new() },
        n_shared: c.n_shared_with(r),
        verdict: verdict(&checks),
        checks,
        not_judged,
    })
}
