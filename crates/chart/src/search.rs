//! Words searched in the indexes of several repositories, as `helm search repo` does.

use pilotis_template::{Constraint, Pattern, Version};

use crate::errors::Error;
use crate::index::{Index, IndexEntry};

/// Between the parts of the line of a chart that is searched.
const SEPARATOR: char = '\u{b}';

/// A version of a chart that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit {
    /// Repository and chart.
    pub name: String,
    /// Version of the chart.
    pub version: String,
    /// Version of what it deploys.
    pub app_version: String,
    /// One sentence.
    pub description: String,
    score: usize,
}

/// What is searched for.
#[derive(Debug, Clone, Copy)]
pub enum Term<'a> {
    /// Every chart.
    All,
    /// Words, whatever their case.
    Words(&'a str),
    /// A regular expression.
    Pattern(&'a str),
}

/// The charts of several repositories.
#[derive(Debug, Default)]
pub struct Catalogue {
    charts: Vec<(String, Hit)>,
}

impl Catalogue {
    /// Adds the charts of a repository: every version, or the newest of each.
    pub fn add(&mut self, repository: &str, index: &Index, every_version: bool) {
        for (name, versions) in index.charts() {
            let kept = if every_version { versions.len() } else { 1 };
            for entry in versions.iter().take(kept) {
                let hit = Hit {
                    name: format!("{repository}/{name}"),
                    version: entry.metadata.version.clone(),
                    app_version: entry.metadata.app_version.clone(),
                    description: entry.metadata.description.clone(),
                    score: 0,
                };
                self.charts.push((line(repository, entry), hit));
            }
        }
    }

    /// The charts a term is found in whose version satisfies a constraint: the best first, and of
    /// one name the newest first, or the newest alone.
    ///
    /// # Errors
    /// In Helm's words: no regular expression, no constraint.
    pub fn search(
        self,
        term: Term<'_>,
        constraint: &str,
        every_version: bool,
    ) -> Result<Vec<Hit>, Error> {
        let find = finder(term)?;
        let found = self.charts.into_iter().filter_map(|(line, mut hit)| {
            hit.score = find(&line)?;
            Some(hit)
        });
        let mut hits: Vec<Hit> = found.collect();
        hits.sort_by(|a, b| {
            let newest = || match (Version::parse(&a.version), Version::parse(&b.version)) {
                (Ok(a), Ok(b)) => b.compare(&a),
                _ => std::cmp::Ordering::Equal,
            };
            let by_name = a.score.cmp(&b.score).then_with(|| a.name.cmp(&b.name));
            by_name.then_with(newest)
        });
        let constraint = Constraint::parse(constraint).map_err(|reason| {
            Error::new(format!("an invalid version/constraint format: {reason}"))
        })?;
        let mut last = String::new();
        hits.retain(|hit| {
            let is_new = every_version || hit.name != last;
            let fits = Version::parse(&hit.version).is_ok_and(|found| constraint.check(&found));
            if is_new && fits {
                last.clone_from(&hit.name);
            }
            is_new && fits
        });
        Ok(hits)
    }
}

/// What is searched of a chart.
fn line(repository: &str, entry: &IndexEntry) -> String {
    let metadata = &entry.metadata;
    let name = &metadata.name;
    let keywords = metadata.keywords.join(" ");
    let parts = [
        name.as_str(),
        &format!("{repository}/{name}"),
        &metadata.description,
        &keywords,
    ];
    parts.join(&SEPARATOR.to_string())
}

type Finder<'a> = Box<dyn Fn(&str) -> Option<usize> + 'a>;

/// The score of a line in which a term is: how many parts come before it.
fn finder(term: Term<'_>) -> Result<Finder<'_>, Error> {
    let part = |line: &str, at: usize| line[..at].matches(SEPARATOR).count();
    Ok(match term {
        Term::All => Box::new(|_| Some(0)),
        Term::Words(words) => {
            let words = words.to_lowercase();
            Box::new(move |line| {
                let line = line.to_lowercase();
                Some(part(&line, line.find(&words)?))
            })
        }
        Term::Pattern(text) => {
            let pattern = Pattern::parse(text).map_err(Error::new)?;
            Box::new(move |line| Some(part(line, pattern.find(line)?)))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const INDEX: &str = "apiVersion: v1\nentries:\n  web:\n  - {name: web, version: 1.0.0}\n  - {name: web, version: 2.0.0}\n  db:\n  - {name: db, version: 1.0.0, description: for the Web}\n";

    fn names(term: Term<'_>, constraint: &str, every_version: bool) -> Vec<String> {
        let index = Index::read(INDEX.as_bytes(), "x").unwrap();
        let mut catalogue = Catalogue::default();
        catalogue.add("r", &index, true);
        let hits = catalogue.search(term, constraint, every_version).unwrap();
        let name = |hit: &Hit| format!("{} {}", hit.name, hit.version);
        hits.iter().map(name).collect()
    }

    #[test]
    fn a_name_is_better_than_a_description() {
        assert_eq!(
            names(Term::Words("WEB"), ">0.0.0", false),
            ["r/web 2.0.0", "r/db 1.0.0"]
        );
        assert_eq!(
            names(Term::All, ">0.0.0", false),
            ["r/db 1.0.0", "r/web 2.0.0"]
        );
    }

    #[test]
    fn versions_are_listed_and_constrained() {
        assert_eq!(names(Term::Pattern("^we."), "<2", true), ["r/web 1.0.0"]);
        assert_eq!(
            names(Term::Words("r/w"), ">0", true),
            ["r/web 2.0.0", "r/web 1.0.0"]
        );
    }
}
