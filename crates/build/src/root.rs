//! The root directory of a stage, and paths inside it that cannot lead out.
//!
//! Symbolic links in a stage are the team's; an absolute one means the stage's root, not ours. So
//! every path is resolved here, one component at a time, before the system sees it. Nothing else
//! runs in the stage meanwhile.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};

const LINKS_MAX: usize = 40;

/// A directory that is a file system root for somebody.
#[derive(Debug, Clone)]
pub(crate) struct Root(PathBuf);

impl Root {
    pub(crate) fn new(path: &Path) -> Self {
        Self(path.to_owned())
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Where `path` (absolute, seen from inside) really lies, all links followed; `None` when
    /// there are too many. What does not exist yet is taken literally.
    pub(crate) fn resolve(&self, path: &Path) -> Option<PathBuf> {
        self.walk(path, true)
    }

    /// The same, but the last component is not followed if it is a link.
    pub(crate) fn resolve_parent(&self, path: &Path) -> Option<PathBuf> {
        self.walk(path, false)
    }

    fn walk(&self, path: &Path, follow_last: bool) -> Option<PathBuf> {
        let mut left: VecDeque<OsString> = normal(path).collect();
        let mut inside: Vec<OsString> = Vec::new();
        let mut links = 0;
        while let Some(part) = left.pop_front() {
            if part == ".." {
                inside.pop();
                continue;
            }
            inside.push(part);
            if left.is_empty() && !follow_last {
                break;
            }
            let Ok(target) = std::fs::read_link(self.outside(&inside)) else {
                continue;
            };
            links += 1;
            if links > LINKS_MAX {
                return None;
            }
            inside.pop();
            if target.is_absolute() {
                inside.clear();
            }
            for part in normal(&target).collect::<Vec<_>>().into_iter().rev() {
                left.push_front(part);
            }
        }
        Some(self.outside(&inside))
    }

    fn outside(&self, inside: &[OsString]) -> PathBuf {
        inside
            .iter()
            .fold(self.0.clone(), |path, part| path.join(part))
    }
}

/// Components without root and dots; `..` is kept.
fn normal(path: &Path) -> impl Iterator<Item = OsString> + '_ {
    path.components().filter_map(|component| match component {
        Component::Normal(part) => Some(part.to_owned()),
        Component::ParentDir => Some("..".into()),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn no_link_leads_out() {
        let folder = tempfile::tempdir().unwrap();
        let root = Root::new(folder.path());
        std::fs::create_dir(folder.path().join("usr")).unwrap();
        symlink("/usr", folder.path().join("abs")).unwrap();
        symlink("../../../etc", folder.path().join("up")).unwrap();
        symlink("loop", folder.path().join("loop")).unwrap();
        let at = |path: &str| folder.path().join(path);
        assert_eq!(root.resolve(Path::new("/abs/x")), Some(at("usr/x")));
        assert_eq!(
            root.resolve(Path::new("/up/passwd")),
            Some(at("etc/passwd"))
        );
        assert_eq!(root.resolve(Path::new("/../../x")), Some(at("x")));
        assert_eq!(root.resolve_parent(Path::new("/abs")), Some(at("abs")));
        assert_eq!(root.resolve(Path::new("/loop")), None);
    }
}
