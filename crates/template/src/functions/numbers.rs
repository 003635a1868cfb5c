//! Arithmetic. Integers wrap as Go's do; floats go through decimal arithmetic as Sprig's do.

use super::decimal::{self, Decimal};
use super::{Args, Function, Outcome, Type, cast, fixed, variadic};
use crate::error::Error;
use crate::exec::Machine;
use crate::value::{List, ListKind, Value};

pub(super) const TABLE: &[Function] = &[
    fixed("atoi", &[Type::String], |_, a| {
        Ok(Value::Int(cast::nearest(&a.string(0))))
    }),
    fixed("int", &[Type::Any], |_, a| {
        Ok(Value::Int(cast::int(a.value(0))))
    }),
    fixed("int64", &[Type::Any], |_, a| {
        Ok(Value::Int64(cast::int(a.value(0))))
    }),
    fixed("float64", &[Type::Any], |_, a| {
        Ok(Value::Float(cast::float(a.value(0))))
    }),
    fixed("toDecimal", &[Type::Any], |_, a| {
        let text = crate::format::text_of(a.value(0));
        Ok(Value::Int64(
            i64::from_str_radix(&text.lossy(), 8).unwrap_or(0),
        ))
    }),
    fixed("add1", &[Type::Any], |_, a| {
        Ok(Value::Int64(cast::int(a.value(0)).wrapping_add(1)))
    }),
    variadic("add", &[], Type::Any, |_, a| {
        let sum = a
            .rest(0)
            .iter()
            .fold(0i64, |sum, v| sum.wrapping_add(cast::int(v)));
        Ok(Value::Int64(sum))
    }),
    fixed("sub", &[Type::Any, Type::Any], |_, a| {
        Ok(Value::Int64(
            cast::int(a.value(0)).wrapping_sub(cast::int(a.value(1))),
        ))
    }),
    fixed("div", &[Type::Any, Type::Any], |_, a| {
        divide(a, i64::wrapping_div)
    }),
    fixed("mod", &[Type::Any, Type::Any], |_, a| {
        divide(a, i64::wrapping_rem)
    }),
    variadic("mul", &[Type::Any], Type::Any, |_, a| {
        let product = a
            .rest(0)
            .iter()
            .fold(1i64, |n, v| n.wrapping_mul(cast::int(v)));
        Ok(Value::Int64(product))
    }),
    fixed("add1f", &[Type::Any], |m, a| {
        decimal::fold(m, &[a.value(0).clone(), Value::Int(1)], Decimal::plus)
    }),
    variadic("addf", &[], Type::Any, |m, a| {
        decimal::fold(m, a.rest(0), Decimal::plus)
    }),
    variadic("subf", &[Type::Any], Type::Any, |m, a| {
        decimal::fold(m, a.rest(0), Decimal::minus)
    }),
    variadic("mulf", &[Type::Any], Type::Any, |m, a| {
        decimal::fold(m, a.rest(0), Decimal::times)
    }),
    variadic("divf", &[Type::Any], Type::Any, |m, a| {
        decimal::fold(m, a.rest(0), Decimal::over)
    }),
    variadic("max", &[Type::Any], Type::Any, |_, a| Ok(extreme(a, true))),
    variadic("biggest", &[Type::Any], Type::Any, |_, a| {
        Ok(extreme(a, true))
    }),
    variadic("min", &[Type::Any], Type::Any, |_, a| Ok(extreme(a, false))),
    variadic("maxf", &[Type::Any], Type::Any, |_, a| {
        let all = a.rest(0).iter().map(cast::float);
        Ok(Value::Float(all.fold(f64::NEG_INFINITY, larger)))
    }),
    variadic("minf", &[Type::Any], Type::Any, |_, a| {
        let all = a.rest(0).iter().map(cast::float);
        Ok(Value::Float(
            -all.map(|n| -n).fold(f64::NEG_INFINITY, larger),
        ))
    }),
    fixed("ceil", &[Type::Any], |_, a| {
        Ok(Value::Float(cast::float(a.value(0)).ceil()))
    }),
    fixed("floor", &[Type::Any], |_, a| {
        Ok(Value::Float(cast::float(a.value(0)).floor()))
    }),
    variadic("round", &[Type::Any, Type::Int], Type::Float, |_, a| {
        Ok(round(a))
    }),
    fixed("until", &[Type::Int], |m, a| {
        let count = a.int(0);
        steps(m, 0, count, if count < 0 { -1 } else { 1 }).map(ints)
    }),
    fixed("untilStep", &[Type::Int, Type::Int, Type::Int], |m, a| {
        steps(m, a.int(0), a.int(1), a.int(2)).map(ints)
    }),
    variadic("seq", &[], Type::Int, sequence),
    fixed("randInt", &[Type::Int, Type::Int], |m, a| {
        let span = a.int(1).wrapping_sub(a.int(0));
        let Some(span) = u64::try_from(span).ok().filter(|span| *span > 0) else {
            return Err("invalid argument to Intn".into());
        };
        let mut bytes = [0; 8];
        m.environment.random(&mut bytes);
        let offset = i64::try_from(u64::from_le_bytes(bytes) % span).unwrap_or(0);
        Ok(Value::Int(a.int(0).wrapping_add(offset)))
    }),
];

