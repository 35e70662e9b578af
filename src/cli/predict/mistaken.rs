//! Names of models that would be taken for an utterance.

use crate::cli::{
    arguments::model_arg,
    session::context::{Context, current_folder},
};
use botops_findings::{Fault, Result};
use botops_spec::nearest;
use botops_text::shell_line;
use std::{fs, path::Path};

/// Refuses a first word that seems to name a model and would be classified as an utterance: it is not the only word, and
/// it is, or is nearly, the name of a model. With the model named before it, such a word is an utterance.
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
    let fault = |message: String| {
        Fault::usage("BOT-1055", message).hint(
            "the first word is the model only if it is a `.botops` file or a reference with `@`",
        )
    };
    if Path::new(word).is_file() {
        let message = format!("`{word}` is a file, but its name does not end in `.botops`");
        return Err(fault(message).hint("rename the model file, or name the model before the text"));
    }
    let files = model_files();
    let named = models(context);
    let stems = files.iter().map(|file| file.trim_end_matches(".botops"));
    let near = nearest(word, named.iter().map(String::as_str).chain(stems));
    let Some(near) = near else { return Ok(()) };
    let model = match named.iter().any(|name| name == near) {
        true => format!("{near}@champion"),
        false => format!("{near}.botops"),
    };
    Err(fault(format!(
        "`{word}` would be classified as an utterance; did you mean the model `{model}`?"
    ))
    .hint(format!("name the model: `{}`", shell_line(["botops", "predict", &model, "hello"])))
    .hint(format!(
        "if `{word}` is an utterance, name the model before it: `{}`",
        shell_line(["botops", "predict", &model, word])
    )))
}

/// Returns the names of the models in the registry, and that of the workspace. If they cannot be read, loading the model
/// reports it.
fn models(context: &Context) -> Vec<String> {
    let mut names: Vec<String> = model_arg::workspace_model(context).into_iter().collect();
    if let Ok(registry) = context.registry()
        && let Ok(Ok(models)) = context.wait(registry.models())
    {
        names.extend(models);
    }
    names
}

/// Returns the names of the model files in the current folder.
fn model_files() -> Vec<String> {
    let Ok(entries) = current_folder().and_then(|folder| {
        fs::read_dir(folder).map_err(|error| {
            Fault::internal("BOT-1017", "the current folder cannot be read").caused_by(error)
        })
    }) else {
        return Vec::new();
    };
    let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let mut names: Vec<String> = names.filter(|name| name.ends_with(".botops")).collect();
    names.retain(|name| name != ".botops");
    names.sort_unstable();
    names
}
