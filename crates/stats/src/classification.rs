//! The confusion matrix and the classification metrics computed from it.
//!
//! Metrics are those of scikit-learn with `zero_division=0`: a share of nothing is 0.

/// The true and the predicted class of a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Labeled {
    /// The index of the true class.
    pub truth: usize,
    /// The index of the predicted class.
    pub predicted: usize,
}

/// Precision, recall and F1.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Scores {
    /// TP / (TP + FP); 0 without predictions.
    pub precision: f64,
    /// TP / (TP + FN); 0 without samples of the class.
    pub recall: f64,
    /// 2 TP / (2 TP + FP + FN); 0 if all three are 0.
    pub f1: f64,
}

/// A confusion matrix.
///
/// - its shape is `[n_classes, n_classes]`
/// - rows are truth, columns are predicted
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfusionMatrix {
    n_classes: usize,
    counts: Vec<u64>,
}

impl ConfusionMatrix {
    /// Counts `samples` over `n_classes` classes.
    ///
    /// # Panics
    /// If an index is not below `n_classes`.
    #[must_use]
    pub fn of(n_classes: usize, samples: impl IntoIterator<Item = Labeled>) -> Self {
        let mut counts = vec![0; n_classes * n_classes];
        for Labeled { truth, predicted } in samples {
            assert!(
                truth < n_classes && predicted < n_classes,
                "class indices are below n_classes"
            );
            counts[truth * n_classes + predicted] += 1;
        }
        Self { n_classes, counts }
    }

    /// Returns the number of classes.
    #[must_use]
    pub fn n_classes(&self) -> usize {
        self.n_classes
    }

    /// Returns the number of samples of `cell.truth` predicted as `cell.predicted`.
    #[must_use]
    pub fn count(&self, cell: Labeled) -> u64 {
        self.counts[cell.truth * self.n_classes + cell.predicted]
    }

    /// Returns the matrix row by row: `[truth][predicted]`.
    #[must_use]
    pub fn to_rows(&self) -> Vec<Vec<u64>> {
        self.counts.chunks(self.n_classes.max(1)).map(<[u64]>::to_vec).collect()
    }

