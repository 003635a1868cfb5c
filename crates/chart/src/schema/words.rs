//! What is wrong with values, in the words of the validator Helm has.
//!
//! It is written in Go by the author of ours; the words differ. Numbers are written as its message
//! printer writes English ones.

use boon::ErrorKind;
use pilotis_template::{Pattern, quote};
use serde_json::{Number, Value as Json};

use super::patterns::Originals;

/// Several causes of one schema.
pub(super) const GROUP: &str = "validation failed";
pub(super) const ALL_OF: &str = "'allOf' failed";
pub(super) const ANY_OF: &str = "'anyOf' failed";
pub(super) const ONE_OF: &str = "'oneOf' failed, none matched";

/// What is wrong, without where.
pub(super) fn wording(kind: &ErrorKind<'_, '_>, originals: &Originals) -> String {
    match kind {
        ErrorKind::Required { want } if want.len() == 1 => {
            format!("missing property {}", quoted(want[0]))
        }
        ErrorKind::Required { want } => format!("missing properties {}", list(want)),
        ErrorKind::Type { got, want } => {
            let names: Vec<String> = want.iter().map(|kind| kind.to_string()).collect();
            format!("got {got}, want {}", names.join(" or "))
        }
        ErrorKind::AdditionalProperties { got } => {
            format!("additional properties {} not allowed", list(got))
        }
        ErrorKind::AdditionalItems { got } => format!("last {got} additionalItem(s) not allowed"),
        ErrorKind::PropertyName { prop } => {
            format!("invalid propertyName {}", quoted(originals.of(prop)))
        }
        ErrorKind::Dependency { prop, missing }
        | ErrorKind::DependentRequired { prop, missing } => {
            let prop = quoted(prop);
            format!("properties {} required, if {prop} exists", list(missing))
        }
        ErrorKind::Enum { want } => one_of(want),
        ErrorKind::Const { want } => match want {
            Json::Array(_) | Json::Object(_) => "'const' failed".to_owned(),
            want => format!("value must be {}", primitive(want)),
        },
        ErrorKind::MinContains { got, want } if got.is_empty() => {
            format!("min {want} items required to match contains schema, but none matched")
        }
        ErrorKind::MinContains { got, want } => contained("min", got, *want),
        ErrorKind::MaxContains { got, want } => contained("max", got, *want),
        ErrorKind::Pattern { got, want } => {
            let want = originals.of(want);
            format!("{} does not match pattern {}", quoted(got), quoted(want))
        }
        ErrorKind::Format {
            got,
            want: "regex",
            err,
        } => {
            let got = got.as_str().map_or("", |got| originals.of(got));
            let why = mistake(got).unwrap_or_else(|| err.to_string());
            format!("{} is not valid regex: {why}", quoted(got))
        }
        ErrorKind::Format { got, want, err } => {
            format!("{} is not valid {want}: {err}", primitive(got))
        }
        ErrorKind::RefCycle {
            url,
            kw_loc1,
            kw_loc2,
        } => {
            let url = quote(url.as_bytes());
            format!("both {kw_loc1} and {kw_loc2} resolve to {url} causing reference cycle")
        }
        ErrorKind::ContentSchema => "'contentSchema' failed".to_owned(),
        ErrorKind::Not => "'not' failed".to_owned(),
        ErrorKind::Group => GROUP.to_owned(),
        ErrorKind::AllOf => ALL_OF.to_owned(),
        ErrorKind::AnyOf => ANY_OF.to_owned(),
        ErrorKind::OneOf(None) => ONE_OF.to_owned(),
        ErrorKind::OneOf(Some((one, other))) => {
            format!("'oneOf' failed, subschemas {one}, {other} matched")
        }
        limit => beyond(limit),
    }
}

