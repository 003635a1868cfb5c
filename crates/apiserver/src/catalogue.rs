//! All kinds served at this moment: the built-in ones and those of accepted definitions.
//!
//! The custom part is recomputed when the table of definitions has changed, on the request that
//! notices, so discovery, routing and schemas can never disagree with what is stored.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use pilotis_kinds::catalog;
use pilotis_store::Store;

use crate::crd;
use crate::kind::Kind;

/// Table of the definitions.
pub(crate) const DEFINITIONS: &str = "apiextensions.k8s.io/customresourcedefinitions";

/// An unchanging view of all kinds.
pub(crate) struct Snapshot {
    /// In discovery order.
    pub(crate) all: Vec<Arc<Kind>>,
    by_path: HashMap<String, Arc<Kind>>,
    /// Revision of the definitions it was made from.
    pub(crate) revision: u64,
}

impl Snapshot {
    fn new(all: Vec<Arc<Kind>>, revision: u64) -> Self {
        let by_path = all
            .iter()
            .map(|k| (path(&k.group, &k.version, &k.plural), Arc::clone(k)))
            .collect();
        Self {
            all,
            by_path,
            revision,
        }
    }

    pub(crate) fn find(&self, group: &str, version: &str, plural: &str) -> Option<&Arc<Kind>> {
        self.by_path.get(&path(group, version, plural))
    }

    /// A kind that keeps its objects in `table`, by preference the stored version.
    pub(crate) fn by_table(&self, table: &str) -> Option<&Arc<Kind>> {
        let mut of_table = self.all.iter().filter(|k| &*k.table == table);
        of_table
            .clone()
            .find(|k| !k.is_converted())
            .or_else(|| of_table.next())
    }

    /// Group names in discovery order, core not among them.
    pub(crate) fn groups(&self) -> Vec<&str> {
        let mut groups: Vec<&str> = Vec::new();
        for kind in &self.all {
            if !kind.group.is_empty() && !groups.contains(&kind.group.as_str()) {
                groups.push(&kind.group);
            }
        }
        groups
    }

    /// Versions of a group by preference.
    pub(crate) fn versions(&self, group: &str) -> Vec<&str> {
        let mut versions: Vec<&str> = Vec::new();
        for kind in self.all.iter().filter(|k| k.group == group) {
            if !versions.contains(&kind.version.as_str()) {
                versions.push(&kind.version);
            }
        }
        versions
    }

    pub(crate) fn of_version<'a>(
        &'a self,
        group: &'a str,
        version: &'a str,
    ) -> impl Iterator<Item = &'a Arc<Kind>> {
        self.all
            .iter()
            .filter(move |k| k.group == group && k.version == version)
    }
}

fn path(group: &str, version: &str, plural: &str) -> String {
    format!("{group}/{version}/{plural}")
}

static BUILT_IN: LazyLock<Vec<Arc<Kind>>> = LazyLock::new(|| {
    catalog::resources()
        .iter()
        .map(|resource| Arc::new(Kind::built_in(resource)))
        .collect()
});

/// The current [`Snapshot`], refreshed when definitions change.
pub(crate) struct Catalogue {
    store: Arc<Store>,
    current: Mutex<Arc<Snapshot>>,
}

impl Catalogue {
    pub(crate) fn new(store: Arc<Store>) -> Self {
        let current = Mutex::new(Arc::new(Snapshot::new(BUILT_IN.clone(), u64::MAX)));
        Self { store, current }
    }

    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        let revision = self.store.changed(DEFINITIONS);
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.revision != revision {
            let mut all = BUILT_IN.clone();
            all.extend(crd::served_kinds(&self.store).into_iter().map(Arc::new));
            *current = Arc::new(Snapshot::new(all, revision));
        }
        Arc::clone(&current)
    }
}
