use super::{
    super::{confidence::*, *},
    corpus, dense, tuned, *,
};
use botops_digest::Digest;
use botops_features::FeatureKind;

#[test]
fn print_digests() {
    let mut out = String::new();
    let mut put = |name: String, bytes: &[u8]| {
        out.push_str(&format!("{name} {}\n", Digest::of(bytes).short()))
    };
    let mut rows = corpus();
    for i in 0..60 {
        rows.push((format!("the weather {} pizza {}", i % 7, i / 3), botops_labels::OOS));
    }
    let res = Resources { encoder: Some(&dense::ENCODER), ..Resources::default() };
    for kind in KINDS {
        for (n, fallback, conformal, cw) in [
            ("plain", FallbackSpec::default(), None, ClassWeight::None),
            (
                "auto",
                FallbackSpec {
                    score: ScoreChoice::Auto,
                    target_accuracy: Some(0.7),
                    ..FallbackSpec::default()
                },
                Some(ConformalSpec::default()),
                ClassWeight::None,
            ),
            (
                "oos",
                FallbackSpec { score: ScoreChoice::OosClass, ..FallbackSpec::default() },
                None,
                ClassWeight::None,
            ),
            ("balanced", FallbackSpec::default(), None, ClassWeight::Balanced),
            (
                "centroid",
                FallbackSpec { score: ScoreChoice::Centroid, ..FallbackSpec::default() },
                None,
                ClassWeight::None,
            ),
        ] {
            if kind == HeadKind::RandomForest && cw == ClassWeight::Balanced {
                continue;
            }
            let spec = ModelSpec {
                head: HeadSpec { kind, n_trees: Some(12), class_weight: cw, ..HeadSpec::default() },
                fallback,
                conformal,
                ..ModelSpec::default()
            };
            put(format!("{kind:?} {n}"), &dense::train_on(&spec, &rows, res).unwrap().to_bytes());
            if n == "plain" {
                let samples: Vec<Sample<'_>> =
                    rows.iter().map(|(text, intent)| Sample { text, intent }).collect();
                put(
                    format!("cv {kind:?}"),
                    format!("{:?}", cross_validate(&samples, &spec, res, &Silent).unwrap())
                        .as_bytes(),
                );
                let cv = CrossValidator::new(&samples, 4, 3, res).unwrap();
                let h = cv.held_out(&spec, 0..4, 0.5, 2, &Silent).unwrap();
                put(format!("held {kind:?}"), format!("{h:?}").as_bytes());
                put(
                    format!("predict {kind:?}"),
                    format!("{:?} {:?}", h[1].predict(3, 0.7, 0.4), temperatures(&h)).as_bytes(),
                );
            }
        }
    }
    let few: Vec<_> =
        rows.iter().enumerate().filter(|(i, _)| i % 8 < 4).map(|(_, r)| r.clone()).collect();
    for (f, k) in [
        (FeatureKind::Encoder, HeadKind::LogisticRegression),
        (FeatureKind::Concatenated, HeadKind::LinearSvm),
        (FeatureKind::Stacked, HeadKind::LinearSvm),
        (FeatureKind::Stacked, HeadKind::LogisticRegression),
    ] {
        put(
            format!("{f:?} {k:?}"),
            &dense::train_on(&dense::spec(f, k), &few, res).unwrap().to_bytes(),
        );
    }
    let oos = ModelSpec {
        fallback: FallbackSpec { score: ScoreChoice::OosClass, ..FallbackSpec::default() },
        ..dense::spec(FeatureKind::Stacked, HeadKind::LinearSvm)
    };
    put("stacked oos".into(), &dense::train_on(&oos, &few, res).unwrap().to_bytes());
    for f in [FeatureKind::Encoder, FeatureKind::Stacked] {
        let folder = tempfile::tempdir().unwrap();
        let r = Resources { checkpoints: Some(folder.path()), ..res };
        put(format!("tuned {f:?}"), &dense::train_on(&tuned::spec(f), &few, r).unwrap().to_bytes());
        let mut names = Vec::new();
        for d in std::fs::read_dir(folder.path()).unwrap() {
            let d = d.unwrap().path();
            for e in std::fs::read_dir(&d).unwrap() {
                let e = e.unwrap().path();
                names.push((
                    e.strip_prefix(folder.path()).unwrap().display().to_string(),
                    Digest::of(&std::fs::read(&e).unwrap()).short(),
                ));
            }
        }
        names.sort();
        put(format!("checkpoints {f:?}"), format!("{names:?}").as_bytes());
    }
    std::fs::write(std::env::var("DIGESTS").unwrap(), out).unwrap();
}
