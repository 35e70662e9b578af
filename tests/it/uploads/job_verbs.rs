//! `botops jobs` beside the store, and through the admin API.

use super::{files::slow_pdf, library::Library};
use crate::support::terminal_output;
use serde_json::json;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jobs_are_listed_shown_cancelled_retried_and_waited_for() {
    let library = Library::new().await;
    let server = library.serve();
    let slow = slow_pdf();
    let running = library.submit(&server, &[("slow.pdf", &slow)]).await;
    let waiting = library.submit(&server, &[("hours.txt", b"The shop opens at nine.")]).await;
    library.until(&running, &["running"]).await;
    let list = library.run(&["jobs", "list"]);
    assert!(list.contains("running") && list.contains("waiting"), "{list}");
    let short = library.run(&["jobs", "wait", &waiting, "--timeout", "1s"]);
    assert!(short.starts_with("exit: 4") && short.contains("BOT-7408"), "{short}");
    // A job that nobody works on ends at once; a running one at the next heartbeat.
    let dry = library.run(&["jobs", "cancel", &waiting, "--reason", "a mistake", "--dry-run"]);
    assert!(dry.contains("nothing was written (dry run)"), "{dry}");
    assert_eq!(library.job(&waiting)["state"], "waiting");
    let cancelled = library.run(&["jobs", "cancel", &waiting, "--reason", "a mistake"]);
    assert!(cancelled.starts_with("exit: 0") && cancelled.contains("cancelled"), "{cancelled}");
    // Through the server, with the key of an administrator of documents.
    let through = |arguments: &[&str]| {
        let mut command = library.folder.botops(arguments.iter().copied());
        command.env("BOTOPS_ADMIN_URL", server.admin_url()).env("BOTOPS_ADMIN_TOKEN", &library.key);
        terminal_output(&mut command)
    };
    let cancelled = through(&["jobs", "cancel", &running, "--reason", "too long"]);
    assert!(cancelled.starts_with("exit: 0"), "{cancelled}");
    let job = library.over(&running).await;
    assert_eq!(job["state"], "cancelled", "{job}");
    assert_eq!(library.versions(), 0);
    let waited = through(&["jobs", "wait", &running]);
    assert!(waited.starts_with("exit: 3") && waited.contains("was cancelled"), "{waited}");
    // To cancel it again is harmless.
    let again = through(&["jobs", "cancel", &running, "--reason", "again"]);
    assert!(again.starts_with("exit: 0") && again.contains("cancelled"), "{again}");
    assert_eq!(library.job(&running)["revision"], job["revision"]);

    let retried = through(&["jobs", "retry", &waiting, "--reason", "not a mistake"]);
    assert!(retried.starts_with("exit: 0"), "{retried}");
    let waited = through(&["jobs", "wait", &waiting]);
    assert!(waited.starts_with("exit: 0") && waited.contains("finished"), "{waited}");
    assert_eq!(library.job(&waiting)["result"]["version"], json!("help@1"));
    for verb in ["retry", "cancel"] {
        let late = library.run(&["jobs", verb, &waiting, "--reason", "again"]);
        assert!(late.starts_with("exit: 5") && late.contains("BOT-7402"), "{verb}: {late}");
    }
    let list = through(&["jobs", "list", "--all"]);
    assert!(list.contains("cancelled") && list.contains("finished"), "{list}");
    for arguments in [["jobs", "show", "latest"], ["jobs", "wait", "01ARZ3NDEKTSV4RRFFQ69G5FAV"]] {
        for text in [library.run(&arguments), through(&arguments)] {
            assert!(text.starts_with("exit: 2") && text.contains("BOT-7400"), "{text}");
        }
    }
}
