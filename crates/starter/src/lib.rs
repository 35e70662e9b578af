//! The files of a new workspace, made from the data at hand.
//!
//! In: a folder, the name of a model, a data file if there is one, and a CI system. Out: files with their content, of which
//! those are written that do not exist yet. No existing file is changed.
//!
//! - with data: expectations that the data meets, and a pipeline that names the data where it lies
//! - without data: a small example set, marked as such, to be replaced
//! - the workflows of a CI system hold no names of the data: they call botops with the pipeline

mod ci_files;
mod placement;
mod starter_files;
mod starting_data;

pub use ci_files::CiSystem;
pub use placement::{PlacedFile, Placement};
pub use starter_files::{Starter, StarterFile, model_name};
pub use starting_data::{DataOrigin, StartingData};
