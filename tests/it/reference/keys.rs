//! Tables of the keys of a type, and of the types below it.

use super::rust_types::{Default, Field, Known, Shape, Types};
use std::collections::BTreeSet;

/// One page of keys.
pub(crate) struct Page<'a> {
    types: &'a Types,
    text: String,
    done: BTreeSet<(String, String)>,
    open: Vec<(String, Option<String>, String)>,
    /// Whether the file is read, so that fields have defaults, or only written.
    is_read: bool,
    /// The heading of the next section, if it is not the name of the type.
    title: Option<String>,
}

impl<'a> Page<'a> {
    /// Begins a page with `head`.
    pub(crate) fn new(types: &'a Types, head: &str) -> Self {
        Self {
            types,
            text: head.to_owned(),
            done: BTreeSet::new(),
            open: Vec::new(),
            is_read: true,
            title: None,
        }
    }

    /// Adds text.
    pub(crate) fn push(&mut self, text: &str) {
        self.text.push_str(text);
    }

    /// Adds the keys of `name` under `title`, where the name of the type alone would not tell it from others.
    pub(crate) fn titled(
        &mut self,
        title: &str,
        room: &str,
        file: Option<&str>,
        name: &str,
        is_read: bool,
    ) {
        self.title = Some(title.to_owned());
        match is_read {
            true => self.keys(room, file, name),
            false => self.answer(room, file, name),
        }
    }

    /// Adds the keys of `name`, a type of `room` that is only written.
    pub(crate) fn answer(&mut self, room: &str, file: Option<&str>, name: &str) {
        self.is_read = false;
        self.keys(room, file, name);
        self.is_read = true;
    }

    /// Adds the keys of `name`, a type of `room`, and of every type that they lead to.
    pub(crate) fn keys(&mut self, room: &str, file: Option<&str>, name: &str) {
        self.open.push((room.to_owned(), file.map(str::to_owned), name.to_owned()));
        while !self.open.is_empty() {
            let (room, file, name) = self.open.remove(0);
            let known = self
                .types
                .find(&room, file.as_deref(), &name)
                .unwrap_or_else(|| panic!("there is no type `{name}` in `{room}`"));
            if self.done.insert((known.room.clone(), format!("{}{name}", known.file))) {
                self.section(&name, known);
            }
        }
    }

    fn section(&mut self, name: &str, known: &Known) {
        let title = self.title.take().unwrap_or_else(|| format!("`{name}`"));
        let doc = prose(&known.doc);
        self.text.push_str(&format!("\n### {title}\n"));
        if !doc.is_empty() {
            self.text.push_str(&format!("\n{doc}\n"));
        }
        match &known.shape {
            Shape::Fields(fields) if fields.is_empty() => {}
            Shape::Fields(fields) => {
                let default = if self.is_read { " default |" } else { "" };
                let rule = if self.is_read { "---|" } else { "" };
                self.text.push_str(&format!(
                    "\n| key | type |{default} meaning |\n|---|---|{rule}---|\n"
                ));
                for field in fields {
                    self.row(known, field);
                }
            }
            Shape::Values(values) => {
                self.text.push_str("\n| value | meaning |\n|---|---|\n");
                for (value, doc) in values {
                    self.text.push_str(&format!("| `{value}` | {} |\n", cell(doc)));
                }
            }
            Shape::Tagged(variants) => {
                self.text.push_str("\n| key | holds | meaning |\n|---|---|---|\n");
                for (value, inner, doc) in variants {
                    let holds = self.kind(known, inner);
                    self.text.push_str(&format!("| `{value}` | {holds} | {} |\n", cell(doc)));
                }
            }
            Shape::Opaque => {}
        }
    }

    fn row(&mut self, known: &Known, field: &Field) {
        let kind = self.kind(known, &field.kind);
        if field.is_flat {
            let default = if self.is_read { " |" } else { "" };
            self.text
                .push_str(&format!("| the keys of {kind} | |{default} {} |\n", cell(&field.doc)));
            return;
        }
        let default = match self.is_read {
            true => format!(" {} |", self.default(known, field)),
            false => String::new(),
        };
        self.text.push_str(&format!(
            "| `{}` | {kind} |{default} {} |\n",
            field.name,
            cell(&field.doc)
        ));
    }

    fn default(&self, known: &Known, field: &Field) -> String {
        match &field.default {
            Default::Required if field.kind.starts_with("Option<") => "none".to_owned(),
            Default::Required => "required".to_owned(),
            Default::OfType => self.default_of_type(known, &field.kind),
            Default::Is(value) => {
                readable(value).unwrap_or_else(|| self.default_of_type(known, &field.kind))
            }
        }
    }

    fn default_of_type(&self, known: &Known, kind: &str) -> String {
        let plain = match kind {
            kind if kind.starts_with("Option<") => "none",
            kind if kind.starts_with("Vec<") || kind.contains("Map<") || kind.contains("Set<") => {
                "empty"
            }
            "bool" => "`false`",
            "String" => "empty",
            kind if is_number(kind) => "`0`",
            _ => "",
        };
        if !plain.is_empty() {
            return plain.to_owned();
        }
        let inner = kind.trim_start_matches("Box<").trim_end_matches('>');
        match self.types.meant(known, inner).map(|known| (&known.shape, &known.default_value)) {
            Some((Shape::Values(_), Some(value))) => format!("`{value}`"),
            Some((Shape::Fields(_), _)) => format!("that of each key of `{inner}`"),
            _ => "see below".to_owned(),
        }
    }

