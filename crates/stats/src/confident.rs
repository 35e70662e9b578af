//! Confident learning: finding labels that are probably wrong from out-of-fold probabilities.
//!
//! Source: Northcutt, Jiang and Chuang, "Confident Learning: Estimating Uncertainty in Dataset Labels", Journal of
//! Artificial Intelligence Research 70, 2021.

/// The confident joint of given and likely classes.
///
/// - `thresholds` is `[n_classes]`, in [0, 1]; it is infinite for a class without records, for which nothing is counted
/// - `joint` is `[n_classes, n_classes]`, row by row: rows are the given class, columns the likely one
#[derive(Debug, Clone, PartialEq)]
pub struct Confident {
    n_classes: usize,
    thresholds: Vec<f64>,
    joint: Vec<u64>,
    /// The number of records of each given class.
    given: Vec<u64>,
    /// The confident class of each record, if any.
    likely: Vec<Option<usize>>,
}

impl Confident {
    /// Counts records by given and likely class.
    ///
    /// `proba` is `[n_samples, n_classes]` row by row, each row out of fold and summing to 1; `given` is `[n_samples]`.
    /// The threshold t_j is the mean of p_ij over the records i given class j. The likely class of a record is the class
    /// with the largest p_ij among those with p_ij >= t_j, the lower class of equal ones, or none if there is no such
    /// class.
    ///
    /// # Panics
    /// If the lengths do not match, or a class is not below `n_classes`.
    #[must_use]
    pub fn count(proba: &[f64], n_classes: usize, given: &[usize]) -> Self {
        assert_eq!(proba.len(), n_classes * given.len(), "one probability per class and record");
        let rows = || proba.chunks_exact(n_classes.max(1)).zip(given);
        let (mut sums, mut counts) = (vec![0.0; n_classes], vec![0_u64; n_classes]);
        for (proba, &class) in rows() {
            sums[class] += proba[class];
            counts[class] += 1;
        }
        let mean = |(sum, n): (&f64, &u64)| if *n == 0 { f64::INFINITY } else { sum / *n as f64 };
        let thresholds: Vec<f64> = sums.iter().zip(&counts).map(mean).collect();
        let mut joint = vec![0; n_classes * n_classes];
        let likely: Vec<Option<usize>> = rows()
            .map(|(proba, &class)| {
                let likely = (0..n_classes)
                    .filter(|&other| proba[other] >= thresholds[other])
                    .max_by(|&a, &b| proba[a].total_cmp(&proba[b]).then(b.cmp(&a)))?;
                joint[class * n_classes + likely] += 1;
                Some(likely)
            })
            .collect();
        Self { n_classes, thresholds, joint, given: counts, likely }
    }

    /// Returns the threshold of each class: the mean probability of the class over its own records.
    #[must_use]
    pub fn thresholds(&self) -> &[f64] {
        &self.thresholds
    }

    /// Returns the number of records given `given` whose likely class is `likely`.
    ///
    /// # Panics
    /// If a class is not below `n_classes`.
    #[must_use]
    pub fn joint(&self, given: usize, likely: usize) -> u64 {
        assert!(likely < self.n_classes, "a class is below n_classes");
        self.joint[given * self.n_classes + likely]
    }

    /// Returns the likely class of record `i`; `None` if no class reaches its threshold.
    #[must_use]
    pub fn likely(&self, i: usize) -> Option<usize> {
        self.likely[i]
    }

    /// Returns the estimated number of records given `given` whose true class is `likely`: the joint, calibrated to the
    /// number of records given each class.
    ///
    /// n Q_ij = C_ij / sum_j C_ij * (records given i); 0 if no record given i has a likely class.
    ///
    /// # Panics
    /// If a class is not below `n_classes`.
    #[must_use]
    pub fn estimate(&self, given: usize, likely: usize) -> f64 {
        let row = &self.joint[given * self.n_classes..][..self.n_classes];
        match row.iter().sum::<u64>() {
            0 => 0.0,
            n => row[likely] as f64 / n as f64 * self.given[given] as f64,
        }
    }

    /// Returns the estimated number of records with a wrong label: [`Self::estimate`] off the diagonal.
    #[must_use]
    pub fn estimated_errors(&self) -> f64 {
        let classes = 0..self.n_classes;
        let pairs =
            classes.clone().flat_map(|given| classes.clone().map(move |likely| (given, likely)));
        pairs.filter(|(given, likely)| given != likely).map(|(g, l)| self.estimate(g, l)).sum()
    }
}

/// Returns the normalized margin p_given - max p_other, in [-1, 1]; below 0, another class is likelier than the given one.
///
/// With a single class it is p_given.
///
/// # Panics
/// If `given` is not a class.
#[must_use]
pub fn normalised_margin(proba: &[f64], given: usize) -> f64 {
    let others = proba.iter().enumerate().filter(|(class, _)| *class != given);
    proba[given] - others.map(|(_, p)| *p).fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Six records of three classes, and their probabilities.
    const GIVEN: [usize; 6] = [0, 0, 0, 1, 1, 2];
    const PROBA: [f64; 18] = [
        0.8, 0.1, 0.1, // surely 0
        0.6, 0.3, 0.1, // below the mean of its class, and of all others
        0.1, 0.8, 0.1, // given 0, surely 1
        0.2, 0.7, 0.1, // surely 1
        0.55, 0.4, 0.05, // given 1, surely 0
        0.1, 0.1, 0.8, // surely 2
    ];

    #[test]
    fn the_joint_equals_a_hand_computed_one() {
        let confident = Confident::count(&PROBA, 3, &GIVEN);
        // (0.8 + 0.6 + 0.1) / 3, (0.7 + 0.4) / 2, 0.8 / 1.
        let expected = [0.5, 0.55, 0.8];
        for (got, expected) in confident.thresholds().iter().zip(expected) {
            assert!((got - expected).abs() < 1e-12, "{got}");
        }
        let likely: Vec<_> = (0..6).map(|i| confident.likely(i)).collect();
        assert_eq!(likely, [Some(0), Some(0), Some(1), Some(1), Some(0), Some(2)]);
        assert_eq!(
            [confident.joint(0, 0), confident.joint(0, 1), confident.joint(1, 0)],
            [2, 1, 1]
        );
        // All records have a likely class, so the estimate equals the joint.
        assert!((confident.estimated_errors() - 2.0).abs() < 1e-12);
    }

    #[test]
    fn classes_without_records_are_not_estimated() {
        // Class 2 has no records.
        let proba = [0.3, 0.4, 0.3, 0.2, 0.5, 0.3, 0.1, 0.8, 0.1];
        let confident = Confident::count(&proba, 3, &[0, 0, 1]);
        assert_eq!(confident.thresholds()[2], f64::INFINITY);
        // 0.3 >= 0.25 for class 0; 0.2 < 0.25, and 0.5 < 0.8.
        assert_eq!(
            [confident.likely(0), confident.likely(1), confident.likely(2)],
            [Some(0), None, Some(1)]
        );
        assert_eq!(confident.estimate(0, 0), 2.0);
        assert_eq!(confident.estimate(2, 0), 0.0);
        assert_eq!(confident.estimated_errors(), 0.0);
    }

    #[test]
    fn the_margin_is_to_the_likeliest_other_class() {
        assert!((normalised_margin(&[0.2, 0.5, 0.3], 0) + 0.3).abs() < 1e-12);
        assert!((normalised_margin(&[0.2, 0.5, 0.3], 1) - 0.2).abs() < 1e-12);
        assert_eq!(normalised_margin(&[1.0], 0), 1.0);
    }
}
