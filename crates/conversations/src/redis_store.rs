//! Conversations in Redis: every write is one script, so that it happens whole or not at all.
//!
//! How long a turn that was acknowledged lasts is Redis's setting: with `appendfsync always` it survives a loss of power,
//! with `everysec` up to a second of turns is lost.

use crate::{
    names::Id,
    sealing::WrappedKey,
    store::{Appended, ConversationStore, Erased, Row, Summary},
};
use async_trait::async_trait;
use botops_findings::{Fault, Result};
use redis::{
    Client, ErrorKind, FromRedisValue, RedisError, Script, ScriptInvocation,
    aio::{ConnectionManager, ConnectionManagerConfig},
};
use std::{sync::LazyLock, time::Duration};

/// How long a connection and an answer are waited for.
const WAIT: Duration = Duration::from_secs(2);
/// The bytes of a stored row before its body: turn, message, open, time, whether there is a person, person.
const HEADER: usize = 58;
/// How long the files of Redis are waited for to be written again.
const REWRITE: Duration = Duration::from_secs(120);

macro_rules! scripts {
    ($($name:ident: $file:literal,)*) => {
        $(static $name: LazyLock<Script> =
            LazyLock::new(|| Script::new(include_str!(concat!("redis_scripts/", $file))));)*
    };
}

scripts! {
    APPEND: "append.lua",
    SETTLE: "settle.lua",
    TURNS: "turns.lua",
    RECENT: "recent.lua",
    ERASE: "erase.lua",
    EXPIRE: "expire.lua",
    SWEEP_KEYS: "sweep_keys.lua",
    KEEP_KEY: "keep_key.lua",
    REPLACE_KEY: "replace_key.lua",
    KEYS_NOT_UNDER: "keys_not_under.lua",
}

/// A Redis server.
#[derive(Debug, Clone)]
pub(crate) struct Server {
    client: Client,
    shown: String,
}

/// A store in Redis.
pub(crate) struct RedisStore {
    connection: ConnectionManager,
    shown: String,
}

impl Server {
    /// Reads a `redis://` or `rediss://` URL.
    ///
    /// # Errors
    /// `BOT-6115` (exit 2). The message contains no part of the URL, because it may have a password.
    pub(crate) fn parse(url: &str) -> Result<Self> {
        let client = Client::open(url).map_err(|_| {
            Fault::usage(
                "BOT-6115",
                "`conversations.store` is not a `redis://` URL that can be read",
            )
            .hint("write it as `redis://host:6379/0`, or `rediss://` for TLS")
        })?;
        let info = client.get_connection_info();
        let scheme = if url.starts_with("rediss:") { "rediss" } else { "redis" };
        let shown = format!("{scheme}://{}/{}", info.addr, info.redis.db);
        Ok(Self { client, shown })
    }

    /// Returns the name in messages, without a user and a password.
    pub(crate) fn shown(&self) -> &str {
        &self.shown
    }

    /// Opens the store.
    ///
    /// # Errors
    /// `BOT-6116` (exit 7) it cannot be reached, `BOT-6125` (exit 1) it refuses.
    pub(crate) async fn open(&self) -> Result<RedisStore> {
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(WAIT)
            .set_response_timeout(WAIT)
            .set_number_of_retries(2)
            .set_max_delay(500);
        let connect = ConnectionManager::new_with_config(self.client.clone(), config);
        let connection = match tokio::time::timeout(2 * WAIT, connect).await {
            Ok(connected) => connected.map_err(|error| fault(&self.shown, error))?,
            Err(_) => return Err(unreachable(&self.shown)),
        };
        Ok(RedisStore { connection, shown: self.shown.clone() })
    }
}

fn unreachable(shown: &str) -> Fault {
    Fault::unreachable(
        "BOT-6116",
        format!("the store of conversations `{shown}` cannot be reached"),
    )
    .hint("check that it runs and that this machine reaches it")
}

