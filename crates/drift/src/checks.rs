//! The checks of a comparison: which quantities and columns are compared, and the reasons for the others.

use crate::{
    column::{Column, Kind, MOST_VALUES, Role},
    quantities::Quantities,
    quantity::{self, Counts, Tested},
    report::{DriftCheck, DriftVerdict, NotJudged, NotJudgedWhy as Why},
    spec::DriftSpec,
};
use botops_findings::{Fault, Result};
use botops_spec::nearest;
use botops_stats::multiple::benjamini_hochberg;
use botops_text::{redact, utterance};

/// The names of the sides in sentences.
pub(crate) const SIDES: [&str; 2] = ["the reference", "the current data"];
/// The checks of the utterances, in their order.
const UTTERANCE_CHECKS: [&str; 11] = [
    "intent",
    "confidence",
    "length_words",
    "length_chars",
    "language",
    "unseen_word_rate",
    "language_guessed",
    "oos_score",
    "fallback",
    "entities",
    "latency_ms",
];
/// The checks that are made elsewhere and added to a report.
const FURTHER_CHECKS: [&str; 3] = ["text", "embedding", "label_shift"];
/// The check of the intents of the data, if a model predicts others.
pub(crate) const DECLARED: &str = "intent_declared";

/// The checks so far, and what cannot be judged.
pub(crate) struct Found<'a> {
    spec: &'a DriftSpec,
    /// The columns of the reference and of the current data.
    columns: [&'a [Column]; 2],
    tested: Vec<Tested>,
    not_judged: Vec<NotJudged>,
}

/// Returns the name of the text column, or the name of its role.
pub(crate) fn text_column(columns: &[Column]) -> &str {
    with_role(columns, Role::Text).map_or("text", |column| column.name.as_str())
}

fn with_role(columns: &[Column], role: Role) -> Option<&Column> {
    columns.iter().find(|column| column.role == role)
}

