//! The heads against scikit-learn, and by hand.

use super::super::{
    forest,
    head::{self, HeadScratch},
    logistic, svm,
};
use crate::{features::FeatureMatrix, stats::random::Random};

fn matrix(rows: &[&[f32]]) -> FeatureMatrix {
    let mut matrix = FeatureMatrix::new(rows[0].len());
    for row in rows {
        matrix.push_row((0..).zip(row.iter().copied()).filter(|(_, value)| *value != 0.0));
    }
    matrix
}

fn scores(head: &dyn head::Head, x: &FeatureMatrix, row: usize) -> Vec<f64> {
    let (columns, values) = x.row(row);
    let row: Vec<(u32, f32)> = columns.iter().copied().zip(values.iter().copied()).collect();
    let mut scores = vec![0.0; head.n_classes()];
    head.scores(&row, &mut HeadScratch::default(), &mut scores);
    scores
}

#[test]
fn logistic_regression_is_that_of_scikit_learn() {
    // LogisticRegression(C=1.0, tol=1e-10, max_iter=10000).fit(TfidfVectorizer().fit_transform(docs), labels).predict_proba
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/reference_values.json");
    let all: serde_json::Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let values = &all["tfidf_lr"];
    let strings = |key: &str| -> Vec<String> {
        values[key].as_array().unwrap().iter().map(|v| v.as_str().unwrap().to_owned()).collect()
    };
    let vocab = strings("vocab");
    let idf: Vec<f64> =
        values["idf"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect();
    let row = |text: &str| -> Vec<f32> {
        let mut row: Vec<f64> = vocab
            .iter()
            .zip(&idf)
            .map(|(term, idf)| text.split(' ').filter(|word| word == term).count() as f64 * idf)
            .collect();
        let length = row.iter().map(|v| v * v).sum::<f64>().sqrt();
        row.iter_mut().for_each(|v| *v /= length);
        row.into_iter().map(|v| v as f32).collect()
    };
    let mut texts = strings("docs");
    texts.push("please book the flight".to_owned());
    let rows: Vec<Vec<f32>> = texts.iter().map(|text| row(text)).collect();
    let rows: Vec<&[f32]> = rows.iter().map(Vec::as_slice).collect();
    let x = matrix(&rows);
    let y: Vec<u32> = values["labels"]
        .as_array()
        .unwrap()
        .iter()
        .map(|v| u32::try_from(v.as_u64().unwrap()).unwrap())
        .collect();
    let spec = logistic::LogisticSpec { c: 1.0, max_iterations: 500, tolerance: 1e-10 };
    let head = logistic::fit(&x, &[0, 1, 2, 3, 4, 5], &y, 3, spec, &|_| ());
    let mut wanted = values["proba_train"].as_array().unwrap().clone();
    wanted.push(values["proba_new"].clone());
    for (row, wanted) in wanted.iter().enumerate() {
        let mut proba = scores(&head, &x, row);
        crate::stats::calibration::softmax(&mut proba, 1.0);
        for (p, wanted) in proba.iter().zip(wanted.as_array().unwrap()) {
            assert!((p - wanted.as_f64().unwrap()).abs() < 1e-6, "{p} {wanted}");
        }
    }
}

#[test]
fn the_support_vector_machine_is_that_of_scikit_learn() {
    // scikit-learn 1.9.1: LinearSVC(C=1, tol=1e-10, max_iter=1000000).fit(X, y).decision_function(X)
    let x = matrix(&[
        &[1.0, 0.0, 2.0],
        &[0.0, 1.0, 1.0],
        &[2.0, 0.0, 0.0],
        &[0.0, 3.0, 1.0],
        &[1.0, 1.0, 1.0],
        &[0.0, 0.0, 4.0],
    ]);
    let y = [0, 1, 0, 1, 2, 2];
    let wanted = [
        [0.235_067_437, -1.240_366_972, -0.045_444_092],
        [-1.113_680_154, 0.348_623_853, -0.412_124_557],
        [1.183_044_316, -1.566_972_477, -0.719_194_149],
        [-3.001_926_782, 1.155_963_303, -0.679_821_535],
        [-0.527_938_343, -0.550_458_716, -0.481_486_592],
        [-0.712_909_441, -0.913_761_468, 0.628_305_966],
    ];
    let spec = svm::SvmSpec { c: 1.0, max_iterations: 100_000, tolerance: 1e-6, seed: 1 };
    let head = svm::fit(&x, &[0, 1, 2, 3, 4, 5], &y, 3, spec, &|_| ());
    for (row, wanted) in wanted.iter().enumerate() {
        for (score, wanted) in scores(&head, &x, row).iter().zip(wanted) {
            assert!((score - wanted).abs() < 2e-4, "row {row}: {score} {wanted}");
        }
    }
}

#[test]
fn a_forest_votes_with_the_shares_of_its_leaves() {
    // The first feature decides, the second does not; of the noisy labels a row in ten says otherwise.
    let mut random = Random::new(3);
    let rows: Vec<[f32; 2]> =
        (0..400).map(|i| [(i % 2) as f32 + 0.01, random.unit() as f32]).collect();
    let rows: Vec<&[f32]> = rows.iter().map(<[f32; 2]>::as_slice).collect();
    let x = matrix(&rows);
    let all: Vec<u32> = (0..400).collect();
    let spec = forest::ForestSpec { n_trees: 50, max_depth: 1, n_features: 2, seed: 1 };
    let clean: Vec<u32> = (0..400).map(|i| i % 2).collect();
    let noisy: Vec<u32> = (0..400).map(|i| if i % 20 < 2 { 1 - i % 2 } else { i % 2 }).collect();
    // 50 trees with the leaf's share, one that knows nothing; smartcore passes over a split between two rows of
    // one intent, so of noisy labels some trees split the second feature.
    for (y, wanted, tolerance) in [(clean, 50.5 / 51.0, 1e-6), (noisy, 45.5 / 51.0, 0.06)] {
        let grown = forest::fit(&x, &all, &y, 2, spec, &|_| ()).unwrap();
        for row in 0..2 {
            let mut proba = scores(&grown.forest, &x, row);
            crate::stats::calibration::softmax(&mut proba, 1.0);
            assert!((proba[row] - wanted).abs() < tolerance, "{proba:?}");
        }
        // With 50 trees, a row is in every bag once in 10^10.
        assert!(grown.has_vote.iter().all(|&voted| voted));
        assert_eq!(grown.out_of_bag.len(), 800);
    }
}
