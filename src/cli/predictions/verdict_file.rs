//! A file of verdicts.

use botops_findings::{Fault, Place, Result};
use botops_labels::OOS;
use botops_predictions::{SourceClass, Verdict};
use botops_registry::Registry;
use botops_spec::nearest;
use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;
use std::{
    collections::BTreeSet,
    fs::File,
    io::{self, BufRead, BufReader, Read as _},
    path::Path,
};

/// The most bytes of a line.
const MOST_LINE_BYTES: u64 = 16 << 10;
/// The bytes that some editors write at the begin of a file.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
/// The lead of another clock over ours that is no mistake.
const SKEW: TimeDelta = TimeDelta::minutes(5);
/// The most verdicts of a file.
const MOST_VERDICTS: usize = 1_000_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    request_id: String,
    #[serde(default)]
    intent: Option<String>,
    #[serde(default)]
    satisfaction: Option<u8>,
    #[serde(default)]
    index: u32,
    #[serde(default)]
    time: Option<DateTime<Utc>>,
    #[serde(default)]
    source: Option<SourceClass>,
}

/// The lines of the file, or of standard input for `-`.
fn lines_of(path: &Path) -> io::Result<Box<dyn BufRead>> {
    Ok(match path == Path::new("-") {
        true => Box::new(io::stdin().lock()),
        false => Box::new(BufReader::new(File::open(path)?)),
    })
}

/// Reads every verdict of a file of JSON lines, or of standard input for `-`; a byte order mark is skipped. Those without a time are of `now`, and those without a source are of a
/// reviewer.
///
/// # Errors
/// `BOT-6211` (exit 3) with the line that cannot be read; `BOT-2101`-like faults of the file are `BOT-1001` (exit 2).
pub(super) fn read(path: &Path, now: DateTime<Utc>) -> Result<Vec<(u64, Verdict)>> {
    let unread = |error: io::Error| {
        Fault::usage("BOT-1001", format!("the verdicts cannot be read: {error}"))
            .file(path)
            .caused_by(error)
    };
    let mut lines = lines_of(path).map_err(unread)?;
    let mut verdicts = Vec::new();
    let (mut number, mut line) = (0, Vec::new());
    loop {
        line.clear();
        number += 1;
        let read = (&mut lines).take(MOST_LINE_BYTES).read_until(b'\n', &mut line);
        if read.map_err(unread)? == 0 {
            break;
        }
        if number == 1 && line.starts_with(BYTE_ORDER_MARK) {
            line.drain(..BYTE_ORDER_MARK.len());
        }
        if line.trim_ascii().is_empty() {
            continue;
        }
        let refused = |message: String| {
            let place = Place { line: Some(number), ..Place::default() };
            Fault::data("BOT-6211", message).at(place).file(path).hint(
                "a verdict is a line such as {\"request_id\": \"…\", \"intent\": \"order_status\"}",
            )
        };
        if line.len() as u64 == MOST_LINE_BYTES && !line.ends_with(b"\n") {
            return Err(refused(format!("a line has more than {MOST_LINE_BYTES} bytes")));
        }
        let it: Line = serde_json::from_slice(&line)
            .map_err(|error| refused(format!("a verdict cannot be read: {error}")))?;
        if it.request_id.is_empty() {
            return Err(refused("`request_id` must not be empty".to_owned()));
        }
        if it.time.is_some_and(|time| time > now + SKEW) {
            return Err(refused("`time` is in the future".to_owned()));
        }
        if verdicts.len() == MOST_VERDICTS {
            return Err(refused(format!("a file has at most {MOST_VERDICTS} verdicts")));
        }
        let verdict = Verdict {
            at: it.time.unwrap_or(now).timestamp_millis(),
            request_id: it.request_id,
            index: it.index,
            intent: it.intent,
            source: it.source.unwrap_or(SourceClass::Reviewer),
            satisfaction: it.satisfaction,
        };
        verdict.check().map_err(|fault| refused(fault.message().to_owned()))?;
        verdicts.push((number, verdict));
    }
    if verdicts.is_empty() {
        return Err(Fault::data("BOT-6211", "the file has no verdict").file(path));
    }
    Ok(verdicts)
}

/// Refuses a verdict that names an intent that no version in the registry knows, and not `oos`: it may be misspelled, and would
/// make a right answer wrong. A registry without a version knows nothing, as a server without a model: everything passes.
///
/// # Errors
/// `BOT-6211` (exit 3) with the line; those of the registry.
pub(super) async fn check_intents(
    registry: &Registry,
    verdicts: &[(u64, Verdict)],
    path: &Path,
) -> Result<()> {
    let mut known = BTreeSet::new();
    for model in registry.models().await? {
        let versions = registry.versions(&model).await?;
        known.extend(versions.into_iter().flat_map(|version| version.manifest.intents));
    }
    if known.is_empty() {
        return Ok(());
    }
    for (line, verdict) in verdicts {
        let Some(intent) = &verdict.intent else { continue };
        if intent == OOS || known.contains(intent) {
            continue;
        }
        let shown = botops_text::display(intent, 60);
        let message = format!("`{shown}` is an intent of no model in the registry, and not `oos`");
        let near = nearest(intent, known.iter().map(String::as_str));
        let fault = Fault::data("BOT-6211", message)
            .at(Place { line: Some(*line), ..Place::default() })
            .file(path);
        return Err(match near {
            Some(near) => fault.hint(format!("did you mean `{near}`?")),
            None => fault.hint("for a message that fits no intent, write `oos`"),
        });
    }
    Ok(())
}
