//! The time of a rollout on several servers, by example and by property.

use super::*;
use proptest::prelude::{
    Just, ProptestConfig, Strategy, prop, prop_assert, prop_assert_eq, prop_oneof, proptest,
};
use std::time::Duration;

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

#[test]
fn the_time_starts_with_the_log_and_runs_with_the_monotonic_clock() {
    let rollout = running(&spec());
    let time = RolloutTime::start(&rollout, seconds(1_000));
    assert!(time.is_of("r1") && !time.is_of("r2"));
    assert_eq!(time.at(seconds(1_000)), start());
    assert_eq!(time.at(seconds(1_060)), start() + minutes(1));
    // A monotonic clock does not go back; if it did, the time would stand.
    assert_eq!(time.at(seconds(1)), start());
    // The latest look counts, also without a decision.
    let now = start() + minutes(5);
    let looked = advance(&rollout, &seen(1, 1, now), now).next;
    assert_eq!(RolloutTime::start(&looked, seconds(7)).at(seconds(7)), now);
}

#[test]
fn a_time_that_is_read_late_changes_nothing_and_a_newer_one_is_taken() {
    let rollout = running(&spec());
    let mut time = RolloutTime::start(&rollout, seconds(0));
    time.hear(start() + minutes(1), seconds(90));
    assert_eq!(time.at(seconds(90)), start() + TimeDelta::seconds(90));
    // A server that joins late knows the time of the last entry alone, until it hears the server that ticks.
    time.hear(start() + minutes(180), seconds(90));
    assert_eq!(time.at(seconds(100)), start() + minutes(180) + TimeDelta::seconds(10));
    // An entry with an earlier time was written before.
    time.follow(&rollout, seconds(100));
    assert_eq!(time.at(seconds(100)), start() + minutes(180) + TimeDelta::seconds(10));
}

#[test]
fn an_older_version_moves_the_time_and_another_rollout_has_its_own() {
    let (rollout, now) = at_the_last_step();
    let mut time = RolloutTime::start(&rollout, seconds(0));
    let back = now - minutes(13 * 60);
    let older = clock_jump::clock_jumped_before(&rollout, now, back).next;
    time.follow(&older, seconds(60));
    assert_eq!(time.at(seconds(60)), back);
    let ahead = clock_jump::clock_jumped_before(&older, back, now + minutes(600)).next;
    time.follow(&ahead, seconds(60));
    assert_eq!(time.at(seconds(120)), now + minutes(601));
    let mut other = request(&spec());
    other.id = "r2".to_owned();
    time.follow(&other, seconds(120));
    assert_eq!((time.at(seconds(120)), time.is_of("r2")), (start(), true));
}

/// One server: its wall clock, the zero of its monotonic clock, and the time as it counts it.
struct Server {
    wall: TimeDelta,
    zero: Duration,
    time: RolloutTime,
}

impl Server {
    fn monotonic(&self, passed: Duration) -> Duration {
        passed + self.zero
    }

    fn now(&self, passed: Duration) -> DateTime<Utc> {
        self.time.at(self.monotonic(passed))
    }
}

/// Something that happens to a group of servers.
#[derive(Debug, Clone)]
enum Event {
    /// The server reads the log.
    Read(usize),
    /// The server reads the latest observation of the one that ticks.
    Hear(usize),
    /// The server reads the log, takes the lease, and ticks.
    TakeOver(usize),
    /// The one that ticks does.
    Tick,
    /// The wall clock of the server is set.
    Set(usize, i64),
    /// The server starts again: it knows the log, and its monotonic clock begins elsewhere.
    Restart(usize, u64),
}

fn events() -> impl Strategy<Value = Vec<(u64, Event)>> {
    let server = 0_usize..3;
    let event = prop_oneof![
        4 => server.clone().prop_map(Event::Read),
        4 => server.clone().prop_map(Event::Hear),
        2 => server.clone().prop_map(Event::TakeOver),
        8 => Just(Event::Tick),
        2 => (server.clone(), -100_000_i64..100_000).prop_map(|(s, by)| Event::Set(s, by)),
        1 => (server, 0_u64..1_000_000).prop_map(|(s, zero)| Event::Restart(s, zero)),
    ];
    prop::collection::vec((1_u64..600, event), 1..120)
}

/// The decisions of a group of servers, with the true time of each, and how late the server that ticked ever was.
#[derive(Default)]
struct Played {
    decisions: Vec<(DateTime<Utc>, Rollout)>,
    late: TimeDelta,
}

