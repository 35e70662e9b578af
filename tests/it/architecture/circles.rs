//! Circles between the files of one crate.
//!
//! File A imports file B when A names a path that ends in an item of B. A `pub use` hands an item on and is not an import
//! of the file that it stands in; a path that leads to it is followed to the file that defines the item.

use super::source::{Named, named, tokens, without_tests};
use std::collections::{BTreeMap, BTreeSet};

/// One file: its path, its module within the crate, its text.
type File<'a> = (&'a str, &'a [String], &'a str);

/// Returns the circles of `files`, all of one crate: one sentence each, with the imports that tie them.
pub(crate) fn circles(files: &[File<'_>]) -> Vec<String> {
    let imports = imports(files);
    let reaches = |from: usize| {
        let (mut seen, mut open) = (BTreeSet::new(), vec![from]);
        while let Some(file) = open.pop() {
            for (next, _) in imports.get(&file).into_iter().flatten() {
                if seen.insert(*next) {
                    open.push(*next);
                }
            }
        }
        seen
    };
    let reach: Vec<BTreeSet<usize>> = (0..files.len()).map(reaches).collect();
    let mut told = BTreeSet::new();
    let mut found = Vec::new();
    for at in 0..files.len() {
        if !reach[at].contains(&at) || told.contains(&at) {
            continue;
        }
        let circle: Vec<usize> =
            reach[at].iter().copied().filter(|other| reach[*other].contains(&at)).collect();
        told.extend(circle.iter().copied());
        let ties = circle.iter().flat_map(|from| {
            let of = imports.get(from).into_iter().flatten();
            of.filter(|(to, _)| circle.contains(to)).map(|(to, names)| {
                format!(
                    "  {} -> {}: {}",
                    files[*from].0,
                    files[*to].0,
                    names.iter().cloned().collect::<Vec<_>>().join(", ")
                )
            })
        });
        let ties: Vec<String> = ties.collect();
        found.push(format!(
            "{} files import each other in a circle:\n{}",
            circle.len(),
            ties.join("\n")
        ));
    }
    found
}

/// Returns, by file, the files that it imports and the names it takes from each.
fn imports(files: &[File<'_>]) -> BTreeMap<usize, BTreeMap<usize, BTreeSet<String>>> {
    let modules: BTreeMap<&[String], usize> =
        files.iter().enumerate().map(|(at, (_, module, _))| (*module, at)).collect();
    let named: Vec<Vec<Named>> = files
        .iter()
        .map(|(_, module, text)| {
            let mut paths = named(&without_tests(tokens(text)).0, module);
            for path in &mut paths {
                absolute(&mut path.path, module, &modules);
            }
            let used: BTreeMap<String, Vec<String>> = paths
                .iter()
                .filter(|path| {
                    path.path.get(1..).is_some_and(|inside| modules.contains_key(inside))
                })
                .filter_map(|path| Some((path.path.last()?.clone(), path.path.clone())))
                .collect();
            for path in &mut paths {
                // `use crate::b;`, then `b::g()`.
                if let Some(module) = used.get(&path.path[0]) {
                    path.path.splice(..1, module.iter().cloned());
                }
            }
            paths
        })
        .collect();
    // The items that each file has by `use`, by name, with the path they come from: `super::Item` may name one of these.
    let handed: Vec<BTreeMap<&str, &[String]>> = named
        .iter()
        .map(|paths| {
            let used = paths.iter().filter(|path| path.is_use);
            used.filter_map(|path| Some((path.path.last()?.as_str(), &*path.path))).collect()
        })
        .collect();
    let mut imports: BTreeMap<usize, BTreeMap<usize, BTreeSet<String>>> = BTreeMap::new();
    for (from, paths) in named.iter().enumerate() {
        for path in paths.iter().filter(|path| !path.is_reexport) {
            let Some((to, name)) = definition(&path.path, &modules, &handed, 8) else { continue };
            if to != from {
                imports.entry(from).or_default().entry(to).or_default().insert(name);
            }
        }
    }
    imports
}

/// Makes a path that begins with a child of `module` one from `crate`.
fn absolute(path: &mut Vec<String>, module: &[String], modules: &BTreeMap<&[String], usize>) {
    if path.first().is_none_or(|first| first == "crate") {
        return;
    }
    let child = [module, &path[..1]].concat();
    if modules.contains_key(child.as_slice()) {
        path.splice(..0, std::iter::once("crate".to_owned()).chain(module.iter().cloned()));
    }
}

/// Returns the file that defines the item that `path` names, and the item's name.
///
/// A path to a module names no item; the items used through it are paths of their own.
fn definition(
    path: &[String],
    modules: &BTreeMap<&[String], usize>,
    handed: &[BTreeMap<&str, &[String]>],
    most: usize,
) -> Option<(usize, String)> {
    let inside = path.strip_prefix(&["crate".to_owned()]).filter(|_| most > 0)?;
    if modules.contains_key(inside) && !inside.is_empty() {
        return None;
    }
    let depth = (0..inside.len()).rev().find(|depth| modules.contains_key(&inside[..*depth]))?;
    let (file, name) = (modules[&inside[..depth]], inside.get(depth)?);
    match handed[file].get(name.as_str()) {
        Some(source) if source.first().is_some_and(|first| first == "crate") => {
            definition(source, modules, handed, most - 1)
        }
        // An item of another crate, handed on.
        Some(_) => None,
        None if name == "*" => None,
        None => Some((file, name.clone())),
    }
}

#[test]
fn a_planted_circle_is_found_through_a_reexport() {
    let module = |path: &str| -> Vec<String> {
        path.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect()
    };
    let modules = [module(""), module("a"), module("b"), module("c")];
    let files = |b: &'static str| -> Vec<(&str, &[String], &str)> {
        vec![
            ("lib.rs", &modules[0], "mod a; mod b; mod c;\npub use a::A;\npub use b::B;"),
            ("a.rs", &modules[1], "use crate::b;\npub struct A;\nfn f() { b::g() }"),
            ("b.rs", &modules[2], b),
            ("c.rs", &modules[3], "use super::{A, B};"),
        ]
    };
    assert!(circles(&files("pub struct B;\npub fn g() {}")).is_empty());
    let found = circles(&files("use crate::A;\npub struct B(A);\npub fn g() {}"));
    assert_eq!(
        found,
        ["2 files import each other in a circle:\n  a.rs -> b.rs: g\n  b.rs -> a.rs: A"]
    );
    let in_tests = "pub struct B;\npub fn g() {}\n#[cfg(test)]\nmod tests { use crate::A; }";
    assert!(circles(&files(in_tests)).is_empty());
}
