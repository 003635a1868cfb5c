//! `--name=value` flags in front of an instruction's arguments.
//!
//! Which instruction takes which flag is the table here; an unknown flag is an error that names
//! the nearest one, because a misspelt `--chown` must not silently do nothing.

use crate::instruction::Mount;
use crate::words;

/// The flags an instruction takes; `true` means it needs a value.
fn known(keyword: &str) -> &'static [(&'static str, bool)] {
    match keyword {
        "FROM" => &[("platform", true)],
        "RUN" => &[
            ("mount", true),
            ("network", true),
            ("security", true),
            ("device", true),
        ],
        "COPY" => &[
            ("from", true),
            ("chown", true),
            ("chmod", true),
            ("link", false),
            ("parents", false),
            ("exclude", true),
        ],
        "ADD" => &[
            ("chown", true),
            ("chmod", true),
            ("link", false),
            ("checksum", true),
            ("keep-git-dir", false),
            ("unpack", false),
            ("exclude", true),
        ],
        "HEALTHCHECK" => &[
            ("interval", true),
            ("timeout", true),
            ("start-period", true),
            ("start-interval", true),
            ("retries", true),
        ],
        _ => &[],
    }
}

/// Flags in order, and what follows them.
#[derive(Debug, Default)]
pub(crate) struct Flags {
    values: Vec<(String, Option<String>)>,
}

/// A flag that cannot be used: the message and a hint.
pub(crate) type Refusal = (String, Option<String>);

impl Flags {
    /// Takes the flags off the front of `rest`.
    pub(crate) fn read(keyword: &str, rest: &str, escape: char) -> Result<(Self, String), Refusal> {
        let mut flags = Self::default();
        let mut rest = rest.trim_start();
        while rest.starts_with("--") {
            let word = words::split(rest, escape)
                .into_iter()
                .next()
                .unwrap_or_default();
            rest = rest[word.len()..].trim_start();
            if word == "--" {
                break;
            }
            let (name, value) = match word[2..].split_once('=') {
                Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
                None => (word[2..].to_owned(), None),
            };
            check(keyword, &name, value.is_some())?;
            flags.values.push((name, value));
        }
        Ok((flags, rest.to_owned()))
    }

    /// The last value of a flag.
    pub(crate) fn value(&self, name: &str) -> Option<String> {
        self.all(name).pop()
    }

    /// Every value of a flag.
    pub(crate) fn all(&self, name: &str) -> Vec<String> {
        let named = self.values.iter().filter(|(key, _)| key == name);
        named.filter_map(|(_, value)| value.clone()).collect()
    }

    /// Whether a boolean flag is set; `--link=false` is false.
    pub(crate) fn is_set(&self, name: &str) -> bool {
        let named = self.values.iter().rev().find(|(key, _)| key == name);
        named.is_some_and(|(_, value)| value.as_deref() != Some("false"))
    }

    /// Every flag with a value, in order.
    pub(crate) fn pairs(&self) -> Vec<(String, String)> {
        let pairs = self.values.iter();
        pairs
            .filter_map(|(k, v)| Some((k.clone(), v.clone()?)))
            .collect()
    }
}

fn check(keyword: &str, name: &str, valued: bool) -> Result<(), Refusal> {
    let table = known(keyword);
    let Some((_, needs)) = table.iter().find(|(known, _)| *known == name) else {
        let hint = nearest(name, table.iter().map(|(known, _)| *known));
        return Err((
            format!("unknown flag `--{name}` for {keyword}"),
            hint.map(|known| format!("did you mean `--{known}`?")),
        ));
    };
    if *needs && !valued {
        return Err((
            format!("flag `--{name}` needs a value"),
            Some(format!("write `--{name}=…`")),
        ));
    }
    Ok(())
}

/// Reads the value of `--mount`.
pub(crate) fn mount(value: &str) -> Result<Mount, Refusal> {
    let mut mount = Mount {
        kind: "bind".into(),
        options: Vec::new(),
    };
    for field in value.split(',') {
        let (key, value) = field.split_once('=').unwrap_or((field, "true"));
        let key = key.trim().to_ascii_lowercase();
        let value = value.trim_matches('"').to_owned();
        if key == "type" {
            mount.kind = value;
        } else {
            mount.options.push((key, value));
        }
    }
    let kinds = ["bind", "cache", "tmpfs", "secret", "ssh"];
    if kinds.contains(&mount.kind.as_str()) {
        return Ok(mount);
    }
    let hint = nearest(&mount.kind, kinds).map(|known| format!("did you mean `{known}`?"));
    Err((format!("unknown mount type `{}`", mount.kind), hint))
}

/// The candidate closest to `word`, if one is close enough to be a slip.
pub(crate) fn nearest<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let scored = candidates.into_iter().map(|c| (distance(word, c), c));
    let (cost, best) = scored.min()?;
    (cost <= 2 && cost < best.len()).then_some(best)
}

fn distance(a: &str, b: &str) -> usize {
    if a.len() > 64 {
        return usize::MAX;
    }
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}