    /// Returns the number of samples.
    #[must_use]
    pub fn n_samples(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Returns the number of samples of `class`.
    #[must_use]
    pub fn support(&self, class: usize) -> u64 {
        self.counts[class * self.n_classes..][..self.n_classes].iter().sum()
    }

    /// Returns the number of samples predicted as `class`.
    #[must_use]
    pub fn n_predicted(&self, class: usize) -> u64 {
        self.counts.iter().skip(class).step_by(self.n_classes).sum()
    }

    /// Returns the number of samples of `class` predicted as `class`.
    #[must_use]
    pub fn true_positives(&self, class: usize) -> u64 {
        self.counts[class * self.n_classes + class]
    }

    /// Returns the number of correctly predicted samples.
    #[must_use]
    pub fn n_correct(&self) -> u64 {
        (0..self.n_classes).map(|class| self.true_positives(class)).sum()
    }

    /// Returns the share of correctly predicted samples; 0 without samples.
    #[must_use]
    pub fn accuracy(&self) -> f64 {
        share(self.n_correct(), self.n_samples())
    }

    /// Returns the scores of `class`.
    #[must_use]
    pub fn scores(&self, class: usize) -> Scores {
        scores(self.true_positives(class), self.support(class), self.n_predicted(class))
    }

    /// Returns whether `class` occurs in the truth or the predictions.
    #[must_use]
    pub fn is_present(&self, class: usize) -> bool {
        self.support(class) + self.n_predicted(class) > 0
    }

    /// Returns the unweighted mean of the scores of the classes present in the truth or the predictions.
    ///
    /// These are the classes that scikit-learn averages if `labels` is not given.
    #[must_use]
    pub fn macro_average(&self) -> Scores {
        let present: Vec<usize> = (0..self.n_classes).filter(|&c| self.is_present(c)).collect();
        self.mean(&present, |_| 1.0)
    }

    /// Returns the mean of the scores, weighted by support.
    #[must_use]
    pub fn weighted_average(&self) -> Scores {
        let all: Vec<usize> = (0..self.n_classes).collect();
        self.mean(&all, |class| self.support(class) as f64)
    }

    /// Returns the scores over all predictions; with one class per sample, all three equal the accuracy.
    #[must_use]
    pub fn micro_average(&self) -> Scores {
        let n = self.n_samples();
        scores(self.n_correct(), n, n)
    }

    /// Returns the mean recall of the classes present in the truth; 0 without samples.
    #[must_use]
    pub fn balanced_accuracy(&self) -> f64 {
        let present: Vec<usize> = (0..self.n_classes).filter(|&c| self.support(c) > 0).collect();
        self.mean(&present, |_| 1.0).recall
    }

    /// Returns the multiclass Matthews correlation, in [-1, 1]; 0 if the truth or the predictions are all of one class.
    ///
    /// (c s - Σ p t) / sqrt((s² - Σ p²)(s² - Σ t²)) with c correct predictions, s samples, and p and t the marginals.
    /// Source: Gorodkin, "Comparing two K-category assignments by a K-category correlation", 2004.
    #[must_use]
    pub fn matthews_correlation(&self) -> f64 {
        let s = self.n_samples() as f64;
        let (mut pt, mut pp, mut tt) = (0.0, 0.0, 0.0);
        for class in 0..self.n_classes {
            let (t, p) = (self.support(class) as f64, self.n_predicted(class) as f64);
            pt += p * t;
            pp += p * p;
            tt += t * t;
        }
        let scale = ((s * s - pp) * (s * s - tt)).sqrt();
        if scale > 0.0 { (self.n_correct() as f64 * s - pt) / scale } else { 0.0 }
    }

    /// Returns Cohen's kappa, the agreement beyond chance, at most 1; 0 if the agreement expected by chance is 1.
    ///
    /// (observed - expected) / (1 - expected). Source: Cohen, 1960.
    #[must_use]
    pub fn cohen_kappa(&self) -> f64 {
        let s = self.n_samples() as f64;
        let expected: f64 = (0..self.n_classes)
            .map(|class| self.support(class) as f64 / s * (self.n_predicted(class) as f64 / s))
            .sum();
        if s > 0.0 && expected < 1.0 {
            (self.accuracy() - expected) / (1.0 - expected)
        } else {
            0.0
        }
    }

    fn mean(&self, classes: &[usize], weight: impl Fn(usize) -> f64) -> Scores {
        let mut sum = Scores::default();
        let mut total = 0.0;
        for &class in classes {
            let (scores, weight) = (self.scores(class), weight(class));
            sum.precision += weight * scores.precision;
            sum.recall += weight * scores.recall;
            sum.f1 += weight * scores.f1;
            total += weight;
        }
        if total > 0.0 {
            Scores {
                precision: sum.precision / total,
                recall: sum.recall / total,
                f1: sum.f1 / total,
            }
        } else {
            Scores::default()
        }
    }
}

/// Returns the scores of a class from its true positives, its support, and the number of its predictions.
#[must_use]
pub fn scores(true_positives: u64, support: u64, n_predicted: u64) -> Scores {
    Scores {
        precision: share(true_positives, n_predicted),
        recall: share(true_positives, support),
        f1: share(2 * true_positives, support + n_predicted),
    }
}

fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference;

    fn close(found: f64, expected: f64) {
        assert!((found - expected).abs() < 1e-9, "{found} is not {expected}");
    }

    fn fixture_matrix() -> (ConfusionMatrix, serde_json::Value) {
        let fixture = reference()["classification"].clone();
        let labels: Vec<String> = serde_json::from_value(fixture["labels"].clone()).unwrap();
        let indices = |key: &str| -> Vec<usize> {
            let names: Vec<String> = serde_json::from_value(fixture[key].clone()).unwrap();
            names.iter().map(|n| labels.iter().position(|l| l == n).unwrap()).collect()
        };
        let samples = indices("y_true").into_iter().zip(indices("y_pred"));
        let samples = samples.map(|(truth, predicted)| Labeled { truth, predicted });
        (ConfusionMatrix::of(labels.len(), samples), fixture)
    }

