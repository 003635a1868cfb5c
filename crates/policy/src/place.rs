//! Places inside an object: `podSpec.containers[].ports[]`, `data{}`, with their exact path.
//!
//! A path starts at the object unless its first word is `podSpec` or `podMetadata`. `[]` stands for
//! every item of a list, `{}` for every entry of a map, seen as `{key, value}`. What is absent has
//! no place, save `podMetadata`, which is then null: a rule about something required looks at its
//! parent.

use serde_json::{Value, json};

use crate::PLACES_MAX;
use crate::subject::{Subject, pod_path};

/// Keys and list indexes from the root of an object; indexes in decimal.
pub type Path = Vec<String>;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Key(String),
    Items,
    Entries,
}

/// A compiled `each`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Places {
    steps: Vec<Step>,
}

/// One place: its path, its value, and the container it is in, if any.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Place<'a> {
    pub(crate) path: Path,
    pub(crate) value: std::borrow::Cow<'a, Value>,
    pub(crate) container: Option<&'a Value>,
}

/// What `allContainers` stands for.
const CONTAINERS: [&str; 3] = ["containers", "initContainers", "ephemeralContainers"];

impl Places {
    /// Reads an `each`, one for every list that `allContainers` stands for; `None` when it is
    /// malformed.
    pub(crate) fn parse_all(text: &str) -> Option<Vec<Self>> {
        if !text.contains("allContainers[]") {
            return Some(vec![Self::parse(text)?]);
        }
        let one = |list: &&str| Self::parse(&text.replace("allContainers", list));
        CONTAINERS.iter().map(one).collect()
    }

    /// Reads an `each`; `None` when it is malformed.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut steps = Vec::new();
        for word in text.split('.') {
            let key = word.trim_end_matches("[]").trim_end_matches("{}");
            if key.is_empty() || key.contains(['[', ']', '{', '}']) {
                return None;
            }
            steps.push(Step::Key(key.to_owned()));
            match &word[key.len()..] {
                "" => {}
                "[]" => steps.push(Step::Items),
                "{}" => steps.push(Step::Entries),
                _ => return None,
            }
        }
        Some(Self { steps })
    }

    /// The places of an object.
    pub(crate) fn of<'a>(&self, object: &'a Value) -> Vec<Place<'a>> {
        let root = Place {
            path: Vec::new(),
            value: std::borrow::Cow::Borrowed(object),
            container: None,
        };
        let mut places = vec![root];
        for (index, step) in self.steps.iter().enumerate() {
            let listed = |key: &str| CONTAINERS.contains(&key);
            let in_container = *step == Step::Items
                && matches!(self.steps.get(index.wrapping_sub(1)), Some(Step::Key(k)) if listed(k));
            let mut next = Vec::new();
            for place in places {
                step.advance(place, object, index == 0, &mut next);
                if next.len() > PLACES_MAX {
                    next.truncate(PLACES_MAX);
                    break;
                }
            }
            if in_container {
                for place in &mut next {
                    if let std::borrow::Cow::Borrowed(value) = place.value {
                        place.container = Some(value);
                    }
                }
            }
            places = next;
        }
        places
    }
}

impl Step {
    fn advance<'a>(
        &self,
        from: Place<'a>,
        object: &'a Value,
        first: bool,
        out: &mut Vec<Place<'a>>,
    ) {
        let std::borrow::Cow::Borrowed(value) = from.value else {
            return;
        };
        let mut push = |steps: &[&str], value: std::borrow::Cow<'a, Value>| {
            let mut path = from.path.clone();
            path.extend(steps.iter().map(|s| (*s).to_owned()));
            out.push(Place {
                path,
                value,
                container: from.container,
            });
        };
        match (self, value) {
            (Self::Key(key), _) if first && (key == "podSpec" || key == "podMetadata") => {
                let Some(pod) = pod_path(&Subject::of(object)) else {
                    return;
                };
                let mut path = pod.to_vec();
                if key == "podMetadata" {
                    path.pop();
                    path.push("metadata");
                }
                match get(object, &path) {
                    Some(found) => push(&path, std::borrow::Cow::Borrowed(found)),
                    // A template without metadata is a place without labels, not no place.
                    None if key == "podMetadata" => {
                        push(&path, std::borrow::Cow::Owned(Value::Null));
                    }
                    None => {}
                }
            }
            (Self::Key(key), Value::Object(map)) => {
                if let Some(found) = map.get(key).filter(|found| !found.is_null()) {
                    push(&[key], std::borrow::Cow::Borrowed(found));
                }
            }
            (Self::Items, Value::Array(items)) => {
                for (index, item) in items.iter().enumerate() {
                    push(&[&index.to_string()], std::borrow::Cow::Borrowed(item));
                }
            }
            (Self::Entries, Value::Object(map)) => {
                for (key, value) in map.iter().filter(|(_, value)| !value.is_null()) {
                    let entry = json!({"key": key, "value": value});
                    push(&[key], std::borrow::Cow::Owned(entry));
                }
            }
            _ => {}
        }
    }
}

