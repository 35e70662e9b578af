//! Backups: everything that is durable, by content, in another store, and back.
//!
//! In: the stores of the registry and the experiments, and the conversations. Out: a backup in a store of its own, from
//! which all of it is restored into empty places.
//!
//! - [`create`] stores what the backup before does not have; its header is written last, so that a crash leaves no backup
//! - logs are listed before the blobs that they name, so a backup made beside running servers can be restored
//! - [`Keys`] encrypt each chunk in the format of age
//! - [`verify`] reads every chunk; [`restore`] marks its targets until they are complete
//! - erasures made after the backup are applied to the copy before the marks go ([`live_erasures`])
//! - the wrapped keys of persons are kept for every backup that needs them, without those that were erased
//! - [`plan`] and [`prune`] keep daily, weekly and monthly backups, and every chunk that one of them needs

mod chunk_reader;
mod chunk_writer;
mod creation;
mod erased;
mod format;
mod keys;
mod listing;
mod marks;
mod person_keys;
mod point_in_time;
mod restoration;
mod restored_rows;
mod retention;
mod rows;
#[cfg(test)]
mod tests;
mod verification;

pub use chunk_reader::{header, headers};
pub use creation::{Created, Sources, create};
pub use erased::{Erased, live_erasures};
pub use format::Header;
pub use keys::{KeyText, Keys, new_identity};
pub use restoration::{ApplyErasures, Restored, Targets, Wishes, covering, restore};
pub use retention::{Kept, Pruned, Retention, RetentionPlan, plan, prune};
pub use verification::{Verified, verify};

/// The name of the store of the registry in a backup.
pub const REGISTRY: &str = "registry";
/// The name of the store of the experiments in a backup.
pub const EXPERIMENTS: &str = "experiments";
