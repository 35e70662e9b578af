//! The entities found by rules and by the learned tagger, as one list.

use crate::entities::Entity;

/// Joins the entities of `text` that rules found, sorted and disjoint, with the `tagged` ones. The result is sorted and
/// disjoint.
///
/// - A tagged entity that overlaps one found by a rule is dropped. If both have the same name, the kept one takes role and
///   group of the first such entity.
/// - Among tagged entities that overlap, the one that starts first is kept, then the longest, then the first name.
/// - A tagged entity whose offsets do not give its value is dropped.
pub(crate) fn merge(text: &str, mut found: Vec<Entity>, mut tagged: Vec<Entity>) -> Vec<Entity> {
    if tagged.is_empty() {
        return found;
    }
    tagged.retain(|entity| entity.start < entity.end);
    tagged.sort_by(|a, b| (a.start, b.end, &a.entity).cmp(&(b.start, a.end, &b.entity)));

    let n_rules = found.len();
    let (mut rule, mut taken) = (0, 0);
    let mut place = Place::start_of(text);
    for entity in tagged {
        if !place.holds(&entity) {
            continue;
        }
        while rule < n_rules && found[rule].end <= entity.start {
            rule += 1;
        }
        let overlapping = rule..n_rules;
        let mut overlaps = false;
        for known in &mut found[overlapping] {
            if known.start >= entity.end {
                break;
            }
            overlaps = true;
            if known.entity == entity.entity && known.role.is_none() && known.group.is_none() {
                known.role.clone_from(&entity.role);
                known.group.clone_from(&entity.group);
            }
        }
        if !overlaps && entity.start >= taken {
            taken = entity.end;
            found.push(entity);
        }
    }
    found.sort_by_key(|entity| entity.start);
    found
}

/// A place in a text, in code points and in bytes; it only moves forwards, so that all searches take linear time.
struct Place<'a> {
    rest: &'a str,
    chars: usize,
}

impl<'a> Place<'a> {
    fn start_of(text: &'a str) -> Self {
        Self { rest: text, chars: 0 }
    }

    /// Moves to the start of `entity`, and returns whether its value is there.
    fn holds(&mut self, entity: &Entity) -> bool {
        let skipped = entity.start - self.chars;
        let Some((at, _)) = self.rest.char_indices().nth(skipped) else { return false };
        self.rest = &self.rest[at..];
        self.chars = entity.start;
        self.rest.starts_with(&entity.value)
            && entity.value.chars().count() == entity.end - entity.start
    }
}
