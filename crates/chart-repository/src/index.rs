//! Indexes of HTTP repositories: fetched, cached where Helm caches them, asked.

use std::path::{Path, PathBuf};

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use pilotis_chart::{Error, INDEX_BYTES_MAX, Index, IndexEntry};

use crate::address::{is_same, resolve};
use crate::files::{read, write_atomically};
use crate::{Entry, Places, Reach, Talk};

/// What came of fetching one index.
pub struct Updated<'a> {
    /// The repository.
    pub entry: &'a Entry,
    /// What went wrong, if anything.
    pub result: Result<(), Error>,
    /// What is wrong in the index without making it useless.
    pub warnings: Vec<String>,
}

impl Places {
    /// Where the index of a repository is cached.
    #[must_use]
    pub fn index(&self, name: &str) -> PathBuf {
        clean(&self.cache.join(cached(name, "index.yaml")))
    }

    /// Where the names of its charts are cached.
    #[must_use]
    pub fn charts(&self, name: &str) -> PathBuf {
        clean(&self.cache.join(cached(name, "charts.txt")))
    }
}

/// A path without empty parts, as Go shows it.
fn clean(path: &Path) -> PathBuf {
    path.components().collect()
}

fn cached(name: &str, end: &str) -> String {
    match name {
        "" => end.to_owned(),
        name => format!("{name}-{end}"),
    }
}

/// Refuses schemes nothing here speaks.
fn check_scheme(url: &str) -> Result<(), Error> {
    let parsed = reqwest::Url::parse(url);
    if parsed.is_err() && url.contains("://") {
        return Err(Error::new(format!("invalid chart URL format: {url}")));
    }
    let scheme = parsed.as_ref().map_or("", |parsed| parsed.scheme());
    match scheme {
        "http" | "https" => Ok(()),
        other => Err(Error::new(format!(
            "could not find protocol handler for: {other}"
        ))),
    }
}

impl Reach {
    /// Fetches the index of a repository, reads it whole, and caches it.
    pub async fn update<'a>(&self, entry: &'a Entry) -> Updated<'a> {
        let mut warnings = Vec::new();
        let result = self.fetch_index(entry, &mut warnings).await;
        Updated {
            entry,
            result,
            warnings,
        }
    }

    async fn fetch_index(&self, entry: &Entry, warnings: &mut Vec<String>) -> Result<(), Error> {
        check_scheme(&entry.url)?;
        let url = resolve(&entry.url, "index.yaml")?;
        let access = &entry.access;
        let bytes = access.get(&url, &entry.url, INDEX_BYTES_MAX as u64).await?;
        let index = Index::read_names(&bytes, &entry.url)?;
        warnings.extend(index.warnings.iter().cloned());
        let names: String = index
            .charts()
            .map(|(name, _)| format!("{name}\n"))
            .collect();
        write_atomically(&self.places.charts(&entry.name), names.as_bytes())?;
        write_atomically(&self.places.index(&entry.name), &bytes)
    }

    /// Fetches several indexes at once; each is told of as it comes.
    pub async fn update_all<'a>(&self, entries: &'a [Entry], mut told: impl FnMut(Updated<'a>)) {
        let mut pending: FuturesUnordered<_> =
            entries.iter().map(|entry| self.update(entry)).collect();
        while let Some(updated) = pending.next().await {
            told(updated);
        }
    }

    /// The versions of one chart in the cached index of a repository.
    pub(crate) fn cached_chart(
        &self,
        repository: &str,
        chart: &str,
        talk: &mut dyn Talk,
    ) -> Result<Index, Error> {
        let path = self.places.index(repository);
        let bytes = read(&path)?;
        let shown = path.display().to_string();
        let index = Index::read_chart(&bytes, &shown, chart)
            .map_err(|error| Error::new(format!("error loading {shown}: {}", error.message)))?;
        for line in &index.warnings {
            talk.warn(line);
        }
        Ok(index)
    }

    /// The version of a chart that fits, in an index at hand; one that was not asked for exactly
    /// is told.
    pub(crate) fn chosen<'a>(
        &self,
        index: &'a Index,
        (chart, wanted): (&str, &str),
        talk: &mut dyn Talk,
    ) -> Result<&'a IndexEntry, pilotis_chart::NoVersion> {
        let chosen = index.choose(chart, wanted)?;
        let is_told = self.compat.log_style == pilotis_chart::LogStyle::Attributes;
        if chosen.falls_back && is_told {
            let selected = &chosen.entry.metadata.version;
            talk.warn(&format!(
                "level=WARN msg=\"unable to find exact version requested; falling back to closest \
                 available version\" chart={chart} requested={wanted} selected={selected}"
            ));
        }
        Ok(chosen.entry)
    }

    /// The address of a chart in a repository without a name, whose index is fetched for it.
    pub(crate) async fn find_in(
        &self,
        entry: &Entry,
        (chart, wanted): (&str, &str),
        talk: &mut dyn Talk,
    ) -> Result<String, Error> {
        let repository = &entry.url;
        check_scheme(repository)?;
        let named = crate::shown(repository);
        let unreachable = |error: Error| {
            Error::new(format!(
                "looks like {named:?} is not a valid chart repository or cannot be reached: {}",
                error.message
            ))
        };
        let url = resolve(repository, "index.yaml").map_err(unreachable)?;
        let limit = INDEX_BYTES_MAX as u64;
        let bytes = entry.access.get(&url, repository, limit).await;
        let bytes = bytes.map_err(unreachable)?;
        let index = Index::read_chart(&bytes, repository, chart).map_err(unreachable)?;
        for line in &index.warnings {
            talk.warn(line);
        }
        let mut shown = format!("chart {chart:?}");
        if !wanted.is_empty() {
            shown.push_str(&format!(" version {wanted:?}"));
        }
        let found = self
            .chosen(&index, (chart, wanted), talk)
            .map_err(|_| Error::new(format!("{shown} not found in {named} repository")))?;
        let Some(first) = found.urls.first() else {
            return Err(Error::new(format!("{shown} has no downloadable URLs")));
        };
        resolve(repository, first).map_err(|error| {
            let reason = error.message;
            Error::new(format!("failed to make chart URL absolute: {reason}"))
        })
    }

    /// The repository whose cached index has an address.
    pub(crate) fn owner<'a>(
        &self,
        entries: &'a [Entry],
        address: &str,
        talk: &mut dyn Talk,
    ) -> Result<Option<&'a Entry>, Error> {
        let last = address.rsplit('/').next().unwrap_or_default();
        for entry in entries {
            let path = self.places.index(&entry.name);
            let absent = "no cached repo found. (try 'helm repo update')";
            let bytes =
                read(&path).map_err(|error| Error::new(format!("{absent}: {}", error.message)))?;
            // What is not in the text is not in the index.
            let is_there = bytes
                .windows(last.len().max(1))
                .any(|part| part == last.as_bytes());
            if !is_there {
                continue;
            }
            let shown = path.display().to_string();
            let index = Index::read(&bytes, &shown).map_err(|error| {
                Error::new(format!(
                    "{absent}: error loading {shown}: {}",
                    error.message
                ))
            })?;
            for line in &index.warnings {
                talk.warn(line);
            }
            let mut all = index.charts().flat_map(|(_, versions)| versions);
            if all.any(|version| version.urls.iter().any(|url| is_same(address, url))) {
                return Ok(Some(entry));
            }
        }
        Ok(None)
    }
}
