//! The contract over real databases, which are killed and started again under load.

use super::{
    contract::{self, Pair},
    conversations, data_key, files_with,
    racing::{all, race, say},
    servers::{Postgres, Redis},
};
use crate::{Conversations, Location, Recorded, Turn, turn::tests::turn};
use serde_json::json;
use sqlx::{Connection as _, PgConnection};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

fn location(url: &str) -> Location {
    Location::parse(url, Path::new("/")).unwrap()
}

async fn pair(location: &Location) -> Pair {
    Pair { a: location.open(true).await.unwrap(), b: location.open(true).await.unwrap() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_keeps_the_contract_and_migrates() {
    let Some(server) = Postgres::start() else { return };
    let location = location(&server.url());
    assert_eq!(location.schema().await.unwrap().version, 0);
    assert_eq!(location.open(true).await.err().unwrap().code(), "BOT-6119", "never by a server");
    assert_eq!(location.migrate(true).await.unwrap().steps, ["1 turns and keys"]);
    assert_eq!(location.schema().await.unwrap().version, 0, "a dry run changes nothing");
    // Two that migrate at the same time.
    let (one, two) = tokio::join!(location.migrate(false), location.migrate(false));
    assert_eq!((one.unwrap().version, two.unwrap().version), (1, 1));
    contract::check(&pair(&location).await).await;
    let key = data_key("k", 7);
    let [a, b] = [(); 2].map(|()| location.open(false));
    let (a, b) = (a.await.unwrap(), b.await.unwrap());
    race(&conversations(a.clone(), Some(&key)), &conversations(b, Some(&key))).await;
    // Back and up again, and a newer version.
    assert_eq!(location.rollback(0, false, false).await.unwrap_err().code(), "BOT-6127");
    // Those of the race, and three of the contract.
    assert_eq!(location.rollback(0, true, true).await.unwrap().erases, Some(20 + 3));
    assert_eq!(location.schema().await.unwrap().version, 1);
    assert_eq!(location.rollback(0, true, false).await.unwrap().version, 0);
    let of = conversations(a, None);
    assert_eq!(of.head(&of.named("c", None)).await.unwrap_err().code(), "BOT-6119");
    assert_eq!(location.migrate(false).await.unwrap().version, 1);
    say(&of, "c", "hello", None).await;
    let mut connection = PgConnection::connect(&server.url()).await.unwrap();
    let statement = "INSERT INTO botops_schema (version, name) VALUES (2, 'later')";
    sqlx::query(statement).execute(&mut connection).await.unwrap();
    for fault in [
        location.open(false).await.err().unwrap(),
        location.migrate(false).await.unwrap_err(),
        location.rollback(0, true, false).await.unwrap_err(),
    ] {
        assert_eq!((fault.code(), fault.kind().exit_code()), ("BOT-6118", 6));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_uses_an_index_for_every_query() {
    let Some(server) = Postgres::start() else { return };
    location(&server.url()).migrate(false).await.unwrap();
    let mut connection = PgConnection::connect(&server.url()).await.unwrap();
    for statement in [
        "INSERT INTO conversation_turns SELECT sha256(('c' || n / 4)::bytea), n % 4, \
         sha256(n::text::bytea), sha256(('m' || n)::bytea), sha256(('p' || n / 8)::bytea), n, \
         false, 'x' FROM generate_series(0, 39999) AS n",
        "INSERT INTO conversation_keys SELECT sha256(('c' || n)::bytea), sha256(('p' || n)::bytea), \
         'k', 'x', n FROM generate_series(0, 9999) AS n",
        "ANALYZE",
    ] {
        sqlx::query(statement).execute(&mut connection).await.unwrap();
    }
    for query in [
        "SELECT * FROM conversation_turns WHERE conversation = 'a' ORDER BY number DESC LIMIT 1",
        "SELECT * FROM conversation_turns WHERE message = 'a'",
        "SELECT DISTINCT conversation FROM conversation_turns WHERE person = 'a'",
        "SELECT conversation, number FROM conversation_turns WHERE at < 100 ORDER BY at LIMIT 10",
        "SELECT t.conversation FROM conversation_turns AS t WHERE (t.at, t.conversation) < (9000, 'a') \
         AND NOT EXISTS (SELECT 1 FROM conversation_turns AS n WHERE n.conversation = t.conversation \
         AND n.number = t.number + 1) ORDER BY t.at DESC, t.conversation DESC LIMIT 10",
        "SELECT * FROM conversation_keys WHERE conversation = 'a' AND person = 'b'",
        "SELECT * FROM conversation_keys WHERE key_id < 'k' OR key_id > 'k' LIMIT 10",
    ] {
        use sqlx::Row as _;
        let explain = format!("EXPLAIN {query}");
        let plan = sqlx::query(&explain).fetch_all(&mut connection).await.unwrap();
        let plan: Vec<String> = plan.iter().map(|line| line.get(0)).collect();
        let plan = plan.join("\n");
        assert!(plan.contains("Index") && !plan.contains("Seq Scan"), "{query}\n{plan}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_keeps_the_contract_and_its_files_forget() {
    let Some(server) = Redis::start("always") else { return };
    let location = location(&server.url());
    assert_eq!(location.migrate(false).await.unwrap_err().code(), "BOT-6115");
    contract::check(&pair(&location).await).await;
    let key = data_key("k", 7);
    let store = location.open(true).await.unwrap();
    let of = conversations(store.clone(), Some(&key));
    race(&of, &conversations(location.open(true).await.unwrap(), Some(&key))).await;
    let plain = conversations(store, None);
    say(&plain, "gone", "needle of a text", None).await;
    say(&plain, "kept", "another needle", None).await;
    assert!(!files_with(server.folder(), "needle of a text").is_empty());
    plain.store.erase(&[plain.named("gone", None).conversation]).await.unwrap();
    plain.store.scrub().await.unwrap();
    assert_eq!(files_with(server.folder(), "needle of a text"), [""; 0]);
    assert!(!files_with(server.folder(), "another needle").is_empty());
    assert_eq!(all(&plain, "kept").await.len(), 1);
}

/// The answers that a client got, by the text of its conversation.
type Acknowledged = BTreeMap<String, String>;

/// Talks until `stop`, and sends each message again until it is acknowledged.
async fn client(of: Conversations, id: String, stop: Arc<AtomicBool>) -> Acknowledged {
    let mut acknowledged = Acknowledged::new();
    for number in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let text = format!("message {number}");
        let mut tries = 0;
        let answer = loop {
            match try_to_say(&of, &id, &text).await {
                Ok(answer) => break answer,
                Err(fault) => assert_eq!(fault.code(), "BOT-6116", "{fault:?}"),
            }
            tries += 1;
            assert!(tries < 60, "the store does not come back");
            tokio::time::sleep(Duration::from_millis(100)).await;
        };
        acknowledged.insert(text, answer);
    }
    acknowledged
}

/// Says a text once, as a server does.
async fn try_to_say(of: &Conversations, id: &str, text: &str) -> botops_findings::Result<String> {
    let named = of.named(id, None);
    let mut head = of.head(&named).await?;
    loop {
        let turn = Turn {
            message_id: Some(text.to_owned()),
            slots: json!({ "after": head.next() }),
            answer: format!("{{\"n\":{}}}", head.next()),
            ..turn(text)
        };
        match of.append(&named, &head, (&turn, false, 1_000)).await? {
            Recorded::Written(_) => return Ok(turn.answer),
            Recorded::Known(known) => return Ok(known.turn.unwrap().answer),
            Recorded::Moved(moved) => head = *moved,
        }
    }
}

/// Lets clients talk while `disturb` kills and starts the store, and checks what they were told against the store.
async fn talk_while(of: &Conversations, disturb: impl FnOnce() + Send + 'static) {
    let stop = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..16)
        .map(|c| tokio::spawn(client(of.clone(), format!("c{c}"), Arc::clone(&stop))))
        .collect();
    tokio::task::spawn_blocking(disturb).await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    stop.store(true, Ordering::Relaxed);
    let mut n_turns = 0;
    for (c, client) in clients.into_iter().enumerate() {
        let acknowledged = client.await.unwrap();
        let turns = all(of, &format!("c{c}")).await;
        let distinct: BTreeSet<&str> = turns.iter().map(|turn| &*turn.text).collect();
        assert_eq!(turns.len(), distinct.len(), "none is applied twice");
        assert_eq!(turns.len(), acknowledged.len(), "none is lost");
        for (i, turn) in turns.iter().enumerate() {
            assert_eq!(acknowledged[&turn.text], turn.answer, "the answer that was given");
            assert_eq!(turn.answer, format!("{{\"n\":{i}}}"), "in one order");
        }
        n_turns += turns.len();
    }
    assert!(n_turns > 100, "{n_turns} turns under load");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_acknowledged_turn_is_lost_or_doubled_when_postgres_is_killed() {
    let Some(server) = Postgres::start() else { return };
    let location = location(&server.url());
    location.migrate(false).await.unwrap();
    let of = conversations(location.open(true).await.unwrap(), None);
    let disturb = move || {
        for _ in 0..3 {
            std::thread::sleep(Duration::from_millis(400));
            server.kill();
            std::thread::sleep(Duration::from_millis(200));
            server.up();
        }
        server
    };
    let (sender, kept) = std::sync::mpsc::channel();
    talk_while(&of, move || sender.send(disturb()).unwrap()).await;
    drop(kept);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_acknowledged_turn_is_lost_or_doubled_when_redis_is_killed() {
    let Some(mut server) = Redis::start("always") else { return };
    let of = conversations(location(&server.url()).open(true).await.unwrap(), None);
    let disturb = move || {
        for _ in 0..3 {
            std::thread::sleep(Duration::from_millis(400));
            server.kill();
            std::thread::sleep(Duration::from_millis(200));
            server.up();
        }
        server
    };
    let (sender, kept) = std::sync::mpsc::channel();
    talk_while(&of, move || sender.send(disturb()).unwrap()).await;
    drop(kept);
}

#[tokio::test]
async fn a_store_that_is_not_there_is_unreachable_and_its_password_is_not_told() {
    for url in ["postgres://bot:hunter2@127.0.0.1:1/chat", "redis://bot:hunter2@127.0.0.1:1/0"] {
        let location = location(url);
        let fault = location.open(true).await.err().unwrap();
        assert_eq!((fault.code(), fault.kind().exit_code()), ("BOT-6116", 7), "{fault:?}");
        assert!(fault.message().contains("127.0.0.1:1"));
        let shown = format!("{fault:?} {location} {location:?}");
        assert!(!shown.contains("hunter2"), "{shown}");
    }
    for wrong in ["postgres://[", "mysql://x/y", "redis://:::", "", "s3://bucket"] {
        let fault = Location::parse(wrong, Path::new("/")).unwrap_err();
        assert_eq!(fault.code(), "BOT-6115", "{wrong}");
    }
}
