//! Which objects belong to which application: the `tracking-id` annotation.
//!
//! `<application>:<group>/<kind>:<namespace>/<name>`. It names its own object, so that a copy made
//! by somebody (a template, an operator copying annotations) is recognised as a copy and never
//! pruned.

use pilotis_kinds::argo::TRACKING_ID;
use serde_json::Value;

use crate::object::{self, Key};

/// The name of an application in tracking ids: with its namespace, unless it lives with the
/// controller.
///
/// ```
/// use pilotis_sync::tracking::instance_name;
/// assert_eq!(instance_name("pilotis-system", "pilotis-system", "web"), "web");
/// assert_eq!(instance_name("pilotis-system", "project-a", "web"), "project-a_web");
/// ```
pub fn instance_name(controller_namespace: &str, namespace: &str, name: &str) -> String {
    if namespace == controller_namespace {
        name.to_owned()
    } else {
        format!("{namespace}_{name}")
    }
}

/// The tracking id of an object of an application.
pub fn tracking_id(instance: &str, key: &Key) -> String {
    format!(
        "{instance}:{}/{}:{}/{}",
        key.group, key.kind, key.namespace, key.name
    )
}

/// Marks an object as the application's. Definitions of kinds are not marked: they outlive it.
pub fn mark(instance: &str, object: &mut Value) {
    if object::kind(object) == "CustomResourceDefinition" {
        return;
    }
    let id = tracking_id(instance, &Key::of(object));
    object::set_annotation(object, TRACKING_ID, &id);
}

/// The application a live object says it belongs to.
pub fn instance_of(object: &Value) -> Option<&str> {
    object::annotation(object, TRACKING_ID)?
        .split_once(':')
        .map(|(instance, _)| instance)
}

/// Whether the object's annotation names the object itself: only then may it be pruned.
pub fn is_self_referenced(object: &Value) -> bool {
    let expected = |instance| tracking_id(instance, &Key::of(object));
    let id = object::annotation(object, TRACKING_ID);
    instance_of(object).is_some_and(|instance| id == Some(expected(instance).as_str()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn config_map(name: &str) -> Value {
        json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": name, "namespace": "n", "annotations": null},
        })
    }

    #[test]
    fn a_marked_object_names_its_application_and_itself() {
        let mut object = config_map("a");
        mark("web", &mut object);
        assert_eq!(
            object::annotation(&object, TRACKING_ID),
            Some("web:/ConfigMap:n/a")
        );
        assert_eq!(instance_of(&object), Some("web"));
        assert!(is_self_referenced(&object));
    }

    #[test]
    fn a_copy_is_not_the_object() {
        let mut object = config_map("a");
        mark("web", &mut object);
        object["metadata"]["name"] = json!("copy");
        assert!(!is_self_referenced(&object));
        assert!(!is_self_referenced(&config_map("a")));
    }

    #[test]
    fn definitions_of_kinds_are_not_marked() {
        let mut object = json!({"apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition", "metadata": {"name": "x"}});
        mark("web", &mut object);
        assert_eq!(instance_of(&object), None);
    }
}