impl<'a> Found<'a> {
    /// Begins without a check. `columns` are those of the reference and of the current data.
    pub(crate) fn new(spec: &'a DriftSpec, columns: [&'a [Column]; 2]) -> Self {
        Self { spec, columns, tested: Vec::new(), not_judged: Vec::new() }
    }

    /// Adds the checks of the utterances.
    pub(crate) fn add_utterances(&mut self, r: &Quantities<'_>, c: &Quantities<'_>) {
        let spec = self.spec;
        let texts = self.columns.map(text_column);
        let chosen = |check: &str| spec.chooses(&[check, texts[0], texts[1]]);
        let is_predicted = !r.intents.is_empty() || !c.intents.is_empty();
        if is_predicted && chosen("intent") {
            let tested = quantity::categorical("intent", &r.intents, &c.intents, spec);
            self.add("intent", tested, [!r.intents.is_empty(), !c.intents.is_empty()]);
        }
        self.add_declared_intents(if is_predicted { DECLARED } else { "intent" });
        for (check, before, now, is_expected) in [
            ("confidence", &r.confidences, &c.confidences, is_predicted),
            ("length_words", &r.length_words, &c.length_words, true),
            ("length_chars", &r.length_chars, &c.length_chars, true),
        ] {
            if is_expected && chosen(check) {
                self.add_numbers(check, before, now);
            }
        }
        let languages = self.columns.map(|columns| {
            with_role(columns, Role::Language).map_or("language", |column| column.name.as_str())
        });
        // Languages are declared or missing. Data without any is not listed as lacking them.
        let is_declared = !r.languages.is_empty() || !c.languages.is_empty();
        if r.n_rows.min(c.n_rows) > 0
            && is_declared
            && (chosen("language") || spec.chooses(&[languages[0], languages[1]]))
        {
            let tested = quantity::categorical("language", &r.languages, &c.languages, spec);
            self.add("language", tested, [!r.languages.is_empty(), !c.languages.is_empty()]);
        }
        if is_predicted && chosen("unseen_word_rate") {
            self.add_numbers("unseen_word_rate", &r.unseen_word_rates, &c.unseen_word_rates);
        }
        self.add_logged(r, c);
    }

    /// Adds the checks of the quantities that only a prediction log has.
    fn add_logged(&mut self, r: &Quantities<'_>, c: &Quantities<'_>) {
        let spec = self.spec;
        let entities = [r, c].map(|side| -> Counts<'_> {
            side.entities.iter().map(|(kinds, n)| (kinds.as_str(), *n)).collect()
        });
        for (check, before, now) in [
            ("language_guessed", &r.guessed, &c.guessed),
            ("fallback", &r.decisions, &c.decisions),
            ("entities", &entities[0], &entities[1]),
        ] {
            if spec.chooses(&[check]) {
                self.add_names(check, None, before, now);
            }
        }
        for (check, before, now) in [
            ("oos_score", &r.oos_scores, &c.oos_scores),
            ("latency_ms", &r.latencies, &c.latencies),
        ] {
            if spec.chooses(&[check]) {
                self.add_numbers(check, before, now);
            }
        }
    }

    /// Adds the check of the intents of the data, if both sides have the column.
    fn add_declared_intents(&mut self, check: &str) {
        let [r, c] = self.columns.map(|columns| with_role(columns, Role::Intent));
        let (Some(r), Some(c)) = (r, c) else { return };
        if self.spec.chooses(&[check, "intent", &r.name, &c.name])
            && let (Some(before), Some(now)) = (r.names(), c.names())
        {
            self.add_names(check, Some(&r.name), &before, &now);
        }
    }

    /// Adds the checks of the columns, and the columns that only one side has.
    pub(crate) fn add_columns(&mut self) {
        let [reference, current] = self.columns;
        let pair = |column: &Column, others: &'a [Column]| {
            let by_role = with_role(others, column.role).filter(|_| column.role != Role::Other);
            by_role.or_else(|| others.iter().find(|other| other.name == column.name))
        };
        for before in reference {
            match pair(before, current) {
                Some(now) if self.is_chosen(before, now) => self.add_column(before, now),
                Some(_) => {}
                None => self.add_single(before, Why::OnlyReference, 0),
            }
        }
        for now in current.iter().filter(|now| pair(now, reference).is_none()) {
            self.add_single(now, Why::OnlyCurrent, 1);
        }
        let has_text = |columns: &[Column]| with_role(columns, Role::Text).is_some();
        let has_columns = !reference.is_empty() && !current.is_empty();
        if has_columns && !has_text(reference) && !has_text(current) && self.spec.columns.is_none()
        {
            let reason = "no text column: name it with `--text-column`, if there is one";
            self.leave_out("text", Why::NoCheck, reason.to_owned());
        }
    }

    fn is_chosen(&self, before: &Column, now: &Column) -> bool {
        let check = missing_check(before);
        self.spec.chooses(&[&before.name, &now.name, &check])
    }

    fn add_single(&mut self, column: &Column, why: Why, side: usize) {
        if self.spec.chooses(&[&column.name]) {
            self.leave_out(&column.name, why, format!("only in {}", SIDES[side]));
        }
    }

    fn add_column(&mut self, before: &Column, now: &Column) {
        let mut missing = [before, now].map(|column| (column.n_empty, column.n_rows));
        match before.role {
            Role::Text | Role::Intent | Role::Language if before.role == now.role => {}
            Role::Entities if before.role == now.role => {
                let reason = "entities are not compared".to_owned();
                return self.leave_out(&before.name, Why::NoCheck, reason);
            }
            _ if self.add_values(before, now) => {
                missing = [before, now].map(|column| (column.n_without_number(), column.n_rows));
            }
            _ => {}
        }
        let check = missing_check(before);
        if let Some(tested) = quantity::missing(&check, missing[0], missing[1], self.spec) {
            self.add_tested(tested, Some(&before.name));
        }
    }

    /// Compares the values of two columns by their kind. Returns whether they are numbers.
    fn add_values(&mut self, before: &Column, now: &Column) -> bool {
        let numbers = [before, now].map(Column::sorted_numbers);
        let kinds = [before.kind(&numbers[0]), now.kind(&numbers[1])];
        let lead = if kinds[0] == Kind::Empty { kinds[1] } else { kinds[0] };
        let both_are = |wanted: &[Kind]| {
            kinds.iter().all(|kind| *kind == Kind::Empty || wanted.contains(kind))
        };
        let is_named = self.spec.names(&before.name);
        let name = before.name.as_str();
        let mostly_numbers =
            |column: &Column, numbers: &[f64]| 2 * numbers.len() as u64 > column.n_filled();
        let are_numbers = match lead {
            Kind::Empty => {
                self.leave_out(name, Why::NoValue, "no value".to_owned());
                return false;
            }
            Kind::Times => {
                self.leave_out(name, Why::Times, "times".to_owned());
                return false;
            }
            Kind::Ids if !is_named => {
                self.leave_out(name, Why::Ids, "ids".to_owned());
                return false;
            }
            Kind::Sequence if !is_named && both_are(&[Kind::Sequence, Kind::Ids]) => {
                self.leave_out(name, Why::Ids, "ids, or a counter of rows".to_owned());
                return false;
            }
            Kind::Texts if !is_named => {
                self.leave_out(name, Why::Texts, "free text".to_owned());
                return false;
            }
            Kind::Numbers | Kind::Sequence => true,
            Kind::Booleans => !both_are(&[Kind::Booleans, Kind::Names]) && !numbers[1].is_empty(),
            Kind::Ids => mostly_numbers(before, &numbers[0]),
            Kind::Names | Kind::Texts => false,
        };
        if are_numbers {
            self.add_column_numbers(before, &numbers);
            return true;
        }
        match [before.names(), now.names()] {
            [Some(before), Some(now)] => self.add_names(name, Some(name), &before, &now),
            [before, _] => {
                let side = SIDES[usize::from(before.is_some())];
                let reason = format!("more than {MOST_VALUES} different values in {side}");
                self.leave_out(name, Why::Texts, reason);
            }
        }
        false
    }

    fn add_column_numbers(&mut self, column: &Column, [before, now]: &[Vec<f64>; 2]) {
        match quantity::numeric(&column.name, before, now, self.spec) {
            Some(tested) => self.add_tested(tested, Some(&column.name)),
            None => {
                let side = SIDES[usize::from(!before.is_empty())];
                self.leave_out(&column.name, Why::NoValue, format!("no number in {side}"));
            }
        }
    }

    fn add_numbers(&mut self, check: &str, before: &[f64], now: &[f64]) {
        let tested = quantity::numeric(check, before, now, self.spec);
        self.add(check, tested, [!before.is_empty(), !now.is_empty()]);
    }

    pub(crate) fn add_names(
        &mut self,
        check: &str,
        column: Option<&str>,
        before: &Counts<'_>,
        now: &Counts<'_>,
    ) {
        match quantity::categorical(check, before, now, self.spec) {
            Some(tested) => self.add_tested(tested, column),
            None => self.lacks_values(check, [!before.is_empty(), !now.is_empty()]),
        }
    }

    /// Adds a check of the utterances, or the reason why there is none, if there are utterances.
    pub(crate) fn add(&mut self, check: &str, tested: Option<Tested>, has_values: [bool; 2]) {
        match tested {
            Some(tested) => self.add_tested(tested, None),
            None => self.lacks_values(check, has_values),
        }
    }

    fn lacks_values(&mut self, check: &str, has_values: [bool; 2]) {
        let reason = match has_values {
            [false, false] => return,
            [false, true] => format!("no value in {}", SIDES[0]),
            [true, _] => format!("no value in {}", SIDES[1]),
        };
        self.leave_out(check, Why::NoValue, reason);
    }

    pub(crate) fn add_tested(&mut self, mut tested: Tested, column: Option<&str>) {
        // A column may be called as a check of the utterances is.
        if self.tested.iter().any(|other| other.check.name == tested.check.name) {
            tested.check.name += " (column)";
        }
        if column.is_some() && tested.check.kind == "categorical" {
            for (name, ..) in &mut tested.check.top {
                *name = redact(name);
            }
        }
        tested.check.column = column.map(str::to_owned);
        self.tested.push(tested);
    }

    pub(crate) fn leave_out(&mut self, name: &str, why: Why, reason: String) {
        self.not_judged.push(NotJudged { name: name.to_owned(), why, reason });
    }

    /// Refuses a choice of columns that neither side has.
    ///
    /// # Errors
    /// `BOT-2101` (exit 2).
    pub(crate) fn check_choice(&self) -> Result<()> {
        let listed = |side: usize| self.columns[side].iter().map(|c| c.name.as_str()).collect();
        let columns = self.columns.iter().flat_map(|columns| columns.iter());
        let known = columns.flat_map(|column| [column.name.clone(), missing_check(column)]);
        self.check_known(known.collect(), [listed(0), listed(1)])
    }

    /// Refuses a choice of names that are neither a check nor one of `columns`, those of either side.
    ///
    /// # Errors
    /// `BOT-2101` (exit 2).
    pub(crate) fn check_names(&self, columns: &[Vec<String>; 2]) -> Result<()> {
        let listed = |side: usize| columns[side].iter().map(String::as_str).collect();
        self.check_known(columns.concat(), [listed(0), listed(1)])
    }

    fn check_known(&self, mut known: Vec<String>, columns: [Vec<&str>; 2]) -> Result<()> {
        let Some(chosen) = &self.spec.columns else { return Ok(()) };
        known.extend(
            UTTERANCE_CHECKS.into_iter().chain(FURTHER_CHECKS).chain([DECLARED]).map(str::to_owned),
        );
        known.dedup();
        let Some(unknown) = chosen.iter().find(|name| !known.contains(name)) else { return Ok(()) };
        let message = format!(
            "there is no column `{}`; the columns are {} in {}, and {} in {}",
            utterance(unknown, 40),
            listed(&columns[0]),
            SIDES[0],
            listed(&columns[1]),
            SIDES[1]
        );
        let fault = Fault::usage("BOT-2101", message);
        Err(match nearest(unknown, known.iter().map(String::as_str)) {
            Some(near) => fault.hint(format!("did you mean `{}`?", utterance(near, 40))),
            None => fault.hint("name columns of both sides, separated by commas"),
        })
    }

    /// Refuses tables that have neither texts nor a common column that can be compared.
    ///
    /// # Errors
    /// `BOT-2101` (exit 2).
    pub(crate) fn check_any(&self) -> Result<()> {
        let lacks_text =
            |columns: &[Column]| !columns.is_empty() && with_role(columns, Role::Text).is_none();
        let Some(side) = (0..2).find(|&side| lacks_text(self.columns[side])) else { return Ok(()) };
        if !self.tested.is_empty() {
            return Ok(());
        }
        let message = format!(
            "there is nothing to compare: {} has no text column, and no other column that both sides have can be \
             compared; its columns are {}",
            SIDES[side],
            listed(&self.columns[side].iter().map(|c| c.name.as_str()).collect::<Vec<_>>())
        );
        Err(Fault::usage("BOT-2101", message)
            .hint("name the column that holds the text with `--text-column`")
            .hint("or call it one of `text`, `utterance`, `message`, `query`; the first line has to name the columns"))
    }

    /// Returns the checks with their verdicts, and what was not judged.
    pub(crate) fn judged(mut self) -> (Vec<DriftCheck>, Vec<NotJudged>) {
        let p_values: Vec<f64> =
            self.tested.iter().filter(|t| t.is_judged()).map(|t| t.check.p_value).collect();
        let mut adjusted = benjamini_hochberg(&p_values).into_iter();
        let alpha = self.spec.alpha;
        // The level of a single check that drifts: Benjamini-Hochberg asks the most of the first.
        let level = alpha / p_values.len().max(1) as f64;
        let checks: Vec<DriftCheck> = std::mem::take(&mut self.tested)
            .into_iter()
            .map(|t| {
                let p = if t.is_judged() { adjusted.next() } else { None };
                let mut check = t.judge(p.unwrap_or(1.0), alpha);
                check.detect(level);
                check
            })
            .collect();
        for check in checks.iter().filter(|c| c.verdict == DriftVerdict::Insufficient) {
            let reason = too_few(check, self.spec.min_rows);
            self.leave_out(&check.name, Why::TooFew, reason);
        }
        (checks, self.not_judged)
    }
}

/// Lists the columns of a side.
fn listed(names: &[&str]) -> String {
    match names {
        [] => "none".to_owned(),
        names => {
            let names = names.iter().take(20).map(|name| format!("`{}`", utterance(name, 40)));
            names.collect::<Vec<_>>().join(", ")
        }
    }
}

/// Returns the reason why a check with too few values was not judged.
pub(crate) fn too_few(check: &DriftCheck, min_rows: usize) -> String {
    let (n, side) = match check.n_reference <= check.n_current {
        true => (check.n_reference, SIDES[0]),
        false => (check.n_current, SIDES[1]),
    };
    let n = botops_text::counted(n, "value", "values");
    match check.n_reference.min(check.n_current) < min_rows as u64 {
        true => format!("{n} in {side}, fewer than {min_rows}"),
        false => format!("{n} in {side}, too few for two categories"),
    }
}

/// Returns the name of the check of missing values of `column`.
pub(crate) fn missing_check(column: &Column) -> String {
    match column.role {
        Role::Text => "text_missing".to_owned(),
        Role::Intent => "intent_missing".to_owned(),
        Role::Language => "language_missing".to_owned(),
        Role::Entities | Role::Other => format!("{}_missing", column.name),
    }
}
