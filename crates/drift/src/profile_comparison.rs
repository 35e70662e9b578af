//! Two profiles compared, check by check as the rows would be.

use crate::{
    checks::{DECLARED, Found, SIDES},
    joined::verdict,
    profile::{Category, Missing, Profile},
    profile_names::{MOST_NAMES, Names},
    profile_numbers::Quantity,
    quantity,
    report::{DriftReport, NotJudgedWhy as Why},
    spec::DriftSpec,
};
use botops_findings::Result;
use botops_spec::Checked;
use std::collections::BTreeMap;

/// The checks of missing values of the columns whose values a profile holds or that hold none to compare.
const ROLES: [&str; 3] = ["text_missing", "intent_missing", "language_missing"];

/// Compares the profile `current` with `reference`; names stand in the report.
///
/// The checks are those of [`crate::compare`] on the rows and columns of the profiles: equal for categories and missing values,
/// and for numbers equal to the checks of values that are off by the error of their [`Quantity`]. A profile does not hold
/// the values of columns that have no role, and no texts: `new_words` and `n_shared` of the report are empty.
///
/// # Errors
/// `BOT-2101` (exit 2) for a name in `columns` that is no check.
pub fn compare_profiles(
    reference: (&str, &Profile),
    current: (&str, &Profile),
    spec: &Checked<DriftSpec>,
) -> Result<DriftReport> {
    let sides = [reference.1, current.1];
    let mut found = Found::new(spec, [&[], &[]]);
    let columns = sides.map(|side| side.missing().map_or_else(Vec::new, named_columns));
    found.check_names(&columns)?;
    Comparison { found: &mut found, spec, sides }.add_all();
    let (checks, not_judged) = found.judged();
    Ok(DriftReport {
        schema: "botops.drift/1".to_owned(),
        reference: reference.0.to_owned(),
        current: current.0.to_owned(),
        spec: (**spec).clone(),
        new_words: Vec::new(),
        n_shared: 0,
        verdict: verdict(&checks),
        checks,
        not_judged,
    })
}

/// Returns the names by which the columns of `missing` can be chosen.
fn named_columns(missing: &BTreeMap<String, Missing>) -> Vec<String> {
    missing.iter().flat_map(|(check, missing)| [missing.column.clone(), check.clone()]).collect()
}

/// The checks of two profiles.
struct Comparison<'f, 's, 'p> {
    found: &'f mut Found<'s>,
    spec: &'s DriftSpec,
    /// The reference and the current side.
    sides: [&'p Profile; 2],
}

impl<'p> Comparison<'_, '_, 'p> {
    /// Adds the checks in the order of [`crate::compare`].
    fn add_all(&mut self) {
        let sides = self.sides;
        let has = |category: Category| sides.map(|side| side.names(category).is_some());
        let is_predicted = has(Category::Intent).contains(&true);
        let declared = if is_predicted { DECLARED } else { "intent" };
        let [text, language] =
            ["text_missing", "language_missing"].map(|check| self.columns(check));
        let text: Vec<&str> = text.into_iter().flatten().collect();
        let language: Vec<&str> = language.into_iter().flatten().collect();
        if is_predicted {
            self.add_names("intent", Category::Intent, &text, None);
        }
        if !has(Category::IntentDeclared).contains(&false) {
            let [before, now] = self.columns("intent_missing");
            let others: Vec<&str> = ["intent"].into_iter().chain(before).chain(now).collect();
            self.add_names(declared, Category::IntentDeclared, &others, before);
        }
        if is_predicted {
            self.add_numbers("confidence", Quantity::Confidence, &text);
        }
        self.add_numbers("length_words", Quantity::LengthWords, &text);
        self.add_numbers("length_chars", Quantity::LengthChars, &text);
        if self.sides.iter().all(|side| side.n_rows() > 0) {
            let others: Vec<&str> = text.iter().chain(&language).copied().collect();
            self.add_names("language", Category::Language, &others, None);
        }
        if is_predicted {
            self.add_numbers("unseen_word_rate", Quantity::UnseenWordRate, &text);
        }
        self.add_names("language_guessed", Category::LanguageGuessed, &[], None);
        self.add_names("fallback", Category::Fallback, &[], None);
        self.add_names("entities", Category::Entities, &[], None);
        self.add_numbers("oos_score", Quantity::OosScore, &[]);
        self.add_numbers("latency_ms", Quantity::LatencyMs, &[]);
        self.add_missing();
    }

