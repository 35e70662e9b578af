//! Files of an administrator become a version by a job.

use super::{
    files::{docx, form, pdf},
    library::Library,
};
use serde_json::json;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_of_an_administrator_becomes_a_version_by_a_job() {
    let library = Library::new().await;
    let server = library.serve();
    let fields = [("reason", "the new rules"), ("language", "en"), ("access", "customers")];
    let body =
        form(&fields, &[("shop/returns.md", b"# Returns\n\nReturns are free within 30 days.\n")]);
    let key = [("idempotency-key", "upload-1")];
    let (status, taken) = library.upload_with(&server, &key, body.clone()).await;
    assert_eq!(status, 202, "{taken}");
    let id = taken["job"]["id"].as_str().unwrap();
    let waited = library.run(&["jobs", "wait", id, "--timeout", "2m"]);
    assert!(waited.starts_with("exit: 0") && waited.contains("finished"), "{waited}");
    let job = library.job(id);
    assert_eq!((&job["result"]["version"], &job["attempts"]), (&json!("help@1"), &json!(1)));
    assert_eq!(job["by"], "documents", "{job}");
    let log = library.run(&["knowledge", "log", "help"]);
    assert!(log.contains("the new rules") && log.contains("documents"), "{log}");

    // The same request again is the same job.
    let (status, again) = library.upload_with(&server, &key, body).await;
    assert_eq!((status, &again["job"]["id"]), (202, &json!(id)), "{again}");
    // The other documents stay.
    let id = library.submit(&server, &[("hours.txt", b"The shop opens at nine.")]).await;
    let job = library.over(&id).await;
    assert_eq!(job["result"]["version"], "help@2", "{job}");
    let documents: Vec<_> = library.passages().into_iter().map(|(name, _)| name).collect();
    assert_eq!(documents, ["hours.txt", "shop/returns.md"]);
    // What was stored before is not a new version.
    let id = library.submit(&server, &[("hours.txt", b"The shop opens at nine.")]).await;
    let job = library.over(&id).await;
    assert_eq!(job["state"], "finished", "{job}");
    assert_eq!(library.versions(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_content_of_a_file_decides_how_it_is_read_and_not_its_name() {
    let library = Library::new().await;
    let server = library.serve();
    let page = "<!doctype html><html><head><title>Hours</title><style>p{color:red}</style>\
        <script>stolen(document.cookie)</script></head><body onload=\"loaded()\">\
        <h1>Hours</h1><p onclick=\"clicked()\">The shop opens at nine.</p>\
        <script src=\"https://evil.example/run.js\"></script><noscript>no script</noscript>\
        <iframe srcdoc=\"&lt;script&gt;framed()&lt;/script&gt;\"></iframe>\
        <a href=\"javascript:linked()\">Contact</a><template>templated</template>\
        <svg><script>drawn()</script></svg><!-- commented() --></body></html>";
    let files: [(&str, &[u8]); 4] = [
        ("hours.md", page.as_bytes()),
        ("guide.txt", &pdf("Returns within thirty days.", None)),
        ("terms.html", &docx("Shipping takes two days.")),
        ("plain.pdf", b"A text that is no PDF file."),
    ];
    let id = library.submit(&server, &files).await;
    let job = library.over(&id).await;
    assert_eq!(job["state"], "finished", "{job}");
    let passages = library.passages();
    let of = |name: &str| -> String {
        passages.iter().filter(|(it, _)| it == name).map(|(_, text)| text.as_str()).collect()
    };
    assert!(of("hours.md").contains("The shop opens at nine."), "{passages:?}");
    assert!(of("guide.txt").contains("Returns within thirty days."), "{passages:?}");
    assert!(of("terms.html").contains("Shipping takes two days."), "{passages:?}");
    assert!(of("plain.pdf").contains("A text that is no PDF file."), "{passages:?}");
    let bytes = std::fs::read(library.folder.path().join("pulled.knowledge")).unwrap();
    let index = String::from_utf8_lossy(&bytes);
    for active in [
        "stolen",
        "loaded",
        "clicked",
        "evil.example",
        "framed",
        "linked",
        "javascript",
        "drawn",
        "commented",
        "color:red",
        "<script",
        "<p",
    ] {
        assert!(!index.contains(active), "{active} is in the index");
    }
}
