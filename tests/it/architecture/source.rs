//! Rust source as tokens, and the paths it names: just enough of the language to know which file imports which.

use std::iter;

/// A word, a number, `::`, or one character of punctuation, with its line, counted from 1.
///
/// Comments, strings, characters and lifetimes leave no token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) text: String,
    pub(crate) line: usize,
}

/// A path named by the source, resolved: it begins with `crate`, or with the name of another crate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) path: Vec<String>,
    pub(crate) line: usize,
    /// Whether a `use` names it.
    pub(crate) is_use: bool,
    /// Whether `pub use` hands the item on.
    pub(crate) is_reexport: bool,
}

impl Named {
    pub(crate) fn text(&self) -> String {
        self.path.join("::")
    }
}

/// Reads `source` into tokens.
pub(crate) fn tokens(source: &str) -> Vec<Token> {
    let text: Vec<char> = source.chars().collect();
    let at = |index: usize| text.get(index).copied().unwrap_or('\0');
    let (mut found, mut line, mut index) = (Vec::new(), 1, 0);
    while index < text.len() {
        let begin = index;
        let first = at(index);
        if first == '/' && at(index + 1) == '/' {
            while index < text.len() && at(index) != '\n' {
                index += 1;
            }
        } else if first == '/' && at(index + 1) == '*' {
            let mut depth = 0;
            while index < text.len() {
                match (at(index), at(index + 1)) {
                    ('/', '*') => (depth, index) = (depth + 1, index + 2),
                    ('*', '/') => (depth, index) = (depth - 1, index + 2),
                    _ => index += 1,
                }
                if depth == 0 {
                    break;
                }
            }
        } else if let Some(end) = raw_string(&text, index) {
            index = end;
        } else if first == '"' || (matches!(first, 'b' | 'c') && at(index + 1) == '"') {
            index += if first == '"' { 1 } else { 2 };
            while index < text.len() && at(index) != '"' {
                index += if at(index) == '\\' { 2 } else { 1 };
            }
            index += 1;
        } else if first == '\'' {
            // 'a' and '\n' are characters; 'a without a closing quote is a lifetime.
            if at(index + 1) == '\\' {
                index += 3;
                while index < text.len() && at(index) != '\'' {
                    index += 1;
                }
                index += 1;
            } else if at(index + 2) == '\'' {
                index += 3;
            } else {
                index += 1;
                while word(at(index)) {
                    index += 1;
                }
            }
        } else if word(first) {
            while word(at(index)) {
                index += 1;
            }
            found.push(Token { text: text[begin..index].iter().collect(), line });
        } else if first == ':' && at(index + 1) == ':' {
            index += 2;
            found.push(Token { text: "::".to_owned(), line });
        } else {
            index += 1;
            if !first.is_whitespace() {
                found.push(Token { text: first.to_string(), line });
            }
        }
        index = index.min(text.len());
        line += text[begin..index].iter().filter(|character| **character == '\n').count();
    }
    found
}

fn word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// Returns where the raw string that begins at `index` ends, if one does.
fn raw_string(text: &[char], index: usize) -> Option<usize> {
    let prefix = match text.get(index)? {
        'r' => 1,
        'b' | 'c' if text.get(index + 1) == Some(&'r') => 2,
        _ => return None,
    };
    let hashes = text[index + prefix..].iter().take_while(|character| **character == '#').count();
    let body = index + prefix + hashes + 1;
    if text.get(body - 1) != Some(&'"') {
        return None;
    }
    let close: Vec<char> = iter::once('"').chain(iter::repeat_n('#', hashes)).collect();
    let length = text[body..].windows(close.len()).position(|window| window == close)?;
    Some(body + length + close.len())
}

/// Removes what is compiled for tests only, and returns the names of modules so marked that have a file of their own.
pub(crate) fn without_tests(tokens: Vec<Token>) -> (Vec<Token>, Vec<String>) {
    const MARK: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];
    let (mut kept, mut modules, mut index) = (Vec::new(), Vec::new(), 0);
    while index < tokens.len() {
        let marked =
            tokens[index..].iter().map(|token| token.text.as_str()).take(MARK.len()).eq(MARK);
        if !marked {
            kept.push(tokens[index].clone());
            index += 1;
            continue;
        }
        index += MARK.len();
        if let [.., module, name, end] = &tokens[index..tokens.len().min(index + 3)]
            && module.text == "mod"
            && end.text == ";"
        {
            modules.push(name.text.clone());
        }
        // The item ends at its `;`, or where its braces close.
        let mut depth = 0_usize;
        while index < tokens.len() {
            let text = tokens[index].text.as_str();
            index += 1;
            match text {
                "{" | "(" | "[" => depth += 1,
                "}" | ")" | "]" => depth = depth.saturating_sub(1),
                _ => {}
            }
            if depth == 0 && matches!(text, "}" | ";") {
                break;
            }
        }
    }
    (kept, modules)
}

