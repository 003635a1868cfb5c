//! The objects that `lookup` finds without a cluster: those of files somebody read.
//!
//! As with a cluster: a name gives that object, or an empty map; no name gives the list of a kind,
//! of one namespace or of all. An object without a namespace is found in every one, because it is
//! of the whole cluster, or was written without saying where.

use serde_json::{Value as Json, json};

use crate::errors::Error;
use crate::file::File;

/// Most objects kept.
const OBJECTS_MAX: usize = 100_000;

/// Objects by what they are.
#[derive(Debug, Clone, Default)]
pub struct Objects(Vec<Json>);

impl Objects {
    /// The objects of YAML and JSON files, those of lists one by one; other files are left out.
    ///
    /// # Errors
    /// A file that does not parse; something in it that is no object; too many objects.
    pub fn read(files: &[File]) -> Result<Self, Error> {
        let mut objects = Self::default();
        for file in files {
            let extension = file.path.rsplit('.').next().unwrap_or_default();
            if !["yaml", "yml", "json"].contains(&extension) {
                continue;
            }
            let text = file.text();
            let about = |reason: String| Error::new(format!("{}: {reason}", file.path));
            let read = pilotis_yaml::read_json(&text).map_err(|error| about(error.to_string()))?;
            for value in read {
                objects.add(value).map_err(about)?;
            }
        }
        Ok(objects)
    }

    /// One more object, or those of a list.
    ///
    /// # Errors
    /// Something that is no object; too many objects.
    pub fn add(&mut self, value: Json) -> Result<(), String> {
        let kind = value["kind"].as_str().unwrap_or_default();
        if let (true, Some(items)) = (kind.ends_with("List"), value["items"].as_array()) {
            return items.iter().try_for_each(|item| self.add(item.clone()));
        }
        if kind.is_empty() || !value["apiVersion"].is_string() {
            return Err("an object needs `apiVersion` and `kind`".to_string());
        }
        if self.0.len() == OBJECTS_MAX {
            return Err(format!("there are more than {OBJECTS_MAX} objects"));
        }
        self.0.push(value);
        Ok(())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What `lookup` gives for an API version, a kind, a namespace and a name.
    pub fn find(&self, query: [&str; 4]) -> Json {
        let [version, kind, namespace, name] = query;
        let place = |object: &Json| {
            let own = object["metadata"]["namespace"].as_str().unwrap_or_default();
            own.is_empty() || own == namespace || (namespace.is_empty() && name.is_empty())
        };
        let mut found = self.0.iter().filter(|object| {
            object["apiVersion"] == version && object["kind"] == kind && place(object)
        });
        if !name.is_empty() {
            let named = found.find(|object| object["metadata"]["name"] == name);
            return named.cloned().unwrap_or_else(|| json!({}));
        }
        let items: Vec<Json> = found.cloned().collect();
        let list = format!("{kind}List");
        json!({"apiVersion": version, "kind": list, "metadata": {}, "items": items})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn objects() -> Objects {
        let text = "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Secret, metadata: {name: a, namespace: x}}\n- {apiVersion: v1, kind: Secret, metadata: {name: a, namespace: other}, data: {k: dg==}}\n---\napiVersion: v1\nkind: Namespace\nmetadata: {name: x}\n";
        Objects::read(&[File::new("o.yaml", text)]).unwrap()
    }

    #[test]
    fn an_object_is_found_by_namespace_and_name() {
        let objects = objects();
        assert_eq!(
            objects.find(["v1", "Secret", "other", "a"])["data"]["k"],
            "dg=="
        );
        assert_eq!(objects.find(["v1", "Secret", "z", "a"]), json!({}));
        assert_eq!(objects.find(["v1", "Secret", "", "a"]), json!({}));
        assert_eq!(
            objects.find(["v1", "Namespace", "", "x"])["kind"],
            "Namespace"
        );
    }

    #[test]
    fn a_list_is_of_one_namespace_or_of_all() {
        let objects = objects();
        let count = |namespace| {
            let list = objects.find(["v1", "Secret", namespace, ""]);
            assert_eq!(list["kind"], "SecretList");
            list["items"].as_array().unwrap().len()
        };
        assert_eq!((count(""), count("x"), count("z")), (2, 1, 0));
    }

    #[test]
    fn what_is_no_object_is_refused() {
        let error = Objects::read(&[File::new("o.yaml", "a: 1\n")]).unwrap_err();
        assert_eq!(
            error.message,
            "o.yaml: an object needs `apiVersion` and `kind`"
        );
    }
}
