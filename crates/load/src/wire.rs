//! One connection with HTTP/1.1: a request, then its answer.
//!
//! An answer counts also if it comes before the request was sent, as that of a server that refuses the connection.

use botops_http::Connection;
use futures::FutureExt as _;
use std::{io, time::Duration};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// The largest head of an answer.
const LARGEST_HEAD: usize = 64 << 10;
/// The largest body of an answer.
const LARGEST_BODY: usize = 4 << 20;

/// A connection, and the bytes that were received and not used.
#[derive(Debug)]
pub(crate) struct Wire {
    stream: Connection,
    unread: Vec<u8>,
}

/// An answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// The pause that `Retry-After` asks for.
    pub(crate) retry_after: Option<Duration>,
    pub(crate) body: Vec<u8>,
    /// Whether the connection takes another request.
    pub(crate) is_kept: bool,
}

/// The head of an answer.
#[derive(Debug, PartialEq, Eq)]
struct Head {
    status: u16,
    retry_after: Option<Duration>,
    length: Length,
    is_kept: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Length {
    Known(usize),
    Chunked,
    /// Until the end of the connection.
    Open,
}

impl Wire {
    pub(crate) fn new(stream: Connection) -> Self {
        Self { stream, unread: Vec::new() }
    }

    /// Returns whether the server has neither closed the connection nor sent something that was not asked for.
    pub(crate) fn is_open(&mut self) -> bool {
        let mut byte = [0];
        self.unread.is_empty() && self.stream.read(&mut byte).now_or_never().is_none()
    }

    /// Sends a request, and reads the answer.
    ///
    /// # Errors
    /// The connection ends before the answer, or the answer is not one of HTTP/1.1.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> io::Result<Answer> {
        // A server that refuses the connection has closed it, and the answer may wait here all the same.
        let sent = self.stream.write_all(request).await;
        let sent = match sent {
            Ok(()) => self.stream.flush().await,
            failed => failed,
        };
        let head = match (self.head().await, sent) {
            (Ok(head), _) => head,
            (Err(_), Err(error)) | (Err(error), Ok(())) => return Err(error),
        };
        let body = match head.length {
            Length::Known(length) => self.take(length).await?,
            Length::Chunked => self.chunks().await?,
            Length::Open => {
                while self.unread.len() <= LARGEST_BODY && self.more().await? {}
                std::mem::take(&mut self.unread)
            }
        };
        let is_kept = head.is_kept && self.unread.is_empty();
        Ok(Answer { status: head.status, retry_after: head.retry_after, body, is_kept })
    }

    /// Reads the head of the final answer.
    async fn head(&mut self) -> io::Result<Head> {
        loop {
            let text = self.until(b"\r\n\r\n").await?;
            let head = parse(&text).ok_or_else(|| invalid("the head is not one of HTTP/1.1"))?;
            if head.status >= 200 {
                return Ok(head);
            }
        }
    }

