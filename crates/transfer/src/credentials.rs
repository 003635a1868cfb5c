//! The file in which container tools and Helm keep the passwords of registries: Docker's
//! `config.json`.
//!
//! Fields we do not know are kept when the file is written. A file may name programs
//! (`docker-credential-…`) that keep the secrets; which one is asked is told here, running it is
//! the caller's.

use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use crate::Credential;

/// Largest file read, in bytes.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Why a file of credentials is unusable. Never says what is in it.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// It cannot be read or written.
    #[error("cannot read or write {path}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It is not what such files are.
    #[error("invalid config format in {path}")]
    Format {
        /// The file.
        path: PathBuf,
    },
}

/// A file of credentials.
#[derive(Clone, Default)]
pub struct CredentialsFile {
    path: PathBuf,
    content: Map<String, Value>,
}

impl std::fmt::Debug for CredentialsFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("CredentialsFile").field(&self.path).finish()
    }
}

impl CredentialsFile {
    /// Reads a file; one that is not there is empty.
    ///
    /// # Errors
    /// [`CredentialsError`].
    pub fn open(path: &Path) -> Result<Self, CredentialsError> {
        let path = path.to_owned();
        let failed = |source| CredentialsError::File {
            path: path.clone(),
            source,
        };
        let text = match std::fs::metadata(&path) {
            Ok(about) if about.len() > FILE_BYTES_MAX => {
                return Err(CredentialsError::Format { path });
            }
            Ok(_) => std::fs::read_to_string(&path).map_err(failed)?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(failed(error)),
        };
        let content = match text.trim() {
            "" => Map::new(),
            text => match serde_json::from_str(text) {
                Ok(Value::Object(content)) => content,
                _ => return Err(CredentialsError::Format { path }),
            },
        };
        Ok(Self { path, content })
    }

    /// The password of a registry, when the file holds it.
    #[must_use]
    pub fn get(&self, registry: &str) -> Option<Credential> {
        let all = self.content.get("auths")?.as_object()?;
        let found = all.get(&key(registry)).or_else(|| {
            let host = |name: &str| {
                let name = name.trim_start_matches("https://");
                let name = name.trim_start_matches("http://");
                name.split('/').next().unwrap_or_default().to_owned()
            };
            let same = all.iter().find(|(name, _)| host(name) == registry);
            same.map(|(_, found)| found)
        })?;
        let text = |name: &str| {
            let text = found.get(name)?.as_str()?;
            (!text.is_empty()).then(|| text.to_owned())
        };
        if let Some(token) = text("identitytoken") {
            return Some(Credential::Identity(token));
        }
        if let Some(token) = text("registrytoken") {
            return Some(Credential::Bearer(token));
        }
        let (user, password) = match text("auth") {
            Some(auth) => {
                let plain = String::from_utf8(decode(auth.trim())?).ok()?;
                let (user, password) = plain.split_once(':')?;
                (user.to_owned(), password.trim_end_matches('\0').to_owned())
            }
            None => (text("username")?, text("password")?),
        };
        Some(Credential::Basic { user, password })
    }

    /// The program that keeps the password of a registry, after `docker-credential-`.
    #[must_use]
    pub fn helper(&self, registry: &str) -> Option<&str> {
        let own = self.content.get("credHelpers");
        let own = own.and_then(|all| all.get(key(registry)));
        let name = own.or_else(|| self.content.get("credsStore"))?.as_str()?;
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        (!name.is_empty() && name.chars().all(plain)).then_some(name)
    }

    /// Whether anything is kept in it, or by a program it names.
    #[must_use]
    pub fn is_configured(&self) -> bool {
        ["auths", "credHelpers", "credsStore"]
            .iter()
            .any(|name| match self.content.get(*name) {
                Some(Value::Object(map)) => !map.is_empty(),
                Some(Value::String(text)) => !text.is_empty(),
                _ => false,
            })
    }

    /// Keeps a password.
    ///
    /// # Errors
    /// [`CredentialsError::File`] when the file cannot be written.
    pub fn put(
        &mut self,
        registry: &str,
        user: &str,
        password: &str,
    ) -> Result<(), CredentialsError> {
        let auth = encode(format!("{user}:{password}").as_bytes());
        let mut all = self.auths();
        all.insert(key(registry), json!({"auth": auth}));
        self.put_auths(all)
    }

