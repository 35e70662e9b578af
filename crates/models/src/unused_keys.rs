//! Finds keys of a configuration that have no effect because of other keys.
//!
//! A parsed spec does not show whether a value was written or is a default, so this reads the text.

use crate::{
    ConformalSpec, FallbackSpec, HeadKind, LearnEntities, ModelSpec, TaggerSpec,
    confidence::ConformalMethod,
};
use botops_features::FeatureKind;
use botops_findings::{Finding, Place, Result, Severity};
use botops_spec::{self as spec, Outline};
use std::path::Path;

impl ModelSpec {
    /// Returns a finding for each key of the configuration at `path` that has no effect because of others.
    ///
    /// # Errors
    /// Those of [`spec::read`].
    pub fn unused(path: &Path) -> Result<Vec<Finding>> {
        let (yaml, file) = (spec::text(path)?, path.display().to_string());
        let spec: Self = spec::parse(&yaml, &file)?;
        Ok(spec.unused_below(&Outline::of(&yaml), &file, ""))
    }

    /// Returns a finding for each key of this configuration that has no effect because of others. The configuration is
    /// below the key `root` of the text of `file`, whose outline is `outline`.
    ///
    /// A key with its default value is not reported, because generated configurations contain every key.
    #[must_use]
    pub fn unused_below(&self, outline: &Outline, file: &str, root: &str) -> Vec<Finding> {
        let head = self.head.kind;
        let stacked = self.features.kind == FeatureKind::Stacked;
        // With a fine-tuned encoder, the head on the terms of stacked features is a linear SVM.
        let linear = matches!(head, HeadKind::LinearSvm | HeadKind::LogisticRegression)
            || stacked && head == HeadKind::FineTuned;
        let forest = head == HeadKind::RandomForest;
        let bayes = head == HeadKind::ComplementNaiveBayes;
        let with_head = |kinds: &str| {
            let other = format!("head.kind: {}", head.name());
            (other, format!("it applies to {kinds}: remove it, or choose another kind"))
        };
        let of_linear = with_head("`linear_svm` and `logistic_regression`");
        let of_forest = with_head("`random_forest`");
        let of_bayes = with_head("`complement_naive_bayes`");
        let conformal = self.conformal.unwrap_or_default();
        let with_method = (
            format!("conformal.method: {}", conformal.method.name()),
            "remove it, or set `method: raps`".to_owned(),
        );
        let target = match self.fallback.min_oos_declined {
            Some(_) => "fallback.min_oos_declined",
            None => "fallback.target_accuracy",
        };
        let with_target = (
            target.to_owned(),
            "keep one of them: a fixed threshold, or the lowest threshold that reaches the target"
                .to_owned(),
        );
        let raps = conformal.method == ConformalMethod::Raps;
        let default = ConformalSpec::default();
        let has_target =
            self.fallback.target_accuracy.is_some() || self.fallback.min_oos_declined.is_some();
        let uses_threshold =
            !has_target || self.fallback.threshold == FallbackSpec::default().threshold;
        let (tagger, plain) = (&self.entities, TaggerSpec::default());
        let learns = tagger.learn != LearnEntities::Never;
        let with_never = (
            "entities.learn: false".to_owned(),
            "remove it, or set `learn: auto` to learn entities".to_owned(),
        );
        // The key, whether it has an effect, and if not, the key that disables it and the remedy.
        let rules: [(&str, bool, &(String, String)); 14] = [
            ("fallback.threshold", uses_threshold, &with_target),
            ("conformal.lambda", raps || conformal.lambda == default.lambda, &with_method),
            ("conformal.k_reg", raps || conformal.k_reg == default.k_reg, &with_method),
            ("head.c", linear, &of_linear),
            ("head.max_iterations", linear, &of_linear),
            ("head.tolerance", linear, &of_linear),
            ("head.n_trees", forest, &of_forest),
            ("head.max_depth", forest, &of_forest),
            ("head.n_features", forest, &of_forest),
            ("head.alpha", bayes, &of_bayes),
            (
                "entities.min_examples",
                learns || tagger.min_examples == plain.min_examples,
                &with_never,
            ),
            ("entities.l1", learns || tagger.l1 == plain.l1, &with_never),
            ("entities.l2", learns || tagger.l2 == plain.l2, &with_never),
            (
                "entities.max_iterations",
                learns || tagger.max_iterations == plain.max_iterations,
                &with_never,
            ),
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
                let message = format!("`{key}` has no effect with `{other}`");
                Some(Finding::new("BOT-7066", Severity::Warning, message, help.clone()).at(place))
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the only finding in `yaml` as text, if there is one.
    fn finding(yaml: &str) -> Option<String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.yaml");
        std::fs::write(&path, yaml).unwrap();
        let findings = ModelSpec::unused(&path).unwrap();
        assert!(findings.len() < 2, "{findings:?}");
        let finding = findings.first()?;
        let (place, file) = (&finding.place, path.display().to_string());
        assert_eq!((finding.code.as_str(), place.file.as_ref()), ("BOT-7066", Some(&file)));
        let (line, column) = (place.line.unwrap(), place.column.unwrap());
        let key = place.key.as_ref().unwrap();
        Some(format!("{line}:{column} {key} | {} | {}", finding.message, finding.help))
    }

    #[test]
    fn a_key_without_effect_is_reported_with_its_place() {
        assert_eq!(
            finding("fallback:\n  threshold: 0.4\n  target_accuracy: 0.9\n").unwrap(),
            "2:3 fallback.threshold | `fallback.threshold` has no effect with `fallback.target_accuracy` | keep one \
             of them: a fixed threshold, or the lowest threshold that reaches the target"
        );
        assert_eq!(
            finding("conformal: { method: lac, lambda: 0.1 }\n").unwrap(),
            "1:27 conformal.lambda | `conformal.lambda` has no effect with `conformal.method: lac` | remove it, or \
             set `method: raps`"
        );
        assert_eq!(
            finding("head:\n  kind: complement_naive_bayes\n  c: 2\n").unwrap(),
            "3:3 head.c | `head.c` has no effect with `head.kind: complement_naive_bayes` | it applies to \
             `linear_svm` and `logistic_regression`: remove it, or choose another kind"
        );
        assert_eq!(
            finding("entities: { learn: false, l2: 0.1 }\n").unwrap(),
            "1:27 entities.l2 | `entities.l2` has no effect with `entities.learn: false` | remove it, or set `learn: \
             auto` to learn entities"
        );
        assert!(finding("head: { n_trees: 7 }\n").unwrap().contains("`head.kind: linear_svm`"));
        assert!(finding("head: { kind: random_forest, alpha: 1 }\n").is_some());
        for used in [
            "",
            "fallback: { threshold: 0.4 }\n",
            "fallback: { target_accuracy: 0.9 }\n",
            "fallback: { target_accuracy: 0.9, threshold: 0.35 }\nconformal: { lambda: 0.01, k_reg: 5 }\n",
            "conformal: { method: raps, lambda: 0.1, k_reg: 2 }\n",
            "conformal: { alpha: 0.05 }\n",
            "head: { c: 2, tolerance: 0.01, max_iterations: 9 }\n",
            "entities: { learn: true, min_examples: 9, l1: 0, l2: 0.1, max_iterations: 9 }\n",
            "head: { kind: random_forest, n_trees: 7, max_depth: 4, n_features: 50 }\n",
            "head: { kind: complement_naive_bayes, alpha: 0.5 }\n",
            "features: { kind: stacked, encoder: { source: a } }\nhead: { kind: fine_tuned, c: 2 }\n",
        ] {
            assert_eq!(finding(used), None, "{used}");
        }
    }
}
