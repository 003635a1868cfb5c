//! A chart reference to an archive on this machine.

use std::path::{Path, PathBuf};

use pilotis_chart::Error;
use pilotis_provenance::Verified;
use reqwest::Url;

use crate::access::CHART_BYTES_MAX;
use crate::address::{is_oci, resolve};
use crate::cache::{self, Kind};
use crate::files::write_atomically;
use crate::oci::{Address, Part};
use crate::verify::verify_bytes;
use crate::{Access, Entry, Reach, Repositories, Talk};

/// Largest provenance file, in bytes.
const PROVENANCE_BYTES_MAX: u64 = 1 << 20;

/// What is done about the provenance of an archive.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Verify {
    /// Nothing.
    #[default]
    Never,
    /// It is verified where there is one; that there is none is told.
    IfPossible,
    /// It must be there and hold.
    Always,
    /// It is fetched and not looked at.
    Later,
}

/// An archive that was saved.
#[derive(Debug, Clone)]
pub struct Saved {
    /// Where.
    pub path: PathBuf,
    /// Whose signature it has, when that was asked for.
    pub verified: Option<Verified>,
}

/// Where an archive comes from.
struct Located {
    address: String,
    /// Name of the file.
    name: String,
    /// Digest the index states.
    digest: Option<String>,
    /// Address of the repository, which may see the password.
    base: String,
    access: Access,
    oci: Option<Address>,
}

impl Reach {
    /// Saves the archive of `repository/name`, `oci://…` or an address, or of a name in the
    /// repository given by address, to a folder, under its own name.
    ///
    /// # Errors
    /// In Helm's words.
    pub async fn download_to(
        &self,
        (reference, version): (&str, &str),
        repository: Option<&str>,
        folder: &Path,
        talk: &mut dyn Talk,
    ) -> Result<Saved, Error> {
        let located = self.locate((reference, version), repository, talk).await?;
        self.save(&located, reference, folder, talk).await
    }

    /// Saves an archive of a dependency, whose address was found already.
    pub(crate) async fn save_from(
        &self,
        address: &str,
        owner: &Entry,
        folder: &Path,
        talk: &mut dyn Talk,
    ) -> Result<Saved, Error> {
        let located = Located {
            base: owner.url.clone(),
            access: owner.access.clone(),
            ..self.at(address)?
        };
        self.save(&located, address, folder, talk).await
    }

    async fn save(
        &self,
        located: &Located,
        reference: &str,
        folder: &Path,
        talk: &mut dyn Talk,
    ) -> Result<Saved, Error> {
        let (bytes, _) = self.fetch(located, talk).await?;
        let path = folder.join(&located.name);
        write_atomically(&path, &bytes)?;
        let mut saved = Saved {
            path,
            verified: None,
        };
        let hex = located.digest.as_deref().map(cache::hex).transpose()?;
        let wanted = (reference, hex);
        let Some(provenance) = self.provenance(located, wanted, talk).await? else {
            return Ok(saved);
        };
        let mut beside = saved.path.clone().into_os_string();
        beside.push(".prov");
        write_atomically(Path::new(&beside), &provenance)?;
        if self.verify != Verify::Later {
            let keyring = &self.places.keyring;
            let verified = verify_bytes(&located.name, &bytes, &provenance, keyring)?;
            saved.verified = Some(verified);
        }
        Ok(saved)
    }

    /// Where the archive of a reference is kept, fetched when it is not there yet.
    ///
    /// # Errors
    /// In Helm's words.
    pub async fn download_to_cache(
        &self,
        (reference, version): (&str, &str),
        repository: Option<&str>,
        talk: &mut dyn Talk,
    ) -> Result<PathBuf, Error> {
        let located = self.locate((reference, version), repository, talk).await?;
        let (bytes, known) = self.fetch(&located, talk).await?;
        let root = &self.places.content;
        let digest = cache::digest(&bytes);
        let path = match known {
            Some(path) => path,
            None => cache::put(root, &digest, Kind::Chart, &bytes)?,
        };
        let wanted = (reference, Some(digest.as_str()));
        if let Some(provenance) = self.provenance(&located, wanted, talk).await? {
            cache::put(root, &digest, Kind::Provenance, &provenance)?;
            let keyring = &self.places.keyring;
            verify_bytes(&located.name, &bytes, &provenance, keyring)?;
        }
        Ok(path)
    }

