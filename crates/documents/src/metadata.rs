//! The metadata of documents: that of the file, that which was declared, and what follows from the text.

use crate::{
    builder::one_line,
    document::{Block, BlockKind, Document},
    file::FileSource,
    format::DocumentFormat,
};
use botops_text::LanguageGuesser;
use chrono::{DateTime, NaiveDate, Utc};
use std::collections::BTreeMap;
use url::Url;

/// Takes the metadata of a file over.
pub(crate) fn apply(document: &mut Document, values: BTreeMap<String, Vec<String>>) {
    for (key, list) in values {
        let first = list.first().cloned();
        match key.to_lowercase().as_str() {
            "title" => document.title = first.unwrap_or_default(),
            "url" | "link" => document.url = first,
            "language" | "lang" => document.language = first,
            "updated_at" | "updated" | "date" | "lastmod" => {
                document.updated_at = first.as_deref().and_then(time);
            }
            "access" => document.access.extend(list.iter().flat_map(|text| access_tags(text))),
            _ => {
                document.metadata.insert(key, list.join(", "));
            }
        }
    }
}

/// Returns the access tags of a text such as `staff, partners`, in brackets and quotes or without.
pub(crate) fn access_tags(text: &str) -> impl Iterator<Item = String> {
    let tags = text.split([',', ';']);
    let tags = tags.map(|tag| tag.trim_matches(|c: char| c.is_whitespace() || "[]\"'".contains(c)));
    tags.filter(|tag| !tag.is_empty()).map(str::to_owned)
}

pub(crate) fn time(text: &str) -> Option<DateTime<Utc>> {
    let day = || Some(text.get(..10)?.parse::<NaiveDate>().ok()?.and_hms_opt(0, 0, 0)?.and_utc());
    DateTime::parse_from_rfc3339(text).ok().map(|time| time.to_utc()).or_else(day)
}

/// Fills the metadata that the file left out, and lets the declared metadata win.
pub(crate) fn finish(document: &mut Document, source: &FileSource<'_>, format: DocumentFormat) {
    let declared = source.declared;
    if declared.url.is_some() {
        document.url.clone_from(&declared.url);
    }
    // A link is shown to people: only an address of the web is one.
    document.url = document.url.take().filter(|url| {
        Url::parse(url)
            .is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.username().is_empty())
    });
    if declared.updated_at.is_some() {
        document.updated_at = declared.updated_at;
    }
    document.access.extend(declared.access.iter().cloned());
    document.metadata.extend(declared.metadata.clone());
    if declared.language.is_some() {
        document.language.clone_from(&declared.language);
    }
    let tag = document.language.take().map(|tag| tag.trim().to_lowercase().replace('_', "-"));
    document.language =
        tag.filter(|tag| !tag.is_empty() && tag.len() <= 16).or_else(|| guess(&document.blocks));
    if document.title.trim().is_empty() {
        let is_heading = |block: &&Block| matches!(block.kind, BlockKind::Heading { .. });
        let heading = document.blocks.iter().find(is_heading).map(|block| block.text.clone());
        let name = source.name.rsplit('/').next().unwrap_or(source.name);
        let stem = match format {
            DocumentFormat::Questions => name,
            _ => name.rsplit_once('.').map_or(name, |(stem, _)| stem),
        };
        document.title = heading.unwrap_or_else(|| stem.replace(['-', '_'], " "));
    }
    document.title = one_line(&document.title).chars().take(300).collect();
}

/// Guesses the language from the beginning of the text.
fn guess(blocks: &[Block]) -> Option<String> {
    let mut text = String::new();
    for block in blocks {
        if text.len() > 1_000 {
            break;
        }
        text.push_str(&block.text);
        text.push(' ');
    }
    LanguageGuesser::any().guess(&text).map(|guess| guess.code().to_owned())
}
