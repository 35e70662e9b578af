//! A validation as annotations of GitHub Actions, within the limits of a step.

use super::{
    validation::{by_code, summary, title},
    wording::{count, counted},
};
use botops_findings::{Finding, Severity};
use botops_validation::Validation;

/// The most annotations of each kind that GitHub shows for a step. It drops the others silently.
const MOST: usize = 10;

/// Returns workflow commands that annotate the lines of the file `name` with the findings.
///
/// There are at most ten errors, ten warnings and ten notices: the first finding of each code, then the second of each,
/// and so on. If there are more, the last annotation of the kind counts them by code.
#[must_use]
pub fn validation_annotations(validation: &Validation, name: &str) -> String {
    let mut out = annotations(validation, name);
    let (_, word, sentence) = summary(validation);
    out += &format!("{word} {sentence}\n");
    out
}

/// Returns the commands of [`validation_annotations`], without the sentence below them.
pub(super) fn annotations(validation: &Validation, name: &str) -> String {
    let mut out = String::new();
    for (severity, command) in
        [(Severity::Error, "error"), (Severity::Warning, "warning"), (Severity::Info, "notice")]
    {
        let groups: Vec<_> =
            by_code(validation).into_iter().filter(|group| group.severity == severity).collect();
        let total: u64 = groups.iter().map(|group| group.count).sum();
        let most = if total > MOST as u64 { MOST - 1 } else { MOST };
        let longest = groups.iter().map(|group| group.kept.len()).max().unwrap_or(0);
        let shown: Vec<&Finding> = (0..longest)
            .flat_map(|nth| groups.iter().filter_map(move |group| group.kept.get(nth).copied()))
            .take(most)
            .collect();
        for finding in &shown {
            out += &annotation(command, finding, name);
        }
        let more = total - shown.len() as u64;
        if more > 0 {
            let codes: Vec<String> = groups
                .iter()
                .map(|group| format!("{} {} {}", count(group.count), group.code, title(group.code)))
                .collect();
            let text = format!(
                "{more} more findings that a step cannot show; in total {}",
                codes.join(", "),
                more = count(more)
            );
            let heading = property(&counted(more, "more finding", "more findings"));
            out +=
                &format!("::{command} file={},title={heading}::{}\n", property(name), data(&text));
        }
    }
    out
}

fn annotation(command: &str, finding: &Finding, name: &str) -> String {
    let place = &finding.place;
    let file = property(place.file.as_deref().unwrap_or(name));
    let line = place.line.map(|line| format!(",line={line}")).unwrap_or_default();
    let heading = property(&format!("{} {}", finding.code, title(&finding.code)));
    let record = place.record.map(|n| format!("record {n}: ")).unwrap_or_default();
    let text = data(&format!("{record}{}\nhelp: {}", finding.message, finding.help));
    format!("::{command} file={file}{line},title={heading}::{text}\n")
}

/// Escapes the text of a command, in which a line break would start another command.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// Escapes a property of a command, which a comma or a colon would end.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
