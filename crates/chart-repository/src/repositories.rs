//! `repositories.yaml`: the repositories a person has given names to, with their passwords.

use std::io::Write;
use std::path::Path;

use pilotis_chart::Error;
use serde_json::{Value as Json, json};

use crate::access::{Access, Tls};
use crate::files::{failed, go_io};

/// When a file without a time says it was made: Go's zero.
const NEVER: &str = "0001-01-01T00:00:00Z";

/// A repository with a name.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Entry {
    /// Name, without `/`.
    pub name: String,
    /// Address.
    pub url: String,
    /// Who we are there.
    pub access: Access,
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.name, self.url)
    }
}

/// The file.
#[derive(Debug, Clone, Default)]
pub struct Repositories {
    api_version: String,
    generated: String,
    /// In the order they were added.
    pub entries: Vec<Entry>,
}

impl Entry {
    fn read(json: &Json) -> Self {
        let text = |name: &str| json[name].as_str().unwrap_or_default().to_owned();
        let file = |name: &str| {
            let text = text(name);
            (!text.is_empty()).then(|| text.into())
        };
        let switch = |name: &str| json[name].as_bool().unwrap_or_default();
        Self {
            name: text("name"),
            url: text("url"),
            access: Access {
                username: text("username"),
                password: text("password"),
                pass_credentials: switch("pass_credentials_all"),
                tls: Tls {
                    ca_file: file("caFile"),
                    cert_file: file("certFile"),
                    key_file: file("keyFile"),
                    insecure: switch("insecure_skip_tls_verify"),
                },
                ..Access::default()
            },
        }
    }

    fn to_json(&self) -> Json {
        let access = &self.access;
        let file = |path: &Option<std::path::PathBuf>| {
            path.as_ref()
                .map_or(String::new(), |path| path.display().to_string())
        };
        json!({
            "name": self.name,
            "url": self.url,
            "username": access.username,
            "password": access.password,
            "certFile": file(&access.tls.cert_file),
            "keyFile": file(&access.tls.key_file),
            "caFile": file(&access.tls.ca_file),
            "insecure_skip_tls_verify": access.tls.insecure,
            "pass_credentials_all": access.pass_credentials,
        })
    }
}

impl Repositories {
    /// Reads the file; nothing when it is not there.
    ///
    /// # Errors
    /// A file that cannot be read or is no YAML.
    pub fn load(path: &Path) -> Result<Option<Self>, Error> {
        let text = match std::fs::read(path) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                let shown = path.display();
                let reason = format!("open {shown}: {}", go_io(&error));
                let text = format!("couldn't load repositories file ({shown}): {reason}");
                return Err(Error::new(text));
            }
        };
        let wrap = |error| Error::new(format!("error converting YAML to JSON: {error}"));
        let node = pilotis_yaml::parse_first(&text).map_err(wrap)?;
        let json = node.map_or(Ok(Json::Null), |node| pilotis_yaml::to_json(&node));
        let json = json.map_err(wrap)?;
        let text = |name: &str| json[name].as_str().unwrap_or_default().to_owned();
        let list = json["repositories"].as_array();
        let entries = list.map_or(Vec::new(), |list| list.iter().map(Entry::read).collect());
        Ok(Some(Self {
            api_version: text("apiVersion"),
            generated: text("generated"),
            entries,
        }))
    }

    /// The repository of a name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.name == name)
    }

    /// Adds a repository, or puts it in the place of the one of its name.
    pub fn put(&mut self, entry: Entry) {
        let known = self
            .entries
            .iter_mut()
            .find(|known| known.name == entry.name);
        match known {
            Some(known) => *known = entry,
            None => self.entries.push(entry),
        }
    }

    /// Takes a repository out; `false` when it is not there.
    pub fn remove(&mut self, name: &str) -> bool {
        let before = self.entries.len();
        self.entries.retain(|entry| entry.name != name);
        self.entries.len() < before
    }

    /// Writes the file, for its owner only.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), Error> {
        let generated = match self.generated.as_str() {
            "" => NEVER,
            known => known,
        };
        let entries: Vec<Json> = self.entries.iter().map(Entry::to_json).collect();
        let all = json!({
            "apiVersion": self.api_version,
            "generated": generated,
            "repositories": entries,
        });
        let text = pilotis_yaml::emit(&all, pilotis_yaml::Flavour::GoV2);
        let broken = |error: std::io::Error| failed("open", path, &error);
        let folder = path.parent().unwrap_or(Path::new("."));
        std::fs::create_dir_all(folder).map_err(|error| failed("mkdir", folder, &error))?;
        let partial = path.with_extension(format!("part-{}", std::process::id()));
        let mut open = std::fs::OpenOptions::new();
        open.create(true).write(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut open, 0o600);
        let mut file = open.open(&partial).map_err(broken)?;
        file.write_all(text.as_bytes()).map_err(broken)?;
        std::fs::rename(&partial, path).map_err(broken)
    }

    /// Holds the lock Helm takes while it changes the file, until what is returned is dropped.
    ///
    /// # Errors
    /// A lock file that cannot be made.
    pub fn lock(path: &Path) -> Result<std::fs::File, Error> {
        let lock = path.with_extension("lock");
        let folder = lock.parent().unwrap_or(Path::new("."));
        std::fs::create_dir_all(folder).map_err(|error| failed("mkdir", folder, &error))?;
        let file = std::fs::File::create(&lock).map_err(|error| failed("open", &lock, &error))?;
        file.lock().map_err(|error| failed("open", &lock, &error))?;
        Ok(file)
    }
}
