//! The kinds of outputs, and the marks by which a file that botops wrote is recognised.
//!
//! | kind | an existing file that botops wrote |
//! |---|---|
//! | model | begins with the signature of a model file |
//! | page | HTML that names botops as its generator |
//! | JSON | has the `schema` of this document |
//! | SARIF, JUnit, annotations, Markdown | names botops as the tool, or has the form of the report |
//! | settings | YAML that begins with the comment of `botops tune` |
//! | predictions, quarantine | has the header of the table; predictions may be JSONL |
//! | other | cannot be recognised, because people edit it or it looks like any table |

/// The kind of an output, which decides how a file that botops wrote is recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputKind {
    /// A model file.
    Model,
    /// The index of a knowledge base.
    Knowledge,
    /// A report page in HTML.
    Page,
    /// A JSON document whose `schema` is `botops.<name>/<version>`, with this name.
    Json(&'static str),
    /// A report in SARIF.
    Sarif,
    /// A report in JUnit XML.
    Junit,
    /// Annotations of GitHub Actions.
    Annotations,
    /// A validation report in Markdown.
    Markdown,
    /// A model configuration of `botops tune`.
    Settings,
    /// Predictions, as CSV, TSV or JSONL.
    Predictions,
    /// Rejected records with reasons, as CSV.
    Quarantine,
    /// Content that cannot be recognised: tables of records, and files that people edit.
    Other,
}

impl OutputKind {
    /// Returns the kind as a noun; `None` for content that cannot be recognised.
    pub(crate) fn noun(self) -> Option<&'static str> {
        Some(match self {
            Self::Model => "a model of botops",
            Self::Knowledge => "an index of botops",
            Self::Page => "a report page of botops",
            Self::Json(_) => "such a JSON document of botops",
            Self::Sarif | Self::Junit | Self::Annotations | Self::Markdown => "a report of botops",
            Self::Settings => "a configuration of `botops tune`",
            Self::Predictions => "a list of predictions",
            Self::Quarantine => "a quarantine",
            Self::Other => return None,
        })
    }

    /// Returns whether `content`, the beginning of a file, has the marks that botops writes.
    pub(crate) fn recognises(self, content: &[u8]) -> bool {
        let head = &content[..content.len().min(4 << 10)];
        let has = |content: &[u8], mark: &str| {
            content.windows(mark.len()).any(|window| window == mark.as_bytes())
        };
        let line = content.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        match self {
            Self::Model => content.starts_with(b"\x89BOTOPS\n"),
            Self::Knowledge => content.starts_with(b"\x89BOTKNW\n"),
            // Pages of version 0.1 have no generator, but a title such as `train.csv · botops validation`.
            Self::Page => {
                head.starts_with(b"<!doctype html>")
                    && (has(head, "<meta name=\"generator\" content=\"botops ")
                        || has(head, " · botops "))
            }
            Self::Json(name) => {
                let has_schema = |space| has(head, &format!("\"schema\":{space}\"botops.{name}/"));
                head.starts_with(b"{") && (has_schema("") || has_schema(" "))
            }
            Self::Sarif => {
                head.starts_with(b"{")
                    && has(head, "json.schemastore.org/sarif")
                    && has(content, "\"name\": \"botops\"")
            }
            Self::Junit => head.starts_with(b"<?xml") && has(head, "<testsuites name=\"botops "),
            Self::Annotations => is_annotations(content),
            Self::Markdown => {
                line.starts_with(b"### Validation of ") || line.starts_with(b"## botops: ")
            }
            Self::Settings => line.starts_with(b"# The winner of `botops tune "),
            Self::Predictions => is_predictions(line),
            // Quarantines of version 0.1 have no fingerprint.
            Self::Quarantine => is_quarantine(content),
            Self::Other => false,
        }
    }
}

/// Returns whether `content` begins with the header of a quarantine: with commas, or with semicolons after a byte-order mark
/// and without a carriage return, as no spreadsheet saves it.
fn is_quarantine(content: &[u8]) -> bool {
    let line = content.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let begins = |line: &[u8], header: &[u8], delimiter: u8| {
        line.strip_prefix(header)
            .is_some_and(|rest| rest.first().is_none_or(|next| *next == delimiter))
    };
    let marked = line.strip_prefix("\u{feff}".as_bytes()).filter(|line| !line.ends_with(b"\r"));
    begins(line.strip_suffix(b"\r").unwrap_or(line), b"file,record,line,codes,reasons", b',')
        || marked.is_some_and(|line| begins(line, b"file;record;line;codes;reasons", b';'))
}

/// Returns whether `content` is a list of annotations, if there are any, and the line that sums up a validation or a run.
fn is_annotations(content: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(content) else { return false };
    let lines: Vec<&str> = text.lines().collect();
    let Some((last, annotations)) = lines.split_last() else { return false };
    let commands = ["::error file=", "::warning file=", "::notice file="];
    let is_annotation = |line: &&str| commands.iter().any(|command| line.starts_with(command));
    let is_summary =
        last.ends_with(" can be used for training.") || last.starts_with("botops run: ");
    is_summary && annotations.iter().all(is_annotation)
}

/// Returns whether `line` is the first of a list of predictions: the header of the CSV or TSV, or an object of the
/// JSONL.
fn is_predictions(line: &[u8]) -> bool {
    const HEADERS: [&[u8]; 2] = [
        b"record,text,intent,confidence,fallback",
        b"record,text,truth,intent,confidence,fallback",
    ];
    let has = |mark: &[u8]| line.windows(mark.len()).any(|window| window == mark);
    let is_object = line.starts_with(b"{\"record\":") || line.starts_with(b"{\"text\":");
    // Columns with the probabilities of intents may follow.
    let with_commas: Vec<u8> = match line.starts_with(b"record\t") {
        true => line.iter().map(|byte| if *byte == b'\t' { b',' } else { *byte }).collect(),
        false => line.to_vec(),
    };
    let is_header = |header: &&[u8]| {
        with_commas.strip_prefix(*header).is_some_and(|rest| {
            rest.is_empty() || rest.starts_with(b",p_") || rest.starts_with(b",\"p_")
        })
    };
    HEADERS.iter().any(is_header)
        || is_object && has(b"\"confidence\":") && has(b"\"fallback\":") && has(b"\"scores\":")
}