    /// Takes the bytes until `end`, and `end`.
    async fn until(&mut self, end: &[u8]) -> io::Result<Vec<u8>> {
        loop {
            if let Some(at) = self.unread.windows(end.len()).position(|window| window == end) {
                let rest = self.unread.split_off(at + end.len());
                return Ok(std::mem::replace(&mut self.unread, rest));
            }
            if self.unread.len() > LARGEST_HEAD {
                return Err(invalid("the head is too long"));
            }
            if !self.more().await? {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// Takes `length` bytes.
    async fn take(&mut self, length: usize) -> io::Result<Vec<u8>> {
        if length > LARGEST_BODY {
            return Err(invalid("the answer is too long"));
        }
        while self.unread.len() < length {
            if !self.more().await? {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        let rest = self.unread.split_off(length);
        Ok(std::mem::replace(&mut self.unread, rest))
    }

    async fn chunks(&mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let line = self.until(b"\r\n").await?;
            let size = std::str::from_utf8(&line).ok().and_then(|line| {
                let digits = line.trim_end().split(';').next()?.trim();
                usize::from_str_radix(digits, 16).ok()
            });
            let size = size.ok_or_else(|| invalid("a chunk has no size"))?;
            if size == 0 {
                // Trailers, until an empty line.
                while self.until(b"\r\n").await? != b"\r\n" {}
                return Ok(body);
            }
            body.extend(self.take(size).await?);
            if self.take(2).await? != b"\r\n" || body.len() > LARGEST_BODY {
                return Err(invalid("a chunk has another size"));
            }
        }
    }

    /// Receives more bytes. Returns `false` at the end of the connection.
    async fn more(&mut self) -> io::Result<bool> {
        self.unread.reserve(4 << 10);
        Ok(self.stream.read_buf(&mut self.unread).await? > 0)
    }
}

fn invalid(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

/// Parses the head of an answer; `None` if it is not one of HTTP/1.
fn parse(head: &[u8]) -> Option<Head> {
    let text = std::str::from_utf8(head).ok()?;
    let mut lines = text.split("\r\n");
    let status = lines.next()?.strip_prefix("HTTP/1.")?;
    let mut is_kept = status.starts_with('1');
    let status: u16 = status.get(2..5)?.parse().ok()?;
    let (mut retry_after, mut length) = (None, Length::Open);
    for line in lines.filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':')?;
        let value = value.trim();
        if name.eq_ignore_ascii_case("content-length") && length != Length::Chunked {
            length = Length::Known(value.parse().ok()?);
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            length = Length::Chunked;
        } else if name.eq_ignore_ascii_case("connection") {
            is_kept &= !value.eq_ignore_ascii_case("close");
        } else if name.eq_ignore_ascii_case("retry-after") {
            retry_after = value.parse().ok().map(Duration::from_secs);
        }
    }
    if status < 200 || matches!(status, 204 | 304) {
        length = Length::Known(0);
    }
    is_kept &= length != Length::Open;
    Some(Head { status, retry_after, length, is_kept })
}

#[cfg(test)]
mod tests {
    use super::*;
    use botops_http::{Connector, Url};
    use std::{
        io::Write as _,
        net::{Shutdown, TcpListener},
    };

    /// Returns the answer to a request that a server answers with `bytes`, in parts of `step` bytes.
    fn answered(bytes: &'static [u8], step: usize) -> io::Result<Answer> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.set_nodelay(true).unwrap();
            for part in bytes.chunks(step) {
                stream.write_all(part).unwrap();
            }
            // To close with the request unread would reset the connection.
            stream.shutdown(Shutdown::Write).unwrap();
            std::io::copy(&mut stream, &mut std::io::sink()).unwrap();
        });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let answer = runtime.block_on(async {
            let mut wire = Wire::new(Connector::to(&url).await.unwrap().connect().await.unwrap());
            wire.exchange(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await
        });
        server.join().unwrap();
        answer
    }

    #[test]
    fn answers_are_read_in_each_form_and_in_any_parts() {
        for step in [1, 7, 1_000] {
            let answer = answered(
                b"HTTP/1.1 503 Busy\r\nRetry-After: 2\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno",
                step,
            );
            let retry_after = Some(Duration::from_secs(2));
            let expected =
                Answer { status: 503, retry_after, body: b"no".to_vec(), is_kept: false };
            assert_eq!(answer.unwrap(), expected);
            let chunked = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n\
                            3;x=1\r\nabc\r\n2\r\nde\r\n0\r\nt: 1\r\n\r\n";
            let answer = answered(chunked, step).unwrap();
            assert_eq!(
                (answer.status, &answer.body[..], answer.is_kept),
                (200, &b"abcde"[..], true)
            );
            let answer = answered(b"HTTP/1.1 200 OK\r\n\r\nto the end", step).unwrap();
            assert_eq!((&answer.body[..], answer.is_kept), (&b"to the end"[..], false));
        }
        for broken in [
            &b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nabc"[..],
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
            b"HTTP/1.1 200 OK\r\n",
            b"SSH-2.0-x\r\n\r\n",
            b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n",
        ] {
            answered(broken, 1_000).unwrap_err();
        }
    }
}
