//! `POST /v1/predict` with `application/x-ndjson`: a batch of any length, one request a line and one answer a line.
//!
//! The answers are made while the client takes them, from lines that are read then: a batch is never in memory as a whole,
//! and a client that takes no answers is not read from. A line that cannot be answered gets a problem document, and the
//! batch goes on.

use crate::{
    BatchSettings,
    admission::{ClientAddress, once_more},
    app::App,
    attempt::Refusal,
    content_encoding::Unpacker,
    exchange::Exchange,
    media_type::{LINES, is_of_type},
    predict::{answer, predict},
    problem::Problem,
};
use axum::{
    Extension,
    body::{Body, BodyDataStream, Bytes, to_bytes},
    extract::{Request, State},
    http::{HeaderValue, StatusCode, header},
    response::Response,
};
use botops_access::PublicCaller;
use botops_findings::Fault;
use futures::{StreamExt as _, stream::unfold};
use std::sync::Arc;
use tokio::time::timeout;

/// The number of bytes that are unpacked together: they may stand for a megabyte.
const STEP: usize = 1 << 10;
/// The number of bytes of answers that are sent together.
const PART: usize = 16 << 10;

/// Answers `POST /v1/predict`, one body or a batch of lines.
pub(super) async fn predict_all(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<PublicCaller>,
    request: Request,
) -> Response {
    if !is_of_type(request.headers(), LINES) {
        return predict(&app, &caller, request).await;
    }
    let limits = app.batches;
    batch(app, caller, request, limits)
}

fn batch(app: Arc<App>, caller: PublicCaller, request: Request, limits: BatchSettings) -> Response {
    let shared = Arc::clone(&app);
    let exchange = Exchange::with(&shared, "predict", &caller);
    let unpacker = match Unpacker::new(request.headers()) {
        Ok(unpacker) => unpacker,
        Err(problem) => return exchange.refuse(problem, None),
    };
    if let Err(problem) = exchange.routing() {
        return exchange.refuse(problem, None);
    }
    let batch = Batch {
        app,
        caller: caller.clone(),
        address: request.extensions().get::<ClientAddress>().copied(),
        longest_line: shared.sizes.body("predict"),
        limits,
        body: request.into_body().into_data_stream(),
        packed: Bytes::new(),
        unpacker,
        plain: Vec::new(),
        begin: 0,
        searched: 0,
        is_skipping: false,
        is_read: false,
        is_over: false,
        n_bytes: 0,
        n_lines: 0,
        n_answered: 0,
    };
    let parts = unfold(batch, |mut batch| async move {
        let part = batch.next_part().await?;
        Some((Ok::<_, std::convert::Infallible>(part), batch))
    });
    let mut response = Response::new(Body::from_stream(parts));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(LINES));
    exchange.identified(response)
}

/// A batch that is being answered.
struct Batch {
    app: Arc<App>,
    caller: PublicCaller,
    address: Option<ClientAddress>,
    longest_line: usize,
    limits: BatchSettings,
    body: BodyDataStream,
    /// Bytes of the body that are not unpacked yet.
    packed: Bytes,
    unpacker: Unpacker,
    /// Unpacked bytes that are not answered yet.
    plain: Vec<u8>,
    /// The number of bytes of `plain` that are answered.
    begin: usize,
    /// The number of bytes of `plain` after them that are no line end.
    searched: usize,
    /// Whether the rest of a line that is too long is passed over.
    is_skipping: bool,
    /// Whether the body has ended.
    is_read: bool,
    /// Whether nothing more is answered.
    is_over: bool,
    n_bytes: u64,
    /// Lines so far, empty ones and the current one included.
    n_lines: u64,
    n_answered: u64,
}

