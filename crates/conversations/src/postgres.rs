//! Conversations in PostgreSQL.
//!
//! A turn is one statement, committed by itself. The tables are made and changed by `botops db migrate` only, so that
//! several servers do not change them under each other.

mod copying;
mod statements;

use crate::{
    migrations::{self, Migration, NEWEST, POSTGRES, SchemaStatus},
    names::Id,
    sealing::WrappedKey,
    statements::fault,
    store::{Appended, ConversationStore, Erased, Row, Summary},
};
use async_trait::async_trait;
use botops_findings::{Fault, Result};
use sqlx::{
    Connection as _, Error, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use statements as sql;
use std::{str::FromStr as _, time::Duration};

/// The most connections of a server.
const CONNECTIONS: u32 = 32;
/// How long a request waits for a connection.
const WAIT: Duration = Duration::from_secs(2);
/// How long a connection is kept without use.
const IDLE: Duration = Duration::from_secs(300);
/// How long a connection is kept at most, so that the connections follow a change of the database's address.
const LIFE: Duration = Duration::from_secs(1_800);
/// How long a statement of a request may take.
const STATEMENT: &str = "2s";
/// The number of the lock that a change of the tables holds: any number that nobody else uses.
const LOCK: i64 = 0x626F_746F_7073;

/// A PostgreSQL database.
#[derive(Debug, Clone)]
pub(crate) struct Database {
    options: PgConnectOptions,
    shown: String,
}

/// A store in a PostgreSQL database.
pub(crate) struct PostgresStore {
    pool: PgPool,
    shown: String,
}

/// The problems of a URL that are reported: none of them has a part of it.
const URL_PROBLEMS: [&str; 6] = [
    "invalid port number",
    "empty host",
    "invalid IPv4 address",
    "invalid IPv6 address",
    "invalid international domain name",
    "invalid domain character",
];

/// Returns the problem of a URL in `error`, if it is one of those that are reported.
fn problem_of_url(error: &str) -> Option<&'static str> {
    URL_PROBLEMS.into_iter().find(|problem| error.ends_with(problem))
}

impl Database {
    /// Reads a `postgres://` URL.
    ///
    /// # Errors
    /// `BOT-6115` (exit 2). The message contains no part of the URL, because it may have a password.
    pub(crate) fn parse(url: &str) -> Result<Self> {
        let options = PgConnectOptions::from_str(url).map_err(|error| {
            let problem = match problem_of_url(&error.to_string()) {
                Some(problem) => format!(": {problem}"),
                None => String::new(),
            };
            let message =
                format!("`conversations.store` is not a `postgres://` URL that can be read{problem}");
            Fault::usage("BOT-6115", message)
                .hint("write it as `postgres://user@host:5432/database`; in a password, `%`, `@`, `:`, `/`, `?` and `#` are `%25`, `%40`, `%3A`, `%2F`, `%3F` and `%23`")
                .hint("one with a password is named by reference: `conversations: { store: ${env:BOTOPS_CONVERSATIONS} }`")
        })?;
        let place = match options.get_socket() {
            Some(socket) => socket.display().to_string(),
            None => format!("{}:{}", options.get_host(), options.get_port()),
        };
        let database = options.get_database().unwrap_or(options.get_username());
        let shown = format!("postgres://{place}/{database}");
        // Statements are not written to the log: their parameters are texts.
        let options =
            sqlx::ConnectOptions::disable_statement_logging(options).application_name("botops");
        Ok(Self { options, shown })
    }

    /// Returns the name in messages, without a user and a password.
    pub(crate) fn shown(&self) -> &str {
        &self.shown
    }

    async fn connect(&self) -> Result<PgConnection> {
        let connect = PgConnection::connect_with(&self.options);
        match tokio::time::timeout(WAIT, connect).await {
            Ok(connected) => connected.map_err(|error| self.fault(error)),
            Err(_) => Err(self.fault(Error::PoolTimedOut)),
        }
    }

    fn fault(&self, error: Error) -> Fault {
        fault(&self.shown, error)
    }

