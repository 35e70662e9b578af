//! The window of the prediction log that a pipeline learns from: its period, and the side of each conversation.

use botops_digest::Digest;
use botops_findings::{Fault, Place, Result};
use botops_predictions::{HourKey, RecordKey};
use botops_store::Store;
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

/// The schema of the object that fixes the sides of conversations.
const SCHEMA: &str = "botops.window-split/1";

/// The longest period, in days.
const MOST_DAYS: i64 = 366;

/// The part of the prediction log that a window takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogSpec {
    /// The time before the run whose messages are taken, such as `7d`. It ends with the last full hour.
    #[serde(default = "default_window")]
    pub window: String,
    /// The time before the run whose messages are taken if a reviewer labelled them, such as `90d`.
    #[serde(default = "default_labels")]
    pub labels: String,
}

fn default_window() -> String {
    "7d".to_owned()
}

fn default_labels() -> String {
    "90d".to_owned()
}

impl Default for LogSpec {
    fn default() -> Self {
        Self { window: default_window(), labels: default_labels() }
    }
}

/// The times that a window spans, in full hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Period {
    /// The first instant of the window.
    pub(crate) since: DateTime<Utc>,
    /// The first instant whose labels are taken.
    pub(crate) labels_since: DateTime<Utc>,
    /// The first instant after the window.
    pub(crate) until: DateTime<Utc>,
}

impl LogSpec {
    /// Checks the durations.
    ///
    /// # Errors
    /// `BOT-7085` (exit 2), with the key.
    pub(crate) fn check_ranges(&self) -> Result<()> {
        for (key, text) in [("window", &self.window), ("labels", &self.labels)] {
            days(key, text)?;
        }
        Ok(())
    }

    /// Returns the period of a run that began at `now`.
    ///
    /// # Errors
    /// As [`Self::check_ranges`].
    pub(crate) fn period(&self, now: DateTime<Utc>) -> Result<Period> {
        let until = HourKey::of(now).start();
        let window = days("window", &self.window)?;
        let labels = days("labels", &self.labels)?.max(window);
        Ok(Period { since: until - window, labels_since: until - labels, until })
    }
}

/// Reads a duration of whole hours to a year.
///
/// # Errors
/// `BOT-7085` (exit 2), with the key.
pub(crate) fn days(key: &str, text: &str) -> Result<TimeDelta> {
    let shown = botops_text::display(text, 40);
    let wrong = |message: String| {
        let place = Place { key: Some(key.to_owned()), ..Place::default() };
        Fault::usage("BOT-7085", message).at(place).hint("write a duration such as `7d` or `36h`")
    };
    let found = humantime::parse_duration(text.trim())
        .map_err(|error| wrong(format!("`{shown}` is not a duration: {error}")))?;
    let found = TimeDelta::from_std(found).unwrap_or(TimeDelta::MAX);
    match found >= TimeDelta::hours(1) && found <= TimeDelta::days(MOST_DAYS) {
        true => Ok(found),
        false => Err(wrong(format!("`{key}` is {shown}: expected 1 hour to {MOST_DAYS} days"))),
    }
}

/// A message of the log with a text.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Message {
    /// Its request, and its place in it.
    pub(crate) key: RecordKey,
    /// In milliseconds since 1970.
    pub(crate) at: i64,
    /// The conversation; of a request without one, the request.
    pub(crate) conversation: String,
    /// The text.
    pub(crate) text: String,
    /// The language that the request declared.
    pub(crate) lang: Option<String>,
    /// The predicted intent.
    pub(crate) predicted: String,
    /// Its probability.
    pub(crate) confidence: f64,
}

/// The sides of conversations: by a hash of the conversation, so that all of its messages are on one side, in every week.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Sides {
    /// The salt of the hash.
    pub(crate) salt: String,
    /// The share of conversations on the test side.
    pub(crate) test_share: f64,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    schema: String,
    #[serde(flatten)]
    sides: Sides,
}

impl Sides {
    /// Returns the place of a conversation in [0, 1).
    pub(crate) fn position(&self, conversation: &str) -> f64 {
        unit(&Digest::of_json(&(&self.salt, conversation)))
    }

    /// Returns another place of a conversation in [0, 1), which does not depend on its side.
    pub(crate) fn scattered(&self, conversation: &str) -> f64 {
        unit(&Digest::of_json(&("kept", &self.salt, conversation)))
    }

    /// Returns whether a conversation is on the test side, which no model is trained on.
    pub(crate) fn is_test(&self, conversation: &str) -> bool {
        self.position(conversation) < self.test_share
    }

