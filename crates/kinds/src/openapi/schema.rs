//! Schemas of a document: every kind asked for and every type it reaches.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{Described, Shape, words};
use crate::catalog;
use crate::schema::{Field, Form, List, ListKind, Object, Scalar, Strategy, Type};
use crate::table::GRANULAR;

const META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.";
const EXTENSIONS: &str = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.";

/// The schemas gathered so far.
#[derive(Default)]
pub(super) struct Components {
    schemas: BTreeMap<String, Value>,
    kinds: BTreeMap<String, Vec<Value>>,
}

impl Components {
    /// Adds the schema of a kind and of its list.
    pub(super) fn add_kind(&mut self, resource: &Described<'_>) {
        let name = resource.component();
        self.name_kind(&name, resource.gvk());
        match resource.shape {
            Shape::BuiltIn(name) => self.reach(name),
            Shape::Custom(shape) => {
                let schema = self.custom(shape);
                self.schemas.insert(name.clone(), schema);
            }
        }
        let list = format!("{name}List");
        if let (Shape::BuiltIn(_), Some(_)) = (resource.shape, catalog::types().get(&list)) {
            self.reach(&list);
        } else if resource.verbs.contains(&"list") {
            let items = json!({"type": "array", "items": reference(&name)});
            let metadata = self.wrapped(&format!("{META}ListMeta"));
            self.schemas.insert(
                list.clone(),
                json!({
                    "type": "object",
                    "required": ["items"],
                    "properties": {
                        "apiVersion": {"type": "string"}, "kind": {"type": "string"},
                        "metadata": metadata, "items": items,
                    },
                }),
            );
        }
        let mut gvk = resource.gvk();
        gvk["kind"] = format!("{}List", resource.kind).into();
        self.name_kind(&list, gvk);
    }

    fn name_kind(&mut self, component: &str, gvk: Value) {
        let known = self.kinds.entry(component.to_owned()).or_default();
        if !known.contains(&gvk) {
            known.push(gvk);
        }
    }

    /// A reference to a named type, which is added with all it reaches.
    pub(super) fn reference(&mut self, name: &str) -> Value {
        self.reach(name);
        reference(name)
    }

    /// All schemas, with the kinds they stand for.
    pub(super) fn finish(mut self) -> Map<String, Value> {
        for (name, kinds) in self.kinds {
            if let Some(Value::Object(schema)) = self.schemas.get_mut(&name) {
                schema.insert("x-kubernetes-group-version-kind".to_owned(), kinds.into());
            }
        }
        self.schemas.into_iter().collect()
    }

    fn reach(&mut self, name: &str) {
        if self.schemas.contains_key(name) {
            return;
        }
        let schema = special(name);
        if let Some(schema) = schema {
            self.schemas.insert(name.to_owned(), schema);
            return;
        }
        let Some(object) = catalog::types().get(name) else {
            return;
        };
        self.schemas.insert(name.to_owned(), Value::Null);
        let mut schema = self.object(object);
        if let Some(properties) = schema["properties"].as_object_mut() {
            describe(name, properties);
        }
        self.schemas.insert(name.to_owned(), schema);
    }

    fn object(&mut self, object: &Object) -> Value {
        let mut properties = Map::new();
        let mut required = Vec::new();
        for (name, field) in &object.fields {
            properties.insert(name.clone(), self.field(field));
            if field.required {
                required.push(name.as_str());
            }
        }
        let mut schema = json!({"type": "object", "properties": properties});
        if !required.is_empty() {
            schema["required"] = required.into();
        }
        if object.atomic {
            schema["x-kubernetes-map-type"] = "atomic".into();
        }
        schema
    }

    fn field(&mut self, field: &Field) -> Value {
        let form = field.wire.map_or(Form::Plain, |wire| wire.form);
        let mut schema = match &field.ty {
            Type::Ref(name) => self.wrapped(name),
            ty => self.value(ty, form),
        };
        if let Type::List(list) = &field.ty {
            annotate_list(&mut schema, list);
        }
        let retained = |ty: &Type| catalog::types().object(ty).is_some_and(|o| o.retain_keys);
        if retained(&field.ty) {
            schema["x-kubernetes-patch-strategy"] = "retainKeys".into();
        }
        let told = field
            .default
            .as_ref()
            .filter(|d| **d != json!("") && **d != json!(0));
        if let Some(default) = told.filter(|d| **d != json!(false)) {
            schema["default"] = default.clone();
        }
        schema
    }

    /// A reference that may have siblings.
    fn wrapped(&mut self, name: &str) -> Value {
        match name.strip_suffix(GRANULAR) {
            Some(name) => json!({
                "allOf": [self.reference(name)],
                "x-kubernetes-map-type": "granular",
            }),
            None => json!({"allOf": [self.reference(name)]}),
        }
    }

    fn value(&mut self, ty: &Type, form: Form) -> Value {
        match ty {
            Type::Scalar(scalar) => self.scalar(*scalar, form),
            Type::Object(object) => self.object(object),
            Type::Ref(name) => self.reference(name),
            Type::List(list) => {
                json!({"type": "array", "items": self.value(&list.item, form)})
            }
            Type::Map(map) => {
                let value = self.value(&map.value, form);
                let mut schema = json!({"type": "object", "additionalProperties": value});
                if map.atomic {
                    schema["x-kubernetes-map-type"] = "atomic".into();
                }
                schema
            }
            Type::Any => self.any(form),
        }
    }

