//! Functions on lists. Lists are never changed: each of these makes a new one.

use super::{Args, Function, Outcome, Type, cast, fixed, variadic};
use crate::error::{Error, NIL_POINTER};
use crate::value::{List, ListKind, Value};

pub(super) const TABLE: &[Function] = &[
    variadic("list", &[], Type::Any, |_, a| {
        Ok(Value::list(a.rest(0).to_vec()))
    }),
    variadic("tuple", &[], Type::Any, |_, a| {
        Ok(Value::list(a.rest(0).to_vec()))
    }),
    fixed("append", &[Type::Any, Type::Any], |_, a| append(a)),
    fixed("push", &[Type::Any, Type::Any], |_, a| append(a)),
    fixed("mustAppend", &[Type::Any, Type::Any], |_, a| append(a)),
    fixed("mustPush", &[Type::Any, Type::Any], |_, a| append(a)),
    fixed("prepend", &[Type::Any, Type::Any], |_, a| prepend(a)),
    fixed("mustPrepend", &[Type::Any, Type::Any], |_, a| prepend(a)),
    fixed("first", &[Type::Any], |_, a| first(a)),
    fixed("mustFirst", &[Type::Any], |_, a| first(a)),
    fixed("last", &[Type::Any], |_, a| last(a)),
    fixed("mustLast", &[Type::Any], |_, a| last(a)),
    fixed("rest", &[Type::Any], |_, a| rest(a)),
    fixed("mustRest", &[Type::Any], |_, a| rest(a)),
    fixed("initial", &[Type::Any], |_, a| initial(a)),
    fixed("mustInitial", &[Type::Any], |_, a| initial(a)),
    fixed("reverse", &[Type::Any], |_, a| reverse(a)),
    fixed("mustReverse", &[Type::Any], |_, a| reverse(a)),
    fixed("compact", &[Type::Any], |_, a| compact(a)),
    fixed("mustCompact", &[Type::Any], |_, a| compact(a)),
    fixed("uniq", &[Type::Any], |_, a| uniq(a)),
    fixed("mustUniq", &[Type::Any], |_, a| uniq(a)),
    variadic("without", &[Type::Any], Type::Any, |_, a| without(a)),
    variadic("mustWithout", &[Type::Any], Type::Any, |_, a| without(a)),
    fixed("has", &[Type::Any, Type::Any], |_, a| has(a)),
    fixed("mustHas", &[Type::Any, Type::Any], |_, a| has(a)),
    variadic("slice", &[Type::Any], Type::Any, |_, a| slice(a)),
    variadic("mustSlice", &[Type::Any], Type::Any, |_, a| slice(a)),
    variadic("concat", &[], Type::Any, |_, a| concat(a)),
    fixed("chunk", &[Type::Int, Type::Any], |_, a| chunk(a)),
    fixed("mustChunk", &[Type::Int, Type::Any], |_, a| chunk(a)),
    variadic("default", &[Type::Any], Type::Any, |_, a| {
        let given = a.rest(1).first().filter(|value| !cast::is_empty(value));
        Ok(given.unwrap_or(a.value(0)).clone())
    }),
    fixed("empty", &[Type::Any], |_, a| {
        Ok(Value::Bool(cast::is_empty(a.value(0))))
    }),
    variadic("coalesce", &[], Type::Any, |_, a| {
        let found = a.rest(0).iter().find(|value| !cast::is_empty(value));
        Ok(found.cloned().unwrap_or(Value::Nil))
    }),
    variadic("all", &[], Type::Any, |_, a| {
        Ok(Value::Bool(!a.rest(0).iter().any(cast::is_empty)))
    }),
    variadic("any", &[], Type::Any, |_, a| {
        Ok(Value::Bool(!a.rest(0).iter().all(cast::is_empty)))
    }),
    fixed("ternary", &[Type::Any, Type::Any, Type::Bool], |_, a| {
        Ok(a.value(usize::from(!a.bool(2))).clone())
    }),
    fixed("deepEqual", &[Type::Any, Type::Any], |_, a| {
        Ok(Value::Bool(deep_equal(a.value(0), a.value(1), 0)))
    }),
    fixed("typeOf", &[Type::Any], |_, a| {
        Ok(Value::text(a.value(0).type_name()))
    }),
    fixed("typeIs", &[Type::String, Type::Any], |_, a| {
        Ok(Value::Bool(a.string(0) == a.value(1).type_name()))
    }),
    fixed("typeIsLike", &[Type::String, Type::Any], |_, a| {
        let name = a.value(1).type_name();
        Ok(Value::Bool(
            a.string(0) == name || format!("*{}", a.string(0)) == name,
        ))
    }),
    fixed("kindOf", &[Type::Any], |_, a| {
        Ok(Value::text(a.value(0).kind()))
    }),
    fixed("kindIs", &[Type::String, Type::Any], |_, a| {
        Ok(Value::Bool(a.string(0) == a.value(1).kind()))
    }),
];

