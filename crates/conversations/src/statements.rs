//! The statements of the SQL stores, the same text for SQLite and PostgreSQL.

use botops_findings::Fault;
use sqlx::Error;
use std::io::ErrorKind;

/// Makes the statements of one kind of database. `$lock` is appended to the statement that appends after another turn: the
/// lock that keeps an erasure from overtaking it. `$has_schema` asks whether there is a table of versions.
macro_rules! statements {
    ($database:ty, lock: $lock:literal, has_schema: $has_schema:literal) => {
        use crate::{
            migrations::Migration,
            names::Id,
            sealing::WrappedKey,
            store::{Row, Summary},
        };
        use sqlx::{Error, Executor, Row as _, query};

        type Record = <$database as sqlx::Database>::Row;
        type Connection = <$database as sqlx::Database>::Connection;

        fn id(record: &Record, column: &str) -> Result<Id, Error> {
            optional_id(record, column)?.ok_or_else(|| Error::ColumnDecode {
                index: column.to_owned(),
                source: "the name is missing".into(),
            })
        }

        fn optional_id(record: &Record, column: &str) -> Result<Option<Id>, Error> {
            let Some(bytes) = record.try_get::<Option<Vec<u8>>, _>(column)? else {
                return Ok(None);
            };
            let read = Id::from_bytes(&bytes).ok_or_else(|| Error::ColumnDecode {
                index: column.to_owned(),
                source: "a name has 16 bytes".into(),
            });
            read.map(Some)
        }

        fn row(record: &Record) -> Result<Row, Error> {
            Ok(Row {
                conversation: id(record, "conversation")?,
                number: record.try_get("number")?,
                turn: id(record, "turn")?,
                message: id(record, "message")?,
                person: optional_id(record, "person")?,
                at: record.try_get("at")?,
                open: record.try_get("open")?,
                body: record.try_get("body")?,
            })
        }

        fn wrapped_key(record: &Record) -> Result<WrappedKey, Error> {
            Ok(WrappedKey {
                conversation: id(record, "conversation")?,
                person: id(record, "person")?,
                key_id: record.try_get("key_id")?,
                wrapped: record.try_get("wrapped")?,
                at: record.try_get("at")?,
            })
        }

        /// Appends a turn. Returns false if it does not fit.
        pub(super) async fn insert<'e>(
            on: impl Executor<'e, Database = $database>,
            row: &Row,
            after: Option<Id>,
        ) -> Result<bool, Error> {
            let first = "INSERT INTO conversation_turns \
                (conversation, number, turn, message, person, at, open, body) \
                SELECT $1, $2, $3, $4, $5, $6, $7, $8 \
                WHERE NOT EXISTS (SELECT 1 FROM conversation_turns WHERE conversation = $1) \
                ON CONFLICT DO NOTHING";
            let next = concat!(
                "INSERT INTO conversation_turns \
                (conversation, number, turn, message, person, at, open, body) \
                SELECT $1, $2, $3, $4, $5, $6, $7, $8 FROM conversation_turns AS t \
                WHERE t.conversation = $1 AND t.number = $9 AND t.turn = $10",
                $lock,
                " ON CONFLICT DO NOTHING"
            );
            let statement = query(if after.is_some() { next } else { first })
                .bind(row.conversation.as_bytes().as_slice())
                .bind(row.number)
                .bind(row.turn.as_bytes().as_slice())
                .bind(row.message.as_bytes().as_slice())
                .bind(row.person.map(|person| person.as_bytes().to_vec()))
                .bind(row.at)
                .bind(row.open)
                .bind(row.body.as_slice());
            let statement = match &after {
                Some(after) => statement.bind(row.number - 1).bind(after.as_bytes().as_slice()),
                None => statement,
            };
            Ok(statement.execute(on).await?.rows_affected() == 1)
        }

        pub(super) async fn settle<'e>(
            on: impl Executor<'e, Database = $database>,
            row: &Row,
        ) -> Result<bool, Error> {
            let done = query(
                "UPDATE conversation_turns SET open = $1, body = $2 \
                 WHERE conversation = $3 AND number = $4 AND turn = $5 AND (open OR body = $2)",
            )
            .bind(row.open)
            .bind(row.body.as_slice())
            .bind(row.conversation.as_bytes().as_slice())
            .bind(row.number)
            .bind(row.turn.as_bytes().as_slice())
            .execute(on)
            .await?;
            Ok(done.rows_affected() == 1)
        }

        pub(super) async fn last<'e>(
            on: impl Executor<'e, Database = $database>,
            conversation: Id,
        ) -> Result<Option<Row>, Error> {
            query(
                "SELECT conversation, number, turn, message, person, at, open, body \
                 FROM conversation_turns WHERE conversation = $1 ORDER BY number DESC LIMIT 1",
            )
            .bind(conversation.as_bytes().as_slice())
            .fetch_optional(on)
            .await?
            .map(|record| row(&record))
            .transpose()
        }

        pub(super) async fn of_message<'e>(
            on: impl Executor<'e, Database = $database>,
            message: Id,
        ) -> Result<Option<Row>, Error> {
            query(
                "SELECT conversation, number, turn, message, person, at, open, body \
                 FROM conversation_turns WHERE message = $1",
            )
            .bind(message.as_bytes().as_slice())
            .fetch_optional(on)
            .await?
            .map(|record| row(&record))
            .transpose()
        }

        pub(super) async fn turns<'e>(
            on: impl Executor<'e, Database = $database>,
            conversation: Id,
            (from, limit): (i64, u32),
        ) -> Result<Vec<Row>, Error> {
            let found = query(
                "SELECT conversation, number, turn, message, person, at, open, body \
                 FROM conversation_turns WHERE conversation = $1 AND number >= $2 \
                 ORDER BY number LIMIT $3",
            )
            .bind(conversation.as_bytes().as_slice())
            .bind(from)
            .bind(i64::from(limit))
            .fetch_all(on)
            .await?;
            found.iter().map(row).collect()
        }

        /// Lists conversations by their last turns: those that no turn of the next number follows.
        pub(super) async fn recent<'e>(
            on: impl Executor<'e, Database = $database>,
            after: Option<(i64, Id)>,
            limit: u32,
        ) -> Result<Vec<Summary>, Error> {
            let (at, conversation) = match after {
                Some((at, conversation)) => (at, conversation.as_bytes().to_vec()),
                None => (i64::MAX, Vec::new()),
            };
            let found = query(
                "SELECT t.conversation, t.person, t.at, \
                   (SELECT COUNT(*) FROM conversation_turns AS c \
                    WHERE c.conversation = t.conversation) AS turns, \
                   (SELECT f.at FROM conversation_turns AS f \
                    WHERE f.conversation = t.conversation ORDER BY f.number LIMIT 1) AS first \
                 FROM conversation_turns AS t \
                 WHERE (t.at, t.conversation) < ($1, $2) AND NOT EXISTS ( \
                   SELECT 1 FROM conversation_turns AS n \
                   WHERE n.conversation = t.conversation AND n.number = t.number + 1) \
                 ORDER BY t.at DESC, t.conversation DESC LIMIT $3",
            )
            .bind(at)
            .bind(conversation)
            .bind(i64::from(limit))
            .fetch_all(on)
            .await?;
            let summary = |record: &Record| {
                Ok(Summary {
                    conversation: id(record, "conversation")?,
                    person: optional_id(record, "person")?,
                    turns: record.try_get("turns")?,
                    first: record.try_get("first")?,
                    last: record.try_get("at")?,
                })
            };
            found.iter().map(summary).collect()
        }

        pub(super) async fn of_person<'e>(
            on: impl Executor<'e, Database = $database>,
            person: Id,
        ) -> Result<Vec<Id>, Error> {
            let found = query(
                "SELECT DISTINCT conversation FROM conversation_turns WHERE person = $1 \
                 ORDER BY conversation",
            )
            .bind(person.as_bytes().as_slice())
            .fetch_all(on)
            .await?;
            found.iter().map(|record| id(record, "conversation")).collect()
        }

        pub(super) async fn erase_turns<'e>(
            on: impl Executor<'e, Database = $database>,
            conversation: Id,
        ) -> Result<u64, Error> {
            let done = query("DELETE FROM conversation_turns WHERE conversation = $1")
                .bind(conversation.as_bytes().as_slice())
                .execute(on)
                .await?;
            Ok(done.rows_affected())
        }

        pub(super) async fn erase_keys<'e>(
            on: impl Executor<'e, Database = $database>,
            conversation: Id,
        ) -> Result<u64, Error> {
            let done = query("DELETE FROM conversation_keys WHERE conversation = $1")
                .bind(conversation.as_bytes().as_slice())
                .execute(on)
                .await?;
            Ok(done.rows_affected())
        }

        pub(super) async fn expire<'e>(
            on: impl Executor<'e, Database = $database>,
            before: i64,
            limit: u32,
        ) -> Result<u64, Error> {
            let done = query(
                "DELETE FROM conversation_turns WHERE (conversation, number) IN ( \
                   SELECT conversation, number FROM conversation_turns WHERE at < $1 \
                   ORDER BY at LIMIT $2)",
            )
            .bind(before)
            .bind(i64::from(limit))
            .execute(on)
            .await?;
            Ok(done.rows_affected())
        }

        pub(super) async fn key<'e>(
            on: impl Executor<'e, Database = $database>,
            conversation: Id,
            person: Id,
        ) -> Result<Option<WrappedKey>, Error> {
            query(
                "SELECT conversation, person, key_id, wrapped, at FROM conversation_keys \
                 WHERE conversation = $1 AND person = $2",
            )
            .bind(conversation.as_bytes().as_slice())
            .bind(person.as_bytes().as_slice())
            .fetch_optional(on)
            .await?
            .map(|record| wrapped_key(&record))
            .transpose()
        }

        pub(super) async fn keep_key<'e>(
            on: impl Executor<'e, Database = $database>,
            key: &WrappedKey,
        ) -> Result<WrappedKey, Error> {
            let record = query(
                "INSERT INTO conversation_keys (conversation, person, key_id, wrapped, at) \
                 VALUES ($1, $2, $3, $4, $5) \
                 ON CONFLICT (conversation, person) DO UPDATE SET at = excluded.at \
                 RETURNING conversation, person, key_id, wrapped, at",
            )
            .bind(key.conversation.as_bytes().as_slice())
            .bind(key.person.as_bytes().as_slice())
            .bind(key.key_id.as_str())
            .bind(key.wrapped.as_slice())
            .bind(key.at)
            .fetch_one(on)
            .await?;
            wrapped_key(&record)
        }

        pub(super) async fn keys_not_under<'e>(
            on: impl Executor<'e, Database = $database>,
            key_id: &str,
            limit: u32,
        ) -> Result<Vec<WrappedKey>, Error> {
            // Two ranges, so that the index on the ids serves them.
            let found = query(
                "SELECT conversation, person, key_id, wrapped, at FROM conversation_keys \
                 WHERE key_id < $1 OR key_id > $1 LIMIT $2",
            )
            .bind(key_id)
            .bind(i64::from(limit))
            .fetch_all(on)
            .await?;
            found.iter().map(wrapped_key).collect()
        }

        pub(super) async fn replace_key<'e>(
            on: impl Executor<'e, Database = $database>,
            key: &WrappedKey,
            before: &str,
        ) -> Result<bool, Error> {
            let done = query(
                "UPDATE conversation_keys SET key_id = $1, wrapped = $2 \
                 WHERE conversation = $3 AND person = $4 AND key_id = $5",
            )
            .bind(key.key_id.as_str())
            .bind(key.wrapped.as_slice())
            .bind(key.conversation.as_bytes().as_slice())
            .bind(key.person.as_bytes().as_slice())
            .bind(before)
            .execute(on)
            .await?;
            Ok(done.rows_affected() == 1)
        }

        /// Returns the version of the tables; 0 without any.
        pub(super) async fn version(on: &mut Connection) -> Result<i64, Error> {
            let has_schema: bool = query($has_schema).fetch_one(&mut *on).await?.try_get(0)?;
            if !has_schema {
                return Ok(0);
            }
            query("SELECT COALESCE(MAX(version), 0) FROM botops_schema")
                .fetch_one(&mut *on)
                .await?
                .try_get(0)
        }

        /// Applies a migration, or its way back, within the transaction of `on`.
        pub(super) async fn apply(
            on: &mut Connection,
            step: &Migration,
            back: bool,
        ) -> Result<(), Error> {
            query(
                "CREATE TABLE IF NOT EXISTS botops_schema \
                 (version BIGINT PRIMARY KEY, name TEXT NOT NULL)",
            )
            .execute(&mut *on)
            .await?;
            sqlx::raw_sql(if back { step.down } else { step.up }).execute(&mut *on).await?;
            if back {
                let delete = query("DELETE FROM botops_schema WHERE version = $1");
                delete.bind(step.version).execute(&mut *on).await?;
            } else {
                let insert = query("INSERT INTO botops_schema (version, name) VALUES ($1, $2)");
                insert.bind(step.version).bind(step.name).execute(&mut *on).await?;
            }
            Ok(())
        }

        /// Returns at most `limit` turns after that one, in the order of conversations and numbers.
        pub(super) async fn turns_after(
            on: &mut Connection,
            after: Option<(Id, i64)>,
            limit: u32,
        ) -> Result<Vec<Row>, Error> {
            let (conversation, number) = match after {
                Some((conversation, number)) => (conversation.as_bytes().to_vec(), number),
                None => (Vec::new(), -1),
            };
            let found = query(
                "SELECT conversation, number, turn, message, person, at, open, body \
                 FROM conversation_turns WHERE (conversation, number) > ($1, $2) \
                 ORDER BY conversation, number LIMIT $3",
            )
            .bind(conversation)
            .bind(number)
            .bind(i64::from(limit))
            .fetch_all(on)
            .await?;
            found.iter().map(row).collect()
        }

        /// Returns at most `limit` keys after that one, in the order of conversations and persons.
        pub(super) async fn keys_after(
            on: &mut Connection,
            after: Option<(Id, Id)>,
            limit: u32,
        ) -> Result<Vec<WrappedKey>, Error> {
            let (conversation, person) = match after {
                Some((of, person)) => (of.as_bytes().to_vec(), person.as_bytes().to_vec()),
                None => (Vec::new(), Vec::new()),
            };
            let found = query(
                "SELECT conversation, person, key_id, wrapped, at FROM conversation_keys \
                 WHERE (conversation, person) > ($1, $2) \
                 ORDER BY conversation, person LIMIT $3",
            )
            .bind(conversation)
            .bind(person)
            .bind(i64::from(limit))
            .fetch_all(on)
            .await?;
            found.iter().map(wrapped_key).collect()
        }

        /// Writes a turn of a copy, whose place is not checked.
        pub(super) async fn write_turn(on: &mut Connection, row: &Row) -> Result<(), Error> {
            query(
                "INSERT INTO conversation_turns \
                 (conversation, number, turn, message, person, at, open, body) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
            )
            .bind(row.conversation.as_bytes().as_slice())
            .bind(row.number)
            .bind(row.turn.as_bytes().as_slice())
            .bind(row.message.as_bytes().as_slice())
            .bind(row.person.map(|person| person.as_bytes().to_vec()))
            .bind(row.at)
            .bind(row.open)
            .bind(row.body.as_slice())
            .execute(on)
            .await?;
            Ok(())
        }

        /// Writes a key of a copy.
        pub(super) async fn write_key(on: &mut Connection, key: &WrappedKey) -> Result<(), Error> {
            query(
                "INSERT INTO conversation_keys (conversation, person, key_id, wrapped, at) \
                 VALUES ($1, $2, $3, $4, $5)",
            )
            .bind(key.conversation.as_bytes().as_slice())
            .bind(key.person.as_bytes().as_slice())
            .bind(key.key_id.as_str())
            .bind(key.wrapped.as_slice())
            .bind(key.at)
            .execute(on)
            .await?;
            Ok(())
        }

        /// Returns the number of turns.
        pub(super) async fn count(on: &mut Connection) -> Result<i64, Error> {
            query("SELECT COUNT(*) FROM conversation_turns").fetch_one(&mut *on).await?.try_get(0)
        }
    };
}
pub(crate) use statements;

