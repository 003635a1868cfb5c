//! Rendered charts as `helm template` prints them.

use crate::compat::Compat;
use crate::errors::Error;
use crate::ignore::glob;
use crate::manifest::split;
use crate::render::Rendered;

/// What to print.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Printing {
    /// `--include-crds`.
    pub include_crds: bool,
    /// `--no-hooks`.
    pub no_hooks: bool,
    /// `--skip-tests`.
    pub skip_tests: bool,
}

/// The bytes of standard output.
pub fn print(rendered: &Rendered, printing: Printing) -> String {
    with_hooks(objects(rendered, printing), rendered, printing)
}

/// Bytes printed around the source and the text of an object.
const AROUND_BYTES: usize = "---\n# Source: \n\n".len();

/// Everything but the hooks, as Helm 3 hands it to a post-renderer.
pub(crate) fn objects(rendered: &Rendered, printing: Printing) -> String {
    let objects = rendered.manifests.iter();
    let hooks = rendered.hooks.iter().map(|hook| &hook.manifest);
    let printed = objects.chain(hooks);
    let bytes = printed.map(|one| one.source.len() + one.text.len() + AROUND_BYTES);
    // Grown step by step, a large output would be copied several times.
    let mut out = String::with_capacity(bytes.sum());
    let mut add = |source: &str, text: &str| {
        for part in ["---\n# Source: ", source, "\n", text, "\n"] {
            out.push_str(part);
        }
    };
    if printing.include_crds {
        for crd in &rendered.crds {
            add(&crd.path, &crd.text());
        }
    }
    for manifest in &rendered.manifests {
        add(&manifest.source, &manifest.text);
    }
    out
}

/// The objects as they are printed, and the hooks after them.
pub(crate) fn with_hooks(objects: String, rendered: &Rendered, printing: Printing) -> String {
    let mut out = objects;
    out.truncate(out.trim_end().len());
    out.drain(..out.len() - out.trim_start().len());
    out.push('\n');
    if !printing.no_hooks {
        for hook in &rendered.hooks {
            let is_test = hook.events.iter().any(|event| event == "test");
            if printing.skip_tests && is_test {
                continue;
            }
            let manifest = &hook.manifest;
            out.push_str(&format!(
                "---\n# Source: {}\n{}\n",
                manifest.source, manifest.text
            ));
        }
    }
    out
}

/// A file `--output-dir` writes: its path below the folder, its text, and how it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Path below the folder.
    pub path: String,
    /// Everything that is written.
    pub text: String,
    /// Whether it is a hook, which is added to a file that is already there.
    pub is_hook: bool,
}

/// What `--output-dir` writes, in order; objects of one template share its path.
pub fn files(rendered: &Rendered, printing: Printing, release: Option<&str>) -> Vec<Written> {
    let below = |source: &str| match release {
        Some(release) => format!("{release}/{source}"),
        None => source.to_string(),
    };
    let written = |path: String, source: &str, text: &str, is_hook: bool| Written {
        path,
        text: format!("---\n# Source: {source}\n{text}\n"),
        is_hook,
    };
    let mut all = Vec::new();
    if printing.include_crds {
        for crd in &rendered.crds {
            let text = crd.text();
            all.push(written(crd.path.clone(), &crd.path, &text, false));
        }
    }
    for manifest in &rendered.manifests {
        let source = &manifest.source;
        all.push(written(below(source), source, &manifest.text, false));
    }
    for hook in &rendered.hooks {
        let is_test = hook.events.iter().any(|event| event == "test");
        if printing.no_hooks || (printing.skip_tests && is_test) {
            continue;
        }
        let source = &hook.manifest.source;
        all.push(written(below(source), source, &hook.manifest.text, true));
    }
    all
}

/// The documents of a printed output whose templates match the patterns of `--show-only`.
///
/// # Errors
/// A pattern that matches nothing.
pub fn show_only(printed: &str, patterns: &[String], compat: &Compat) -> Result<String, Error> {
    let documents = split(printed, compat);
    let mut out = String::new();
    for pattern in patterns {
        let mut found = false;
        for (_, document) in &documents {
            let line = document.lines().find_map(|line| {
                let at = line.find("# Source: ")?;
                let (_, path) = line[at + "# Source: ".len()..].split_once('/')?;
                Some(path)
            });
            if line.is_some_and(|path| glob(pattern, path)) {
                out.push_str(&format!("---\n{document}\n"));
                found = true;
            }
        }
        if !found {
            return Err(Error::new(format!(
                "could not find template {pattern} in chart"
            )));
        }
    }
    Ok(out)
}
