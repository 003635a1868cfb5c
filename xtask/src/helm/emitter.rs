//! Generated values through `toYaml`, `toYamlPretty`, `toJson` and the other way round, by both
//! programs.
//!
//! The values are made from a seed: strings of a hostile alphabet, nested maps, keys with digits,
//! numbers at the borders of notations. They enter as YAML double-quoted text with every unusual
//! character escaped, so that only writing is judged.

use std::fs;

use anyhow::{Result, bail};

use super::VERSIONS;
use super::program::{self, Program};
use super::random::Random;
use crate::run::target_dir;

/// Values of one rendering.
const BATCH: u64 = 500;

/// Pieces strings are made of.
const PIECES: [&str; 60] = [
    "a",
    "b",
    "word",
    "Zed",
    "1",
    "0",
    "9",
    "-",
    "_",
    ".",
    ":",
    ": ",
    " #",
    "#",
    ",",
    "[",
    "]",
    "{",
    "}",
    "&",
    "*",
    "!",
    "|",
    ">",
    "'",
    "\"",
    "%",
    "@",
    "`",
    "?",
    "? ",
    "- ",
    " ",
    "  ",
    "\n",
    "\n\n",
    "\t",
    "\r",
    "\u{7f}",
    "\u{85}",
    "\u{a0}",
    "\u{2028}",
    "é",
    "日本",
    "😀",
    "\u{feff}",
    "true",
    "no",
    "null",
    "~",
    "0x1f",
    "1e3",
    "2001-01-01",
    "=",
    "<<",
    "\\",
    "/",
    "<",
    "longer-words-to-fold ",
    "and some more text that makes lines long enough ",
];

/// Renders `count` generated values with the judge and with ours.
pub fn compare(count: u64) -> Result<()> {
    let (helm, ours) = (Program::helm(VERSIONS[0])?, Program::ours(VERSIONS[0])?);
    let folder = target_dir().join("helm-emitter");
    fs::create_dir_all(folder.join("templates"))?;
    fs::write(
        folder.join("Chart.yaml"),
        "apiVersion: v2\nname: e\nversion: 0.1.0\n",
    )?;
    fs::write(
        folder.join("templates/a.yaml"),
        "{{ range $i, $v := .Values.list }}v{{ $i }}: {{ list (toYaml $v) (toYamlPretty $v) \
         (toJson $v) (toString $v) | toJson | b64enc }}\n{{ end }}",
    )?;
    let mut different = 0;
    let mut done = 0;
    while done < count {
        let size = BATCH.min(count - done);
        let mut values = String::from("list:\n");
        for seed in done..done + size {
            let mut random = Random::new(seed);
            values.push_str(&format!("- {}\n", value(&mut random, 0)));
        }
        fs::write(folder.join("values.yaml"), &values)?;
        let wanted = helm.run(&folder, &["template", "r", "."])?;
        let found = ours.run(&folder, &["template", "r", "."])?;
        if !wanted.ok() {
            bail!("the judge fails: {}", wanted.stderr);
        }
        let (wanted, found) = (
            String::from_utf8_lossy(&wanted.stdout).into_owned(),
            String::from_utf8_lossy(&found.stdout).into_owned() + &found.stderr,
        );
        let mut found = found.lines();
        for line in wanted.lines() {
            let ours = found.next().unwrap_or_default();
            if line != ours {
                different += 1;
                if different <= 20 {
                    println!("helm: {}\nours: {}\n", plain(line), plain(ours));
                }
            }
        }
        done += size;
    }
    println!("{done} values, {different} different");
    if different > 0 {
        bail!("values are written differently");
    }
    Ok(())
}

/// A line with its base64 part decoded, for a person.
fn plain(line: &str) -> String {
    let Some((key, text)) = line.split_once(": ") else {
        return line.to_owned();
    };
    let bytes = program::base64(text);
    format!("{key}: {}", String::from_utf8_lossy(&bytes))
}

/// One value as YAML flow text.
fn value(random: &mut Random, depth: u32) -> String {
    let kinds = if depth > 3 { 8 } else { 11 };
    match random.below(kinds) {
        0..=4 => quoted(&text(random)),
        5 => number(random),
        6 => ["true", "false", "null"][usize::try_from(random.below(3)).unwrap_or(0)].to_owned(),
        7 => quoted(""),
        8 => {
            let items: Vec<String> = (0..random.below(5))
                .map(|_| value(random, depth + 1))
                .collect();
            format!("[{}]", items.join(", "))
        }
        _ => {
            let mut pairs: Vec<(String, String)> = Vec::new();
            for _ in 0..random.below(6) {
                let key = key(random);
                let value = value(random, depth + 1);
                if !pairs.iter().any(|(other, _)| *other == key) {
                    pairs.push((key, value));
                }
            }
            let pairs: Vec<String> = pairs.iter().map(|(k, v)| format!("{k}: {v}")).collect();
            format!("{{{}}}", pairs.join(", "))
        }
    }
}

fn key(random: &mut Random) -> String {
    const STEMS: [&str; 8] = ["a", "b", "key", "Key", "a-b", "a.b", "é", "10"];
    let stem = STEMS[usize::try_from(random.below(8)).unwrap_or(0)];
    match random.below(4) {
        0 => quoted(&text(random)),
        1 => quoted(stem),
        2 => quoted(&format!("{stem}{}", random.below(120))),
        _ => quoted(&format!("{stem}{}x", random.below(12))),
    }
}

fn number(random: &mut Random) -> String {
    let sign = if random.below(4) == 0 { "-" } else { "" };
    match random.below(6) {
        0 => format!("{sign}{}", random.below(100)),
        1 => format!("{sign}{}", random.below(u64::MAX)),
        2 => format!("{sign}{}.{}", random.below(1000), random.below(100_000)),
        3 => format!("{sign}{}e{}", random.below(100), random.below(30)),
        4 => format!(
            "{sign}0.{}{}",
            "0".repeat(usize::try_from(random.below(9)).unwrap_or(0)),
            random.below(100)
        ),
        _ => format!("{sign}{}e-{}", random.below(100) + 1, random.below(12)),
    }
}

fn text(random: &mut Random) -> String {
    let count = random.below(7) + 1;
    (0..count)
        .map(|_| PIECES[usize::try_from(random.below(PIECES.len() as u64)).unwrap_or(0)])
        .collect()
}

/// A YAML double-quoted text.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            ' '..='~' => out.push(c),
            c => out.push_str(&format!("\\U{:08x}", c as u32)),
        }
    }
    out.push('"');
    out
}