/// Returns the fault of a failed statement on `store`.
pub(crate) fn fault(store: &str, error: Error) -> Fault {
    let cause = Cause::of(&error);
    let unreachable = match &error {
        Error::Io(_) if cause.is_some() => false,
        Error::Io(_)
        | Error::Tls(_)
        | Error::PoolTimedOut
        | Error::PoolClosed
        | Error::WorkerCrashed
        | Error::Protocol(_) => true,
        Error::Database(error) => error.code().is_some_and(|code| is_transient(&code)),
        _ => false,
    };
    if let Error::Database(database) = &error
        && database.code().as_deref() == Some("42P01")
    {
        return Fault::usage("BOT-6119", format!("`{store}` has no tables for conversations"))
            .hint("run `botops db migrate`");
    }
    if let (Some(cause), false) = (cause, unreachable) {
        let (problem, hint) = cause.words();
        let message = format!("the store of conversations `{store}` failed: {problem}");
        return Fault::internal("BOT-6125", message).hint(hint).caused_by(error);
    }
    // The messages of drivers may name a user or a parameter, and are shown with `-v` only.
    if unreachable {
        Fault::unreachable(
            "BOT-6116",
            format!("the store of conversations `{store}` cannot be reached"),
        )
        .hint("check that it runs and that this machine reaches it")
        .caused_by(error)
    } else {
        Fault::internal("BOT-6125", format!("the store of conversations `{store}` failed"))
            .hint("run again with `-v` to see the answer of the store")
            .caused_by(error)
    }
}

