//! A name for a model, made from the name of a folder.

/// The name of a model that nothing else names.
const DEFAULT_MODEL: &str = "bot";
/// The most characters of a name that comes from a folder.
const MOST_CHARS: usize = 40;

/// Returns a name for a model, made from the name of a folder or a file: lower case letters, digits and hyphens.
#[must_use]
pub fn model_name(from: &str) -> String {
    let mut name = String::new();
    for c in from.chars() {
        match c.to_ascii_lowercase() {
            c if c.is_ascii_alphanumeric() => name.push(c),
            _ if name.ends_with('-') || name.is_empty() => {}
            _ => name.push('-'),
        }
        if name.len() == MOST_CHARS {
            break;
        }
    }
    let name = name.trim_end_matches('-');
    match name.starts_with(|c: char| c.is_ascii_alphabetic()) {
        true => name.to_owned(),
        false if name.is_empty() => DEFAULT_MODEL.to_owned(),
        false => format!("{DEFAULT_MODEL}-{name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_folder_becomes_the_name_of_a_model() {
        for (folder, name) in [
            ("support", "support"),
            ("My Bot (2026)", "my-bot-2026"),
            ("--", "bot"),
            ("", "bot"),
            ("2026", "bot-2026"),
            ("été", "t"),
            ("..", "bot"),
        ] {
            assert_eq!(model_name(folder), name, "{folder}");
        }
        assert!(model_name(&"x".repeat(300)).len() <= MOST_CHARS);
    }
}
