//! Who may do what to which repository. Pure; accounts and tokens are turned into it.
//!
//! A project's repositories are `<project>/…`. `base/…` may be read by anybody who is known.

use serde::{Deserialize, Serialize};

/// Something done to a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Action {
    /// Read anything.
    Pull,
    /// Write blobs, and manifests under tags.
    Push,
    /// Write blobs, and manifests under their own digest only.
    PushUntagged,
    /// Remove anything.
    Delete,
}

impl Action {
    fn parse(text: &str) -> Vec<Self> {
        match text {
            "pull" => vec![Self::Pull],
            "push" => vec![Self::Push],
            "delete" => vec![Self::Delete],
            "*" => vec![Self::Pull, Self::Push, Self::Delete],
            _ => Vec::new(),
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Pull => "pull",
            Self::Push | Self::PushUntagged => "push",
            Self::Delete => "delete",
        }
    }
}

/// Some actions on the repositories that match a pattern.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Grant {
    /// The only kind of thing there is here.
    #[serde(rename = "type")]
    pub(crate) kind: String,
    /// A repository, `prefix/*`, or `*`.
    pub(crate) name: String,
    pub(crate) actions: Vec<Action>,
}

impl Grant {
    pub(crate) fn new(name: &str, actions: &[Action]) -> Self {
        Self {
            kind: "repository".to_owned(),
            name: name.to_owned(),
            actions: actions.to_vec(),
        }
    }

    fn covers(&self, repository: &str) -> bool {
        match self.name.strip_suffix('*') {
            Some("") => true,
            Some(prefix) => prefix.ends_with('/') && repository.starts_with(prefix),
            None => self.name == repository,
        }
    }
}

/// Somebody known, with what they may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    /// Account name, for the log.
    pub(crate) name: String,
    pub(crate) grants: Vec<Grant>,
    /// Set when this identity ends with its first manifest: the identifier of its token.
    pub(crate) once: Option<String>,
}

impl Identity {
    pub(crate) fn may(&self, action: Action, repository: &str) -> bool {
        let granted = |grant: &Grant| grant.covers(repository) && grant.actions.contains(&action);
        self.grants.iter().any(granted)
    }

    /// Whether this is a capability that was used: it may only send its manifest again.
    pub(crate) fn is_used_up(&self) -> bool {
        self.once.is_some() && self.grants.is_empty()
    }

    /// Whether blobs may be uploaded, under either kind of push.
    pub(crate) fn may_upload(&self, repository: &str) -> bool {
        self.may(Action::Push, repository) || self.may(Action::PushUntagged, repository)
    }

    /// The part of what was asked for that may be had.
    pub(crate) fn narrow(&self, wanted: &[Grant]) -> Vec<Grant> {
        let allowed = |grant: &Grant| {
            let may = |action: &Action| self.may(*action, &grant.name);
            let actions: Vec<Action> = grant.actions.iter().copied().filter(may).collect();
            (!actions.is_empty()).then(|| Grant::new(&grant.name, &actions))
        };
        wanted.iter().filter_map(allowed).collect()
    }
}

/// Most scopes one token may be asked for.
const SCOPES_MAX: usize = 32;

/// Reads `repository:NAME:pull,push` scopes, separated by spaces. Others are left out, as the
/// specification of tokens says.
pub(crate) fn parse_scopes(text: &str) -> Vec<Grant> {
    let one = |scope: &str| {
        let (kind, rest) = scope.split_once(':')?;
        let (name, actions) = rest.rsplit_once(':')?;
        let known = kind == "repository" && pilotis_oci::is_repository(name);
        let actions: Vec<Action> = actions.split(',').flat_map(Action::parse).collect();
        known.then(|| Grant::new(name, &actions))
    };
    text.split(' ').take(SCOPES_MAX).filter_map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn team() -> Identity {
        let grants = vec![
            Grant::new("bonjour/*", &[Action::Pull, Action::Push]),
            Grant::new("base/*", &[Action::Pull]),
        ];
        Identity {
            name: "bonjour+chain".to_owned(),
            grants,
            once: None,
        }
    }

    #[test]
    fn a_project_ends_at_its_slash() {
        let team = team();
        assert!(team.may(Action::Push, "bonjour/app"));
        assert!(team.may(Action::Pull, "base/static"));
        for other in ["bonjour", "bonjour-2/app", "autre/app", "base/x"] {
            assert!(!team.may(Action::Push, other), "{other}");
        }
        assert!(!team.may(Action::Delete, "bonjour/app"));
    }

    #[test]
    fn a_token_never_holds_more_than_its_owner() {
        let wanted = parse_scopes(
            "repository:bonjour/app:pull,push,delete repository:autre/app:pull registry:catalog:* \
             repository:../x:pull repository:base/static:*",
        );
        let expected = [
            Grant::new("bonjour/app", &[Action::Pull, Action::Push]),
            Grant::new("base/static", &[Action::Pull]),
        ];
        assert_eq!(team().narrow(&wanted), expected);
    }

    #[test]
    fn the_weaker_push_cannot_be_asked_for_as_the_stronger() {
        let once = Identity {
            grants: vec![Grant::new("p/a", &[Action::PushUntagged])],
            ..team()
        };
        assert!(once.may_upload("p/a") && !once.may(Action::Push, "p/a"));
        assert!(once.narrow(&parse_scopes("repository:p/a:push")).is_empty());
    }
}
