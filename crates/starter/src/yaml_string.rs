//! Texts as strings of YAML.

/// Returns `text`, which holds no control characters, as a string of YAML.
pub(crate) fn scalar(text: &str) -> String {
    let is_plain = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "_-./".contains(c))
        && !["true", "false", "null", "yes", "no", "on", "off", "y", "n"].contains(&text);
    match is_plain {
        true => text.to_owned(),
        false => format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_with_signs_of_yaml_is_quoted() {
        assert_eq!(scalar("data/a.csv"), "data/a.csv");
        for text in ["a: b.csv", "a \"b\" \\c.csv", "#a.csv", "no", "7.csv", "é.csv"] {
            let yaml = format!("data: {}\n", scalar(text));
            let read: std::collections::BTreeMap<String, String> =
                botops_spec::parse(&yaml, "x.yaml").unwrap();
            assert_eq!(read["data"], text);
        }
    }
}
