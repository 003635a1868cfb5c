//! Why a schema refuses values: causes under causes, as the validator Helm has tells them.
//!
//! It is written in Go by the author of ours, and both find the same. But ours leaves out an
//! `allOf`, `anyOf` or `oneOf` of which one schema alone refuses the value, and what it would have
//! held together then lies loose. The way from one cause to the next through the schema tells what
//! was left out. Both look at the keywords of a schema in the same order; what Helm finds in the
//! fields of a value comes in any order there, and in the order of their names here.

use boon::{ErrorKind, ValidationError};

use super::patterns::Originals;
use super::words::{ALL_OF, ANY_OF, GROUP, ONE_OF, quoted, wording};

/// What one schema refuses of one value.
struct Cause {
    /// JSON pointer of the value.
    place: String,
    words: String,
    /// Whether this only leads to another schema.
    refers: bool,
    below: Vec<Cause>,
}

/// The causes below the root, a line each, those of a cause below it and further in.
pub(super) fn told(error: &ValidationError<'_, '_>, originals: &Originals) -> String {
    all(&below(error, originals), 0)
}

fn all(causes: &[Cause], depth: usize) -> String {
    causes.iter().map(|cause| shown(cause, depth)).collect()
}

fn shown(cause: &Cause, depth: usize) -> String {
    // A reference to what has one cause is only said to be that.
    if cause.refers && cause.below.len() == 1 {
        return all(&cause.below, depth);
    }
    let (place, words) = (quoted(&cause.place), &cause.words);
    let indent = "  ".repeat(depth);
    format!("{indent}- at {place}: {words}\n") + &all(&cause.below, depth + 1)
}

/// The causes of an error, with those that were left out.
fn below(error: &ValidationError<'_, '_>, originals: &Originals) -> Vec<Cause> {
    let causes = looked_for(error);
    let ways: Vec<Vec<Step>> = causes.iter().map(|cause| way(error, cause)).collect();
    let shared = shared(error, &ways);
    let rest = causes.iter().zip(&ways);
    let rest = rest.map(|(cause, way)| wrapped(&way[shared..], vec![found(cause, originals)]));
    let rest: Vec<Cause> = rest.flatten().collect();
    match ways.first() {
        Some(way) if shared > 0 => {
            let group = Cause {
                place: way[shared - 1].place.clone(),
                words: GROUP.to_owned(),
                refers: false,
                below: rest,
            };
            wrapped(&way[..shared], vec![group])
        }
        _ => rest,
    }
}

/// The causes Helm finds: in a value that has not the format wanted it looks for nothing more.
fn looked_for<'a>(error: &'a ValidationError<'_, '_>) -> &'a [ValidationError<'a, 'a>] {
    let here = match error.kind {
        ErrorKind::Reference { url, .. } | ErrorKind::Schema { url } => url,
        _ => error.schema_url,
    };
    let is_format = |cause: &ValidationError<'_, '_>| {
        matches!(cause.kind, ErrorKind::Format { .. }) && cause.schema_url == here
    };
    let is_one_of = matches!(
        error.kind,
        ErrorKind::AllOf | ErrorKind::AnyOf | ErrorKind::OneOf(_)
    );
    match error.causes.first() {
        Some(first) if is_format(first) && !is_one_of => &error.causes[..1],
        _ => &error.causes,
    }
}

/// How many steps all causes share that lie loose since what held them together was left out.
fn shared(error: &ValidationError<'_, '_>, ways: &[Vec<Step>]) -> usize {
    let takes_apart = matches!(
        error.kind,
        ErrorKind::Schema { .. } | ErrorKind::Reference { .. } | ErrorKind::PropertyName { .. }
    );
    let (Some((first, others)), true) = (ways.split_first(), takes_apart && ways.len() > 1) else {
        return 0;
    };
    let is_shared = |at: &usize| others.iter().all(|way| way.get(*at) == first.get(*at));
    let count = (0..first.len()).take_while(is_shared).count();
    let left_out = first[..count].iter().any(|step| step.words.is_some());
    if left_out { count } else { 0 }
}

fn found(error: &ValidationError<'_, '_>, originals: &Originals) -> Cause {
    if let (ErrorKind::Group, [only]) = (&error.kind, looked_for(error)) {
        return found(only, originals);
    }
    Cause {
        place: error.instance_location.to_string(),
        words: wording(&error.kind, originals),
        refers: matches!(error.kind, ErrorKind::Reference { .. }),
        below: below(error, originals),
    }
}

