//! Plain English in comments: a short list of mannerisms that stay at zero.

/// Phrases that plain technical English does not need, each with a replacement.
const MANNERISMS: [(&str, &str); 16] = [
    ("aloud", "say `with a message`"),
    ("said to be", "say who reports it"),
    ("is told", "say `is reported`, or who reports it"),
    ("are told", "say `are reported`, or who reports it"),
    ("as far as can be told", "say when it can be known"),
    ("becomes of", "name the result"),
    ("comes to nothing", "say that it fails"),
    ("unasked", "say `without a request`"),
    ("it is what", "name the thing"),
    ("somebody else's", "name the owner"),
    ("in our words", "say `as a message`"),
    ("there is to be", "say what must exist"),
    ("is not to be there", "say `must not be`"),
    ("one that is there", "say `an existing one`"),
    ("that is there twice", "say `duplicate`"),
    ("for what is", "name the purpose"),
];

/// Returns the lines of `source` whose comments have a mannerism, each with the reason.
pub(crate) fn mannerisms(source: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut before_is_comment = false;
    for (at, line) in source.lines().enumerate() {
        let trimmed = line.trim_start();
        let doc = trimmed.strip_prefix("///").or_else(|| trimmed.strip_prefix("//!"));
        let comment = doc.or_else(|| trimmed.strip_prefix("//"));
        if let Some(doc) = doc
            && !before_is_comment
            && ["What ", "What's ", "Why.", "When."]
                .iter()
                .any(|word| doc.trim_start().starts_with(word))
        {
            found.push((at + 1, "a doc comment begins with `What`: name the thing".to_owned()));
        }
        if let Some(comment) = comment {
            let comment = comment.to_lowercase();
            for (phrase, instead) in MANNERISMS {
                if comment.contains(phrase) {
                    found.push((at + 1, format!("`{phrase}`: {instead}")));
                }
            }
        }
        before_is_comment = comment.is_some();
    }
    found
}

#[test]
fn planted_mannerisms_are_found() {
    let source = "/// What is read.\n///\n/// What follows here is a later paragraph.\nfn f() {}\n// It is skipped aloud.\n/// The rest.\n";
    let found: Vec<usize> = mannerisms(source).into_iter().map(|(line, _)| line).collect();
    assert_eq!(found, [1, 5]);
}
