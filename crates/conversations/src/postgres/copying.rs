//! Copies of a database: read in one snapshot, written in one transaction.

use super::{Database, Error, sql};
use crate::{
    copying::{BATCH, Copied, Counting, RowSource, Rows, not_empty},
    migrations,
};
use botops_findings::Result;
use sqlx::{Connection as _, PgConnection};

impl Database {
    /// Passes all rows on: turns, then keys.
    pub(crate) async fn export(
        &self,
        mut take: impl AsyncFnMut(Rows) -> Result<()>,
    ) -> Result<Copied> {
        let fault = |error: Error| self.fault(error);
        let mut connection = self.connect().await?;
        let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY";
        let mut snapshot = connection.begin_with(begin).await.map_err(fault)?;
        let version = sql::version(&mut snapshot).await.map_err(fault)?;
        migrations::check(version, self.shown())?;
        let mut counting = Counting::default();
        let mut after = None;
        loop {
            let rows = sql::turns_after(&mut snapshot, after, BATCH).await.map_err(fault)?;
            let Some(last) = rows.last() else { break };
            after = Some((last.conversation, last.number));
            counting.turns(&rows);
            take(Rows::Turns(rows)).await?;
        }
        let mut after = None;
        loop {
            let keys = sql::keys_after(&mut snapshot, after, BATCH).await.map_err(fault)?;
            let Some(last) = keys.last() else { break };
            after = Some((last.conversation, last.person));
            counting.keys(&keys);
            take(Rows::Keys(keys)).await?;
        }
        snapshot.rollback().await.map_err(fault)?;
        let _ = connection.close().await;
        Ok(counting.copied)
    }

    /// Checks that the tables are there, and that they are empty.
    ///
    /// # Errors
    /// `BOT-5110` (exit 5) they are not empty; as [`Self::open`].
    pub(crate) async fn check_empty(&self) -> Result<()> {
        let mut connection = self.connect().await?;
        self.check_empty_on(&mut connection).await?;
        let _ = connection.close().await;
        Ok(())
    }

    async fn check_empty_on(&self, on: &mut PgConnection) -> Result<()> {
        let fault = |error: Error| self.fault(error);
        let version = sql::version(on).await.map_err(fault)?;
        migrations::check(version, self.shown())?;
        let turns = sql::count(on).await.map_err(fault)?;
        let keys = sqlx::query("SELECT 1 FROM conversation_keys LIMIT 1").fetch_optional(on).await;
        if turns > 0 || keys.map_err(fault)?.is_some() {
            Err(not_empty(self.shown()))
        } else {
            Ok(())
        }
    }

    /// Writes the rows of `source` in one transaction.
    ///
    /// # Errors
    /// Those of [`Self::check_empty`] and of the source; nothing is written then.
    pub(crate) async fn import(&self, source: &mut impl RowSource) -> Result<Copied> {
        let fault = |error: Error| self.fault(error);
        let mut connection = self.connect().await?;
        let mut transaction = connection.begin().await.map_err(fault)?;
        self.locked_version(&mut transaction).await?;
        sqlx::query("SET LOCAL statement_timeout = 0")
            .execute(&mut *transaction)
            .await
            .map_err(fault)?;
        self.check_empty_on(&mut transaction).await?;
        sqlx::query("LOCK TABLE conversation_turns, conversation_keys IN EXCLUSIVE MODE")
            .execute(&mut *transaction)
            .await
            .map_err(fault)?;
        self.check_empty_on(&mut transaction).await?;
        let mut counting = Counting::default();
        while let Some(rows) = source.next().await? {
            match rows {
                Rows::Turns(rows) => {
                    for row in &rows {
                        sql::write_turn(&mut transaction, row).await.map_err(fault)?;
                    }
                    counting.turns(&rows);
                }
                Rows::Keys(keys) => {
                    for key in &keys {
                        sql::write_key(&mut transaction, key).await.map_err(fault)?;
                    }
                    counting.keys(&keys);
                }
            }
        }
        transaction.commit().await.map_err(fault)?;
        let _ = connection.close().await;
        Ok(counting.copied)
    }
}
