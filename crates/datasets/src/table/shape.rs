//! The columns of a table: names and roles.

use crate::{column_roles::Roles, read_options::ReadOptions};
use botops_findings::{Place, Result};
use std::collections::{BTreeMap, HashMap};

/// The names of the columns, and which of them have a role.
#[derive(Debug, Clone, Default)]
pub struct Shape {
    /// The names of the columns, in the order of the file.
    pub names: Vec<String>,
    by_name: HashMap<String, usize>,
    /// The columns that have a role; `None` when there is no text column and none is required.
    pub roles: Option<Roles>,
    /// The delimiter of CSV and TSV.
    pub delimiter: Option<u8>,
}

impl Shape {
    /// Recognizes the columns called `names`.
    ///
    /// # Errors
    /// `BOT-2101` (exit 2) when a required column is missing.
    pub(super) fn of(names: Vec<String>, options: &ReadOptions, place: &Place) -> Result<Self> {
        let roles = match Roles::recognize(&names, options, place) {
            Ok(roles) => Some(roles),
            Err(_) if options.needs_no_text() => None,
            Err(fault) => return Err(fault),
        };
        Ok(Self::new(names, roles))
    }

    /// Takes columns whose roles are known.
    pub(super) fn with_roles(names: Vec<String>, roles: Roles) -> Self {
        Self::new(names, Some(roles))
    }

    fn new(names: Vec<String>, roles: Option<Roles>) -> Self {
        let by_name = names.iter().enumerate().map(|(i, name)| (name.clone(), i)).collect();
        Self { names, by_name, roles, delimiter: None }
    }

    /// Returns the column called `name`.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    /// Returns the names of the columns that have a role, by role.
    pub(crate) fn by_role(&self) -> BTreeMap<String, String> {
        self.roles.as_ref().map_or_else(BTreeMap::new, |roles| roles.by_role(&self.names))
    }

    /// Returns the names of the columns that have no role.
    pub(crate) fn others(&self) -> Vec<String> {
        self.roles.as_ref().map_or_else(|| self.names.clone(), |roles| roles.others(&self.names))
    }

    /// Returns whether `column` has to hold a text.
    pub(super) fn is_plain(&self, column: usize) -> bool {
        self.roles.as_ref().is_some_and(|roles| {
            roles.text == column || roles.intent == Some(column) || roles.lang == Some(column)
        })
    }
}
