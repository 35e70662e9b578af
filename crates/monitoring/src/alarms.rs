//! Alarms across windows: the level of each report, so that false alarms stay rare over the years.
//!
//! Two rules give each window a level of its own:
//!
//! - a fixed level ([`AlarmRule::Weekly`] for weeks, [`crate::MonitorSpec::level`] for windows of any length): every window
//!   has the same one, the stated number of false alarms a year times its share of a year. The power is the same in every
//!   window. The state of a window follows it.
//! - `lord`: LORD++, for which any alarm over all windows without drift has a probability of at most the rate, and at most
//!   that share of all alarms is false. Its level falls as 1 / t until an alarm earns a new share, so in week 52 it finds large
//!   changes only. It says which of the alarms hold over all windows together.
//!
//! The decisions of an environment are entries of a log in its store, each created once: a window of a model has one decision,
//! whoever made it. Only windows without a record in common are decided, because each decision is a test of its own.

use crate::{folder::folder, monitored_model::is_same, window::Window};
use botops_drift::{DriftReport, DriftVerdict};
use botops_findings::{Fault, Result};
use botops_stats::online::lord_level;
use botops_store::{Appended, Entry, Log, Store, newer_payload};
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};

/// The schema of a decision.
pub const ALARM_SCHEMA: &str = "botops.alarm/1";
/// The weeks of a year.
const WEEKS: f64 = 52.0;
/// The most times that an append is tried while others write.
const TRIES: u32 = 5;

/// The rule that gives each week its level.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "rule")]
pub enum AlarmRule {
    /// The same level in every week.
    Weekly {
        /// The expected number of false alarms in 52 weeks without drift, in (0, 52).
        false_alarms_a_year: f64,
    },
    /// LORD++.
    Lord {
        /// The probability of any alarm over all weeks without drift, in (0, 1).
        rate: f64,
    },
}

impl Default for AlarmRule {
    /// Half a false alarm a year: a level of 0.0096 in each week.
    fn default() -> Self {
        Self::Weekly { false_alarms_a_year: 0.5 }
    }
}

impl AlarmRule {
    /// Checks the numbers.
    ///
    /// # Errors
    /// `BOT-2273` (exit 2) a number is out of range.
    pub fn check(&self) -> Result<()> {
        let (is_ok, key, range) = match *self {
            Self::Weekly { false_alarms_a_year: n } => {
                (n > 0.0 && n < WEEKS, "false_alarms_a_year", "between 0 and 52")
            }
            Self::Lord { rate } => (rate > 0.0 && rate < 1.0, "rate", "between 0 and 1"),
        };
        if is_ok {
            return Ok(());
        }
        Err(Fault::usage("BOT-2273", format!("`{key}` is not {range}"))
            .hint("write `false_alarms_a_year: 0.5`, or leave the rule out"))
    }

    /// Returns the level of week `t`, from 1; `alarms` are the earlier weeks that alarmed, in rising order.
    #[must_use]
    pub fn level(&self, t: u64, alarms: &[u64]) -> f64 {
        match *self {
            Self::Weekly { false_alarms_a_year } => false_alarms_a_year / WEEKS,
            Self::Lord { rate } => lord_level(t, alarms, rate),
        }
    }

    /// Returns a bound of the expected number of false alarms in the first 52 weeks, if nothing ever changes.
    ///
    /// For LORD++ it is the sum of the levels without an alarm, and what the few false ones earn: less than the rate.
    #[must_use]
    pub fn false_alarms_a_year(&self) -> f64 {
        match *self {
            Self::Weekly { false_alarms_a_year } => false_alarms_a_year,
            Self::Lord { rate } => {
                let spent: f64 = (1..=52).map(|t| lord_level(t, &[], rate)).sum();
                // Each alarm earns at most `rate`, which may cause another one.
                (spent / (1.0 - rate)).min(rate)
            }
        }
    }
}

/// The decision about one window.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// [`ALARM_SCHEMA`].
    #[serde(deserialize_with = "known_schema")]
    pub schema: String,
    /// The window.
    pub window: Window,
    /// The digest of the model whose records were compared.
    pub model: String,
    /// The digest of the manifest of the version; `None` in decisions of an older version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest: Option<String>,
    /// The number of the decision in this log, from 1.
    pub week: u64,
    /// The rule.
    #[serde(flatten)]
    pub rule: AlarmRule,
    /// The level of this decision.
    pub level: f64,
    /// The p-value of the report ([`DriftReport::p_value`]).
    pub p_value: f64,
    /// Whether the window alarms: a check is large, and significant at the level after the correction.
    pub alarm: bool,
    /// The expected number of false alarms in a year without drift.
    pub false_alarms_a_year: f64,
}

