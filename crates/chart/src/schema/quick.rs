//! Whether values plainly meet a schema that is plainly one, without compiling it: most values do,
//! and most of the time of a small chart went into proving it.
//!
//! Only a `Yes` counts; for everything else the validator (boon) is asked, which words what is
//! wrong. A property test holds both answers against the validator's.

use pilotis_template::Pattern;
use serde_json::{Map, Number, Value as Json};

use super::plain;

/// References and applicators followed inside one another.
const DEPTH_MAX: u32 = 100;
/// Schemas looked at.
const STEPS_MAX: u32 = 1_000_000;
/// Whole numbers up to this size are told apart as floating-point numbers.
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Yes,
    No,
    /// Only the validator knows.
    Doubt,
}
use Verdict::{Doubt, No, Yes};

impl From<bool> for Verdict {
    fn from(is: bool) -> Self {
        if is { Yes } else { No }
    }
}

impl Verdict {
    /// `No` wins, then doubt.
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (No, _) | (_, No) => No,
            (Yes, Yes) => Yes,
            _ => Doubt,
        }
    }
}

/// Judges values by a schema [`plain::is_schema`] takes.
pub(super) fn judge(schema: &Json, values: &Json) -> Verdict {
    let is_old = schema
        .get("$schema")
        .is_some_and(|named| plain::draft(named) == Some(plain::DRAFT_7));
    let mut walk = Walk {
        root: schema,
        is_old,
        steps: 0,
    };
    walk.judge(schema, values, 0)
}

struct Walk<'s> {
    root: &'s Json,
    /// Draft 7, in which nothing stands beside `$ref`.
    is_old: bool,
    steps: u32,
}

impl<'s> Walk<'s> {
    fn judge(&mut self, schema: &'s Json, value: &Json, depth: u32) -> Verdict {
        self.steps += 1;
        if depth > DEPTH_MAX || self.steps > STEPS_MAX {
            return Doubt;
        }
        let keywords = match schema {
            Json::Bool(is) => return Verdict::from(*is),
            Json::Object(keywords) => keywords,
            _ => return Doubt,
        };
        if self.is_old
            && let Some(reference) = keywords.get("$ref")
        {
            return self.follow(reference, value, depth);
        }
        self.all(keywords.iter(), |walk, (keyword, argument)| {
            walk.keyword(keywords, (keyword, argument), value, depth + 1)
        })
    }

    /// Whether all are `Yes`; nothing after a `No` is looked at.
    fn all<T>(
        &mut self,
        items: impl IntoIterator<Item = T>,
        mut judge: impl FnMut(&mut Self, T) -> Verdict,
    ) -> Verdict {
        let mut verdict = Yes;
        for item in items {
            verdict = verdict.and(judge(self, item));
            if verdict == No {
                break;
            }
        }
        verdict
    }

    fn keyword(
        &mut self,
        keywords: &'s Map<String, Json>,
        (keyword, argument): (&'s String, &'s Json),
        value: &Json,
        depth: u32,
    ) -> Verdict {
        match (keyword.as_str(), value) {
            ("$ref", _) => self.follow(argument, value, depth),
            ("type", _) => Verdict::from(is_of_type(argument, value)),
            ("enum", _) => Verdict::from(listed(argument).contains(value)),
            ("const", _) => is_same(argument, value),
            ("allOf", _) => self.all(listed(argument), |walk, one| walk.judge(one, value, depth)),
            ("anyOf", _) => self.any(listed(argument), value, depth),
            ("oneOf", _) => self.one(listed(argument), value, depth),
            ("not", _) => match self.judge(argument, value, depth) {
                Yes => No,
                No => Yes,
                Doubt => Doubt,
            },
            ("if", _) => {
                let branch = match self.judge(argument, value, depth) {
                    Yes => "then",
                    No => "else",
                    Doubt => return Doubt,
                };
                let then = keywords.get(branch);
                then.map_or(Yes, |schema| self.judge(schema, value, depth))
            }
            (_, Json::Object(entries)) => {
                self.of_object(keywords, (keyword, argument), entries, depth)
            }
            (_, Json::Array(items)) => self.of_array((keyword, argument), items, depth),
            (_, Json::String(text)) => of_text((keyword, argument), text),
            (_, Json::Number(number)) => of_number((keyword, argument), number),
            _ => Yes,
        }
    }

    fn follow(&mut self, reference: &Json, value: &Json, depth: u32) -> Verdict {
        match reference
            .as_str()
            .and_then(|text| plain::target(self.root, text))
        {
            Some(target) => self.judge(target, value, depth + 1),
            None => Doubt,
        }
    }

    fn any(&mut self, schemas: &'s [Json], value: &Json, depth: u32) -> Verdict {
        let mut verdict = No;
        for schema in schemas {
            match self.judge(schema, value, depth) {
                Yes => return Yes,
                Doubt => verdict = Doubt,
                No => {}
            }
        }
        verdict
    }

    fn one(&mut self, schemas: &'s [Json], value: &Json, depth: u32) -> Verdict {
        let mut met = 0;
        for schema in schemas {
            match self.judge(schema, value, depth) {
                Yes => met += 1,
                Doubt => return Doubt,
                No => {}
            }
        }
        Verdict::from(met == 1)
    }