/// `spec.tls`, `metadata.annotations.[a.b/c]` as keys.
pub(crate) fn keys(text: &str) -> Path {
    let mut keys = Path::new();
    let mut rest = text;
    while !rest.is_empty() {
        let bracketed = rest.strip_prefix('[').and_then(|tail| tail.split_once(']'));
        let (key, tail) = bracketed.unwrap_or_else(|| rest.split_once('.').unwrap_or((rest, "")));
        rest = tail.trim_start_matches('.');
        if !key.is_empty() {
            keys.push(key.to_owned());
        }
    }
    keys
}

/// The value at a path of keys.
pub(crate) fn get<'a>(object: &'a Value, path: &[&str]) -> Option<&'a Value> {
    path.iter().try_fold(object, |value, key| value.get(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(each: &str, object: &Value) -> Vec<String> {
        let places = Places::parse(each).unwrap();
        places.of(object).iter().map(|p| p.path.join("/")).collect()
    }

    #[test]
    fn places_have_exact_paths_in_every_workload() {
        let pod = json!({"containers": [{"name": "a", "ports": [{}, {}]}, {"name": "b"}]});
        let job = json!({"apiVersion": "batch/v1", "kind": "CronJob",
            "spec": {"jobTemplate": {"spec": {"template": {"spec": pod, "metadata": {}}}}}});
        let base = "spec/jobTemplate/spec/template";
        assert_eq!(
            paths("podSpec.containers[].ports[]", &job),
            [
                format!("{base}/spec/containers/0/ports/0"),
                format!("{base}/spec/containers/0/ports/1"),
            ]
        );
        assert_eq!(paths("podMetadata", &job), [format!("{base}/metadata")]);
        let places = Places::parse("podSpec.containers[].ports[]")
            .unwrap()
            .of(&job);
        assert_eq!(places[1].container.unwrap()["name"], "a");
    }

    #[test]
    fn entries_of_maps_are_keys_and_values() {
        let map = json!({"data": {"b": "2", "a": "1"}});
        assert_eq!(paths("data{}", &map), ["data/a", "data/b"]);
        assert_eq!(paths("data{}", &json!({"data": [1]})), [""; 0]);
        assert_eq!(paths("podSpec", &map), [""; 0]);
    }

    #[test]
    fn keys_with_dots_stand_in_brackets() {
        assert_eq!(keys("a.b"), ["a", "b"]);
        assert_eq!(keys("a.[x.y/z].c"), ["a", "x.y/z", "c"]);
        assert_eq!(keys(""), [""; 0]);
    }

    #[test]
    fn all_containers_are_three_lists() {
        let pod = json!({"apiVersion": "v1", "kind": "Pod", "spec": {"containers": [{}],
            "initContainers": [{}], "ephemeralContainers": [{}, {}]}});
        let all = Places::parse_all("podSpec.allContainers[]").unwrap();
        let found: usize = all.iter().map(|places| places.of(&pod).len()).sum();
        assert_eq!(found, 4);
    }

    #[test]
    fn malformed_places_are_refused() {
        for text in ["", "a..b", "a[", "a[0]", "a[]{}", "[]"] {
            assert!(Places::parse(text).is_none(), "{text}");
        }
    }
}
