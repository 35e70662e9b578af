//! Where conversations are stored.

use crate::{
    copying::{Copied, RowSource, Rows, not_copied},
    memory::MemoryStore,
    migrations::{NEWEST, SchemaStatus},
    postgres::Database,
    redis_store::Server,
    sqlite::{self, SqliteStore},
    store::ConversationStore,
};
use botops_findings::{Fault, Result};
use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Where conversations are stored: `memory`, the path of a folder with SQLite files, or a `postgres://` or `redis://` URL.
/// It is shown without the user and the password of a URL.
#[derive(Clone)]
pub struct Location(Kind);

#[derive(Clone)]
enum Kind {
    Memory,
    Folder(PathBuf),
    Postgres(Box<Database>),
    Redis(Box<Server>),
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Memory => f.write_str("memory"),
            Kind::Folder(folder) => write!(f, "{}", folder.display()),
            Kind::Postgres(database) => f.write_str(database.shown()),
            Kind::Redis(server) => f.write_str(server.shown()),
        }
    }
}

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Location {
    /// Reads a location; a relative path starts at `root`.
    ///
    /// # Errors
    /// `BOT-6115` (exit 2) if it is neither a path nor a supported URL. The message contains no password.
    pub fn parse(text: &str, root: &Path) -> Result<Self> {
        let scheme = text.split_once(':').map(|(scheme, _)| scheme);
        let kind = match scheme {
            _ if text == "memory" => Kind::Memory,
            Some("postgres" | "postgresql") => Kind::Postgres(Box::new(Database::parse(text)?)),
            Some("redis" | "rediss") => Kind::Redis(Box::new(Server::parse(text)?)),
            Some(scheme) if is_scheme(scheme) => {
                let scheme = botops_text::display(scheme, 20);
                let message = format!("conversations cannot be stored at a `{scheme}:` URL");
                return Err(Fault::usage("BOT-6115", message)
                    .hint("give the path of a folder, or a `postgres://` or `redis://` URL"));
            }
            _ if text.trim().is_empty() => {
                return Err(Fault::usage("BOT-6115", "the store of conversations is empty")
                    .hint("give the path of a folder, or a `postgres://` or `redis://` URL"));
            }
            _ => Kind::Folder(root.join(text)),
        };
        Ok(Self(kind))
    }

    /// Returns the folder of SQLite files; `None` for other stores.
    #[must_use]
    pub fn folder(&self) -> Option<&Path> {
        match &self.0 {
            Kind::Folder(folder) => Some(folder),
            Kind::Memory | Kind::Postgres(_) | Kind::Redis(_) => None,
        }
    }

    /// Returns whether turns end with the process.
    #[must_use]
    pub fn is_memory(&self) -> bool {
        matches!(self.0, Kind::Memory)
    }

    /// Opens the store. With `create`, one in a folder is made if it is missing, and its tables are migrated; the tables of
    /// a database are migrated by `botops db migrate` only.
    ///
    /// # Errors
    /// `BOT-6126` (exit 2) there is no store in the folder; `BOT-6118` (exit 6) its tables are newer; `BOT-6119` (exit 2)
    /// they are older; `BOT-6116` (exit 7) it cannot be reached; `BOT-6125` (exit 1) it failed.
    pub async fn open(&self, create: bool) -> Result<Arc<dyn ConversationStore>> {
        Ok(match &self.0 {
            Kind::Memory => Arc::new(MemoryStore::default()),
            Kind::Folder(folder) => Arc::new(SqliteStore::open(folder, create).await?),
            Kind::Postgres(database) => Arc::new(database.open().await?),
            Kind::Redis(server) => Arc::new(server.open().await?),
        })
    }

    /// Returns the version of the tables.
    ///
    /// # Errors
    /// As [`Self::open`]; `BOT-6115` (exit 2) the store has no tables.
    pub async fn schema(&self) -> Result<SchemaStatus> {
        match &self.0 {
            Kind::Folder(folder) => sqlite::status(folder).await,
            Kind::Postgres(database) => database.status().await,
            Kind::Memory | Kind::Redis(_) => Err(self.no_tables()),
        }
    }

    /// Migrates the tables to the newest version; with `dry_run`, says what it would do.
    ///
    /// # Errors
    /// As [`Self::schema`].
    pub async fn migrate(&self, dry_run: bool) -> Result<SchemaStatus> {
        match &self.0 {
            Kind::Folder(folder) => sqlite::migrate(folder, NEWEST, dry_run).await,
            Kind::Postgres(database) => database.migrate(NEWEST, dry_run).await,
            Kind::Memory | Kind::Redis(_) => Err(self.no_tables()),
        }
    }

    /// Takes the tables back to version `target`.
    ///
    /// # Errors
    /// `BOT-6127` (exit 6) turns would be erased and `force` is not set; as [`Self::schema`].
    pub async fn rollback(&self, target: i64, force: bool, dry_run: bool) -> Result<SchemaStatus> {
        match &self.0 {
            Kind::Folder(folder) => sqlite::rollback(folder, target, (force, dry_run)).await,
            Kind::Postgres(database) => database.rollback(target, (force, dry_run)).await,
            Kind::Memory | Kind::Redis(_) => Err(self.no_tables()),
        }
    }

    /// Returns whether a backup copies the turns: those of SQLite and PostgreSQL.
    #[must_use]
    pub fn is_copied(&self) -> bool {
        matches!(self.0, Kind::Folder(_) | Kind::Postgres(_))
    }

    /// Returns whether a store in a folder was never made; false for other stores.
    #[must_use]
    pub fn is_absent(&self) -> bool {
        matches!(&self.0, Kind::Folder(folder) if sqlite::copying::check_empty(folder).is_ok())
    }

    /// Passes all rows as of one moment to `take`, in batches: turns, then keys. Servers go on writing meanwhile.
    ///
    /// # Errors
    /// `BOT-5112` (exit 2) the store is not copied; `BOT-6126` (exit 2) there is none; as [`Self::open`]; those of `take`.
    pub async fn export(&self, take: impl AsyncFnMut(Rows) -> Result<()>) -> Result<Copied> {
        match &self.0 {
            Kind::Folder(folder) => {
                // Checks that it is there, and the version of its tables.
                SqliteStore::open(folder, false).await?;
                sqlite::copying::export(folder, take).await
            }
            Kind::Postgres(database) => database.export(take).await,
            Kind::Memory | Kind::Redis(_) => Err(not_copied(&self.to_string())),
        }
    }

    /// Checks that a copy can be written: the store is empty, and a database has its tables.
    ///
    /// # Errors
    /// `BOT-5110` (exit 5) it is not empty; `BOT-5112` (exit 2) the store is not copied; as [`Self::open`].
    pub async fn check_empty(&self) -> Result<()> {
        match &self.0 {
            Kind::Folder(folder) => sqlite::copying::check_empty(folder),
            Kind::Postgres(database) => database.check_empty().await,
            Kind::Memory | Kind::Redis(_) => Err(not_copied(&self.to_string())),
        }
    }

    /// Writes the rows of `source` into an empty store. After a failure or a crash the store is as empty as before.
    ///
    /// # Errors
    /// Those of [`Self::check_empty`] and of `source`.
    pub async fn import(&self, source: &mut impl RowSource) -> Result<Copied> {
        match &self.0 {
            Kind::Folder(folder) => sqlite::copying::import(folder, source).await,
            Kind::Postgres(database) => database.import(source).await,
            Kind::Memory | Kind::Redis(_) => Err(not_copied(&self.to_string())),
        }
    }

    fn no_tables(&self) -> Fault {
        let message = format!("a store in `{self}` has no tables to migrate");
        Fault::usage("BOT-6115", message).hint("`botops db` is for SQLite and PostgreSQL")
    }
}

/// Returns whether `text` is the scheme of a URL, and not the first letter of a path on Windows.
fn is_scheme(text: &str) -> bool {
    text.len() > 1
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'))
        && text.as_bytes()[0].is_ascii_alphabetic()
}
