//! Whether a schema is plainly one: true for the usual schema of a chart, found without the schemas
//! of schemas, whose compilation takes longer than a small chart takes to render.
//!
//! False means "ask the validator". True is promised only for what is a schema in the drafts 7,
//! 2019-09 and 2020-12 alike: their metaschemas (json-schema.org) are the source of [`shape`].

use std::collections::HashSet;

use pilotis_template::Pattern;
use serde_json::Value as Json;

/// What a keyword takes.
#[derive(Clone, Copy)]
pub(super) enum Shape {
    Anything,
    Text,
    Pattern,
    Switch,
    Number,
    Positive,
    Count,
    List,
    /// Different values, at least one.
    Choice,
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

pub(super) const DRAFT_7: &str = "json-schema.org/draft-07/schema";

/// The drafts judged here, as `$schema` names them.
pub(super) const DRAFTS: [&str; 4] = [
    "json-schema.org/schema",
    DRAFT_7,
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
    let mut walk = Walk {
        root,
        references: HashSet::new(),
    };
    keywords
        .iter()
        .all(|(keyword, value)| match keyword.as_str() {
            "$schema" => draft(value).is_some_and(|address| DRAFTS.contains(&address)),
            "$id" => is_address(value),
            other => walk.fits(shape(other), value),
        })
}

/// Which draft `$schema` names, without its scheme and empty fragment.
pub(super) fn draft(named: &Json) -> Option<&str> {
    let named = named.as_str()?;
    let named = named.strip_suffix('#').unwrap_or(named);
    named
        .strip_prefix("http://")
        .or_else(|| named.strip_prefix("https://"))
}

pub(super) fn shape(keyword: &str) -> Shape {
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
        "enum" => Shape::Choice,
        "examples" => Shape::List,
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

struct Walk<'s> {
    root: &'s Json,
    /// References whose targets were looked at.
    references: HashSet<&'s str>,
}

impl<'s> Walk<'s> {
    fn fits(&mut self, shape: Shape, value: &'s Json) -> bool {
        match shape {
            Shape::Anything => true,
            Shape::Text => value.is_string(),
            Shape::Pattern => value.as_str().is_some_and(is_pattern),
            Shape::Switch => value.is_boolean(),
            Shape::Number => value.is_number(),
            Shape::Positive => value.as_u64().is_some_and(|number| number > 0),
            Shape::Count => value.is_u64(),
            Shape::List => value.is_array(),
            Shape::Choice => value.as_array().is_some_and(|items| are_choices(items)),
            Shape::Names => is_names(value),
            Shape::Types => is_type(value) || are_types(value),
            Shape::Schema => self.is_inner(value),
            Shape::Schemas => value
                .as_array()
                .is_some_and(|all| !all.is_empty() && all.iter().all(|one| self.is_inner(one))),
            Shape::SchemaMap => self.are_inner(value, |_| true),
            Shape::PatternMap => self.are_inner(value, is_pattern),
            Shape::NameMap => value
                .as_object()
                .is_some_and(|entries| entries.values().all(is_names)),
            Shape::Reference => value
                .as_str()
                .is_some_and(|text| self.leads_to_schema(text)),
            Shape::Special => false,
        }
    }

    /// A schema below the root, which names no draft of its own.
    fn is_inner(&mut self, value: &'s Json) -> bool {
        match value {
            Json::Bool(_) => true,
            Json::Object(keywords) => keywords
                .iter()
                .all(|(keyword, value)| self.fits(shape(keyword), value)),
            _ => false,
        }
    }

    fn are_inner(&mut self, value: &'s Json, is_key: fn(&str) -> bool) -> bool {
        value.as_object().is_some_and(|entries| {
            entries
                .iter()
                .all(|(key, value)| is_key(key) && self.is_inner(value))
        })
    }

