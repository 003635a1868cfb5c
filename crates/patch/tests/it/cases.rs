//! Short cases: an object, a patch, what comes out. Words are upstream's.

use std::sync::LazyLock;

use pilotis_kinds::catalog;
use pilotis_kinds::schema::Type;
use pilotis_patch::{ApplyError, FieldSet, Schema, Writer, apply, json_patch, merge_patch};
use pilotis_patch::{strategic_patch, track};
use serde_json::{Value, json};

pub(crate) fn schema(kind: &str) -> Schema<'static> {
    static POD: LazyLock<Type> = LazyLock::new(|| Type::Ref("io.k8s.api.core.v1.Pod".into()));
    static MAP: LazyLock<Type> = LazyLock::new(|| Type::Ref("io.k8s.api.core.v1.ConfigMap".into()));
    static SERVICE: LazyLock<Type> =
        LazyLock::new(|| Type::Ref("io.k8s.api.core.v1.Service".into()));
    static DEPLOYMENT: LazyLock<Type> =
        LazyLock::new(|| Type::Ref("io.k8s.api.apps.v1.Deployment".into()));
    let ty = match kind {
        "Pod" => &*POD,
        "ConfigMap" => &*MAP,
        "Service" => &*SERVICE,
        "Deployment" => &*DEPLOYMENT,
        _ => &Type::Any,
    };
    Schema {
        ty,
        types: catalog::types(),
    }
}

fn check_json(document: Value, patch: Value, expected: Result<Value, &str>) {
    let actual = json_patch(&document, &patch).map_err(|error| error.to_string());
    assert_eq!(actual, expected.map_err(str::to_owned), "{patch}");
}

#[test]
fn json_patch_operations() {
    let document = || json!({"a": {"b": [1, 2]}, "c/d": 1});
    check_json(
        document(),
        json!([{"op": "add", "path": "/a/b/1", "value": 9}, {"op": "remove", "path": "/c~1d"}]),
        Ok(json!({"a": {"b": [1, 9, 2]}})),
    );
    check_json(
        document(),
        json!([{"op": "move", "from": "/a/b/0", "path": "/a/first"},
               {"op": "copy", "from": "/a/first", "path": "/e"},
               {"op": "test", "path": "/e", "value": 1}]),
        Ok(json!({"a": {"b": [2], "first": 1}, "c/d": 1, "e": 1})),
    );
    check_json(
        document(),
        json!([{"op": "replace", "path": "/a/b/-1", "value": 3}]),
        Ok(json!({"a": {"b": [1, 3]}, "c/d": 1})),
    );
}

#[test]
fn json_patch_errors_are_upstreams() {
    let document = || json!({"a": [1]});
    check_json(
        document(),
        json!([{"op": "remove", "path": "/b"}]),
        Err("error in remove for path: '/b': Unable to remove nonexistent key: b: missing value"),
    );
    check_json(
        document(),
        json!([{"op": "add", "path": "/b/c", "value": 1}]),
        Err("add operation does not apply: doc is missing path: \"/b/c\": missing value"),
    );
    check_json(
        document(),
        json!([{"op": "test", "path": "/a/0", "value": 2}]),
        Err("testing value /a/0 failed: test failed"),
    );
    check_json(
        document(),
        json!([{"op": "frob", "path": "/a"}]),
        Err("Unexpected kind: frob"),
    );
    check_json(
        document(),
        Value::Array(vec![
            json!({"op": "test", "path": "", "value": {"a": [1]}});
            10_001
        ]),
        Err("The allowed maximum operations in a JSON patch is 10000, got 10001"),
    );
}

#[test]
fn copies_cannot_grow_without_bound() {
    let mut patch = vec![json!({"op": "add", "path": "/x", "value": "0123456789".repeat(100)})];
    patch.extend(vec![json!({"op": "copy", "from": "", "path": "/x"}); 1]);
    patch.extend((0..40).map(|i| json!({"op": "copy", "from": "/a", "path": format!("/a/x{i}")})));
    let document = json!({"a": {"b": "0123456789".repeat(100)}});
    assert!(json_patch(&document, &Value::Array(patch)).is_err());
}

