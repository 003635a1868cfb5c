//! The index of a chart repository: which versions of which charts it has, and where.
//!
//! Public indexes reach tens of megabytes. One is therefore never a tree in memory: its text is cut
//! into one block per chart (`blocks`), each is parsed alone, and whoever wants one chart parses
//! one block. Choosing a version follows Helm: the order is newest first, an exact version wins,
//! else the first that satisfies the constraint.

mod blocks;
mod read;
mod write;

use std::cmp::Ordering;
use std::collections::BTreeMap;

use pilotis_template::{Constraint, Version};

use crate::metadata::Metadata;

pub use read::{INDEX_BYTES_MAX, IRREGULAR_INDEX_BYTES_MAX};
pub use write::{IndexForm, Packaged, index_of};

/// One version of a chart in an index.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct IndexEntry {
    /// Its `Chart.yaml`.
    pub metadata: Metadata,
    /// Where its archive is; the first counts. Relative ones start at the repository.
    pub urls: Vec<String>,
    /// When it was made, RFC 3339.
    pub created: String,
    /// Whether it was taken away.
    pub removed: bool,
    /// SHA-256 of the archive, in hexadecimal.
    pub digest: String,
}

/// An index, or the part of one that was asked for.
#[derive(Debug, Clone, Default)]
pub struct Index {
    charts: BTreeMap<String, Vec<IndexEntry>>,
    /// What is wrong in it without making it useless.
    pub warnings: Vec<String>,
}

/// Why an index has no version that fits, in Helm's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoVersion {
    /// No chart of that name.
    #[error("no chart name found")]
    Name,
    /// The chart has no version at all.
    #[error("no chart version found")]
    Empty,
    /// The constraint is none.
    #[error("{0}")]
    Constraint(String),
    /// No version satisfies it.
    #[error("no chart version found for {0}-{1}")]
    Unsatisfied(String, String),
}

/// A version that was chosen.
#[derive(Debug, Clone, Copy)]
pub struct Chosen<'a> {
    /// It.
    pub entry: &'a IndexEntry,
    /// Whether an exact version was asked for and another one is the closest.
    pub falls_back: bool,
}

impl Index {
    /// Every chart and its versions, newest first.
    pub fn charts(&self) -> impl Iterator<Item = (&str, &[IndexEntry])> {
        self.charts
            .iter()
            .map(|(name, versions)| (name.as_str(), versions.as_slice()))
    }

    /// The versions of a chart, newest first.
    #[must_use]
    pub fn versions(&self, name: &str) -> Option<&[IndexEntry]> {
        self.charts.get(name).map(Vec::as_slice)
    }

    /// The version of a chart that fits a constraint; an empty one asks for the newest.
    ///
    /// # Errors
    /// [`NoVersion`].
    pub fn choose(&self, name: &str, wanted: &str) -> Result<Chosen<'_>, NoVersion> {
        let versions = self.versions(name).ok_or(NoVersion::Name)?;
        if versions.is_empty() {
            return Err(NoVersion::Empty);
        }
        let text = if wanted.is_empty() { "*" } else { wanted };
        let constraint = Constraint::parse(text).map_err(NoVersion::Constraint)?;
        let exact = versions
            .iter()
            .find(|entry| !wanted.is_empty() && entry.metadata.version == wanted);
        if let Some(entry) = exact {
            let falls_back = false;
            return Ok(Chosen { entry, falls_back });
        }
        let fits = |entry: &&IndexEntry| {
            Version::parse(&entry.metadata.version).is_ok_and(|found| constraint.check(&found))
        };
        let entry = versions.iter().find(fits);
        let unsatisfied = || NoVersion::Unsatisfied(name.to_owned(), wanted.to_owned());
        Ok(Chosen {
            entry: entry.ok_or_else(unsatisfied)?,
            falls_back: !wanted.is_empty() && !is_range(wanted),
        })
    }

    fn add(&mut self, name: String, mut versions: Vec<IndexEntry>) {
        versions.sort_by(newest_first);
        self.charts.insert(name, versions);
    }
}

