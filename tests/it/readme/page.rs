//! A Markdown page as commands with the output that the page shows.

use crate::support::normalized;
use regex::Regex;
use std::{iter::Peekable, path::Path, str::Lines, sync::LazyLock};

/// One command of a page.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Step {
    /// The line of the page.
    pub(crate) line: usize,
    /// The command for the shell, with several lines if it is continued or has a here-document.
    pub(crate) command: String,
    /// The output that the page shows. If it is empty, the command only has to succeed.
    pub(crate) shown: Vec<String>,
}

impl Step {
    /// Returns whether the command would run this test.
    pub(crate) fn is_the_test_command(&self) -> bool {
        self.command.starts_with("cargo test")
    }
}

/// One fenced block whose commands share a shell.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Block {
    pub(crate) line: usize,
    pub(crate) steps: Vec<Step>,
}

/// Reads the blocks of `page` with commands: those fenced as `console` or `sh`.
///
/// # Errors
///
/// A command that would not be tested: in a block with another name, or indented instead of fenced.
pub(crate) fn blocks(page: &str) -> Result<Vec<Block>, String> {
    let mut found = Vec::new();
    let mut lines = page.lines().zip(1..);
    while let Some((line, number)) = lines.next() {
        let Some(language) = line.trim_start().strip_prefix("```") else {
            if line.starts_with("$ ") {
                return Err(format!(
                    "line {number}: this command stands outside a fence: put it into a `console` block"
                ));
            }
            let code = line.strip_prefix("    ").map(|code| code.trim_start_matches("$ "));
            if code.is_some_and(|code| {
                ["botops ", "cargo "].iter().any(|start| code.starts_with(start))
            }) {
                return Err(format!(
                    "line {number}: fence this command, as `console` or `sh`, so that it is tested"
                ));
            }
            continue;
        };
        let body: Vec<&str> = lines
            .by_ref()
            .take_while(|(line, _)| !line.trim_start().starts_with("```"))
            .map(|(line, _)| line)
            .collect();
        match language.trim() {
            "console" => {
                found.push(Block { line: number, steps: console_steps(&body.join("\n"), number) })
            }
            "sh" => {
                found.push(Block { line: number, steps: script_steps(&body.join("\n"), number) })
            }
            other => {
                let commands = body
                    .iter()
                    .any(|line| ["$ ", "botops ", "cargo "].iter().any(|s| line.starts_with(s)));
                if commands || matches!(other, "bash" | "shell" | "zsh") {
                    return Err(format!(
                        "line {number}: a block of commands is fenced as `console` or `sh`, not `{other}`"
                    ));
                }
            }
        }
    }
    Ok(found)
}

/// Reads commands after `$ `, each followed by its output.
fn console_steps(body: &str, fence: usize) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut lines = body.lines().peekable();
    let total = body.lines().count();
    while let Some(line) = lines.next() {
        let number = fence + total - lines.clone().count();
        match line.strip_prefix("$ ") {
            Some(first) => {
                let command = continued(first, &mut lines);
                steps.push(Step { line: number, command, shown: Vec::new() });
            }
            None => steps.last_mut().into_iter().for_each(|step| step.shown.push(line.to_owned())),
        }
    }
    steps
}

/// Reads commands without output, and skips comments.
fn script_steps(body: &str, fence: usize) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut lines = body.lines().peekable();
    let total = body.lines().count();
    while let Some(line) = lines.next() {
        let number = fence + total - lines.clone().count();
        if !line.trim().is_empty() && !line.starts_with('#') {
            steps.push(Step {
                line: number,
                command: continued(line, &mut lines),
                shown: Vec::new(),
            });
        }
    }
    steps
}

/// Joins a command with the lines that belong to it: after a `\`, and of a here-document.
fn continued(first: &str, lines: &mut Peekable<Lines<'_>>) -> String {
    static HERE: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r#"<<-?\s*['"]?(\w+)['"]?"#).unwrap());
    let mut command = first.to_owned();
    while command.ends_with('\\') {
        let Some(next) = lines.next() else { break };
        command = format!("{command}\n{}", next.trim_start_matches("> "));
    }
    if let Some(end) = HERE.captures(first).map(|found| found[1].to_owned()) {
        for next in lines.by_ref() {
            let next = next.strip_prefix("> ").unwrap_or(next);
            command = format!("{command}\n{next}");
            if next.trim() == end {
                break;
            }
        }
    }
    command
}

/// Compares the output that a page shows with the output that was printed in `folder`.
///
/// The rules, which `.github/CONTRIBUTING.md` repeats:
///
/// - a value that changes from run to run (digest, id, time, duration, rate, free port) equals any value of its kind;
/// - a number with decimals equals one within 0.01 or 2 %;
/// - blanks, blank lines, and the lengths of rules (`----`, `────`) do not count;
/// - a line `...` stands for any number of lines; everything else must be equal, whole numbers too.
///
/// # Errors
///
/// The first line that is missing, as a message.
pub(crate) fn compare(shown: &[String], printed: &str, folder: &Path) -> Result<(), String> {
    let expected: Vec<Line> = lines(&shown.join("\n"), folder);
    let actual: Vec<Line> = lines(printed, folder);
    let mut at = 0;
    let mut parts =
        expected.split(|line| line.text == "..." || line.text == "…").enumerate().peekable();
    while let Some((part, wanted)) = parts.next() {
        let last = parts.peek().is_none();
        let fits = |begin: usize| {
            actual.len() >= begin + wanted.len()
                && wanted.iter().zip(&actual[begin..]).all(|(a, b)| a.is_like(b))
        };
        let begin = match (part, last) {
            (0, _) => fits(at).then_some(at),
            (_, true) => {
                actual.len().checked_sub(wanted.len()).filter(|begin| *begin >= at && fits(*begin))
            }
            (_, false) => (at..=actual.len()).find(|begin| fits(*begin)),
        };
        let missed = || {
            let off =
                wanted.iter().zip(&actual[at.min(actual.len())..]).find(|(a, b)| !a.is_like(b));
            let line = off.map_or_else(|| wanted.last(), |(wanted, _)| Some(wanted));
            format!("it does not print `{}`", line.map_or("", |line| line.text.as_str()))
        };
        at = begin.ok_or_else(missed)? + wanted.len();
    }
    match actual.get(at) {
        Some(more) => Err(format!("it prints `{}` too, and more: show it, or `...`", more.text)),
        None => Ok(()),
    }
}

/// A normalized line, with its decimal numbers apart.
struct Line {
    text: String,
    numbers: Vec<f64>,
}

impl Line {
    fn is_like(&self, other: &Self) -> bool {
        let near = |(a, b): (&f64, &f64)| (a - b).abs() <= f64::max(0.010_001, 0.02 * a.abs());
        self.text == other.text && self.numbers.iter().zip(&other.numbers).all(near)
    }
}

fn lines(text: &str, folder: &Path) -> Vec<Line> {
    static RULE: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"[-─═━=]{2,}").unwrap());
    static DECIMAL: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"-?\b\d+(?:,\d{3})*\.\d+\b").unwrap());
    let line = |line: &str| {
        let line = RULE.replace_all(line, "-");
        let numbers = DECIMAL
            .find_iter(&line)
            .map(|found| found.as_str().replace(',', "").parse().unwrap())
            .collect();
        let line = DECIMAL.replace_all(&line, "[n]");
        Line { text: line.split_whitespace().collect::<Vec<_>>().join(" "), numbers }
    };
    normalized(text, Some(folder))
        .lines()
        .filter(|text| !text.trim().is_empty())
        .map(line)
        .collect()
}