/// Causes below those that were left out on the way to them.
fn wrapped(way: &[Step], causes: Vec<Cause>) -> Vec<Cause> {
    way.iter().rev().fold(causes, |below, step| {
        let Some(words) = step.words else {
            return below;
        };
        vec![Cause {
            place: step.place.clone(),
            words: words.to_owned(),
            refers: false,
            below,
        }]
    })
}

/// A step through a schema.
#[derive(PartialEq)]
struct Step {
    /// Keyword, and which of its schemas.
    keyword: String,
    /// JSON pointer of the value the schema it leads to is for.
    place: String,
    /// What is told of a keyword whose cause is left out.
    words: Option<&'static str>,
}

/// How one leads from an error to one of its causes; nothing where that cannot be told.
fn way(error: &ValidationError<'_, '_>, cause: &ValidationError<'_, '_>) -> Vec<Step> {
    let from = match error.kind {
        ErrorKind::Reference { url, .. } => url,
        _ => error.schema_url,
    };
    let Some(path) = cause.schema_url.strip_prefix(from) else {
        return Vec::new();
    };
    // These keywords are told already.
    let (told, names) = match error.kind {
        ErrorKind::AllOf | ErrorKind::AnyOf | ErrorKind::OneOf(_) => (2, None),
        ErrorKind::PropertyName { .. } => (1, Some(0)),
        _ => (0, None),
    };
    let mut names = names.unwrap_or(error.instance_location.tokens.len());
    let place = cause.instance_location.to_string();
    let mut path = path
        .trim_start_matches('#')
        .split('/')
        .skip(1 + told)
        .peekable();
    let mut steps = Vec::new();
    while let Some(keyword) = path.next() {
        let (is_named, deeper) = shape(keyword);
        let is_listed = |part: &&str| part.parse::<usize>().is_ok();
        let which = match keyword {
            // One schema, or one of a list.
            "items" => path.next_if(is_listed),
            _ if is_named => path.next(),
            _ => None,
        };
        names += deeper;
        steps.push(Step {
            keyword: format!("{keyword}/{}", which.unwrap_or_default()),
            place: first_names(&place, names),
            words: left_out(keyword),
        });
    }
    steps
}

/// Whether a keyword holds several schemas, and how much deeper in the value they look.
fn shape(keyword: &str) -> (bool, usize) {
    match keyword {
        "allOf" | "anyOf" | "oneOf" | "dependentSchemas" | "dependencies" => (true, 0),
        "properties" | "patternProperties" | "prefixItems" => (true, 1),
        "not" | "if" | "then" | "else" => (false, 0),
        _ => (false, 1),
    }
}

/// What is told of a keyword one of whose schemas refuses alone.
fn left_out(keyword: &str) -> Option<&'static str> {
    Some(match keyword {
        "allOf" => ALL_OF,
        "anyOf" => ANY_OF,
        "oneOf" => ONE_OF,
        _ => return None,
    })
}