    /// The archive, and where it is cached when it was.
    async fn fetch(
        &self,
        located: &Located,
        talk: &mut dyn Talk,
    ) -> Result<(Vec<u8>, Option<PathBuf>), Error> {
        let hex = located.digest.as_deref().map(cache::hex).transpose()?;
        let root = &self.places.content;
        if let Some((path, bytes)) = hex.and_then(|hex| cache::get(root, hex, Kind::Chart)) {
            return Ok((bytes, Some(path)));
        }
        if let Some(address) = &located.oci {
            return Ok((self.pull(address, Part::Chart, talk).await?, None));
        }
        let access = &located.access;
        let address = &located.address;
        let bytes = access.get(address, &located.base, CHART_BYTES_MAX).await?;
        let is_it = hex.is_none_or(|hex| cache::digest(&bytes).eq_ignore_ascii_case(hex));
        if !is_it {
            talk.warn(&format!(
                "level=WARN msg=\"archive has another digest than the index states\" url={address}"
            ));
        }
        Ok((bytes, None))
    }

    /// The provenance of an archive, when it is wanted and there is one; what is kept under the
    /// archive's digest is not fetched again.
    async fn provenance(
        &self,
        located: &Located,
        (reference, hex): (&str, Option<&str>),
        talk: &mut dyn Talk,
    ) -> Result<Option<Vec<u8>>, Error> {
        if self.verify == Verify::Never {
            return Ok(None);
        }
        let root = &self.places.content;
        let kept = hex.and_then(|hex| cache::get(root, hex, Kind::Provenance));
        if let Some((_, bytes)) = kept {
            return Ok(Some(bytes));
        }
        let address = format!("{}.prov", located.address);
        let fetched = match &located.oci {
            Some(oci) => self.pull(oci, Part::Provenance, talk).await,
            None => {
                let access = &located.access;
                access
                    .get(&address, &located.base, PROVENANCE_BYTES_MAX)
                    .await
            }
        };
        match fetched {
            Ok(bytes) => Ok(Some(bytes)),
            Err(_) if self.verify == Verify::Always => {
                let message = format!("failed to fetch provenance {address:?}");
                Err(Error::new(message))
            }
            Err(error) => {
                let reason = error.message;
                talk.say(&format!(
                    "WARNING: Verification not found for {reference}: {reason}"
                ));
                Ok(None)
            }
        }
    }

    async fn locate(
        &self,
        (reference, version): (&str, &str),
        repository: Option<&str>,
        talk: &mut dyn Talk,
    ) -> Result<Located, Error> {
        if let Some(url) = repository {
            let entry = Entry {
                name: String::new(),
                url: url.to_owned(),
                access: self.access.clone(),
            };
            let found = self.find_in(&entry, (reference, version), talk).await?;
            let base = url.to_owned();
            if !is_oci(&found) {
                return Ok(Located {
                    base,
                    ..self.at(&found)?
                });
            }
            return self.in_registry(&found, "").await;
        }
        if is_oci(reference) {
            return self.in_registry(reference, version).await;
        }
        let known = Repositories::load(&self.places.repositories)?.unwrap_or_default();
        match Url::parse(reference) {
            Ok(url) if url.has_host() && url.path().len() > 1 => {
                self.somewhere(reference, &known.entries, talk)
            }
            Ok(url) => self.in_repository((url.path(), version), &known, talk),
            Err(_) => self.in_repository((reference, version), &known, talk),
        }
    }

    async fn in_registry(&self, reference: &str, version: &str) -> Result<Located, Error> {
        let address = Address::parse(reference)?;
        let address = self.tagged(&address, version).await?;
        Ok(Located {
            address: reference.to_owned(),
            name: address.file_name(),
            digest: None,
            base: String::new(),
            access: self.access.clone(),
            oci: Some(address),
        })
    }

