//! Servers whose wall clocks differ or jump: the times of a rollout depend on none of them.

use super::*;
use crate::clock::ManualClock;
use botops_rollout::{ClockJump, PauseReason, Rollout};
use chrono::TimeDelta;

/// A wall clock that is wrong by the same time for ever.
struct WrongClock {
    by: TimeDelta,
    right: WallClock,
}

impl WrongClock {
    fn by(by: TimeDelta) -> Arc<dyn Clock> {
        Arc::new(Self { by, right: WallClock::start() })
    }
}

impl Clock for WrongClock {
    fn now(&self) -> DateTime<Utc> {
        self.right.now() + self.by
    }
    fn steady(&self) -> DateTime<Utc> {
        self.right.steady() + self.by
    }
    fn monotonic(&self) -> Duration {
        self.right.monotonic()
    }
    fn take_jump(&self) -> Option<ClockJump> {
        None
    }
}

fn rollout(server: &Server) -> Rollout {
    server.canary.view("latest").unwrap().rollout
}

/// Takes turns of two servers, one after the other, for longer than a higher share waits.
async fn both(one: &Server, other: &Server) {
    for _ in 0..12 {
        one.turns(1).await;
        other.turns(1).await;
    }
}

/// A plan whose step lasts at least a day.
fn slow_plan() -> RolloutSpec {
    let mut plan = plan();
    plan.steps[0].min_time = Some("1d".to_owned());
    plan.steps[0].min_units = Some(1);
    plan
}

#[tokio::test]
async fn servers_whose_clocks_differ_by_hours_pass_the_lease_around_without_a_pause() {
    let store = Store::in_memory();
    let clocks = [TimeDelta::zero(), TimeDelta::hours(30), TimeDelta::hours(-30)];
    let a = Server::with_clock(&store, WrongClock::by(clocks[0])).await;
    a.begin(slow_plan()).await;
    raised().await;
    a.turns(2).await;
    let (mut holder, mut units) = (a, 0);
    for round in 0..4 {
        let next = Server::with_clock(&store, WrongClock::by(clocks[(round + 1) % 3])).await;
        // A server whose clock is behind waits with the share as long as for a new one.
        both(&holder, &next).await;
        next.talk(units..units + 10);
        units += 10;
        both(&next, &holder).await;
        let named = holder.canary.lock().await.ticking.as_ref().unwrap().clocks.clone();
        assert!(named.contains(next.canary.server()), "round {round}: {named:?}");
        holder.canary.leave().await.unwrap();
        next.turns(8).await;
        let lease = next.canary.shown().lease.clone().unwrap();
        assert_eq!(lease.holder, next.canary.server(), "round {round}");
        let now = rollout(&next);
        assert!(matches!(now.phase, Phase::Ramping { step: 0, .. }), "{:?}", now.phase);
        assert_eq!(next.units(), units as u64);
        // A minute for a slow machine; the clocks differ by more than a day.
        assert!(now.latest_time() - now.started_at < TimeDelta::minutes(1), "{now:?}");
        holder = next;
    }
}

#[tokio::test]
async fn after_a_clock_went_back_by_hours_the_ticks_go_on() {
    let store = Store::in_memory();
    let clock = Arc::new(ManualClock::new(Utc::now()));
    let server = Server::with_clock(&store, Arc::clone(&clock) as Arc<dyn Clock>).await;
    server.begin(plan()).await;
    let mut units = 0;
    for hours in [13, -13, -13] {
        clock.leap(TimeDelta::hours(hours));
        server.turns(2).await;
        let paused = rollout(&server);
        let Phase::Paused { reason: PauseReason::ClockJump, weight: 0.0, .. } = paused.phase else {
            panic!("{:?}", paused.phase)
        };
        let reason =
            &server.canary.view("latest").unwrap().transitions.last().unwrap().reason.clone();
        let named = format!("the wall clock of server `{}` jumped 13h", server.canary.server());
        assert!(reason.contains(&named), "{reason}");
        server.canary.command("latest", &Command::Resume, &ada(), None).await.unwrap();
        raised().await;
        server.turns(1).await;
        server.talk(units..units + 10);
        units += 10;
        server.turns(8).await;
        let ramping = rollout(&server);
        assert!(matches!(ramping.phase, Phase::Ramping { step: 0, .. }), "{:?}", ramping.phase);
        assert_eq!(server.units(), units as u64, "after {hours} h");
        // The time of the rollout stood, as the monotonic clock did.
        assert_eq!(ramping.latest_time(), ramping.started_at);
    }
}

#[tokio::test]
async fn a_late_server_learns_the_time_from_the_one_that_ticks_before_it_takes_a_command() {
    let store = Store::in_memory();
    let clock = Arc::new(ManualClock::new(Utc::now()));
    let server = Server::with_clock(&store, Arc::clone(&clock) as Arc<dyn Clock>).await;
    server.begin(plan()).await;
    raised().await;
    server.turns(1).await;
    // Three hours without traffic leave no entry in the log.
    clock.set(clock.steady() + TimeDelta::hours(3));
    server.turns(8).await;
    let before = rollout(&server);
    assert!(before.latest_time() - before.started_at < TimeDelta::hours(1));
    let late = Server::with_clock(&store, WrongClock::by(TimeDelta::hours(-20))).await;
    late.canary.command("latest", &Command::Pause, &ada(), None).await.unwrap();
    let paused = rollout(&late);
    let passed = paused.updated_at - paused.started_at;
    assert!((passed - TimeDelta::hours(3)).abs() < TimeDelta::minutes(1), "{passed}");
    // The time in which no server runs does not count.
    drop(server);
    let alone = Server::with_clock(&store, WrongClock::by(TimeDelta::hours(50))).await;
    tokio::time::sleep(Pace::default().times(TIMES).replace).await;
    alone.turns(4).await;
    alone.canary.command("latest", &Command::Resume, &ada(), None).await.unwrap();
    let passed = rollout(&alone).updated_at - paused.started_at;
    assert!((passed - TimeDelta::hours(3)).abs() < TimeDelta::minutes(1), "{passed}");
}