/// Plays `events`; `prompt`: every server hears everything at once.
fn play(events: &[(u64, Event)], prompt: bool) -> Played {
    let mut log = running(&spec());
    let start_time = |log: &Rollout, zero| RolloutTime::start(log, Duration::from_secs(zero));
    let mut servers: Vec<Server> = [(0, 0), (13 * 3600, 5_000), (-3 * 3600, 77)]
        .map(|(wall, zero)| Server {
            wall: TimeDelta::seconds(wall),
            zero: seconds(zero),
            time: start_time(&log, zero),
        })
        .into();
    let (mut holder, mut passed, mut played) = (0, Duration::ZERO, Played::default());
    for (wait, event) in events {
        passed += seconds(*wait);
        let heard = servers[holder].now(passed);
        let truth = start() + TimeDelta::from_std(passed).unwrap();
        if prompt {
            for server in &mut servers {
                let at = server.monotonic(passed);
                server.time.follow(&log, at);
                server.time.hear(heard, at);
            }
        }
        let ticks = match *event {
            Event::Read(s) | Event::TakeOver(s) => {
                let at = servers[s].monotonic(passed);
                servers[s].time.follow(&log, at);
                if matches!(event, Event::TakeOver(_)) {
                    holder = s;
                }
                holder == s
            }
            Event::Hear(s) => {
                let at = servers[s].monotonic(passed);
                servers[s].time.hear(heard, at);
                false
            }
            Event::Tick => true,
            Event::Set(s, by) => {
                servers[s].wall = TimeDelta::seconds(by);
                false
            }
            Event::Restart(s, zero) => {
                servers[s].zero = seconds(zero);
                let at = servers[s].monotonic(passed);
                servers[s].time = RolloutTime::start(&log, at);
                if prompt {
                    servers[s].time.hear(heard, at);
                }
                false
            }
        };
        for server in &servers {
            assert!(server.now(passed) <= truth, "ahead of the truth");
            assert!(server.now(passed) >= log.updated_at || !prompt, "behind the log");
        }
        if !ticks || log.is_over() {
            continue;
        }
        // What the servers saw has the time of their wall clocks.
        let server = &servers[holder];
        let canary = (log.weight() * 100.0).round() as u64;
        let observed = seen(100 - canary, canary, truth + server.wall);
        let before = log.updated_at;
        let tick = advance(&log, &observed, server.now(passed));
        played.late = played.late.max(truth - server.now(passed));
        assert!(tick.next.updated_at >= before);
        if tick.is_decided() {
            played.decisions.push((truth, tick.next.clone()));
        }
        log = tick.next;
        if log.phase == Phase::Promoting {
            log = command(&log, &Command::Confirmed, servers[holder].now(passed)).unwrap().next;
        }
        let at = servers[holder].monotonic(passed);
        servers[holder].time.follow(&log, at);
    }
    played
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn a_step_is_shorter_than_planned_by_no_more_than_a_server_was_late(events in events()) {
        let mut entered = start();
        let played = play(&events, false);
        for (truth, rollout) in played.decisions {
            let at_least = match rollout.phase {
                Phase::Paused { .. } => minutes(12 * 60),
                _ => minutes(60),
            };
            prop_assert!(truth - entered >= at_least - played.late, "{:?} after {}", rollout.phase, truth - entered);
            entered = truth;
        }
    }

    #[test]
    fn whatever_the_wall_clocks_the_decisions_come_when_one_server_would_make_them(events in events()) {
        let alone: Vec<_> = events
            .iter()
            .map(|(wait, event)| {
                let ticks = matches!(event, Event::Tick | Event::TakeOver(_));
                (*wait, if ticks { Event::Tick } else { Event::Set(0, 0) })
            })
            .collect();
        // A server that reads its own log ticks, too; alone, it does not.
        let several: Vec<_> = events
            .iter()
            .map(|(wait, event)| match event {
                Event::Read(s) => (*wait, Event::Hear(*s)),
                event => (*wait, event.clone()),
            })
            .collect();
        let (alone, several) = (play(&alone, true), play(&several, true));
        prop_assert_eq!((alone.late, several.late), (TimeDelta::zero(), TimeDelta::zero()));
        let decided = |played: Played| {
            let decisions = played.decisions.into_iter();
            decisions.map(|(at, rollout)| (at, rollout.phase)).collect::<Vec<_>>()
        };
        prop_assert_eq!(decided(alone), decided(several));
    }
}
