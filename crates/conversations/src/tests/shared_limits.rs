//! The limits in Redis: exact over several servers, and bounded in time without it.

use super::servers::Redis;
use crate::{CountedRequest, RedisLimits};
use std::{
    net::TcpListener,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

const HOUR: Duration = Duration::from_secs(3_600);

fn asked(key: &str, interval: Duration, burst: u32) -> CountedRequest {
    CountedRequest { key: key.to_owned(), interval, burst }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn servers_count_to_the_limit_together_and_no_further() {
    let Some(redis) = Redis::start("no") else { return };
    let passed = Arc::new(AtomicU32::new(0));
    let servers = (0..4).map(|_| {
        let (url, passed) = (redis.url(), Arc::clone(&passed));
        tokio::spawn(async move {
            let limits = RedisLimits::open(&url).unwrap();
            for _ in 0..50 {
                // A busy machine may be late; only what was counted matters.
                let Ok(answers) = limits.take(&[asked("shared", HOUR, 37)]).await else { continue };
                if answers[0].retry_after.is_none() {
                    passed.fetch_add(1, Ordering::Relaxed);
                }
            }
        })
    });
    for server in servers.collect::<Vec<_>>() {
        server.await.unwrap();
    }
    let passed = passed.load(Ordering::Relaxed);
    assert!((30..=37).contains(&passed), "{passed} of 200 passed, at most 37 may");
    let limits = RedisLimits::open(&redis.url()).unwrap();
    let refused = limits.take(&[asked("shared", HOUR, 37)]).await.unwrap()[0];
    let wait = refused.retry_after.unwrap();
    assert!(refused.remaining == 0 && wait > HOUR / 2 && wait <= HOUR, "{refused:?}");
}

#[tokio::test]
async fn a_burst_comes_back_by_the_clock_of_redis_and_the_key_expires() {
    let Some(redis) = Redis::start("no") else { return };
    let limits = RedisLimits::open(&redis.url()).unwrap();
    let fast = [asked("fast", Duration::from_millis(200), 3)];
    for left in [2, 1, 0] {
        let answer = limits.take(&fast).await.unwrap()[0];
        assert_eq!((answer.remaining, answer.retry_after), (left, None));
    }
    let refused = limits.take(&fast).await.unwrap()[0];
    let wait = refused.retry_after.unwrap();
    assert!(wait <= Duration::from_millis(200), "{wait:?}");
    tokio::time::sleep(wait + Duration::from_millis(5)).await;
    assert_eq!(limits.take(&fast).await.unwrap()[0].retry_after, None);
    let client = redis::Client::open(redis.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let left: i64 = redis::cmd("PTTL").arg("fast").query_async(&mut connection).await.unwrap();
    assert!((1..=600).contains(&left), "{left} ms");
    tokio::time::sleep(Duration::from_millis(700)).await;
    let n_keys: u64 = redis::cmd("DBSIZE").query_async(&mut connection).await.unwrap();
    assert_eq!(n_keys, 0, "an idle key is gone");
}

#[tokio::test]
async fn a_request_counts_under_all_its_keys_or_none() {
    let Some(redis) = Redis::start("no") else { return };
    let limits = RedisLimits::open(&redis.url()).unwrap();
    let both = [asked("wide", HOUR, 9), asked("narrow", HOUR, 2)];
    for left in [[8, 1], [7, 0], [7, 0], [7, 0]] {
        let answers = limits.take(&both).await.unwrap();
        assert_eq!(answers.iter().map(|answer| answer.remaining).collect::<Vec<_>>(), left);
        assert_eq!(answers[0].retry_after, None, "the wide one never refuses");
    }
    assert!(limits.take(&both).await.unwrap()[1].retry_after.is_some());
    assert_eq!(limits.take(&[asked("wide", HOUR, 9)]).await.unwrap()[0].remaining, 6);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn without_redis_every_question_ends_in_time_and_with_it_they_are_answered_again() {
    let Some(mut redis) = Redis::start("no") else { return };
    let limits = Arc::new(RedisLimits::open(&redis.url()).unwrap());
    let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
    let (failed, slowest) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let clients: Vec<_> = (0..8)
        .map(|n| {
            let (limits, stop) = (Arc::clone(&limits), Arc::clone(&stop));
            let (answered, failed) = (Arc::clone(&answered), Arc::clone(&failed));
            let slowest = Arc::clone(&slowest);
            tokio::spawn(async move {
                let asked = [asked(&format!("client-{n}"), Duration::from_micros(10), 1_000)];
                while !stop.load(Ordering::Relaxed) {
                    let begun = Instant::now();
                    let counter = match limits.take(&asked).await {
                        Ok(_) => &answered,
                        Err(_) => &failed,
                    };
                    counter.fetch_add(1, Ordering::Relaxed);
                    let took = u32::try_from(begun.elapsed().as_millis()).unwrap();
                    slowest.fetch_max(took, Ordering::Relaxed);
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
            })
        })
        .collect();
    let more = async |counter: &AtomicU32| {
        let before = counter.load(Ordering::Relaxed);
        let until = Instant::now() + Duration::from_secs(20);
        while counter.load(Ordering::Relaxed) < before + 20 {
            assert!(Instant::now() < until, "nothing moves");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    for _ in 0..2 {
        more(&answered).await;
        redis.kill();
        more(&failed).await;
        redis.up();
    }
    more(&answered).await;
    stop.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.unwrap();
    }
    // 100 ms, and the time of a busy machine.
    let slowest = slowest.load(Ordering::Relaxed);
    assert!(slowest < 1_500, "{slowest} ms");
}

#[tokio::test]
async fn a_server_that_accepts_and_says_nothing_is_not_waited_for() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("redis://:secret@{}", silent.local_addr().unwrap());
    let limits = RedisLimits::open(&url).unwrap();
    for _ in 0..3 {
        let begun = Instant::now();
        let problem = limits.take(&[asked("a", HOUR, 1)]).await.unwrap_err();
        assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
        assert!(!problem.contains("secret"), "{problem}");
        assert_eq!(problem, "no answer within 100 ms");
    }
}
