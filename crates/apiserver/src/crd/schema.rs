//! A structural schema as the types every other reader works with.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use pilotis_kinds::catalog;
use pilotis_kinds::schema::{Field, List, ListKind, Map, Object, Scalar, Strategy, Type, Types};
use serde_json::Value;

/// Name of the whole object's type.
pub(crate) const ROOT: &str = "object";
/// Name of the metadata type.
pub(crate) const OBJECT_META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";
/// What metadata refers to.
const META_TYPES: &[&str] = &[
    OBJECT_META,
    "io.k8s.apimachinery.pkg.apis.meta.v1.OwnerReference",
    "io.k8s.apimachinery.pkg.apis.meta.v1.ManagedFieldsEntry",
    "io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1",
];
/// Schemas nested deeper are taken as "anything".
const DEPTH_MAX: usize = 64;

/// The types of a custom kind.
pub(crate) fn to_types(root: &Value, preserve: bool) -> Types {
    let mut named: HashMap<Arc<str>, Arc<Object>> = HashMap::new();
    for name in META_TYPES {
        if let Some(object) = catalog::types().get(name) {
            named.insert((*name).into(), Arc::clone(object));
        }
    }
    let mut object = object(root, 0);
    object.open |= preserve || root.get("properties").is_none();
    identity(&mut object);
    named.insert(ROOT.into(), Arc::new(object));
    Types::new(named)
}

/// `apiVersion`, `kind` and `metadata`, which every object has whatever its schema says.
fn identity(object: &mut Object) {
    for name in ["apiVersion", "kind"] {
        object
            .fields
            .insert(name.into(), plain(Type::Scalar(Scalar::String)));
    }
    object
        .fields
        .insert("metadata".into(), plain(Type::Ref(OBJECT_META.into())));
}

fn plain(ty: Type) -> Field {
    Field {
        ty,
        required: false,
        nullable: false,
        default: None,
        wire: None,
    }
}

fn object(schema: &Value, depth: usize) -> Object {
    let required: Vec<&str> = schema["required"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let mut fields = BTreeMap::new();
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let field = Field {
            ty: ty(property, depth + 1),
            required: required.contains(&name.as_str()),
            nullable: property["nullable"] == true,
            default: property.get("default").cloned(),
            wire: None,
        };
        fields.insert(name.clone(), field);
    }
    let mut object = Object {
        fields,
        atomic: schema["x-kubernetes-map-type"] == "atomic",
        open: schema["x-kubernetes-preserve-unknown-fields"] == true,
        ..Object::default()
    };
    if schema["x-kubernetes-embedded-resource"] == true {
        identity(&mut object);
    }
    object
}

fn ty(schema: &Value, depth: usize) -> Type {
    if depth > DEPTH_MAX {
        return Type::Any;
    }
    if schema["x-kubernetes-int-or-string"] == true {
        return Type::Scalar(Scalar::IntOrString);
    }
    match schema["type"].as_str() {
        Some("object") => object_type(schema, depth),
        Some("array") => Type::List(Arc::new(List {
            item: ty(&schema["items"], depth + 1),
            kind: list_kind(schema),
            strategy: Strategy::Replace,
        })),
        Some("string") => Type::Scalar(Scalar::String),
        Some("integer") => Type::Scalar(Scalar::Integer),
        Some("number") => Type::Scalar(Scalar::Number),
        Some("boolean") => Type::Scalar(Scalar::Boolean),
        _ => Type::Any,
    }
}

fn object_type(schema: &Value, depth: usize) -> Type {
    let additional = &schema["additionalProperties"];
    if additional.is_object() || *additional == true {
        let value = if additional.is_object() {
            ty(additional, depth + 1)
        } else {
            Type::Any
        };
        let atomic = schema["x-kubernetes-map-type"] == "atomic";
        return Type::Map(Arc::new(Map { value, atomic }));
    }
    let object = object(schema, depth);
    if object.fields.is_empty() && object.open {
        Type::Any
    } else {
        Type::Object(Arc::new(object))
    }
}

fn list_kind(schema: &Value) -> ListKind {
    match schema["x-kubernetes-list-type"].as_str() {
        Some("set") => ListKind::Set,
        Some("map") => {
            let keys = schema["x-kubernetes-list-map-keys"]
                .as_array()
                .into_iter()
                .flatten();
            ListKind::Map(keys.filter_map(|k| k.as_str().map(str::to_owned)).collect())
        }
        _ => ListKind::Atomic,
    }
}