/// Deepest nesting compared; a template can put a map into itself.
const DEPTH_MAX: u32 = 1000;

/// `reflect.DeepEqual`: types must agree too.
pub(super) fn deep_equal(a: &Value, b: &Value, depth: u32) -> bool {
    if depth > DEPTH_MAX {
        return false;
    }
    match (a, b) {
        (Value::Missing | Value::Nil, Value::Missing | Value::Nil) => true,
        (Value::Bool(a), Value::Bool(b)) => a == b,
        (Value::Int(a), Value::Int(b)) | (Value::Int64(a), Value::Int64(b)) => a == b,
        #[expect(clippy::float_cmp, reason = "DeepEqual compares exactly")]
        (Value::Float(a), Value::Float(b)) => a == b,
        (Value::String(a), Value::String(b)) => a == b,
        (Value::List(a), Value::List(b)) => {
            let same = a.kind == b.kind && a.len() == b.len() && a.is_nil() == b.is_nil();
            let mut pairs = a.items().iter().zip(b.items().iter());
            same && pairs.all(|(a, b)| deep_equal(a, b, depth + 1))
        }
        (Value::Map(a), Value::Map(b)) => {
            if a.same(b) {
                return true;
            }
            if a.kind() != b.kind() || a.len() != b.len() {
                return false;
            }
            let (a, b) = (a.entries(), b.entries());
            let mut pairs = a.iter().zip(b.iter());
            pairs.all(|(a, b)| a.0 == b.0 && deep_equal(&a.1, &b.1, depth + 1))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.type_name() == b.type_name() && deep_equal(&a.data(), &b.data(), depth + 1)
        }
        _ => false,
    }
}

/// The items of an argument that must be a list; `verb` completes Sprig's message.
fn items(value: &Value, verb: &str) -> Result<List, Error> {
    match value {
        Value::List(list) => Ok(list.clone()),
        value if value.is_nil() => Err(NIL_POINTER.into()),
        other => Err(format!("Cannot {verb} type {}", other.kind()).into()),
    }
}

fn append(args: &Args) -> Outcome {
    let mut all = items(args.value(0), "push on")?.items().to_vec();
    all.push(args.value(1).clone());
    Ok(Value::list(all))
}

fn prepend(args: &Args) -> Outcome {
    let list = items(args.value(0), "prepend on")?;
    let mut all = vec![args.value(1).clone()];
    all.extend(list.items().iter().cloned());
    Ok(Value::list(all))
}

fn first(args: &Args) -> Outcome {
    let list = items(args.value(0), "find first on")?;
    Ok(list.items().first().cloned().unwrap_or(Value::Nil))
}

fn last(args: &Args) -> Outcome {
    let list = items(args.value(0), "find last on")?;
    Ok(list.items().last().cloned().unwrap_or(Value::Nil))
}

fn rest(args: &Args) -> Outcome {
    let list = items(args.value(0), "find rest on")?;
    if list.is_empty() {
        return Ok(Value::List(List::nil(ListKind::Any)));
    }
    Ok(Value::list(list.items().get(1..).unwrap_or(&[]).to_vec()))
}

