//! A report with further checks: those that need a model or an embedding, and so are made elsewhere.

use crate::{
    checks::too_few,
    report::{DriftCheck, DriftReport, DriftVerdict, NotJudged, NotJudgedWhy},
};
use botops_stats::multiple::benjamini_hochberg;

impl DriftReport {
    /// Adds checks that were made elsewhere, and judges all checks again: the correction is over all of them.
    ///
    /// A further check is not judged if a side has fewer than `min_rows` rows, or if its verdict is insufficient;
    /// otherwise its verdict follows from its p-value and its deciding score. `not_judged` are checks that could not be
    /// made.
    #[must_use]
    pub fn with(mut self, further: Vec<DriftCheck>, not_judged: Vec<NotJudged>) -> Self {
        let least = self.spec.min_rows as u64;
        for mut check in further {
            let is_judged = check.verdict != DriftVerdict::Insufficient;
            if is_judged && check.n_reference.min(check.n_current) < least {
                check.verdict = DriftVerdict::Insufficient;
                let reason = too_few(&check, self.spec.min_rows);
                let name = check.name.clone();
                self.not_judged.push(NotJudged { name, why: NotJudgedWhy::TooFew, reason });
            }
            self.checks.push(check);
        }
        self.not_judged.extend(not_judged);
        self.judge();
        self
    }

    /// Judges the checks with enough values, and the whole report.
    fn judge(&mut self) {
        let is_judged = |check: &&mut DriftCheck| check.verdict != DriftVerdict::Insufficient;
        let p_values: Vec<f64> =
            self.checks.iter_mut().filter(is_judged).map(|check| check.p_value).collect();
        let level = self.spec.alpha / p_values.len().max(1) as f64;
        let mut adjusted = benjamini_hochberg(&p_values).into_iter();
        for check in self.checks.iter_mut().filter(is_judged) {
            check.p_adjusted = adjusted.next().unwrap_or(1.0);
            check.verdict = match check.p_adjusted <= self.spec.alpha && check.is_large() {
                true => DriftVerdict::Drift,
                false => DriftVerdict::NoDrift,
            };
        }
        self.checks.iter_mut().for_each(|check| check.detect(level));
        self.verdict = verdict(&self.checks);
    }

    /// Judges the report at another level than `alpha` of its spec: that of a week, for example.
    ///
    /// # Panics
    /// If `level` is not in (0, 1).
    #[must_use]
    pub fn at_level(mut self, level: f64) -> Self {
        assert!(level > 0.0 && level < 1.0, "a level lies in (0, 1)");
        self.spec.alpha = level;
        self.judge();
        self
    }

    /// Returns the p-value of the report: the probability that some check is as significant as this if nothing changed;
    /// 1 if no check was judged.
    ///
    /// It is the smallest p-value after the correction (Simes), over all judged checks. Across weeks, it is the p-value
    /// that is compared with the level of the week.
    #[must_use]
    pub fn p_value(&self) -> f64 {
        let judged = self.checks.iter().filter(|c| c.verdict != DriftVerdict::Insufficient);
        judged.map(|check| check.p_adjusted).fold(1.0, f64::min)
    }
}

/// Returns the verdict of a report with these checks.
pub(crate) fn verdict(checks: &[DriftCheck]) -> DriftVerdict {
    let any = |verdict| checks.iter().any(|check| check.verdict == verdict);
    if any(DriftVerdict::Drift) {
        DriftVerdict::Drift
    } else if any(DriftVerdict::NoDrift) {
        DriftVerdict::NoDrift
    } else {
        DriftVerdict::Insufficient
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        DriftCheck, DriftSide, DriftSpec, DriftVerdict, NotJudged, NotJudgedWhy, Score, compare,
        rows,
    };
    use botops_spec::Spec as _;

    fn check(p_value: f64, auc: f64, n: u64) -> DriftCheck {
        DriftCheck::further(
            "text",
            "domain_classifier",
            [n, n],
            p_value,
            Score::normal("auc", auc, [0.5, 0.02], 0.55),
        )
    }

    #[test]
    fn further_checks_are_judged_with_the_others() {
        let texts = ["hello there", "where is my order"];
        let rows = rows((0..200).map(|i| (texts[i % 2], None)), None);
        let side = DriftSide { name: "a", rows: &rows, columns: &[] };
        let spec = DriftSpec::default().check().unwrap();
        let report = || compare(&side, &side, &spec).unwrap();
        let n_checks = report().checks.len();
        assert_eq!((report().verdict, report().p_value()), (DriftVerdict::NoDrift, 1.0));

        let found = report().with(vec![check(1e-6, 0.6, 200)], Vec::new());
        assert_eq!(found.verdict, DriftVerdict::Drift);
        let adjusted = 1e-6 * (n_checks + 1) as f64;
        assert!((found.p_value() - adjusted).abs() < 1e-12, "{}", found.p_value());
        // 0.5 + z(1 - 0.05 / 3) * 0.02 + z(0.9) * 0.02 is below the threshold of 0.55 and its own spread.
        let seen = found.checks[n_checks].deciding().unwrap().detectable.unwrap();
        assert!((seen - (0.55 + 1.2816 * 0.02)).abs() < 1e-4, "{seen}");

        // Significant, but small; large, but not significant; too few rows.
        let small = report().with(vec![check(1e-6, 0.53, 200)], Vec::new());
        assert_eq!(small.verdict, DriftVerdict::NoDrift);
        let chance = report().with(vec![check(0.04, 0.6, 200)], Vec::new());
        assert_eq!(chance.verdict, DriftVerdict::NoDrift);
        let missing = NotJudged {
            name: "label_shift".to_owned(),
            why: NotJudgedWhy::NoValue,
            reason: "no model".to_owned(),
        };
        let few = report().with(vec![check(1e-6, 0.9, 99)], vec![missing]);
        assert_eq!(few.verdict, DriftVerdict::NoDrift);
        let listed: Vec<&str> = few.not_judged.iter().map(|item| item.name.as_str()).collect();
        assert_eq!(listed, ["text", "label_shift"]);
        assert!(few.not_judged[0].reason.starts_with("99 values in"), "{:?}", few.not_judged);
    }
}