    /// Checks that conversations have the sides that an earlier run of the pipeline gave them. Writes nothing.
    ///
    /// # Errors
    /// `BOT-7083` (exit 2) the salt or the share was another: conversations would change sides. Those of the store.
    pub(crate) async fn check(&self, store: &Store, pipeline: &str) -> Result<bool> {
        let path = path(pipeline);
        let Some(bytes) = store.read(&path).await? else { return Ok(false) };
        let stored: Stored = serde_json::from_slice(&bytes).map_err(|error| {
            Fault::usage("BOT-7083", "the sides of conversations cannot be read")
                .file(store.object_url(&path))
                .hint("restore the object from a backup")
                .caused_by(error)
        })?;
        if stored.schema != SCHEMA {
            let shown = botops_text::display(&stored.schema, 60);
            let message = format!("the sides of conversations have the schema `{shown}`");
            return Err(Fault::policy("BOT-1015", message)
                .file(store.object_url(&path))
                .hint("use a newer botops"));
        }
        if stored.sides == *self {
            return Ok(true);
        }
        let Sides { salt, test_share } = stored.sides;
        let message = format!(
            "conversations would change sides: earlier runs split them with `salt: {}` and `test_share: {test_share}`",
            botops_text::display(&salt, 60)
        );
        Err(Fault::usage("BOT-7083", message)
            .file(store.object_url(&path))
            .hint("keep these settings: otherwise a model is tested on conversations that models learned from"))
    }

    /// Fixes the sides for all later runs of the pipeline.
    ///
    /// # Errors
    /// As [`Self::check`].
    pub(crate) async fn fix(&self, store: &Store, pipeline: &str) -> Result<()> {
        if self.check(store, pipeline).await? {
            return Ok(());
        }
        let stored = Stored { schema: SCHEMA.to_owned(), sides: self.clone() };
        let bytes = serde_json::to_vec(&stored).expect("the sides can be JSON");
        match store.create(&path(pipeline), bytes.into()).await? {
            true => Ok(()),
            // Another run came first: with other settings, this one must not learn.
            false => self.check(store, pipeline).await.map(|_| ()),
        }
    }
}

/// Returns a digest as a number in [0, 1).
fn unit(digest: &Digest) -> f64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&digest.as_bytes()[..8]);
    (u64::from_le_bytes(bytes) >> 11) as f64 / (1_u64 << 53) as f64
}

fn path(pipeline: &str) -> String {
    format!("pipelines/{pipeline}/window-split.json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_has_full_hours_and_labels_reach_back_further() {
        let now: DateTime<Utc> = "2026-11-30T16:59:59Z".parse().unwrap();
        let period = LogSpec::default().period(now).unwrap();
        let shown = [period.labels_since, period.since, period.until].map(|at| at.to_rfc3339());
        assert_eq!(
            shown,
            ["2026-09-01T16:00:00+00:00", "2026-11-23T16:00:00+00:00", "2026-11-30T16:00:00+00:00"]
        );
        // The labels of the window itself are never left out.
        let short = LogSpec { window: "48h".into(), labels: "1h".into() };
        assert_eq!(short.period(now).unwrap().labels_since, short.period(now).unwrap().since);
        for wrong in ["", "soon", "10m", "3years"] {
            let spec = LogSpec { window: wrong.into(), ..LogSpec::default() };
            let fault = spec.check_ranges().unwrap_err();
            assert_eq!((fault.code(), fault.place().key.as_deref()), ("BOT-7085", Some("window")));
        }
    }

    #[tokio::test]
    async fn conversations_keep_their_sides_in_every_week() {
        let sides = Sides { salt: "s".into(), test_share: 0.3 };
        let names: Vec<String> = (0..10_000).map(|i| format!("conversation-{i}")).collect();
        let test: Vec<&String> = names.iter().filter(|name| sides.is_test(name)).collect();
        assert!((2_800..3_200).contains(&test.len()), "{}", test.len());
        // A larger share keeps what was tested; only the stored settings may be used.
        let store = Store::in_memory();
        assert!(!sides.check(&store, "weekly").await.unwrap());
        sides.fix(&store, "weekly").await.unwrap();
        sides.fix(&store, "weekly").await.unwrap();
        for other in [
            Sides { salt: "t".into(), ..sides.clone() },
            Sides { test_share: 0.2, ..sides.clone() },
        ] {
            let fault = other.fix(&store, "weekly").await.unwrap_err();
            assert_eq!(fault.code(), "BOT-7083");
            assert!(fault.message().contains("`salt: s` and `test_share: 0.3`"), "{fault}");
            // Another pipeline has sides of its own.
            assert!(!other.check(&store, "other").await.unwrap());
        }
    }
}
