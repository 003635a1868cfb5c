//! Rendered charts as `helm template` prints them.

use bytestring::ByteString;

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

/// A printed text in pieces, which share the manifests they are: put together, a large output would
/// stand in memory twice.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Printout(Vec<ByteString>);

impl Printout {
    /// The pieces, in order.
    pub fn pieces(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|piece| &**piece)
    }

    fn add(&mut self, source: &str, text: ByteString) {
        self.0.push(format!("---\n# Source: {source}\n").into());
        self.0.push(text);
        self.0.push(ByteString::from_static("\n"));
    }

    /// Without white space at both ends.
    fn trim(&mut self) {
        while let Some(last) = self.0.pop() {
            let kept = last.slice_ref(last.trim_end());
            if !kept.is_empty() {
                self.0.push(kept);
                break;
            }
        }
        let is_blank = |piece: &ByteString| piece.trim_start().is_empty();
        let blank = self.0.iter().take_while(|piece| is_blank(piece)).count();
        self.0.drain(..blank);
        if let Some(first) = self.0.first_mut() {
            *first = first.slice_ref(first.trim_start());
        }
    }
}

impl From<String> for Printout {
    fn from(text: String) -> Self {
        Self(vec![text.into()])
    }
}

impl std::fmt::Display for Printout {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.pieces().try_for_each(|piece| f.write_str(piece))
    }
}

/// Standard output.
pub fn print(rendered: &Rendered, printing: Printing) -> Printout {
    with_hooks(objects(rendered, printing), rendered, printing)
}

/// Everything but the hooks, as Helm 3 hands it to a post-renderer.
pub(crate) fn objects(rendered: &Rendered, printing: Printing) -> Printout {
    let mut out = Printout::default();
    if printing.include_crds {
        for crd in &rendered.crds {
            out.add(&crd.path, crd.shared_text());
        }
    }
    for manifest in &rendered.manifests {
        out.add(&manifest.source, manifest.text.clone());
    }
    out
}

/// The objects as they are printed, and the hooks after them.
pub(crate) fn with_hooks(objects: Printout, rendered: &Rendered, printing: Printing) -> Printout {
    let mut out = objects;
    out.trim();
    out.0.push(ByteString::from_static("\n"));
    if !printing.no_hooks {
        for hook in &rendered.hooks {
            let is_test = hook.events.iter().any(|event| event == "test");
            if printing.skip_tests && is_test {
                continue;
            }
            out.add(&hook.manifest.source, hook.manifest.text.clone());
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
