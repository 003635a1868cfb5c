//! Functions on maps. `set`, `unset` and the merges change their argument for everyone who holds
//! it.

use super::{Args, Function, Outcome, Type, cast, fixed, variadic};
use crate::error::Error;
use crate::text::Text;
use crate::value::{List, Map, MapKind, Value};

pub(super) const TABLE: &[Function] = &[
    variadic("dict", &[], Type::Any, |_, a| Ok(dict(a))),
    fixed("get", &[Type::Map, Type::String], |_, a| {
        Ok(a.map(0)
            .get(a.text(1).bytes())
            .unwrap_or_else(|| Value::text("")))
    }),
    fixed("set", &[Type::Map, Type::String, Type::Any], |_, a| {
        let map = writable(a.map(0))?;
        map.insert(a.text(1).bytes(), a.value(2).clone());
        Ok(a.value(0).clone())
    }),
    fixed("unset", &[Type::Map, Type::String], |_, a| {
        a.map(0).remove(a.text(1).bytes());
        Ok(a.value(0).clone())
    }),
    fixed("hasKey", &[Type::Map, Type::String], |_, a| {
        Ok(Value::Bool(a.map(0).contains(a.text(1).bytes())))
    }),
    variadic("pluck", &[Type::String], Type::Map, |_, a| {
        let found = (1..=a.rest(1).len()).filter_map(|i| a.map(i).get(a.text(0).bytes()));
        Ok(Value::list(found.collect()))
    }),
    variadic("keys", &[], Type::Map, |_, a| {
        // Go gives them in random order; sorted is one of those.
        let all = (0..a.rest(0).len()).flat_map(|i| a.map(i).entries());
        let keys: Vec<Text> = all.map(|(key, _)| key).collect();
        Ok(Value::strings(keys.iter().map(Text::bytes)))
    }),
    fixed("values", &[Type::Map], |_, a| {
        Ok(Value::list(
            a.map(0)
                .entries()
                .into_iter()
                .map(|(_, value)| value)
                .collect(),
        ))
    }),
    variadic("pick", &[Type::Map], Type::String, |_, a| {
        Ok(select(a, true))
    }),
    variadic("omit", &[Type::Map], Type::String, |_, a| {
        Ok(select(a, false))
    }),
    variadic("merge", &[Type::Map], Type::Map, |_, a| merge(a, false)),
    variadic("mustMerge", &[Type::Map], Type::Map, |_, a| merge(a, false)),
    variadic("mergeOverwrite", &[Type::Map], Type::Map, |_, a| {
        merge(a, true)
    }),
    variadic("mustMergeOverwrite", &[Type::Map], Type::Map, |_, a| {
        merge(a, true)
    }),
    fixed("deepCopy", &[Type::Any], |_, a| deep_copy(a.value(0), 0)),
    fixed("mustDeepCopy", &[Type::Any], |_, a| {
        deep_copy(a.value(0), 0)
    }),
    variadic("dig", &[], Type::Any, |_, a| dig(a)),
];

fn writable(map: Map) -> Result<Map, Error> {
    if map.kind() == MapKind::NilAny {
        return Err("assignment to entry in nil map".into());
    }
    Ok(map)
}

fn dict(args: &Args) -> Value {
    let map = Map::new();
    for pair in args.rest(0).chunks(2) {
        let value = pair.get(1).cloned().unwrap_or_else(|| Value::text(""));
        map.insert(cast::text(&pair[0]).bytes(), value);
    }
    Value::Map(map)
}

fn select(args: &Args, wanted: bool) -> Value {
    let names: Vec<Text> = (1..=args.rest(1).len())
        .map(|index| args.text(index))
        .collect();
    let source = args.map(0);
    let map = Map::with_path(MapKind::Any, source.path().cloned());
    for (key, value) in source.entries() {
        if names.contains(&key) == wanted {
            map.insert(key.bytes(), value);
        }
    }
    Value::Map(map)
}