fn known_schema<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let schema = String::deserialize(deserializer)?;
    match schema == ALARM_SCHEMA {
        true => Ok(schema),
        false => Err(D::Error::custom(newer_payload(&schema))),
    }
}

/// The decisions of an environment.
pub struct Alarms {
    log: Log<Decision>,
    entries: Vec<Entry<Decision>>,
}

impl std::fmt::Debug for Alarms {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Alarms").field("weeks", &self.entries.len()).finish_non_exhaustive()
    }
}

impl Alarms {
    /// Reads the decisions of `environment`.
    ///
    /// # Errors
    /// `BOT-5006` (exit 3) the log is damaged, `BOT-5007` (exit 6) a newer botops wrote it; those of the store.
    pub async fn read(store: &Store, environment: &str) -> Result<Self> {
        let log: Log<Decision> = store.log(&format!("{}/alarms", folder(environment)));
        let entries = log.entries().await?;
        Ok(Self { log, entries })
    }

    /// Returns the decisions, the oldest first.
    pub fn decisions(&self) -> impl ExactSizeIterator<Item = &Decision> {
        self.entries.iter().map(|entry| &entry.payload)
    }

    /// Returns what [`Self::decide`] would decide now, and records nothing.
    ///
    /// # Errors
    /// `BOT-2273` (exit 2) the rule.
    pub fn preview(
        &self,
        (window, model): (Window, (&str, Option<&str>)),
        report: &DriftReport,
        rule: AlarmRule,
    ) -> Result<Series> {
        rule.check()?;
        let is_it = |known: &&Decision| is_same((&known.model, known.manifest.as_deref()), model);
        let mut of_model = self.decisions().filter(is_it);
        if let Some(overlapped) = of_model.find(|decision| decision.window.overlaps(window)) {
            return Ok(match overlapped.window == window {
                true => Series::Decided(overlapped.clone()),
                false => Series::Overlaps(overlapped.window),
            });
        }
        let week = self.entries.len() as u64 + 1;
        let alarms: Vec<u64> = self.decisions().filter(|d| d.alarm).map(|d| d.week).collect();
        let level = rule.level(week, &alarms);
        let judged = report.clone().at_level(level);
        if judged.verdict == DriftVerdict::Insufficient {
            return Ok(Series::Untested);
        }
        Ok(Series::Decided(Decision {
            schema: ALARM_SCHEMA.to_owned(),
            window,
            model: model.0.to_owned(),
            manifest: model.1.map(str::to_owned),
            week,
            rule,
            level,
            p_value: judged.p_value(),
            alarm: judged.verdict == DriftVerdict::Drift,
            false_alarms_a_year: rule.false_alarms_a_year(),
        }))
    }

    /// Decides about a window of the version with these digests of its model file and of its manifest by `report`, and records the
    /// decision.
    ///
    /// A window that was decided keeps its decision and its level, also if its report has changed since. A window that
    /// overlaps a decided one of the model waits. An insufficient report is no test: it spends nothing.
    ///
    /// # Errors
    /// `BOT-2273` (exit 2) the rule; `BOT-2274` (exit 5) others wrote each time; those of the log.
    pub async fn decide(
        &mut self,
        (window, model): (Window, (&str, Option<&str>)),
        report: &DriftReport,
        rule: AlarmRule,
    ) -> Result<Series> {
        for _ in 0..TRIES {
            let series = self.preview((window, model), report, rule)?;
            let Series::Decided(decision) = &series else { return Ok(series) };
            if decision.week <= self.entries.len() as u64 {
                return Ok(series);
            }
            match self.log.append(self.entries.last(), decision.clone()).await? {
                Appended::Written(entry) => {
                    self.entries.push(entry);
                    return Ok(series);
                }
                Appended::Conflict => {
                    let newer = self.log.poll(self.entries.last()).await?;
                    self.entries.extend(newer);
                }
            }
        }
        Err(Fault::conflict("BOT-2274", "other processes decide about windows all the time")
            .hint("run the command again"))
    }
}

/// The word of the series of windows about one of them.
#[derive(Debug, Clone, PartialEq)]
pub enum Series {
    /// It has its decision.
    Decided(Decision),
    /// It has records in common with this window, which was decided.
    Overlaps(Window),
    /// No check was judged.
    Untested,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::series::SERIES;
    use botops_drift::{DriftCheck, DriftSide, DriftSpec, Score, compare, rows};
    use botops_spec::Spec as _;
    use chrono::{DateTime, TimeDelta, Utc};

    fn report(p_value: f64) -> DriftReport {
        let rows = rows((0..200).map(|_| ("where is my order", None)), None);
        let side = DriftSide { name: "a", rows: &rows, columns: &[] };
        let spec = DriftSpec { columns: Some(vec!["text".to_owned()]), ..DriftSpec::default() };
        let score = Score::normal("auc", 0.7, [0.5, 0.02], 0.55);
        let check = DriftCheck::further("text", "domain_classifier", [200, 200], p_value, score);
        let report = compare(&side, &side, &spec.check().unwrap()).unwrap();
        DriftReport { checks: Vec::new(), ..report }.with(vec![check], Vec::new())
    }

