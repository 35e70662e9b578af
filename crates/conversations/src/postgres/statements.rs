//! The statements for PostgreSQL.

crate::statements::statements!(
    sqlx::Postgres,
    lock: " FOR KEY SHARE OF t",
    has_schema: "SELECT to_regclass('botops_schema') IS NOT NULL"
);
