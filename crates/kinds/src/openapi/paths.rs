//! Paths of a document: what can be asked of a resource, its objects and their subresources.

use serde_json::{Map, Value, json};

use super::schema::Components;
use super::{Described, DescribedSub, Shape};
use crate::catalog;

const OPTIONS: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions";
const STATUS: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.Status";
const PATCH: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.Patch";
const WRITTEN: &[&str] = &[
    "application/json",
    "application/yaml",
    "application/vnd.kubernetes.protobuf",
];
const WATCHED: &[&str] = &[
    "application/json",
    "application/json;stream=watch",
    "application/vnd.kubernetes.protobuf",
    "application/yaml",
];

/// Adds every path of a resource.
pub(super) fn add(
    paths: &mut Map<String, Value>,
    root: &str,
    resource: &Described<'_>,
    components: &mut Components,
) {
    let collection = if resource.namespaced {
        format!("{root}/namespaces/{{namespace}}/{}", resource.plural)
    } else {
        format!("{root}/{}", resource.plural)
    };
    let mut made = Maker {
        resource,
        components,
        gvk: resource.gvk(),
    };
    made.collection(paths, &collection);
    if resource.namespaced && resource.verbs.contains(&"list") {
        let list = made.operation("list", "get", None);
        paths.insert(format!("{root}/{}", resource.plural), json!({"get": list}));
    }
    let object = format!("{collection}/{{name}}");
    made.object(paths, &object);
    for sub in &resource.subresources {
        made.subresource(paths, &object, sub);
    }
}

struct Maker<'a, 'b> {
    resource: &'a Described<'b>,
    components: &'a mut Components,
    gvk: Value,
}

impl Maker<'_, '_> {
    fn collection(&mut self, paths: &mut Map<String, Value>, path: &str) {
        let verbs = [
            ("list", "get"),
            ("create", "post"),
            ("deletecollection", "delete"),
        ];
        self.insert(paths, path, &verbs, false);
    }

    fn object(&mut self, paths: &mut Map<String, Value>, path: &str) {
        let verbs = [
            ("get", "get"),
            ("update", "put"),
            ("patch", "patch"),
            ("delete", "delete"),
        ];
        self.insert(paths, path, &verbs, true);
    }

    fn insert(
        &mut self,
        paths: &mut Map<String, Value>,
        path: &str,
        verbs: &[(&str, &str)],
        named: bool,
    ) {
        let mut item = Map::new();
        for (verb, method) in verbs {
            if self.resource.verbs.contains(verb) {
                item.insert((*method).to_owned(), self.operation(verb, method, None));
            }
        }
        if !item.is_empty() {
            item.insert(
                "parameters".to_owned(),
                path_parameters(self.resource, named),
            );
            paths.insert(path.to_owned(), item.into());
        }
    }

    fn subresource(
        &mut self,
        paths: &mut Map<String, Value>,
        object: &str,
        sub: &DescribedSub<'_>,
    ) {
        let mut item = Map::new();
        for (verb, method) in [
            ("get", "get"),
            ("update", "put"),
            ("patch", "patch"),
            ("create", "post"),
        ] {
            if sub.verbs.contains(&verb) {
                item.insert(method.to_owned(), self.operation(verb, method, Some(sub)));
            }
        }
        item.insert(
            "parameters".to_owned(),
            path_parameters(self.resource, true),
        );
        paths.insert(format!("{object}/{}", sub.name), item.into());
    }

    fn operation(&mut self, verb: &str, method: &str, sub: Option<&DescribedSub<'_>>) -> Value {
        let gvk = sub.map_or(
            self.gvk.clone(),
            |sub| json!({"group": sub.group, "version": sub.version, "kind": sub.kind}),
        );
        let action = match verb {
            "create" => "post",
            "update" => "put",
            other => other,
        };
        let answer = self.answer(verb, sub);
        let media = if verb == "list" { WATCHED } else { WRITTEN };
        let mut operation = json!({
            "operationId": self.operation_id(verb, sub),
            "tags": [self.tag()],
            "x-kubernetes-action": action,
            "x-kubernetes-group-version-kind": gvk,
            "responses": {
                "200": {"description": "OK", "content": content(media, &answer)},
                "401": {"description": "Unauthorized"},
            },
        });
        let query = query(verb);
        if !query.is_empty() {
            operation["parameters"] = query.into();
        }
        if let Some(body) = self.body(method, verb, &answer) {
            operation["requestBody"] = body;
        }
        operation
    }

