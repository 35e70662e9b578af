//! Uploads that are refused at once: who may not send them, and those that are too large.

use super::{
    files::{FORM, form},
    library::{DOCUMENTS, Library},
};
use crate::serving::server_process::Server;
use serde_json::json;
use std::time::{Duration, Instant};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_an_administrator_with_the_scope_may_upload() {
    let library = Library::new().await;
    let operator = library.new_key("ops", "read,operate,approve,emergency,audit");
    let client = library.new_key("web", "predict,chat,search,feedback");
    let server = library.serve();
    let body = || form(&[], &[("hours.txt", b"The shop opens at nine.")]);
    let send = async |authorization: Option<String>, path: (&str, &str)| {
        let mut headers = vec![("content-type", FORM)];
        if let Some(value) = &authorization {
            headers.push(("authorization", value));
        }
        library.send(&server, path, (&headers, body())).await
    };
    let upload = ("POST", DOCUMENTS);
    for (name, key, expected) in [
        ("a client", Some(format!("Bearer {client}")), 403),
        ("an operator", Some(format!("Bearer {operator}")), 403),
        ("nobody", None, 401),
        ("an unknown key", Some("Bearer botops_unknown_0000000000000000".to_owned()), 401),
    ] {
        let (status, answer) = send(key.clone(), upload).await;
        assert_eq!(status, expected, "{name}: {answer}");
        if status == 403 {
            assert_eq!(answer["code"], "BOT-1046", "{name}: {answer}");
            assert!(answer["detail"].as_str().unwrap().contains("knowledge"), "{answer}");
        }
        let mut headers = vec![("content-type", "application/json")];
        if let Some(value) = &key {
            headers.push(("authorization", value));
        }
        let path = format!("{DOCUMENTS}/hours.txt");
        let (status, _) = library.send(&server, ("DELETE", &path), (&headers, Vec::new())).await;
        assert_eq!(status, expected, "{name} removes a file");
    }
    // The public listener has no such path, whoever asks.
    let url = format!("{}{DOCUMENTS}", server.address());
    let request = crate::serving::http().post(url).bearer_auth(&library.key);
    let answer = request.header("content-type", "application/json").body("{}").send().await;
    assert_eq!(answer.unwrap().status(), 404);
    let (status, _) = send(Some(format!("Bearer {}", library.key)), upload).await;
    assert_eq!(status, 202);
    let jobs = library.run(&["jobs", "list", "--all"]);
    assert_eq!(jobs.matches("knowledge help").count(), 1, "{jobs}");
}

/// Sends the head of an upload, then a body for as long as the server takes it. Returns the answer and the bytes that were sent.
async fn raw(
    server: &Server,
    head: &str,
    mut body: impl FnMut() -> Option<Vec<u8>>,
) -> (String, usize) {
    let address = server.admin_url().strip_prefix("http://").unwrap().to_owned();
    let mut stream = TcpStream::connect(&address).await.unwrap();
    let head = format!(
        "POST {DOCUMENTS} HTTP/1.1\r\nhost: {address}\r\ncontent-type: {FORM}\r\n{head}\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let (mut reader, mut writer) = stream.split();
    let (mut sent, mut answer) = (0, vec![0; 8_192]);
    let mut read = 0;
    loop {
        let piece = body();
        let is_end = piece.is_none();
        let piece = piece.unwrap_or_default();
        tokio::select! {
            biased;
            n = reader.read(&mut answer[read..]) => {
                read += n.unwrap_or(0);
                break;
            }
            wrote = writer.write_all(&piece), if !is_end => {
                sent += piece.len();
                if wrote.is_err() {
                    read += reader.read(&mut answer[read..]).await.unwrap_or(0);
                    break;
                }
            }
            () = tokio::time::sleep(Duration::from_secs(60)) => panic!("no answer after {sent} bytes"),
        }
    }
    (String::from_utf8_lossy(&answer[..read]).into_owned(), sent)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_above_the_limits_is_refused_early() {
    let library = Library::new().await;
    let server = library.serve();
    let bearer = format!("authorization: Bearer {}\r\n", library.key);
    // 2 GB by its own account: refused before any byte of the body is sent, also with `Expect`.
    for more in ["", "expect: 100-continue\r\n"] {
        let begun = Instant::now();
        let head = format!("{bearer}content-length: 2147483648\r\n{more}");
        let (answer, sent) = raw(&server, &head, || None).await;
        assert!(answer.starts_with("HTTP/1.1 413"), "{more}: {answer}");
        assert!(answer.contains("BOT-7411"), "{answer}");
        assert_eq!(sent, 0);
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    }
    // Who has no key is not told about limits.
    let (answer, _) = raw(&server, "content-length: 2147483648\r\n", || None).await;
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");

    // Without a length, the server stops at the limit of a file (32 MiB) and not at the end of what comes.
    // The form without the end of its file: a line end and the last boundary.
    let start = form(&[], &[("large.md", b"")]);
    let start = start[..start.len() - 33].to_vec();
    let chunk =
        |bytes: &[u8]| [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat();
    let (mut first, piece) = (Some(chunk(&start)), chunk(&vec![b'a'; 1 << 20]));
    let mut left = 200;
    let head = format!("{bearer}transfer-encoding: chunked\r\n");
    let (answer, sent) = raw(&server, &head, || {
        left -= 1;
        first.take().or_else(|| (left > 0).then(|| piece.clone()))
    })
    .await;
    assert!(answer.starts_with("HTTP/1.1 413") && answer.contains("BOT-7411"), "{sent}: {answer}");
    assert!(sent < 60 << 20, "{sent} bytes were read");
    let many: Vec<(String, &[u8])> = (0..101).map(|n| (format!("{n}.md"), &b"text"[..])).collect();
    let many: Vec<(&str, &[u8])> = many.iter().map(|(name, text)| (name.as_str(), *text)).collect();
    let (status, problem) = library.upload(&server, &many).await;
    assert_eq!((status, &problem["code"]), (413, &json!("BOT-7411")), "{problem}");
    let jobs = library.run(&["jobs", "list", "--all"]);
    assert!(jobs.contains("no jobs"), "{jobs}");
}
