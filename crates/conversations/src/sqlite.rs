//! Conversations in SQLite files on this machine: the turns in one file, the keys of persons in another.
//!
//! WAL with `synchronous = FULL`: a turn that was acknowledged survives a loss of power. One writer per file commits all
//! turns that wait together, so that they share a sync of the disk.

pub(crate) mod copying;
mod statements;
mod writer;

use crate::{
    migrations::{self, Migration, NEWEST, SQLITE_KEYS, SQLITE_TURNS, SchemaStatus},
    names::Id,
    sealing::WrappedKey,
    statements::fault,
    store::{Appended, ConversationStore, Erased, Row, Summary},
};
use async_trait::async_trait;
use botops_findings::{Fault, Result};
use sqlx::{
    Connection as _, Error, SqlitePool,
    sqlite::{
        SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePoolOptions,
        SqliteSynchronous,
    },
};
use statements as sql;
use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    time::Duration,
};
use writer::{GroupWriter, Job};

/// The file of the turns in the folder of a store.
const TURNS: &str = "turns.sqlite";
/// The file of the keys of persons: backed up apart, in its newest state only.
const KEYS: &str = "keys.sqlite";
/// How long a statement waits for another process that writes.
const BUSY: Duration = Duration::from_secs(10);
/// The connections that read a file. Each has a cache of 2 MB.
const READERS: u32 = 4;
/// How often a checkpoint that readers delay is tried again.
const CHECKPOINT_TRIES: u32 = 50;

/// A store in SQLite files.
pub(crate) struct SqliteStore {
    folder: PathBuf,
    shown: String,
    turns: SqlitePool,
    keys: SqlitePool,
    turn_writer: GroupWriter,
    key_writer: GroupWriter,
}

/// Returns the settings of a connection to `file`, whose cache has `cache_kb` kilobytes.
fn options(file: &Path, cache_kb: u32) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(file)
        .create_if_missing(false)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(BUSY)
        // What is deleted is overwritten.
        .pragma("secure_delete", "ON")
        .pragma("cache_size", format!("-{cache_kb}"))
        .pragma("wal_autocheckpoint", "4000")
        .pragma("journal_size_limit", "67108864")
}

impl SqliteStore {
    /// Opens the store in `folder`. With `create`, missing files are made, readable by their owner only, and older tables
    /// are migrated.
    ///
    /// # Errors
    /// `BOT-6126` (exit 2) there is no store and `create` is not set; `BOT-6118` (exit 6) its tables are newer; `BOT-6119`
    /// (exit 2) they are older and `create` is not set; `BOT-6125` (exit 1).
    pub(crate) async fn open(folder: &Path, create: bool) -> Result<Self> {
        if create {
            migrate(folder, NEWEST, false).await?;
        }
        let status = status(folder).await?;
        if !create && !exists(folder) {
            let message = format!("no conversations are stored in `{}`", folder.display());
            return Err(Fault::usage("BOT-6126", message).hint(
                "`botops serve` stores them there, or where `conversations.store` in botops.yaml says",
            ));
        }
        migrations::check(status.version, &status.store)?;
        let shown = status.store;
        let pool = |file: &str| {
            SqlitePoolOptions::new()
                .max_connections(READERS)
                .acquire_timeout(BUSY)
                .idle_timeout(Duration::from_secs(60))
                .connect_lazy_with(options(&folder.join(file), 2_000))
        };
        let writer = async |file: &str, cache_kb: u32| {
            let options = options(&folder.join(file), cache_kb);
            let connection = SqliteConnection::connect_with(&options).await;
            let connection = connection.map_err(|error| fault(&shown, error))?;
            Ok::<_, Fault>(GroupWriter::start(connection, shown.clone()))
        };
        Ok(Self {
            folder: folder.to_owned(),
            turn_writer: writer(TURNS, 16_000).await?,
            key_writer: writer(KEYS, 4_000).await?,
            turns: pool(TURNS),
            keys: pool(KEYS),
            shown,
        })
    }

    fn fault(&self, error: Error) -> Fault {
        fault(&self.shown, error)
    }
}

/// Returns whether both files of a store are in `folder`.
fn exists(folder: &Path) -> bool {
    folder.join(TURNS).is_file() && folder.join(KEYS).is_file()
}

/// Makes the files of a store that are missing, readable by their owner only. SQLite gives their logs the same mode.
fn create_files(folder: &Path) -> Result<()> {
    let make = || -> io::Result<()> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        for name in [TURNS, KEYS] {
            let path = folder.join(name);
            let made = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
            match made {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                made => made?.sync_all()?,
            }
        }
        fs::File::open(folder)?.sync_all()
    };
    make().map_err(|error| {
        let message = format!("conversations cannot be stored in `{}`: {error}", folder.display());
        Fault::internal("BOT-6125", message)
            .hint("set `conversations.store` in botops.yaml to a folder that can be written")
            .caused_by(error)
    })
}