fn fault(shown: &str, error: RedisError) -> Fault {
    let transient = error.is_io_error()
        || error.is_timeout()
        || error.is_connection_dropped()
        || error.is_connection_refusal()
        || matches!(
            error.kind(),
            ErrorKind::BusyLoadingError
                | ErrorKind::MasterDown
                | ErrorKind::ReadOnly
                | ErrorKind::TryAgain
                | ErrorKind::ClusterDown
        );
    if transient {
        return unreachable(shown).caused_by(error);
    }
    Fault::internal("BOT-6125", format!("the store of conversations `{shown}` failed"))
        .hint("run again with `-v` to see the answer of the store")
        .caused_by(error)
}

/// Writes a row as it is stored.
fn packed(row: &Row) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER + row.body.len());
    bytes.extend_from_slice(row.turn.as_bytes());
    bytes.extend_from_slice(row.message.as_bytes());
    bytes.push(u8::from(row.open));
    bytes.extend_from_slice(&row.at.to_be_bytes());
    bytes.push(u8::from(row.person.is_some()));
    bytes.extend_from_slice(&row.person.map_or([0; 16], |person| *person.as_bytes()));
    bytes.extend_from_slice(&row.body);
    bytes
}

/// Reads a row; `None` if it is damaged.
fn unpacked(conversation: Id, number: i64, bytes: &[u8]) -> Option<Row> {
    let (header, body) = bytes.split_at_checked(HEADER)?;
    let person = Id::from_bytes(&header[42..58])?;
    Some(Row {
        conversation,
        number,
        turn: Id::from_bytes(&header[..16])?,
        message: Id::from_bytes(&header[16..32])?,
        person: (header[41] == 1).then_some(person),
        at: i64::from_be_bytes(header[33..41].try_into().ok()?),
        open: header[32] == 1,
        body: body.to_vec(),
    })
}

/// Reads a place, `CONVERSATION:NUMBER`, and the row in it.
fn placed(place: &[u8], bytes: &[u8]) -> Option<Row> {
    let (conversation, number) = std::str::from_utf8(place).ok()?.split_once(':')?;
    unpacked(conversation.parse().ok()?, number.parse().ok()?, bytes)
}

/// Reads a key, `TIME:KEY_ID:WRAPPED`.
fn kept_key(conversation: Id, person: Id, bytes: &[u8]) -> Option<WrappedKey> {
    let mut parts = bytes.splitn(3, |byte| *byte == b':');
    let at = std::str::from_utf8(parts.next()?).ok()?.parse().ok()?;
    let key_id = String::from_utf8(parts.next()?.to_vec()).ok()?;
    Some(WrappedKey { person, conversation, key_id, wrapped: parts.next()?.to_vec(), at })
}

impl RedisStore {
    async fn call<T: FromRedisValue>(&self, script: &ScriptInvocation<'_>) -> Result<T> {
        let mut connection = self.connection.clone();
        script.invoke_async(&mut connection).await.map_err(|error| fault(&self.shown, error))
    }

    async fn ask<T: FromRedisValue>(&self, words: &[&str]) -> Result<T> {
        let mut connection = self.connection.clone();
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]);
        command.query_async(&mut connection).await.map_err(|error| fault(&self.shown, error))
    }

    fn damaged(&self) -> Fault {
        let message = format!("an entry of `{}` cannot be read", self.shown);
        Fault::data("BOT-6123", message).hint("restore the store from a backup")
    }

    async fn some_turns(&self, conversation: Id, from: i64, limit: u32) -> Result<Vec<Row>> {
        let mut script = TURNS.prepare_invoke();
        script.key(format!("botops:turns:{conversation}")).arg(from).arg(limit);
        let found: Vec<Vec<u8>> = self.call(&script).await?;
        let Some((first, rows)) = found.split_first() else { return Err(self.damaged()) };
        let first = std::str::from_utf8(first).ok().and_then(|first| first.parse::<i64>().ok());
        let first = first.ok_or_else(|| self.damaged())?;
        let row = |(number, bytes): (i64, &Vec<u8>)| {
            unpacked(conversation, number, bytes).ok_or_else(|| self.damaged())
        };
        (first..).zip(rows).map(row).collect()
    }

    /// Waits until Redis has written a file again: until its state has none of the lines.
    async fn wait_for(&self, busy: &[&str]) -> Result<()> {
        let until = tokio::time::Instant::now() + REWRITE;
        loop {
            tokio::time::sleep(Duration::from_millis(50)).await;
            let state: String = self.ask(&["INFO", "persistence"]).await?;
            if !state.lines().any(|line| busy.contains(&line)) {
                return Ok(());
            }
            if tokio::time::Instant::now() > until {
                return Err(unreachable(&self.shown));
            }
        }
    }
}

