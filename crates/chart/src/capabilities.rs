//! What the cluster is assumed to offer: its version and API versions.

use crate::compat::Compat;
use crate::errors::Error;

/// The capabilities templates see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capabilities {
    /// Full version, such as `v1.35.4+k3s1`.
    pub kube_version: String,
    /// Version without suffix, for constraints.
    pub normalized: String,
    /// Major number.
    pub major: String,
    /// Minor number.
    pub minor: String,
    /// API versions served.
    pub api_versions: Vec<String>,
}

impl Capabilities {
    /// What Helm assumes without a cluster, with more API versions.
    ///
    /// # Errors
    /// A version that is none.
    pub fn new(
        compat: &Compat,
        kube_version: Option<&str>,
        more: &[String],
    ) -> Result<Self, Error> {
        let given = kube_version.unwrap_or(compat.kube_version);
        let numbers = numbers(given).ok_or_else(|| {
            let reason = format!("could not parse {given:?} as version");
            Error::new(format!("invalid kube version '{given}': {reason}"))
        })?;
        let defaults = compat.api_versions.iter().map(ToString::to_string);
        let prefixed = given.starts_with('v');
        let normalized = format!("v{}", numbers.join("."));
        let full = match (compat.keeps_kube_suffix, prefixed) {
            (false, _) => normalized.clone(),
            (true, true) => given.to_string(),
            (true, false) => format!("v{given}"),
        };
        Ok(Self {
            kube_version: full,
            normalized,
            major: numbers[0].clone(),
            minor: numbers[1].clone(),
            api_versions: defaults.chain(more.iter().cloned()).collect(),
        })
    }
}

/// Two or more numbers at the start of a version.
fn numbers(version: &str) -> Option<Vec<String>> {
    let rest = version.trim().trim_start_matches('v');
    let end = rest
        .find(|c: char| c != '.' && !c.is_ascii_digit())
        .unwrap_or(rest.len());
    let parts: Option<Vec<String>> = rest[..end]
        .split('.')
        .map(|part| part.parse::<u64>().ok().map(|number| number.to_string()))
        .collect();
    let mut parts = parts.filter(|parts| parts.len() >= 2)?;
    if parts.len() == 2 {
        parts.push("0".to_string());
    }
    Some(parts)
}
