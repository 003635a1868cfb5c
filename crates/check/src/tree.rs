//! The files given, by path, and what each one is.

use std::collections::BTreeMap;

/// Files by path relative to the root, with `/`.
pub type Tree = BTreeMap<String, Vec<u8>>;

/// Largest file read; a larger one is reported as not judged.
pub const FILE_BYTES_MAX: usize = 4 << 20;

/// Directories that are not the team's source.
const FOREIGN: [&str; 3] = [".git", "node_modules", "target"];

/// Whether a path is in a directory nobody wrote.
pub(crate) fn is_foreign(path: &str) -> bool {
    path.split('/').any(|part| FOREIGN.contains(&part))
}

/// The last part of a path.
pub(crate) fn name(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, name)| name)
}

/// The directory of a path, without `/`; empty at the root.
pub(crate) fn directory(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(directory, _)| directory)
}

/// Whether a path is `directory` itself or inside it.
pub(crate) fn is_inside(path: &str, directory: &str) -> bool {
    directory.is_empty()
        || path
            .strip_prefix(directory)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Whether a path names a Dockerfile: `Dockerfile`, `Dockerfile.web`, `Dockerfile-web`,
/// `web.dockerfile`, whatever the case, or the same with Containerfile.
pub(crate) fn is_dockerfile(path: &str) -> bool {
    let name = name(path).to_ascii_lowercase();
    let named = |base: &str| {
        let rest = name.strip_prefix(base);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '-', '_']))
            || name
                .strip_suffix(base)
                .is_some_and(|rest| rest.ends_with('.'))
    };
    // A program or a page about Dockerfiles is none.
    let other = [
        ".dockerignore",
        ".md",
        ".rs",
        ".go",
        ".py",
        ".js",
        ".ts",
        ".sh",
        ".yaml",
        ".yml",
        ".json",
    ];
    let about = other.iter().any(|end| name.ends_with(end));
    !about && (named("dockerfile") || named("containerfile"))
}

/// Whether a path names a YAML file.
pub(crate) fn is_yaml(path: &str) -> bool {
    path.ends_with(".yaml") || path.ends_with(".yml")
}

/// The directories that hold a chart, subcharts left out: their parent renders them.
pub(crate) fn chart_directories(files: &Tree) -> Vec<&str> {
    let charts = files
        .keys()
        .filter(|path| name(path) == "Chart.yaml" && !is_foreign(path));
    let mut directories: Vec<&str> = charts.map(|path| directory(path)).collect();
    let all = directories.clone();
    directories.retain(|inner| {
        let parent = all
            .iter()
            .find(|outer| *outer != inner && is_inside(inner, outer));
        parent.is_none_or(|outer| {
            let rest = inner
                .strip_prefix(outer)
                .unwrap_or(inner)
                .trim_start_matches('/');
            !rest.starts_with("charts/")
        })
    });
    directories
}