#[async_trait]
impl ConversationStore for RedisStore {
    async fn append(&self, row: &Row, after: Option<Id>) -> Result<Appended> {
        let mut script = APPEND.prepare_invoke();
        let message = [b"botops:message:", &row.message.as_bytes()[..]].concat();
        script
            .key(format!("botops:turns:{}", row.conversation))
            .key(message)
            .arg(row.conversation.to_string())
            .arg(row.number)
            .arg(after.map_or_else(Vec::new, |after| after.as_bytes().to_vec()))
            .arg(packed(row))
            .arg(row.at)
            .arg(row.person.map_or_else(String::new, |person| person.to_string()));
        let done: (u8, Option<Vec<u8>>, Option<Vec<u8>>) = self.call(&script).await?;
        let found = match (done.1, done.2) {
            (Some(place), Some(bytes)) => {
                Some(placed(&place, &bytes).ok_or_else(|| self.damaged())?)
            }
            _ => None,
        };
        match (done.0, found) {
            (0, _) => Ok(Appended::Written),
            (1, Some(known)) => Ok(Appended::Known(known)),
            (2, last) => Ok(Appended::Moved(last)),
            _ => Err(self.damaged()),
        }
    }

    async fn settle(&self, row: &Row) -> Result<bool> {
        let mut script = SETTLE.prepare_invoke();
        script
            .key(format!("botops:turns:{}", row.conversation))
            .arg(row.number)
            .arg(row.turn.as_bytes().to_vec())
            .arg(vec![u8::from(row.open)])
            .arg(row.body.clone());
        self.call(&script).await
    }

    async fn last(&self, conversation: Id) -> Result<Option<Row>> {
        Ok(self.some_turns(conversation, -1, 1).await?.pop())
    }

    async fn of_message(&self, message: Id) -> Result<Option<Row>> {
        let mut connection = self.connection.clone();
        let key = [b"botops:message:", &message.as_bytes()[..]].concat();
        let place: Option<String> = redis::cmd("GET")
            .arg(key)
            .query_async(&mut connection)
            .await
            .map_err(|error| fault(&self.shown, error))?;
        let Some(place) = place else { return Ok(None) };
        let Some((conversation, number)) = place.split_once(':') else {
            return Err(self.damaged());
        };
        let row: Option<Vec<u8>> =
            self.ask(&["HGET", &format!("botops:turns:{conversation}"), number]).await?;
        row.map(|row| placed(place.as_bytes(), &row).ok_or_else(|| self.damaged())).transpose()
    }

    async fn turns(&self, conversation: Id, from: i64, limit: u32) -> Result<Vec<Row>> {
        self.some_turns(conversation, from.max(0), limit).await
    }

    async fn recent(&self, after: Option<(i64, Id)>, limit: u32) -> Result<Vec<Summary>> {
        let mut script = RECENT.prepare_invoke();
        let (at, name) = after.unzip();
        script
            .arg(at.unwrap_or_default())
            .arg(name.map_or_else(String::new, |name: Id| name.to_string()))
            .arg(limit);
        let found: Vec<(String, i64, Vec<u8>, Vec<u8>)> = self.call(&script).await?;
        let summary = |(name, turns, first, last): (String, i64, Vec<u8>, Vec<u8>)| {
            let conversation = name.parse().ok()?;
            let (first, last) =
                (unpacked(conversation, 0, &first)?, unpacked(conversation, 0, &last)?);
            let person = last.person;
            Some(Summary { conversation, person, turns, first: first.at, last: last.at })
        };
        let found: Option<Vec<Summary>> = found.into_iter().map(summary).collect();
        found.ok_or_else(|| self.damaged())
    }

    async fn of_person(&self, person: Id) -> Result<Vec<Id>> {
        let found: Vec<String> =
            self.ask(&["SMEMBERS", &format!("botops:person:{person}")]).await?;
        let found: Result<Vec<Id>, ()> = found.iter().map(|name| name.parse()).collect();
        let mut found = found.map_err(|()| self.damaged())?;
        found.sort_unstable();
        Ok(found)
    }

