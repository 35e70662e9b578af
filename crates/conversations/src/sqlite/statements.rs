//! The statements for SQLite.

crate::statements::statements!(
    sqlx::Sqlite,
    lock: "",
    has_schema: "SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE name = 'botops_schema')"
);
