//! Verification of a backup: every chunk is read, opened and compared with its digest, and every file put together.

use crate::{chunk_reader::ChunkReader, format::Header, keys::Keys, person_keys, rows::read_all};
use botops_conversations::Row;
use botops_findings::{Fault, Finding, Result};
use botops_store::Store;
use serde::Serialize;

/// The most problems that are reported one by one.
const MOST_REPORTED: usize = 100;

/// The outcome of a verification.
#[derive(Debug, Serialize)]
pub struct Verified {
    /// The number of files that were put together.
    pub files: u64,
    /// The number of turns that were read.
    pub turns: u64,
    /// The number of files that cannot be restored.
    pub damaged: u64,
    /// The problems, the first 100 of them.
    #[serde(skip)]
    pub problems: Vec<Finding>,
}

/// Verifies the backup `header`.
///
/// # Errors
/// `BOT-5103` (exit 2) the keys do not open it; `BOT-5100` (exit 3) its table is damaged; those of a store that cannot be
/// reached. Damaged files are problems of the result.
pub async fn verify(from: &Store, header: &Header, keys: &Keys) -> Result<Verified> {
    let (mut reader, table) = ChunkReader::open(from, keys, header).await?;
    reader.check_keys().await?;
    let mut verified = Verified { files: 0, turns: 0, damaged: 0, problems: Vec::new() };
    for file in table.stores.iter().flat_map(|store| &store.files) {
        verified.files += 1;
        let read = reader.each_part(file, async |_| Ok(())).await;
        note(&mut verified, &file.path, Fault::unless_unreachable(read)?);
    }
    if let Some(turns) = &table.turns {
        verified.files += 1;
        let mut rest: Vec<u8> = Vec::new();
        let mut n = 0;
        let read = reader
            .each_part(turns, async |part| {
                rest.extend_from_slice(part);
                let end = rest.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
                let lines: Vec<u8> = rest.drain(..end).collect();
                let rows = read_all::<Row>(&lines).ok_or_else(unreadable)?;
                n += rows.len() as u64;
                Ok(())
            })
            .await;
        let expected = header.conversations.map_or(0, |copied| copied.turns);
        let read = match read {
            Ok(()) if n != expected || !rest.is_empty() => Err(unreadable()),
            read => read,
        };
        verified.turns = n;
        note(&mut verified, &turns.path, Fault::unless_unreachable(read)?);
    }
    if header.conversations.is_some() {
        verified.files += 1;
        let read = person_keys::read(from, keys, header).await;
        if let Err(fault) = &read
            && fault.code() == "BOT-5103"
        {
            read?;
        } else {
            note(&mut verified, "person_keys", Fault::unless_unreachable(read.map(drop))?);
        }
    }
    Ok(verified)
}

fn unreadable() -> Fault {
    Fault::data("BOT-5100", "the turns in the backup are not those that were counted")
        .hint("use an earlier backup, and make a new one soon")
}

fn note(verified: &mut Verified, path: &str, read: Result<()>) {
    let Err(fault) = read else { return };
    verified.damaged += 1;
    if verified.problems.len() < MOST_REPORTED {
        let mut finding = fault.as_finding();
        finding.message = format!("`{path}`: {}", finding.message);
        verified.problems.push(finding);
    }
}
