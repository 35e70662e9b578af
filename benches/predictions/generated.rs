//! Generated records, as a server of a support bot writes them.

use crate::Outcome;
use botops_digest::Digest;
use botops_predictions::{HourKey, Likely, RawRecord, Record, SegmentWriter};
use std::path::Path;

/// The begin of the first hour, in milliseconds since 1970.
const BEGIN: i64 = 1_796_000_400_000;
/// The number of intents.
const INTENTS: u64 = 30;
/// The records of a group, and of a segment.
const GROUP: u64 = 3_000;
const SEGMENT: u64 = 100_000;
const TEXTS: [&str; 6] = [
    "where is my parcel, it should have been here on monday",
    "i want to return the shoes that i bought last week",
    "please cancel the order, i have ordered twice by mistake",
    "my card was charged two times for the same invoice",
    "how do i change the address of my account",
    "je voudrais savoir quand mon colis arrive",
];

/// Makes an empty folder, which is removed in the end.
pub(crate) fn folder() -> Outcome<tempfile::TempDir> {
    let made = match std::env::var_os("BOTOPS_BENCH_DIR") {
        Some(root) => tempfile::tempdir_in(root)?,
        None => tempfile::tempdir()?,
    };
    Ok(made)
}

/// Returns the hour number `hour`.
pub(crate) fn hour_of(hour: u64) -> HourKey {
    HourKey::of_millis(BEGIN + hour as i64 * 3_600_000)
}

/// Makes the record number `i`, with an id that cannot be guessed.
pub(crate) fn raw(i: u64) -> RawRecord {
    let bits = Digest::of(&i.to_le_bytes());
    let hex = bits.hex();
    let draw = u64::from(bits.as_bytes()[31]) + 256 * u64::from(bits.as_bytes()[30]);
    let intent = |n: u64| format!("intent_{:02}", n % INTENTS);
    let confidence = (draw % 1_000_000) as f64 / 1e6;
    let record = Record {
        at: BEGIN,
        request_id: hex[..48].to_owned(),
        endpoint: "chat".to_owned(),
        conversation: Some(format!("conversation-{}", i / 4)),
        language: None,
        guessed: Some(if draw.is_multiple_of(6) { "fr" } else { "en" }.to_owned()),
        digest: format!("sha256:{}", "ab".repeat(32)),
        arm: if draw.is_multiple_of(20) { "canary" } else { "primary" }.to_owned(),
        intent: intent(draw),
        confidence,
        others: vec![
            Likely { intent: intent(draw + 1), p: (1.0 - confidence) / 2.0 },
            Likely { intent: intent(draw + 2), p: (1.0 - confidence) / 4.0 },
        ],
        oos: Some(confidence),
        fallback: confidence < 0.2,
        latency_us: 200 + draw % 900,
        entities: if draw.is_multiple_of(3) { vec!["order".to_owned()] } else { Vec::new() },
        ..Record::default()
    };
    let text = TEXTS[(draw % 6) as usize];
    RawRecord { record, text: format!("{text} #{}", draw % 10_000) }
}

/// Writes the records `range` as segments of an hour into the store at `root`.
pub(crate) fn segments(root: &Path, hour: u64, range: std::ops::Range<u64>) -> Outcome<()> {
    let folder = root.join("predictions/production").join(hour_of(hour).to_string());
    std::fs::create_dir_all(&folder)?;
    let n = range.end - range.start;
    let mut next = range.start;
    while next < range.end {
        let path = folder.join(format!("bench-{next:012}.jsonl.zst"));
        let mut segment = SegmentWriter::create(&path)?;
        let end = (next + SEGMENT).min(range.end);
        while next < end {
            let mut lines = Vec::new();
            for i in next..(next + GROUP).min(end) {
                let RawRecord { mut record, text } = raw(i);
                record.at += hour as i64 * 3_600_000;
                record.at += ((i - range.start) as f64 / n as f64 * 3_599_000.0) as i64;
                record.n_chars = text.chars().count() as u32;
                record.text = Some(text);
                record.conversation =
                    Some(Digest::of(&(i / 4).to_le_bytes()).hex()[..32].to_owned());
                if !record.write_line(&mut lines) {
                    return Err("a record is too long".into());
                }
            }
            segment.append(&lines)?;
            next = (next + GROUP).min(end);
        }
    }
    Ok(())
}
