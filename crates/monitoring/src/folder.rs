//! The place of an environment in the store.

/// Returns the folder of an environment in the store.
pub(crate) fn folder(environment: &str) -> String {
    format!("monitoring/{environment}")
}
