//! The exporter: it gathers spans and posts them to the collector.
//!
//! A batch that the collector cannot take now is tried again, with growing pauses; one that it refuses is not. Meanwhile the
//! queue fills, and spans beyond it are dropped and counted. Trouble is reported when it begins and when it ends.

use crate::{
    ended::{Attribute, Ended},
    otlp,
    span_ids::SpanIds,
    span_queue::{Entry, Said},
    trace_context::written,
    trace_metrics::TraceMetrics,
    trace_settings::TraceSettings,
};
use botops_findings::Result;
use botops_http::{
    Client, ClientSpec, Proxy, Redirects, Response, StatusCode, Url,
    header::{CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER},
    why_unreachable,
};
use std::{
    borrow::Cow,
    time::{Duration, Instant},
};
use tokio::{
    sync::{mpsc::Receiver, oneshot},
    time::sleep,
};

/// The code of a collector that does not take spans.
const UNSENT: &str = "BOT-6291";
/// The most spans of one request.
const MOST_SPANS: usize = 512;
/// The longest time that spans gather.
const GATHER: Duration = Duration::from_secs(1);
/// The time between two looks into the queue while spans gather.
const LOOK: Duration = Duration::from_millis(20);
/// The most attempts of one batch.
const TRIES: u32 = 5;
/// The pause after the first failed attempt; it doubles.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// The most bytes of an answer that are read.
const MOST_ANSWER: usize = 64 << 10;

/// The outcome of one attempt that failed.
struct Failure {
    problem: String,
    /// Whether another attempt may succeed.
    may_pass: bool,
    /// The pause that the collector asks for.
    pause: Option<Duration>,
}

/// The exporter to one collector.
pub(crate) struct Collector {
    http: Client,
    url: Url,
    headers: Vec<(HeaderName, HeaderValue)>,
    /// The place of the collector, for people.
    shown: String,
    resource: Vec<Attribute>,
    metrics: TraceMetrics,
    /// Whether trouble was reported that has not ended.
    in_trouble: bool,
}

impl Collector {
    /// Makes the exporter.
    ///
    /// # Errors
    /// `BOT-1018` (exit 1) the root certificates of the system cannot be read.
    pub(crate) fn new(
        settings: &TraceSettings,
        ids: &SpanIds,
        metrics: TraceMetrics,
    ) -> Result<Self> {
        let http = botops_http::client(&ClientSpec {
            answer: Some(settings.timeout),
            silence: None,
            redirects: Redirects::Refused,
            proxy: Proxy::Environment,
        })?;
        let own = [
            ("service.version", env!("CARGO_PKG_VERSION").to_owned()),
            ("service.instance.id", written(&ids.trace())),
            ("telemetry.sdk.name", "botops".to_owned()),
            ("telemetry.sdk.language", "rust".to_owned()),
            ("telemetry.sdk.version", env!("CARGO_PKG_VERSION").to_owned()),
        ];
        let is_own = |key: &str| settings.resource.iter().all(|(known, _)| known != key);
        let own = own.into_iter().filter(|(key, _)| is_own(key));
        let own = own.map(|(key, value)| (Cow::Borrowed(key), value.into()));
        let given = settings.resource.iter().cloned();
        let given = given.map(|(key, value)| (Cow::Owned(key), value.into()));
        Ok(Self {
            http,
            url: settings.url.clone(),
            headers: settings.headers.clone(),
            shown: settings.shown(),
            resource: own.chain(given).collect(),
            metrics,
            in_trouble: false,
        })
    }

    /// Sends what comes through `queue` until nobody can send any more.
    pub(crate) async fn run(mut self, mut queue: Receiver<Entry>, say: Said) {
        let (mut batch, mut waiting) = (Vec::new(), Vec::new());
        while gather(&mut queue, &mut batch, &mut waiting).await {
            let tries = if waiting.is_empty() { TRIES } else { 1 };
            self.deliver(std::mem::take(&mut batch), tries, &say).await;
            for done in waiting.drain(..) {
                let _ = done.send(());
            }
        }
    }