fn divide(args: &Args, operation: fn(i64, i64) -> i64) -> Outcome {
    let (a, b) = (cast::int(args.value(0)), cast::int(args.value(1)));
    if b == 0 {
        return Err("runtime error: integer divide by zero".into());
    }
    Ok(Value::Int64(operation(a, b)))
}

fn extreme(args: &Args, largest: bool) -> Value {
    let all = args.rest(0).iter().map(cast::int);
    Value::Int64(if largest { all.max() } else { all.min() }.unwrap_or(0))
}

/// `math.Max`: of the two zeros the one without a sign; what is no number wins.
fn larger(a: f64, b: f64) -> f64 {
    match (a.is_nan() || b.is_nan(), a == 0.0 && b == 0.0) {
        (true, _) => f64::NAN,
        (_, true) if a.is_sign_negative() => b,
        _ => a.max(b),
    }
}

fn round(args: &Args) -> Value {
    let value = cast::float(args.value(0));
    let threshold = match args.value(2) {
        Value::Float(on) => *on,
        _ => 0.5,
    };
    let places = args.int(1).clamp(i32::MIN.into(), i32::MAX.into());
    let scale = 10f64.powi(i32::try_from(places).unwrap_or(0));
    let digit = scale * value;
    let rounded = if digit.fract() >= threshold {
        digit.ceil()
    } else {
        digit.floor()
    };
    Value::Float(rounded / scale)
}

/// Longest list of integers made.
const STEPS_MAX: i64 = 1_000_000;

fn steps(machine: &mut Machine<'_>, start: i64, stop: i64, step: i64) -> Result<Vec<i64>, Error> {
    if step == 0 || (stop < start) != (step < 0) {
        return Ok(Vec::new());
    }
    if (stop.saturating_sub(start) / step) > STEPS_MAX {
        return Err(format!("list is longer than {STEPS_MAX} items").into());
    }
    let count = stop.saturating_sub(start) / step;
    machine.charge(usize::try_from(count).unwrap_or(0))?;
    let mut out = Vec::new();
    let mut at = start;
    while (step > 0 && at < stop) || (step < 0 && at > stop) {
        out.push(at);
        at = at.saturating_add(step);
    }
    Ok(out)
}

fn ints(items: Vec<i64>) -> Value {
    let items = items.into_iter().map(Value::Int).collect();
    Value::List(List::new(ListKind::Ints, items))
}

fn sequence(machine: &mut Machine<'_>, args: &Args) -> Outcome {
    let numbers: Vec<i64> = (0..args.rest(0).len()).map(|i| args.int(i)).collect();
    let (start, step, end) = match numbers.as_slice() {
        [end] => (1, if *end < 1 { -1 } else { 1 }, *end),
        [start, end] => (*start, if end < start { -1 } else { 1 }, *end),
        [start, step, end] if end < start && *step > 0 => (*start, 0, *end),
        [start, step, end] => (*start, *step, *end),
        _ => return Ok(Value::text("")),
    };
    let beyond = if end < start { -1 } else { 1 };
    let items = steps(machine, start, end.saturating_add(beyond), step)?;
    let texts: Vec<String> = items.iter().map(ToString::to_string).collect();
    Ok(Value::text(texts.join(" ")))
}