/// Returns every path that the source of `module` names, `use` groups taken apart, `self` and `super` resolved.
///
/// `module` is the path of the file's module without `crate`: `["store", "log"]`.
pub(crate) fn named(tokens: &[Token], module: &[String]) -> Vec<Named> {
    let mut found = Vec::new();
    let mut inside: Vec<String> = module.to_vec();
    // For each open brace: whether it belongs to an inline module.
    let mut braces: Vec<bool> = Vec::new();
    let text = |index: usize| tokens.get(index).map_or("", |token| token.text.as_str());
    let mut index = 0;
    while index < tokens.len() {
        match text(index) {
            "mod" if text(index + 2) == "{" => {
                inside.push(text(index + 1).to_owned());
                braces.push(true);
                index += 3;
            }
            "{" => {
                braces.push(false);
                index += 1;
            }
            "}" => {
                if braces.pop() == Some(true) {
                    inside.pop();
                }
                index += 1;
            }
            // `use<'a>` in a type captures lifetimes.
            "use" if text(index + 1) != "<" => {
                // `pub use`, `pub(crate) use`.
                let before = index.checked_sub(1).map_or("", text);
                let begin = found.len();
                index = tree(tokens, index + 1, &[], &inside, &mut found);
                for named in &mut found[begin..] {
                    named.is_reexport = matches!(before, "pub" | ")");
                }
            }
            first
                if begins_a_name(first)
                    && !(index > 0 && matches!(text(index - 1), "::" | ".")) =>
            {
                let line = tokens[index].line;
                let mut path = vec![first.to_owned()];
                index += 1;
                while text(index) == "::" && begins_a_name(text(index + 1)) {
                    path.push(text(index + 1).to_owned());
                    index += 2;
                }
                if path.len() > 1 {
                    found.push(Named {
                        path: resolve(&path, &inside),
                        line,
                        is_use: false,
                        is_reexport: false,
                    });
                }
            }
            _ => index += 1,
        }
    }
    found
}

fn begins_a_name(text: &str) -> bool {
    text.chars().next().is_some_and(|first| first.is_alphabetic() || first == '_')
}

/// Reads one branch of a `use` tree at `index` and returns the index behind it.
fn tree(
    tokens: &[Token],
    mut index: usize,
    prefix: &[String],
    module: &[String],
    found: &mut Vec<Named>,
) -> usize {
    let text = |index: usize| tokens.get(index).map_or(";", |token| token.text.as_str());
    let line = tokens.get(index).map_or(0, |token| token.line);
    let mut path = prefix.to_vec();
    loop {
        match text(index) {
            "::" => index += 1,
            "{" => {
                index += 1;
                while !matches!(text(index), "}" | ";") {
                    index = tree(tokens, index, &path, module, found);
                    if text(index) == "," {
                        index += 1;
                    }
                }
                return index + 1;
            }
            "," | "}" | ";" => break,
            "as" => index += 2,
            "self" if !prefix.is_empty() => index += 1,
            name => {
                path.push(name.to_owned());
                index += 1;
            }
        }
    }
    found.push(Named { path: resolve(&path, module), line, is_use: true, is_reexport: false });
    index
}

/// Turns `self::`, `super::` and the crate's own name into a path from `crate`.
fn resolve(path: &[String], module: &[String]) -> Vec<String> {
    let supers = path.iter().take_while(|part| *part == "super").count();
    let from_crate = |depth: usize, rest: &[String]| {
        iter::once("crate".to_owned())
            .chain(module[..depth].iter().cloned())
            .chain(rest.iter().cloned())
            .collect()
    };
    match path.first().map(String::as_str) {
        Some("super") => from_crate(module.len().saturating_sub(supers), &path[supers..]),
        Some("self") if path.get(1).is_some_and(|next| next == "super") => {
            resolve(&path[1..], module)
        }
        Some("self") => from_crate(module.len(), &path[1..]),
        _ => path.to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(source: &str) -> Vec<(usize, String)> {
        let module = ["store".to_owned(), "log".to_owned()];
        named(&without_tests(tokens(source)).0, &module)
            .iter()
            .map(|named| (named.line, named.text()))
            .collect()
    }

    #[test]
    fn groups_over_several_lines_are_taken_apart_with_the_line_of_each() {
        let source =
            "use crate::{\n    digest::{self, Digest},\n    findings::Result as Outcome,\n};\n";
        assert_eq!(
            paths(source),
            [
                (2, "crate::digest".to_owned()),
                (2, "crate::digest::Digest".to_owned()),
                (3, "crate::findings::Result".to_owned())
            ]
        );
    }

    #[test]
    fn comments_strings_characters_and_lifetimes_name_nothing() {
        let source = "// crate::cli\n/* crate::cli /* nested */ crate::cli */\n/// [`crate::cli`]\n\
             fn f<'a>(c: &'a str) { g(\"crate::cli\", r#\"\"crate::cli\"#, b\"x\\\"crate::cli\", '\"', '\\'', 'x'); crate::text::h() }";
        assert_eq!(paths(source), [(4, "crate::text::h".to_owned())]);
    }

    #[test]
    fn code_for_tests_only_is_skipped() {
        let source = "#[cfg(test)]\nuse crate::cli;\n#[cfg(test)]\nmod tests {\n use crate::{cli, x::y};\n fn f() {}\n}\nuse crate::text::t;";
        assert_eq!(paths(source), [(8, "crate::text::t".to_owned())]);
        assert_eq!(without_tests(tokens("#[cfg(test)]\nmod doubles;\nmod log;")).1, ["doubles"]);
    }

    #[test]
    fn supers_lead_out_of_a_module_and_inline_modules_count() {
        let source = "use super::{super::cli, blob};\nmod inner { fn f() { super::super::super::serving::g() } }\nfn h() { self::k::l() }";
        assert_eq!(
            paths(source),
            [
                (1, "crate::cli".to_owned()),
                (1, "crate::store::blob".to_owned()),
                (2, "crate::serving::g".to_owned()),
                (3, "crate::store::log::k::l".to_owned())
            ]
        );
    }
}
