//! Compares the heads with scikit-learn and with calculations by hand.

use crate::ClassWeight;
use crate::heads::{
    fit_request::TrainingSet,
    forest,
    head::{self, HeadScratch},
    logistic, naive_bayes, svm,
};
use botops_features::FeatureMatrix;
use botops_stats::random::Random;

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
fn logistic_regression_matches_scikit_learn() {
    // LogisticRegression(C=1.0, tol=1e-10, max_iter=10000).fit(TfidfVectorizer().fit_transform(docs), labels).predict_proba
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/reference_values.json");
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
    let set = TrainingSet { x: &x, rows: &ALL_SIX, y: &y, n_classes: 3 };
    let head = logistic::fit(set, &logistic_spec(1.0, vec![1.0; 3]), &|_| ());
    let mut expected = values["proba_train"].as_array().unwrap().clone();
    expected.push(values["proba_new"].clone());
    for (row, expected) in expected.iter().enumerate() {
        let mut proba = scores(&head, &x, row);
        botops_stats::calibration::softmax(&mut proba, 1.0);
        for (p, expected) in proba.iter().zip(expected.as_array().unwrap()) {
            assert!((p - expected.as_f64().unwrap()).abs() < 1e-6, "{p} {expected}");
        }
    }
}

/// Returns six rows with columns of different weight, which no linear function separates perfectly.
fn six() -> FeatureMatrix {
    matrix(&[
        &[1.0, 0.0, 2.0],
        &[0.0, 1.0, 1.0],
        &[2.0, 0.0, 0.0],
        &[0.0, 3.0, 1.0],
        &[1.0, 1.0, 1.0],
        &[0.0, 0.0, 4.0],
    ])
}

const ALL_SIX: [u32; 6] = [0, 1, 2, 3, 4, 5];
/// Classes of the six rows: three equally frequent, three with different frequencies, two with different frequencies.
const EVEN: [u32; 6] = [0, 1, 0, 1, 2, 2];
const UNEVEN: [u32; 6] = [0, 0, 0, 1, 0, 2];
const TWO: [u32; 6] = [0, 1, 0, 0, 0, 1];

fn balanced(y: &[u32], n_classes: usize) -> Vec<f32> {
    ClassWeight::Balanced.weights(y.iter().copied(), n_classes)
}

fn logistic_spec(c: f64, class_weight: Vec<f32>) -> logistic::LogisticSpec {
    logistic::LogisticSpec {
        c,
        class_weight,
        max_iterations: 100_000,
        tolerance: Some(1e-16),
        seed: 1,
    }
}

fn assert_scores(head: &dyn head::Head, expected: &[[f64; 3]], tolerance: f64) {
    let x = six();
    for (row, expected) in expected.iter().enumerate() {
        for (score, expected) in scores(head, &x, row).iter().zip(expected) {
            assert!((score - expected).abs() < tolerance, "row {row}: {score} {expected}");
        }
    }
}

fn assert_proba(head: &dyn head::Head, expected: &[&[f64]]) {
    let x = six();
    for (row, expected) in expected.iter().enumerate() {
        let mut proba = scores(head, &x, row);
        botops_stats::calibration::softmax(&mut proba, 1.0);
        assert_eq!(proba.len(), expected.len());
        for (p, expected) in proba.iter().zip(*expected) {
            assert!((p - expected).abs() < 1e-6, "row {row}: {p} {expected}");
        }
    }
}

