//! The mean features of every intent, and the cosine of a row to the nearest mean.

use crate::heads::head::{Tensor, malformed};
use botops_features::FeatureMatrix;
use botops_findings::Result;
use rayon::prelude::*;

/// Features kept of a mean, the largest by magnitude: the rest of sparse features is a long tail that makes the model
/// file large. On our support set the out-of-fold AUROC was 0.778 with 1,000 features and 0.795 with all.
const KEPT: usize = 4_000;

/// The mean row of every intent, scaled to length 1 and stored by feature.
///
/// - `offsets` has `n_features + 1` entries that rise from 0 to the length of `classes` and of `values`
/// - within a feature, classes rise, and are below `n_classes`
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Centroids {
    n_classes: usize,
    offsets: Vec<u32>,
    classes: Vec<u32>,
    values: Vec<f32>,
}

impl Centroids {
    /// Computes the means over `rows` of `x`, whose intents are `y[row]`; an intent without rows has no mean.
    pub(crate) fn fit(x: &FeatureMatrix, rows: &[u32], y: &[u32], n_classes: usize) -> Self {
        let mut by_class: Vec<Vec<u32>> = vec![Vec::new(); n_classes];
        for &row in rows {
            by_class[y[row as usize] as usize].push(row);
        }
        let means: Vec<Vec<(u32, f32)>> = by_class
            .par_iter()
            .map_init(
                || vec![0.0_f64; x.n_features()],
                |sums, rows| {
                    let mut columns_seen = Vec::new();
                    for &row in rows {
                        let (columns, values) = x.row(row as usize);
                        for (&column, &value) in columns.iter().zip(values) {
                            let sum = &mut sums[column as usize];
                            if *sum == 0.0 {
                                columns_seen.push(column);
                            }
                            *sum += f64::from(value);
                        }
                    }
                    // A column whose sum returns to 0 is pushed twice.
                    columns_seen.sort_unstable();
                    columns_seen.dedup();
                    let mut mean: Vec<(u32, f64)> = columns_seen
                        .into_iter()
                        .map(|c| (c, std::mem::take(&mut sums[c as usize])))
                        .collect();
                    mean.sort_by(|a, b| b.1.abs().total_cmp(&a.1.abs()).then(a.0.cmp(&b.0)));
                    mean.truncate(KEPT);
                    let length = mean.iter().map(|(_, sum)| sum * sum).sum::<f64>().sqrt();
                    let scale = if length > 0.0 { 1.0 / length } else { 0.0 };
                    mean.into_iter().map(|(column, sum)| (column, (sum * scale) as f32)).collect()
                },
            )
            .collect();
        let mut entries: Vec<(u32, u32, f32)> = (0..)
            .zip(means)
            .flat_map(|(class, mean)| {
                mean.into_iter().map(move |(column, value)| (column, class, value))
            })
            .filter(|(_, _, value)| *value != 0.0)
            .collect();
        entries.sort_unstable_by_key(|&(column, class, _)| (column, class));
        let mut offsets = vec![0_u32; x.n_features() + 1];
        for &(column, ..) in &entries {
            offsets[column as usize + 1] += 1;
        }
        for i in 0..x.n_features() {
            offsets[i + 1] += offsets[i];
        }
        Self {
            n_classes,
            offsets,
            classes: entries.iter().map(|(_, class, _)| *class).collect(),
            values: entries.iter().map(|(.., value)| *value).collect(),
        }
    }

    /// Returns the largest cosine between `row` of (column, value) and a mean, in [-1, 1]; 0 for an empty row.
    ///
    /// `sums` is working memory.
    pub(crate) fn nearest(
        &self,
        row: impl Iterator<Item = (u32, f32)>,
        sums: &mut Vec<f32>,
    ) -> f64 {
        sums.clear();
        sums.resize(self.n_classes, 0.0);
        let mut square = 0.0_f64;
        for (column, value) in row {
            square += f64::from(value) * f64::from(value);
            let range =
                self.offsets[column as usize] as usize..self.offsets[column as usize + 1] as usize;
            for (&class, weight) in self.classes[range.clone()].iter().zip(&self.values[range]) {
                sums[class as usize] += value * weight;
            }
        }
        if square == 0.0 {
            return 0.0;
        }
        f64::from(sums.iter().copied().fold(f32::NEG_INFINITY, f32::max)) / square.sqrt()
    }

