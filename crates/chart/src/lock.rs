//! `Chart.lock`: which versions the dependencies of a chart were resolved to, for which request.
//!
//! The digest is of the request and the answer as Go writes them in JSON, so that a lock file made
//! by one program is in sync for the other.

use serde_json::{Value as Json, json};
use sha2::{Digest, Sha256};

use crate::errors::Error;
use crate::metadata::{Dependency, Metadata, lock_fields};

/// A lock file.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Lock {
    /// When it was made, RFC 3339.
    pub generated: String,
    /// [`Lock::digest_of`] what was asked for and what is locked.
    pub digest: String,
    /// One version of each dependency, in the order of `Chart.yaml`.
    pub dependencies: Vec<Dependency>,
}

impl Lock {
    /// Reads `Chart.lock` or `requirements.lock`.
    ///
    /// # Errors
    /// A text that is no YAML or has another shape.
    pub fn parse(text: &str, file: &str) -> Result<Self, Error> {
        let mut fields = lock_fields(text, file)?;
        let text = |name: &str| match fields.get(name) {
            Some(Json::String(text)) => text.clone(),
            _ => String::new(),
        };
        let (generated, digest) = (text("generated"), text("digest"));
        let list = fields.remove("dependencies").unwrap_or(Json::Null);
        let read = Metadata::from_json(json!({"dependencies": list}));
        Ok(Self {
            generated,
            digest,
            dependencies: read?.dependencies,
        })
    }

    /// The text of the file, as Helm writes it.
    #[must_use]
    pub fn to_yaml(&self) -> String {
        let dependencies: Vec<Json> = self.dependencies.iter().map(Dependency::to_file).collect();
        let all = json!({
            "generated": self.generated,
            "digest": self.digest,
            "dependencies": dependencies,
        });
        pilotis_yaml::emit(&all, pilotis_yaml::Flavour::GoV2)
    }

    /// The digest of a request and of the versions found for it.
    #[must_use]
    pub fn digest_of(requested: &[Dependency], locked: &[Dependency]) -> String {
        let list = |all: &[Dependency]| {
            let all: Vec<String> = all.iter().map(Dependency::to_go_json).collect();
            format!("[{}]", all.join(","))
        };
        sha256(&format!("[{},{}]", list(requested), list(locked)))
    }

    /// The digest Helm 2 wrote: of the request alone.
    #[must_use]
    pub fn digest_of_helm_2(requested: &[Dependency]) -> String {
        let all: Vec<String> = requested.iter().map(Dependency::to_go_json).collect();
        sha256(&format!("{{\"dependencies\":[{}]}}", all.join(",")))
    }
}

fn sha256(text: &str) -> String {
    let hash = Sha256::digest(text.as_bytes());
    let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dependency(name: &str, version: &str) -> Dependency {
        Dependency {
            name: name.to_owned(),
            version: version.to_owned(),
            repository: "https://charts.example.org".to_owned(),
            ..Dependency::default()
        }
    }

    #[test]
    fn a_lock_file_reads_as_it_was_written() {
        let lock = Lock {
            generated: "2026-11-28T17:00:00.5Z".to_owned(),
            digest: "sha256:00".to_owned(),
            dependencies: vec![dependency("a", "1.2.3")],
        };
        let text = lock.to_yaml();
        assert!(text.starts_with("dependencies:\n- name: a\n  repository: https://"));
        assert!(text.contains("\ngenerated: \"2026-11-28T17:00:00.5Z\"\n"));
        assert_eq!(Lock::parse(&text, "Chart.lock").unwrap(), lock);
    }

    #[test]
    fn the_digest_depends_on_the_request_and_on_the_answer() {
        let asked = [dependency("a", ">=1.0.0")];
        let one = Lock::digest_of(&asked, &[dependency("a", "1.2.3")]);
        assert_ne!(one, Lock::digest_of(&asked, &[dependency("a", "1.2.4")]));
        assert_ne!(
            one,
            Lock::digest_of(&[dependency("a", "^1")], &[dependency("a", "1.2.3")])
        );
    }
}
