//! Circles in a graph of files.

use std::collections::BTreeMap;
use std::path::Path;

/// The files that import one another, directly or by way of others: each circle once, its files sorted.
pub(super) fn circles<'a>(edges: &[(&'a Path, &'a Path)]) -> Vec<Vec<&'a Path>> {
    let mut after: BTreeMap<&Path, Vec<&Path>> = BTreeMap::new();
    let mut before: BTreeMap<&Path, Vec<&Path>> = BTreeMap::new();
    for (from, to) in edges {
        after.entry(from).or_default().push(to);
        before.entry(to).or_default().push(from);
    }
    // The files that are left are few hundred: who reaches whom is asked for one file after the other.
    let mut found: Vec<Vec<&Path>> = Vec::new();
    for start in after.keys() {
        if found.iter().any(|circle| circle.contains(start)) {
            continue;
        }
        let ahead = reached(start, &after);
        let behind = reached(start, &before);
        let circle: Vec<&Path> = ahead
            .into_iter()
            .filter(|file| behind.contains(file))
            .collect();
        if circle.len() > 1 {
            found.push(circle);
        }
    }
    found
}

/// Everything that can be reached from `start`; itself only where a way leads back.
fn reached<'a>(start: &'a Path, edges: &BTreeMap<&'a Path, Vec<&'a Path>>) -> Vec<&'a Path> {
    let mut reached = std::collections::BTreeSet::new();
    let mut next = vec![start];
    while let Some(file) = next.pop() {
        for to in edges.get(file).into_iter().flatten() {
            if reached.insert(*to) {
                next.push(to);
            }
        }
    }
    reached.into_iter().collect()
}
