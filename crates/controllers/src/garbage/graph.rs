//! Who owns whom, of all objects, and what follows from it for one object.

use std::collections::{HashMap, HashSet};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::ResourceExt;
use kube::api::{DynamicObject, PartialObjectMeta, PropagationPolicy};
use kube::core::discovery::ApiResource;

const FOREGROUND: &str = "foregroundDeletion";
const ORPHAN: &str = "orphan";

/// One object as far as ownership goes.
#[derive(Debug, Clone)]
pub(super) struct Item {
    pub(super) resource: ApiResource,
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) uid: String,
    pub(super) version: String,
    pub(super) owners: Vec<OwnerReference>,
    pub(super) finalizers: Vec<String>,
    pub(super) is_leaving: bool,
}

impl Item {
    pub(super) fn new(resource: &ApiResource, object: &PartialObjectMeta<DynamicObject>) -> Self {
        Self {
            resource: resource.clone(),
            namespace: object.namespace().unwrap_or_default(),
            name: object.name_any(),
            uid: object.uid().unwrap_or_default(),
            version: object.resource_version().unwrap_or_default(),
            owners: object.owner_references().to_vec(),
            finalizers: object.finalizers().to_vec(),
            is_leaving: object.metadata.deletion_timestamp.is_some(),
        }
    }

    fn has_finalizer(&self, name: &str) -> bool {
        self.finalizers.iter().any(|finalizer| finalizer == name)
    }

    /// Leaving, but only after its dependents.
    fn waits_for_dependents(&self) -> bool {
        self.is_leaving && self.has_finalizer(FOREGROUND)
    }

    fn is_plain(&self) -> bool {
        let waits =
            self.is_leaving && (self.has_finalizer(FOREGROUND) || self.has_finalizer(ORPHAN));
        self.owners.is_empty() && !waits
    }
}

/// What to do about one object.
#[derive(Debug)]
pub(super) enum Action {
    Nothing,
    /// Delete it this way.
    Delete(PropagationPolicy),
    /// Let its owners, who may form a circle with it, go first: these references no longer block
    /// them. Then delete it after its dependents.
    BreakCircle(Vec<OwnerReference>),
    /// It keeps only these owners.
    KeepOwners(Vec<OwnerReference>),
    /// Cut it loose from these dependents, then let it go.
    Orphan(Vec<Item>),
    /// Look at these dependents first.
    DeleteDependents(Vec<String>),
    /// Let it go: nothing blocks it any more.
    Release,
}

/// Every object the watches have shown.
#[derive(Debug, Default)]
pub(super) struct Graph {
    /// Objects that own nothing of interest themselves are kept by id only.
    items: HashMap<String, Item>,
    /// Kind of every living object, by unique id.
    alive: HashMap<String, (String, String)>,
    dependents: HashMap<String, HashSet<String>>,
}

fn kind_of(resource: &ApiResource) -> (String, String) {
    (resource.api_version.clone(), resource.kind.clone())
}

impl Graph {
    pub(super) fn is_alive(&self, uid: &str) -> bool {
        self.alive.contains_key(uid)
    }

    pub(super) fn item(&self, uid: &str) -> Option<Item> {
        self.items.get(uid).cloned()
    }

    /// Takes in an object; returns the ids of those to look at.
    pub(super) fn saw(&mut self, item: Item) -> Vec<String> {
        let uid = item.uid.clone();
        self.alive.insert(uid.clone(), kind_of(&item.resource));
        self.unlink(&uid);
        if item.is_plain() {
            self.items.remove(&uid);
            return Vec::new();
        }
        for owner in &item.owners {
            self.dependents
                .entry(owner.uid.clone())
                .or_default()
                .insert(uid.clone());
        }
        // A dependent that starts to leave may unblock its owners.
        let mut look = vec![uid.clone()];
        look.extend(item.owners.iter().map(|owner| owner.uid.clone()));
        self.items.insert(uid, item);
        look
    }

    fn unlink(&mut self, uid: &str) {
        let owners = self.items.get(uid).map(|item| item.owners.clone());
        for owner in owners.into_iter().flatten() {
            if let Some(dependents) = self.dependents.get_mut(&owner.uid) {
                dependents.remove(uid);
                if dependents.is_empty() {
                    self.dependents.remove(&owner.uid);
                }
            }
        }
    }

