//! The request log: one JSON line per request, written by a separate thread. No request waits for it.
//!
//! A line never holds the text of a user. Lines that come faster than they can be written are dropped
//! and counted in `botops_request_log_dropped_total`.

use super::{RequestLog, request_id::RequestId};
use botops_digest::Digest;
use botops_findings::{Fault, Result};
use botops_telemetry::{LogFile, LogFileSettings, LogMetrics};
use chrono::{DateTime, SecondsFormat, Utc};
use prometheus_client::metrics::counter::Counter;
use serde::Serialize;
use std::{
    io::{self, BufWriter, Write},
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, SyncSender, TryRecvError, TrySendError, sync_channel},
    },
    time::{Duration, Instant},
};

/// The most lines that wait to be written.
const CAPACITY: usize = 1 << 15;
/// The time that lines gather before they are written together, so that many requests cost one wake-up.
const GATHER: Duration = Duration::from_millis(5);

/// One request.
#[derive(Debug)]
pub(super) struct Line {
    /// The time of the answer.
    pub(super) at: DateTime<Utc>,
    /// The id of the request.
    pub(super) request_id: RequestId,
    /// The endpoint.
    pub(super) endpoint: &'static str,
    /// The HTTP status.
    pub(super) status: u16,
    /// The time from the body read to the answer made.
    pub(super) duration: Duration,
    /// The code of the problem, if the answer is one.
    pub(super) code: Option<&'static str>,
    /// The prediction, if one was made.
    pub(super) answer: Option<AnswerLine>,
    /// The id of the trace, if the request is traced.
    pub(super) trace_id: Option<String>,
}

/// The prediction that answered a request.
#[derive(Debug)]
pub(super) struct AnswerLine {
    /// The reference of the model.
    pub(super) model: Arc<str>,
    /// The digest of the model file.
    pub(super) digest: Digest,
    /// The arm.
    pub(super) arm: &'static str,
    /// Whether the conversation decided on the arm.
    pub(super) sticky: bool,
    /// The number of texts.
    pub(super) n: usize,
    /// The intent of the first text.
    pub(super) intent: Arc<str>,
    /// The confidence of the first text.
    pub(super) confidence: f64,
    /// Whether the first text got the fallback.
    pub(super) fallback: bool,
}

enum Entry {
    Request(Line),
    Event { at: DateTime<Utc>, level: &'static str, event: &'static str, message: String },
    Flush(SyncSender<()>),
}

/// The sender of lines to the writing thread. Dropping it writes the lines that wait.
pub(super) struct RequestLogger {
    /// Whether requests are logged, and events that are no warnings.
    logs_requests: bool,
    sender: Option<SyncSender<Entry>>,
    /// Receives the end of the writing thread.
    ended: Mutex<Option<Receiver<()>>>,
    dropped: Counter,
}

/// The longest time that the end of the server waits for the reader of the log. A reader that stopped reading would
/// otherwise keep the server alive.
const PATIENCE: Duration = Duration::from_secs(2);

impl RequestLogger {
    /// Starts the writing thread, unless the log is off. With a file, the stream only gets lines while that cannot be written.
    ///
    /// # Errors
    /// `BOT-6018` (exit 1) the thread cannot be started; `BOT-6292` (exit 1) or `BOT-6294` (exit 5) the file cannot be opened.
    pub(super) fn start(
        (to, file): (RequestLog, Option<&LogFileSettings>),
        (dropped, file_metrics): (Counter, &LogMetrics),
    ) -> Result<Self> {
        let (open, logs_requests) = match to {
            RequestLog::Off => {
                let ended = Mutex::new(None);
                return Ok(Self { logs_requests: false, sender: None, ended, dropped });
            }
            RequestLog::To(open) => (open, true),
            RequestLog::Warnings(open) => (open, false),
        };
        let out: Box<dyn Write + Send> = match file {
            Some(file) => {
                let instead = (open(), file_metrics.clone());
                Box::new(LogFile::open(file.clone(), instead, file_line)?)
            }
            None => open(),
        };
        let mut logger = Self::to(out, dropped).map_err(|error| {
            Fault::internal("BOT-6018", "the logging thread could not be started").caused_by(error)
        })?;
        logger.logs_requests = logs_requests;
        Ok(logger)
    }

