//! One record of the log.

use botops_digest::hmac_sha256;
use botops_findings::{Fault, Result};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// The schema of a record.
pub const SCHEMA: &str = "botops.prediction/1";
/// The schema of a record in an export, whose predicted intent and entities have other names.
pub(crate) const EXPORT_SCHEMA: &str = "botops.prediction_export/1";
/// The most bytes of one record as JSON. A text has at most 5,000 characters, so that no server writes a longer one.
pub(crate) const MOST_RECORD_BYTES: usize = 64 << 10;

/// An intent and its probability.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Likely {
    /// The intent.
    pub intent: String,
    /// Its probability, in [0, 1], to six digits.
    pub p: f64,
}

/// One message, as the model saw it: a line of a segment, and a row of a Parquet file.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The time of the answer, by the clock of the server, in milliseconds since 1970.
    #[serde(rename = "time")]
    pub at: i64,
    /// The id of the request.
    pub request_id: String,
    /// The place of the text in a request with several, counted from the last, which is 0: feedback on a request is about it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub index: u32,
    /// The endpoint: `chat` or `predict`.
    pub endpoint: String,
    /// The HMAC of the conversation, in hexadecimal; `None` if the request named none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversation: Option<String>,
    /// The text, redacted; `None` by policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The HMAC of the text, in hexadecimal, where the policy keeps no text but its hash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text_hash: Option<String>,
    /// The number of characters of the text.
    pub n_chars: u32,
    /// The language that the request declared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// The language that was guessed from the text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guessed: Option<String>,
    /// The digest of the model file.
    pub digest: String,
    /// The arm: `primary` or `canary`.
    pub arm: String,
    /// The likeliest intent.
    pub intent: String,
    /// Its calibrated probability, in [0, 1], to six digits.
    pub confidence: f64,
    /// The next likely intents, at most two, the likelier first: the top three are `intent` and these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<Likely>,
    /// The score that the model compares with the threshold of its fallback: below it, a message counts as out of scope.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oos: Option<f64>,
    /// Whether the model declined to answer.
    #[serde(default, skip_serializing_if = "is_false")]
    pub fallback: bool,
    /// The time from the body read to the answer made, in microseconds.
    pub latency_us: u64,
    /// The kinds of entities in the text, sorted, each once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub entities: Vec<String>,
    /// Whether the conversation is with a person after this message: the bot handed it over now, or had done so before.
    #[serde(default, skip_serializing_if = "is_false")]
    pub handed_off: bool,
    /// Whether the message leaves its conversation unresolved: the bot did not understand it in its dialogue, the user said the
    /// same again, or a person takes over.
    #[serde(default, skip_serializing_if = "is_false")]
    pub unresolved: bool,
    /// The knowledge base that answered, instead of a response of the dialogue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answered_from: Option<String>,
    /// The passages that the answer was taken from, best first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub chunks: Vec<String>,
    /// The probability that the answer of the knowledge is right, in [0, 1], to six digits; also of one that was not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer_confidence: Option<f64>,
    /// The tokens that a language model read and wrote for the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
    /// Their cost, in the currency of the price.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<f64>,
    /// The digest of the manifest of the version, which tells versions apart that share a model file; `None` in records of older
    /// servers, and of a model file that is served without a registry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest: Option<String>,
}

fn is_zero(n: &u32) -> bool {
    *n == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_false(it: &bool) -> bool {
    !*it
}

/// The name of a record: a request, and the place of the text in it.
pub type RecordKey = (String, u32);

#[derive(Serialize)]
struct Written<'a> {
    schema: &'static str,
    #[serde(flatten)]
    record: &'a Record,
}

/// The part of the text of a message that is kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TextPolicy {
    /// The text, with personal data redacted.
    #[default]
    Redacted,
    /// An HMAC of the text, which shows that two messages are equal and nothing else.
    Hash,
    /// Nothing.
    None,
}

