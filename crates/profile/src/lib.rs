//! Profiles: the classes, lengths, languages and columns of a data set; and expectations inferred from one.
//!
//! In: the rows of a file, read once. Out: a [`Profile`], whose size does not grow with the file, or a first
//! expectations file ([`Inferred`]).

mod column_summary;
mod inference;
mod profile;
mod profiler;
mod results;
#[cfg(test)]
mod tests;

pub use inference::{Inferred, infer, infer_bytes};
pub use profile::{profile, profile_bytes, profile_records};
pub use profiler::Profiler;
pub use results::{
    Balance, ColumnProfile, IntentProfile, LengthBin, Lengths, Profile, ProfileChange, TextProfile,
    UNTOLD,
};
