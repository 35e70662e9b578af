//! Arguments that several verbs share, each defined once.

pub(crate) mod data_args;
pub(crate) mod data_source;
pub(crate) mod judge_args;
pub(crate) mod model_arg;
pub(crate) mod out_path;
pub(crate) mod output_args;
pub(crate) mod report_arg;
pub(crate) mod share;
