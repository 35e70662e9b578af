//! Tables of a page.

use super::page::{escape, scroll_box};

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Column {
    /// A short name.
    Name,
    /// A number, to the right.
    Number,
    /// A drawing.
    Chart,
    /// A sentence.
    Text,
    /// Anything else.
    Plain,
}

impl Column {
    fn class(self) -> &'static str {
        match self {
            Self::Name => " class=\"name\"",
            Self::Number => " class=\"n\"",
            Self::Chart => " class=\"chart\"",
            Self::Text => " class=\"text\"",
            Self::Plain => "",
        }
    }
}

/// What a table does where it does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Narrow {
    /// It scrolls in a box of its own.
    Scroll,
    /// Each row becomes a small list.
    Stack,
}

/// Returns a table; headings are plain text, cells HTML.
pub(super) fn table(
    label: &str,
    narrow: Narrow,
    columns: &[(&str, Column)],
    rows: impl IntoIterator<Item = Vec<String>>,
) -> String {
    let head: String = columns
        .iter()
        .map(|(name, column)| {
            let class = if *column == Column::Number { " class=\"n\"" } else { "" };
            format!("<th scope=\"col\"{class}>{}</th>", escape(name))
        })
        .collect();
    let mut body = String::new();
    for row in rows {
        debug_assert_eq!(row.len(), columns.len(), "a row of {label} has other columns");
        body += "<tr>";
        for ((name, column), cell) in columns.iter().zip(row) {
            body += &format!(
                "<td{} data-label=\"{}\">{}</td>",
                column.class(),
                escape(name),
                // On a phone the cell is a grid of label and value: the value has to be one thing.
                if narrow == Narrow::Stack { format!("<span>{cell}</span>") } else { cell }
            );
        }
        body += "</tr>\n";
    }
    // Sentences take the room there is; numbers stay near the names they belong to.
    let wide = columns.iter().any(|(_, column)| *column == Column::Text);
    let class = match (narrow, wide) {
        (Narrow::Stack, true) => "wide stack",
        (Narrow::Stack, false) => "stack",
        (Narrow::Scroll, true) => "wide",
        (Narrow::Scroll, false) => "",
    };
    let table = format!(
        "<table class=\"{class}\"><thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody></table>"
    );
    match narrow {
        Narrow::Scroll => scroll_box(label, &table),
        Narrow::Stack => table,
    }
}