/// How a limit is missed.
fn beyond(limit: &ErrorKind<'_, '_>) -> String {
    let counts = |name: &str, got: usize, want: usize| {
        let (got, want) = (grouped(&got.to_string()), grouped(&want.to_string()));
        format!("{name}: got {got}, want {want}")
    };
    let bounds = |name: &str, got: &Number, want: &Number| {
        format!("{name}: got {}, want {}", number(got), number(want))
    };
    match limit {
        ErrorKind::MinProperties { got, want } => counts("minProperties", *got, *want),
        ErrorKind::MaxProperties { got, want } => counts("maxProperties", *got, *want),
        ErrorKind::MinLength { got, want } => counts("minLength", *got, *want),
        ErrorKind::MaxLength { got, want } => counts("maxLength", *got, *want),
        ErrorKind::MinItems { got, want } => counts("minItems", *got, *want),
        ErrorKind::MaxItems { got, want } => counts("maxItems", *got, *want),
        ErrorKind::Minimum { got, want } => bounds("minimum", got, want),
        ErrorKind::Maximum { got, want } => bounds("maximum", got, want),
        ErrorKind::ExclusiveMinimum { got, want } => bounds("exclusiveMinimum", got, want),
        ErrorKind::ExclusiveMaximum { got, want } => bounds("exclusiveMaximum", got, want),
        ErrorKind::MultipleOf { got, want } => bounds("multipleOf", got, want),
        other => other.to_string(),
    }
}

/// What Go says of a pattern it refuses.
pub(super) fn mistake(pattern: &str) -> Option<String> {
    Pattern::parse(pattern).err()
}

fn one_of(want: &[Json]) -> String {
    match want {
        [only] if !only.is_array() && !only.is_object() => {
            format!("value must be {}", primitive(only))
        }
        want if want
            .iter()
            .any(|value| value.is_array() || value.is_object()) =>
        {
            "'enum' failed".to_owned()
        }
        want => {
            let names: Vec<String> = want.iter().map(primitive).collect();
            format!("value must be one of {}", names.join(", "))
        }
    }
}

fn contained(which: &str, got: &[usize], want: usize) -> String {
    let places: Vec<String> = got.iter().map(usize::to_string).collect();
    let (count, places) = (got.len(), places.join(" "));
    format!(
        "{which} {want} items required to match contains schema, but matched {count} items at {places}"
    )
}

fn primitive(value: &Json) -> String {
    match value {
        Json::Null => "<nil>".to_owned(),
        Json::String(text) => quoted(text),
        other => other.to_string(),
    }
}

fn list<T: AsRef<str>>(names: &[T]) -> String {
    let names: Vec<String> = names.iter().map(|name| quoted(name.as_ref())).collect();
    names.join(", ")
}

/// A text between single quotes.
pub(super) fn quoted(text: &str) -> String {
    let text = quote(text.as_bytes())
        .replace("\\\"", "\"")
        .replace('\'', "\\'");
    format!("'{}'", &text[1..text.len() - 1])
}

fn number(number: &Number) -> String {
    let text = match number.as_f64() {
        Some(value) => value.to_string(),
        None => number.to_string(),
    };
    grouped(&text)
}

