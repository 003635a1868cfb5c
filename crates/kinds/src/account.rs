//! Accounts of the registry as objects: what the registry honours, and what their owners keep.
//!
//! An account is a ConfigMap in `pilotis-system` with the label [`LABEL`], and **only there**: the
//! namespace is what nobody but the platform can write, so no tenant makes or changes an account.
//! It holds the SHA-256 of the password, which says nothing about it: passwords are made by
//! machines, from 256 random bits ([`password`]; do not put a person's password here). The password
//! itself is with whoever uses it: a pull Secret, or [`Account::secret`] for a service.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::names::{SYSTEM_NAMESPACE, Slug};

/// Label by which the registry finds accounts; its value is the account's name.
pub const LABEL: &str = "pilotis.dev/registry-account";
/// Type of the Secret in which a service keeps its password.
pub const SECRET_TYPE: &str = "pilotis.dev/registry-password";

/// What an account may do with the repositories it reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Read.
    Pull,
    /// Read and write.
    Push,
    /// Read, write and delete.
    Admin,
}

impl Access {
    const ALL: [(Self, &'static str); 3] = [
        (Self::Pull, "pull"),
        (Self::Push, "push"),
        (Self::Admin, "admin"),
    ];

    /// Its word in the object.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pull => "pull",
            Self::Push => "push",
            Self::Admin => "admin",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let found = Self::ALL.into_iter().find(|(_, word)| *word == text);
        found.map(|(access, _)| access)
    }
}

/// Somebody the registry knows.
///
/// ```
/// use pilotis_kinds::account::{Access, Account};
/// use pilotis_kinds::names::Slug;
///
/// let account = Account {
///     name: "pull".to_owned(),
///     project: Slug::new("bonjour").ok(),
///     access: Access::Pull,
/// };
/// assert_eq!(account.user(), "bonjour+pull");
/// assert_eq!(account.repositories(), "bonjour/*");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Name, unique in its project: letters, digits and hyphens.
    pub name: String,
    /// The project whose repositories it reaches; none reaches all of them.
    pub project: Option<Slug>,
    /// What it may do there.
    pub access: Access,
}

impl Account {
    /// User name at the registry.
    pub fn user(&self) -> String {
        match &self.project {
            Some(slug) => format!("{slug}+{}", self.name),
            None => self.name.clone(),
        }
    }

    /// Pattern of the repositories it reaches.
    pub fn repositories(&self) -> String {
        match &self.project {
            Some(slug) => format!("{slug}/*"),
            None => "*".to_owned(),
        }
    }

    /// Name of its objects. A dot cannot occur in a slug, so two accounts never share one.
    pub fn object_name(&self) -> String {
        match &self.project {
            Some(slug) => format!("registry-account.{slug}.{}", self.name),
            None => format!("registry-account-{}", self.name),
        }
    }

    /// The ConfigMap the registry reads.
    pub fn config_map(&self, password: &str) -> Value {
        let mut data = json!({
            "name": self.name, "access": self.access.as_str(), "passwordHash": hash(password),
        });
        if let Some(slug) = &self.project {
            data["project"] = json!(slug.as_str());
        }
        json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": self.object_name(), "namespace": SYSTEM_NAMESPACE,
                "labels": {LABEL: self.name}},
            "data": data,
        })
    }

    /// The Secret in which a service of the platform keeps its own password.
    pub fn secret(&self, password: &str) -> Value {
        json!({
            "apiVersion": "v1", "kind": "Secret", "type": SECRET_TYPE,
            "metadata": {"name": self.object_name(), "namespace": SYSTEM_NAMESPACE},
            "data": {
                "name": STANDARD.encode(self.user()),
                "password": STANDARD.encode(password),
            },
        })
    }

    /// Reads [`Account::config_map`]'s data back: the account, and the hash of its password.
    pub fn parse(data: &BTreeMap<String, String>) -> Option<(Self, &str)> {
        let text = |key: &str| data.get(key).map(|value| value.trim());
        let name = text("name").filter(|name| is_name(name))?;
        let project = match text("project") {
            Some(slug) => Some(Slug::new(slug).ok()?),
            None => None,
        };
        let account = Self {
            name: name.to_owned(),
            project,
            access: Access::parse(text("access")?)?,
        };
        Some((account, text("passwordHash")?))
    }
}

fn is_name(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    (1..=63).contains(&name.len()) && name.chars().all(allowed)
}

/// A password made of randomness.
pub fn password(random: [u8; 32]) -> String {
    hex::encode(random)
}

/// The hash of a password, as [`Account::config_map`] holds it.
pub fn hash(password: &str) -> String {
    format!(
        "sha256:{}",
        hex::encode(Sha256::digest(password.as_bytes()))
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(object: &Value) -> BTreeMap<String, String> {
        serde_json::from_value(object["data"].clone()).unwrap()
    }

    #[test]
    fn what_is_written_is_read_back() {
        for project in [None, Some(Slug::new("a-b").unwrap())] {
            for access in [Access::Pull, Access::Push, Access::Admin] {
                let account = Account {
                    name: "chain".to_owned(),
                    project: project.clone(),
                    access,
                };
                let data = data(&account.config_map("secret"));
                let (read, hashed) = Account::parse(&data).unwrap();
                assert_eq!((read, hashed), (account, hash("secret").as_str()));
            }
        }
    }

    #[test]
    fn neither_a_reserved_project_nor_an_unknown_word_makes_an_account() {
        let account = Account {
            name: "x".to_owned(),
            project: None,
            access: Access::Pull,
        };
        let good = data(&account.config_map("secret"));
        for (key, value) in [
            ("project", "base"),
            ("project", "a/b"),
            ("project", ""),
            ("access", "root"),
            ("name", "a+b"),
            ("name", ""),
        ] {
            let mut data = good.clone();
            data.insert(key.to_owned(), value.to_owned());
            assert_eq!(Account::parse(&data), None, "{key}={value}");
        }
    }

    #[test]
    fn the_registry_never_sees_a_password() {
        let account = Account {
            name: "x".to_owned(),
            project: None,
            access: Access::Pull,
        };
        assert!(!account.config_map("s3cret").to_string().contains("s3cret"));
    }
}