    /// Notes that an object is gone; returns the ids of its dependents and owners.
    pub(super) fn remove(&mut self, uid: &str) -> Vec<String> {
        self.unlink(uid);
        self.alive.remove(uid);
        let mut look: Vec<String> = self
            .dependents
            .get(uid)
            .into_iter()
            .flatten()
            .cloned()
            .collect();
        if let Some(item) = self.items.remove(uid) {
            look.extend(item.owners.into_iter().map(|owner| owner.uid));
        }
        look
    }

    /// Notes that a fresh list of a kind has only these objects.
    pub(super) fn settle(
        &mut self,
        resource: &ApiResource,
        listed: &HashSet<String>,
    ) -> Vec<String> {
        let kind = kind_of(resource);
        let gone: Vec<String> = self
            .alive
            .iter()
            .filter(|(uid, of)| **of == kind && !listed.contains(*uid))
            .map(|(uid, _)| uid.clone())
            .collect();
        gone.iter().flat_map(|uid| self.remove(uid)).collect()
    }

    /// Owners no watch has shown: gone, or not seen yet.
    pub(super) fn unknown_owners(&self, item: &Item) -> Vec<OwnerReference> {
        let owners = item.owners.iter();
        owners
            .filter(|owner| !self.alive.contains_key(&owner.uid))
            .cloned()
            .collect()
    }

    fn dependents_of(&self, uid: &str) -> Vec<&Item> {
        let dependents = self.dependents.get(uid).into_iter().flatten();
        dependents.filter_map(|uid| self.items.get(uid)).collect()
    }

    /// What to do about an object, given which of its owners are certainly gone.
    pub(super) fn decide(&self, item: &Item, absent: &HashSet<String>) -> Action {
        if item.is_leaving && item.has_finalizer(ORPHAN) {
            let dependents = self.dependents_of(&item.uid).into_iter().cloned().collect();
            return Action::Orphan(dependents);
        }
        if item.waits_for_dependents() {
            return self.decide_foreground(item);
        }
        if item.is_leaving || item.owners.is_empty() {
            return Action::Nothing;
        }
        self.decide_by_owners(item, absent)
    }

    fn decide_foreground(&self, item: &Item) -> Action {
        let dependents = self.dependents_of(&item.uid);
        let blocking = dependents.iter().filter(|dependent| {
            let mut owners = dependent.owners.iter();
            owners.any(|o| o.uid == item.uid && o.block_owner_deletion == Some(true))
        });
        if blocking.count() == 0 {
            return Action::Release;
        }
        let staying = dependents
            .into_iter()
            .filter(|dependent| !dependent.is_leaving);
        Action::DeleteDependents(staying.map(|dependent| dependent.uid.clone()).collect())
    }

