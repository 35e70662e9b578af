//! The disturbances of the servers, one after another.

use super::fleet::{Fleet, SERVERS};
use botops_stats::random::Random;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

/// A disturbance of one server.
#[derive(Debug, Clone, Copy)]
enum Kind {
    /// It is killed, and starts again.
    Killed,
    /// It is stopped in an orderly way, and starts again.
    Renewed,
    /// It gets no time.
    Suspended,
    /// It cannot reach the deployments.
    CutOff,
}

const KINDS: [Kind; 6] =
    [Kind::Killed, Kind::Suspended, Kind::CutOff, Kind::Killed, Kind::Renewed, Kind::Suspended];

/// Disturbs one server after another until `stop` is set. Afterwards all run and reach the store.
pub(super) async fn disturb(fleet: Arc<Fleet>, seed: u64, stop: Arc<AtomicBool>) -> usize {
    let mut random = Random::new(seed);
    let mut done = 0;
    while !stop.load(Ordering::SeqCst) {
        let pause = Duration::from_millis(200 + random.below(900) as u64);
        tokio::time::sleep(pause).await;
        let (kind, place) = (KINDS[random.below(KINDS.len())], random.below(SERVERS));
        let length = Duration::from_millis(100 + random.below(1_700) as u64);
        let fleet = Arc::clone(&fleet);
        tokio::task::spawn_blocking(move || disturb_once(&fleet, kind, place, length))
            .await
            .unwrap();
        done += 1;
    }
    done
}

fn disturb_once(fleet: &Fleet, kind: Kind, place: usize, length: Duration) {
    match kind {
        Kind::Killed => {
            fleet.kill(place);
            std::thread::sleep(length / 2);
            fleet.restart(place);
        }
        Kind::Renewed => fleet.renew(place),
        Kind::Suspended => {
            fleet.suspend(place);
            std::thread::sleep(length);
            fleet.resume(place);
        }
        Kind::CutOff => {
            fleet.cut_off(place);
            std::thread::sleep(length);
            fleet.heal(place);
        }
    }
}
