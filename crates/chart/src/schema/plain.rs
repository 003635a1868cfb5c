//! Whether a schema is plainly one: true for the usual schema of a chart, found without the schemas
//! of schemas, whose compilation takes longer than a small chart takes to render.
//!
//! False means "ask the validator". True is promised only for what is a schema in the drafts 6, 7,
//! 2019-09 and 2020-12 alike: their metaschemas (json-schema.org) are the source of [`shape`].

use std::collections::HashSet;

use serde_json::{Map, Value as Json};

/// What a keyword takes.
#[derive(Clone, Copy)]
enum Shape {
    Anything,
    Text,
    Pattern,
    Switch,
    Number,
    Positive,
    Count,
    List,
    /// An array of different texts.
    Names,
    /// A simple type, or different ones.
    Types,
    Schema,
    /// Schemas, at least one.
    Schemas,
    /// An object whose values are schemas.
    SchemaMap,
    /// The same, whose keys are patterns.
    PatternMap,
    /// An object whose values are `Names`.
    NameMap,
    Reference,
    /// What only the validator can judge.
    Special,
}

/// The drafts judged here, as `$schema` names them.
const DRAFTS: [&str; 5] = [
    "json-schema.org/schema",
    "json-schema.org/draft-06/schema",
    "json-schema.org/draft-07/schema",
    "json-schema.org/draft/2019-09/schema",
    "json-schema.org/draft/2020-12/schema",
];

const TYPES: [&str; 7] = [
    "array", "boolean", "integer", "null", "number", "object", "string",
];

/// Whether the whole text is plainly a schema that refers to nothing outside itself.
pub(super) fn is_schema(root: &Json) -> bool {
    let Json::Object(keywords) = root else {
        return root.is_boolean();
    };
    is_known_draft(keywords.get("$schema"))
        && keywords
            .iter()
            .all(|(keyword, value)| keyword == "$schema" || fits(shape(keyword), value))
}

fn is_known_draft(named: Option<&Json>) -> bool {
    let Some(named) = named else { return true };
    let Some(named) = named.as_str() else {
        return false;
    };
    let named = named.strip_suffix('#').unwrap_or(named);
    let address = named
        .strip_prefix("http://")
        .or_else(|| named.strip_prefix("https://"));
    address.is_some_and(|address| DRAFTS.contains(&address))
}

fn shape(keyword: &str) -> Shape {
    match keyword {
        "$comment" | "title" | "description" | "format" | "contentEncoding"
        | "contentMediaType" => Shape::Text,
        "pattern" => Shape::Pattern,
        "patternProperties" => Shape::PatternMap,
        "readOnly" | "writeOnly" | "uniqueItems" | "deprecated" => Shape::Switch,
        "maximum" | "minimum" | "exclusiveMaximum" | "exclusiveMinimum" => Shape::Number,
        "multipleOf" => Shape::Positive,
        "maxLength" | "minLength" | "maxItems" | "minItems" | "maxProperties" | "minProperties"
        | "maxContains" | "minContains" => Shape::Count,
        "enum" | "examples" => Shape::List,
        "required" => Shape::Names,
        "type" => Shape::Types,
        "items"
        | "additionalItems"
        | "unevaluatedItems"
        | "contains"
        | "additionalProperties"
        | "unevaluatedProperties"
        | "propertyNames"
        | "if"
        | "then"
        | "else"
        | "not"
        | "contentSchema" => Shape::Schema,
        "allOf" | "anyOf" | "oneOf" | "prefixItems" => Shape::Schemas,
        "properties" | "definitions" | "$defs" | "dependentSchemas" => Shape::SchemaMap,
        "dependentRequired" => Shape::NameMap,
        "$ref" => Shape::Reference,
        "dependencies" | "id" => Shape::Special,
        other if other.starts_with('$') => Shape::Special,
        _ => Shape::Anything,
    }
}

fn fits(shape: Shape, value: &Json) -> bool {
    match shape {
        Shape::Anything => true,
        Shape::Text => value.is_string(),
        Shape::Pattern => value.as_str().is_some_and(is_pattern),
        Shape::Switch => value.is_boolean(),
        Shape::Number => value.is_number(),
        Shape::Positive => value.as_u64().is_some_and(|number| number > 0),
        Shape::Count => value.is_u64(),
        Shape::List => value.as_array().is_some_and(|items| all_differ(items)),
        Shape::Names => is_names(value),
        Shape::Types => is_type(value) || value.as_array().is_some_and(|types| are_types(types)),
        Shape::Schema => is_inner_schema(value),
        Shape::Schemas => value
            .as_array()
            .is_some_and(|all| !all.is_empty() && all.iter().all(is_inner_schema)),
        Shape::SchemaMap => has_only(value, is_inner_schema),
        Shape::PatternMap => {
            has_only(value, is_inner_schema)
                && value
                    .as_object()
                    .is_some_and(|entries| entries.keys().all(|key| is_pattern(key)))
        }
        Shape::NameMap => has_only(value, is_names),
        Shape::Reference => value.as_str().is_some_and(is_inside),
        Shape::Special => false,
    }
}

/// A schema below the root, which names no draft of its own.
fn is_inner_schema(value: &Json) -> bool {
    match value {
        Json::Bool(_) => true,
        Json::Object(keywords) => keywords
            .iter()
            .all(|(keyword, value)| fits(shape(keyword), value)),
        _ => false,
    }
}

