//! Commands in hints, messages and explanations are commands of the program: verbs and flags exist, and a hint can be
//! pasted.

use crate::{support::repository, terminal::words};
use clap::Command;
use regex::Regex;
use std::{
    fs,
    path::{Path, PathBuf},
    sync::LazyLock,
};

/// The words that an explanation uses for a verb without naming one.
const NO_VERBS: [&str; 1] = ["help"];

/// Returns the sources of the program, each with its path.
fn sources() -> Vec<(PathBuf, String)> {
    let mut files = Vec::new();
    let mut folders = vec![repository().join("src"), repository().join("crates")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                if !path.ends_with("tests") && !path.ends_with("target") {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|end| end == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                files.push((path.strip_prefix(repository()).unwrap().to_owned(), text));
            }
        }
    }
    files.sort();
    files
}

/// Returns the string literals in `code`.
fn literals(code: &str) -> Vec<String> {
    static LITERAL: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r#""((?:[^"\\]|\\.)*)""#).unwrap());
    LITERAL
        .captures_iter(code)
        .map(|found| found[1].replace("\\\"", "\"").replace("\\n", "\n"))
        .collect()
}

/// Returns the commands of botops between backticks in `text`, each with the text before it.
fn commands(text: &str) -> Vec<(String, String)> {
    static COMMAND: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"`(botops [^`]*)`").unwrap());
    let found = COMMAND.captures_iter(text).map(|found| {
        let before = &text[..found.get(0).unwrap().start()];
        (before.to_owned(), found[1].to_owned())
    });
    found.collect()
}

/// Returns the text from `start`, which is behind an opening parenthesis, to the one that closes it.
fn argument(code: &str, start: usize) -> &str {
    let (mut depth, mut in_literal, mut escaped) = (1, false, false);
    for (offset, c) in code[start..].char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => in_literal = !in_literal,
            '(' if !in_literal => depth += 1,
            ')' if !in_literal => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return &code[start..start + offset];
        }
    }
    &code[start..]
}

/// Returns the string literals in the hints of `code`.
fn hints(code: &str) -> Vec<String> {
    code.match_indices(".hint(")
        .flat_map(|(at, opening)| literals(argument(code, at + opening.len())))
        .collect()
}

/// Follows the words of `line` through the verbs. Returns the last verb and the words after it.
fn verb<'a>(program: &'a Command, line: &str) -> Result<(&'a Command, Vec<String>), String> {
    // A redirection is for the shell.
    let line = line.split(" > ").next().unwrap_or(line);
    let mut words: Vec<String> = words(line).into_iter().skip(1).collect();
    let mut verb = program;
    while let Some(word) = words.first() {
        match verb.find_subcommand(word) {
            Some(found) => {
                verb = found;
                words.remove(0);
            }
            None if verb.has_subcommands() && !word.starts_with('-') => {
                return Err(format!("`{word}` is no verb of `{}`", verb.get_name()));
            }
            None => break,
        }
    }
    Ok((verb, words))
}

/// Returns the flags of `words` that neither `verb` nor the program has.
fn unknown_flags(program: &Command, verb: &Command, words: &[String]) -> Vec<String> {
    let known = |name: &str| {
        ["help", "version"].contains(&name)
            || verb.get_arguments().any(|argument| argument.get_long() == Some(name))
            || program
                .get_arguments()
                .any(|argument| argument.is_global_set() && argument.get_long() == Some(name))
    };
    let flags = words.iter().filter_map(|word| word.strip_prefix("--"));
    flags
        .map(|flag| flag.split('=').next().unwrap_or(flag).to_owned())
        .filter(|flag| !known(flag))
        .collect()
}

