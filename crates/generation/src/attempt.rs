//! One try: a request, its answer, and the limits of both.

use crate::{
    failure::{FailureKind, GenerationFailure},
    generated::{Finish, Usage},
    protocol::{self, Part},
    retry_after::retry_after,
    server_sent_events::EventStream,
    settings::{Delivery, GenerationSettings},
};
use botops_http::{Client, Response, StatusCode, header, why_unreachable};
use std::time::{Duration, SystemTime};
use tokio::time::{Instant, timeout_at};

/// The bytes of JSON around each token of a stream, and of an answer beside its text; endpoints send 200 to 400.
const BYTES_OF_A_PIECE: usize = 2_048;
/// The bytes of text of a token; the longest tokens of code and of blanks have more, but not on average.
const BYTES_OF_TEXT: usize = 32;

/// One try.
pub(crate) struct Attempt<'a> {
    settings: &'a GenerationSettings,
    /// The time of all tries together, for messages.
    limit: Duration,
    /// The end of all tries together.
    deadline: Instant,
    /// The end of the wait for the first piece.
    first: Instant,
    text: String,
    finish: Option<Finish>,
    usage: Option<Usage>,
    /// The estimate of the tokens of the request.
    tokens_in: u64,
    /// Whether the endpoint accepted the request, and so spent tokens.
    is_accepted: bool,
    bytes: usize,
}

impl<'a> Attempt<'a> {
    /// Begins a try of a request that began at `started` and has `limit`.
    pub(crate) fn new(
        settings: &'a GenerationSettings,
        (started, limit): (Instant, Duration),
        tokens_in: u64,
    ) -> Self {
        let deadline = started + limit;
        let first = match settings.delivery {
            Delivery::Streamed => deadline.min(Instant::now() + settings.first_token_timeout),
            Delivery::Whole => deadline,
        };
        Self {
            settings,
            limit,
            deadline,
            first,
            text: String::new(),
            finish: None,
            usage: None,
            tokens_in,
            is_accepted: false,
            bytes: 0,
        }
    }

    pub(crate) fn has_text(&self) -> bool {
        !self.text.is_empty()
    }

    /// Returns the tokens that were spent so far: those that the endpoint reported, or an estimate.
    pub(crate) fn spent(&self, bytes_of_a_token: u64) -> Usage {
        match self.usage {
            Some(usage) => usage,
            None if self.is_accepted => Usage {
                tokens_in: self.tokens_in,
                tokens_out: (self.text.len() as u64).div_ceil(bytes_of_a_token),
                is_reported: false,
            },
            None => Usage::default(),
        }
    }

