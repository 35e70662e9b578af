//! Encryption at rest in a bucket: the variables that ask for it, checked before the first request.

use botops_findings::{Fault, Result};
use botops_text::display;
use std::collections::BTreeMap;

/// The kind of encryption.
const KIND: &str = "AWS_SERVER_SIDE_ENCRYPTION";
/// The key of KMS.
const KMS_KEY: &str = "AWS_SSE_KMS_KEY_ID";
/// Whether the bucket keeps a key of its own, which saves requests to KMS.
const BUCKET_KEY: &str = "AWS_SSE_BUCKET_KEY_ENABLED";
/// The key of the customer, for `sse-c`.
const CUSTOMER_KEY: &str = "AWS_SSE_CUSTOMER_KEY_BASE64";
/// The characters of 32 bytes in base64.
const KEY_CHARACTERS: usize = 44;

/// Checks that the variables ask for one kind of encryption. Otherwise objects would be stored in another way than the
/// operator believes.
///
/// # Errors
/// `BOT-5139` (exit 2) the kind is unknown, a key is missing, or a key is set that the kind does not use. No message repeats a
/// key.
pub(super) fn check(environment: &BTreeMap<String, String>) -> Result<()> {
    let set = |name: &str| environment.get(name).map(String::as_str);
    let refused = |problem: String| {
        Fault::usage("BOT-5139", problem).hint(format!(
            "set `{KIND}` to `AES256` (SSE-S3), or to `aws:kms` with `{KMS_KEY}` (SSE-KMS), or unset all `AWS_SSE_*` variables"
        ))
    };
    let kind = set(KIND);
    let is_kms = matches!(kind, Some("aws:kms" | "aws:kms:dsse"));
    match kind {
        None | Some("AES256" | "aws:kms" | "aws:kms:dsse" | "sse-c") => {}
        Some(other) => {
            return Err(refused(format!(
                "`{KIND}` is `{}`: expected `AES256`, `aws:kms`, `aws:kms:dsse` or `sse-c`",
                display(other, 40)
            )));
        }
    }
    for (name, is_used) in
        [(KMS_KEY, is_kms), (BUCKET_KEY, is_kms), (CUSTOMER_KEY, kind == Some("sse-c"))]
    {
        if set(name).is_some() && !is_used {
            let kind = kind.map_or("is not set".to_owned(), |kind| format!("is `{kind}`"));
            return Err(refused(format!("`{name}` has no effect, because `{KIND}` {kind}")));
        }
    }
    if set(BUCKET_KEY).is_some_and(|value| !["true", "false"].contains(&value)) {
        return Err(refused(format!("`{BUCKET_KEY}` is neither `true` nor `false`")));
    }
    if kind == Some("sse-c") {
        let is_key = |key: &str| {
            key.len() == KEY_CHARACTERS
                && key
                    .trim_end_matches('=')
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"+/".contains(&b))
        };
        if !set(CUSTOMER_KEY).is_some_and(is_key) {
            return Err(refused(format!("`sse-c` needs 32 bytes in base64 in `{CUSTOMER_KEY}`")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_that_contradict_each_other_are_refused() {
        let checked = |pairs: &[(&str, &str)]| {
            let pairs = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
            check(&pairs.collect()).map_err(|fault| {
                assert_eq!((fault.code(), fault.kind().exit_code()), ("BOT-5139", 2));
                fault.message().to_owned()
            })
        };
        let key = "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0MTI=";
        for sound in [
            &[][..],
            &[(KIND, "AES256")],
            &[(KIND, "aws:kms")],
            &[
                (KIND, "aws:kms"),
                (KMS_KEY, "arn:aws:kms:eu-central-1:1:key/1"),
                (BUCKET_KEY, "true"),
            ],
            &[(KIND, "sse-c"), (CUSTOMER_KEY, key)],
        ] {
            checked(sound).unwrap();
        }
        for (unfit, part) in [
            (&[(KIND, "aes256")][..], "`aes256`: expected `AES256`"),
            (&[(KMS_KEY, "k")], "has no effect, because `AWS_SERVER_SIDE_ENCRYPTION` is not set"),
            (&[(KIND, "AES256"), (KMS_KEY, "k")], "is `AES256`"),
            (&[(KIND, "AES256"), (CUSTOMER_KEY, key)], "has no effect"),
            (&[(KIND, "aws:kms"), (BUCKET_KEY, "yes")], "neither"),
            (&[(KIND, "sse-c")], "needs 32 bytes"),
            (&[(KIND, "sse-c"), (CUSTOMER_KEY, "c2VjcmV0")], "needs 32 bytes"),
        ] {
            let problem = checked(unfit).unwrap_err();
            assert!(problem.contains(part), "{problem}");
            assert!(!problem.contains("c2Vjc"), "{problem}");
        }
    }
}