fn has_only(value: &Json, is_right: fn(&Json) -> bool) -> bool {
    let entries: Option<&Map<String, Json>> = value.as_object();
    entries.is_some_and(|entries| entries.values().all(is_right))
}

fn is_names(value: &Json) -> bool {
    let Some(items) = value.as_array() else {
        return false;
    };
    let names: HashSet<&str> = items.iter().filter_map(Json::as_str).collect();
    names.len() == items.len()
}

fn is_type(value: &Json) -> bool {
    value.as_str().is_some_and(|name| TYPES.contains(&name))
}

fn are_types(types: &[Json]) -> bool {
    !types.is_empty() && types.iter().all(is_type) && all_differ(types)
}

/// Whether texts, and at least one, are all different: draft 6 wants that of `enum`, and what a
/// number equals is the validator's business.
fn all_differ(items: &[Json]) -> bool {
    let texts: HashSet<&str> = items.iter().filter_map(Json::as_str).collect();
    !items.is_empty() && texts.len() == items.len()
}

/// A pattern of ours that is one of ECMA 262 too, which has no bell.
fn is_pattern(text: &str) -> bool {
    !text.contains("\\a") && regex::Regex::new(text).is_ok()
}

/// A pointer from the root of the same text, without what would have to be decoded.
fn is_inside(reference: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/_-.$".contains(&byte);
    reference
        .strip_prefix('#')
        .is_some_and(|pointer| pointer.bytes().all(plain))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::super::{ADDRESS, PROVEN_ADDRESS, hold};
    use super::*;

    const KEYWORDS: [&str; 22] = [
        "type",
        "required",
        "enum",
        "items",
        "properties",
        "pattern",
        "patternProperties",
        "minLength",
        "multipleOf",
        "maximum",
        "allOf",
        "not",
        "$ref",
        "$defs",
        "definitions",
        "dependentRequired",
        "uniqueItems",
        "examples",
        "title",
        "deprecated",
        "format",
        "strange",
    ];

    /// Values that some keyword takes and others do not.
    fn value(schema: impl Strategy<Value = Json> + Clone + 'static) -> impl Strategy<Value = Json> {
        let word = prop::sample::select(vec![
            "string",
            "object",
            "a",
            "^a+$",
            "(",
            "\\a",
            "#",
            "#/$defs/a",
            "#/b",
            "other.json",
        ]);
        let number = prop_oneof![
            Just(json!(-1)),
            Just(json!(0)),
            Just(json!(2.5)),
            Just(json!(3))
        ];
        prop_oneof![
            word.clone().prop_map(|word| json!(word)),
            number,
            any::<bool>().prop_map(|switch| json!(switch)),
            prop::collection::vec(word.clone(), 0..3).prop_map(|words| json!(words)),
            prop::collection::vec(schema.clone(), 0..3).prop_map(|all| json!(all)),
            prop::collection::hash_map(word, schema.clone(), 0..3).prop_map(|map| json!(map)),
            schema,
        ]
    }

    fn schema() -> impl Strategy<Value = Json> {
        let leaf = prop_oneof![
            Just(json!(true)),
            Just(json!({})),
            Just(json!({"type": "string"}))
        ];
        leaf.prop_recursive(4, 24, 3, |inner| {
            let keyword = prop::sample::select(KEYWORDS.to_vec());
            prop::collection::hash_map(keyword, value(inner), 0..3).prop_map(|map| json!(map))
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 4000, ..ProptestConfig::default() })]

        #[test]
        fn what_is_plainly_a_schema_is_judged_alike_both_ways(
            schema in schema(),
            draft in prop::sample::select(DRAFTS.to_vec()),
        ) {
            let mut schema = schema;
            if let Some(keywords) = schema.as_object_mut() {
                keywords.insert("$schema".to_owned(), json!(format!("http://{draft}#")));
            }
            if !is_schema(&schema) {
                return Ok(());
            }
            for values in [json!({}), json!({"a": "b", "object": {"a": 1}})] {
                let short = hold(PROVEN_ADDRESS, schema.clone(), &values);
                let long = hold(ADDRESS, schema.clone(), &values);
                // A failure is told by the long way; only a success has to be the same.
                prop_assert!(short.is_err() || long.is_ok(), "{schema} {values}: {long:?}");
            }
        }
    }

    #[test]
    fn a_usual_schema_is_plain() {
        assert!(is_schema(&json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "required": ["image"],
            "properties": {
                "image": {"type": "string", "pattern": "^[a-z]+$"},
                "ports": {"type": ["array", "null"], "items": {"$ref": "#/$defs/port"}},
            },
            "$defs": {"port": {"type": "integer", "minimum": 1, "maximum": 65535}},
        })));
    }

    #[test]
    fn what_is_not_plain_is_left_to_the_validator() {
        for schema in [
            json!([]),
            json!({"type": "text"}),
            json!({"properties": {"a": 3}}),
            json!({"required": ["a", "a"]}),
            json!({"pattern": "("}),
            json!({"$ref": "other.json"}),
            json!({"$id": "http://example.org/"}),
            json!({"$schema": "http://json-schema.org/draft-04/schema#"}),
            json!({"items": [{"type": "string"}]}),
        ] {
            assert!(!is_schema(&schema), "{schema}");
        }
    }
}