impl TextPolicy {
    /// Every policy, with its name in the settings.
    pub const ALL: [(&'static str, Self); 3] =
        [("redacted", Self::Redacted), ("hash", Self::Hash), ("none", Self::None)];

    /// Puts into `record` what this policy keeps of `text`; the hash is an HMAC under `key`.
    pub fn keep(self, record: &mut Record, text: &str, key: &[u8]) {
        record.n_chars = u32::try_from(text.chars().count()).unwrap_or(u32::MAX);
        match self {
            Self::Redacted => record.text = Some(botops_text::redact(text)),
            Self::Hash => {
                record.text_hash = Some(hmac_sha256(key, text.as_bytes()).hex()[..32].to_owned());
            }
            Self::None => {}
        }
    }
}

impl Record {
    /// Returns the name of the record.
    #[must_use]
    pub fn key(&self) -> RecordKey {
        (self.request_id.clone(), self.index)
    }

    /// Returns the time of the record; the start of 1970 if it is out of range.
    #[must_use]
    pub fn time(&self) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(self.at).unwrap_or_default()
    }

    /// Returns the declared language, else the guessed one.
    #[must_use]
    pub fn any_language(&self) -> Option<&str> {
        self.language.as_deref().or(self.guessed.as_deref())
    }

    /// Appends the record as a line of JSON. Returns false, and appends nothing, if it is longer than 64 KiB.
    pub fn write_line(&self, out: &mut Vec<u8>) -> bool {
        let begin = out.len();
        serde_json::to_writer(&mut *out, &Written { schema: SCHEMA, record: self })
            .expect("a record can be written as JSON");
        out.push(b'\n');
        let fits = out.len() - begin <= MOST_RECORD_BYTES;
        if !fits {
            out.truncate(begin);
        }
        fits
    }

    /// Reads a line.
    ///
    /// # Errors
    /// `BOT-6201` (exit 6) a newer botops wrote it, `BOT-6200` (exit 3) it is no record.
    pub fn read_line(line: &[u8]) -> Result<Self> {
        #[derive(Deserialize)]
        struct Schema {
            schema: String,
        }
        if line.len() > MOST_RECORD_BYTES {
            let message = format!("a record has more than {MOST_RECORD_BYTES} bytes");
            return Err(Fault::data("BOT-6200", message).hint("no version of botops writes one"));
        }
        let damaged = |error: serde_json::Error| {
            Fault::data("BOT-6200", "a line is no record of predictions").caused_by(error)
        };
        check_schema(&serde_json::from_slice::<Schema>(line).map_err(damaged)?.schema, SCHEMA)?;
        let record: Self = serde_json::from_slice(line).map_err(damaged)?;
        let in_range = |p: f64| (0.0..=1.0).contains(&p);
        let all = record.others.iter().map(|likely| likely.p).chain(record.answer_confidence);
        if !in_range(record.confidence) || !all.into_iter().all(in_range) {
            let message = "a probability of a record is not between 0 and 1";
            return Err(Fault::data("BOT-6200", message).hint("no version of botops writes one"));
        }
        Ok(record)
    }
}

/// Checks the schema of a line.
///
/// # Errors
/// `BOT-6201` (exit 6) it is a newer version of `known`, `BOT-6200` (exit 3) it is another one.
pub(crate) fn check_schema(found: &str, known: &'static str) -> Result<()> {
    if found == known {
        return Ok(());
    }
    let shown = botops_text::display(found, 60);
    let (name, version) = known.rsplit_once('/').expect("a schema has a version");
    let newer = found
        .strip_prefix(name)
        .and_then(|rest| rest.strip_prefix('/'))
        .and_then(|number| number.parse::<u32>().ok())
        .is_some_and(|number| version.parse().is_ok_and(|known: u32| number > known));
    Err(match newer {
        true => Fault::policy("BOT-6201", format!("a line has the newer schema `{shown}`"))
            .hint("use a newer botops"),
        false => Fault::data("BOT-6200", format!("a line has the schema `{shown}`, not `{known}`"))
            .hint("is this a file of the prediction log?"),
    })
}

/// Returns a probability to six digits, as records hold it.
#[must_use]
pub fn six_digits(p: f64) -> f64 {
    (p * 1e6).round() / 1e6
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Makes the record number `i`, a second after the one before.
    pub(crate) fn record(i: u32) -> Record {
        Record {
            at: 1_796_000_400_000 + i64::from(i) * 1_000,
            request_id: format!("r-{i}"),
            endpoint: "chat".to_owned(),
            conversation: Some(format!("{:016x}", i / 3)),
            text: Some(format!("where is my order {i}")),
            n_chars: 20,
            language: i.is_multiple_of(5).then(|| "en".to_owned()),
            guessed: Some(if i.is_multiple_of(2) { "en" } else { "fr" }.to_owned()),
            digest: "sha256:ab".to_owned(),
            arm: if i.is_multiple_of(10) { "canary" } else { "primary" }.to_owned(),
            intent: if i.is_multiple_of(4) { "complaint" } else { "order_status" }.to_owned(),
            confidence: f64::from(i % 100) / 100.0,
            others: vec![
                Likely { intent: "billing_question".to_owned(), p: f64::from(i % 40) / 100.0 },
                Likely { intent: "account_help".to_owned(), p: 0.01 },
            ],
            fallback: i.is_multiple_of(7),
            latency_us: 300 + u64::from(i % 50),
            entities: if i.is_multiple_of(3) {
                vec!["order_number".to_owned()]
            } else {
                Vec::new()
            },
            handed_off: i.is_multiple_of(21),
            unresolved: i.is_multiple_of(7),
            ..Record::default()
        }
    }

    /// Makes the record number `i`, as knowledge answered it.
    pub(crate) fn of_knowledge(i: u32) -> Record {
        Record {
            answered_from: Some("manuals".to_owned()),
            chunks: vec!["0a1b".to_owned(), format!("{i:04x}")],
            answer_confidence: Some(0.75),
            tokens: i.is_multiple_of(2).then_some(1_200),
            cost: i.is_multiple_of(2).then_some(0.0015),
            manifest: Some("sha256:cd".to_owned()),
            ..record(i)
        }
    }

    #[test]
    fn a_record_of_an_answer_from_knowledge_is_read_as_it_was_written() {
        for i in 0..4 {
            let mut line = Vec::new();
            assert!(of_knowledge(i).write_line(&mut line));
            assert_eq!(Record::read_line(&line).unwrap(), of_knowledge(i));
        }
        let mut line = Vec::new();
        Record { answer_confidence: Some(1.5), ..of_knowledge(1) }.write_line(&mut line);
        assert_eq!(Record::read_line(&line).unwrap_err().code(), "BOT-6200");
    }

    #[test]
    fn a_record_is_read_as_it_was_written() {
        for i in 0..40 {
            let mut line = Vec::new();
            assert!(record(i).write_line(&mut line));
            assert!(line.starts_with(b"{\"schema\":\"botops.prediction/1\",\"time\":"));
            assert_eq!(Record::read_line(&line).unwrap(), record(i));
        }
    }

    #[test]
    fn a_record_without_the_newer_fields_keeps_its_bytes() {
        let older = br#"{"schema":"botops.prediction/1","time":1796000400000,"request_id":"r","endpoint":"chat","n_chars":3,"digest":"sha256:ab","arm":"primary","intent":"a","confidence":0.5,"latency_us":9}"#;
        let record = Record::read_line(older).unwrap();
        assert!(!record.handed_off && !record.unresolved);
        assert!(record.answered_from.is_none() && record.chunks.is_empty());
        assert!(record.manifest.is_none());
        let mut line = Vec::new();
        assert!(record.write_line(&mut line));
        assert_eq!(line.trim_ascii(), older);
    }

    #[test]
    fn newer_foreign_damaged_and_huge_lines_are_refused() {
        let code = |line: &[u8]| Record::read_line(line).unwrap_err().code();
        assert_eq!(code(br#"{"schema":"botops.prediction/2","x":1}"#), "BOT-6201");
        assert_eq!(code(br#"{"schema":"botops.run/1"}"#), "BOT-6200");
        assert_eq!(code(br#"{"schema":"botops.prediction/1"}"#), "BOT-6200");
        assert_eq!(code(b"\xff"), "BOT-6200");
        let mut line = Vec::new();
        record(1).write_line(&mut line);
        let line =
            String::from_utf8(line).unwrap().replace("\"confidence\":0.01", "\"confidence\":7.5");
        assert_eq!(code(line.as_bytes()), "BOT-6200");
        let huge = Record { text: Some("x".repeat(MOST_RECORD_BYTES)), ..record(1) };
        let mut line = b"before\n".to_vec();
        assert!(!huge.write_line(&mut line));
        assert_eq!(line, b"before\n");
        assert_eq!(code(&vec![b' '; 10 << 20]), "BOT-6200");
    }

    #[test]
    fn a_policy_keeps_the_redacted_text_its_hash_or_nothing() {
        let kept = |policy: TextPolicy| {
            let mut record = Record::default();
            policy.keep(&mut record, "write to ann@example.com", b"key");
            (record.text, record.text_hash, record.n_chars)
        };
        let (text, hash, n) = kept(TextPolicy::Redacted);
        assert!(text.is_some_and(|text| text.starts_with("write to ") && !text.contains("ann")));
        assert_eq!((hash, n), (None, 24));
        let (text, hash, _) = kept(TextPolicy::Hash);
        assert_eq!((text, hash.map(|hash| hash.len())), (None, Some(32)));
        assert_eq!(kept(TextPolicy::None), (None, None, 24));
    }
}