/// Returns whether a later try may succeed: SQLSTATE classes of PostgreSQL, and the primary codes of SQLite.
/// The cause of a failure that an operator has to remove.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    Full,
    ReadOnly,
    Unopened,
    Broken,
}

impl Cause {
    /// Returns the cause of `error`, if it is one that is known.
    fn of(error: &Error) -> Option<Self> {
        match error {
            Error::Io(error) => match error.kind() {
                ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Some(Self::Full),
                ErrorKind::PermissionDenied => Some(Self::Unopened),
                ErrorKind::ReadOnlyFilesystem => Some(Self::ReadOnly),
                _ => None,
            },
            Error::Database(error) => Self::of_code(&error.code()?),
            _ => None,
        }
    }

    /// Returns the cause of a code: five characters of PostgreSQL, or a number of SQLite with an extension.
    fn of_code(code: &str) -> Option<Self> {
        if code.len() == 5 {
            return (code == "53100").then_some(Self::Full);
        }
        match code.parse::<u32>().ok()? & 0xFF {
            13 => Some(Self::Full),
            8 => Some(Self::ReadOnly),
            3 | 14 => Some(Self::Unopened),
            10 | 11 => Some(Self::Broken),
            _ => None,
        }
    }

    /// Returns the problem, and what removes it.
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Full => (
                "the disk is full",
                "make room on the disk of the store; what was acknowledged is stored",
            ),
            Self::ReadOnly => (
                "it is read-only",
                "let the user of the server write its files and their folder, or set `conversations.store` to another place",
            ),
            Self::Unopened => (
                "its files cannot be opened",
                "check that the folder is there, and that the user of the server may read and write it",
            ),
            Self::Broken => (
                "its files are damaged, or the disk fails to read or write",
                "check the disk, and restore a backup if the files are damaged",
            ),
        }
    }
}