    /// An address; the password of the repository whose index has it goes along.
    fn somewhere(
        &self,
        address: &str,
        entries: &[Entry],
        talk: &mut dyn Talk,
    ) -> Result<Located, Error> {
        let located = Located {
            base: address.to_owned(),
            ..self.at(address)?
        };
        Ok(match self.owner(entries, address, talk)? {
            None => located,
            Some(entry) => Located {
                base: entry.url.clone(),
                access: self.access_for(entry),
                ..located
            },
        })
    }

    /// The flags' access, replaced where the repository has its own.
    fn access_for(&self, entry: &Entry) -> Access {
        let mut access = self.access.clone();
        let (own, tls) = (&entry.access, &entry.access.tls);
        if tls.cert_file.is_some() || tls.key_file.is_some() || tls.ca_file.is_some() {
            let insecure = access.tls.insecure;
            access.tls = tls.clone();
            access.tls.insecure |= insecure;
        }
        access.tls.insecure |= tls.insecure;
        if !own.username.is_empty() && !own.password.is_empty() {
            access.username.clone_from(&own.username);
            access.password.clone_from(&own.password);
            access.pass_credentials = own.pass_credentials;
        }
        access
    }

    fn in_repository(
        &self,
        (reference, version): (&str, &str),
        known: &Repositories,
        talk: &mut dyn Talk,
    ) -> Result<Located, Error> {
        let Some((repository, chart)) = reference.split_once('/') else {
            return Err(Error::new(format!(
                "non-absolute URLs should be in form of repo_name/path_to_chart, got: {reference}"
            )));
        };
        let entry = known.get(repository);
        let entry = entry.ok_or_else(|| Error::new(format!("repo {repository} not found")))?;
        if entry.url.is_empty() {
            let message = format!("no URL found for repository {repository}");
            return Err(Error::new(message));
        }
        let index = self
            .cached_chart(repository, chart, talk)
            .map_err(|error| {
                let reason = error.message;
                Error::new(format!(
                    "no cached repo found. (try 'helm repo update'): {reason}"
                ))
            })?;
        let found = self.chosen(&index, (chart, version), talk).map_err(|reason| {
            Error::new(format!(
                "chart {chart:?} matching {version} not found in {repository} index. (try 'helm \
                 repo update'): {reason}"
            ))
        })?;
        let url = found
            .urls
            .first()
            .ok_or_else(|| Error::new(format!("chart {reference:?} has no downloadable URLs")))?;
        let digest = (!found.digest.is_empty()).then(|| found.digest.clone());
        let address = resolve(&entry.url, url)?;
        Ok(Located {
            digest,
            base: entry.url.clone(),
            access: self.access_for(entry),
            ..self.at(&address)?
        })
    }

    fn at(&self, address: &str) -> Result<Located, Error> {
        let url = Url::parse(address)
            .map_err(|_| Error::new(format!("invalid chart URL format: {address}")))?;
        if !["http", "https"].contains(&url.scheme()) {
            let message = format!("scheme {:?} not supported", url.scheme());
            return Err(Error::new(message));
        }
        let name = decoded(url.path().rsplit('/').next().unwrap_or_default());
        if name.is_empty() || name == "." || name == ".." || name.contains(['/', '\\', '\0']) {
            return Err(Error::new(format!("invalid chart URL format: {address}")));
        }
        Ok(Located {
            address: address.to_owned(),
            name,
            digest: None,
            base: String::new(),
            access: self.access.clone(),
            oci: None,
        })
    }
}

/// A part of a path without its percent signs.
fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let hex = text.get(at + 1..at + 3).filter(|_| bytes[at] == b'%');
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(value) => {
                out.push(value);
                at += 3;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::decoded;

    #[test]
    fn names_of_files_are_decoded() {
        assert_eq!(decoded("a-1.0.0%2Bb.tgz"), "a-1.0.0+b.tgz");
        assert_eq!(decoded("a%zz%"), "a%zz%");
    }
}