    /// Returns the columns of the check of missing values `check`.
    fn columns(&self, check: &str) -> [Option<&'p str>; 2] {
        self.sides.map(|side| Some(side.missing()?.get(check)?.column.as_str()))
    }

    /// Returns whether `check` was chosen, by its name or one of `others`.
    fn chooses(&self, check: &str, others: &[&str]) -> bool {
        let names: Vec<&str> = std::iter::once(check).chain(others.iter().copied()).collect();
        self.spec.chooses(&names)
    }

    fn add_names(
        &mut self,
        check: &str,
        category: Category,
        others: &[&str],
        column: Option<&str>,
    ) {
        if !self.chooses(check, others) {
            return;
        }
        let empty = Names::default();
        let names = self.sides.map(|side| side.names(category).unwrap_or(&empty));
        match names.map(Names::of_rows) {
            [Some(before), Some(now)] => self.found.add_names(check, column, &before, &now),
            [before, _] => {
                let side = SIDES[usize::from(before.is_some())];
                let reason = format!("more than {MOST_NAMES} different values in {side}");
                self.found.leave_out(check, Why::Texts, reason);
            }
        }
    }

    fn add_numbers(&mut self, check: &str, quantity: Quantity, others: &[&str]) {
        if !self.chooses(check, others) {
            return;
        }
        let [before, now] = self.sides.map(|side| side.values(quantity));
        let tested = quantity::numeric_weighted(check, &before, &now, self.spec);
        self.found.add(check, tested, [!before.is_empty(), !now.is_empty()]);
    }

    /// Adds the checks of the missing values of the columns that both sides have.
    fn add_missing(&mut self) {
        let [Some(before), Some(now)] = self.sides.map(Profile::missing) else {
            let side = SIDES[usize::from(self.sides[0].missing().is_some())];
            let reason = format!("too many columns in {side} to count their missing values");
            return self.found.leave_out("columns", Why::TooFew, reason);
        };
        if before.is_empty() || now.is_empty() {
            return;
        }
        let rank = |check: &str| ROLES.iter().position(|role| *role == check);
        let mut in_order: Vec<(&String, &Missing)> = before.iter().collect();
        in_order.sort_by_key(|(check, _)| rank(check).unwrap_or(ROLES.len()));
        for (check, missing) in in_order {
            let Some(other) = now.get(check) else {
                self.add_single(missing, Why::OnlyReference, 0);
                continue;
            };
            let sides = [missing, other].map(|side| (side.n_missing, side.n_rows));
            if !self.chooses(check, &[&missing.column, &other.column]) {
                continue;
            }
            if rank(check).is_none() {
                let reason = "a profile does not hold the values of this column".to_owned();
                self.found.leave_out(&missing.column, Why::NoCheck, reason);
            }
            if let Some(tested) = quantity::missing(check, sides[0], sides[1], self.spec) {
                self.found.add_tested(tested, Some(&missing.column));
            }
        }
        for (_, missing) in now.iter().filter(|(check, _)| !before.contains_key(*check)) {
            self.add_single(missing, Why::OnlyCurrent, 1);
        }
    }

    fn add_single(&mut self, missing: &Missing, why: Why, side: usize) {
        if self.spec.chooses(&[&missing.column]) {
            self.found.leave_out(&missing.column, why, format!("only in {}", SIDES[side]));
        }
    }
}