    /// Week `n` after a Monday.
    fn week(n: i64) -> Window {
        let start: DateTime<Utc> = "2026-11-02T00:00:00Z".parse().unwrap();
        let start = start + TimeDelta::days(7 * n);
        Window { start, end: start + TimeDelta::days(7) }
    }

    fn decided(series: Series) -> Decision {
        let Series::Decided(decision) = series else { panic!("{series:?}") };
        decision
    }

    #[tokio::test]
    async fn a_window_has_one_decision_and_alarms_earn_levels() {
        let store = Store::in_memory();
        let rule = AlarmRule::Lord { rate: 0.05 };
        let mut alarms = Alarms::read(&store, "production").await.unwrap();
        let a = ("a", None);
        let (first, second, third) = ((week(0), a), (week(1), a), (week(2), a));
        let previewed = alarms.preview(first, &report(1e-9), rule).unwrap();
        assert_eq!(alarms.decisions().len(), 0);
        let one = decided(alarms.decide(first, &report(1e-9), rule).await.unwrap());
        assert!(one.alarm && previewed == Series::Decided(one.clone()));
        // Another process, and another report of the window: the decision stands.
        let mut others = Alarms::read(&store, "production").await.unwrap();
        let again = others.decide(first, &report(0.9), rule).await.unwrap();
        assert_eq!(decided(again), one);
        let two = decided(alarms.decide(second, &report(0.002), rule).await.unwrap());
        assert_eq!((two.week, two.alarm), (2, false));
        assert!((two.level - lord_level(2, &[1], 0.05)).abs() < 1e-15);
        // The other process reads what was written, instead of writing the second decision twice.
        let three = decided(others.decide(third, &report(0.5), rule).await.unwrap());
        assert_eq!(three.week, 3);
        assert_eq!(Alarms::read(&store, "staging").await.unwrap().decisions().len(), 0);
    }

    #[tokio::test]
    async fn a_window_with_records_of_a_decided_one_is_no_further_test() {
        let store = Store::in_memory();
        let mut alarms = Alarms::read(&store, "production").await.unwrap();
        let a = ("a", Some("first"));
        alarms.decide((week(0), a), &report(0.5), SERIES).await.unwrap();
        let day = TimeDelta::days(1);
        let moved = Window { start: week(0).start + day, end: week(0).end + day };
        let waits = alarms.decide((moved, a), &report(1e-9), SERIES).await.unwrap();
        assert_eq!((waits, alarms.decisions().len()), (Series::Overlaps(week(0)), 1));
        // The records of another model are others.
        let other = alarms.decide((moved, ("b", None)), &report(1e-9), SERIES).await.unwrap();
        assert_eq!((decided(other).week, alarms.decisions().len()), (2, 2));
        // So are those of another version with the same model file, such as one with other documents.
        let version = ("a", Some("second"));
        let other = alarms.decide((moved, version), &report(1e-9), SERIES).await.unwrap();
        assert_eq!((decided(other).week, alarms.decisions().len()), (3, 3));
    }

    #[test]
    fn both_rules_bound_the_false_alarms_of_a_year() {
        let mut random = botops_stats::random::Random::new(5);
        for rule in [AlarmRule::default(), AlarmRule::Lord { rate: 0.2 }] {
            rule.check().unwrap();
            let years = 2_000;
            let mut n = 0_u32;
            for _ in 0..years {
                let mut alarms = Vec::new();
                for week in 1..=52 {
                    if random.unit() <= rule.level(week, &alarms) {
                        alarms.push(week);
                    }
                }
                n += alarms.len() as u32;
            }
            let mean = f64::from(n) / f64::from(years);
            let bound = rule.false_alarms_a_year();
            assert!(mean <= bound + 0.05, "{mean} is above {bound}: {rule:?}");
            assert!(mean >= 0.4 * bound, "{mean} is far below {bound}: {rule:?}");
        }
        assert_eq!(AlarmRule::Lord { rate: 0.0 }.check().unwrap_err().code(), "BOT-2273");
        assert!(AlarmRule::Weekly { false_alarms_a_year: 60.0 }.check().is_err());
    }

    #[test]
    fn the_power_of_the_weekly_level_is_the_same_in_week_52() {
        let weekly = AlarmRule::default();
        assert_eq!(weekly.level(1, &[]).to_bits(), weekly.level(52, &[]).to_bits());
        let lord = AlarmRule::Lord { rate: 0.05 };
        assert!(lord.level(52, &[]) < 1e-4 && weekly.level(52, &[]) > 0.009);
    }
}
