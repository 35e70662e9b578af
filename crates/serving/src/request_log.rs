//! One JSON line a request, written by a thread of its own: the request path never waits for it.
//!
//! What a user wrote is left out. When lines come faster than they can be written, they are
//! dropped, and counted in `botops_request_log_dropped_total`.

use super::RequestLog;
use botops_digest::Digest;
use chrono::{DateTime, SecondsFormat, Utc};
use prometheus_client::metrics::counter::Counter;
use serde::Serialize;
use std::{
    io::{self, BufWriter, Write},
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, SyncSender, TryRecvError, sync_channel},
    },
    thread::JoinHandle,
    time::Duration,
};

/// Lines that may wait to be written.
const CAPACITY: usize = 1 << 15;
/// How long lines gather before they are written together: one wake-up for many requests.
const GATHER: Duration = Duration::from_millis(5);

/// What is logged of a request.
#[derive(Debug)]
pub(super) struct Line {
    /// When it was answered.
    pub(super) at: DateTime<Utc>,
    /// Its id.
    pub(super) request_id: super::exchange::RequestId,
    /// Which endpoint.
    pub(super) endpoint: &'static str,
    /// The HTTP status.
    pub(super) status: u16,
    /// From the body read to the answer made.
    pub(super) duration: Duration,
    /// The problem, when it was one.
    pub(super) code: Option<&'static str>,
    /// Who answered, and what.
    pub(super) answer: Option<AnswerLine>,
}

/// Who answered, and what.
#[derive(Debug)]
pub(super) struct AnswerLine {
    /// The model's reference.
    pub(super) model: Arc<str>,
    /// Its digest.
    pub(super) digest: Digest,
    /// Its arm.
    pub(super) arm: &'static str,
    /// Whether the conversation decided on the arm.
    pub(super) sticky: bool,
    /// How many texts.
    pub(super) n: usize,
    /// The first text's intent.
    pub(super) intent: Arc<str>,
    /// How sure.
    pub(super) confidence: f64,
    /// Whether it was not understood.
    pub(super) fallback: bool,
}

enum Entry {
    Request(Line),
    Event { at: DateTime<Utc>, level: &'static str, event: &'static str, message: String },
    Flush(SyncSender<()>),
}

/// Hands lines to the writing thread. Dropping it writes what is left.
pub(super) struct RequestLogger {
    sender: Option<SyncSender<Entry>>,
    writer: Mutex<Option<JoinHandle<()>>>,
    dropped: Counter,
}

impl RequestLogger {
    /// Starts the thread, or none when nothing is to be logged.
    pub(super) fn start(to: RequestLog, dropped: Counter) -> io::Result<Self> {
        match to {
            RequestLog::Off => Ok(Self { sender: None, writer: Mutex::new(None), dropped }),
            RequestLog::To(open) => Self::to(open(), dropped),
        }
    }

    /// Writes to `out`.
    pub(super) fn to(out: Box<dyn Write + Send>, dropped: Counter) -> io::Result<Self> {
        let (sender, receiver) = sync_channel(CAPACITY);
        let writer = std::thread::Builder::new()
            .name("request-log".to_owned())
            .spawn(move || write(&receiver, BufWriter::with_capacity(1 << 16, out)))?;
        Ok(Self { sender: Some(sender), writer: Mutex::new(Some(writer)), dropped })
    }

    /// Returns whether anything is logged: what a line needs is not worth making otherwise.
    pub(super) fn is_on(&self) -> bool {
        self.sender.is_some()
    }

    /// Logs a request.
    pub(super) fn line(&self, line: Line) {
        self.send(Entry::Request(line));
    }

    /// Logs something that happened to the server.
    pub(super) fn event(
        &self,
        at: DateTime<Utc>,
        level: &'static str,
        event: &'static str,
        message: String,
    ) {
        self.send(Entry::Event { at, level, event, message });
    }

