//! Manifests against the table of the house.

use super::table::{BESIDE, HOUSE, NEVER, OWNERS, TOP};
use std::{fs, path::Path};

/// The dependencies that a room's manifest names, those for tests left out.
#[derive(Debug, Default)]
pub(crate) struct Manifest {
    dependencies: Vec<String>,
}

impl Manifest {
    /// Reads `Cargo.toml` in `folder`.
    pub(crate) fn read(folder: &Path) -> Self {
        Self::parse(&fs::read_to_string(folder.join("Cargo.toml")).unwrap())
    }

    fn parse(toml: &str) -> Self {
        let mut dependencies = Vec::new();
        let mut is_inside = false;
        for line in toml.lines().map(str::trim) {
            if line.starts_with('[') {
                is_inside = line == "[dependencies]";
            } else if is_inside && !line.starts_with('#') {
                let name = line.split(['.', '=', ' ']).next().unwrap_or_default();
                if !name.is_empty() {
                    dependencies.push(name.to_owned());
                }
            }
        }
        Self { dependencies }
    }

    /// Returns the breaches of the house by this manifest of `room`.
    pub(crate) fn breaches(&self, room: &str) -> Vec<String> {
        self.dependencies.iter().filter_map(|name| breach(room, name)).collect()
    }
}

fn floor(room: &str) -> Option<u8> {
    HOUSE.iter().find(|known| known.name == room).map(|known| known.floor)
}

fn breach(room: &str, dependency: &str) -> Option<String> {
    let Some(target) = dependency.strip_prefix("botops-") else {
        // The root package names more: see the comment in its manifest.
        let (_, owners) = OWNERS.iter().find(|(name, _)| *name == dependency)?;
        return (!owners.contains(&room))
            .then(|| format!("`{room}` depends on `{dependency}`, which belongs to {owners:?}"));
    };
    if let Some((.., why)) = NEVER.iter().find(|(from, to, _)| *from == room && *to == target) {
        return Some(format!("`{room}` depends on `{target}`: never, because {why}"));
    }
    let (Some(above), Some(below)) = (floor(room), floor(target)) else {
        return Some(format!("`{room}` depends on `{target}`, which has no floor in the house"));
    };
    let is_allowed = below < above || BESIDE.contains(&(room, target));
    (!is_allowed || target == TOP).then(|| {
        format!(
            "`{room}` (floor {above}) depends on `{target}` (floor {below}): imports go downward"
        )
    })
}

#[test]
fn planted_dependencies_are_found() {
    let breaches = |room: &str, toml: &str| Manifest::parse(toml).breaches(room);
    let upward =
        "[dependencies]\nbotops-models.workspace = true\n[dev-dependencies]\nclap = \"4\"\n";
    assert_eq!(
        breaches("text", upward),
        ["`text` (floor 1) depends on `models` (floor 3): imports go downward"]
    );
    assert!(breaches("evaluation", upward).is_empty());
    assert_eq!(
        breaches("serving", "[dependencies]\nbotops-datasets = { path = \"x\" }\n"),
        [
            "`serving` depends on `datasets`: never, because training and serving meet only in the registry"
        ]
    );
    let foreign = "[dependencies]\nobject_store.workspace = true\n";
    assert_eq!(breaches("registry", foreign).len(), 1);
    assert!(breaches("store", foreign).is_empty());
    assert!(breaches("spec", "[dependencies]\nbotops-text.workspace = true\n").is_empty());
    assert_eq!(breaches("text", "[dependencies]\nbotops-spec.workspace = true\n").len(), 1);
}
