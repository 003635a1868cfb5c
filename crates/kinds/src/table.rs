//! Reads the committed table of built-in kinds into resources and types.
//!
//! One line per fact, fields apart by one blank: `R` a resource, `S` a subresource of the one
//! above, `T` a type, `@` an embedded struct of it, anything else a field:
//! `name type flags number [map=keys|set] [smp=key] [def=json]`. The file is ours and generated; a
//! line that cannot be read is left out, which the tests against upstream's data would show.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use serde_json::Value;

use crate::catalog::{Resource, Subresource};
use crate::schema::{
    Field, Form, List, ListKind, Map, Object, Scalar, Strategy, Type, Types, Wire,
};

const TEXT: &str = include_str!("data/kubernetes.txt");
const META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.";

/// Ends the name of a copy of an atomic type for a field whose parts have owners of their own.
pub(crate) const GRANULAR: &str = "#granular";

/// What the file says.
pub(crate) struct Table {
    pub(crate) resources: Vec<Resource>,
    pub(crate) types: Types,
    pub(crate) embedded: HashMap<&'static str, Vec<(u32, &'static str)>>,
    names: HashSet<&'static str>,
}

impl Table {
    /// Key of the type of a kind: of its group's package, else of the shared kinds.
    pub(crate) fn kind(&self, group: &str, version: &str, kind: &str) -> Option<&'static str> {
        let package = match group {
            "" => "io.k8s.api.core".to_owned(),
            "apiextensions.k8s.io" => {
                "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions".to_owned()
            }
            "apiregistration.k8s.io" => {
                "io.k8s.kube-aggregator.pkg.apis.apiregistration".to_owned()
            }
            other => format!("io.k8s.api.{}", other.split('.').next().unwrap_or(other)),
        };
        let own = format!("{package}.{version}.{kind}");
        let shared = format!("{META}{kind}");
        let found = self.names.get(own.as_str());
        found.or_else(|| self.names.get(shared.as_str())).copied()
    }
}

/// Reads the whole file.
pub(crate) fn load() -> Table {
    let mut resources: Vec<Resource> = Vec::new();
    let mut objects: HashMap<&'static str, Object> = HashMap::new();
    let mut embedded: HashMap<&'static str, Vec<(u32, &'static str)>> = HashMap::new();
    let mut granular: Vec<&'static str> = Vec::new();
    let mut current = "";
    for line in TEXT.lines() {
        let mut words = line.split(' ');
        match words.next() {
            Some("R") => resources.extend(resource(words)),
            Some("S") => {
                if let (Some(last), Some(sub)) = (resources.last_mut(), subresource(words)) {
                    last.subresources.push(sub);
                }
            }
            Some("T") => {
                current = words.next().unwrap_or_default();
                let flags: Vec<&str> = words.collect();
                let object = Object {
                    atomic: flags.contains(&"atomic"),
                    retain_keys: flags.contains(&"retain"),
                    ..Object::default()
                };
                objects.insert(current, object);
            }
            Some(word) if word.starts_with('@') => {
                let number = word.trim_start_matches('@').parse().unwrap_or_default();
                embedded
                    .entry(current)
                    .or_default()
                    .extend(words.next().map(|n| (number, n)));
            }
            Some(name) if !name.starts_with('#') => {
                granular.extend(granular_reference(words.clone()));
                if let (Some(object), Some(field)) = (objects.get_mut(current), field(words)) {
                    object.fields.insert(name.to_owned(), field);
                }
            }
            _ => {}
        }
    }
    for name in granular {
        if let Some(object) = objects.get(name).cloned() {
            let own: &'static str = format!("{name}{GRANULAR}").leak();
            objects.insert(
                own,
                Object {
                    atomic: false,
                    ..object
                },
            );
        }
    }
    let names = objects.keys().copied().collect();
    let named = objects
        .into_iter()
        .map(|(n, o)| (Arc::from(n), Arc::new(o)))
        .collect();
    Table {
        resources,
        types: Types::new(named),
        embedded,
        names,
    }
}

fn resource(mut words: std::str::Split<'static, char>) -> Option<Resource> {
    Some(Resource {
        group: undash(words.next()?),
        version: words.next()?,
        kind: words.next()?,
        plural: words.next()?,
        singular: words.next()?,
        namespaced: words.next()? == "ns",
        verbs: items(words.next()?),
        short_names: items(words.next()?),
        categories: items(words.next()?),
        type_name: words.next()?,
        subresources: Vec::new(),
    })
}

fn subresource(mut words: std::str::Split<'static, char>) -> Option<Subresource> {
    Some(Subresource {
        name: words.next()?,
        group: undash(words.next()?),
        version: words.next()?,
        kind: words.next()?,
        verbs: items(words.next()?),
    })
}

