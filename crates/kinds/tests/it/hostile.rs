//! Readers under input made to break them: an answer or an error, never a panic.

use pilotis_kinds::columns::JsonPath;
use pilotis_kinds::document::Node;
use pilotis_kinds::quantity::Quantity;
use pilotis_kinds::rules::formats;
use pilotis_kinds::{catalog, defaults, rules, time, typed, wire};
use proptest::prelude::*;
use serde_json::{Value, json};

fn envelope(kind: &str, raw: &[u8]) -> Vec<u8> {
    let mut body = b"k8s\0\x0a".to_vec();
    let mut meta = b"\x0a\x02v1\x12".to_vec();
    meta.push(u8::try_from(kind.len()).unwrap());
    meta.extend(kind.as_bytes());
    body.push(u8::try_from(meta.len()).unwrap());
    body.extend(meta);
    body.push(0x12);
    let mut length = raw.len();
    while length >= 0x80 {
        body.push(u8::try_from(length & 0x7f).unwrap() | 0x80);
        length >>= 7;
    }
    body.push(u8::try_from(length).unwrap());
    body.extend(raw);
    body
}

/// Any JSON of a few levels, with field names that pods have.
fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[a-z0-9%.:/-]{0,12}".prop_map(Value::from),
    ];
    let name = prop_oneof![
        Just("spec"),
        Just("metadata"),
        Just("containers"),
        Just("name"),
        Just("image"),
        Just("resources"),
        Just("limits"),
        Just("ports"),
        Just("labels"),
        Just("template"),
        Just("selector"),
        Just("volumes"),
        Just("env"),
        Just("strategy"),
        Just("other"),
    ];
    leaf.prop_recursive(6, 64, 8, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((name.clone(), inner), 0..6).prop_map(|fields| {
                fields
                    .into_iter()
                    .map(|(k, v)| (k.to_owned(), v))
                    .collect::<serde_json::Map<_, _>>()
                    .into()
            }),
        ]
    })
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(raw in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = wire::decode(&raw, None);
        for kind in ["Pod", "Service", "Event", "List"] {
            let _ = wire::decode(&envelope(kind, &raw), None);
        }
    }

    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,60}") {
        let _ = Quantity::parse(&text);
        let _ = JsonPath::parse(&text).map(|path| path.find(&json!({"a": [1]})).len());
        let _ = time::go_duration(&text).map(time::go_duration_text);
        let _ = (time::canonical_seconds(&text), time::canonical_micros(&text));
        let _ = (time::parse_message(&text), time::parse_message_micros(&text));
        let _ = (formats::qualified_name(&text), formats::port_name(&text));
    }

    #[test]
    fn quantities_read_back_as_they_were_written(
        text in "[0-9]{1,6}(\\.[0-9]{1,4})?(m|k|Ki|Mi|G|e3)?"
    ) {
        let first = Quantity::parse(&text).unwrap();
        let second = Quantity::parse(&first.to_string()).unwrap();
        prop_assert_eq!(first, second);
        prop_assert_eq!(first.to_string(), second.to_string());
    }

    #[test]
    fn reading_twice_changes_nothing_more(value in json_value()) {
        for kind in ["Pod", "Service", "ConfigMap"] {
            let resource = catalog::by_kind("", "v1", kind).unwrap();
            let node = Node::from(value.clone());
            let Ok(decoded) = typed::decode(catalog::types(), resource.type_name, node)
            else { continue };
            let mut once = decoded.value;
            let (types, name) = (catalog::types(), resource.type_name);
            let again = typed::canonical(types, name, once.clone()).unwrap();
            prop_assert_eq!(&once, &again);
            defaults::apply(resource, &mut once);
            let mut twice = once.clone();
            defaults::apply(resource, &mut twice);
            prop_assert_eq!(&once, &twice);
            let _ = rules::create(resource, &once);
            let _ = rules::update(resource, &once, &again);
        }
    }

    #[test]
    fn any_shape_is_ruled_without_panic(value in json_value()) {
        for resource in catalog::resources() {
            let _ = rules::create(resource, &value);
            let _ = rules::update(resource, &value, &value);
            let mut value = value.clone();
            defaults::apply(resource, &mut value);
        }
    }
}

#[test]
fn a_body_of_many_keys_takes_no_more_than_its_size() {
    let fields: Vec<String> = (0..200_000).map(|n| format!("\"k{n}\":0")).collect();
    let text = format!("{{\"kind\":\"Pod\",{}}}", fields.join(","));
    let node = Node::parse(text.as_bytes()).unwrap();
    let decoded = typed::decode(catalog::types(), "io.k8s.api.core.v1.Pod", node).unwrap();
    assert_eq!(decoded.strict.len(), 100);
}