#[test]
fn merge_patch_follows_the_rfc() {
    for (document, patch, expected) in [
        (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
        (
            json!({"a": "b", "b": 1}),
            json!({"a": null}),
            json!({"b": 1}),
        ),
        (
            json!({"a": [1]}),
            json!({"a": [2, null]}),
            json!({"a": [2, null]}),
        ),
        (
            json!({"a": 1}),
            json!({"a": {"b": {"c": null}}}),
            json!({"a": {"b": {}}}),
        ),
        (
            json!({"e": null}),
            json!({"a": 1}),
            json!({"a": 1, "e": null}),
        ),
    ] {
        assert_eq!(
            merge_patch(document, patch.clone()),
            Ok(expected),
            "{patch}"
        );
    }
    assert!(merge_patch(json!({}), json!("text")).is_err());
}

fn check_strategic(live: Value, patch: Value, expected: Result<Value, &str>) {
    let actual = strategic_patch(json!({"spec": live}), json!({"spec": patch}), schema("Pod"));
    let actual = actual
        .map(|object| object["spec"].clone())
        .map_err(|error| error.to_string());
    assert_eq!(actual, expected.map_err(str::to_owned), "{patch}");
}

#[test]
fn strategic_patch_merges_lists_by_key() {
    let live = || json!({"containers": [{"name": "a", "image": "1"}, {"name": "b", "image": "1"}]});
    check_strategic(
        live(),
        json!({"containers": [{"name": "b", "image": "2"}]}),
        Ok(json!({"containers": [{"name": "a", "image": "1"}, {"name": "b", "image": "2"}]})),
    );
    check_strategic(
        live(),
        json!({"containers": [{"name": "a", "$patch": "delete"}]}),
        Ok(json!({"containers": [{"name": "b", "image": "1"}]})),
    );
    check_strategic(
        live(),
        json!({"containers": [{"$patch": "replace"}, {"name": "c"}]}),
        Ok(json!({"containers": [{"name": "c"}]})),
    );
    check_strategic(
        live(),
        json!({"$setElementOrder/containers": [{"name": "b"}, {"name": "a"}]}),
        Ok(json!({"containers": [{"name": "b", "image": "1"}, {"name": "a", "image": "1"}]})),
    );
    check_strategic(
        live(),
        json!({"containers": [{"image": "2"}]}),
        Err("map: map[image:2] does not contain declared merge key: name"),
    );
}

#[test]
fn strategic_patch_obeys_its_directives() {
    check_strategic(
        json!({"volumes": [{"name": "v", "emptyDir": {}}]}),
        json!({"volumes": [{"name": "v", "$retainKeys": ["name", "secret"],
            "secret": {"secretName": "s"}}]}),
        Ok(json!({"volumes": [{"name": "v", "secret": {"secretName": "s"}}]})),
    );
    check_strategic(
        json!({"nodeSelector": {"a": "1", "b": "2"}}),
        json!({"nodeSelector": {"$patch": "replace", "c": "3"}}),
        Ok(json!({"nodeSelector": {"c": "3"}})),
    );
    check_strategic(
        json!({"tolerations": [{"key": "a"}, {"key": "b"}]}),
        json!({"tolerations": [{"key": "c"}]}),
        Ok(json!({"tolerations": [{"key": "c"}]})),
    );
    check_strategic(
        json!({"nodeSelector": {"a": "1"}}),
        json!({"nodeSelector": {"$patch": "frob"}}),
        Err("unknown patch type: frob in map: map[$patch:frob]"),
    );
}

#[test]
fn strategic_patch_deletes_from_lists_of_scalars() {
    let patched = strategic_patch(
        json!({"metadata": {"finalizers": ["a", "b", "c"]}}),
        json!({"metadata": {"$deleteFromPrimitiveList/finalizers": ["b"],
            "$setElementOrder/finalizers": ["d", "a"], "finalizers": ["d"]}}),
        schema("Pod"),
    );
    let expected = json!({"metadata": {"finalizers": ["d", "a", "c"]}});
    assert_eq!(patched, Ok(expected));
}

pub(crate) fn writer<'a>(manager: &'a str, version: &'a str, reset: &'a FieldSet) -> Writer<'a> {
    Writer {
        manager,
        api_version: version,
        subresource: "",
        time: "2026-01-01T00:00:00Z",
        reset,
        served: &[],
    }
}

