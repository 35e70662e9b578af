//! Entities in a message, in words.

use botops_dialogue::Entity;

/// Renders entities, joined by commas: `destination=Lyon role=to, date=tomorrow ({"date":"2026-12-01"})`.
pub(crate) fn entities(found: &[Entity]) -> String {
    found.iter().map(entity).collect::<Vec<_>>().join(", ")
}

/// Renders an entity: its value, its normal form, its role and group.
fn entity(entity: &Entity) -> String {
    let mut out = format!("{}={}", entity.entity, entity.value);
    if let Some(normalised) = &entity.normalised {
        out += &format!(" ({normalised})");
    }
    for (name, value) in [("role", &entity.role), ("group", &entity.group)] {
        if let Some(value) = value {
            out += &format!(" {name}={value}");
        }
    }
    out
}
