//! Monitoring that goes on: an evaluation every so often, by one process of an environment at a time.

use crate::{
    claim::Claim,
    evaluate::{Evaluated, Monitored, evaluate},
    heartbeat::{Heartbeat, MONITOR_RUNS, heartbeats},
    history::MonitorLog,
    monitor_spec::MonitorSpec,
    report::MonitorReport,
    series::decide_in_series,
    webhook::Webhooks,
    window::Window,
};
use botops_findings::{Fault, Finding, Result};
use botops_store::Store;
use chrono::{DateTime, TimeDelta, Utc};
use std::{future::Future, time::Duration};

/// The shortest and the longest time between two evaluations.
const EVERY: [Duration; 2] = [Duration::from_secs(60), Duration::from_secs(31 * 86_400)];
/// The pause after an evaluation that failed; it doubles with each further one, up to the time between evaluations.
const FIRST_PAUSE: Duration = Duration::from_secs(30);

/// How an environment is monitored.
#[derive(Debug, Clone)]
pub struct WatchSettings {
    /// The time between two evaluations.
    pub every: Duration,
    /// How windows are judged.
    pub spec: MonitorSpec,
    /// The receivers of changes of state.
    pub webhooks: Webhooks,
}

impl WatchSettings {
    /// Checks the ranges.
    ///
    /// # Errors
    /// `BOT-6250` (exit 2) the time between evaluations; those of [`MonitorSpec::check`].
    pub fn check(&self) -> Result<()> {
        if !(EVERY[0]..=EVERY[1]).contains(&self.every) {
            let message = "the time between two evaluations is not between `1m` and `31d`";
            return Err(Fault::usage("BOT-6250", message).hint("write `every: 1h`"));
        }
        self.spec.check()
    }
}

/// The process that monitors: the clock, the champion, and where words go.
pub trait WatchHost: Send + Sync {
    /// Returns the model to judge; `None` while there is no champion.
    fn monitored(&self) -> impl Future<Output = Result<Option<Monitored>>> + Send;

    /// Returns the time.
    fn now(&self) -> DateTime<Utc>;

    /// Takes the newest report and the heartbeats of the environment, after each turn.
    fn observed(&self, observed: &Observed);

    /// Takes a finding that is new: of the log, of the state, of a webhook.
    fn found(&self, finding: &Finding);

    /// Takes the fault of an evaluation that failed. It is tried again.
    fn failed(&self, fault: &Fault);
}

/// The state of an environment after a turn.
#[derive(Debug, Clone)]
pub struct Observed {
    /// The newest report; `None` before the first.
    pub report: Option<MonitorReport>,
    /// The number of its entry.
    pub number: u64,
    /// Whether this process made an evaluation in this turn.
    pub evaluated: bool,
    /// The last run of each schedule.
    pub heartbeats: Vec<Heartbeat>,
    /// The time.
    pub at: DateTime<Utc>,
}

/// One turn: takes the claim, evaluates the last window, records, delivers, and leaves a heartbeat. Another process may
/// have the claim; then only the log is read.
///
/// # Errors
/// Those of the log, the store and the model. The claim is given back.
pub async fn turn<H: WatchHost>(
    host: &H,
    store: &Store,
    environment: &str,
    settings: &WatchSettings,
) -> Result<Observed> {
    let now = host.now();
    // Before the claim, which a log that cannot be read must not keep.
    let mut log = MonitorLog::read(store, environment).await?;
    let claim = Claim::take(store, environment, settings.every, now).await?;
    // After it: the one who had it before may have written.
    if let Err(fault) = log.follow().await {
        if let Some(claim) = claim {
            claim.release(store).await;
        }
        return Err(fault);
    }
    let mut evaluated = false;
    if let Some(claim) = claim {
        match evaluation(host, (store, environment), settings, (&mut log, now)).await {
            Ok(done) => evaluated = done,
            Err(fault) => {
                claim.release(store).await;
                return Err(fault);
            }
        }
    }
    let newest = log.entries().last();
    Ok(Observed {
        report: newest.map(|entry| entry.payload.clone()),
        number: newest.map_or(0, |entry| entry.seq),
        evaluated,
        heartbeats: heartbeats(store, environment, now).await?,
        at: now,
    })
}

/// Evaluates, records, delivers, and leaves a heartbeat. Returns whether there was a model to judge.
async fn evaluation<H: WatchHost>(
    host: &H,
    (store, environment): (&Store, &str),
    settings: &WatchSettings,
    (log, now): (&mut MonitorLog, DateTime<Utc>),
) -> Result<bool> {
    let Some(monitored) = host.monitored().await? else { return Ok(false) };
    let window = Window::last(settings.spec.window, now)?;
    let done = evaluate(store, &monitored, window, &settings.spec, now).await?;
    let Evaluated { mut report, findings, .. } = done;
    decide_in_series(store, &mut report, true).await?;
    let recorded = log.record(&report).await?;
    if recorded.is_new {
        findings.iter().for_each(|finding| host.found(finding));
    }
    let clock = || host.now().timestamp();
    for owed in settings.webhooks.deliver(store, environment, log, clock).await? {
        host.found(&owed);
    }
    let every = TimeDelta::from_std(settings.every).unwrap_or(TimeDelta::MAX);
    let heartbeat = Heartbeat::repeated(MONITOR_RUNS, host.now(), every);
    heartbeat.leave(store, environment, report.state.name()).await?;
    Ok(true)
}

/// Takes turns for ever, `every` apart. A turn that fails is repeated after a pause that doubles.
pub async fn watch<H: WatchHost>(
    host: &H,
    store: &Store,
    environment: &str,
    settings: &WatchSettings,
) {
    let mut pause = FIRST_PAUSE;
    loop {
        let wait = match turn(host, store, environment, settings).await {
            Ok(observed) => {
                host.observed(&observed);
                pause = FIRST_PAUSE;
                until_next(settings.every, host.now())
            }
            Err(fault) => {
                host.failed(&fault);
                let now = pause.min(settings.every);
                pause = pause.saturating_mul(2);
                now
            }
        };
        tokio::time::sleep(wait).await;
    }
}

/// Returns the time to the begin of the next span, at which claims are free.
fn until_next(every: Duration, now: DateTime<Utc>) -> Duration {
    let every = u64::try_from(every.as_millis()).unwrap_or(u64::MAX).max(1);
    let into = u64::try_from(now.timestamp_millis()).unwrap_or_default() % every;
    Duration::from_millis(every - into)
}
