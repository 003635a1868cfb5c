//! Semantic versions, by the rules of the library Helm uses.

use std::cmp::Ordering;
use std::rc::Rc;

use super::{Function, Type, fixed};
use crate::go_semver::{Constraint, Version};
use crate::value::{Method, Object, Value};

pub(super) const TABLE: &[Function] = &[
    fixed("semver", &[Type::String], |_, a| {
        let version = Version::parse(&a.string(0))?;
        Ok(Value::Object(Rc::new(version)))
    }),
    fixed("semverCompare", &[Type::String, Type::String], |_, a| {
        let constraint = Constraint::parse(&a.string(0))?;
        let version = Version::parse(&a.string(1))?;
        Ok(Value::Bool(constraint.check(&version)))
    }),
];

/// The Go type.
pub(super) const VERSION: &str = "*semver.Version";

/// The version with other numbers, without what follows them.
fn raised(version: &Version, [major, minor, patch]: [u64; 3]) -> Value {
    let next = Version {
        major,
        minor,
        patch,
        prerelease: String::new(),
        metadata: String::new(),
        original: String::new(),
    };
    renamed(version, next)
}

/// A version made of another one keeps its leading `v`.
fn renamed(version: &Version, mut next: Version) -> Value {
    let prefix = if version.original.starts_with('v') {
        "v"
    } else {
        ""
    };
    next.original = format!("{prefix}{next}");
    Value::Object(Rc::new(Made(next)))
}

/// A version made of another one: in Go a struct where the other is a pointer to one, so that it
/// has fewer methods.
#[derive(Debug)]
struct Made(Version);

/// A method a pointer has and the struct has not, as it has no comparisons.
const OF_POINTER: &str = "Original";

impl Object for Made {
    fn type_name(&self) -> String {
        VERSION.trim_start_matches('*').to_string()
    }

    fn kind(&self) -> &'static str {
        "struct"
    }

    fn method(&self, name: &str) -> Option<Method> {
        let is_of_pointer = name == OF_POINTER || comparison(&self.0, name).is_some();
        (!is_of_pointer).then(|| self.0.method(name)).flatten()
    }

    fn string(&self) -> Option<String> {
        self.0.string()
    }

    fn data(&self) -> Value {
        self.0.data()
    }

    fn as_any(&self) -> &dyn std::any::Any {
        self
    }
}

/// A method that sets what follows the numbers.
fn setter(
    version: &Version,
    check: fn(&str) -> Result<(), String>,
    set: fn(&mut Version, String),
) -> Method {
    let version = version.clone();
    Method::taking(&[Type::String], move |arguments| {
        let text = arguments.first().map(crate::format::text_of);
        let text = text.map_or_else(String::new, |text| text.lossy().into_owned());
        check(&text)?;
        let mut next = version.clone();
        set(&mut next, text);
        Ok(renamed(&version, next))
    })
}

/// A method whose argument is another version.
fn comparison(version: &Version, name: &str) -> Option<Method> {
    let decide: fn(Ordering) -> Value = match name {
        "Compare" => |order| Value::Int(order as i64),
        "Equal" => |order| Value::Bool(order.is_eq()),
        "LessThan" => |order| Value::Bool(order.is_lt()),
        "LessThanEqual" => |order| Value::Bool(order.is_le()),
        "GreaterThan" => |order| Value::Bool(order.is_gt()),
        "GreaterThanEqual" => |order| Value::Bool(order.is_ge()),
        _ => return None,
    };
    let own = version.clone();
    Some(Method::taking(&[Type::Version], move |arguments| {
        let other = match arguments.first() {
            Some(Value::Object(other)) => other.as_any().downcast_ref::<Version>(),
            _ => None,
        };
        Ok(decide(
            other.map_or(Ordering::Equal, |other| own.compare(other)),
        ))
    }))
}

impl Object for Version {
    fn type_name(&self) -> String {
        VERSION.to_string()
    }

    fn kind(&self) -> &'static str {
        "ptr"
    }

    fn method(&self, name: &str) -> Option<Method> {
        let number = |n: u64| Value::Int64(i64::try_from(n).unwrap_or(i64::MAX));
        let value = match name {
            "Major" => number(self.major),
            "Minor" => number(self.minor),
            "Patch" => number(self.patch),
            "Prerelease" => Value::text(&self.prerelease),
            "Metadata" => Value::text(&self.metadata),
            "Original" => Value::text(&self.original),
            "String" => Value::text(self.to_string()),
            "IncMajor" => raised(self, [self.major + 1, 0, 0]),
            "IncMinor" => raised(self, [self.major, self.minor + 1, 0]),
            // The patch of a version before its release is the one it leads to.
            "IncPatch" if !self.prerelease.is_empty() => {
                raised(self, [self.major, self.minor, self.patch])
            }
            "SetPrerelease" => {
                let check = crate::go_semver::check_prerelease;
                return Some(setter(self, check, |version, text| {
                    version.prerelease = text
                }));
            }
            "SetMetadata" => {
                let check = crate::go_semver::check_metadata;
                return Some(setter(self, check, |version, text| version.metadata = text));
            }
            "IncPatch" => raised(self, [self.major, self.minor, self.patch + 1]),
            _ => return comparison(self, name),
        };
        Some(Method::giving(move || value.clone()))
    }

    fn string(&self) -> Option<String> {
        Some(self.to_string())
    }

    fn data(&self) -> Value {
        Value::text(self.to_string())
    }

    fn as_any(&self) -> &dyn std::any::Any {
        self
    }
}