fn is_transient(code: &str) -> bool {
    match code.len() {
        // Connection, resources, shutdown and cancellation, serialization; a standby cannot be written to.
        5 if code == "53100" => false,
        5 => ["08", "53", "57", "40"].contains(&&code[..2]) || code == "25006" || code == "55P03",
        // SQLITE_BUSY and SQLITE_LOCKED, with their extended codes.
        _ => code.parse::<u32>().is_ok_and(|code| matches!(code & 0xFF, 5 | 6)),
    }
}

#[cfg(test)]
mod tests {
    use super::{Cause, is_transient};

    #[test]
    fn the_cause_that_an_operator_can_remove_is_named() {
        for (code, cause) in [
            ("13", Some(Cause::Full)),
            ("53100", Some(Cause::Full)),
            ("8", Some(Cause::ReadOnly)),
            ("1032", Some(Cause::ReadOnly)),
            ("14", Some(Cause::Unopened)),
            ("778", Some(Cause::Broken)),
            ("5", None),
            ("23505", None),
            ("08006", None),
            ("x", None),
        ] {
            assert_eq!(Cause::of_code(code), cause, "{code}");
            assert!(cause.is_none() || !is_transient(code), "{code}");
        }
    }

    #[test]
    fn transient_codes_are_told_apart() {
        for code in ["08006", "57P01", "57P03", "53300", "40001", "25006", "5", "6", "261", "517"] {
            assert!(is_transient(code), "{code}");
        }
        for code in ["42P01", "28P01", "22P02", "23505", "1", "13", "10", "2067"] {
            assert!(!is_transient(code), "{code}");
        }
    }
}
