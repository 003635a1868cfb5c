//! The images an object would run: of pods, and of everything that holds a pod template.

use std::collections::BTreeSet;

use serde_json::Value;

/// Where pod specifications are, by kind.
fn pod_spec<'a>(kind: &str, object: &'a Value) -> Option<&'a Value> {
    let path = match kind {
        "Pod" => "/spec",
        "CronJob" => "/spec/jobTemplate/spec/template/spec",
        "PodTemplate" => "/template/spec",
        _ => "/spec/template/spec",
    };
    object.pointer(path)
}

/// A container and its image.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Image {
    pub(crate) container: String,
    pub(crate) image: String,
}

/// Every image, init and ephemeral containers included.
pub(crate) fn images(kind: &str, object: &Value) -> BTreeSet<Image> {
    let Some(spec) = pod_spec(kind, object) else {
        return BTreeSet::new();
    };
    let lists = ["containers", "initContainers", "ephemeralContainers"];
    let containers = lists
        .iter()
        .filter_map(|list| spec.get(list)?.as_array())
        .flatten();
    let text = |container: &Value, key: &str| {
        container
            .get(key)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let mut found: BTreeSet<Image> = containers
        .map(|c| Image {
            container: text(c, "name"),
            image: text(c, "image"),
        })
        .collect();
    let volumes = spec
        .get("volumes")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    found.extend(volumes.filter_map(|volume| {
        let image = volume.pointer("/image/reference")?.as_str()?.to_owned();
        Some(Image {
            container: text(volume, "name"),
            image,
        })
    }));
    found
}

/// The images of an object that its older version did not run already.
pub(crate) fn new_images(kind: &str, object: &Value, older: &Value) -> BTreeSet<Image> {
    let older: BTreeSet<String> = images(kind, older).into_iter().map(|i| i.image).collect();
    let mut new = images(kind, object);
    new.retain(|image| !older.contains(&image.image));
    new
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn names(kind: &str, object: &Value, older: &Value) -> Vec<String> {
        new_images(kind, object, older)
            .into_iter()
            .map(|i| i.image)
            .collect()
    }

    #[test]
    fn images_are_found_wherever_they_run() {
        let spec = json!({
            "containers": [{"name": "a", "image": "one"}],
            "initContainers": [{"name": "b", "image": "two"}],
            "ephemeralContainers": [{"name": "c", "image": "three"}],
            "volumes": [{"name": "d", "image": {"reference": "four"}}, {"name": "e"}],
        });
        let cases = [
            ("Pod", json!({"spec": spec})),
            ("Deployment", json!({"spec": {"template": {"spec": spec}}})),
            (
                "CronJob",
                json!({"spec": {"jobTemplate": {"spec": {"template": {"spec": spec}}}}}),
            ),
            ("PodTemplate", json!({"template": {"spec": spec}})),
        ];
        for (kind, object) in cases {
            let found = names(kind, &object, &Value::Null);
            assert_eq!(found, ["one", "two", "three", "four"], "{kind}");
        }
    }

    #[test]
    fn what_ran_before_is_not_asked_about_again() {
        let pod = |images: [&str; 2]| {
            let containers = images.map(|image| json!({"name": image, "image": image}));
            json!({"spec": {"containers": containers}})
        };
        assert_eq!(names("Pod", &pod(["a", "b"]), &pod(["a", "c"])), ["b"]);
    }
}
