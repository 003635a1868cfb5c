//! Semantic versions, by the rules of the library Helm uses.

use std::cmp::Ordering;
use std::rc::Rc;

use super::{Function, Type, fixed};
use crate::go_semver::{Constraint, Version};
use crate::value::{Method, Object, Value, VersionCall};

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

fn raised([major, minor, patch]: [u64; 3]) -> Value {
    match Version::parse(&format!("{major}.{minor}.{patch}")) {
        Ok(version) => Value::Object(Rc::new(version)),
        Err(_) => Value::Nil,
    }
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
            "IncMajor" => raised([self.major + 1, 0, 0]),
            "IncMinor" => raised([self.major, self.minor + 1, 0]),
            // The patch of a version before its release is the one it leads to.
            "IncPatch" if !self.prerelease.is_empty() => {
                raised([self.major, self.minor, self.patch])
            }
            "IncPatch" => raised([self.major, self.minor, self.patch + 1]),
            _ => return None,
        };
        Some(Method {
            parameters: 0,
            call: Box::new(move |_| Ok(value.clone())),
        })
    }

    fn version_method(&self, name: &str) -> Option<VersionCall> {
        let decide: fn(Ordering) -> Value = match name {
            "Compare" => |order| Value::Int(order as i64),
            "Equal" => |order| Value::Bool(order.is_eq()),
            "LessThan" => |order| Value::Bool(order.is_lt()),
            "LessThanEqual" => |order| Value::Bool(order.is_le()),
            "GreaterThan" => |order| Value::Bool(order.is_gt()),
            "GreaterThanEqual" => |order| Value::Bool(order.is_ge()),
            _ => return None,
        };
        let own = self.clone();
        Some(Box::new(move |other| {
            let other = other.as_any().downcast_ref::<Self>();
            decide(other.map_or(Ordering::Equal, |other| own.compare(other)))
        }))
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
