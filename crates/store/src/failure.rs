//! What an `object_store` error means: gone, taken, passing, or lasting; and how to say so.

use botops_findings::Fault;
use object_store::{Error, client::HttpError};
use std::{error::Error as StdError, io};

/// What was being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Doing {
    Read,
    List,
    Write,
    Remove,
}

/// What an error means for the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    /// There is an object already, and put-if-absent left it alone.
    Exists,
    /// There is no such object.
    Absent,
    /// There is no such bucket.
    NoBucket,
    /// Worth another try; `maybe_done`: the write may have taken effect all the same.
    Passing { maybe_done: bool },
    /// Another try would end the same.
    Lasting,
}

impl Failure {
    pub(super) fn of(error: &Error) -> Self {
        match error {
            Error::NotFound { .. } if mentions_missing_bucket(error) => Self::NoBucket,
            Error::NotFound { .. } => Self::Absent,
            // S3 answers 409 while a conditional request on the same key is in flight; nothing was
            // written, and object_store calls it AlreadyExists all the same.
            Error::AlreadyExists { .. } | Error::Precondition { .. } => match status(error) {
                Some(409) => Self::Passing { maybe_done: false },
                _ => Self::Exists,
            },
            Error::Generic { .. } => Self::of_generic(error),
            _ => Self::Lasting,
        }
    }

    fn of_generic(error: &Error) -> Self {
        if let Some(status) = status(error) {
            return match status {
                404 if mentions_missing_bucket(error) => Self::NoBucket,
                429 => Self::Passing { maybe_done: false },
                501 | 505 => Self::Lasting,
                408 | 500.. => Self::Passing { maybe_done: true },
                _ => Self::Lasting,
            };
        }
        if let Some(error) = find::<HttpError>(error) {
            use object_store::client::HttpErrorKind::{Connect, Decode};
            return match error.kind() {
                Connect => Self::Passing { maybe_done: false },
                Decode => Self::Lasting,
                _ => Self::Passing { maybe_done: true },
            };
        }
        match find::<io::Error>(error).map(io::Error::kind) {
            // A disk says these for good; everything of this kind from a network came as HttpError.
            Some(io::ErrorKind::Interrupted | io::ErrorKind::TimedOut) | None => {
                Self::Passing { maybe_done: true }
            }
            Some(_) => Self::Lasting,
        }
    }
}

const CREDENTIALS: &str = "set `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`: this machine has no role to take credentials from";

/// Says what failed: `store` and `object` as messages call them, after `tries` tries.
pub(super) fn fault(store: &str, object: &str, doing: Doing, error: Error, tries: u32) -> Fault {
    // Without credentials of its own, object_store asks the machine's metadata service for a role.
    let no_credentials = error.to_string().contains("169.254.169.254");
    let why = if no_credentials { "no credentials were found".to_owned() } else { reason(&error) };
    let s3 = store.starts_with("s3://");
    let fault = match Failure::of(&error) {
        Failure::NoBucket => {
            let bucket = store.trim_start_matches("s3://").split('/').next().unwrap_or(store);
            Fault::usage("BOT-5008", format!("bucket `{bucket}` does not exist"))
                .hint(format!("create it: `aws s3 mb s3://{bucket}`"))
                .hint("or check `AWS_ENDPOINT_URL` and the name of the bucket")
        }
        Failure::Passing { .. } => {
            let times = if tries == 1 { "1 try".to_owned() } else { format!("{tries} tries") };
            let fault = Fault::unreachable(
                "BOT-5003",
                format!("`{store}` cannot be reached after {times}: {why}"),
            );
            let fault = if no_credentials {
                fault.hint(CREDENTIALS)
            } else if s3 {
                fault.hint("check the network and `AWS_ENDPOINT_URL`")
            } else {
                fault
            };
            fault.hint("then run the command again: nothing is lost or doubled by trying again")
        }
        _ => {
            let verb = match doing {
                Doing::Write => "written",
                Doing::Read => "read",
                Doing::List => "listed",
                Doing::Remove => "deleted from",
            };
            let fault = Fault::internal("BOT-5002", format!("`{store}` cannot be {verb}: {why}"));
            match find::<io::Error>(&error).map(io::Error::kind) {
                Some(io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) => {
                    fault.hint("free some space, then run the command again")
                }
                Some(io::ErrorKind::ReadOnlyFilesystem) => {
                    fault.hint("choose a store that can be written: `--registry PATH`")
                }
                _ if no_credentials => fault.hint(CREDENTIALS),
                _ if s3 => fault.hint(
                    "check that the credentials in `AWS_ACCESS_KEY_ID` may list, read and write it",
                ),
                _ => fault.hint("check the owner and permissions of the folder"),
            }
        }
    };
    fault.file(object).caused_by(error)
}

/// Returns the cause in a few words, without addresses of ours in it.
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
    // The innermost error says most: "operation timed out", "invalid peer certificate".
    let mut innermost: &(dyn StdError + 'static) = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

/// Returns the HTTP status behind an error. object_store keeps the type that holds it private, so
/// this reads its words; `tests::statuses_are_told_apart` pins them against a real server.
fn status(error: &Error) -> Option<u16> {
    let text = error.to_string();
    let (_, rest) = text.split_once("non-2xx status code: ")?;
    rest.get(..3)?.parse().ok()
}

fn mentions_missing_bucket(error: &Error) -> bool {
    error.to_string().contains("NoSuchBucket")
}

/// Finds an error of type `E` among the causes of `error`.
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