    /// Returns the tensors for a model file.
    pub(crate) fn tensors(&self) -> Vec<Tensor> {
        vec![
            Tensor::of_integers("centroid_offsets", self.offsets.clone()),
            Tensor::of_integers("centroid_classes", self.classes.clone()),
            Tensor::of_floats("centroid_values", vec![self.values.len()], self.values.clone()),
        ]
    }

    /// Reads the tensors that [`Self::tensors`] returned.
    ///
    /// # Errors
    /// `BOT-7003` (exit 3) if they are inconsistent.
    pub(crate) fn from_tensors(
        tensors: &[Tensor],
        n_features: usize,
        n_classes: usize,
    ) -> Result<Self> {
        let offsets = Tensor::integers(tensors, "centroid_offsets")?.to_vec();
        let classes = Tensor::integers(tensors, "centroid_classes")?.to_vec();
        let values = Tensor::floats(tensors, "centroid_values", &[classes.len()])?.to_vec();
        let valid_offsets = offsets.len() == n_features + 1
            && offsets.first() == Some(&0)
            && offsets.last().is_some_and(|last| *last as usize == classes.len())
            && offsets.is_sorted();
        let valid_entries = classes.iter().all(|class| (*class as usize) < n_classes)
            && values.iter().all(|value| value.is_finite());
        match valid_offsets && valid_entries {
            true => Ok(Self { n_classes, offsets, classes, values }),
            false => Err(malformed("has inconsistent centroids")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix(rows: &[&[f32]]) -> FeatureMatrix {
        let mut matrix = FeatureMatrix::new(rows[0].len());
        for row in rows {
            matrix.push_row((0..).zip(row.iter().copied()).filter(|(_, value)| *value != 0.0));
        }
        matrix
    }

    #[test]
    fn the_nearest_mean_is_found_by_its_cosine() {
        let x = matrix(&[&[1.0, 0.0, 0.0], &[0.0, 1.0, 0.0], &[0.0, 0.0, 2.0], &[9.0, 9.0, 9.0]]);
        let centroids = Centroids::fit(&x, &[0, 1, 2], &[0, 0, 1, 1], 3);
        let mut sums = Vec::new();
        let mut cosine = |row: &[f32]| {
            centroids.nearest((0..).zip(row.iter().copied()).filter(|(_, v)| *v != 0.0), &mut sums)
        };
        // The means are (1, 1, 0) / sqrt 2 and (0, 0, 1); the row left out is in neither.
        let half = 0.5_f64.sqrt();
        for (row, expected) in [
            ([3.0, 0.0, 0.0], half),
            ([1.0, 1.0, 0.0], 1.0),
            ([0.0, 0.0, 0.1], 1.0),
            ([1.0, 0.0, 1.0], half),
            ([0.0, 0.0, 0.0], 0.0),
        ] {
            assert!((cosine(&row) - expected).abs() < 1e-6, "{row:?}: {}", cosine(&row));
        }
        let back = Centroids::from_tensors(&centroids.tensors(), 3, 3).unwrap();
        assert_eq!(back, centroids);
        assert!(Centroids::from_tensors(&centroids.tensors(), 4, 3).is_err());
        assert!(Centroids::from_tensors(&centroids.tensors(), 3, 1).is_err());
    }

    #[test]
    fn values_that_cancel_out_are_handled() {
        let x = matrix(&[&[1.0, 1.0], &[-1.0, 1.0], &[1.0, 0.0]]);
        let centroids = Centroids::fit(&x, &[0, 1], &[0, 0, 1], 2);
        let cosine = centroids.nearest([(0, 1.0), (1, 1.0)].into_iter(), &mut Vec::new());
        assert!((cosine - 0.5_f64.sqrt()).abs() < 1e-6);
    }
}
