//! What a verb works with: the workspace, stores, run records, promotion.

pub(crate) mod context;
pub(crate) mod promoter;
pub(crate) mod recording;
