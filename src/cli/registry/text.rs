//! Versions, manifests and logs as text.

use super::{held_knowledge::HeldKnowledge, numbering::numbers};
use crate::cli::{runs::run_text, terminal::tables};
use botops_digest::Digest;
use botops_registry::{Action, Event, Reign, Version, Withdrawal};
use botops_store::Entry;
use std::collections::BTreeMap;

/// Renders the versions of a model, the newest first.
pub(super) fn versions(versions: &[Version]) -> String {
    let any_withdrawn = versions.iter().any(|version| !state(version).is_empty());
    let rows = versions.iter().rev().map(|version| {
        let accuracy = version.manifest.metrics.get("accuracy");
        let mut row = vec![
            version.reference(),
            version.aliases.join(", "),
            version.manifest.run.clone().unwrap_or_else(|| "-".to_owned()),
            accuracy.map_or("-".to_owned(), |metric| format!("{:.3}", metric.value)),
            version.actor.clone(),
            tables::time(&version.registered_at),
        ];
        if any_withdrawn {
            row.push(state(version));
        }
        row
    });
    let mut header = vec!["version", "aliases", "run", "accuracy", "by", "registered (UTC)"];
    if any_withdrawn {
        header.push("state");
    }
    tables::table(&header, rows, &[3])
}

/// Returns the state of a version: `yanked, deprecated, erased`, or an empty text.
fn state(version: &Version) -> String {
    let of = |kind: Withdrawal| version.withdrawn(kind).map(|_| kind.name());
    let words = [Withdrawal::Yanked, Withdrawal::Deprecated].into_iter().filter_map(of);
    let words = words.chain(version.erased.as_ref().map(|_| "erased"));
    words.collect::<Vec<_>>().join(", ")
}

/// Renders the warnings about a withdrawn version, a line each.
pub(in crate::cli) fn warnings(version: &Version) -> String {
    tables::warnings(&version.warnings())
}

/// Renders one version with its knowledge.
pub(super) fn version(version: &Version, knowledge: &[HeldKnowledge]) -> String {
    let manifest = &version.manifest;
    let mut out = format!(
        "{} ({})\nregistered {} UTC by {}\n",
        version.reference(),
        version.manifest_digest,
        tables::time(&version.registered_at),
        version.actor
    );
    let lines = [
        ("aliases", (!version.aliases.is_empty()).then(|| version.aliases.join(", "))),
        ("run", manifest.run.clone()),
        ("data", manifest.data.map(|digest| digest.to_string())),
        ("gates", Some(manifest.gates.map_or("none".to_owned(), |digest| digest.to_string()))),
        ("code", manifest.git_commit.clone()),
        ("made by", Some(format!("{}, botops {}", manifest.creator, manifest.botops))),
        ("intents", Some(format!("{}: {}", manifest.intents.len(), manifest.intents.join(", ")))),
    ];
    for (name, value) in lines {
        if let Some(value) = value {
            out.push_str(&format!("{name}: {}\n", botops_text::display(&value, 400)));
        }
    }
    out.extend(knowledge.iter().map(HeldKnowledge::line));
    out.push_str(&warnings(version));
    let files = manifest.files.iter().map(|file| {
        vec![
            file.path.clone(),
            tables::count(file.size_bytes),
            file.media_type.clone(),
            file.digest.to_string(),
        ]
    });
    out.push_str(&format!(
        "\n{}",
        tables::table(&["file", "bytes", "type", "digest"], files, &[1])
    ));
    if !manifest.metrics.is_empty() {
        out.push_str(&format!("\n{}", tables::metrics(&manifest.metrics)));
    }
    out.push_str(&run_text::pairs(["param", "value"], run_text::params(&manifest.params)));
    out
}

/// Renders a log, the oldest entry first; the column `chain` has the digest of the previous entry.
pub(super) fn history(entries: &[Entry<Event>]) -> String {
    let numbers = numbers(entries);
    let rows = entries.iter().map(|entry| {
        let event = &entry.payload;
        vec![
            entry.seq.to_string(),
            tables::time(&event.at),
            event.actor.clone(),
            action(&event.action, &numbers),
            event.reason.clone(),
            entry.previous.map_or("-".to_owned(), |digest| digest.short()),
        ]
    });
    tables::table(&["n", "when (UTC)", "who", "what", "why", "chain"], rows, &[0])
}