    /// Delivers a batch, in up to `tries` attempts.
    async fn deliver(&mut self, batch: Vec<Ended>, tries: u32, say: &Said) {
        if batch.is_empty() {
            return;
        }
        let (n, body) = (batch.len() as u64, otlp::request(&self.resource, &batch));
        drop(batch);
        for attempt in 1.. {
            let Failure { problem, may_pass, pause } = match self.post(body.clone()).await {
                Ok((refused, reason)) => {
                    self.metrics.exported.inc_by(n.saturating_sub(refused));
                    self.metrics.rejected.inc_by(refused.min(n));
                    self.took(refused, &reason, say);
                    return;
                }
                Err(failure) => failure,
            };
            self.metrics.failures.inc();
            self.metrics.failing.set(1);
            if !std::mem::replace(&mut self.in_trouble, true) {
                say(
                    "error",
                    format!(
                        "{UNSENT}: the trace collector {} takes no spans: {problem}; requests are answered all the same, \
                     and spans are sent when it takes them again",
                        self.shown,
                    ),
                );
            }
            let doubled = (FIRST_PAUSE * (1 << attempt.min(8) >> 1)).min(LONGEST_PAUSE);
            let is_last = attempt >= tries || !may_pass;
            if is_last {
                self.metrics.failed.inc_by(n);
            }
            // Of a last attempt too: a collector that refuses is not asked again at once.
            if tries > 1 {
                sleep(pause.unwrap_or(doubled).min(LONGEST_PAUSE)).await;
            }
            if is_last {
                return;
            }
        }
    }

    /// Notes that the collector took a batch, except for `refused` spans.
    fn took(&mut self, refused: u64, reason: &str, say: &Said) {
        self.metrics.failing.set(i64::from(refused > 0));
        match (refused, self.in_trouble) {
            (0, true) => {
                self.in_trouble = false;
                say("info", format!("the trace collector {} takes spans again", self.shown));
            }
            (1.., false) => {
                self.in_trouble = true;
                let shown = botops_text::display(reason, 200);
                say(
                    "error",
                    format!("{UNSENT}: the trace collector {} refuses spans: {shown}", self.shown),
                );
            }
            _ => {}
        }
    }

    /// Posts a batch once. Returns the number of spans that the collector refused, and why.
    async fn post(&self, body: Vec<u8>) -> std::result::Result<(u64, String), Failure> {
        let headers = self.headers.iter().map(|(name, value)| (name.clone(), value.clone()));
        let request = self
            .http
            .post(self.url.clone())
            .headers(headers.collect())
            .header(CONTENT_TYPE, "application/x-protobuf")
            .body(body);
        let answer = request.send().await.map_err(|error| Failure {
            problem: why_unreachable(&error).to_owned(),
            may_pass: true,
            pause: None,
        })?;
        let status = answer.status();
        if status.is_success() {
            return Ok(otlp::refused(&read(answer).await));
        }
        let pause = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let pause = pause.and_then(|seconds| seconds.trim().parse().ok()).map(Duration::from_secs);
        let hint = match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                ": check the headers with the token"
            }
            StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => {
                ": it is no OTLP receiver for HTTP"
            }
            _ if status.is_redirection() => ": a redirect, which is not followed",
            _ => "",
        };
        Err(Failure {
            problem: format!("it answers {}{hint}", status.as_u16()),
            may_pass: matches!(status.as_u16(), 429 | 502 | 503 | 504),
            pause,
        })
    }
}

/// Waits for spans, and gathers them until there are enough, a second is over, or somebody waits for them. Returns whether
/// there may be more later.
async fn gather(
    queue: &mut Receiver<Entry>,
    batch: &mut Vec<Ended>,
    waiting: &mut Vec<oneshot::Sender<()>>,
) -> bool {
    let Some(first) = queue.recv().await else { return false };
    let until = Instant::now() + GATHER;
    let mut next = Some(first);
    loop {
        match next {
            Some(Entry::Span(span)) => batch.push(span),
            Some(Entry::Flush(done)) => waiting.push(done),
            None => {}
        }
        if batch.len() >= MOST_SPANS {
            return true;
        }
        next = queue.try_recv().ok();
        if next.is_none() {
            if !waiting.is_empty() || queue.is_closed() || Instant::now() >= until {
                return true;
            }
            // If this waited on the queue instead, every span would pay for a wake-up.
            sleep(LOOK).await;
        }
    }
}

/// Reads an answer, as far as it is not too long.
async fn read(mut answer: Response) -> Vec<u8> {
    let mut body = Vec::new();
    while let Ok(Some(part)) = answer.chunk().await {
        if body.len() + part.len() > MOST_ANSWER {
            break;
        }
        body.extend_from_slice(&part);
    }
    body
}