/// Thousands set apart by commas.
fn grouped(text: &str) -> String {
    let (whole, fraction) = text.split_at(text.find('.').unwrap_or(text.len()));
    let (sign, digits) = match whole.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", whole),
    };
    let mut out = String::from(sign);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out + fraction
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    /// What Helm says of values whose one field is `v`, whose schema is given.
    fn told(schema: &Json, value: &Json) -> String {
        let schema = json!({"properties": {"v": schema}}).to_string();
        let told = crate::schema::validate(&schema, &json!({ "v": value }), &mut Vec::new());
        told.expect_err(&schema)
    }

    fn check(cases: &[(Json, Json, &str)]) {
        for (schema, value, expected) in cases {
            let expected = format!("- at '/v': {expected}\n");
            assert_eq!(told(schema, value), expected, "{schema}");
        }
    }

    #[test]
    fn sizes_and_choices_are_told_as_helm_tells_them() {
        check(&[
            (
                json!({"maximum": 65535}),
                json!(70000.0),
                "maximum: got 70,000, want 65,535",
            ),
            (
                json!({"minimum": 1000.5}),
                json!(1),
                "minimum: got 1, want 1,000.5",
            ),
            (
                json!({"exclusiveMaximum": 1000}),
                json!(1000.0),
                "exclusiveMaximum: got 1,000, want 1,000",
            ),
            (
                json!({"exclusiveMinimum": 10}),
                json!(9.5),
                "exclusiveMinimum: got 9.5, want 10",
            ),
            (
                json!({"multipleOf": 1000}),
                json!(1500),
                "multipleOf: got 1,500, want 1,000",
            ),
            (
                json!({"minLength": 1500}),
                json!("abc"),
                "minLength: got 3, want 1,500",
            ),
            (
                json!({"minProperties": 2}),
                json!({"a": 1}),
                "minProperties: got 1, want 2",
            ),
            (
                json!({"maxItems": 1}),
                json!([1, 2]),
                "maxItems: got 2, want 1",
            ),
            (
                json!({"enum": ["a", 1, null, true, 1000]}),
                json!("z"),
                "value must be one of 'a', 1, <nil>, true, 1000",
            ),
            (json!({"enum": ["x"]}), json!("y"), "value must be 'x'"),
            (
                json!({"enum": [{"a": 1}, "b"]}),
                json!("y"),
                "'enum' failed",
            ),
            (json!({"const": [1]}), json!(5), "'const' failed"),
            (
                json!({"pattern": "^[a-z']+$"}),
                json!("A'B\"c"),
                "'A\\'B\"c' does not match pattern '^[a-z\\']+$'",
            ),
            (
                json!({"uniqueItems": true}),
                json!([1, 2, 1]),
                "items at 0 and 2 are equal",
            ),
        ]);
    }

    #[test]
    fn parts_are_told_as_helm_tells_them() {
        let integer = json!({"type": "integer"});
        check(&[
            (
                json!({"contains": {"type": "string"}, "maxContains": 1}),
                json!(["a", "b", 1]),
                "max 1 items required to match contains schema, but matched 2 items at 0 1",
            ),
            (
                json!({"contains": {"type": "string"}, "minContains": 2}),
                json!(["a", 1]),
                "min 2 items required to match contains schema, but matched 1 items at 0\n  \
                 - at '/v/1': got number, want string",
            ),
            (
                json!({"additionalProperties": false}),
                json!({"y": 1, "w'v": 2}),
                "additional properties 'w\\'v', 'y' not allowed",
            ),
            (
                json!({"required": ["a", "b"]}),
                json!({}),
                "missing properties 'a', 'b'",
            ),
            (
                json!({"dependentRequired": {"a": ["b", "c"]}}),
                json!({"a": 1}),
                "properties 'b', 'c' required, if 'a' exists",
            ),
            (
                json!({"oneOf": [{"type": "string"}, {"minLength": 1}]}),
                json!("x"),
                "'oneOf' failed, subschemas 0, 1 matched",
            ),
            (
                json!({"anyOf": [integer, {"type": "null"}]}),
                json!("x"),
                "'anyOf' failed\n  - at '/v': got string, want integer\n  \
                 - at '/v': got string, want null",
            ),
        ]);
    }

    #[test]
    fn causes_of_one_schema_stand_below_it() {
        let inner = json!({"properties": {"b": {"type": "integer"}, "c": {"type": "integer"}}});
        let schema = json!({"properties": {"a": inner, "d": {"type": "integer"}}});
        let expected = "- at '/v/a': validation failed\n  \
             - at '/v/a/b': got string, want integer\n  \
             - at '/v/a/c': got boolean, want integer\n\
             - at '/v/d': got string, want integer\n";
        let value = json!({"a": {"b": "x", "c": true}, "d": "z"});
        assert_eq!(told(&schema, &value), expected);
    }
}