    /// Starts a thread that writes to `out`.
    pub(super) fn to(out: Box<dyn Write + Send>, dropped: Counter) -> io::Result<Self> {
        let (sender, receiver) = sync_channel(CAPACITY);
        let (end, ended) = sync_channel(1);
        std::thread::Builder::new().name("request-log".to_owned()).spawn(move || {
            write(&receiver, BufWriter::with_capacity(1 << 16, out));
            let _ = end.send(());
        })?;
        let ended = Mutex::new(Some(ended));
        Ok(Self { logs_requests: true, sender: Some(sender), ended, dropped })
    }

    /// Returns whether requests are logged. If not, a caller need not make a line.
    pub(super) fn is_on(&self) -> bool {
        self.logs_requests
    }

    /// Logs a request.
    pub(super) fn line(&self, line: Line) {
        self.send(Entry::Request(line));
    }

    /// Logs an event of the server.
    pub(super) fn event(
        &self,
        at: DateTime<Utc>,
        level: &'static str,
        event: &'static str,
        message: String,
    ) {
        if self.logs_requests || level != "info" {
            self.send(Entry::Event { at, level, event, message });
        }
    }

    /// Waits until all lines sent before are written, at most two seconds.
    pub(super) fn flush(&self) {
        let Some(sender) = &self.sender else { return };
        let (done, written) = sync_channel(1);
        let until = Instant::now() + PATIENCE;
        let mut entry = Entry::Flush(done);
        // A full queue does not accept the entry until the writer has written some lines.
        while let Err(TrySendError::Full(refused)) = sender.try_send(entry) {
            if Instant::now() > until {
                return;
            }
            entry = refused;
            std::thread::sleep(GATHER);
        }
        let _ = written.recv_timeout(until.saturating_duration_since(Instant::now()));
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
        let ended = self.ended.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(ended) = ended {
            // A thread that is still writing ends with the process.
            let _ = ended.recv_timeout(PATIENCE);
        }
    }
}

/// Makes the line about a problem of the log file, or its end.
fn file_line(level: &'static str, message: &str) -> String {
    let mut line = Vec::new();
    let message = message.to_owned();
    Entry::Event { at: Utc::now(), level, event: "log", message }.write(&mut line);
    String::from_utf8(line).expect("JSON is UTF-8")
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
        // If the output is closed, the log ends and the server goes on.
        let _ = out.write_all(&line);
    };
    while let Ok(entry) = receiver.recv() {
        put(&entry, &mut out);
        // If this waited on the channel instead, every request would pay for a wake-up.
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
            #[serde(skip_serializing_if = "Option::is_none")]
            trace_id: Option<&'a str>,
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
                        trace_id: request.trace_id.as_deref(),
                    },
                )
            }
            Self::Event { at, level, event, message } => {
                // Older parts of the server say `warning`; the log has one word for it.
                let level = if *level == "warning" { "warn" } else { level };
                serde_json::to_writer(line, &EventJson { at: time(at), level, event, message })
            }
            Self::Flush(_) => Ok(()),
        };
        written.expect("a line can be written as JSON");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A pipe whose reader stopped reading.
    struct Blocked;

    impl Write for Blocked {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            loop {
                std::thread::park();
            }
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_stopped_reading_does_not_keep_the_log_open() {
        let dropped = Counter::default();
        let log = RequestLogger::to(Box::new(Blocked), dropped.clone()).unwrap();
        for _ in 0..CAPACITY * 2 {
            log.event(DateTime::UNIX_EPOCH, "info", "test", "x".repeat(100));
        }
        assert!(dropped.get() > 0, "the queue is full");
        let began = Instant::now();
        log.flush();
        drop(log);
        assert!(began.elapsed() < PATIENCE * 3, "{:?}", began.elapsed());
    }
}
