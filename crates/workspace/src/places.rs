//! Where the keys of settings are written.

use crate::origin::Origin;
use botops_findings::Place;
use botops_spec::Outline;
use std::sync::Arc;

/// The file of settings, with the place of each key.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    /// The file, spelled as messages show it.
    shown: String,
    outline: Arc<Outline>,
}

impl Places {
    /// Makes the places of the file that messages call `shown`.
    pub(crate) fn new(shown: String, outline: Outline) -> Self {
        Self { shown, outline: Arc::new(outline) }
    }

    /// Returns the file with the line of `key`, such as `botops.yaml:3`.
    pub(crate) fn at_line(&self, key: &str) -> String {
        match self.outline.line(key) {
            Some(line) => format!("{}:{line}", self.shown),
            None => self.shown.clone(),
        }
    }

    /// Returns the place of `key`, whose value is from `origin`; of one that is not in the file, the key alone.
    pub(crate) fn place(&self, key: &str, origin: &Origin) -> Place {
        let key = match origin {
            Origin::Profile(name) => format!("profiles.{name}.{key}"),
            _ => key.to_owned(),
        };
        let (line, column) = match origin {
            Origin::File(_) | Origin::Profile(_) => self.outline.place(&key).unzip(),
            _ => (None, None),
        };
        let file = line.map(|_| self.shown.clone());
        Place { file, line, column, key: Some(key), ..Place::default() }
    }
}
