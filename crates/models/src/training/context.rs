//! The inputs that all fits of one training share.

use super::feature_table::{FeatureTable, Rows};
use crate::{ModelSpec, Progress, Resources, heads::fit_request::FitRequest};

/// The inputs that all fits of one training share.
#[derive(Clone, Copy)]
pub(crate) struct TrainingContext<'a> {
    pub(crate) table: &'a FeatureTable<'a>,
    pub(crate) spec: &'a ModelSpec,
    pub(crate) resources: Resources<'a>,
    pub(crate) progress: &'a dyn Progress,
}

impl<'a> TrainingContext<'a> {
    /// Returns the request to fit a head on `rows` of `x`, whose classes are `y[row]`, each below `n_classes`.
    pub(crate) fn request<'b>(
        &self,
        x: &'b Rows<'b>,
        rows: &'b [u32],
        y: &'b [u32],
        n_classes: usize,
    ) -> FitRequest<'b>
    where
        'a: 'b,
    {
        let Self { spec, resources, progress, .. } = *self;
        FitRequest { x, rows, y, n_classes, spec, resources, progress }
    }
}
