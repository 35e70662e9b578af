//! The meaning of `object_store` errors, and the faults for them.

use botops_findings::Fault;
use object_store::{Error, client::HttpError};
use std::{error::Error as StdError, io};

/// The operation that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    Read,
    List,
    Write,
    Remove,
}

/// The kind of an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    /// The object already exists, and put-if-absent left it unchanged.
    Exists,
    /// The object does not exist.
    Absent,
    /// The bucket does not exist.
    NoBucket,
    /// Another try may succeed; `maybe_done`: a write may have taken effect despite the error.
    Transient { maybe_done: bool },
    /// Another try would fail in the same way.
    Permanent,
}

impl Failure {
    pub(super) fn of(error: &Error) -> Self {
        match error {
            Error::NotFound { .. } if mentions_missing_bucket(error) => Self::NoBucket,
            Error::NotFound { .. } => Self::Absent,
            // S3 answers 409 while another conditional request on the same key is in flight. Nothing was written, but
            // object_store reports AlreadyExists.
            Error::AlreadyExists { .. } | Error::Precondition { .. } => match status(error) {
                Some(409) => Self::Transient { maybe_done: false },
                _ => Self::Exists,
            },
            Error::Generic { .. } => Self::of_generic(error),
            _ => Self::Permanent,
        }
    }

    fn of_generic(error: &Error) -> Self {
        if let Some(status) = status(error) {
            return match status {
                404 if mentions_missing_bucket(error) => Self::NoBucket,
                429 => Self::Transient { maybe_done: false },
                501 | 505 => Self::Permanent,
                408 | 500.. => Self::Transient { maybe_done: true },
                _ => Self::Permanent,
            };
        }
        if let Some(error) = find::<HttpError>(error) {
            use object_store::client::HttpErrorKind::{Connect, Decode};
            return match error.kind() {
                Connect => Self::Transient { maybe_done: false },
                Decode => Self::Permanent,
                _ => Self::Transient { maybe_done: true },
            };
        }
        match find::<io::Error>(error).map(io::Error::kind) {
            // Other I/O errors come from a disk and are permanent; those of a network arrive as HttpError.
            Some(io::ErrorKind::Interrupted | io::ErrorKind::TimedOut) | None => {
                Self::Transient { maybe_done: true }
            }
            Some(_) => Self::Permanent,
        }
    }
}

const CREDENTIALS: &str = "set `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`: this machine has no role that provides credentials";

/// Returns the fault for `error` after `tries` tries; `store` and `object` are their names in messages.
pub(super) fn fault(
    store: &str,
    object: &str,
    operation: Operation,
    error: Error,
    tries: u32,
) -> Fault {
    // Without configured credentials, object_store asks the metadata service of the machine for a role.
    let no_credentials = error.to_string().contains("169.254.169.254");
    let reason =
        if no_credentials { "no credentials were found".to_owned() } else { reason(&error) };
    let s3 = store.starts_with("s3://");
    let fault = match Failure::of(&error) {
        Failure::NoBucket => {
            let bucket = store.trim_start_matches("s3://").split('/').next().unwrap_or(store);
            Fault::usage("BOT-5008", format!("bucket `{bucket}` does not exist"))
                .hint(format!("create it: `aws s3 mb s3://{bucket}`"))
                .hint("or check `AWS_ENDPOINT_URL` and the name of the bucket")
        }
        Failure::Transient { .. } => {
            let times = if tries == 1 { "1 try".to_owned() } else { format!("{tries} tries") };
            let fault = Fault::unreachable(
                "BOT-5003",
                format!("`{store}` cannot be reached after {times}: {reason}"),
            );
            let fault = if no_credentials {
                fault.hint(CREDENTIALS)
            } else if s3 {
                fault.hint("check the network and `AWS_ENDPOINT_URL`")
            } else {
                fault
            };
            fault.hint("then run the command again, which is safe")
        }
        _ => {
            let verb = match operation {
                Operation::Write => "written",
                Operation::Read => "read",
                Operation::List => "listed",
                Operation::Remove => "deleted from",
            };
            let message = format!("`{store}` cannot be {verb}: {reason}");
            let fault = Fault::internal("BOT-5002", message);
            match find::<io::Error>(&error).map(io::Error::kind) {
                Some(io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) => {
                    fault.hint("free some space, then run the command again")
                }
                Some(io::ErrorKind::ReadOnlyFilesystem) => {
                    fault.hint("choose a writable store: `--registry PATH`")
                }
                _ if no_credentials => fault.hint(CREDENTIALS),
                _ if s3 => fault.hint(
                    "check that the credentials in `AWS_ACCESS_KEY_ID` have permission to list, read and write it",
                ),
                _ => fault.hint("check the owner and permissions of the folder"),
            }
        }
    };
    fault.file(object).caused_by(error)
}

/// Returns the cause as a short phrase, without internal addresses.
fn reason(error: &Error) -> String {
    if let Some(status) = status(error) {
        let text = error.to_string();
        let between = |open: &str, close: &str| {
            let (_, rest) = text.split_once(open)?;
            rest.split_once(close).map(|(inside, _)| inside.trim().to_owned())
        };
        return match (between("<Code>", "</Code>"), between("<Message>", "</Message>")) {
            (Some(code), Some(message)) => format!("{status} {code}: {message}"),
            (Some(code), None) => format!("{status} {code}"),
            _ => format!("the server answered {status}"),
        };
    }
    if let Some(error) = find::<io::Error>(error) {
        return error.to_string();
    }
    // The innermost error is the most specific: "operation timed out", "invalid peer certificate".
    let mut innermost: &(dyn StdError + 'static) = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

/// Returns the HTTP status of an error.
///
/// The type with the status is private in object_store, so this parses the message;
/// `tests::each_status_has_its_fault` checks it against a real server.
fn status(error: &Error) -> Option<u16> {
    let text = error.to_string();
    let (_, rest) = text.split_once("non-2xx status code: ")?;
    rest.get(..3)?.parse().ok()
}

fn mentions_missing_bucket(error: &Error) -> bool {
    error.to_string().contains("NoSuchBucket")
}

/// Returns the first error of type `E` among `error` and its causes.
fn find<E: StdError + 'static>(error: &Error) -> Option<&E> {
    let mut next: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<E>() {
            return Some(found);
        }
        next = error.source();
    }
    None
}
