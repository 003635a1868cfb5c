//! What must hold for any input.

use pilotis_patch::{FieldSet, apply, merge_patch, strategic_patch, track};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::cases::{schema, writer};

fn data() -> impl Strategy<Value = Value> {
    prop::collection::btree_map("[a-c]", "[0-2]", 0..4).prop_map(|map| {
        let map: Map<String, Value> = map.into_iter().map(|(k, v)| (k, json!(v))).collect();
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}, "data": map})
    })
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!(null)),
        any::<i8>().prop_map(|n| json!(n)),
        "[a-c]{0,2}".prop_map(|s| json!(s))
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            prop::collection::btree_map("[a-d]", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn merging_twice_is_merging_once(document in any_json(), patch in any_json()) {
        if let Ok(once) = merge_patch(document, patch.clone()) {
            prop_assert_eq!(merge_patch(once.clone(), patch), Ok(once));
        }
    }

    #[test]
    fn strategic_patch_survives_anything(document in any_json(), patch in any_json()) {
        let _ = strategic_patch(document, patch, schema("Pod"));
    }

    #[test]
    fn field_sets_survive_the_wire(value in any_json()) {
        let set = schema("any").field_set(&value);
        prop_assert_eq!(FieldSet::decode(&set.encode()).unwrap(), set);
    }

    #[test]
    fn set_algebra(a in any_json(), b in any_json()) {
        let (a, b) = (schema("any").field_set(&a), schema("any").field_set(&b));
        prop_assert_eq!(a.difference(&b).union(&a.intersection(&b)), a.clone());
        prop_assert!(a.without(&b).difference(&a).is_empty());
    }

    #[test]
    fn comparing_finds_nothing_only_in_equals(a in any_json(), b in any_json()) {
        let (a, b) = (json!({"a": a}), json!({"a": b}));
        let comparison = schema("any").compare(&a, &b);
        let is_same = comparison.changed().is_empty() && comparison.removed.is_empty();
        prop_assert_eq!(is_same, a == b);
    }

    #[test]
    fn applying_again_changes_nothing(first in data(), second in data()) {
        let none = FieldSet::default();
        let (a, b) = (writer("a", "v1", &none), writer("b", "v1", &none));
        let schema = schema("ConfigMap");
        let object = track(None, first, &a, schema);
        let applied = apply(Some(&object), &second, &b, true, schema).unwrap();
        let again = apply(Some(&applied), &second, &b, false, schema).unwrap();
        prop_assert_eq!(again, applied);
    }

    #[test]
    fn a_forced_apply_holds_all_its_values(live in data(), applied in data()) {
        let none = FieldSet::default();
        let schema = schema("ConfigMap");
        let object = track(None, live, &writer("a", "v1", &none), schema);
        let result = apply(Some(&object), &applied, &writer("b", "v1", &none), true, schema).unwrap();
        for (key, value) in applied["data"].as_object().unwrap() {
            prop_assert_eq!(&result["data"][key], value);
        }
    }
}
