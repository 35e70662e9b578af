//! Copies of SQLite files. A copy reads both files in one transaction each, beside the writers of a running server.

use super::{KEYS, TURNS, checkpoint, close, connect, create_files, exists, fault, migrate, sql};
use crate::{
    copying::{BATCH, Copied, Counting, RowSource, Rows, not_empty},
    migrations::NEWEST,
};
use botops_files::publish_folder;
use botops_findings::{Fault, Result};
use sqlx::{Connection as _, Error};
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// Passes all rows on. The turns are read first: the key of a turn is stored before the turn is.
pub(crate) async fn export(
    folder: &Path,
    mut take: impl AsyncFnMut(Rows) -> Result<()>,
) -> Result<Copied> {
    let shown = folder.display().to_string();
    let fault = |error: Error| fault(&shown, error);
    let mut counting = Counting::default();

    let mut connection = connect(folder, TURNS, &shown).await?;
    let mut snapshot = connection.begin().await.map_err(fault)?;
    let mut after = None;
    loop {
        let rows = sql::turns_after(&mut snapshot, after, BATCH).await.map_err(fault)?;
        let Some(last) = rows.last() else { break };
        after = Some((last.conversation, last.number));
        counting.turns(&rows);
        take(Rows::Turns(rows)).await?;
    }
    snapshot.rollback().await.map_err(fault)?;
    close(connection).await;

    let mut connection = connect(folder, KEYS, &shown).await?;
    let mut snapshot = connection.begin().await.map_err(fault)?;
    let mut after = None;
    loop {
        let keys = sql::keys_after(&mut snapshot, after, BATCH).await.map_err(fault)?;
        let Some(last) = keys.last() else { break };
        after = Some((last.conversation, last.person));
        counting.keys(&keys);
        take(Rows::Keys(keys)).await?;
    }
    snapshot.rollback().await.map_err(fault)?;
    close(connection).await;
    Ok(counting.copied)
}

/// Checks that `folder` is absent or empty.
///
/// # Errors
/// `BOT-5110` (exit 5) it is not; `BOT-6125` (exit 1) it cannot be read.
pub(crate) fn check_empty(folder: &Path) -> Result<()> {
    match fs::read_dir(folder).map(|mut entries| entries.next().is_none()) {
        Ok(true) => Ok(()),
        Ok(false) => Err(not_empty(&folder.display().to_string())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(unwritable(folder, error)),
    }
}

/// Makes a store of the rows of `source`. It is made beside `folder` and moved there complete.
///
/// # Errors
/// Those of [`check_empty`], of the disk and of the source.
pub(crate) async fn import(folder: &Path, source: &mut impl RowSource) -> Result<Copied> {
    check_empty(folder)?;
    let made = beside(folder);
    // A killed restore left it.
    match fs::remove_dir_all(&made) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(unwritable(&made, error));
        }
        _ => {}
    }
    let copied = match write(&made, source).await {
        Ok(copied) => copied,
        Err(fault) => {
            let _ = fs::remove_dir_all(&made);
            return Err(fault);
        }
    };
    publish_folder(&made, folder).map_err(|error| unwritable(folder, error))?;
    debug_assert!(exists(folder), "both files were moved");
    Ok(copied)
}

async fn write(made: &Path, source: &mut impl RowSource) -> Result<Copied> {
    let shown = made.display().to_string();
    let fault = |error: Error| fault(&shown, error);
    create_files(made)?;
    migrate(made, NEWEST, false).await?;
    let mut turns = connect(made, TURNS, &shown).await?;
    let mut keys = connect(made, KEYS, &shown).await?;
    let mut counting = Counting::default();
    while let Some(rows) = source.next().await? {
        match rows {
            Rows::Turns(rows) => {
                let mut transaction = turns.begin().await.map_err(fault)?;
                for row in &rows {
                    sql::write_turn(&mut transaction, row).await.map_err(fault)?;
                }
                transaction.commit().await.map_err(fault)?;
                counting.turns(&rows);
            }
            Rows::Keys(rows) => {
                let mut transaction = keys.begin().await.map_err(fault)?;
                for key in &rows {
                    sql::write_key(&mut transaction, key).await.map_err(fault)?;
                }
                transaction.commit().await.map_err(fault)?;
                counting.keys(&rows);
            }
        }
    }
    for mut connection in [turns, keys] {
        checkpoint(&mut connection).await.map_err(fault)?;
        close(connection).await;
    }
    Ok(counting.copied)
}

/// Returns the place where the store of `folder` is made: `.NAME.restoring` in the same folder.
fn beside(folder: &Path) -> PathBuf {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    folder.with_file_name(format!(".{name}.restoring"))
}

fn unwritable(folder: &Path, error: io::Error) -> Fault {
    let message = format!("conversations cannot be restored to `{}`: {error}", folder.display());
    Fault::internal("BOT-6125", message)
        .hint("name a folder that can be written, on a disk with room")
        .caused_by(error)
}
