//! What an image's name must say before anybody looks for its signature.

use pilotis_oci::{Digest, Reference};

/// An image that may run if it is signed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Pinned {
    pub(crate) repository: String,
    pub(crate) digest: Digest,
}

/// Why an image may not run. The text is for the team: cause, then next step.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    #[error("is not an image reference; write {registry}/{project}/<repository>@sha256:…")]
    Malformed { registry: String, project: String },
    #[error("is not from {registry}; build it through a delivery of project {project}")]
    Registry { registry: String, project: String },
    #[error("is not of project {project} or base/; use an image of this project")]
    Project { project: String },
    #[error("is not pinned by digest; write name@sha256:… or let a delivery promote it")]
    Tag,
    #[error("has no signature by a trusted key; deliver it so that it is checked and signed")]
    Unsigned,
    #[error("cannot be verified now: {0}; try again")]
    Unknown(&'static str),
}

/// Checks an image's name for a namespace of a project.
pub(crate) fn check(image: &str, registry: &str, project: &str) -> Result<Pinned, Refused> {
    let (registry, project) = (registry.to_owned(), project.to_owned());
    let Ok(reference) = image.parse::<Reference>() else {
        return Err(Refused::Malformed { registry, project });
    };
    if reference.registry() != registry {
        return Err(Refused::Registry { registry, project });
    }
    let repository = reference.repository();
    let owner = repository.split_once('/').map(|(owner, _)| owner);
    if owner != Some(project.as_str()) && owner != Some("base") {
        return Err(Refused::Project { project });
    }
    let digest = reference.digest().cloned().ok_or(Refused::Tag)?;
    Ok(Pinned {
        repository: repository.to_owned(),
        digest,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pinned_images_of_the_project_or_base_pass() {
        let pin = format!("@sha256:{}", "a".repeat(64));
        let verdict = |image: &str| {
            let checked = check(
                &image.replace('@', &pin),
                "registry.pilotis.internal",
                "bonjour",
            );
            checked
                .map(|pinned| pinned.repository)
                .map_err(|refused| refused.to_string())
        };
        let passes =
            |image, repository: &str| assert_eq!(verdict(image), Ok(repository.to_owned()));
        passes("registry.pilotis.internal/bonjour/app@", "bonjour/app");
        passes("registry.pilotis.internal/bonjour/app:v1@", "bonjour/app");
        passes("registry.pilotis.internal/base/static@", "base/static");
        let cases = [
            ("registry.pilotis.internal/bonjour/app:v1", "not pinned"),
            (
                "registry.pilotis.internal/autre/app@",
                "not of project bonjour",
            ),
            (
                "registry.pilotis.internal/bonjour@",
                "not of project bonjour",
            ),
            (
                "registry.pilotis.internal/bonjour-2/app@",
                "not of project bonjour",
            ),
            ("nginx@", "not from registry.pilotis.internal"),
            ("registry.pilotis.internal:5000/bonjour/app@", "not from"),
            ("", "not an image reference"),
            (
                "registry.pilotis.internal/BONJOUR/app@",
                "not an image reference",
            ),
        ];
        for (image, cause) in cases {
            let text = verdict(image).unwrap_err();
            assert!(text.contains(cause), "{image}: {text}");
        }
    }
}
