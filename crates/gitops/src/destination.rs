//! What the project says about an application: whether it may run at all, and as whom.

use pilotis_kinds::argo::{AppProjectSpec, Condition, IN_CLUSTER, Source};
use pilotis_sync::object::{self, Key};
use pilotis_sync::{glob, project};
use serde_json::Value;

use crate::application::Application;

/// A project that allows the application, and the account that deploys.
#[derive(Debug, Clone)]
pub(crate) struct Permission {
    pub(crate) project: AppProjectSpec,
    /// User to impersonate; ourselves when the project names none.
    pub(crate) deployer: Option<String>,
}

/// Checks an application against its project.
///
/// # Errors
/// `InvalidSpecError` conditions, every one that applies.
pub(crate) fn check(
    application: &Application,
    found: Option<&Value>,
    controller_namespace: &str,
) -> Result<Permission, Vec<Condition>> {
    let spec = &application.spec;
    let name = spec.project.as_str();
    let Some(found) = found else {
        return Err(vec![invalid(format!("project {name:?} does not exist"))]);
    };
    let read = found.get("spec").cloned().unwrap_or_default();
    let Ok(permissions) = serde_json::from_value::<AppProjectSpec>(read) else {
        return Err(vec![invalid(format!("project {name:?} cannot be read"))]);
    };
    let mut problems = Vec::new();
    let home = &application.key.namespace;
    let homes = permissions.source_namespaces.iter().map(String::as_str);
    if home != controller_namespace && !glob::allows(homes, home) {
        problems.push(format!(
            "project {name:?} accepts no application in namespace {home:?}"
        ));
    }
    problems.extend(source_problems(&permissions, name, &spec.all_sources()));
    let namespace = application.namespace();
    if !application.is_in_cluster() {
        problems.push(format!(
            "the destination is not this cluster ({IN_CLUSTER})"
        ));
    } else if !project::permits_destination(&permissions, IN_CLUSTER, namespace) {
        problems.push(format!(
            "project {name:?} does not allow namespace {namespace:?}"
        ));
    }
    if !problems.is_empty() {
        return Err(problems.into_iter().map(invalid).collect());
    }
    let deployer = project::deployer(&permissions, IN_CLUSTER, namespace);
    Ok(Permission {
        project: permissions,
        deployer,
    })
}

fn source_problems(project: &AppProjectSpec, name: &str, sources: &[&Source]) -> Vec<String> {
    if sources.is_empty() {
        return vec!["no source is given".to_owned()];
    }
    let refused = sources
        .iter()
        .filter(|one| !project::permits_source(project, &one.repo_url));
    let text = |one: &&Source| format!("project {name:?} does not allow source {:?}", one.repo_url);
    refused.map(text).collect()
}

impl Permission {
    /// Why an object may not be deployed by this project.
    pub(crate) fn refusal(&self, object: &Value, namespaced: bool) -> Option<String> {
        let key = Key::of(object);
        if !project::permits_kind(&self.project, &key, namespaced) {
            return Some(format!(
                "the project does not allow {} {}",
                key.group, key.kind
            ));
        }
        let namespace = object::namespace(object);
        if namespaced && !project::permits_destination(&self.project, IN_CLUSTER, namespace) {
            return Some(format!(
                "the project does not allow namespace {namespace:?}"
            ));
        }
        None
    }
}

/// An `InvalidSpecError` condition.
fn invalid(message: String) -> Condition {
    Condition {
        kind: "InvalidSpecError".to_owned(),
        message,
        last_transition_time: None,
    }
}
