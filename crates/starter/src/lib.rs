//! The files of a new workspace, made from the data at hand.
//!
//! In: a folder, the name of a model, a data file if there is one, and a CI system. Out: files with their content, of which
//! those are written that do not exist yet. No existing file is changed.
//!
//! - with data: expectations that the data meets, and a pipeline that names the data where it lies
//! - behavioural tests whose utterances are typical ones of the data
//! - without data: a small example set, marked as such, to be replaced
//! - the workflows of a CI system hold no names of the data: they call botops with the pipeline

mod behaviour;
mod ci_files;
mod model_name;
mod placement;
mod starter;
mod starter_file;
mod starting_data;
mod yaml_string;

pub use ci_files::CiSystem;
pub use model_name::model_name;
pub use placement::{PlacedFile, Placement};
pub use starter::Starter;
pub use starter_file::StarterFile;
pub use starting_data::{DataOrigin, StartingData};