    fn decide_by_owners(&self, item: &Item, absent: &HashSet<String>) -> Action {
        let is_waiting = |owner: &OwnerReference| {
            let waits = self
                .items
                .get(&owner.uid)
                .is_some_and(Item::waits_for_dependents);
            waits && owner.block_owner_deletion == Some(true)
        };
        let (solid, rest): (Vec<&OwnerReference>, Vec<&OwnerReference>) = item
            .owners
            .iter()
            .partition(|owner| !absent.contains(&owner.uid) && !is_waiting(owner));
        if !solid.is_empty() {
            return if rest.is_empty() {
                Action::Nothing
            } else {
                Action::KeepOwners(solid.into_iter().cloned().collect())
            };
        }
        let dependents = self.dependents_of(&item.uid);
        let has_dependents = !dependents.is_empty();
        let is_awaited = rest.iter().any(|owner| is_waiting(owner));
        if is_awaited && dependents.iter().any(|d| d.waits_for_dependents()) {
            let unblocked = |owner: &OwnerReference| OwnerReference {
                block_owner_deletion: Some(false),
                ..owner.clone()
            };
            return Action::BreakCircle(item.owners.iter().map(unblocked).collect());
        }
        Action::Delete(if is_awaited && has_dependents {
            PropagationPolicy::Foreground
        } else if item.has_finalizer(ORPHAN) {
            PropagationPolicy::Orphan
        } else if item.has_finalizer(FOREGROUND) {
            PropagationPolicy::Foreground
        } else {
            PropagationPolicy::Background
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(uid: &str) -> OwnerReference {
        OwnerReference {
            uid: uid.into(),
            block_owner_deletion: Some(true),
            ..OwnerReference::default()
        }
    }

    fn item(uid: &str, owners: &[&str], finalizers: &[&str], is_leaving: bool) -> Item {
        Item {
            resource: ApiResource {
                group: String::new(),
                version: "v1".into(),
                api_version: "v1".into(),
                kind: "Pod".into(),
                plural: "pods".into(),
            },
            namespace: "n".into(),
            name: uid.into(),
            uid: uid.into(),
            version: "1".into(),
            owners: owners.iter().map(|uid| owner(uid)).collect(),
            finalizers: finalizers.iter().map(|f| (*f).to_owned()).collect(),
            is_leaving,
        }
    }

    fn decided(items: &[Item], about: &str, absent: &[&str]) -> String {
        let mut graph = Graph::default();
        for item in items {
            graph.saw(item.clone());
        }
        let absent = absent.iter().map(|uid| (*uid).to_owned()).collect();
        let item = graph.item(about).unwrap();
        match graph.decide(&item, &absent) {
            Action::KeepOwners(owners) => {
                let uids: Vec<String> = owners.into_iter().map(|owner| owner.uid).collect();
                format!("keep {}", uids.join(" "))
            }
            Action::Orphan(items) => format!("orphan {}", items.len()),
            Action::BreakCircle(owners) => {
                let blocks = owners.iter().any(|o| o.block_owner_deletion == Some(true));
                format!("break circle, blocks: {blocks}")
            }
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn dependents_follow_their_last_owner() {
        let pod = || item("p", &["a", "b"], &[], false);
        assert_eq!(decided(&[pod()], "p", &[]), "Nothing");
        assert_eq!(decided(&[pod()], "p", &["a"]), "keep b");
        assert_eq!(decided(&[pod()], "p", &["a", "b"]), "Delete(Background)");
    }

    #[test]
    fn foreground_waits_for_blocking_dependents() {
        let set = || item("s", &[], &[FOREGROUND], true);
        let pod = || item("p", &["s"], &[], false);
        assert_eq!(
            decided(&[set(), pod()], "s", &[]),
            "DeleteDependents([\"p\"])"
        );
        assert_eq!(decided(&[set(), pod()], "p", &[]), "Delete(Background)");
        assert_eq!(decided(&[set()], "s", &[]), "Release");
        let middle = item("p", &["s"], &[], false);
        let leaf = item("l", &["p"], &[], false);
        assert_eq!(
            decided(&[set(), middle, leaf], "p", &[]),
            "Delete(Foreground)"
        );
    }

    #[test]
    fn a_circle_of_owners_does_not_wait_for_itself() {
        let one = item("1", &["3"], &[FOREGROUND], true);
        let two = item("2", &["1"], &[FOREGROUND], true);
        let mut three = item("3", &["2"], &[], false);
        let all = [one.clone(), two.clone(), three.clone()];
        assert_eq!(decided(&all, "3", &[]), "break circle, blocks: false");
        three.owners[0].block_owner_deletion = Some(false);
        assert_eq!(decided(&[one, two, three], "2", &[]), "Release");
    }

    #[test]
    fn orphans_are_cut_loose() {
        let set = item("s", &[], &[ORPHAN], true);
        let pod = item("p", &["s"], &[], false);
        assert_eq!(decided(&[set, pod], "s", &[]), "orphan 1");
    }

    #[test]
    fn removal_puts_dependents_and_owners_in_line() {
        let mut graph = Graph::default();
        graph.saw(item("s", &["d"], &[], false));
        graph.saw(item("p", &["s"], &[], false));
        let mut look = graph.remove("s");
        look.sort();
        assert_eq!(look, ["d", "p"]);
    }
}