/// Deepest nesting merged or copied; a template can put a map into itself.
const DEPTH_MAX: u32 = 500;

fn merge(args: &Args, overwrite: bool) -> Outcome {
    let mut target = args.map(0);
    for index in 1..=args.rest(1).len() {
        let source = args.map(index);
        if source.is_empty() {
            continue;
        }
        if target.kind() == MapKind::NilAny {
            // The library makes the map that is not there.
            target = Map::new();
        }
        merge_maps(&target, &source, overwrite, 0)?;
    }
    Ok(Value::Map(target))
}

/// Fills what is empty in the target, or replaces everything when overwriting; maps are merged.
fn merge_maps(target: &Map, source: &Map, overwrite: bool, depth: u32) -> Result<(), Error> {
    if depth > DEPTH_MAX {
        return Err("maps are nested too deeply to merge".into());
    }
    if target.same(source) {
        return Ok(());
    }
    for (key, new) in source.entries() {
        match (target.get(key.bytes()), &new) {
            (Some(Value::Map(old)), Value::Map(new)) => {
                merge_maps(&old, new, overwrite, depth + 1)?;
                // What nothing was merged into is empty, and gives way to the source itself.
                if old.is_empty() {
                    target.insert(key.bytes(), Value::Map(new.clone()));
                }
            }
            // A nil of the source only counts when overwriting.
            (_, Value::Nil) if !overwrite => {}
            (None, _) => target.insert(key.bytes(), new),
            (Some(old), _) if overwrite || cast::is_empty(&old) => {
                target.insert(key.bytes(), new);
            }
            _ => {}
        }
    }
    Ok(())
}

fn deep_copy(value: &Value, depth: u32) -> Outcome {
    if depth > DEPTH_MAX {
        return Err("value is nested too deeply to copy".into());
    }
    if depth == 0 && value.is_nil() {
        return Err("reflect: call of reflect.Value.Type on zero Value".into());
    }
    Ok(match value {
        Value::Map(map) => {
            let copy = Map::with_path(map.kind(), map.path().cloned());
            for (key, item) in map.entries() {
                copy.insert(key.bytes(), deep_copy(&item, depth + 1)?);
            }
            Value::Map(copy)
        }
        Value::List(list) => {
            let items: Result<Vec<Value>, Error> = list
                .items()
                .iter()
                .map(|item| deep_copy(item, depth + 1))
                .collect();
            Value::List(List::new(list.kind, items?))
        }
        other => other.clone(),
    })
}

fn dig(args: &Args) -> Outcome {
    let all = args.rest(0);
    let [path @ .., default, last] = all else {
        return Err("dig needs at least three arguments".into());
    };
    if path.is_empty() {
        return Err("dig needs at least three arguments".into());
    }
    let is_text = |step: &&Value| matches!(step, Value::String(_));
    if let Some(other) = path.iter().find(|step| !is_text(step)) {
        as_dict(last)?;
        return Err(conversion(other, "string"));
    }
    let mut current = last.clone();
    for (index, step) in path.iter().enumerate() {
        let map = as_dict(&current)?;
        let Value::String(key) = step else {
            return Err(conversion(step, "string"));
        };
        match map.get(key.bytes()) {
            None => return Ok(default.clone()),
            Some(found) if index + 1 == path.len() => return Ok(found),
            Some(found) => current = found,
        }
    }
    Ok(default.clone())
}

fn as_dict(value: &Value) -> Result<Map, Error> {
    match value {
        Value::Map(map) if matches!(map.kind(), MapKind::Any | MapKind::NilAny) => Ok(map.clone()),
        other => Err(conversion(other, "map[string]interface {}")),
    }
}

fn conversion(value: &Value, wanted: &str) -> Error {
    let found = match value {
        value if value.is_nil() => "nil".to_string(),
        value => value.type_name(),
    };
    format!("interface conversion: interface {{}} is {found}, not {wanted}").into()
}