    fn of_object(
        &mut self,
        keywords: &'s Map<String, Json>,
        (keyword, argument): (&'s String, &'s Json),
        entries: &Map<String, Json>,
        depth: u32,
    ) -> Verdict {
        match keyword.as_str() {
            "required" => {
                let mut names = listed(argument).iter().filter_map(Json::as_str);
                Verdict::from(names.all(|name| entries.contains_key(name)))
            }
            "properties" => {
                let Some(schemas) = argument.as_object() else {
                    return Doubt;
                };
                self.all(entries, |walk, (name, value)| match schemas.get(name) {
                    Some(schema) => walk.judge(schema, value, depth),
                    None => Yes,
                })
            }
            "additionalProperties" => {
                let Some(patterns) = patterns(keywords.get("patternProperties")) else {
                    return Doubt;
                };
                let named = keywords.get("properties").and_then(Json::as_object);
                let is_named = |name: &String| {
                    named.is_some_and(|named| named.contains_key(name))
                        || patterns.iter().any(|(pattern, _)| pattern.is_match(name))
                };
                let others = entries.iter().filter(|(name, _)| !is_named(name));
                self.all(others, |walk, (_, value)| {
                    walk.judge(argument, value, depth)
                })
            }
            "patternProperties" => {
                let Some(patterns) = patterns(Some(argument)) else {
                    return Doubt;
                };
                self.all(entries, |walk, (name, value)| {
                    let met = patterns
                        .iter()
                        .filter(|(pattern, _)| pattern.is_match(name));
                    walk.all(met, |walk, (_, schema)| walk.judge(schema, value, depth))
                })
            }
            "minProperties" => at_least(entries.len(), argument),
            "maxProperties" => at_most(entries.len(), argument),
            "propertyNames"
            | "dependentRequired"
            | "dependentSchemas"
            | "unevaluatedProperties" => Doubt,
            _ => Yes,
        }
    }

    fn of_array(
        &mut self,
        (keyword, argument): (&'s String, &'s Json),
        items: &[Json],
        depth: u32,
    ) -> Verdict {
        match keyword.as_str() {
            "items" => self.all(items, |walk, item| walk.judge(argument, item, depth)),
            "minItems" => at_least(items.len(), argument),
            "maxItems" => at_most(items.len(), argument),
            "uniqueItems" if items.len() < 2 || argument == &Json::Bool(false) => Yes,
            "uniqueItems" | "contains" | "minContains" | "maxContains" | "prefixItems"
            | "additionalItems" | "unevaluatedItems" => Doubt,
            _ => Yes,
        }
    }
}

fn of_text((keyword, argument): (&String, &Json), text: &str) -> Verdict {
    match keyword.as_str() {
        "minLength" => at_least(text.chars().count(), argument),
        "maxLength" => at_most(text.chars().count(), argument),
        "pattern" => match argument.as_str().and_then(|text| Pattern::parse(text).ok()) {
            Some(pattern) => Verdict::from(pattern.is_match(text)),
            None => Doubt,
        },
        "format" | "contentEncoding" | "contentMediaType" | "contentSchema" => Doubt,
        _ => Yes,
    }
}

/// The patterns of `patternProperties`, none when one of them is not understood.
fn patterns(argument: Option<&Json>) -> Option<Vec<(Pattern, &Json)>> {
    let Some(argument) = argument else {
        return Some(Vec::new());
    };
    let entries = argument.as_object()?.iter();
    entries
        .map(|(text, schema)| Some((Pattern::parse(text).ok()?, schema)))
        .collect()
}

fn of_number((keyword, argument): (&String, &Json), number: &Number) -> Verdict {
    let is_right: fn(f64, f64) -> bool = match keyword.as_str() {
        "minimum" => |number, bound| number >= bound,
        "maximum" => |number, bound| number <= bound,
        "exclusiveMinimum" => |number, bound| number > bound,
        "exclusiveMaximum" => |number, bound| number < bound,
        "multipleOf" => return Doubt,
        _ => return Yes,
    };
    let exact = |number: Option<f64>| number.filter(|number| number.abs() < EXACT_MAX);
    match (exact(number.as_f64()), exact(argument.as_f64())) {
        (Some(number), Some(bound)) => Verdict::from(is_right(number, bound)),
        _ => Doubt,
    }
}

fn listed(argument: &Json) -> &[Json] {
    argument.as_array().map_or(&[], Vec::as_slice)
}

fn at_least(count: usize, bound: &Json) -> Verdict {
    let bound = bound.as_u64().and_then(|bound| usize::try_from(bound).ok());
    bound.map_or(Doubt, |bound| Verdict::from(count >= bound))
}

fn at_most(count: usize, bound: &Json) -> Verdict {
    let bound = bound.as_u64().and_then(|bound| usize::try_from(bound).ok());
    bound.map_or(Doubt, |bound| Verdict::from(count <= bound))
}

/// Equal, for what has one way to be written.
fn is_same(argument: &Json, value: &Json) -> Verdict {
    match (argument, value) {
        (Json::Null, Json::Null) => Yes,
        (Json::Bool(a), Json::Bool(b)) => Verdict::from(a == b),
        (Json::String(a), Json::String(b)) => Verdict::from(a == b),
        (Json::Number(_), Json::Number(_))
        | (Json::Array(_), Json::Array(_))
        | (Json::Object(_), Json::Object(_)) => Doubt,
        _ => No,
    }
}

fn is_of_type(argument: &Json, value: &Json) -> bool {
    match argument {
        Json::String(name) => is_a(value, name),
        other => {
            let mut names = listed(other).iter().filter_map(Json::as_str);
            names.any(|name| is_a(value, name))
        }
    }
}

fn is_a(value: &Json, name: &str) -> bool {
    match value {
        Json::Null => name == "null",
        Json::Bool(_) => name == "boolean",
        Json::String(_) => name == "string",
        Json::Array(_) => name == "array",
        Json::Object(_) => name == "object",
        Json::Number(number) => name == "number" || (name == "integer" && is_whole(number)),
    }
}

fn is_whole(number: &Number) -> bool {
    number.is_i64()
        || number.is_u64()
        || number.as_f64().is_some_and(|number| number.fract() == 0.0)
}