#[test]
fn every_command_in_a_message_has_a_verb_and_flags_that_exist() {
    let program = botops::cli::command();
    let mut wrong = Vec::new();
    let mut n = 0;
    for (path, text) in sources() {
        for (_, line) in literals(&text).iter().flat_map(|literal| commands(literal)) {
            n += 1;
            match verb(&program, &line) {
                Err(why)
                    if !NO_VERBS.iter().any(|word| line.starts_with(&format!("botops {word}"))) =>
                {
                    wrong.push(format!("{}: `{line}`: {why}", path.display()));
                }
                Err(_) => {}
                Ok((verb, words)) => {
                    for flag in unknown_flags(&program, verb, &words) {
                        let name = verb.get_name();
                        wrong.push(format!(
                            "{}: `{line}`: `{name}` has no flag `--{flag}`",
                            path.display()
                        ));
                    }
                }
            }
        }
    }
    assert!(n > 100, "only {n} commands were found in the sources");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_command_in_a_hint_can_be_pasted() {
    let program = botops::cli::command();
    let placeholder = Regex::new(r"\{[^}]*\}|<[^>]*>|…").unwrap();
    let mut wrong = Vec::new();
    let mut n = 0;
    for (path, text) in sources() {
        for (before, line) in hints(&text).iter().flat_map(|hint| commands(hint)) {
            // A verb may be named without being told to run: "run again when `botops runs gc` has ended".
            let told = [": ", "with ", "then ", "or "].iter().any(|told| before.ends_with(told));
            let only_verb = verb(&program, &line).is_ok_and(|(_, words)| words.is_empty());
            if only_verb && !told {
                continue;
            }
            n += 1;
            let pasted = placeholder.replace_all(&line, "x");
            let pasted = pasted.split(" > ").next().unwrap();
            if let Err(error) = program.clone().try_get_matches_from(words(pasted)) {
                use clap::error::ErrorKind;
                // A value such as FILE may be of the wrong form; what matters is that none is missing or unknown.
                let is_form = matches!(
                    error.kind(),
                    ErrorKind::ValueValidation
                        | ErrorKind::InvalidValue
                        | ErrorKind::DisplayHelp
                        | ErrorKind::DisplayVersion
                );
                if !is_form {
                    let why = error.to_string();
                    let why = why.lines().take(3).collect::<Vec<_>>().join(" ");
                    wrong.push(format!("{}: `{line}`: {why}", path.display()));
                }
            }
        }
    }
    assert!(n > 50, "only {n} commands were found in hints");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Returns the verbs whose hints a source file writes, if it writes those of one verb only.
fn owners<'a>(program: &'a Command, path: &Path) -> Option<Vec<&'a Command>> {
    // Only `run` chooses stages.
    if ["selection.rs", "preflight.rs"]
        .iter()
        .any(|file| path == Path::new("crates/pipelines/src").join(file))
    {
        return Some(vec![program.find_subcommand("run")?]);
    }
    // A pipeline runs under two verbs, which have no flag for a stage.
    if path.starts_with("crates/pipelines") {
        return Some(vec![program.find_subcommand("run")?, program.find_subcommand("pipeline")?]);
    }
    let words: Vec<String> = path
        .strip_prefix("src/cli")
        .ok()?
        .with_extension("")
        .iter()
        .map(|part| part.to_str().unwrap().replace('_', "-"))
        .collect();
    let mut verb = program.find_subcommand(words.first()?)?;
    if let Some(below) = words.get(1).and_then(|word| verb.find_subcommand(word)) {
        verb = below;
    }
    Some(vec![verb])
}

#[test]
fn a_flag_in_a_hint_is_a_flag_of_the_verb_that_gives_it() {
    let program = botops::cli::command();
    let flag = Regex::new(r"`(--[a-z][a-z-]*)").unwrap();
    let everywhere: Vec<&Command> = all_verbs(&program);
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        let owners = owners(&program, &path);
        for hint in hints(&text) {
            for found in flag.captures_iter(&hint) {
                let words = [found[1].to_owned()];
                let has = |verb: &&Command| unknown_flags(&program, verb, &words).is_empty();
                let exists = match &owners {
                    // Each of the verbs must have it; `data` and the like have their verbs' flags.
                    Some(owners) => {
                        owners.iter().all(|verb| has(verb) || all_verbs(verb).iter().any(has))
                    }
                    // A room below may be used by any verb, so the flag exists somewhere.
                    None => everywhere.iter().any(has),
                };
                if !exists {
                    wrong.push(format!("{}: `{}` in {hint:?}", path.display(), &found[1]));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Returns all verbs below `verb`.
fn all_verbs(verb: &Command) -> Vec<&Command> {
    verb.get_subcommands()
        .flat_map(|below| std::iter::once(below).chain(all_verbs(below)))
        .collect()
}

#[test]
fn a_shared_promoter_names_no_flag() {
    // `botops promote` and `botops run` share it, and only one of them has `--traffic`.
    let text = fs::read_to_string(repository().join("src/cli/session/promoter.rs")).unwrap();
    let flags: Vec<String> = hints(&text).into_iter().filter(|hint| hint.contains("`--")).collect();
    assert!(flags.is_empty(), "{flags:?}");
}
