//! Versions of languages that nobody mends any more, wherever a repository names them.
//!
//! The table holds the last version whose maintenance ended before [`AS_OF`], from each project's
//! own announcements. A verdict does not depend on the day it is asked for: a newer edition of the
//! table comes with a newer edition of the program.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

use super::{Source, breach_at, shown};
use crate::collect::Collector;
use crate::tree::name;

/// The day the table speaks of.
pub(crate) const AS_OF: &str = "2026-01-01";

const RULE: &str = "runtime-end-of-life";

/// Languages and distributions, the names of their usual images, and the highest version
/// (major, minor) that is no longer maintained; a version below it is not either.
const ENDED: [(&str, &[&str], (u32, u32)); 10] = [
    ("Node.js", &["node"], (19, 99)),
    ("Python", &["python"], (3, 9)),
    ("PHP", &["php"], (8, 1)),
    ("Ruby", &["ruby"], (3, 1)),
    ("Go", &["golang"], (1, 23)),
    (".NET", &["dotnet"], (7, 99)),
    ("Debian", &["debian"], (10, 99)),
    ("Ubuntu", &["ubuntu"], (20, 4)),
    ("Alpine", &["alpine"], (3, 19)),
    ("CentOS", &["centos"], (8, 99)),
];
/// Releases between two that are maintained for long.
const SHORT: [(&str, &[u32]); 2] = [
    ("Node.js", &[21, 23]),
    ("Java", &[9, 10, 12, 13, 14, 15, 16, 18, 19, 20, 22, 23, 24]),
];
/// Names of releases that images wear instead of numbers.
const NAMED: [(&str, &str); 9] = [
    ("jessie", "Debian 8"),
    ("stretch", "Debian 9"),
    ("buster", "Debian 10"),
    ("xenial", "Ubuntu 16.04"),
    ("bionic", "Ubuntu 18.04"),
    ("focal", "Ubuntu 20.04"),
    ("trusty", "Ubuntu 14.04"),
    ("alpine3.18", "Alpine 3.18"),
    ("alpine3.17", "Alpine 3.17"),
];
/// Images of Java, by the last part of their name.
const JAVA: [&str; 6] = [
    "openjdk",
    "eclipse-temurin",
    "amazoncorretto",
    "adoptopenjdk",
    "java",
    "maven",
];

static NUMBERS: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^(\d+)(?:\.(\d+))?").expect("a constant, compiled by a test"));
static TAGGED_JDK: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?:^|-)(?:jdk|jre|openjdk|java|temurin)-?(\d+)").expect("a constant")
});

/// `18.2.0` as major and minor.
fn numbers(version: &str) -> Option<(u32, u32)> {
    let found = NUMBERS.captures(version.trim_start_matches('v'))?;
    let minor = found.get(2).map_or(Some(0), |m| m.as_str().parse().ok())?;
    Some((found[1].parse().ok()?, minor))
}

/// The release, when it is one that nobody mends any more.
pub(crate) fn ended(product: &str, version: &str) -> Option<String> {
    let (major, minor) = numbers(version)?;
    let listed = ENDED.iter().find(|(name, ..)| *name == product);
    let old = listed.is_some_and(|(_, _, last)| (major, minor) <= *last);
    let short = SHORT
        .iter()
        .any(|(name, all)| *name == product && all.contains(&major));
    let ancient_java = product == "Java" && major < 8 && !(major == 1 && minor >= 8);
    // A bare major stands for its newest minor.
    let bare =
        !version.contains('.') && listed.is_some_and(|(_, _, last)| last.0 == major && last.1 < 99);
    (old && !bare || short || ancient_java).then(|| match version.contains('.') {
        true => format!("{product} {major}.{minor}"),
        false => format!("{product} {major}"),
    })
}

/// The ended release that an image names.
pub(crate) fn ended_image(image: &str) -> Option<String> {
    let image = image.split('@').next().unwrap_or_default();
    let (path, tag) = image
        .rsplit_once(':')
        .filter(|(_, tag)| !tag.contains('/'))?;
    let last = path.rsplit('/').next().unwrap_or_default();
    let dotnet = path.contains("/dotnet/").then_some("dotnet");
    let last = dotnet.unwrap_or(last);
    if let Some((product, ..)) = ENDED.iter().find(|(_, names, _)| names.contains(&last))
        && let Some(found) = ended(product, tag.split('-').next().unwrap_or_default())
    {
        return Some(found);
    }
    if JAVA.contains(&last) {
        let tagged = TAGGED_JDK
            .captures(tag)
            .and_then(|c| Some(c.get(1)?.as_str()));
        let version = tagged.or((last != "maven").then_some(tag));
        let version = version.map(|v| v.split(['-', '.', 'u']).next().unwrap_or_default());
        if let Some(found) = version.and_then(|version| ended("Java", version)) {
            return Some(found);
        }
    }
    let named = NAMED
        .iter()
        .find(|(word, _)| tag.split('-').any(|part| part == *word));
    named.map(|(_, release)| (*release).to_owned())
}

/// The release an `os-release` file names, when it has ended.
pub(crate) fn ended_system(os_release: &str) -> Option<String> {
    let value = |key: &str| {
        let mut lines = os_release.lines();
        let found = lines.find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        found.map(|text| text.trim().trim_matches('"').to_owned())
    };
    let id = value("ID")?;
    let (product, ..) = ENDED
        .iter()
        .find(|(_, names, _)| names.contains(&id.as_str()))?;
    ended(product, &value("VERSION_ID")?)
}

