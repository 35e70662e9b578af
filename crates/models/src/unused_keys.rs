//! A configuration as somebody wrote it: keys beside others that leave them nothing to say.
//!
//! A value that nobody wrote is there all the same once a spec was read, so this looks at the text.

use super::{ConformalSpec, FallbackSpec, HeadKind, ModelSpec, confidence::ConformalMethod};
use botops_features::FeatureKind;
use botops_findings::{Finding, Place, Result, Severity};
use botops_spec::{self as spec, Outline};
use std::path::Path;

impl ModelSpec {
    /// Returns the keys of the configuration at `path` that are not looked at because of others.
    ///
    /// # Errors
    /// Those of [`spec::read`].
    pub fn unused(path: &Path) -> Result<Vec<Finding>> {
        let (yaml, file) = (spec::text(path)?, path.display().to_string());
        let spec: Self = spec::parse(&yaml, &file)?;
        Ok(spec.unused_below(&Outline::of(&yaml), &file, ""))
    }

    /// Returns the keys of this configuration that are not looked at because of others; it stands below the key `root`
    /// of the text of `file` that `outline` is of.
    ///
    /// A key with the value that it has anyway is none of them: what a program writes is whole.
    #[must_use]
    pub fn unused_below(&self, outline: &Outline, file: &str, root: &str) -> Vec<Finding> {
        let head = self.head.kind;
        let stacked = self.features.kind == FeatureKind::Stacked;
        // Beside a fine-tuned encoder, stacked features have a linear SVM.
        let linear = matches!(head, HeadKind::LinearSvm | HeadKind::LogisticRegression)
            || stacked && head == HeadKind::FineTuned;
        let forest = head == HeadKind::RandomForest;
        let bayes = head == HeadKind::ComplementNaiveBayes;
        let with_head = |kinds: &str| {
            let other = format!("head.kind: {}", head.name());
            (other, format!("it is for {kinds}: take it out, or choose another kind"))
        };
        let of_linear = with_head("`linear_svm` and `logistic_regression`");
        let of_forest = with_head("`random_forest`");
        let of_bayes = with_head("`complement_naive_bayes`");
        let conformal = self.conformal.unwrap_or_default();
        let with_method = (
            format!("conformal.method: {}", conformal.method.name()),
            "take it out, or write `method: raps`".to_owned(),
        );
        let with_target = (
            "fallback.target_accuracy".to_owned(),
            "keep one of them: a threshold of your own, or the lowest that keeps the target"
                .to_owned(),
        );
        let raps = conformal.method == ConformalMethod::Raps;
        let usual = ConformalSpec::default();
        let has_threshold = self.fallback.target_accuracy.is_none()
            || self.fallback.threshold == FallbackSpec::default().threshold;
        // A key, whether it is looked at, and else beside what it is not, and what to do.
        let rules: [(&str, bool, &(String, String)); 10] = [
            ("fallback.threshold", has_threshold, &with_target),
            ("conformal.lambda", raps || conformal.lambda == usual.lambda, &with_method),
            ("conformal.k_reg", raps || conformal.k_reg == usual.k_reg, &with_method),
            ("head.c", linear, &of_linear),
            ("head.max_iterations", linear, &of_linear),
            ("head.tolerance", linear, &of_linear),
            ("head.n_trees", forest, &of_forest),
            ("head.max_depth", forest, &of_forest),
            ("head.n_features", forest, &of_forest),
            ("head.alpha", bayes, &of_bayes),
        ];
        let unused = rules.into_iter().filter(|(_, is_used, _)| !is_used);
        unused
            .filter_map(|(key, _, (other, help))| {
                let whole = if root.is_empty() { key.to_owned() } else { format!("{root}.{key}") };
                let (line, column) = outline.place(&whole)?;
                let place = Place {
                    file: Some(file.to_owned()),
                    line: Some(line),
                    column: Some(column),
                    key: Some(whole),
                    ..Place::default()
                };
                let message = format!("`{key}` says nothing beside `{other}`");
                Some(Finding::new("BOT-7066", Severity::Warning, message, help.clone()).at(place))
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(yaml: &str) -> Option<String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.yaml");
        std::fs::write(&path, yaml).unwrap();
        let found = ModelSpec::unused(&path).unwrap();
        assert!(found.len() < 2, "{found:?}");
        let found = found.first()?;
        let (place, file) = (&found.place, path.display().to_string());
        assert_eq!((found.code.as_str(), place.file.as_ref()), ("BOT-7066", Some(&file)));
        let at = (place.line.unwrap(), place.column.unwrap(), place.key.clone().unwrap());
        Some(format!("{}:{} {} | {} | {}", at.0, at.1, at.2, found.message, found.help))
    }

    #[test]
    fn a_key_that_says_nothing_beside_another_is_told_with_its_place() {
        assert_eq!(
            told("fallback:\n  threshold: 0.4\n  target_accuracy: 0.9\n").unwrap(),
            "2:3 fallback.threshold | `fallback.threshold` says nothing beside `fallback.target_accuracy` | keep one \
             of them: a threshold of your own, or the lowest that keeps the target"
        );
        assert_eq!(
            told("conformal: { method: lac, lambda: 0.1 }\n").unwrap(),
            "1:27 conformal.lambda | `conformal.lambda` says nothing beside `conformal.method: lac` | take it out, or \
             write `method: raps`"
        );
        assert_eq!(
            told("head:\n  kind: complement_naive_bayes\n  c: 2\n").unwrap(),
            "3:3 head.c | `head.c` says nothing beside `head.kind: complement_naive_bayes` | it is for \
             `linear_svm` and `logistic_regression`: take it out, or choose another kind"
        );
        assert!(told("head: { n_trees: 7 }\n").unwrap().contains("`head.kind: linear_svm`"));
        assert!(told("head: { kind: random_forest, alpha: 1 }\n").is_some());
        for used in [
            "",
            "fallback: { threshold: 0.4 }\n",
            "fallback: { target_accuracy: 0.9 }\n",
            "fallback: { target_accuracy: 0.9, threshold: 0.35 }\nconformal: { lambda: 0.01, k_reg: 5 }\n",
            "conformal: { method: raps, lambda: 0.1, k_reg: 2 }\n",
            "conformal: { alpha: 0.05 }\n",
            "head: { c: 2, tolerance: 0.01, max_iterations: 9 }\n",
            "head: { kind: random_forest, n_trees: 7, max_depth: 4, n_features: 50 }\n",
            "head: { kind: complement_naive_bayes, alpha: 0.5 }\n",
            "features: { kind: stacked, encoder: { source: a } }\nhead: { kind: fine_tuned, c: 2 }\n",
        ] {
            assert_eq!(told(used), None, "{used}");
        }
    }
}
