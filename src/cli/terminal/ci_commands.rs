//! Lines that a CI system would take for commands.
//!
//! GitHub Actions reads `::error …::` and `##[error]…`, Azure `##vso[…]` and TeamCity `##teamcity[…]` at the beginning of
//! any line that a step prints. A file name or an argument with a line break could begin such a line.

use std::borrow::Cow;

const COMMANDS: [&str; 4] = ["::", "##[", "##vso[", "##teamcity["];

/// Returns `text` with the first character of each such command written as `\u{..}`, so that no line begins with one.
pub(crate) fn defused(text: &str) -> Cow<'_, str> {
    if !COMMANDS.iter().any(|command| text.contains(command)) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    // A carriage return alone ends a line for some readers, too.
    for line in text.split_inclusive(['\n', '\r']) {
        let words = line.trim_start();
        let is_command = COMMANDS.iter().any(|command| words.starts_with(command));
        match words.chars().next().filter(|_| is_command) {
            Some(first) => {
                out.push_str(&line[..line.len() - words.len()]);
                out.push_str(&format!("\\u{{{:x}}}", u32::from(first)));
                out.push_str(&words[first.len_utf8()..]);
            }
            None => out.push_str(line),
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_begins_a_command_of_a_ci_system() {
        let cases = [
            ("::error::x", "\\u{3a}:error::x"),
            ("a\n  ::warning file=a::x\n", "a\n  \\u{3a}:warning file=a::x\n"),
            ("a\r::error::x", "a\r\\u{3a}:error::x"),
            ("##[error]x\n##vso[task]y", "\\u{23}#[error]x\n\\u{23}#vso[task]y"),
            ("a ::error::x", "a ::error::x"),
            ("## Heading\n### [link](x)\n", "## Heading\n### [link](x)\n"),
        ];
        for (text, shown) in cases {
            assert_eq!(defused(text), shown);
        }
    }
}
