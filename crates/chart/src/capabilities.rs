//! What the cluster is assumed to offer: its version and API versions.

use crate::compat::Compat;
use crate::errors::Error;

/// The capabilities templates see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capabilities {
    /// Full version, such as `v1.35.4+k3s1`.
    pub kube_version: String,
    /// The numbers that were given, without suffix, for constraints.
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
        let given = kube_version.filter(|version| !version.is_empty());
        let given = given.unwrap_or(compat.kube_version);
        let numbers = numbers(given)
            .map_err(|reason| Error::new(format!("invalid kube version '{given}': {reason}")))?;
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

/// Two or more numbers at the start of a version, as `version.ParseGeneric` of Kubernetes reads
/// them.
fn numbers(version: &str) -> Result<Vec<String>, String> {
    let rest = version.trim_start();
    let rest = rest.strip_prefix('v').unwrap_or(rest);
    let is_number = |part: &str| part.starts_with(|c: char| c.is_ascii_digit());
    let mut parts: Vec<&str> = Vec::new();
    for part in rest.split('.').take_while(|part| is_number(part)) {
        let end = part.find(|c: char| !c.is_ascii_digit());
        parts.push(&part[..end.unwrap_or(part.len())]);
        if end.is_some() {
            break;
        }
    }
    match parts.as_slice() {
        [] => return Err(format!("could not parse {version:?} as version")),
        [_] => return Err(format!("illegal version string {version:?}")),
        [first, ..] if first.len() > 1 && first.starts_with('0') => {
            return Err(format!(
                "illegal zero-prefixed version component {first:?} in {version:?}"
            ));
        }
        _ => {}
    }
    let mut numbers = Vec::new();
    for part in parts {
        let number: u64 = part.parse().map_err(|_| {
            format!(
                "illegal non-numeric version component {part:?} in {version:?}: \
                 strconv.ParseUint: parsing {part:?}: value out of range"
            )
        })?;
        numbers.push(number.to_string());
    }
    Ok(numbers)
}