    /// Opens the store.
    ///
    /// # Errors
    /// `BOT-6116` (exit 7) it cannot be reached; `BOT-6118` (exit 6) its tables are newer; `BOT-6119` (exit 2) it has no
    /// tables, or older ones; `BOT-6125` (exit 1).
    pub(crate) async fn open(&self) -> Result<PostgresStore> {
        let status = self.status().await?;
        migrations::check(status.version, &self.shown)?;
        let pool = PgPoolOptions::new()
            .max_connections(CONNECTIONS)
            .acquire_timeout(WAIT)
            .idle_timeout(IDLE)
            .max_lifetime(LIFE)
            // A broken connection is found by the statement itself, and the append is tried again.
            .test_before_acquire(false)
            .connect_lazy_with(self.options.clone().options([("statement_timeout", STATEMENT)]));
        Ok(PostgresStore { pool, shown: self.shown.clone() })
    }

    /// Returns the version of the tables.
    ///
    /// # Errors
    /// `BOT-6116` (exit 7), `BOT-6125` (exit 1).
    pub(crate) async fn status(&self) -> Result<SchemaStatus> {
        let mut connection = self.connect().await?;
        let version = sql::version(&mut connection).await.map_err(|error| self.fault(error))?;
        let _ = connection.close().await;
        let missing = migrations::upwards(POSTGRES, version, NEWEST);
        Ok(self.status_of(version, &missing))
    }

    fn status_of(&self, version: i64, steps: &[Migration]) -> SchemaStatus {
        SchemaStatus {
            store: self.shown.clone(),
            version,
            newest: NEWEST,
            steps: steps.iter().map(|step| format!("{} {}", step.version, step.name)).collect(),
            erases: None,
        }
    }

    /// Migrates the tables up to version `target`, in one transaction. Others that migrate meanwhile wait.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub(crate) async fn migrate(&self, target: i64, dry_run: bool) -> Result<SchemaStatus> {
        let mut connection = self.connect().await?;
        let mut transaction = connection.begin().await.map_err(|error| self.fault(error))?;
        let version = self.locked_version(&mut transaction).await?;
        let steps = migrations::upwards(POSTGRES, version, target);
        for step in &steps {
            let applied = sql::apply(&mut transaction, step, false).await;
            applied.map_err(|error| self.fault(error))?;
        }
        // A dry run does all of it, and takes it back.
        if dry_run {
            transaction.rollback().await.map_err(|error| self.fault(error))?;
            return Ok(self.status_of(version, &steps));
        }
        transaction.commit().await.map_err(|error| self.fault(error))?;
        Ok(self.status_of(version.max(target), &steps))
    }

    /// Takes the tables back to version `target`, in one transaction.
    ///
    /// # Errors
    /// `BOT-6127` (exit 6) turns would be erased and `force` is not set; as [`Self::open`].
    pub(crate) async fn rollback(
        &self,
        target: i64,
        (force, dry_run): (bool, bool),
    ) -> Result<SchemaStatus> {
        let mut connection = self.connect().await?;
        let mut transaction = connection.begin().await.map_err(|error| self.fault(error))?;
        let version = self.locked_version(&mut transaction).await?;
        let steps = migrations::downwards(POSTGRES, version, target);
        let mut status = self.status_of(version, &steps);
        if steps.is_empty() {
            return Ok(status);
        }
        let count = sql::count(&mut transaction).await.map_err(|error| self.fault(error))?;
        crate::schema::check_rollback(&status, (count, target), force)?;
        status.erases = Some(if target == 0 { count } else { 0 });
        for step in &steps {
            let applied = sql::apply(&mut transaction, step, true).await;
            applied.map_err(|error| self.fault(error))?;
        }
        if dry_run {
            transaction.rollback().await.map_err(|error| self.fault(error))?;
            return Ok(status);
        }
        transaction.commit().await.map_err(|error| self.fault(error))?;
        status.version = target;
        Ok(status)
    }

    /// Waits for other changes of the tables, and returns their version.
    async fn locked_version(&self, on: &mut PgConnection) -> Result<i64> {
        let lock = sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(LOCK);
        lock.execute(&mut *on).await.map_err(|error| self.fault(error))?;
        let version = sql::version(on).await.map_err(|error| self.fault(error))?;
        migrations::refuse_newer(version, &self.shown)?;
        Ok(version)
    }
}

impl PostgresStore {
    fn fault(&self, error: Error) -> Fault {
        fault(&self.shown, error)
    }
}