/// The beginning of a JSON pointer.
fn first_names(place: &str, count: usize) -> String {
    let names = place.split('/').skip(1).take(count);
    names.map(|name| format!("/{name}")).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    /// What Helm 4.2.4 says of a value whose schema is given, in the order of ours.
    fn check(schema: Json, value: Json, expected: &str) {
        let schema = json!({"properties": {"v": schema}}).to_string();
        let told = crate::schema::validate(&schema, &json!({ "v": value }), &mut Vec::new());
        assert_eq!(told.expect_err(&schema), expected, "{schema}");
    }

    #[test]
    fn what_one_schema_of_several_refuses_is_told_below_them() {
        let integer = json!({"type": "integer"});
        check(
            json!({"allOf": [{"type": "string"}, {"type": ["string", "integer"]}]}),
            json!(1),
            "- at '/v': 'allOf' failed\n  - at '/v': got number, want string\n",
        );
        check(
            json!({"anyOf": [integer]}),
            json!("x"),
            "- at '/v': 'anyOf' failed\n  - at '/v': got string, want integer\n",
        );
        let named = json!({"properties": {"allOf": {"allOf": [{}, integer]}}});
        check(
            json!({"allOf": [{"oneOf": [named]}]}),
            json!({"allOf": "x"}),
            "- at '/v': 'allOf' failed\n  - at '/v': 'oneOf' failed, none matched\n    \
             - at '/v/allOf': 'allOf' failed\n      \
             - at '/v/allOf': got string, want integer\n",
        );
        let items = json!({"items": {"allOf": [{"minimum": 1}, {"maximum": 9}]}});
        check(
            json!({"additionalProperties": items}),
            json!({"a": [5, 10]}),
            "- at '/v/a/1': 'allOf' failed\n  - at '/v/a/1': maximum: got 10, want 9\n",
        );
        check(
            json!({"propertyNames": {"allOf": [{"maxLength": 1}]}}),
            json!({"ab": 1}),
            "- at '': invalid propertyName 'ab'\n  - at '': 'allOf' failed\n    \
             - at '': maxLength: got 2, want 1\n",
        );
    }

    #[test]
    fn what_was_held_together_is_held_together() {
        let long = json!({"minLength": 3, "pattern": "b"});
        check(
            json!({"allOf": [{"if": {"type": "string"}, "then": long}]}),
            json!("x"),
            "- at '/v': 'allOf' failed\n  - at '/v': validation failed\n    \
             - at '/v': minLength: got 1, want 3\n    \
             - at '/v': 'x' does not match pattern 'b'\n",
        );
    }

    #[test]
    fn causes_come_in_the_order_of_keywords_and_of_the_schemas_in_them() {
        check(
            json!({"anyOf": [{"type": "integer"}, {"pattern": "b"}, {"minLength": 3}]}),
            json!("x"),
            "- at '/v': 'anyOf' failed\n  - at '/v': got string, want integer\n  \
             - at '/v': 'x' does not match pattern 'b'\n  - at '/v': minLength: got 1, want 3\n",
        );
    }

    #[test]
    fn where_a_format_is_missed_nothing_more_is_looked_for() {
        let wanted = json!({"format": "ipv4", "minLength": 3, "pattern": "b"});
        let told = "'x' is not valid ipv4: expected four decimals\n";
        let schema = json!({
            "$schema": "http://json-schema.org/draft-07/schema#",
            "definitions": {"d": wanted},
            "properties": {
                "v": wanted,
                "w": {"$ref": "#/definitions/d"},
                "x": {"allOf": [wanted, {"maxLength": 0}]},
            },
        });
        let values = json!({"v": "x", "w": "x", "x": "x"});
        let found = crate::schema::validate(&schema.to_string(), &values, &mut Vec::new());
        let expected = format!(
            "- at '/v': {told}- at '/w': {told}- at '/x': 'allOf' failed\n  - at '/x': {told}  \
             - at '/x': maxLength: got 1, want 0\n"
        );
        assert_eq!(found, Err(expected));
    }

    #[test]
    fn a_schema_that_is_none_is_told_as_helm_tells_it() {
        let begin = "\"file:///values.schema.json#\" is not valid against metaschema: jsonschema \
                     validation failed with 'https://json-schema.org/draft/2020-12/schema#'\n\
                     - at '': 'allOf' failed\n  - at '/properties/v': 'allOf' failed\n    ";
        check(
            json!({"items": [{"type": "integer"}]}),
            json!(1),
            &format!("{begin}- at '/properties/v/items': got array, want boolean or object"),
        );
        check(
            json!({"pattern": "^(?!x)\\d"}),
            json!(1),
            &format!(
                "{begin}- at '/properties/v/pattern': '^(?!x)\\\\d' is not valid regex: error \
                 parsing regexp: invalid or unsupported Perl syntax: `(?!`"
            ),
        );
        check(
            json!({"pattern": "\\u0041"}),
            json!(1),
            &format!(
                "{begin}- at '/properties/v/pattern': '\\\\u0041' is not valid regex: error \
                 parsing regexp: invalid escape sequence: `\\u`"
            ),
        );
    }

    #[test]
    fn patterns_mean_what_they_mean_in_go_and_are_told_as_they_are_written() {
        check(
            json!({"pattern": "^\\d+$"}),
            json!("\u{663}"),
            "- at '/v': '\u{663}' does not match pattern '^\\\\d+$'\n",
        );
        check(
            json!({"pattern": "[a-z&&[^b]]"}),
            json!("a"),
            "- at '/v': 'a' does not match pattern '[a-z&&[^b]]'\n",
        );
        for (pattern, text) in [
            ("\\Qa.b\\E", "a.b"),
            ("a{,3}", "a{,3}"),
            ("{a", "{a"),
            ("\\<", "<"),
        ] {
            let schema = json!({"properties": {"v": {"pattern": pattern}}}).to_string();
            let told = crate::schema::validate(&schema, &json!({ "v": text }), &mut Vec::new());
            assert_eq!(told, Ok(()), "{pattern}");
        }
    }
}