    /// Forgets a password; one that is not there is no failure.
    ///
    /// # Errors
    /// [`CredentialsError::File`] when the file cannot be written.
    pub fn remove(&mut self, registry: &str) -> Result<(), CredentialsError> {
        let mut all = self.auths();
        match all.remove(&key(registry)) {
            Some(_) => self.put_auths(all),
            None => Ok(()),
        }
    }

    fn put_auths(&mut self, all: Map<String, Value>) -> Result<(), CredentialsError> {
        self.content.insert("auths".to_owned(), Value::Object(all));
        self.save()
    }

    fn auths(&self) -> Map<String, Value> {
        let all = self.content.get("auths").and_then(Value::as_object);
        all.cloned().unwrap_or_default()
    }

    /// Writes a new file beside the old one and puts it in its place; only its owner may read it.
    fn save(&self) -> Result<(), CredentialsError> {
        let failed = |source| CredentialsError::File {
            path: self.path.clone(),
            source,
        };
        let folder = self.path.parent().unwrap_or(Path::new("."));
        private_folder(folder).map_err(failed)?;
        let partial = self
            .path
            .with_extension(format!("part-{}", std::process::id()));
        let text =
            tabbed(&Value::Object(self.content.clone())).map_err(|error| failed(error.into()))?;
        let written =
            write_private(&partial, &text).and_then(|()| std::fs::rename(&partial, &self.path));
        if written.is_err() {
            let _ = std::fs::remove_file(&partial);
        }
        written.map_err(failed)
    }
}

/// Under which name a registry is kept: the best known one has an address of its own.
fn key(registry: &str) -> String {
    match registry {
        "docker.io" | "index.docker.io" | "registry-1.docker.io" => {
            "https://index.docker.io/v1/".to_owned()
        }
        registry => registry.to_owned(),
    }
}

#[cfg(unix)]
fn private_folder(folder: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
}

#[cfg(not(unix))]
fn private_folder(folder: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)
}

fn write_private(path: &Path, text: &[u8]) -> std::io::Result<()> {
    let mut open = std::fs::OpenOptions::new();
    open.create(true).write(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut open, 0o600);
    let mut file = open.open(path)?;
    file.write_all(text)?;
    file.sync_all()
}

fn tabbed(value: &Value) -> Result<Vec<u8>, serde_json::Error> {
    let mut out = Vec::new();
    let format = serde_json::ser::PrettyFormatter::with_indent(b"\t");
    let mut writer = serde_json::Serializer::with_formatter(&mut out, format);
    serde::Serialize::serialize(value, &mut writer)?;
    Ok(out)
}

fn encode(bytes: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

fn decode(text: &str) -> Option<Vec<u8>> {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.decode(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn basic(file: &CredentialsFile, registry: &str) -> Option<(String, String)> {
        match file.get(registry)? {
            Credential::Basic { user, password } => Some((user, password)),
            _ => None,
        }
    }

    #[test]
    fn a_password_is_kept_privately_and_forgotten() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("registry/config.json");
        let mut file = CredentialsFile::open(&path).unwrap();
        file.put("h:5000", "u", "p:q").unwrap();
        let mut again = CredentialsFile::open(&path).unwrap();
        assert_eq!(
            basic(&again, "h:5000"),
            Some(("u".to_owned(), "p:q".to_owned()))
        );
        assert!(!format!("{again:?}").contains("p:q"));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = std::fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        again.remove("h:5000").unwrap();
        assert!(
            CredentialsFile::open(&path)
                .unwrap()
                .get("h:5000")
                .is_none()
        );
    }

    #[test]
    fn other_tools_files_are_read_and_kept() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("config.json");
        let text = r#"{"auths": {"https://h/v1/": {"auth": "dTpw"}, "i": {"identitytoken": "t"}},
            "credHelpers": {"gcr.io": "gcloud", "evil": "../x"}, "other": 1}"#;
        std::fs::write(&path, text).unwrap();
        let mut file = CredentialsFile::open(&path).unwrap();
        assert_eq!(basic(&file, "h"), Some(("u".to_owned(), "p".to_owned())));
        assert!(matches!(file.get("i"), Some(Credential::Identity(_))));
        assert_eq!(file.helper("gcr.io"), Some("gcloud"));
        assert_eq!(file.helper("evil"), None);
        file.put("docker.io", "a", "b").unwrap();
        let kept = std::fs::read_to_string(&path).unwrap();
        assert!(kept.contains("\"other\": 1") && kept.contains("https://index.docker.io/v1/"));
    }
}