#[async_trait]
impl ConversationStore for PostgresStore {
    async fn append(&self, row: &Row, after: Option<Id>) -> Result<Appended> {
        let append = async {
            if sql::insert(&self.pool, row, after).await? {
                return Ok(Appended::Written);
            }
            if let Some(known) = sql::of_message(&self.pool, row.message).await? {
                return Ok(Appended::Known(known));
            }
            Ok(Appended::Moved(sql::last(&self.pool, row.conversation).await?))
        };
        append.await.map_err(|error| self.fault(error))
    }

    async fn settle(&self, row: &Row) -> Result<bool> {
        sql::settle(&self.pool, row).await.map_err(|error| self.fault(error))
    }

    async fn last(&self, conversation: Id) -> Result<Option<Row>> {
        sql::last(&self.pool, conversation).await.map_err(|error| self.fault(error))
    }

    async fn of_message(&self, message: Id) -> Result<Option<Row>> {
        sql::of_message(&self.pool, message).await.map_err(|error| self.fault(error))
    }

    async fn turns(&self, conversation: Id, from: i64, limit: u32) -> Result<Vec<Row>> {
        let found = sql::turns(&self.pool, conversation, (from, limit)).await;
        found.map_err(|error| self.fault(error))
    }

    async fn recent(&self, after: Option<(i64, Id)>, limit: u32) -> Result<Vec<Summary>> {
        sql::recent(&self.pool, after, limit).await.map_err(|error| self.fault(error))
    }

    async fn of_person(&self, person: Id) -> Result<Vec<Id>> {
        sql::of_person(&self.pool, person).await.map_err(|error| self.fault(error))
    }

    async fn erase(&self, conversations: &[Id]) -> Result<Erased> {
        let mut erased = Erased::default();
        let erase = async {
            for conversation in conversations {
                erased.keys += sql::erase_keys(&self.pool, *conversation).await?;
                // A turn that was appended meanwhile locked the one before it, and is seen by the next statement.
                loop {
                    let n_turns = sql::erase_turns(&self.pool, *conversation).await?;
                    erased.turns += n_turns;
                    if n_turns == 0 {
                        break;
                    }
                }
            }
            Ok(())
        };
        erase.await.map_err(|error: Error| self.fault(error))?;
        Ok(erased)
    }

    async fn expire(&self, before: i64, limit: u32) -> Result<u64> {
        sql::expire(&self.pool, before, limit).await.map_err(|error| self.fault(error))
    }

    async fn sweep_keys(&self, before: i64) -> Result<u64> {
        let done = sqlx::query(
            "DELETE FROM conversation_keys AS k WHERE k.at < $1 AND NOT EXISTS ( \
               SELECT 1 FROM conversation_turns AS t WHERE t.conversation = k.conversation)",
        )
        .bind(before)
        .execute(&self.pool)
        .await;
        Ok(done.map_err(|error| self.fault(error))?.rows_affected())
    }

    /// Returns the space of what was erased to the tables. Its bytes stay in the log of the database until that is
    /// recycled, and in pages until they are used again: only texts under a data key are unreadable at once.
    async fn scrub(&self) -> Result<()> {
        let scrub = async {
            let mut connection = self.pool.acquire().await?;
            sqlx::query("SET statement_timeout = 0").execute(&mut *connection).await?;
            sqlx::query("VACUUM conversation_keys").execute(&mut *connection).await?;
            sqlx::query("VACUUM conversation_turns").execute(&mut *connection).await?;
            // Its settings differ from those of the others.
            connection.close().await
        };
        scrub.await.map_err(|error| self.fault(error))
    }

    async fn key(&self, conversation: Id, person: Id) -> Result<Option<WrappedKey>> {
        sql::key(&self.pool, conversation, person).await.map_err(|error| self.fault(error))
    }

    async fn keep_key(&self, key: &WrappedKey) -> Result<WrappedKey> {
        sql::keep_key(&self.pool, key).await.map_err(|error| self.fault(error))
    }

    async fn keys_not_under(&self, key_id: &str, limit: u32) -> Result<Vec<WrappedKey>> {
        let found = sql::keys_not_under(&self.pool, key_id, limit).await;
        found.map_err(|error| self.fault(error))
    }

    async fn replace_key(&self, key: &WrappedKey, before: &str) -> Result<bool> {
        sql::replace_key(&self.pool, key, before).await.map_err(|error| self.fault(error))
    }
}