impl Batch {
    /// Returns the next answers; `None` after the last.
    async fn next_part(&mut self) -> Option<Bytes> {
        let mut part = Vec::new();
        while !self.is_over && part.len() < PART {
            if let Some(line) = self.next_line() {
                match line {
                    Ok(line) => self.answer_line(&line, &mut part).await,
                    Err(problem) => self.refuse(problem, &mut part),
                }
            } else if self.is_read && self.packed.is_empty() {
                self.is_over = true;
            } else if !part.is_empty() && self.packed.is_empty() {
                // The client may wait for these before it sends more.
                break;
            } else if let Err(problem) = self.read_on().await {
                self.n_lines += 1;
                self.refuse(problem, &mut part);
                self.is_over = true;
            }
        }
        (!part.is_empty()).then(|| Bytes::from(part))
    }

    /// Takes the next complete line that is not empty; `None` if more has to be read.
    fn next_line(&mut self) -> Option<Result<Vec<u8>, Problem>> {
        loop {
            let rest = &self.plain[self.begin..];
            let end = rest[self.searched..].iter().position(|byte| *byte == b'\n');
            let is_last = self.is_read && self.packed.is_empty();
            let (n_bytes, n_taken) = match end {
                Some(at) => (self.searched + at, self.searched + at + 1),
                None if is_last && !rest.is_empty() => (rest.len(), rest.len()),
                None if rest.len() > self.longest_line => {
                    (self.begin, self.searched) = (self.plain.len(), 0);
                    if std::mem::replace(&mut self.is_skipping, true) {
                        return None;
                    }
                    self.n_lines += 1;
                    return Some(Err(self.too_long()));
                }
                None => {
                    self.searched = rest.len();
                    return None;
                }
            };
            let line = rest[..n_bytes].trim_ascii();
            let line = match line.len() > self.longest_line {
                true => Err(self.too_long()),
                false => Ok(line.to_vec()),
            };
            (self.begin, self.searched) = (self.begin + n_taken, 0);
            if std::mem::take(&mut self.is_skipping) {
                continue;
            }
            self.n_lines += 1;
            if line.as_ref().is_ok_and(Vec::is_empty) {
                continue;
            }
            return Some(line);
        }
    }

    /// Reads the next bytes of the body.
    ///
    /// # Errors
    /// `BOT-6012` they did not come, or are not gzip; `BOT-6172` (413) the batch is too large.
    async fn read_on(&mut self) -> Result<(), Problem> {
        if self.packed.is_empty() {
            match timeout(self.limits.wait, self.body.next()).await {
                Ok(Some(Ok(bytes))) => self.packed = bytes,
                Ok(None) => {
                    self.is_read = true;
                    return self.unpacker.finish(&mut self.plain);
                }
                Ok(Some(Err(_))) => return Err(broken("the batch could not be read completely")),
                Err(_) => {
                    return Err(broken("the rest of the batch did not come in time"));
                }
            }
        }
        self.plain.drain(..std::mem::take(&mut self.begin));
        let before = self.plain.len();
        let step = self.packed.split_to(self.packed.len().min(STEP));
        self.unpacker.push(&step, &mut self.plain, usize::MAX - 1)?;
        self.n_bytes += (self.plain.len() - before) as u64;
        let BatchSettings { bytes, lines, .. } = self.limits;
        if self.n_bytes > bytes || self.n_lines > lines {
            let message = format!("a batch may have {bytes} bytes and {lines} lines");
            let fault = Fault::usage("BOT-6172", message).hint("send the rest in another batch");
            return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, fault));
        }
        Ok(())
    }

    async fn answer_line(&mut self, line: &[u8], part: &mut Vec<u8>) {
        if self.n_lines > self.limits.lines {
            let message = format!("a batch may have {} lines", self.limits.lines);
            let fault = Fault::usage("BOT-6172", message).hint("send the rest in another batch");
            self.refuse(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, fault), part);
            self.is_over = true;
            return;
        }
        // As many lines as one request may have texts count as one request.
        if self.n_answered > 0 && self.n_answered.is_multiple_of(self.app.sizes.texts as u64) {
            let admitted = once_more(&self.app, "predict", &self.caller, self.address).await;
            if let Err(problem) = admitted {
                self.refuse(problem, part);
                self.is_over = true;
                return;
            }
        }
        self.n_answered += 1;
        let exchange = Exchange::with(&self.app, "predict", &self.caller);
        let (response, is_refused) = match answer(&exchange, line).await {
            Ok(response) => (response, false),
            Err(Refusal(problem, arm)) => (exchange.refuse(problem, arm), true),
        };
        let body = to_bytes(response.into_body(), usize::MAX).await.unwrap_or_default();
        self.write(&body, is_refused, part);
    }

    /// Answers the current line with `problem`.
    fn refuse(&self, problem: Problem, part: &mut Vec<u8>) {
        self.app.metrics.unanswered(None, problem.status.as_u16());
        let body =
            serde_json::to_vec(&problem.document()).expect("a problem can be written as JSON");
        self.write(&body, true, part);
    }

    /// Writes an answer, a JSON object, as a line; that of a refused line names it.
    fn write(&self, body: &[u8], is_refused: bool, part: &mut Vec<u8>) {
        match body.strip_prefix(b"{") {
            Some(members) if is_refused => {
                part.extend_from_slice(format!("{{\"line\":{},", self.n_lines).as_bytes());
                part.extend_from_slice(members);
            }
            _ => part.extend_from_slice(body),
        }
        part.push(b'\n');
    }

    fn too_long(&self) -> Problem {
        let message = format!("the line is larger than {} bytes", self.longest_line);
        let fault = Fault::usage("BOT-6014", message).hint("send fewer texts per line");
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, fault)
    }
}

