//! The configurations to train: the files of `--config`, else the default, each with the flags applied.

use super::arguments::{Args, Head};
use crate::cli::session::context::Context;
use botops_features::{EncoderSpec, FeatureKind};
use botops_findings::{Finding, Result};
use botops_models::{HeadKind, ModelSpec};
use botops_spec::{self as spec, Checked, Outline, Spec as _};
use std::path::Path;

/// The name of the default configuration.
const DEFAULT: &str = "default configuration";

/// A configuration that was read.
pub(super) struct Configuration {
    /// The file, or the name of the default configuration.
    pub(super) name: String,
    /// The settings, with the flags applied.
    pub(super) spec: Checked<ModelSpec>,
    /// The keys of the file that have no effect because of other keys.
    pub(super) unused: Vec<Finding>,
}

impl Configuration {
    /// Reads the configurations of the command line, in order; each file is read once.
    pub(super) fn all(args: &Args, context: &Context) -> Result<Vec<Self>> {
        if args.config.is_empty() {
            let spec = overridden(args, ModelSpec::default(), context)?.check()?;
            return Ok(vec![Self { name: DEFAULT.to_owned(), spec, unused: Vec::new() }]);
        }
        args.config.iter().map(|path| Self::read(path, args, context)).collect()
    }

    fn read(path: &Path, args: &Args, context: &Context) -> Result<Self> {
        let (yaml, name) = (spec::text(path)?, path.display().to_string());
        let written: ModelSpec = spec::parse(&yaml, &name)?;
        let unused = written.unused_below(&Outline::of(&yaml), &name, "");
        let spec = overridden(args, written, context)?.check();
        Ok(Self { spec: spec.map_err(|fault| fault.file(&name))?, name, unused })
    }
}

/// Returns `spec` with the flags of the command line applied.
fn overridden(args: &Args, mut spec: ModelSpec, context: &Context) -> Result<ModelSpec> {
    if let Some(head) = args.head {
        spec.head.kind = match head {
            Head::LinearSvm => HeadKind::LinearSvm,
            Head::LogisticRegression => HeadKind::LogisticRegression,
            Head::ComplementNaiveBayes => HeadKind::ComplementNaiveBayes,
            Head::RandomForest => HeadKind::RandomForest,
            Head::FineTuned => HeadKind::FineTuned,
        };
    }
    if let Some(source) = &args.encoder {
        let source = &context.encoder_source(source)?;
        let features = &mut spec.features;
        match &mut features.encoder {
            Some(encoder) => encoder.source.clone_from(source),
            None => features.encoder = Some(EncoderSpec::new(source)),
        }
        if features.kind == FeatureKind::Tfidf {
            features.kind = FeatureKind::Encoder;
        }
    }
    if let Some(seed) = args.seed {
        spec.seed = seed;
    }
    Ok(spec)
}
