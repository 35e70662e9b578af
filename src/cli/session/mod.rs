//! Everything that verbs work with besides their arguments: settings, stores, data, outputs, run records, promotion.

pub(crate) mod claimed;
pub(crate) mod context;
pub(crate) mod conversing;
pub(crate) mod following;
pub(crate) mod input_lines;
pub(crate) mod interruption;
pub(crate) mod judging;
pub(crate) mod knowledge_files;
pub(crate) mod knowledge_source;
pub(crate) mod named_knowledge;
pub(crate) mod outputs;
pub(crate) mod pdf_reader;
pub(crate) mod promoter;
pub(crate) mod provenance;
pub(crate) mod recording;
pub(crate) mod repository_paths;
pub(crate) mod rollouts;
pub(crate) mod services;
pub(crate) mod table_output;
pub(crate) mod training_data;