fn broken(message: &str) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, Fault::usage("BOT-6012", message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock::WallClock, routing::Served, server::new_app, shadow, tests::model, tests::settings,
    };
    use botops_access::ScopeSet;
    use botops_digest::Digest;
    use serde_json::Value;
    use std::time::Duration;

    /// Returns the codes of the answers to `body`; an answer without one is empty.
    async fn codes(body: Body, limits: BatchSettings) -> Vec<String> {
        let clock = Arc::new(WallClock::start());
        let app = new_app("support", &settings(), clock, shadow::CAPACITY).unwrap();
        let digest = Digest::of(b"a");
        let served = Served::prepare(Arc::new(model()), digest, "a".to_owned(), None, None);
        app.slot.set(Arc::new(served.unwrap()), None);
        let caller = PublicCaller::anonymous(ScopeSet::NONE);
        let response = batch(app, caller, Request::new(body), limits);
        let answer = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        let answer = String::from_utf8(answer.to_vec()).unwrap();
        let code = |line| {
            let line: Value = serde_json::from_str(line).unwrap();
            line["code"].as_str().unwrap_or_default().to_owned()
        };
        answer.lines().map(code).collect()
    }

    #[tokio::test]
    async fn a_batch_ends_at_its_limits_with_a_last_line() {
        let line = "{\"text\": \"red apple\"}\n";
        let limits = BatchSettings { bytes: 1_000, lines: 3, wait: Duration::from_millis(200) };
        let of = |n: usize| codes(Body::from(line.repeat(n)), limits);
        assert_eq!(of(0).await, Vec::<String>::new());
        assert_eq!(of(3).await, ["", "", ""]);
        assert_eq!(of(4).await, ["", "", "", "BOT-6172"]);
        assert_eq!(codes(Body::from("\n".repeat(900) + line), limits).await, ["BOT-6172"]);
        let limits = BatchSettings { lines: 1_000, ..limits };
        let n = 1_000 / line.len();
        let found = codes(Body::from(line.repeat(n)), limits).await;
        assert_eq!((found.len(), found[n - 1].as_str()), (n, ""));
        let found = codes(Body::from(line.repeat(n + 60)), limits).await;
        assert_eq!(found.last().unwrap(), "BOT-6172");
        let stuck = futures::stream::iter([Ok::<_, std::io::Error>(line)])
            .chain(futures::stream::pending());
        assert_eq!(codes(Body::from_stream(stuck), limits).await, ["", "BOT-6012"], "no more came");
        let cut = [Ok(line), Err(std::io::Error::other("cut"))];
        let cut = Body::from_stream(futures::stream::iter(cut));
        assert_eq!(codes(cut, limits).await, ["", "BOT-6012"]);
    }
}