fn undash(word: &'static str) -> &'static str {
    if word == "-" { "" } else { word }
}

fn items(word: &'static str) -> Vec<&'static str> {
    if word == "-" {
        Vec::new()
    } else {
        word.split(',').collect()
    }
}

fn field(mut words: std::str::Split<'static, char>) -> Option<Field> {
    let shape = words.next()?;
    let flags = words.next()?;
    let number = words.next()?.parse().ok()?;
    let mut kind = ListKind::Atomic;
    let mut strategy = Strategy::Replace;
    let mut default = None;
    for word in words {
        match word.split_once('=') {
            Some(("map", keys)) => kind = ListKind::Map(keys.split(',').map(Into::into).collect()),
            Some(("smp", "")) => strategy = Strategy::Merge(None),
            Some(("smp", key)) => strategy = Strategy::Merge(Some(key.to_owned())),
            Some(("def", json)) => default = serde_json::from_str(json).ok(),
            _ if word == "set" => kind = ListKind::Set,
            _ => {}
        }
    }
    let has = |flag: char| flags.contains(flag);
    let (mut ty, form) = read_type(shape, has('a'))?;
    if let (Type::Ref(name), true) = (&mut ty, has('g')) {
        *name = format!("{name}{GRANULAR}").into();
    }
    if let Type::List(list) = &mut ty {
        *list = Arc::new(List {
            item: list.item.clone(),
            kind,
            strategy,
        });
    }
    let zero = if has('p') || has('o') {
        None
    } else {
        zero(&ty)
    };
    let (pointer, inline) = (has('p'), has('i'));
    let (omit_empty, omit_zero) = (has('o'), has('z'));
    let wire = Some(Wire {
        number,
        pointer,
        inline,
        omit_empty,
        omit_zero,
        form,
    });
    let default = default.or(zero);
    Some(Field {
        ty,
        required: has('r'),
        nullable: false,
        default,
        wire,
    })
}

fn zero(ty: &Type) -> Option<Value> {
    match ty {
        Type::Scalar(Scalar::String) => Some("".into()),
        Type::Scalar(Scalar::Integer) => Some(0.into()),
        Type::Scalar(Scalar::Boolean) => Some(false.into()),
        _ => None,
    }
}

/// The atomic type that a field of this line owns field by field all the same.
fn granular_reference(mut words: std::str::Split<'static, char>) -> Option<&'static str> {
    let name = words.next()?.strip_prefix('&')?;
    words.next()?.contains('g').then_some(name)
}

fn read_type(shape: &str, atomic: bool) -> Option<(Type, Form)> {
    if let Some(name) = shape.strip_prefix('&') {
        return Some((Type::Ref(name.into()), Form::Plain));
    }
    if let Some(inner) = shape.strip_prefix('[').and_then(|s| s.strip_suffix(']')) {
        let (item, form) = read_type(inner, false)?;
        let list = List {
            item,
            kind: ListKind::Atomic,
            strategy: Strategy::Replace,
        };
        return Some((Type::List(Arc::new(list)), form));
    }
    if let Some(inner) = shape.strip_prefix('{').and_then(|s| s.strip_suffix('}')) {
        let (value, form) = read_type(inner, false)?;
        return Some((Type::Map(Arc::new(Map { value, atomic })), form));
    }
    leaf(shape)
}

fn leaf(letter: &str) -> Option<(Type, Form)> {
    let scalar = |scalar| Some((Type::Scalar(scalar), Form::Plain));
    match letter {
        "s" => scalar(Scalar::String),
        "y" => scalar(Scalar::Bytes),
        "i" => Some((Type::Scalar(Scalar::Integer), Form::Int32)),
        "I" => scalar(Scalar::Integer),
        "f" => scalar(Scalar::Number),
        "b" => scalar(Scalar::Boolean),
        "p" => scalar(Scalar::IntOrString),
        "q" => scalar(Scalar::Quantity),
        "t" => scalar(Scalar::Time),
        "m" => scalar(Scalar::MicroTime),
        "d" => scalar(Scalar::Duration),
        "F" => Some((Type::Any, Form::FieldsV1)),
        "R" => Some((Type::Any, Form::RawExtension)),
        "J" => Some((Type::Any, Form::Json)),
        "A" => Some((Type::Any, Form::SchemaOrArray)),
        "B" => Some((Type::Any, Form::SchemaOrBool)),
        "S" => Some((Type::Any, Form::SchemaOrStrings)),
        "L" => {
            let item = Type::Scalar(Scalar::String);
            let list = List {
                item,
                kind: ListKind::Atomic,
                strategy: Strategy::Replace,
            };
            Some((Type::List(Arc::new(list)), Form::Strings))
        }
        _ => None,
    }
}
