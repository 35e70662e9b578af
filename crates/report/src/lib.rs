//! One result, one page: HTML that needs nothing but itself, Markdown for a summary.
//!
//! In comes a result struct; out goes text. A page has no font, no picture and no address of elsewhere: it can be
//! mailed, archived, opened without a network; its one script, where there are tables to search, is named by digest in
//! its policy, and any other is refused. Everything that came from a user (texts, names) is shortened, made visible and
//! escaped on the way.

pub(crate) mod search_script;

mod annotations;
mod card;
mod charts;
mod confidence;
mod cross_validation;
mod data;
mod decision;
mod drift;
mod evaluation;
mod job;
mod junit;
pub mod markdown;
mod matrix;
pub mod page;
mod sarif;
mod search;
mod table;
#[cfg(test)]
mod tests;
mod theme;
mod validation;
mod wording;

pub use annotations::validation_annotations;
pub use card::{CardData, CardSubject, model_card};
pub use cross_validation::cross_validation_html;
pub use data::profile_html;
pub use decision::decision_html;
pub use drift::drift_html;
pub use evaluation::evaluation_html;
pub use job::{JobStage, JobSummary, job_markdown};
pub use junit::validation_junit;
pub use markdown::{
    decision_markdown, drift_markdown, evaluation_markdown, gate_markdown, profile_markdown,
    validation_markdown,
};
pub use sarif::validation_sarif;
pub use search::search_html;
pub use validation::validation_html;
