//! The filters of `botops predictions`.

use botops_findings::Result;
use botops_predictions::Filter;
use botops_registry::parse_time;
use chrono::{DateTime, TimeDelta, Utc};

/// Which records are meant.
#[derive(Debug, clap::Args)]
pub(super) struct FilterArgs {
    /// From this time (UTC), or this long ago, such as 7d
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Before this time (UTC), or this long ago
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Of these intents, separated by commas
    #[arg(long, value_name = "INTENTS", value_delimiter = ',')]
    intent: Vec<String>,
    /// Of this arm: primary or canary
    #[arg(long, value_name = "ARM", value_parser = ["primary", "canary"])]
    arm: Option<String>,
    /// Of the model whose digest begins so
    #[arg(long, value_name = "DIGEST")]
    model: Option<String>,
    /// Of the version whose manifest has a digest that begins so: versions may share a model file
    #[arg(long, value_name = "DIGEST")]
    manifest: Option<String>,
    /// In this language, declared or guessed
    #[arg(long, value_name = "LANGUAGE")]
    language: Option<String>,
    /// Declined by the model (true), or answered (false)
    #[arg(long, value_name = "BOOL")]
    fallback: Option<bool>,
    /// With at least this confidence
    #[arg(long, value_name = "P", value_parser = probability)]
    min_confidence: Option<f64>,
    /// With at most this confidence
    #[arg(long, value_name = "P", value_parser = probability)]
    max_confidence: Option<f64>,
    /// Of this request
    #[arg(long, value_name = "ID")]
    request_id: Option<String>,
}

fn probability(text: &str) -> std::result::Result<f64, String> {
    text.parse()
        .ok()
        .filter(|p| (0.0..=1.0).contains(p))
        .ok_or_else(|| "a confidence is between 0 and 1".to_owned())
}

impl FilterArgs {
    /// Returns the filter, as of `now`.
    ///
    /// # Errors
    /// Those of [`parse_time`].
    pub(super) fn filter(&self, now: DateTime<Utc>) -> Result<Filter> {
        let time =
            |text: &Option<String>| text.as_deref().map(|it| time_or_age(it, now)).transpose();
        Ok(Filter {
            since: time(&self.since)?,
            until: time(&self.until)?,
            intents: self.intent.iter().map(|intent| intent.trim().to_owned()).collect(),
            arm: self.arm.clone(),
            model: self.model.clone(),
            manifest: self.manifest.clone(),
            language: self.language.clone(),
            fallback: self.fallback,
            min_confidence: self.min_confidence,
            max_confidence: self.max_confidence,
            request_id: self.request_id.clone(),
        })
    }
}

/// Reads a time, or an age before `now`.
///
/// # Errors
/// Those of [`parse_time`].
pub(super) fn time_or_age(text: &str, now: DateTime<Utc>) -> Result<DateTime<Utc>> {
    let age = humantime::parse_duration(text).ok().and_then(|age| TimeDelta::from_std(age).ok());
    match age.and_then(|age| now.checked_sub_signed(age)) {
        Some(time) => Ok(time),
        None => parse_time(text),
    }
}