    fn answer(&mut self, verb: &str, sub: Option<&DescribedSub<'_>>) -> Value {
        if let Some(sub) = sub {
            let name = catalog::type_name(sub.group, sub.version, sub.kind);
            return match name {
                _ if sub.kind == self.resource.kind => self.own(),
                _ if sub.kind.ends_with("Options") => json!({"type": "string"}),
                Some(name) => self.components.reference(name),
                None => json!({"type": "string"}),
            };
        }
        match verb {
            "list" => {
                let name = format!("{}List", self.resource.component());
                json!({"$ref": format!("#/components/schemas/{name}")})
            }
            "delete" | "deletecollection" => self.components.reference(STATUS),
            _ => self.own(),
        }
    }

    fn own(&self) -> Value {
        json!({"$ref": format!("#/components/schemas/{}", self.resource.component())})
    }

    fn body(&mut self, method: &str, verb: &str, answer: &Value) -> Option<Value> {
        let strategic = matches!(self.resource.shape, Shape::BuiltIn(_));
        match (method, verb) {
            ("post" | "put", _) => {
                let media = ["application/json"];
                Some(json!({"required": true, "content": content(&media, answer)}))
            }
            ("patch", _) => {
                let mut media = vec![
                    "application/apply-patch+yaml",
                    "application/json-patch+json",
                    "application/merge-patch+json",
                ];
                if strategic {
                    media.push("application/strategic-merge-patch+json");
                }
                let patch = self.components.reference(PATCH);
                Some(json!({"required": true, "content": content(&media, &patch)}))
            }
            ("delete", _) => {
                let options = self.components.reference(OPTIONS);
                Some(json!({"content": content(&["application/json"], &options)}))
            }
            _ => None,
        }
    }

    fn tag(&self) -> String {
        let group = self.resource.group.split('.').next().unwrap_or_default();
        let group = if group.is_empty() { "core" } else { group };
        format!("{group}_{}", self.resource.version)
    }

    fn operation_id(&self, verb: &str, sub: Option<&DescribedSub<'_>>) -> String {
        let verb = match verb {
            "get" => "read",
            "update" => "replace",
            "deletecollection" => "deleteCollection",
            other => other,
        };
        let capital = |text: &str| {
            let mut characters = text.chars();
            let first = characters.next().map(|c| c.to_ascii_uppercase());
            first.into_iter().chain(characters).collect::<String>()
        };
        let tag: String = self.tag().split('_').map(capital).collect();
        let scope = if self.resource.namespaced {
            "Namespaced"
        } else {
            ""
        };
        let sub = sub.map_or(String::new(), |sub| capital(sub.name));
        format!("{verb}{tag}{scope}{}{sub}", self.resource.kind)
    }
}

fn content(media: &[&str], schema: &Value) -> Value {
    let entries = media
        .iter()
        .map(|media| ((*media).to_owned(), json!({"schema": schema})));
    entries.collect::<Map<_, _>>().into()
}

fn path_parameters(resource: &Described<'_>, named: bool) -> Value {
    let parameter = |name: &str| {
        json!({"name": name, "in": "path", "required": true,
            "schema": {"type": "string", "uniqueItems": true}})
    };
    let present = [(named, "name"), (resource.namespaced, "namespace")];
    let mut found: Vec<Value> = present
        .iter()
        .filter(|(on, _)| *on)
        .map(|(_, name)| parameter(name))
        .collect();
    found.push(query_parameter("pretty", "string"));
    found.into()
}

fn query_parameter(name: &str, ty: &str) -> Value {
    json!({"name": name, "in": "query", "schema": {"type": ty, "uniqueItems": true}})
}

fn query(verb: &str) -> Vec<Value> {
    let names: &[(&str, &str)] = match verb {
        "list" | "deletecollection" => &[
            ("allowWatchBookmarks", "boolean"),
            ("continue", "string"),
            ("fieldSelector", "string"),
            ("labelSelector", "string"),
            ("limit", "integer"),
            ("resourceVersion", "string"),
            ("resourceVersionMatch", "string"),
            ("sendInitialEvents", "boolean"),
            ("timeoutSeconds", "integer"),
            ("watch", "boolean"),
        ],
        "create" | "update" => &[
            ("dryRun", "string"),
            ("fieldManager", "string"),
            ("fieldValidation", "string"),
        ],
        "patch" => &[
            ("dryRun", "string"),
            ("fieldManager", "string"),
            ("fieldValidation", "string"),
            ("force", "boolean"),
        ],
        "delete" => &[
            ("dryRun", "string"),
            ("gracePeriodSeconds", "integer"),
            (
                "ignoreStoreReadErrorWithClusterBreakingPotential",
                "boolean",
            ),
            ("orphanDependents", "boolean"),
            ("propagationPolicy", "string"),
        ],
        _ => &[],
    };
    names
        .iter()
        .map(|(name, ty)| query_parameter(name, ty))
        .collect()
}
