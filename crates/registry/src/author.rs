//! The author and the reason of a change, as a log keeps them.

use botops_findings::{Fault, Result};

/// The most bytes of an actor in a log.
const MOST_ACTOR_BYTES: usize = 256;
/// The most bytes of a reason in a log.
const MOST_REASON_BYTES: usize = 4 << 10;

/// Checks the author and the reason of a change before they are written to a log, where they stay for ever.
///
/// # Errors
/// `BOT-1034` (exit 2) if the actor is longer than 256 bytes, the reason longer than 4 KiB, or if one of them has a control
/// character (a reason may have several lines).
pub fn check_author(actor: &str, reason: &str) -> Result<()> {
    let refused = |problem: String| {
        Fault::usage("BOT-1034", problem)
            .hint("name a person or a job, and the reason in a few words")
    };
    for (name, text, most) in
        [("actor", actor, MOST_ACTOR_BYTES), ("reason", reason, MOST_REASON_BYTES)]
    {
        if text.len() > most {
            return Err(refused(format!(
                "the {name} has {} bytes: at most {most} are kept",
                text.len()
            )));
        }
        let is_unfit = |c: char| c.is_control() && !(name == "reason" && "\n\r\t".contains(c));
        if text.contains(is_unfit) {
            return Err(refused(format!("the {name} has a control character")));
        }
    }
    Ok(())
}

/// As [`check_author`], for a change that needs a reason: `subject`, such as "a freeze".
///
/// # Errors
/// Those of [`check_author`]; `BOT-1034` (exit 2) if the reason is empty or has blanks only.
pub fn check_reasoned(subject: &str, actor: &str, reason: &str) -> Result<()> {
    if reason.trim().is_empty() {
        return Err(Fault::usage("BOT-1034", format!("{subject} needs a reason"))
            .hint("say why in a few words: `--reason TEXT`"));
    }
    check_author(actor, reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_author_and_a_reason_of_usual_length_are_kept() {
        check_author("ada", "").unwrap();
        check_author("GitHub Actions: weekly", "first line\nsecond line").unwrap();
        check_author(&"a".repeat(256), &"b".repeat(4_096)).unwrap();
        for (actor, reason) in [
            ("a".repeat(60_000), String::new()),
            ("a".repeat(257), String::new()),
            ("ada".to_owned(), "b".repeat(4_097)),
            ("ada\n".to_owned(), String::new()),
            ("ada".to_owned(), "\u{1b}[2J".to_owned()),
        ] {
            let fault = check_author(&actor, &reason).unwrap_err();
            assert_eq!((fault.code(), fault.kind().exit_code()), ("BOT-1034", 2));
            assert!(fault.message().len() < 100, "{fault}");
        }
    }

    #[test]
    fn a_reason_of_blanks_is_none() {
        check_reasoned("a freeze", "ada", "the shop is closed").unwrap();
        for reason in ["", " ", " \t\n "] {
            let fault = check_reasoned("a freeze", "ada", reason).unwrap_err();
            assert_eq!((fault.code(), fault.kind().exit_code()), ("BOT-1034", 2), "{reason:?}");
            assert_eq!(fault.message(), "a freeze needs a reason");
        }
    }
}