    /// Sends `body` and reads the answer to its end.
    pub(crate) async fn run(
        &mut self,
        client: &Client,
        body: &[u8],
        now: SystemTime,
        on_piece: &mut (dyn FnMut(&str) + Send),
    ) -> Result<(String, Finish), GenerationFailure> {
        let mut sent = client
            .post(self.settings.url.clone())
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::ACCEPT, self.accepted_types())
            .body(body.to_vec());
        if let Some(key) = &self.settings.key {
            sent = sent.bearer_auth(key.expose());
        }
        let response = timeout_at(self.first, sent.send()).await.map_err(|_| self.timed_out())?;
        let response = response.map_err(|error| {
            let kind =
                if error.is_timeout() { FailureKind::TimedOut } else { FailureKind::Unreachable };
            let why = why_unreachable(&error);
            GenerationFailure::new(kind, format!("the endpoint cannot be reached: {why}"))
        })?;
        check_status(&response, now)?;
        self.is_accepted = true;
        let content_type = response.headers().get(header::CONTENT_TYPE);
        let content_type = content_type.and_then(|value| value.to_str().ok()).unwrap_or_default();
        let content_type = content_type.split(';').next().unwrap_or_default().trim();
        // An endpoint that cannot stream answers with a whole text, and one that always streams with pieces.
        if content_type.eq_ignore_ascii_case("text/event-stream") {
            self.pieces(response, on_piece).await?;
        } else if content_type.eq_ignore_ascii_case("application/json") {
            self.whole(response, on_piece).await?;
        } else {
            let shown = botops_text::display(content_type, 60);
            let message = format!("the endpoint answers with the content type `{shown}`");
            return Err(GenerationFailure::new(FailureKind::NotOfTheProtocol, message));
        }
        let Some(finish) = self.finish else {
            return Err(GenerationFailure::new(
                FailureKind::Cut,
                "the answer ended without its end",
            ));
        };
        if self.text.trim().is_empty() {
            return Err(GenerationFailure::new(FailureKind::Withheld, "the answer has no text"));
        }
        Ok((self.text.clone(), finish))
    }

    fn accepted_types(&self) -> &'static str {
        match self.settings.delivery {
            Delivery::Streamed => "text/event-stream, application/json",
            Delivery::Whole => "application/json",
        }
    }

    /// Reads a stream of pieces.
    async fn pieces(
        &mut self,
        mut response: Response,
        on_piece: &mut (dyn FnMut(&str) + Send),
    ) -> Result<(), GenerationFailure> {
        let mut stream = EventStream::default();
        let mut is_done = false;
        while !is_done {
            let Some(bytes) = self.next_bytes(&mut response).await? else { break };
            let mut failed = None;
            let read = stream.push(&bytes, &mut |data: &str| {
                if data.trim() == "[DONE]" {
                    is_done = true;
                    return false;
                }
                let part = protocol::part(data.as_bytes(), self.settings);
                failed = part.and_then(|part| self.add(part, on_piece)).err();
                failed.is_none()
            });
            if let Some(failure) = failed {
                return Err(failure);
            }
            read.map_err(|unfit| {
                let message = format!("the stream of the endpoint cannot be read: {unfit}");
                GenerationFailure::new(FailureKind::NotOfTheProtocol, message)
            })?;
        }
        Ok(())
    }

    /// Reads a whole answer.
    async fn whole(
        &mut self,
        mut response: Response,
        on_piece: &mut (dyn FnMut(&str) + Send),
    ) -> Result<(), GenerationFailure> {
        let mut body = Vec::new();
        while let Some(bytes) = self.next_bytes(&mut response).await? {
            body.extend_from_slice(&bytes);
        }
        let part = protocol::part(&body, self.settings)?;
        self.add(part, on_piece)
    }

    /// Reads the next bytes of the body within the time and the most bytes; `None` at its end.
    async fn next_bytes(
        &mut self,
        response: &mut Response,
    ) -> Result<Option<bytes::Bytes>, GenerationFailure> {
        let until = if self.text.is_empty() { self.first } else { self.deadline };
        let read = timeout_at(until, response.chunk()).await.map_err(|_| self.timed_out())?;
        let bytes = read.map_err(|error| {
            let why = why_unreachable(&error);
            GenerationFailure::new(FailureKind::Cut, format!("the answer was cut: {why}"))
        })?;
        self.bytes += bytes.as_ref().map_or(0, bytes::Bytes::len);
        let most = BYTES_OF_A_PIECE * (self.settings.max_tokens as usize + 64);
        if self.bytes > most {
            let message = format!("the answer has more than {most} bytes");
            return Err(GenerationFailure::new(FailureKind::TooLong, message));
        }
        Ok(bytes)
    }

    fn add(
        &mut self,
        part: Part,
        on_piece: &mut (dyn FnMut(&str) + Send),
    ) -> Result<(), GenerationFailure> {
        let most = BYTES_OF_TEXT * (self.settings.max_tokens as usize + 64);
        if self.text.len() + part.text.len() > most {
            let message = format!("the text has more than {most} bytes");
            return Err(GenerationFailure::new(FailureKind::TooLong, message));
        }
        // Text behind the end of an answer is no part of it.
        if self.finish.is_none() && !part.text.is_empty() {
            self.text.push_str(&part.text);
            on_piece(&part.text);
        }
        self.finish = self.finish.or(part.finish);
        self.usage = part.usage.or(self.usage);
        Ok(())
    }

    fn timed_out(&self) -> GenerationFailure {
        let (what, time) = if self.text.is_empty() && self.first < self.deadline {
            ("first piece of the answer", self.settings.first_token_timeout)
        } else {
            ("end of the answer", self.limit)
        };
        let message = format!("the {what} did not arrive within {time:?}");
        GenerationFailure::new(FailureKind::TimedOut, message)
    }
}

/// Turns a status that is no success into a failure. The body is not read: it may quote the question or the key.
fn check_status(response: &Response, now: SystemTime) -> Result<(), GenerationFailure> {
    let status = response.status();
    let kind = match status {
        StatusCode::OK => return Ok(()),
        StatusCode::TOO_MANY_REQUESTS => FailureKind::Busy,
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => FailureKind::Unauthorized,
        status if status.is_server_error() => FailureKind::EndpointError,
        status if status.is_redirection() || status.is_client_error() => FailureKind::Refused,
        _ => FailureKind::NotOfTheProtocol,
    };
    let message = format!("the endpoint answers {}", status.as_u16());
    let mut failure = GenerationFailure::new(kind, message);
    let header = response.headers().get(header::RETRY_AFTER);
    let header = header.and_then(|value| value.to_str().ok());
    failure.retry_after = header.and_then(|value| retry_after(value, now));
    Err(failure)
}
