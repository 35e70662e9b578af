//! Counts and latencies of requests.

use crate::{
    kind::Kind,
    reply::{NoAnswer, Reply},
    thresholds::Measure,
};
use hdrhistogram::Histogram;
use std::time::Duration;

/// The longest latency that differs from longer ones, in microseconds.
const LONGEST: u64 = 3_600_000_000;

/// Returns an empty histogram of microseconds: three significant digits, about 200 KB.
fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LONGEST, 3).expect("the bounds are valid")
}

/// The end of one request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ended<'a> {
    pub(crate) kind: Kind,
    pub(crate) reply: &'a Reply,
    /// The time from when it was due until the last answer, and that from when it was sent.
    pub(crate) latency: Duration,
    pub(crate) service: Duration,
    pub(crate) retries: u32,
}

/// Counts and latencies of some requests.
#[derive(Debug, Clone)]
pub(crate) struct Tally {
    /// Times of answers, and of requests that got none in time: from when they were due.
    pub(crate) latency: Histogram<u64>,
    /// The same from when they were sent, as a client sees that waits for each answer.
    pub(crate) service: Histogram<u64>,
    pub(crate) counts: Counts,
}

/// Counts of requests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counts {
    /// All requests that ended.
    pub requests: u64,
    /// Good answers: 200 with a JSON object.
    pub answered: u64,
    /// Requests without a good answer, after all repetitions: the sum of the counts that follow.
    pub errors: u64,
    /// Answers 401 and 403.
    pub unauthorized: u64,
    /// Answers 429.
    pub limited: u64,
    /// Answers 503.
    pub shed: u64,
    /// Other answers below 500 than 200.
    pub refused: u64,
    /// Other answers from 500 on, and answers that are not JSON.
    pub server_errors: u64,
    /// No answer in time.
    pub timed_out: u64,
    /// No connection could be made.
    pub not_connected: u64,
    /// The connection ended before the answer.
    pub broken: u64,
    /// Requests that were due and never sent, because the one before was not answered until the end; no errors.
    pub unsent: u64,
    /// Repetitions.
    pub retries: u64,
    /// Requests with a good answer after a repetition.
    pub recovered: u64,
    /// Refusals (429 and 503) without `Retry-After`.
    pub without_retry_after: u64,
}

impl Tally {
    pub(crate) fn new() -> Self {
        Self { latency: histogram(), service: histogram(), counts: Counts::default() }
    }

    pub(crate) fn add(&mut self, ended: &Ended<'_>) {
        let counts = &mut self.counts;
        counts.requests += 1;
        counts.retries += u64::from(ended.retries);
        let count = match ended.reply {
            Reply::Good => {
                counts.recovered += u64::from(ended.retries > 0);
                &mut counts.answered
            }
            Reply::Status { status: 401 | 403, .. } => &mut counts.unauthorized,
            Reply::Status { status: 429, .. } => &mut counts.limited,
            Reply::Status { status: 503, .. } => &mut counts.shed,
            Reply::Status { status: ..500, .. } => &mut counts.refused,
            Reply::Status { .. } => &mut counts.server_errors,
            Reply::Nothing(NoAnswer::InTime) => &mut counts.timed_out,
            Reply::Nothing(NoAnswer::NotConnected) => &mut counts.not_connected,
            Reply::Nothing(NoAnswer::Broken) => &mut counts.broken,
        };
        *count += 1;
        if !matches!(ended.reply, Reply::Good) {
            counts.errors += 1;
        }
        if let Reply::Status { status: 429 | 503, retry_after: None, .. } = ended.reply {
            counts.without_retry_after += 1;
        }
        if matches!(ended.reply, Reply::Good | Reply::Nothing(NoAnswer::InTime)) {
            let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(LONGEST);
            self.latency.saturating_record(micros(ended.latency));
            self.service.saturating_record(micros(ended.service));
        }
    }

