//! Segments and verdicts of the prediction log on their way to the store.

use crate::{
    app::App,
    prediction_log::{Awaited, MOST_TOGETHER, Predictions},
};
use botops_predictions::{
    HourKey, LogCounts, MOST_HOURS, Pass, Verdict, expire, oldest_waiting, record_verdicts, ship,
};
use std::{
    sync::{Arc, PoisonError},
    time::{Duration, Instant},
};
use tokio::sync::{mpsc, watch};

/// How often full segments are moved to the store, and the counts of the log are read.
const SHIPPING: Duration = Duration::from_secs(2);
/// How often hours past the retention are removed.
const EXPIRY: Duration = Duration::from_secs(3_600);
/// The time that verdicts gather before they are stored together.
const GATHERING: Duration = Duration::from_millis(50);
/// The longest time that the end of a server waits for its last segments to reach the store.
const LAST_SHIPPING: Duration = Duration::from_secs(5);

/// Moves segments and verdicts to the store, and removes what is past the retention, until `stopped`; then what is left, as far as a few seconds allow.
pub(super) async fn run(app: Arc<App>, mut stopped: watch::Receiver<bool>) {
    let Some(predictions) = &app.predictions else { return };
    let taken = predictions.incoming.lock().unwrap_or_else(PoisonError::into_inner).take();
    let Some(incoming) = taken else { return };
    let storing = store_verdicts(&app, predictions, incoming);
    let expiring = remove_expired(&app, predictions);
    tokio::pin!(storing, expiring);
    let mut shipping =
        Shipping { app: &app, predictions, counted: LogCounts::default(), fails: false };
    loop {
        tokio::select! {
            () = &mut storing => return,
            () = &mut expiring => {}
            () = tokio::time::sleep(SHIPPING) => shipping.once().await,
            () = async { let _ = stopped.wait_for(|stopped| *stopped).await; } => break,
        }
    }
    let app_of_flush = Arc::clone(&app);
    let flushed = tokio::task::spawn_blocking(move || {
        if let Some(predictions) = &app_of_flush.predictions {
            predictions.log.flush(true);
        }
    });
    let last = async {
        let _ = flushed.await;
        shipping.once().await;
    };
    // Verdicts are stored as long as requests may still be under way.
    tokio::select! {
        () = storing => {}
        _ = tokio::time::timeout(LAST_SHIPPING, last) => {}
    }
}

struct Shipping<'a> {
    app: &'a App,
    predictions: &'a Predictions,
    counted: LogCounts,
    /// Whether the last try failed: a trouble is reported once.
    fails: bool,
}

impl Shipping<'_> {
    async fn once(&mut self) {
        let Self { app, predictions, .. } = *self;
        let now = predictions.log.counts();
        let metrics = &app.metrics.predictions;
        metrics.count(self.counted, now);
        self.counted = now;
        {
            let events = predictions.events.lock().unwrap_or_else(PoisonError::into_inner);
            for event in events.try_iter() {
                app.log.event(app.clock.now(), "warning", "predictions", event);
            }
        }
        let shipped = ship(&predictions.store, &predictions.environment, predictions.log.folder());
        let shipped = shipped.await;
        if let Ok(age) = oldest_waiting(predictions.log.folder(), app.clock.now()).await {
            metrics.oldest_waits(age);
        }
        match shipped {
            Ok(shipped) => {
                metrics.shipped.inc_by(shipped.segments);
                if std::mem::take(&mut self.fails) {
                    let message = "predictions reach the store again".to_owned();
                    app.log.event(app.clock.now(), "info", "predictions", message);
                }
            }
            Err(fault) => {
                metrics.shipping_failed.inc();
                if !std::mem::replace(&mut self.fails, true) {
                    let message = format!(
                        "{}: predictions wait for the store: {}",
                        fault.code(),
                        fault.message()
                    );
                    app.log.event(app.clock.now(), "warning", "predictions", message);
                }
            }
        }
    }
}

/// Removes the hours past the retention, each hour. Every server does it: removing what another one has removed is no error, so no
/// server need be chosen, and none is missed when it ends.
async fn remove_expired(app: &App, predictions: &Predictions) {
    let Some(retention) = predictions.retention else { return std::future::pending().await };
    let (mut pause, mut fails) = (SHIPPING, false);
    loop {
        tokio::time::sleep(std::mem::replace(&mut pause, EXPIRY)).await;
        let now = app.clock.now();
        let Some(before) = now.checked_sub_signed(retention).map(HourKey::of) else { continue };
        let of = (&predictions.store, predictions.environment.as_str());
        let pass = Pass { at: now, by: "server", most: MOST_HOURS, dry_run: false };
        match expire(of.0, of.1, before, pass).await {
            Ok(expired) => {
                fails = false;
                if expired.hours > 0 {
                    let n = expired.hours;
                    let message = format!("hours of predictions past the retention removed: {n}");
                    app.log.event(now, "info", "predictions", message);
                }
            }
            Err(fault) if !std::mem::replace(&mut fails, true) => {
                let (code, why) = (fault.code(), fault.message());
                let message = format!("{code}: predictions past the retention stay: {why}");
                app.log.event(now, "warning", "predictions", message);
            }
            Err(_) => {}
        }
    }
}

/// Stores the verdicts that come, those of a moment together.
async fn store_verdicts(
    app: &App,
    predictions: &Predictions,
    mut incoming: mpsc::Receiver<Awaited>,
) {
    let mut together: Vec<Awaited> = Vec::new();
    let mut fails = false;
    while incoming.recv_many(&mut together, MOST_TOGETHER).await > 0 {
        let until = Instant::now() + GATHERING;
        while together.len() < MOST_TOGETHER {
            let left = until.saturating_duration_since(Instant::now());
            match tokio::time::timeout(left, incoming.recv()).await {
                Ok(Some(next)) => together.push(next),
                _ => break,
            }
        }
        let (verdicts, waiting): (Vec<Verdict>, Vec<_>) = together.drain(..).unzip();
        let now = app.clock.now();
        let stored =
            record_verdicts(&predictions.store, &predictions.environment, &verdicts, now).await;
        match &stored {
            Ok(()) => {
                app.metrics.predictions.verdicts.inc_by(verdicts.len() as u64);
                fails = false;
            }
            Err(fault) if !std::mem::replace(&mut fails, true) => {
                let message = format!("{}: feedback is refused: {}", fault.code(), fault.message());
                app.log.event(now, "error", "predictions", message);
            }
            Err(_) => {}
        }
        for waiting in waiting {
            let _ = waiting.send(stored.is_ok());
        }
    }
}