pub(crate) fn judge(collector: &mut Collector<'_>, source: Source<'_>) {
    for (product, version) in declared(source) {
        collector.looked([RULE]);
        let Some(release) = ended(product, &version) else {
            continue;
        };
        let at = source.text.find(version.as_str()).unwrap_or(0);
        let release = shown(&release);
        let fr = format!("{release} n'est plus maintenu au {AS_OF}");
        let en = format!("{release} was no longer maintained on {AS_OF}");
        breach_at(collector, source, (RULE, at), (fr, en));
    }
}

/// The versions a file declares. A lower bound declares nothing: it lets any newer one run.
fn declared(source: Source<'_>) -> Vec<(&'static str, String)> {
    let first = source.text.lines().next().unwrap_or_default().trim();
    let one = |product, version: &str| vec![(product, version.to_owned())];
    match name(source.path) {
        ".nvmrc" | ".node-version" => one("Node.js", first),
        ".python-version" => one("Python", first),
        ".ruby-version" => one("Ruby", first.trim_start_matches("ruby-")),
        "runtime.txt" => match first.strip_prefix("python-") {
            Some(version) => one("Python", version),
            None => Vec::new(),
        },
        ".tool-versions" => tools(source.text),
        "package.json" => engine(source.text, "/engines/node", "Node.js"),
        "composer.json" => engine(source.text, "/require/php", "PHP"),
        "global.json" => engine(source.text, "/sdk/version", ".NET"),
        "pom.xml" => property(source.text, &JAVA_PROPERTY, "Java"),
        path if path.ends_with(".csproj") => property(source.text, &FRAMEWORK, ".NET"),
        _ => Vec::new(),
    }
}

static JAVA_PROPERTY: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"<(?:java\.version|maven\.compiler\.release|release)>\s*([0-9][0-9.]*)\s*<")
        .expect("a constant, compiled by a test")
});
static FRAMEWORK: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"<TargetFramework>net(?:coreapp)?([0-9]+\.[0-9]+)<")
        .expect("a constant, compiled by a test")
});

fn property(text: &str, pattern: &Regex, product: &'static str) -> Vec<(&'static str, String)> {
    let found = pattern.captures_iter(text).take(8);
    found.map(|found| (product, found[1].to_owned())).collect()
}

fn tools(text: &str) -> Vec<(&'static str, String)> {
    let known = [
        ("nodejs", "Node.js"),
        ("python", "Python"),
        ("ruby", "Ruby"),
        ("php", "PHP"),
    ];
    let line = |line: &str| {
        let (tool, version) = line.trim().split_once(char::is_whitespace)?;
        let (_, product) = known.iter().find(|(name, _)| *name == tool)?;
        Some((*product, version.trim().to_owned()))
    };
    text.lines().filter_map(line).collect()
}

/// A version of a JSON file that holds the major version in place: exact, `^`, `~` or `18.x`.
fn engine(text: &str, pointer: &str, product: &'static str) -> Vec<(&'static str, String)> {
    let root: Option<Value> = serde_json::from_str(text).ok();
    let found = root.and_then(|root| Some(root.pointer(pointer)?.as_str()?.to_owned()));
    let held = found.filter(|range| !range.contains(['>', '|', '*', ' ']));
    let version = held.map(|range| range.trim_start_matches(['^', '~', '=', 'v']).to_owned());
    version
        .map(|version| (product, version))
        .into_iter()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ended_releases_are_told_from_the_others() {
        for image in [
            "node:14",
            "docker.io/library/node:18-alpine",
            "node:21",
            "python:3.8-slim",
            "php:7.4-fpm",
            "openjdk:16-jdk",
            "maven:3.9-eclipse-temurin-20",
            "debian:buster-slim",
            "ubuntu:18.04",
            "alpine:3.12",
            "centos:7",
            "mcr.microsoft.com/dotnet/sdk:6.0",
            "golang:1.19",
            "ruby:2.7",
            "python:3.12-buster",
            "eclipse-temurin:19-jre",
        ] {
            assert!(ended_image(image).is_some(), "{image}");
        }
        for image in [
            "node:22",
            "node:20-slim",
            "node:lts",
            "python:3.12-slim",
            "python:3",
            "php:8.3",
            "php:8",
            "openjdk:17",
            "eclipse-temurin:21-jre",
            "maven:3.9-eclipse-temurin-21",
            "debian:12",
            "debian:bookworm-slim",
            "ubuntu:22.04",
            "alpine:3.20",
            "alpine:3",
            "golang:1.25",
            "scratch",
            "ghcr.io/etat/node:1.2.3-rc1@sha256:00",
            "nginx:1.27",
            "mcr.microsoft.com/dotnet/aspnet:8.0",
            "openjdk:8u392",
        ] {
            let found = ended_image(image);
            // A team's own image that has the name of a language is told by its version too.
            assert!(
                found.is_none() || image.contains("etat"),
                "{image}: {found:?}"
            );
        }
        assert_eq!(
            ended_system("ID=debian\nVERSION_ID=\"10\"\n").as_deref(),
            Some("Debian 10")
        );
        assert_eq!(ended_system("ID=debian\nVERSION_ID=\"12\"\n"), None);
        assert_eq!(
            ended_system("ID=alpine\nVERSION_ID=3.12.1\n").as_deref(),
            Some("Alpine 3.12")
        );
    }

    #[test]
    fn a_lower_bound_declares_nothing() {
        let engine = |range: &str| {
            let text = format!("{{\"engines\": {{\"node\": \"{range}\"}}}}");
            super::engine(&text, "/engines/node", "Node.js").len()
        };
        assert_eq!(
            (
                engine(">=16"),
                engine("^16.3.0"),
                engine("16.x"),
                engine("16 || 18")
            ),
            (0, 1, 1, 0)
        );
    }
}