    /// Waits, at most two seconds, until everything sent before is written.
    pub(super) fn flush(&self) {
        let Some(sender) = &self.sender else { return };
        let (done, written) = sync_channel(1);
        if sender.send(Entry::Flush(done)).is_ok() {
            let _ = written.recv_timeout(Duration::from_secs(2));
        }
    }

    fn send(&self, entry: Entry) {
        if let Some(sender) = &self.sender
            && sender.try_send(entry).is_err()
        {
            self.dropped.inc();
        }
    }
}

impl Drop for RequestLogger {
    fn drop(&mut self) {
        self.sender = None;
        let writer = self.writer.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(writer) = writer {
            // A writer that panicked has nothing left to say.
            let _ = writer.join();
        }
    }
}

fn write(receiver: &Receiver<Entry>, mut out: BufWriter<Box<dyn Write + Send>>) {
    let mut line = Vec::with_capacity(512);
    let mut put = |entry: &Entry, out: &mut BufWriter<Box<dyn Write + Send>>| {
        if let Entry::Flush(done) = entry {
            let _ = out.flush();
            let _ = done.send(());
            return;
        }
        line.clear();
        entry.write(&mut line);
        line.push(b'\n');
        // A closed standard error ends logging, not serving.
        let _ = out.write_all(&line);
    };
    while let Ok(entry) = receiver.recv() {
        put(&entry, &mut out);
        // Waiting on the channel would cost each request a wake-up.
        std::thread::sleep(GATHER);
        loop {
            match receiver.try_recv() {
                Ok(entry) => put(&entry, &mut out),
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => {
                    let _ = out.flush();
                    return;
                }
            }
        }
        let _ = out.flush();
    }
    let _ = out.flush();
}

impl Entry {
    fn write(&self, line: &mut Vec<u8>) {
        #[derive(Serialize)]
        struct RequestJson<'a> {
            at: String,
            level: &'static str,
            event: &'static str,
            request_id: String,
            endpoint: &'static str,
            status: u16,
            duration_us: f64,
            #[serde(skip_serializing_if = "Option::is_none")]
            code: Option<&'static str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            model: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            digest: Option<Digest>,
            #[serde(skip_serializing_if = "Option::is_none")]
            arm: Option<&'static str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            sticky: Option<bool>,
            #[serde(skip_serializing_if = "Option::is_none")]
            n: Option<usize>,
            #[serde(skip_serializing_if = "Option::is_none")]
            intent: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            confidence: Option<f64>,
            #[serde(skip_serializing_if = "Option::is_none")]
            fallback: Option<bool>,
        }
        #[derive(Serialize)]
        struct EventJson<'a> {
            at: String,
            level: &'static str,
            event: &'static str,
            message: &'a str,
        }
        let time = |at: &DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Micros, true);
        let written = match self {
            Self::Request(request) => {
                let answer = request.answer.as_ref();
                serde_json::to_writer(
                    line,
                    &RequestJson {
                        at: time(&request.at),
                        level: if request.status >= 500 { "error" } else { "info" },
                        event: "request",
                        request_id: request.request_id.to_string(),
                        endpoint: request.endpoint,
                        status: request.status,
                        duration_us: (request.duration.as_nanos() / 100) as f64 / 10.0,
                        code: request.code,
                        model: answer.map(|a| &*a.model),
                        digest: answer.map(|a| a.digest),
                        arm: answer.map(|a| a.arm),
                        sticky: answer.map(|a| a.sticky),
                        n: answer.map(|a| a.n),
                        intent: answer.map(|a| &*a.intent),
                        confidence: answer.map(|a| (a.confidence * 1e4).round() / 1e4),
                        fallback: answer.map(|a| a.fallback),
                    },
                )
            }
            Self::Event { at, level, event, message } => {
                serde_json::to_writer(line, &EventJson { at: time(at), level, event, message })
            }
            Self::Flush(_) => Ok(()),
        };
        written.expect("a line of ours is valid JSON");
    }
}