    #[test]
    fn every_metric_equals_scikit_learn() {
        // sklearn 1.9: classification_report(output_dict=True, zero_division=0), confusion_matrix,
        // matthews_corrcoef, cohen_kappa_score, balanced_accuracy_score
        let (matrix, fixture) = fixture_matrix();
        let report = &fixture["report"];
        let number = |row: &str, column: &str| report[row][column].as_f64().unwrap();
        for (class, label) in fixture["labels"].as_array().unwrap().iter().enumerate() {
            let (scores, label) = (matrix.scores(class), label.as_str().unwrap());
            close(scores.precision, number(label, "precision"));
            close(scores.recall, number(label, "recall"));
            close(scores.f1, number(label, "f1-score"));
            close(matrix.support(class) as f64, number(label, "support"));
        }
        for (scores, row) in
            [(matrix.macro_average(), "macro avg"), (matrix.weighted_average(), "weighted avg")]
        {
            close(scores.precision, number(row, "precision"));
            close(scores.recall, number(row, "recall"));
            close(scores.f1, number(row, "f1-score"));
        }
        close(matrix.accuracy(), report["accuracy"].as_f64().unwrap());
        close(matrix.micro_average().f1, report["accuracy"].as_f64().unwrap());
        close(matrix.matthews_correlation(), fixture["mcc"].as_f64().unwrap());
        close(matrix.cohen_kappa(), fixture["kappa"].as_f64().unwrap());
        close(matrix.balanced_accuracy(), fixture["balanced_acc"].as_f64().unwrap());
        assert_eq!(serde_json::to_value(matrix.to_rows()).unwrap(), fixture["confusion"]);
    }

    #[test]
    fn rows_are_truth_and_columns_are_predicted() {
        // By hand; swapped axes would swap precision and recall.
        // predicted [0,1,0,1,0,1], truth [1,1,0,1,0,1]: class 1 has TP 3, FP 0, FN 1.
        let samples = [1, 1, 0, 1, 0, 1].into_iter().zip([0, 1, 0, 1, 0, 1]);
        let matrix =
            ConfusionMatrix::of(2, samples.map(|(truth, predicted)| Labeled { truth, predicted }));
        assert_eq!(matrix.to_rows(), [[2, 0], [1, 3]]);
        assert_eq!(matrix.count(Labeled { truth: 1, predicted: 0 }), 1);
        close(matrix.scores(1).precision, 1.0);
        close(matrix.scores(1).recall, 0.75);
        close(matrix.scores(0).precision, 2.0 / 3.0);
        close(matrix.scores(0).recall, 1.0);
    }

    #[test]
    fn the_macro_average_is_over_present_classes() {
        // sklearn 1.9: f1_score([0, 0, 1, 1], [0, 2, 1, 1], average="macro", zero_division=0)
        // is 0.5555555555555555: class 2 is only predicted (F1 0), and class 3 is absent (left out).
        let samples = [(0, 0), (0, 2), (1, 1), (1, 1)];
        let samples = samples.map(|(truth, predicted)| Labeled { truth, predicted });
        let matrix = ConfusionMatrix::of(4, samples);
        close(matrix.macro_average().f1, (2.0 / 3.0 + 1.0 + 0.0) / 3.0);
        close(matrix.weighted_average().f1, (2.0 / 3.0 + 1.0) / 2.0);
        close(matrix.balanced_accuracy(), 0.75);
        assert_eq!(matrix.scores(2), Scores::default());
        assert!(!matrix.is_present(3));
    }

    #[test]
    fn all_metrics_of_an_empty_matrix_are_zero() {
        let matrix = ConfusionMatrix::of(3, []);
        assert_eq!(matrix.macro_average(), Scores::default());
        assert_eq!(matrix.matthews_correlation(), 0.0);
        assert_eq!(matrix.cohen_kappa(), 0.0);
        assert_eq!(matrix.accuracy(), 0.0);
    }
}