    fn leads_to_schema(&mut self, reference: &'s str) -> bool {
        let Some(target) = target(self.root, reference) else {
            return false;
        };
        !self.references.insert(reference) || self.is_inner(target)
    }
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

fn are_types(types: &Json) -> bool {
    let is_any = types.as_array().is_some_and(|types| !types.is_empty());
    is_any
        && is_names(types)
        && types
            .as_array()
            .is_some_and(|types| types.iter().all(is_type))
}

/// Different texts, switches and nulls; what a number equals is the validator's business.
fn are_choices(items: &[Json]) -> bool {
    let is_scalar = |item: &Json| matches!(item, Json::Null | Json::Bool(_) | Json::String(_));
    let different: HashSet<String> = items.iter().map(Json::to_string).collect();
    !items.is_empty() && items.iter().all(is_scalar) && different.len() == items.len()
}

fn is_pattern(text: &str) -> bool {
    Pattern::parse(text).is_ok()
}

/// What a reference within the same text points at, where nothing has to be decoded.
pub(super) fn target<'s>(root: &'s Json, reference: &str) -> Option<&'s Json> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/_-.$".contains(&byte);
    let pointer = reference.strip_prefix('#')?;
    let is_inside = pointer.starts_with('/') && pointer.bytes().all(is_plain);
    is_inside.then(|| root.pointer(pointer)).flatten()
}

/// An absolute address for the whole text, which changes nothing for references within it.
fn is_address(value: &Json) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/_-.:".contains(&byte);
    value.as_str().is_some_and(|text| {
        let rest = text.strip_prefix("http").unwrap_or_default();
        let rest = rest.strip_prefix('s').unwrap_or(rest);
        let host = rest.strip_prefix("://").unwrap_or_default();
        let begins = host
            .bytes()
            .next()
            .is_some_and(|byte| byte.is_ascii_alphabetic());
        begins && text.bytes().all(is_plain) && host.matches(':').count() == 0
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::super::quick::{Verdict, judge};
    use super::super::{Elsewhere, hold};
    use super::*;

    const KEYWORDS: [&str; 38] = [
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
        "$id",
        "const",
        "anyOf",
        "oneOf",
        "if",
        "then",
        "else",
        "additionalProperties",
        "additionalItems",
        "prefixItems",
        "contains",
        "minItems",
        "maxItems",
        "maxLength",
        "exclusiveMinimum",
        "unevaluatedProperties",
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
            "#/properties/a",
            "#/not/not",
            "#/allOf/0",
            "#/strange",
            "https://example.org/a",
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

    fn values() -> impl Strategy<Value = Json> {
        let leaf = prop::sample::select(vec![
            json!(null),
            json!(true),
            json!(-1),
            json!(2.0),
            json!(2.5),
            json!(3),
            json!(""),
            json!("a"),
            json!("string"),
            json!("object"),
        ]);
        leaf.prop_recursive(3, 12, 3, |inner| {
            let word = prop::sample::select(vec!["string", "object", "a", "b"]);
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(|items| json!(items)),
                prop::collection::hash_map(word, inner, 0..3).prop_map(|map| json!(map)),
            ]
        })
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
            values in values(),
        ) {
            let mut schema = schema;
            if let Some(keywords) = schema.as_object_mut() {
                keywords.insert("$schema".to_owned(), json!(format!("http://{draft}#")));
            }
            if !is_schema(&schema) {
                return Ok(());
            }
            let found = judge(&schema, &values);
            let held = hold(schema.clone(), &values, &Elsewhere::default());
            match found {
                Verdict::Yes => prop_assert!(held.is_ok(), "{schema} {values}: {held:?}"),
                Verdict::No => prop_assert!(held.is_err(), "{schema} {values}"),
                Verdict::Doubt => {}
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
            json!({"$id": "other.json"}),
            json!({"$schema": "http://json-schema.org/draft-04/schema#"}),
            json!({"items": [{"type": "string"}]}),
        ] {
            assert!(!is_schema(&schema), "{schema}");
        }
    }
}
