//! The HTTP methods of actions.

use serde::{Deserialize, Serialize};

/// The method of an action.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum CallMethod {
    /// `GET`, without a body.
    Get,
    /// `POST`.
    #[default]
    Post,
    /// `PUT`.
    Put,
    /// `PATCH`.
    Patch,
    /// `DELETE`, without a body.
    Delete,
}

impl CallMethod {
    /// Returns the method as it is written in HTTP.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }

    /// Returns whether a call with this method has a body.
    #[must_use]
    pub const fn has_body(self) -> bool {
        !matches!(self, Self::Get | Self::Delete)
    }
}
