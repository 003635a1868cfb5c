//! Users and groups of an image, by name or number, from its own `/etc/passwd` and `/etc/group`.

use std::path::Path;

use crate::root::Root;

/// Largest file read, in bytes.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Who a step runs as, or who owns a copied file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// Supplementary groups.
    pub(crate) groups: Vec<u32>,
    pub(crate) home: String,
}

/// Resolves `user`, `user:group`, `uid`, `uid:gid`; `None` when a name is unknown.
pub(crate) fn resolve(root: &Root, text: &str) -> Option<User> {
    let (user, group) = match text.split_once(':') {
        Some((user, group)) => (user, Some(group)),
        None => (text, None),
    };
    let passwd = lines(root, "/etc/passwd");
    let groups = lines(root, "/etc/group");
    let user = if user.is_empty() { "0" } else { user };
    let entry = passwd
        .iter()
        .find(|line| line.first().is_some_and(|name| name == user));
    let entry = entry.or_else(|| {
        passwd
            .iter()
            .find(|l| l.get(2).is_some_and(|uid| uid == user))
    });
    let number = |entry: &Vec<String>, at: usize| entry.get(at).and_then(|text| text.parse().ok());
    let uid = match entry {
        Some(entry) => number(entry, 2)?,
        None => user.parse().ok()?,
    };
    let gid = match group {
        Some(group) => {
            let named = groups
                .iter()
                .find(|line| line.first().is_some_and(|name| name == group));
            named
                .and_then(|line| number(line, 2))
                .or_else(|| group.parse().ok())?
        }
        None => entry.and_then(|entry| number(entry, 3)).unwrap_or(0),
    };
    let name = entry
        .and_then(|entry| entry.first().cloned())
        .unwrap_or_default();
    let is_member = |line: &&Vec<String>| {
        line.get(3)
            .is_some_and(|names| names.split(',').any(|member| member == name))
    };
    let mut supplementary: Vec<u32> = Vec::new();
    if group.is_none() && !name.is_empty() {
        supplementary = groups
            .iter()
            .filter(is_member)
            .filter_map(|l| number(l, 2))
            .collect();
    }
    let home = entry
        .and_then(|entry| entry.get(5).cloned())
        .unwrap_or_else(|| "/".to_owned());
    Some(User {
        uid,
        gid,
        groups: supplementary,
        home,
    })
}

fn lines(root: &Root, path: &str) -> Vec<Vec<String>> {
    let Some(path) = root.resolve(Path::new(path)) else {
        return Vec::new();
    };
    let is_small = std::fs::metadata(&path).is_ok_and(|m| m.is_file() && m.len() <= FILE_BYTES_MAX);
    let text = if is_small {
        std::fs::read_to_string(&path).unwrap_or_default()
    } else {
        String::new()
    };
    text.lines()
        .map(|line| line.split(':').map(str::to_owned).collect())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_are_those_of_the_image() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("etc")).unwrap();
        let passwd = "root:x:0:0::/root:/bin/sh\nweb:x:33:34::/srv:/bin/sh\n";
        std::fs::write(folder.path().join("etc/passwd"), passwd).unwrap();
        let group = "root:x:0:\nweb:x:34:\nlog:x:4:web,other\n";
        std::fs::write(folder.path().join("etc/group"), group).unwrap();
        let root = Root::new(folder.path());
        let ids = |text: &str| resolve(&root, text).map(|user| (user.uid, user.gid, user.groups));
        assert_eq!(ids("web"), Some((33, 34, vec![4])));
        assert_eq!(ids("33"), Some((33, 34, vec![4])));
        assert_eq!(ids("web:log"), Some((33, 4, vec![])));
        assert_eq!(ids("65532"), Some((65532, 0, vec![])));
        assert_eq!(ids("65532:7"), Some((65532, 7, vec![])));
        assert_eq!(ids("nobody"), None);
        assert_eq!(ids("web:nothing"), None);
    }
}