/// Returns the version of the tables in `folder`: the older one of both files, unless one is newer than this botops knows.
///
/// # Errors
/// `BOT-6125` (exit 1) a file cannot be read.
pub(crate) async fn status(folder: &Path) -> Result<SchemaStatus> {
    let shown = folder.display().to_string();
    let version = if exists(folder) {
        let (turns, keys) =
            (version(folder, TURNS, &shown).await?, version(folder, KEYS, &shown).await?);
        if turns.max(keys) > NEWEST { turns.max(keys) } else { turns.min(keys) }
    } else {
        0
    };
    let missing = migrations::upwards(SQLITE_TURNS, version, NEWEST);
    Ok(SchemaStatus { store: shown, version, newest: NEWEST, steps: names(&missing), erases: None })
}

async fn version(folder: &Path, file: &str, shown: &str) -> Result<i64> {
    let mut connection = connect(folder, file, shown).await?;
    let version = sql::version(&mut connection).await.map_err(|error| fault(shown, error))?;
    close(connection).await;
    Ok(version)
}

async fn connect(folder: &Path, file: &str, shown: &str) -> Result<SqliteConnection> {
    SqliteConnection::connect_with(&options(&folder.join(file), 2_000))
        .await
        .map_err(|error| fault(shown, error))
}

/// Closes a connection. A failure concerns the log of the file, which the next connection takes up.
async fn close(connection: SqliteConnection) {
    let _ = connection.close().await;
}

fn names(steps: &[Migration]) -> Vec<String> {
    steps.iter().map(|step| format!("{} {}", step.version, step.name)).collect()
}

/// Migrates the tables in `folder` up to version `target`, and makes the files if they are missing.
///
/// # Errors
/// `BOT-6118` (exit 6) the tables are newer than this botops knows; `BOT-6125` (exit 1).
pub(crate) async fn migrate(folder: &Path, target: i64, dry_run: bool) -> Result<SchemaStatus> {
    let mut status = status(folder).await?;
    migrations::refuse_newer(status.version, &status.store)?;
    status.steps = names(&migrations::upwards(SQLITE_TURNS, status.version, target));
    // Each file on its own: a crash between them leaves one older, and the next call goes on.
    if dry_run || status.version >= target {
        return Ok(status);
    }
    create_files(folder)?;
    for (file, all) in [(KEYS, SQLITE_KEYS), (TURNS, SQLITE_TURNS)] {
        let steps = |version| migrations::upwards(all, version, target);
        change(folder, (file, &status.store), steps, false).await?;
    }
    status.version = target;
    Ok(status)
}

/// Takes the tables in `folder` back to version `target`.
///
/// # Errors
/// `BOT-6127` (exit 6) turns would be erased and `force` is not set; `BOT-6118`, `BOT-6125`.
pub(crate) async fn rollback(
    folder: &Path,
    target: i64,
    (force, dry_run): (bool, bool),
) -> Result<SchemaStatus> {
    let mut status = status(folder).await?;
    migrations::refuse_newer(status.version, &status.store)?;
    let back = migrations::downwards(SQLITE_TURNS, status.version, target);
    status.steps = names(&back);
    if back.is_empty() {
        return Ok(status);
    }
    let mut connection = connect(folder, TURNS, &status.store).await?;
    let counted = sql::count(&mut connection).await;
    close(connection).await;
    let count = counted.map_err(|error| fault(&status.store, error))?;
    crate::schema::check_rollback(&status, (count, target), force)?;
    status.erases = Some(if target == 0 { count } else { 0 });
    if dry_run {
        return Ok(status);
    }
    for (file, all) in [(TURNS, SQLITE_TURNS), (KEYS, SQLITE_KEYS)] {
        let steps = |version| migrations::downwards(all, version, target);
        change(folder, (file, &status.store), steps, true).await?;
    }
    status.version = target;
    Ok(status)
}

/// Applies the `steps` from the version of a file, in one transaction. `back` takes their ways back.
async fn change(
    folder: &Path,
    (file, shown): (&str, &str),
    steps: impl Fn(i64) -> Vec<Migration>,
    back: bool,
) -> Result<()> {
    let fault = |error| fault(shown, error);
    let mut connection = connect(folder, file, shown).await?;
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await.map_err(fault)?;
    let version = sql::version(&mut transaction).await.map_err(fault)?;
    for step in steps(version) {
        sql::apply(&mut transaction, &step, back).await.map_err(fault)?;
    }
    transaction.commit().await.map_err(fault)?;
    if back {
        checkpoint(&mut connection).await.map_err(fault)?;
    }
    close(connection).await;
    Ok(())
}

