//! How much of a file is read at a time, and which of its columns.

use crate::{formats::csv::Ragged, opening::Identity};

/// How a table reads its files.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ReadPlan {
    /// The bytes of text read at a time. The columns of JSON are the keys of these bytes at the beginning of the file.
    pub(crate) step: usize,
    /// The rows of a Parquet file read at a time; `None`: all rows at once.
    pub(crate) slice: Option<usize>,
    /// Whether the file is read as a whole: ragged records are gathered, and the columns of JSON are the keys of the file.
    pub(crate) is_whole: bool,
    /// Whether only the columns with a role are read. The cells of other columns may be empty.
    pub(crate) roles_only: bool,
    /// Whether the digest of the files is computed.
    pub(crate) identity: Identity,
}

impl ReadPlan {
    /// Bytes of text read at a time.
    const STEP: usize = 1 << 20;

    /// Reads rows of all columns, part by part.
    pub(crate) const ROWS: Self = Self {
        step: Self::STEP,
        slice: Some(16_384),
        is_whole: false,
        roles_only: false,
        identity: Identity::Unknown,
    };

    /// Reads rows of the columns with a role, part by part.
    pub(crate) const RECORDS: Self = Self { slice: Some(8_192), roles_only: true, ..Self::ROWS };

    /// Reads rows of the columns with a role, and the digest, of whole files.
    pub(crate) const DATASET: Self =
        Self { slice: None, is_whole: true, identity: Identity::Digested, ..Self::RECORDS };

    /// Returns the treatment of records with another number of fields than the header.
    pub(super) fn ragged(&self) -> Ragged {
        if self.is_whole { Ragged::Gather } else { Ragged::Refuse }
    }
}
