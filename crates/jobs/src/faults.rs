//! The faults of jobs.

use crate::{Job, JobState, Refusal};
use botops_findings::{Fault, FaultKind};
use botops_text as text;

/// The fault of an id that no job has.
pub(crate) fn no_such_job(id: &str) -> Fault {
    Fault::usage("BOT-7400", format!("there is no job `{}`", text::display(id, 80)))
        .hint("see all jobs: `botops jobs list --all`")
}

/// The fault of an entry that does not fit the ones before.
pub(crate) fn illegal(id: &str, seq: u64, refusal: &Refusal, place: String) -> Fault {
    let message = format!("entry {seq} of job `{id}` does not fit the ones before: {refusal}");
    Fault::data("BOT-7401", message)
        .file(place)
        .hint("restore the job from a backup, or remove its folder and submit the work again")
}

/// The fault of an action that does not fit the state of a job.
pub(crate) fn refused(job: &Job, action: &str, refusal: &Refusal) -> Fault {
    let id = job.id.as_str();
    let fault =
        Fault::conflict("BOT-7402", format!("job `{id}` cannot be {action} now: {refusal}"));
    match job.state {
        JobState::Failed | JobState::Cancelled => {
            fault.hint(format!("try it again: `botops jobs retry {id} --reason \"…\"`"))
        }
        _ => fault.hint(format!("look at it: `botops jobs show {id}`")),
    }
}

/// The fault of a worker whose job another one has, or nobody needs any more.
pub(crate) fn lost(id: &str, worker: &str, refusal: &Refusal) -> Fault {
    let message = format!("`{worker}` no longer holds job `{id}`: {refusal}");
    Fault::conflict("BOT-7403", message).hint(format!("look at it: `botops jobs show {id}`"))
}

/// The fault of a request that cannot become a job.
pub(crate) fn unfit(message: String) -> Fault {
    Fault::usage("BOT-7404", message).hint("store large values as blobs, and name their digests")
}

/// The fault of a key that was used for another request.
pub(crate) fn other_request(id: &str) -> Fault {
    let message =
        format!("the key of this request was used for another one, which made job `{id}`");
    Fault::conflict("BOT-7405", message)
        .hint("send a new random key with each request, and the same one only when you repeat it")
}

/// The fault of a log that changes faster than it can be written.
pub(crate) fn contended(id: &str) -> Fault {
    Fault::new(
        FaultKind::Conflict,
        "BOT-7406",
        format!("the log of job `{id}` changed again and again while it was to be written"),
    )
    .hint(format!("look at it, then try again: `botops jobs show {id}`"))
}