fn initial(args: &Args) -> Outcome {
    let list = items(args.value(0), "find initial on")?;
    if list.is_empty() {
        return Ok(Value::List(List::nil(ListKind::Any)));
    }
    let end = list.len().saturating_sub(1);
    Ok(Value::list(list.items()[..end].to_vec()))
}

fn reverse(args: &Args) -> Outcome {
    let list = items(args.value(0), "find reverse on")?;
    Ok(Value::list(list.items().iter().rev().cloned().collect()))
}

fn compact(args: &Args) -> Outcome {
    let list = items(args.value(0), "compact on")?;
    let kept = list.items().iter().filter(|item| !cast::is_empty(item));
    Ok(Value::list(kept.cloned().collect()))
}

fn uniq(args: &Args) -> Outcome {
    let list = items(args.value(0), "find uniq on")?;
    let mut kept: Vec<Value> = Vec::new();
    for item in list.items().iter() {
        if !kept.iter().any(|other| deep_equal(item, other, 0)) {
            kept.push(item.clone());
        }
    }
    Ok(Value::list(kept))
}

fn without(args: &Args) -> Outcome {
    let list = items(args.value(0), "find without on")?;
    let omitted = args.rest(1);
    let kept = list
        .items()
        .iter()
        .filter(|item| !omitted.iter().any(|o| deep_equal(o, item, 0)));
    Ok(Value::list(kept.cloned().collect()))
}

fn has(args: &Args) -> Outcome {
    if args.value(1).is_nil() {
        return Ok(Value::Bool(false));
    }
    let list = items(args.value(1), "find has on")?;
    let found = list
        .items()
        .iter()
        .any(|item| deep_equal(args.value(0), item, 0));
    Ok(Value::Bool(found))
}

fn slice(args: &Args) -> Outcome {
    let Value::List(list) = args.value(0) else {
        if args.value(0).is_nil() {
            return Err(NIL_POINTER.into());
        }
        let kind = args.value(0).kind();
        return Err(format!("list should be type of slice or array but {kind}").into());
    };
    if list.is_empty() {
        return Ok(Value::Nil);
    }
    let bound = |index: usize, default: usize| match args.rest(0).get(index) {
        None => Ok(default),
        Some(value) => usize::try_from(cast::int(value)),
    };
    let length = list.len();
    let range = (bound(1, 0), bound(2, length));
    match range {
        (Ok(start), Ok(end)) if start <= end && end <= length => Ok(Value::List(List::new(
            list.kind,
            list.items()[start..end].to_vec(),
        ))),
        _ => Err("reflect.Value.Slice: slice index out of bounds".into()),
    }
}

fn concat(args: &Args) -> Outcome {
    let mut all = Vec::new();
    for value in args.rest(0) {
        match value {
            Value::List(list) => all.extend(list.items().iter().cloned()),
            value if value.is_nil() => return Err(NIL_POINTER.into()),
            other => return Err(format!("Cannot concat type {} as list", other.kind()).into()),
        }
    }
    Ok(match all.is_empty() {
        true => Value::List(List::nil(ListKind::Any)),
        false => Value::list(all),
    })
}

fn chunk(args: &Args) -> Outcome {
    let list = items(args.value(1), "chunk")?;
    let size = args.int(0);
    let last = i64::try_from(list.len()).unwrap_or(i64::MAX) - 1;
    // A negative size gives no chunks, or one, where Go's arithmetic comes to that.
    if size < 0 && last > 0 && last <= -size {
        return Ok(Value::List(List::new(ListKind::Lists, Vec::new())));
    }
    if size < -1 && last == 0 {
        let chunk = Value::list(list.items().to_vec());
        return Ok(Value::List(List::new(ListKind::Lists, vec![chunk])));
    }
    let size = usize::try_from(size).ok().filter(|size| *size > 0);
    let Some(size) = size else {
        return Err("runtime error: makeslice: len out of range".into());
    };
    let chunks = list
        .items()
        .chunks(size)
        .map(|chunk| Value::list(chunk.to_vec()));
    Ok(Value::List(List::new(ListKind::Lists, chunks.collect())))
}
