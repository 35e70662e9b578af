//! Another server takes over the ticks, and counts nothing twice.

use super::*;

#[tokio::test]
async fn a_conversation_that_meets_two_servers_is_one_unit() {
    let store = Store::in_memory();
    let (a, b) = (Server::start(&store).await, Server::start(&store).await);
    a.begin(plan()).await;
    raised().await;
    a.turns(1).await;
    b.turns(2).await;
    a.talk(0..30);
    b.talk(20..50);
    b.turns(8).await;
    a.turns(8).await;
    assert_eq!(a.units(), 50);
}

#[tokio::test]
async fn another_server_takes_over_and_counts_nothing_twice() {
    let store = Store::in_memory();
    let (a, b) = (Server::start(&store).await, Server::start(&store).await);
    a.begin(plan()).await;
    raised().await;
    a.turns(1).await;
    b.turns(2).await;
    a.talk(0..30);
    a.turns(8).await;
    b.turns(1).await;
    assert_eq!(b.units(), 30);
    // `a` is stopped: it takes no turns.
    b.talk(20..50);
    tokio::time::sleep(Pace::default().times(TIMES).replace).await;
    b.turns(10).await;
    assert_eq!(b.units(), 50, "the ten that both met count once");
    let writers = log(&store).await.into_iter().filter_map(|entry| entry.payload.writer);
    assert_eq!(writers.collect::<std::collections::BTreeSet<_>>().len(), 2);
    // `a` continues, and does not tick any more.
    a.turns(1).await;
    a.talk(100..110);
    a.turns(8).await;
    b.turns(8).await;
    a.turns(1).await;
    assert_eq!((a.units(), b.units()), (60, 60));
}

#[tokio::test]
async fn a_server_that_stops_is_replaced_at_once() {
    let store = Store::in_memory();
    let (a, b) = (Server::start(&store).await, Server::start(&store).await);
    a.begin(plan()).await;
    raised().await;
    a.turns(1).await;
    b.turns(2).await;
    a.talk(0..10);
    a.canary.leave().await.unwrap();
    b.turns(3).await;
    let lease = b.canary.shown().lease.clone().unwrap();
    assert_eq!(lease.holder, b.canary.journal.writer());
    b.turns(8).await;
    assert_eq!(b.units(), 10, "its last observation is counted");
}

#[tokio::test]
async fn a_late_server_begins_where_the_log_is() {
    let store = Store::in_memory();
    let a = Server::start(&store).await;
    a.begin(plan()).await;
    raised().await;
    a.turns(1).await;
    a.talk(0..10);
    a.turns(8).await;
    let late = Server::start(&store).await;
    late.turns(2).await;
    assert_eq!((late.share(), late.units()), (0.5, 10));
}
