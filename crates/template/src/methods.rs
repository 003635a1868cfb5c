//! The methods of Helm's types that are maps and slices: `Values`, which `.Values` and the root
//! have, and `VersionSet`; a key of the same name is not seen. Read in Helm's
//! `pkg/chart/common/values.go` and `capabilities.go`.

use crate::error::{Error, NIL_POINTER};
use crate::exec::Machine;
use crate::functions::{self, Type};
use crate::literal::quote;
use crate::value::{List, ListKind, Map, MapKind, Value};

/// What a method makes of a map and its argument.
type Run = fn(&mut Machine<'_>, &Map, &str) -> Result<Value, Error>;

/// A method of `Values`: the types it takes and what it does.
pub(crate) struct MapMethod {
    pub(crate) parameters: &'static [Type],
    pub(crate) run: Run,
}

impl MapKind {
    /// Whether it is Helm's `Values`.
    pub(crate) fn is_values(self) -> bool {
        matches!(self, MapKind::Values | MapKind::Values3)
    }

    /// The method of this name, if the type has methods.
    pub(crate) fn method(self, name: &str) -> Option<&'static MapMethod> {
        if self == MapKind::Files {
            return crate::files::method(name);
        }
        if !self.is_values() {
            return None;
        }
        Some(match name {
            "AsMap" => &AS_MAP,
            "Encode" => &ENCODE,
            "PathValue" => &PATH_VALUE,
            "Table" => &TABLE,
            "YAML" => &YAML,
            _ => return None,
        })
    }
}

impl ListKind {
    /// Whether a list of this type has the method `Has`.
    pub(crate) fn has(self, name: &str) -> bool {
        name == "Has" && matches!(self, ListKind::Versions | ListKind::Versions3)
    }
}

/// Whether a set of versions holds one.
pub(crate) fn holds(versions: &List, wanted: &str) -> Value {
    let mut texts = versions.items().iter();
    Value::Bool(
        texts.any(|item| matches!(item, Value::String(text) if text.bytes() == wanted.as_bytes())),
    )
}

static AS_MAP: MapMethod = MapMethod {
    parameters: &[],
    run: |_, map, _| {
        Ok(Value::Map(match map.is_empty() {
            true => Map::new(),
            false => map.clone().of_type(MapKind::Any),
        }))
    },
};

/// Nothing a template has can be written to; only `nil` gets as far as this.
static ENCODE: MapMethod = MapMethod {
    parameters: &[Type::Writer],
    run: |_, _, _| Err(NIL_POINTER.into()),
};

static YAML: MapMethod = MapMethod {
    parameters: &[],
    run: |machine, map, _| {
        let text = functions::yaml(machine, &Value::Map(map.clone()))?.map_err(Error::plain)?;
        Ok(Value::text(text))
    },
};

static TABLE: MapMethod = MapMethod {
    parameters: &[Type::String],
    run: |_, map, path| table(map, path).map(Value::Map),
};

static PATH_VALUE: MapMethod = MapMethod {
    parameters: &[Type::String],
    run: |_, map, path| {
        if path.is_empty() {
            return Err("YAML path cannot be empty".into());
        }
        let (tables, key) = path.rsplit_once('.').unwrap_or(("", path));
        let missing = || Error::plain(format!("{} is not a value", quote(key.as_bytes())));
        let holder = match path.contains('.') {
            true => table(map, tables).map_err(|_| missing())?,
            false => map.clone(),
        };
        match holder.get(key.as_bytes()) {
            Some(Value::Map(inner)) if matches!(inner.kind(), MapKind::Any | MapKind::NilAny) => {
                Err(missing())
            }
            Some(value) => Ok(value),
            None => Err(missing()),
        }
    },
};

fn table(map: &Map, path: &str) -> Result<Map, Error> {
    path.split('.')
        .try_fold(map.clone(), |map, name| match map.get(name.as_bytes()) {
            Some(Value::Map(next)) if next.kind().boxes() => Ok(next.of_type(map.kind())),
            _ => {
                let name = quote(name.as_bytes());
                Err(Error::plain(format!("{name} is not a table")))
            }
        })
}