/// Renders the moves of the champion in an environment, the oldest first; nothing without one. `entries` is the log of the
/// model, which numbers its versions.
pub(super) fn champions(environment: &str, moves: &[Reign], entries: &[Entry<Event>]) -> String {
    if moves.is_empty() {
        return String::new();
    }
    let numbers = numbers(entries);
    let rows = moves.iter().map(|reign| {
        let (from, to, evidence) = (reign.moved.from(), reign.moved.to(), reign.moved.evidence());
        let moved = Action::AliasMoved { alias: "champion".to_owned(), from, to, evidence };
        vec![
            reign.seq.to_string(),
            tables::time(&reign.at),
            reign.actor.clone(),
            action(&moved, &numbers),
            reign.reason.clone(),
        ]
    });
    let table = tables::table(&["n", "when (UTC)", "who", "what", "why"], rows, &[0]);
    format!("\nchampions in {environment}\n{table}")
}

/// Describes an action, with versions by number.
fn action(action: &Action, numbers: &BTreeMap<Digest, u64>) -> String {
    let version = |digest: &Digest| match numbers.get(digest) {
        Some(number) => format!("@{number}"),
        None => digest.short(),
    };
    match action {
        Action::Registered { manifest } => {
            format!("registered {} ({})", version(manifest), manifest.short())
        }
        Action::AliasMoved { alias, from, to, evidence } => {
            let from = from.as_ref().map_or("new".to_owned(), version);
            let evidence =
                evidence.map_or(String::new(), |digest| format!(", gates {}", digest.short()));
            format!("{alias}: {from} -> {}{evidence}", version(to))
        }
        Action::AliasRemoved { alias, from } => format!("{alias}: removed from {}", version(from)),
        Action::Yanked { manifest } => format!("yanked {}", version(manifest)),
        Action::Unyanked { manifest } => format!("took back the yank of {}", version(manifest)),
        Action::Deprecated { manifest } => format!("deprecated {}", version(manifest)),
        Action::Undeprecated { manifest } => {
            format!("took back the deprecation of {}", version(manifest))
        }
        Action::Erased { manifest, files, .. } => {
            let files: Vec<String> =
                files.iter().map(|file| botops_text::display(file, 60)).collect();
            format!("erased {} of {}", files.join(", "), version(manifest))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::DateTime;

    fn entry(seq: u64, action: Action) -> Entry<Event> {
        let event = Event {
            at: DateTime::from_timestamp(1_767_603_600, 0).unwrap(),
            actor: "ada".to_owned(),
            reason: "better".to_owned(),
            action,
        };
        Entry { schema: "botops.log/1".to_owned(), seq, previous: None, payload: event }
    }

    #[test]
    fn a_log_numbers_versions_in_the_order_of_registration() {
        let [first, second, foreign] = [&b"first"[..], b"second", b"foreign"].map(Digest::of);
        let entries = [
            entry(1, Action::Registered { manifest: first }),
            entry(
                2,
                Action::AliasMoved {
                    alias: "champion".to_owned(),
                    from: None,
                    to: first,
                    evidence: Some(foreign),
                },
            ),
            entry(3, Action::Registered { manifest: second }),
        ];
        let numbers = numbers(&entries);
        let lines: Vec<String> =
            entries.iter().map(|entry| action(&entry.payload.action, &numbers)).collect();
        assert_eq!(lines[0], format!("registered @1 ({})", first.short()));
        assert_eq!(lines[1], format!("champion: new -> @1, gates {}", foreign.short()));
        assert_eq!(lines[2], format!("registered @2 ({})", second.short()));
        let moved = Action::AliasMoved {
            alias: "beta".to_owned(),
            from: Some(second),
            to: foreign,
            evidence: None,
        };
        assert_eq!(action(&moved, &numbers), format!("beta: @2 -> {}", foreign.short()));
        let removed = Action::AliasRemoved { alias: "beta".to_owned(), from: second };
        assert_eq!(action(&removed, &numbers), "beta: removed from @2");
    }
}