    fn scalar(&mut self, scalar: Scalar, form: Form) -> Value {
        match scalar {
            Scalar::String => json!({"type": "string"}),
            Scalar::Bytes => json!({"type": "string", "format": "byte"}),
            Scalar::Integer if form == Form::Int32 => {
                json!({"type": "integer", "format": "int32"})
            }
            Scalar::Integer => json!({"type": "integer", "format": "int64"}),
            Scalar::Number => json!({"type": "number", "format": "double"}),
            Scalar::Boolean => json!({"type": "boolean"}),
            Scalar::IntOrString => self.wrapped("io.k8s.apimachinery.pkg.util.intstr.IntOrString"),
            Scalar::Quantity => self.wrapped("io.k8s.apimachinery.pkg.api.resource.Quantity"),
            Scalar::Time => self.wrapped(&format!("{META}Time")),
            Scalar::MicroTime => self.wrapped(&format!("{META}MicroTime")),
            Scalar::Duration => self.wrapped(&format!("{META}Duration")),
        }
    }

    fn any(&mut self, form: Form) -> Value {
        let name = match form {
            Form::FieldsV1 => format!("{META}FieldsV1"),
            Form::RawExtension => "io.k8s.apimachinery.pkg.runtime.RawExtension".to_owned(),
            Form::Json => format!("{EXTENSIONS}JSON"),
            Form::SchemaOrArray => format!("{EXTENSIONS}JSONSchemaPropsOrArray"),
            Form::SchemaOrBool => format!("{EXTENSIONS}JSONSchemaPropsOrBool"),
            Form::SchemaOrStrings => format!("{EXTENSIONS}JSONSchemaPropsOrStringArray"),
            Form::Plain | Form::Int32 | Form::Strings => return json!({}),
        };
        self.reference(&name)
    }

    /// The schema of a custom kind with what every object has.
    fn custom(&mut self, shape: &Value) -> Value {
        let mut schema = if shape.is_object() {
            shape.clone()
        } else {
            json!({})
        };
        schema["type"] = "object".into();
        if schema.get("x-kubernetes-preserve-unknown-fields") == Some(&Value::Bool(true))
            && schema.get("properties").is_none()
        {
            return schema;
        }
        if !schema["properties"].is_object() {
            schema["properties"] = json!({});
        }
        schema["properties"]["apiVersion"] = json!({"type": "string"});
        schema["properties"]["kind"] = json!({"type": "string"});
        schema["properties"]["metadata"] = self.wrapped(&format!("{META}ObjectMeta"));
        if let Some(properties) = schema["properties"].as_object_mut() {
            describe("", properties);
        }
        schema
    }
}

/// Says what the fields are for that every object has.
fn describe(type_name: &str, properties: &mut Map<String, Value>) {
    let words = match type_name.strip_prefix(META) {
        Some("ObjectMeta") => words::of_metadata,
        _ if properties.contains_key("apiVersion") && properties.contains_key("metadata") => {
            words::of_object
        }
        _ => return,
    };
    for (field, schema) in properties {
        if let Some(text) = words(field) {
            schema["description"] = text.into();
        }
    }
}

fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

fn annotate_list(schema: &mut Value, list: &List) {
    match &list.kind {
        ListKind::Map(keys) => {
            schema["x-kubernetes-list-type"] = "map".into();
            schema["x-kubernetes-list-map-keys"] = keys.clone().into();
        }
        ListKind::Set => schema["x-kubernetes-list-type"] = "set".into(),
        ListKind::Atomic => schema["x-kubernetes-list-type"] = "atomic".into(),
    }
    if let Strategy::Merge(key) = &list.strategy {
        let retained = catalog::types()
            .object(&list.item)
            .is_some_and(|o| o.retain_keys);
        let strategy = if retained {
            "merge,retainKeys"
        } else {
            "merge"
        };
        schema["x-kubernetes-patch-strategy"] = strategy.into();
        if let Some(key) = key {
            schema["x-kubernetes-patch-merge-key"] = key.clone().into();
        }
        if list.kind == ListKind::Atomic
            && let Value::Object(fields) = schema
        {
            fields.remove("x-kubernetes-list-type");
        }
    }
}

/// Types that are leaves or free-form in JSON.
fn special(name: &str) -> Option<Value> {
    let last = name.rsplit('.').next().unwrap_or(name);
    Some(match last {
        "IntOrString" => {
            json!({"format": "int-or-string", "oneOf": [{"type": "integer"}, {"type": "string"}]})
        }
        "Quantity" => json!({"oneOf": [{"type": "string"}, {"type": "number"}]}),
        "Time" | "MicroTime" => json!({"type": "string", "format": "date-time"}),
        "Duration" => json!({"type": "string"}),
        "FieldsV1" | "RawExtension" | "Patch" => json!({"type": "object"}),
        "JSON"
        | "JSONSchemaPropsOrArray"
        | "JSONSchemaPropsOrBool"
        | "JSONSchemaPropsOrStringArray" => json!({}),
        _ => return None,
    })
}