#[test]
fn balanced_logistic_regression_matches_scikit_learn() {
    // scikit-learn 1.9.1: LogisticRegression(C=2, tol=1e-12, max_iter=100000, class_weight="balanced").fit(X, y).predict_proba(X)
    let head = |y: &[u32], n, weight| {
        let set = TrainingSet { x: &six(), rows: &ALL_SIX, y, n_classes: n };
        logistic::fit(set, &logistic_spec(2.0, weight), &|_| ())
    };
    assert_proba(
        &head(&UNEVEN, 3, balanced(&UNEVEN, 3)),
        &[
            &[0.791_104_594, 0.037_272_339, 0.171_623_067],
            &[0.712_925_432, 0.211_319_919, 0.075_754_649],
            &[0.986_465_186, 0.009_618_592, 0.003_916_221],
            &[0.095_678_599, 0.884_802_274, 0.019_519_127],
            &[0.821_039_765, 0.132_974_642, 0.045_985_593],
            &[0.076_437_649, 0.017_401_354, 0.906_160_997],
        ],
    );
    assert_proba(
        &head(&TWO, 2, balanced(&TWO, 2)),
        &[
            &[0.540_049_414, 0.459_950_586],
            &[0.444_992_487, 0.555_007_513],
            &[0.915_548_482, 0.084_451_518],
            &[0.678_962_642, 0.321_037_358],
            &[0.749_816_144, 0.250_183_856],
            &[0.112_819_172, 0.887_180_828],
        ],
    );
    // Without class_weight, for two intents.
    assert_proba(
        &head(&TWO, 2, vec![1.0; 2]),
        &[
            &[0.662_448_154, 0.337_551_846],
            &[0.596_998_895, 0.403_001_105],
            &[0.947_008_243, 0.052_991_757],
            &[0.782_479_827, 0.217_520_173],
            &[0.833_761_477, 0.166_238_523],
            &[0.177_303_404, 0.822_696_596],
        ],
    );
}

fn svm_fit(y: &[u32], n_classes: usize, class_weight: Vec<f32>) -> impl head::Head {
    let spec =
        svm::SvmSpec { c: 1.0, class_weight, max_iterations: 100_000, tolerance: 1e-6, seed: 1 };
    let x = six();
    let set = TrainingSet { x: &x, rows: &ALL_SIX, y, n_classes };
    let head = svm::fit(set, &spec, &|_| ());
    let scored = svm::fit_and_score(set, &[4, 1], &spec, &|_| ());
    let expected = [scores(&head, &x, 4), scores(&head, &x, 1)].concat();
    assert_eq!(scored, expected, "the scores are those of the head, bit for bit");
    head
}

#[test]
fn the_support_vector_machine_matches_scikit_learn() {
    // scikit-learn 1.9.1: LinearSVC(C=1, tol=1e-10, max_iter=1000000).fit(X, y).decision_function(X)
    let expected = [
        [0.235_067_437, -1.240_366_972, -0.045_444_092],
        [-1.113_680_154, 0.348_623_853, -0.412_124_557],
        [1.183_044_316, -1.566_972_477, -0.719_194_149],
        [-3.001_926_782, 1.155_963_303, -0.679_821_535],
        [-0.527_938_343, -0.550_458_716, -0.481_486_592],
        [-0.712_909_441, -0.913_761_468, 0.628_305_966],
    ];
    assert_scores(&svm_fit(&EVEN, 3, vec![1.0; 3]), &expected, 2e-4);
}

#[test]
fn the_balanced_support_vector_machine_matches_scikit_learn() {
    // LinearSVC(C=1, tol=1e-10, max_iter=10000000, class_weight="balanced").fit(X, y).decision_function(X)
    let expected = [
        [0.646_551_724, -2.134_939_739, -0.631_256_384],
        [-0.025_862_069, -0.530_120_483, -0.755_873_34],
        [2.060_344_828, -1.233_734_959, -2.116_445_352],
        [-0.715_517_241, 0.838_554_217, -1.732_379_98],
        [0.663_793_103, -0.843_373_494, -1.493_360_572],
        [-0.767_241_379, -3.036_144_519, 0.853_932_584],
    ];
    assert_scores(&svm_fit(&UNEVEN, 3, balanced(&UNEVEN, 3)), &expected, 2e-4);
    // For two intents, scikit-learn has one function; ours are that function and its negative.
    let of_two = [
        -0.393_300_286,
        0.252_187_219,
        -1.728_984_391,
        -0.467_150_13,
        -0.863_144_936,
        0.942_383_819,
    ];
    let head = svm_fit(&TWO, 2, balanced(&TWO, 2));
    for (row, expected) in of_two.iter().enumerate() {
        let scores = scores(&head, &six(), row);
        assert!((scores[1] - expected).abs() < 2e-4, "row {row}: {scores:?} {expected}");
        assert!((scores[0] + expected).abs() < 2e-4, "row {row}: {scores:?} {expected}");
    }
}