    async fn erase(&self, conversations: &[Id]) -> Result<Erased> {
        let mut erased = Erased::default();
        for conversation in conversations {
            let mut script = ERASE.prepare_invoke();
            script.arg(conversation.to_string());
            let (turns, keys): (u64, u64) = self.call(&script).await?;
            erased += Erased { turns, keys };
        }
        Ok(erased)
    }

    async fn expire(&self, before: i64, limit: u32) -> Result<u64> {
        let mut script = EXPIRE.prepare_invoke();
        // Scores are exact up to 2^53.
        let before = before.min(1 << 53);
        script.arg(before).arg(limit);
        self.call(&script).await
    }

    async fn sweep_keys(&self, before: i64) -> Result<u64> {
        let mut script = SWEEP_KEYS.prepare_invoke();
        script.arg(before);
        self.call(&script).await
    }

    /// Writes the files of Redis again, as far as it keeps any, so that nothing of what was erased is in them.
    async fn scrub(&self) -> Result<()> {
        let state: String = self.ask(&["INFO", "persistence"]).await?;
        if state.lines().any(|line| line == "aof_enabled:1") {
            let busy = ["aof_rewrite_in_progress:1", "aof_rewrite_scheduled:1"];
            // One that is under way began before.
            self.wait_for(&busy).await?;
            let _: String = self.ask(&["BGREWRITEAOF"]).await?;
            self.wait_for(&busy).await?;
        }
        let saves: Vec<String> = self.ask(&["CONFIG", "GET", "save"]).await?;
        if saves.get(1).is_some_and(|saves| !saves.is_empty()) {
            let busy = ["rdb_bgsave_in_progress:1", "aof_rewrite_in_progress:1"];
            self.wait_for(&busy).await?;
            let _: String = self.ask(&["BGSAVE", "SCHEDULE"]).await?;
            self.wait_for(&busy).await?;
        }
        Ok(())
    }

    async fn key(&self, conversation: Id, person: Id) -> Result<Option<WrappedKey>> {
        let words = ["HGET", &format!("botops:keys:{conversation}"), &person.to_string()];
        let kept: Option<Vec<u8>> = self.ask(&words).await?;
        let read =
            |kept: Vec<u8>| kept_key(conversation, person, &kept).ok_or_else(|| self.damaged());
        kept.map(read).transpose()
    }

    async fn keep_key(&self, key: &WrappedKey) -> Result<WrappedKey> {
        let mut script = KEEP_KEY.prepare_invoke();
        script
            .key(format!("botops:keys:{}", key.conversation))
            .arg(key.conversation.to_string())
            .arg(key.person.to_string())
            .arg(key.at)
            .arg(key.key_id.clone())
            .arg(key.wrapped.clone());
        let kept: Vec<u8> = self.call(&script).await?;
        kept_key(key.conversation, key.person, &kept).ok_or_else(|| self.damaged())
    }

    async fn keys_not_under(&self, key_id: &str, limit: u32) -> Result<Vec<WrappedKey>> {
        let mut script = KEYS_NOT_UNDER.prepare_invoke();
        script.arg(key_id).arg(limit);
        let found: Vec<(String, Vec<u8>)> = self.call(&script).await?;
        let read = |(place, kept): (String, Vec<u8>)| {
            let (conversation, person) = place.split_once(':')?;
            kept_key(conversation.parse().ok()?, person.parse().ok()?, &kept)
        };
        let found: Option<Vec<WrappedKey>> = found.into_iter().map(read).collect();
        found.ok_or_else(|| self.damaged())
    }

    async fn replace_key(&self, key: &WrappedKey, before: &str) -> Result<bool> {
        let mut script = REPLACE_KEY.prepare_invoke();
        script
            .key(format!("botops:keys:{}", key.conversation))
            .arg(key.conversation.to_string())
            .arg(key.person.to_string())
            .arg(before)
            .arg(key.key_id.clone())
            .arg(key.wrapped.clone());
        self.call(&script).await
    }
}