fn config(data: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}, "data": data})
}

#[test]
fn fields_no_longer_applied_by_their_only_owner_disappear() {
    let none = FieldSet::default();
    let (a, b) = (writer("a", "v1", &none), writer("b", "v1", &none));
    let schema = schema("ConfigMap");
    let object = apply(
        None,
        &config(json!({"x": "1", "y": "1"})),
        &a,
        false,
        schema,
    )
    .unwrap();
    let object = apply(Some(&object), &config(json!({"y": "1"})), &b, false, schema).unwrap();
    let object = apply(Some(&object), &config(json!({})), &a, false, schema).unwrap();
    assert_eq!(object["data"], json!({"y": "1"}));
    let object = apply(Some(&object), &config(json!({})), &b, false, schema).unwrap();
    assert_eq!(object.get("data"), None);
}

#[test]
fn conflicts_name_their_owner_and_are_forced_away() {
    let none = FieldSet::default();
    let schema = schema("ConfigMap");
    let (a, b) = (writer("a", "v1", &none), writer("b", "v1", &none));
    let object = apply(None, &config(json!({"x": "1"})), &a, false, schema).unwrap();
    let object = track(Some(&object), with(&object, "y", "1"), &b, schema);
    let error = apply(Some(&object), &config(json!({"y": "2"})), &a, false, schema).unwrap_err();
    assert_eq!(
        error.to_string(),
        "Apply failed with 1 conflict: conflict with \"b\" using v1: .data.y"
    );
    let forced = apply(Some(&object), &config(json!({"y": "2"})), &a, true, schema).unwrap();
    assert_eq!(forced["data"], json!({"y": "2"}));
    let managers: Vec<&Value> = forced["metadata"]["managedFields"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| &entry["manager"])
        .collect();
    assert_eq!(managers, [&json!("a")]);
}

fn with(object: &Value, key: &str, value: &str) -> Value {
    let mut object = object.clone();
    object["data"][key] = json!(value);
    object
}

#[test]
fn a_configuration_that_does_not_fit_is_refused() {
    let none = FieldSet::default();
    let mut object = config(json!({"x": 1}));
    object["frob"] = json!(true);
    let error = apply(
        None,
        &object,
        &writer("a", "v1", &none),
        false,
        schema("ConfigMap"),
    );
    let Err(ApplyError::Misfit(words)) = error else {
        panic!("{error:?}");
    };
    assert_eq!(
        words,
        "errors:\n  .data.x: expected string, got &value.valueUnstructured{Value:1}\n  .frob: \
         field not declared in schema"
    );
}

#[test]
fn an_empty_entry_resets_ownership() {
    let none = FieldSet::default();
    let schema = schema("ConfigMap");
    let a = writer("a", "v1", &none);
    let object = apply(None, &config(json!({"x": "1"})), &a, false, schema).unwrap();
    let mut reset = object.clone();
    reset["metadata"]["managedFields"] = json!([{}]);
    let object = track(Some(&object), reset, &a, schema);
    assert_eq!(object["metadata"].get("managedFields"), None);
}

#[test]
fn the_eleventh_updater_makes_the_oldest_ancient() {
    let none = FieldSet::default();
    let schema = schema("ConfigMap");
    let mut object = track(None, config(json!({})), &writer("m", "v1", &none), schema);
    let names: Vec<String> = (0..12).map(|i| format!("m{i:02}")).collect();
    for name in &names {
        let changed = with(&object, name, "1");
        let live = (!object["metadata"]["managedFields"].is_null()).then_some(&object);
        object = track(live, changed, &writer(name, "v1", &none), schema);
    }
    let entries = object["metadata"]["managedFields"].as_array().unwrap();
    assert_eq!(entries.len(), 10);
    let ancient = entries.iter().find(|e| e["manager"] == "ancient-changes");
    let fields = &ancient.unwrap()["fieldsV1"]["f:data"];
    assert!(
        fields.get("f:m00").is_some() && fields.get("f:m01").is_some(),
        "{fields}"
    );
}