#[test]
fn complement_naive_bayes_matches_scikit_learn() {
    // scikit-learn 1.9.1: ComplementNB(alpha=alpha).fit(X, y)._joint_log_likelihood(X); `weighted` with
    // sample_weight=compute_sample_weight("balanced", y)
    let even = [
        [3.465_735_903, 2.355_829_608, 3.312_001_803],
        [1.673_976_434, 2.643_511_68, 2.059_238_834],
        [4.158_883_083, 2.197_224_577, 2.505_525_937],
        [3.635_634_94, 6.673_317_721, 4.118_477_669],
        [3.753_417_975, 3.742_123_969, 3.312_001_803],
        [2.772_588_722, 2.514_434_638, 4.118_477_669],
    ];
    let uneven = [
        [4.426_712_993, 2.412_957_587, 3.310_054_975],
        [1.510_473_264, 2.453_557_788, 2.067_308_785],
        [6.780_048_162, 2.485_492_381, 2.485_492_381],
        [3.494_730_881, 6.190_461_968, 4.134_617_57],
        [4.900_497_346, 3.696_303_978, 3.310_054_975],
        [2.073_377_825, 2.340_422_793, 4.134_617_57],
    ];
    let weighted = [
        [5.021_625_88, 2.398_469_607, 4.145_527_352],
        [1.481_933_715, 2.669_269_521, 1.817_288_309],
        [8.062_572_853, 3.597_959_434, 3.597_959_434],
        [3.455_461_692, 7.408_318_672, 3.105_317_293],
        [5.513_220_141, 4.468_249_238, 3.616_268_027],
        [1.980_678_907, 1.198_979_78, 4.693_095_27],
    ];
    let fit = |y: &[u32], alpha, weight: &[f32]| {
        let set = TrainingSet { x: &six(), rows: &ALL_SIX, y, n_classes: 3 };
        naive_bayes::fit(set, alpha, weight)
    };
    assert_scores(&fit(&EVEN, 1.0, &[1.0; 3]), &even, 2e-6);
    assert_scores(&fit(&UNEVEN, 0.3, &[1.0; 3]), &uneven, 2e-6);
    assert_scores(&fit(&UNEVEN, 0.3, &balanced(&UNEVEN, 3)), &weighted, 2e-6);
    // With the smallest smoothing, scores are still finite.
    let least = fit(&UNEVEN, f64::MIN_POSITIVE, &[1.0; 3]);
    assert!(scores(&least, &six(), 2).iter().all(|score| score.is_finite()));
}

#[test]
fn a_forest_averages_the_shares_of_its_leaves() {
    // The first feature determines the class, the second is random; one in ten of the noisy labels is wrong.
    let mut random = Random::new(3);
    let rows: Vec<[f32; 2]> =
        (0..400).map(|i| [(i % 2) as f32 + 0.01, random.unit() as f32]).collect();
    let rows: Vec<&[f32]> = rows.iter().map(<[f32; 2]>::as_slice).collect();
    let x = matrix(&rows);
    let all: Vec<u32> = (0..400).collect();
    let spec = forest::ForestSpec { n_trees: 50, max_depth: 1, n_features: 2, seed: 1 };
    let clean: Vec<u32> = (0..400).map(|i| i % 2).collect();
    let noisy: Vec<u32> = (0..400).map(|i| if i % 20 < 2 { 1 - i % 2 } else { i % 2 }).collect();
    // The mean of 50 trees with the share of the leaf and one uniform tree. smartcore does not split between two rows
    // of one intent, so with noisy labels some trees split the second feature.
    for (y, expected, tolerance) in [(clean, 50.5 / 51.0, 1e-6), (noisy, 45.5 / 51.0, 0.06)] {
        let set = TrainingSet { x: &x, rows: &all, y: &y, n_classes: 2 };
        let grown = forest::fit(set, spec, &|_| ()).unwrap();
        for row in 0..2 {
            let mut proba = scores(&grown.forest, &x, row);
            botops_stats::calibration::softmax(&mut proba, 1.0);
            assert!((proba[row] - expected).abs() < tolerance, "{proba:?}");
        }
        // With 50 trees, the probability that a row is in every bag is 1e-10.
        assert!(grown.has_vote.iter().all(|&has_vote| has_vote));
        assert_eq!(grown.out_of_bag.len(), 800);
    }
}
