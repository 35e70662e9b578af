//! The tables of a page.

use super::{html::escape, page::scroll_box};

/// The content of a column, which determines its style.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Column {
    /// A short name.
    Name,
    /// A number, aligned to the right.
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

/// The layout of a table on a narrow screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Narrow {
    /// The table scrolls in a box.
    Scroll,
    /// Each row becomes a small list.
    Stack,
}

/// Returns a table. Headings are plain text, cells are HTML.
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
        debug_assert_eq!(
            row.len(),
            columns.len(),
            "a row of {label} has a different number of columns"
        );
        body += "<tr>";
        for ((name, column), cell) in columns.iter().zip(row) {
            body += &format!(
                "<td{} data-label=\"{}\">{}</td>",
                column.class(),
                escape(name),
                // On a phone the cell is a grid of label and value, so the value must be one element.
                if narrow == Narrow::Stack { format!("<span>{cell}</span>") } else { cell }
            );
        }
        body += "</tr>\n";
    }
    // A table with sentences takes the full width. Otherwise numbers stay close to their names.
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