    /// Returns a type as a reader of YAML or JSON knows it, and queues the types that have a section of their own.
    fn kind(&mut self, known: &Known, kind: &str) -> String {
        let inside = |kind: &str, prefix: &str| {
            kind.strip_prefix(prefix).and_then(|rest| rest.strip_suffix('>')).map(str::to_owned)
        };
        for wrapper in ["Option<", "Box<", "Arc<", "Cow<'a,", "Cow<"] {
            if let Some(inner) = inside(kind, wrapper) {
                return self.kind(known, &inner);
            }
        }
        if let Some(inner) = inside(kind, "Vec<").or_else(|| inside(kind, "BTreeSet<")) {
            return format!("list of {}", self.kind(known, &inner));
        }
        if let Some(inner) = inside(kind, "BTreeMap<").or_else(|| inside(kind, "HashMap<")) {
            let (key, value) = inner.split_once(',').unwrap_or((&inner, ""));
            let _ = self.kind(known, key);
            return format!("map of {}", self.kind(known, value));
        }
        if let Some(inner) = kind.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            let (inner, n) = inner.split_once(';').unwrap_or((inner, ""));
            let n = if n.is_empty() { String::new() } else { format!("{n} ") };
            return format!("list of {n}{}", self.kind(known, inner));
        }
        let kind = kind.split('<').next().unwrap_or(kind);
        let plain = match kind {
            // Text that borrows from the body of a request.
            "String" | "str" | "Text" => "string",
            "PathBuf" | "Path" => "path",
            "bool" => "boolean",
            "Value" | "serde_json::Value" => "anything",
            "DateTime" => "time (RFC 3339)",
            "Digest" => "digest (`sha256:…`)",
            kind if is_number(kind) => {
                if kind.starts_with('f') {
                    "number"
                } else {
                    "integer"
                }
            }
            _ => "",
        };
        if !plain.is_empty() {
            return plain.to_owned();
        }
        let name = kind.rsplit("::").next().unwrap_or(kind);
        match self.types.meant(known, name) {
            Some(found) if !matches!(found.shape, Shape::Opaque) => {
                let file = Some(found.file.clone());
                self.open.push((found.room.clone(), file, name.to_owned()));
                format!("[`{name}`](#{})", name.to_lowercase())
            }
            Some(found) => {
                cell(found.doc.lines().next().unwrap_or(name)).trim_end_matches('.').to_owned()
            }
            None => format!("`{name}`"),
        }
    }

    /// Returns the page.
    pub(crate) fn finish(self) -> String {
        format!("{}\n", self.text.trim_end())
    }
}

fn is_number(kind: &str) -> bool {
    ["u8", "u16", "u32", "u64", "usize", "i32", "i64", "f32", "f64"].contains(&kind)
}

/// Returns a Rust expression as a value of YAML, if it is a plain one.
fn readable(expression: &str) -> Option<String> {
    let text = expression.replace(" . ", ".").replace(" :: ", "::").replace(" (", "(");
    let text = text.trim_end_matches(".to_owned()").trim_end_matches(".into()").to_owned();
    match text.as_str() {
        "None" => return Some("none".to_owned()),
        "Vec::new()" | "BTreeMap::new()" | "String::new()" => return Some("empty".to_owned()),
        _ => {}
    }
    let is_number = text.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | '_' | '-' | 'e'));
    if is_number {
        return Some(format!("`{}`", text.replace('_', "")));
    }
    if let Some(quoted) = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        return Some(format!("`{quoted}`"));
    }
    if matches!(text.as_str(), "true" | "false") {
        return Some(format!("`{text}`"));
    }
    let array = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    if let Some(items) = array.filter(|items| items.chars().all(|c| " ,.0123456789".contains(c))) {
        return Some(format!("`[{}]`", items.trim().trim_end_matches(',').replace(" ,", ",")));
    }
    let (kind, variant) = text.rsplit_once("::")?;
    let is_variant = kind.chars().all(|c| c.is_alphanumeric() || c == ':')
        && variant.chars().all(char::is_alphanumeric)
        && variant.starts_with(char::is_uppercase);
    is_variant.then(|| format!("`{}`", variant.to_lowercase()))
}

/// Returns documentation as one cell of a table.
pub(crate) fn cell(doc: &str) -> String {
    prose(doc).replace('|', "\\|").replace('\n', " ")
}

/// Returns documentation without links to code.
pub(crate) fn prose(doc: &str) -> String {
    let mut out = String::new();
    let mut rest = doc;
    while let Some(at) = rest.find("[`") {
        let (before, link) = rest.split_at(at);
        out.push_str(before);
        let Some(end) = link.find("`]") else { break };
        let name = link[2..end].trim_start_matches("crate::").trim_start_matches("super::");
        out.push_str(&format!("`{name}`"));
        rest = &link[end + 2..];
        if rest.starts_with('(') {
            rest = rest.split_once(')').map_or("", |(_, after)| after);
        }
    }
    out.push_str(rest);
    out.trim().to_owned()
}
