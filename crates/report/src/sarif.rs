//! A validation as SARIF 2.1.0: code review shows each finding at its line of the data file.

use super::{
    validation::title,
    wording::{count, counted},
};
use botops_findings::{Severity, catalogue};
use botops_validation::Validation;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Returns the findings of the file `name` as a SARIF log.
///
/// Each kept finding is a result at the first line of its record, with a fingerprint that does not change when lines
/// move. A notification per code counts the findings that were not kept. `name` becomes a URI relative to the source
/// root, unless it is an absolute path.
#[must_use]
pub fn validation_sarif(validation: &Validation, name: &str) -> String {
    let codes: BTreeSet<&str> = validation
        .findings
        .iter()
        .map(|finding| finding.code.as_str())
        .chain(validation.checks.iter().map(|check| check.code.as_str()))
        .collect();
    let codes: Vec<&str> = codes.into_iter().collect();
    let rules: Vec<Value> = codes.iter().map(|code| rule(code)).collect();
    let results: Vec<Value> = validation
        .findings
        .iter()
        .enumerate()
        .map(|(i, finding)| {
            let line = finding.place.line.unwrap_or(1);
            let record = finding.place.record.map(|n| format!("record {n}: ")).unwrap_or_default();
            let mut result = json!({
                "ruleId": finding.code,
                "ruleIndex": codes.iter().position(|code| *code == finding.code),
                "level": level(finding.severity),
                "message": { "text": format!("{record}{}. {}.", finding.message, finding.help) },
                "locations": [{
                    "physicalLocation": {
                        "artifactLocation": location(finding.place.file.as_deref().unwrap_or(name)),
                        "region": { "startLine": line.max(1) },
                    },
                }],
            });
            if let Some(mark) = validation.marks.get(i) {
                result["partialFingerprints"] = json!({ "botopsFinding/v1": mark.id.hex() });
            }
            if let Some(column) = finding.place.column {
                result["locations"][0]["physicalLocation"]["region"]["startColumn"] = json!(column);
            }
            result
        })
        .collect();
    let left_out = left_out(validation);
    let notifications: Vec<Value> = left_out
        .iter()
        .map(|text| json!({ "level": "note", "message": { "text": text } }))
        .collect();
    let log = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "botops",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": rules,
            }},
            "columnKind": "unicodeCodePoints",
            "invocations": [{
                "executionSuccessful": true,
                "toolExecutionNotifications": notifications,
            }],
            "results": results,
        }],
    });
    format!("{log:#}\n")
}

/// Returns a line for each code with more findings than were kept.
pub(super) fn left_out(validation: &Validation) -> Vec<String> {
    super::validation::by_code(validation)
        .iter()
        .filter(|group| group.count > group.kept.len() as u64)
        .map(|group| {
            format!(
                "{} {}: {} in all, {} listed",
                group.code,
                title(group.code),
                counted(group.count, "finding", "findings"),
                count(group.kept.len() as u64)
            )
        })
        .collect()
}

fn rule(code: &str) -> Value {
    let (title, explanation) =
        catalogue::find(code).map_or((code, code), |entry| (entry.title, entry.explanation));
    json!({
        "id": code,
        "shortDescription": { "text": title },
        "fullDescription": { "text": explanation },
        "help": { "text": format!("{explanation} `botops explain {code}` prints this text.") },
    })
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Info => "note",
    }
}

/// Returns the location of `file` as a URI.
fn location(file: &str) -> Value {
    let path = file.strip_prefix("./").unwrap_or(file).replace('\\', "/");
    let mut uri = String::with_capacity(path.len());
    for byte in path.bytes() {
        // RFC 3986: unreserved characters and the path separator stay as they are.
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            uri += &format!("%{byte:02X}");
        }
    }
    if path.starts_with('/') {
        json!({ "uri": format!("file://{uri}") })
    } else {
        json!({ "uri": uri, "uriBaseId": "%SRCROOT%" })
    }
}
