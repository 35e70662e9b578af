//! Arguments that several verbs share.

pub(crate) mod data_args;
pub(crate) mod data_source;
pub(crate) mod model_arg;
