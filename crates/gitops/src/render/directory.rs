//! A directory of manifests: YAML and JSON files, `List`s opened.

use pilotis_git::{File, Mode};
use pilotis_kinds::argo::DirectorySource;
use pilotis_sync::{glob, object};
use serde_json::Value;

use super::{RenderError, relative};

/// A file with this text is left alone.
const SKIP: &[u8] = b"+argocd:skip-file-rendering";

/// The objects of the files below `root`, in path order.
pub(super) fn manifests(
    files: &[File],
    root: &str,
    settings: &DirectorySource,
) -> Result<Vec<Value>, RenderError> {
    let mut objects = Vec::new();
    for file in files.iter().filter(|file| is_wanted(file, root, settings)) {
        let text = std::str::from_utf8(&file.bytes).map_err(|_| invalid(file, "not UTF-8"))?;
        let documents =
            pilotis_yaml::read_json(text).map_err(|error| invalid(file, &error.to_string()))?;
        for document in documents {
            open(document, file, &mut objects)?;
        }
    }
    Ok(objects)
}

fn is_wanted(file: &File, root: &str, settings: &DirectorySource) -> bool {
    let path = relative(file, root);
    let extension = path.rsplit_once('.').map(|(_, extension)| extension);
    let matches = |pattern: &Option<String>| {
        pattern
            .as_deref()
            .filter(|pattern| !pattern.is_empty())
            .map(|one| glob::matches(one, path))
    };
    matches!(extension, Some("yaml" | "yml" | "json"))
        && file.mode != Mode::Link
        && (settings.recurse || !path.contains('/'))
        && matches(&settings.include).unwrap_or(true)
        && !matches(&settings.exclude).unwrap_or(false)
        && !file.bytes.windows(SKIP.len()).any(|window| window == SKIP)
}

fn invalid(file: &File, message: &str) -> RenderError {
    RenderError::Manifest {
        path: file.path.clone(),
        message: message.to_owned(),
    }
}

/// Adds an object, or each item of a `List`.
fn open(document: Value, file: &File, objects: &mut Vec<Value>) -> Result<(), RenderError> {
    let kind = object::kind(&document);
    if object::text(&document, "/apiVersion").is_empty() || kind.is_empty() {
        return Err(invalid(file, "a document has no apiVersion or no kind"));
    }
    if kind.ends_with("List")
        && let Some(items) = document.get("items").and_then(Value::as_array)
    {
        for item in items {
            open(item.clone(), file, objects)?;
        }
        return Ok(());
    }
    let generated = !object::text(&document, "/metadata/generateName").is_empty();
    if object::name(&document).is_empty() && !generated {
        return Err(invalid(file, &format!("a {kind} has no name")));
    }
    objects.push(document);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> File {
        File {
            path: path.into(),
            mode: Mode::File,
            bytes: text.as_bytes().to_vec(),
        }
    }

    fn names(files: &[File], settings: &DirectorySource) -> Result<Vec<String>, String> {
        let objects = manifests(files, "app", settings).map_err(|error| error.to_string())?;
        Ok(objects
            .iter()
            .map(|found| object::name(found).to_owned())
            .collect())
    }

    const MAP: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: NAME}\n";

    #[test]
    fn files_are_chosen_by_place_pattern_and_mark() {
        let map = |name: &str| MAP.replace("NAME", name);
        let list = format!(
            "apiVersion: v1\nkind: List\nitems:\n- {}",
            map("item").trim_end().replace('\n', "\n  ")
        );
        let files = [
            file("app/a.yaml", &format!("{}---\n{}", map("a1"), map("a2"))),
            file(
                "app/b.json",
                r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"b"}}"#,
            ),
            file("app/deep/c.yml", &map("c")),
            file("app/list.yaml", &list),
            file("app/readme.md", "no"),
            file("app/skip.yaml", "# +argocd:skip-file-rendering\n{not yaml"),
        ];
        let flat = DirectorySource::default();
        assert_eq!(names(&files, &flat).unwrap(), ["a1", "a2", "b", "item"]);
        let deep = DirectorySource {
            recurse: true,
            ..flat.clone()
        };
        assert_eq!(
            names(&files, &deep).unwrap(),
            ["a1", "a2", "b", "c", "item"]
        );
        let only = DirectorySource {
            include: Some("{a,b}.*".into()),
            ..flat.clone()
        };
        assert_eq!(names(&files, &only).unwrap(), ["a1", "a2", "b"]);
        let without = DirectorySource {
            exclude: Some("a*".into()),
            ..flat
        };
        assert_eq!(names(&files, &without).unwrap(), ["b", "item"]);
    }

    #[test]
    fn a_bad_manifest_names_its_file() {
        let settings = DirectorySource::default();
        let cases = [
            (
                "kind: X\n",
                "app/a.yaml: a document has no apiVersion or no kind",
            ),
            (
                "apiVersion: v1\nkind: ConfigMap\n",
                "app/a.yaml: a ConfigMap has no name",
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(
                names(&[file("app/a.yaml", text)], &settings).unwrap_err(),
                expected
            );
        }
    }
}
