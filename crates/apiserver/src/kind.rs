//! A kind as this server serves it, built in or custom: names, verbs, and where objects are kept.

use std::sync::Arc;

use pilotis_kinds::catalog;
use pilotis_kinds::schema::{Type, Types};

use crate::crd::Custom;

/// One kind under one group and version.
pub(crate) struct Kind {
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) kind: String,
    pub(crate) plural: String,
    pub(crate) singular: String,
    pub(crate) short_names: Vec<String>,
    pub(crate) categories: Vec<String>,
    pub(crate) namespaced: bool,
    pub(crate) verbs: Vec<String>,
    pub(crate) subresources: Vec<Subresource>,
    /// Table of the store: `group/plural` of the stored form.
    pub(crate) table: Arc<str>,
    /// `apiVersion` of the stored form.
    pub(crate) stored_api_version: String,
    /// Named types, among them this kind's.
    pub(crate) types: Types,
    /// Key of this kind in `types`.
    pub(crate) type_name: Arc<str>,
    /// What the catalogue knows of a built-in kind.
    pub(crate) resource: Option<&'static catalog::Resource>,
    /// What only custom kinds have.
    pub(crate) custom: Option<Custom>,
    /// The type of the whole object, a reference into `types`.
    pub(crate) ty: Type,
    /// The list kind's name.
    pub(crate) list_kind: String,
}

/// A path under an object.
#[derive(Debug, Clone)]
pub(crate) struct Subresource {
    pub(crate) name: String,
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) kind: String,
    pub(crate) verbs: Vec<String>,
}

impl Kind {
    pub(crate) fn built_in(resource: &'static catalog::Resource) -> Self {
        let (group, version, plural) = resource.stored_as();
        let owned = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect();
        Self {
            group: resource.group.into(),
            version: resource.version.into(),
            kind: resource.kind.into(),
            plural: resource.plural.into(),
            singular: resource.singular.into(),
            short_names: owned(&resource.short_names),
            categories: owned(&resource.categories),
            namespaced: resource.namespaced,
            verbs: owned(&resource.verbs),
            subresources: resource
                .subresources
                .iter()
                .map(|s| Subresource {
                    name: s.name.into(),
                    group: s.group.into(),
                    version: s.version.into(),
                    kind: s.kind.into(),
                    verbs: owned(&s.verbs),
                })
                .collect(),
            table: format!("{group}/{plural}").into(),
            stored_api_version: api_version(group, version),
            types: catalog::types().clone(),
            type_name: resource.type_name.into(),
            resource: Some(resource),
            custom: None,
            ty: Type::Ref(resource.type_name.into()),
            list_kind: format!("{}List", resource.kind),
        }
    }

    /// `apiVersion` of this kind.
    pub(crate) fn api_version(&self) -> String {
        api_version(&self.group, &self.version)
    }

    /// `deployments.apps`, `pods`: as error texts name the resource.
    pub(crate) fn qualified(&self) -> String {
        qualified(&self.plural, &self.group)
    }

    /// `Deployment.apps`, `Pod`: as validation texts name the kind.
    pub(crate) fn qualified_kind(&self) -> String {
        qualified(&self.kind, &self.group)
    }

    pub(crate) fn subresource(&self, name: &str) -> Option<&Subresource> {
        self.subresources.iter().find(|s| s.name == name)
    }

    pub(crate) fn has_status(&self) -> bool {
        self.subresource("status").is_some()
    }

    pub(crate) fn allows(&self, verb: &str) -> bool {
        self.verbs.iter().any(|v| v == verb)
    }

    /// Objects are kept in another version than this one.
    pub(crate) fn is_converted(&self) -> bool {
        self.stored_api_version != self.api_version()
    }

    /// Stored bytes are exactly what a client of this version is shown.
    pub(crate) fn is_shown_as_stored(&self) -> bool {
        !self.is_converted() && !self.custom.as_ref().is_some_and(|c| c.has_defaults)
    }

    pub(crate) fn is(&self, group: &str, plural: &str) -> bool {
        self.group == group && self.plural == plural
    }
}

pub(crate) fn api_version(group: &str, version: &str) -> String {
    if group.is_empty() {
        version.to_owned()
    } else {
        format!("{group}/{version}")
    }
}

fn qualified(name: &str, group: &str) -> String {
    if group.is_empty() {
        name.to_owned()
    } else {
        format!("{name}.{group}")
    }
}
