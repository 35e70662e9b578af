//! Reports: one result becomes one HTML page, or a summary in Markdown, JUnit, SARIF or annotations.
//!
//! In: a result struct. Out: text. A page is one file without external fonts, images or addresses, so it can be mailed,
//! archived and opened without a network. Its only script searches tables; the security policy of the page names it by
//! digest, and browsers refuse any other. User text (utterances, names) is shortened and escaped, and its invisible
//! characters are made visible.

pub(crate) mod search_script;

mod annotations;
mod behaviour;
mod card;
mod cells;
mod change;
mod charts;
mod confidence;
mod cross_validation;
mod data;
mod decision;
mod drift;
mod entities;
mod evaluation;
mod html;
mod job;
mod junit;
mod knowledge;
mod knowledge_markdown;
mod markdown;
mod matrix;
mod monitoring;
mod page;
mod run;
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
pub use change::{CHANGE_MARK, Change, change_markdown};
pub use cross_validation::cross_validation_html;
pub use data::profile_html;
pub use decision::decision_html;
pub use drift::drift_html;
pub use evaluation::evaluation_html;
pub use job::{JobStage, JobSummary, MOST_SUMMARY_BYTES, bounded_markdown, job_markdown};
pub use junit::validation_junit;
pub use knowledge::knowledge_html;
pub use knowledge_markdown::knowledge_markdown;
pub use markdown::{
    decision_markdown, drift_markdown, evaluation_markdown, gate_markdown, gate_results_markdown,
    profile_markdown, validation_markdown,
};
pub use monitoring::monitoring_html;
pub use run::{RunReport, run_annotations, run_junit, run_sarif};
pub use sarif::validation_sarif;
pub use search::search_html;
pub use validation::validation_html;
