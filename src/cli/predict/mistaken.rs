//! Names of models that would be taken for an utterance.

use crate::cli::{
    arguments::model_arg,
    session::context::{Context, current_folder},
};
use botops_datasets::Format;
use botops_findings::{Fault, Result};
use botops_registry::Reference;
use botops_spec::nearest;
use botops_text::shell_line;
use std::{fs, path::Path};

/// The ending of a model file.
const ENDING: &str = "botops";

/// Refuses a first word that seems to name a model and would be classified as an utterance: it is not the only word, and
/// it is, or is nearly, the name of a model, or is written like the name of a file or like a reference. With the model
/// named before it, such a word is an utterance.
///
/// # Errors
/// `BOT-1055` (exit 2).
pub(super) fn check(words: &[String], context: &Context) -> Result<()> {
    match words {
        [first, _, ..] => check_name(first, context),
        _ => Ok(()),
    }
}

/// Refuses `word` if it seems to name a model.
///
/// # Errors
/// `BOT-1055` (exit 2).
pub(super) fn check_name(word: &str, context: &Context) -> Result<()> {
    if word == "-" || word.chars().any(char::is_whitespace) {
        return Ok(());
    }
    let folder = current_folder().unwrap_or_default();
    mistake(word, &models(context), &folder).map_or(Ok(()), Err)
}

/// Returns the fault of `word` if it seems to name a model: one of `named`, or a file; `folder` is the current one.
fn mistake(word: &str, named: &[String], folder: &Path) -> Option<Fault> {
    let fault = |message: String| {
        Fault::usage("BOT-1055", message).hint(
            "the first word is the model only if it is a `.botops` file or a reference with `@`",
        )
    };
    let as_utterance = |model: &str| {
        format!(
            "if `{word}` is an utterance, name the model before it: `{}`",
            shell_line(["botops", "predict", model, word])
        )
    };
    if folder.join(word).is_file() {
        let message = format!("`{word}` is a file, but its name does not end in `.botops`");
        let hint = "rename the model file, or name the model before the text";
        return Some(fault(message).hint(hint));
    }
    if let Some(model) = near_model(word, named, folder) {
        let message = format!(
            "`{word}` would be classified as an utterance; did you mean the model `{model}`?"
        );
        let line = shell_line(["botops", "predict", &model, "hello"]);
        return Some(
            fault(message).hint(format!("name the model: `{line}`")).hint(as_utterance(&model)),
        );
    }
    let form = model_form(word)?;
    let model = match named.first() {
        Some(name) => format!("{name}@champion"),
        None => "intents.botops".to_owned(),
    };
    let message =
        format!("`{word}` would be classified as an utterance, but it is written like {form}");
    let line = shell_line(["botops", "predict", &model, "hello"]);
    Some(
        fault(message)
            .hint(format!("name the model as it is: `{line}`"))
            .hint(as_utterance(&model)),
    )
}

/// Returns the model, one of `named` or a file, whose name is nearly `word`.
fn near_model(word: &str, named: &[String], folder: &Path) -> Option<String> {
    let path = word.replace('\\', "/");
    let (place, name) = path.split_at(path.rfind('/').map_or(0, |slash| slash + 1));
    // The ending may be mistyped, too.
    let stem = match name.rsplit_once('.') {
        Some((stem, ending)) if is_near_ending(ending) => stem,
        _ => name,
    };
    let files = model_files(&folder.join(place));
    let stems = files.iter().map(|file| file.trim_end_matches(".botops"));
    let named = if place.is_empty() { named } else { &[] };
    let near = nearest(stem, named.iter().map(String::as_str).chain(stems))?;
    Some(match named.iter().any(|name| name == near) {
        true => format!("{near}@champion"),
        false => format!("{place}{near}.botops"),
    })
}

/// Returns the form of `word` if models or files are written in it, and utterances seldom.
fn model_form(word: &str) -> Option<&'static str> {
    let lower = word.to_lowercase();
    let is_reference = |text: &str| text.parse::<Reference>().is_ok();
    let ending = word.rsplit_once('.').map(|(_, ending)| ending);
    if word.contains('@')
        && (is_reference(&lower)
            || is_reference(&format!("model{lower}"))
            || is_reference(&format!("{lower}1")))
    {
        Some("a reference to a model")
    } else if ending.is_some_and(is_near_ending) {
        Some("the name of a model file")
    } else if Format::of_name(word).is_some() {
        Some("the name of a data file")
    } else if word.contains(['/', '\\']) || word.starts_with('.') {
        Some("the path of a file")
    } else {
        None
    }
}

/// Returns whether `ending`, which follows a point, is nearly that of a model file.
fn is_near_ending(ending: &str) -> bool {
    nearest(ending, [ENDING]).is_some()
}

/// Returns the name of the workspace's model, and the names of those in the registry. If they cannot be read, loading the
/// model reports it.
fn models(context: &Context) -> Vec<String> {
    let mut names: Vec<String> = model_arg::workspace_model(context).into_iter().collect();
    if let Ok(registry) = context.registry()
        && let Ok(Ok(models)) = context.wait(registry.models())
    {
        names.extend(models);
    }
    names
}

/// Returns the names of the model files in `folder`; none if it cannot be read.
fn model_files(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let mut names: Vec<String> = names.filter(|name| name.ends_with(".botops")).collect();
    names.retain(|name| name != ".botops");
    names.sort_unstable();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistyped_model_is_no_utterance() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("sub/m")).unwrap();
        for file in ["a.botops", "suport.botops", "sub/m/a.botops"] {
            fs::write(folder.path().join(file), "").unwrap();
        }
        let named = ["support".to_owned()];
        for (word, part) in [
            ("sub/m/a", "the model `sub/m/a.botops`"),
            ("sub\\m\\a", "the model `sub/m/a.botops`"),
            ("sub/m/a.boptops", "the model `sub/m/a.botops`"),
            ("./a", "the model `./a.botops`"),
            ("a.botop", "the model `a.botops`"),
            ("a.Botops", "the model `a.botops`"),
            ("suppport", "the model `support@champion`"),
            ("elsewhere/z", "the path of a file"),
            (".hidden", "the path of a file"),
            ("zzz.boptops", "the name of a model file"),
            ("@1", "a reference to a model"),
            ("zzz@", "a reference to a model"),
            ("Zzz@Champion", "a reference to a model"),
            ("nofile.csv", "the name of a data file"),
        ] {
            let fault = mistake(word, &named, folder.path()).unwrap_or_else(|| panic!("{word}"));
            assert_eq!(fault.code(), "BOT-1055", "{word}");
            let text = format!("{fault} {:?}", fault.hints());
            assert!(text.contains(part), "{word}: {text}");
            assert!(text.contains("if `"), "{word}: the other reading: {text}");
        }
        for word in ["hello", "hi!", "Paris.", "jane@example.com", "v1.2", "b"] {
            assert!(mistake(word, &named, folder.path()).is_none(), "{word}");
        }
    }
}
