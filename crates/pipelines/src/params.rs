//! Settings as parameters of a run: nested JSON flattened into dotted keys.

use std::collections::BTreeMap;

/// Flattens nested settings into dotted keys below `prefix`; null values are left out.
pub fn flatten(
    prefix: &str,
    value: &serde_json::Value,
    into: &mut BTreeMap<String, serde_json::Value>,
) {
    match value {
        serde_json::Value::Object(map) => {
            for (key, value) in map {
                flatten(&format!("{prefix}.{key}"), value, into);
            }
        }
        serde_json::Value::Null => {}
        value => {
            into.insert(prefix.to_owned(), value.clone());
        }
    }
}