/// Versions that are none come last.
fn newest_first(a: &IndexEntry, b: &IndexEntry) -> Ordering {
    let version = |entry: &IndexEntry| Version::parse(&entry.metadata.version);
    match (version(a), version(b)) {
        (Ok(a), Ok(b)) => b.compare(&a),
        (Ok(_), Err(_)) => Ordering::Less,
        (Err(_), Ok(_)) => Ordering::Greater,
        (Err(_), Err(_)) => Ordering::Equal,
    }
}

/// Whether a constraint says by its form that several versions may do.
fn is_range(text: &str) -> bool {
    if text.contains(['^', '~', '<', '>', '=', '!', '*']) {
        return true;
    }
    if text.contains("||") || text.contains(" - ") {
        return true;
    }
    let core = text.split(['-', '+']).next().unwrap_or_default();
    core.contains(['x', 'X'])
}

/// The first of some tags, newest first, that is a version or satisfies it as a constraint.
///
/// # Errors
/// In Helm's words: no constraint, or nothing that satisfies it.
pub fn choose_tag<'a>(tags: &'a [String], wanted: &str) -> Result<&'a str, String> {
    if let Some(tag) = tags.iter().find(|tag| *tag == wanted) {
        return Ok(tag);
    }
    let text = if wanted.is_empty() { "*" } else { wanted };
    let constraint = Constraint::parse(text)?;
    let fits = |tag: &&String| Version::parse(tag).is_ok_and(|found| constraint.check(&found));
    let tag = tags.iter().find(fits).map(String::as_str);
    tag.ok_or_else(|| {
        format!("could not locate a version matching provided version string {wanted}")
    })
}

/// Those of some tags that are versions, newest first; `_` stands for the `+` tags cannot have.
#[must_use]
pub fn tags_as_versions(tags: &[String]) -> Vec<String> {
    let read = tags.iter().filter_map(|tag| {
        let version = Version::parse(&tag.replace('_', "+")).ok()?;
        version.is_strict().then_some(version)
    });
    let mut versions: Vec<Version> = read.collect();
    versions.sort_by(|a, b| b.compare(a));
    versions.iter().map(ToString::to_string).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(versions: &[&str]) -> Index {
        let entry = |version: &&str| IndexEntry {
            metadata: Metadata {
                name: "a".to_owned(),
                version: (*version).to_owned(),
                ..Metadata::default()
            },
            ..IndexEntry::default()
        };
        let mut index = Index::default();
        index.add("a".to_owned(), versions.iter().map(entry).collect());
        index
    }

    fn chosen(versions: &[&str], wanted: &str) -> String {
        match index(versions).choose("a", wanted) {
            Ok(chosen) => format!("{} {}", chosen.entry.metadata.version, chosen.falls_back),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn the_newest_that_fits_is_chosen() {
        let all = ["1.0.0", "10.0.0", "2.0.0", "11.0.0-rc.1"];
        assert_eq!(chosen(&all, ""), "10.0.0 false");
        assert_eq!(chosen(&all, "^1"), "1.0.0 false");
        assert_eq!(chosen(&all, ">0.0.0-0"), "11.0.0-rc.1 false");
        assert_eq!(chosen(&all, "11.0.0-rc.1"), "11.0.0-rc.1 false");
        assert_eq!(chosen(&all, "2"), "2.0.0 true");
        assert_eq!(chosen(&all, "3"), "no chart version found for a-3");
        assert_eq!(chosen(&all, "x!"), "improper constraint: \"x!\"");
    }

    #[test]
    fn tags_are_versions_with_an_underscore() {
        let tags = ["1.0.0_b", "latest", "v2.0.0", "1.10.0", "1.2"];
        let tags: Vec<String> = tags.iter().map(ToString::to_string).collect();
        let versions = tags_as_versions(&tags);
        assert_eq!(versions, ["1.10.0", "1.0.0+b"]);
        assert_eq!(choose_tag(&versions, "~1.0"), Ok("1.0.0+b"));
        assert!(
            choose_tag(&versions, "^3")
                .unwrap_err()
                .ends_with("string ^3")
        );
    }
}