/// Empties the log of a file, which holds copies of what was erased.
async fn checkpoint(connection: &mut SqliteConnection) -> Result<(), Error> {
    use sqlx::Row as _;
    let mut tries = 0;
    loop {
        let state =
            sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").fetch_one(&mut *connection).await?;
        let busy: i64 = state.try_get(0)?;
        if busy == 0 {
            return Ok(());
        }
        tries += 1;
        if tries == CHECKPOINT_TRIES {
            return Err(Error::Protocol("readers keep the log from being emptied".into()));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[async_trait]
impl ConversationStore for SqliteStore {
    async fn append(&self, row: &Row, after: Option<Id>) -> Result<Appended> {
        let (reply, outcome) = writer::reply();
        self.turn_writer.send(Job::Append { row: row.clone(), after, reply }).await?;
        self.turn_writer.outcome(outcome).await
    }

    async fn settle(&self, row: &Row) -> Result<bool> {
        let (reply, outcome) = writer::reply();
        self.turn_writer.send(Job::Settle { row: row.clone(), reply }).await?;
        self.turn_writer.outcome(outcome).await
    }

    async fn last(&self, conversation: Id) -> Result<Option<Row>> {
        sql::last(&self.turns, conversation).await.map_err(|error| self.fault(error))
    }

    async fn of_message(&self, message: Id) -> Result<Option<Row>> {
        sql::of_message(&self.turns, message).await.map_err(|error| self.fault(error))
    }

    async fn turns(&self, conversation: Id, from: i64, limit: u32) -> Result<Vec<Row>> {
        let found = sql::turns(&self.turns, conversation, (from, limit)).await;
        found.map_err(|error| self.fault(error))
    }

    async fn recent(&self, after: Option<(i64, Id)>, limit: u32) -> Result<Vec<Summary>> {
        sql::recent(&self.turns, after, limit).await.map_err(|error| self.fault(error))
    }

    async fn of_person(&self, person: Id) -> Result<Vec<Id>> {
        sql::of_person(&self.turns, person).await.map_err(|error| self.fault(error))
    }

    async fn erase(&self, conversations: &[Id]) -> Result<Erased> {
        let mut erased = Erased::default();
        let erase_keys = async {
            let mut transaction = self.keys.begin_with("BEGIN IMMEDIATE").await?;
            for conversation in conversations {
                erased.keys += sql::erase_keys(&mut *transaction, *conversation).await?;
            }
            transaction.commit().await
        };
        erase_keys.await.map_err(|error| self.fault(error))?;
        let erase_turns = async {
            let mut transaction = self.turns.begin_with("BEGIN IMMEDIATE").await?;
            for conversation in conversations {
                erased.turns += sql::erase_turns(&mut *transaction, *conversation).await?;
            }
            transaction.commit().await
        };
        erase_turns.await.map_err(|error| self.fault(error))?;
        Ok(erased)
    }

    async fn expire(&self, before: i64, limit: u32) -> Result<u64> {
        sql::expire(&self.turns, before, limit).await.map_err(|error| self.fault(error))
    }

    async fn sweep_keys(&self, before: i64) -> Result<u64> {
        let sweep = async {
            let options = options(&self.folder.join(KEYS), 2_000);
            let mut connection = SqliteConnection::connect_with(&options).await?;
            sqlx::query("ATTACH $1 AS texts")
                .bind(self.folder.join(TURNS).display().to_string())
                .execute(&mut connection)
                .await?;
            let done = sqlx::query(
                "DELETE FROM conversation_keys WHERE at < $1 AND NOT EXISTS ( \
                   SELECT 1 FROM texts.conversation_turns AS t \
                   WHERE t.conversation = conversation_keys.conversation)",
            )
            .bind(before)
            .execute(&mut connection)
            .await?;
            close(connection).await;
            Ok(done.rows_affected())
        };
        sweep.await.map_err(|error| self.fault(error))
    }

    async fn scrub(&self) -> Result<()> {
        for pool in [&self.keys, &self.turns] {
            let scrub = async { checkpoint(&mut *pool.acquire().await?).await };
            scrub.await.map_err(|error| self.fault(error))?;
        }
        Ok(())
    }

    async fn key(&self, conversation: Id, person: Id) -> Result<Option<WrappedKey>> {
        sql::key(&self.keys, conversation, person).await.map_err(|error| self.fault(error))
    }

    async fn keep_key(&self, key: &WrappedKey) -> Result<WrappedKey> {
        let (reply, outcome) = writer::reply();
        self.key_writer.send(Job::KeepKey { key: key.clone(), reply }).await?;
        self.key_writer.outcome(outcome).await
    }

    async fn keys_not_under(&self, key_id: &str, limit: u32) -> Result<Vec<WrappedKey>> {
        let found = sql::keys_not_under(&self.keys, key_id, limit).await;
        found.map_err(|error| self.fault(error))
    }

    async fn replace_key(&self, key: &WrappedKey, before: &str) -> Result<bool> {
        sql::replace_key(&self.keys, key, before).await.map_err(|error| self.fault(error))
    }
}
