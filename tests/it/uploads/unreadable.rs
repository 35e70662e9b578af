//! Files that cannot be read: the job fails with the name of the file, and there is no version.

use super::{
    files::{BOMB_MEGABYTES, archive, bomb, encrypted_pdf},
    library::Library,
};
use crate::serving;
use serde_json::json;
use std::time::{Duration, Instant};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_cannot_be_read_is_named_and_nothing_is_half_indexed() {
    let library = Library::new().await;
    let server = library.serve();
    // 300 MB in 300 kB, and one that pretends to have 100 bytes.
    let (bomb, liar) = (bomb(BOMB_MEGABYTES << 20), bomb(100));
    assert!(bomb.len() < 1_000_000, "{}", bomb.len());
    let program = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0>\0".as_slice();
    let (status, problem) = library.upload(&server, &[("notes.md", program)]).await;
    assert_eq!((status, &problem["code"]), (415, &json!("BOT-7414")), "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains("notes.md"), "{problem}");

    let (encrypted, good) = (encrypted_pdf(), b"The shop opens at nine.".as_slice());
    let zip = archive("notes.txt", b"a text in an archive");
    for (name, bytes, code) in [
        ("bomb.docx", bomb.as_slice(), "BOT-7102"),
        ("liar.md", liar.as_slice(), "BOT-710"),
        ("secret.pdf", encrypted.as_slice(), "BOT-7104"),
        ("secret.txt", encrypted.as_slice(), "BOT-7104"),
        ("broken.pdf", b"%PDF-1.4\nnothing".as_slice(), "BOT-7106"),
        ("archive.docx", zip.as_slice(), "BOT-7100"),
        ("scripts.html", b"<html><script>only()</script></html>", "BOT-7101"),
        ("latin.md", b"caf\xe9 noir", "BOT-7103"),
    ] {
        let begun = Instant::now();
        let id = library.submit(&server, &[("hours.txt", good), (name, bytes)]).await;
        let job = library.over(&id).await;
        assert_eq!(job["state"], "failed", "{name}: {job}");
        let failure = job["failure"].to_string();
        assert!(failure.contains(name) && failure.contains(code), "{name}: {failure}");
        assert_eq!(job["attempts"], 1, "{name} is the same the next time");
        assert!(begun.elapsed() < Duration::from_secs(60), "{name}: {:?}", begun.elapsed());
        let waited = library.run(&["jobs", "wait", &id]);
        assert!(waited.starts_with("exit: 3") && waited.contains("BOT-7407"), "{waited}");
    }
    assert_eq!(library.versions(), 0);
    // The bot still answers, and takes other documents.
    let url = format!("{}/v1/predict", server.address());
    let answer = serving::http().post(url).json(&json!({ "text": "my parcel" })).send().await;
    assert_eq!(answer.unwrap().status(), 200);
    let id = library.submit(&server, &[("hours.txt", good)]).await;
    assert_eq!(library.over(&id).await["result"]["version"], "help@1");
}