    /// Returns the value of `measure` in a test of `seconds`, in seconds, a count, a share in [0, 1], or a number per second.
    pub(crate) fn value(&self, measure: Measure, seconds: f64) -> Option<f64> {
        let counts = &self.counts;
        let micros = |value: f64| (!self.latency.is_empty()).then_some(value / 1e6);
        match measure {
            Measure::Quantile(of_1000) => {
                micros(self.latency.value_at_quantile(f64::from(of_1000) / 1e3) as f64)
            }
            Measure::Mean => micros(self.latency.mean()),
            Measure::Max => micros(self.latency.max() as f64),
            // Without requests, `errors = 0` says nothing.
            _ if counts.requests == 0 && counts.unsent == 0 => None,
            Measure::Errors => Some(counts.errors as f64),
            Measure::Failed => {
                let counted_apart = counts.unauthorized + counts.limited + counts.shed;
                Some((counts.errors - counted_apart) as f64)
            }
            Measure::Unauthorized => Some(counts.unauthorized as f64),
            Measure::Limited => Some(counts.limited as f64),
            Measure::Shed => Some(counts.shed as f64),
            Measure::Unsent => Some(counts.unsent as f64),
            Measure::Retries => Some(counts.retries as f64),
            Measure::ErrorRate => {
                (counts.requests > 0).then(|| counts.errors as f64 / counts.requests as f64)
            }
            Measure::Throughput => (seconds > 0.0).then(|| counts.answered as f64 / seconds),
        }
    }
}

/// The counts of a whole test: by stage, by kind, and together.
#[derive(Debug)]
pub(crate) struct Recorder {
    pub(crate) all: Tally,
    pub(crate) stages: Vec<Tally>,
    pub(crate) kinds: Vec<Tally>,
    /// How long after their time requests of free users began, in microseconds.
    pub(crate) late: Histogram<u64>,
}

impl Recorder {
    pub(crate) fn new(n_stages: usize) -> Self {
        Self {
            all: Tally::new(),
            stages: vec![Tally::new(); n_stages],
            kinds: vec![Tally::new(); Kind::ALL.len()],
            late: histogram(),
        }
    }

    /// Adds a request to the stage `stage`.
    pub(crate) fn add(&mut self, stage: Option<usize>, ended: &Ended<'_>) {
        self.all.add(ended);
        self.kinds[ended.kind.index()].add(ended);
        if let Some(stage) = stage.and_then(|stage| self.stages.get_mut(stage)) {
            stage.add(ended);
        }
    }

    /// Counts a request of `stage` that was due and not sent.
    pub(crate) fn add_unsent(&mut self, stage: Option<usize>, kind: Kind) {
        self.all.counts.unsent += 1;
        self.kinds[kind.index()].counts.unsent += 1;
        if let Some(stage) = stage.and_then(|stage| self.stages.get_mut(stage)) {
            stage.counts.unsent += 1;
        }
    }

    /// Records how long after its time a request of a free user began.
    pub(crate) fn add_late(&mut self, late: Duration) {
        self.late.saturating_record(u64::try_from(late.as_micros()).unwrap_or(LONGEST));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(reply: &Reply, millis: u64, retries: u32) -> Ended<'_> {
        let latency = Duration::from_millis(millis);
        Ended { kind: Kind::Chat, reply, latency, service: latency / 2, retries }
    }

    #[test]
    fn refusals_are_counted_apart_and_do_not_make_the_latencies_look_short() {
        let mut tally = Tally::new();
        for _ in 0..90 {
            tally.add(&ended(&Reply::Good, 100, 0));
        }
        let status = |status, retry_after| Reply::Status { status, retry_after, code: None };
        let second = Some(Duration::from_secs(1));
        for reply in [
            status(401, None),
            status(403, None),
            status(429, second),
            status(503, None),
            status(400, None),
            status(500, None),
            Reply::Nothing(NoAnswer::NotConnected),
            Reply::Nothing(NoAnswer::Broken),
        ] {
            tally.add(&ended(&reply, 1, 0));
        }
        tally.add(&ended(&Reply::Nothing(NoAnswer::InTime), 5_000, 2));
        tally.add(&ended(&Reply::Good, 100, 1));
        let counts = tally.counts;
        assert_eq!((counts.requests, counts.answered, counts.errors), (100, 91, 9));
        assert_eq!((counts.unauthorized, counts.limited, counts.shed), (2, 1, 1));
        assert_eq!((counts.refused, counts.server_errors, counts.timed_out), (1, 1, 1));
        assert_eq!((counts.not_connected, counts.broken), (1, 1));
        assert_eq!((counts.retries, counts.recovered, counts.without_retry_after), (3, 1, 1));
        let value = |measure| tally.value(measure, 10.0).unwrap();
        assert!((value(Measure::Quantile(500)) - 0.1).abs() < 1e-3);
        assert!((value(Measure::Max) - 5.0).abs() < 5e-3);
        assert_eq!(value(Measure::Failed), 5.0);
        assert_eq!(value(Measure::ErrorRate), 0.09);
        assert_eq!(value(Measure::Throughput), 9.1);
        assert_eq!(Tally::new().value(Measure::Errors, 10.0), None, "nothing was measured");
        assert_eq!(Tally::new().value(Measure::Max, 10.0), None);
    }
}
