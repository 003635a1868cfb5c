//! Pages people see: the State's design system, tests of journeys, the floor of accessibility.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::{Map, Value};

use super::{Source, breach_at};
use crate::collect::Collector;
use crate::secrets::is_test;
use crate::tree::name;

/// Packages that draw pages in a browser.
const FRAMEWORKS: [&str; 10] = [
    "react-dom",
    "vue",
    "@angular/core",
    "svelte",
    "preact",
    "next",
    "nuxt",
    "solid-js",
    "ember-source",
    "lit",
];
/// Packages that drive a browser through a journey.
const DRIVERS: [&str; 12] = [
    "playwright",
    "@playwright/test",
    "cypress",
    "selenium-webdriver",
    "testcafe",
    "webdriverio",
    "puppeteer",
    "nightwatch",
    "codeceptjs",
    "protractor",
    "@wdio/cli",
    "@cucumber/cucumber",
];

static PAGE: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(?i)<html(\s[^>]*)?>").expect("a constant"));
static IMAGE: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(?is)<img\s[^>]*>").expect("a constant"));
static LANGUAGE: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(?i)\s:?lang\s*=").expect("a constant"));
static ALTERNATIVE: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(?i)\s(:|v-bind:|\[)?(attr\.)?alt\b").expect("a constant"));
static TITLE: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(?is)<title[^>]*>\s*[^<\s]").expect("a constant"));

/// The dependencies of a `package.json`, those of development too.
fn packages(text: &str) -> Option<Map<String, Value>> {
    let root: Value = serde_json::from_str(text).ok()?;
    let mut all = Map::new();
    for list in ["dependencies", "devDependencies", "peerDependencies"] {
        if let Some(packages) = root[list].as_object() {
            all.extend(packages.clone());
        }
    }
    Some(all)
}

/// A front is one package that draws pages and is run, not published as a library.
pub(super) fn judge(collector: &mut Collector<'_>, sources: &[Source<'_>]) {
    let manifests = sources
        .iter()
        .filter(|source| name(source.path) == "package.json");
    let manifests: Vec<(&Source<'_>, Map<String, Value>)> = manifests
        .filter_map(|source| Some((source, packages(source.text)?)))
        .collect();
    let driven = manifests
        .iter()
        .any(|(_, packages)| DRIVERS.iter().any(|d| packages.contains_key(*d)))
        || sources.iter().any(|source| drives(source));
    for (source, packages) in &manifests {
        let Some(framework) = FRAMEWORKS
            .iter()
            .find(|framework| packages.contains_key(**framework))
        else {
            continue;
        };
        if is_test(source.path) {
            continue;
        }
        collector.looked(["front-without-dsfr", "front-without-journey-test"]);
        let quoted = format!("\"{framework}\"");
        let at = source.text.find(&quoted).unwrap_or(0);
        if !packages.keys().any(|package| package.contains("dsfr")) {
            let fr = format!(
                "cette interface ({framework}) n'emploie pas le système de design de l'État"
            );
            let en = format!("this front end ({framework}) does not use the State's design system");
            breach_at(collector, **source, ("front-without-dsfr", at), (fr, en));
        }
        if !driven {
            let fr =
                format!("aucun test ne parcourt cette interface ({framework}) dans un navigateur");
            let en = format!("no test walks through this front end ({framework}) in a browser");
            breach_at(
                collector,
                **source,
                ("front-without-journey-test", at),
                (fr, en),
            );
        }
    }
}

/// Whether a file is part of tests that drive a browser, in any language.
fn drives(source: &Source<'_>) -> bool {
    let folder = source
        .path
        .split('/')
        .any(|part| matches!(part, "e2e" | "cypress" | "playwright"));
    let listed = matches!(
        name(source.path),
        "requirements.txt"
            | "requirements-dev.txt"
            | "pyproject.toml"
            | "pom.xml"
            | "build.gradle"
            | "Gemfile"
    );
    let words = [
        "playwright",
        "selenium",
        "robotframework",
        "capybara",
        "serenity",
    ];
    folder || listed && words.iter().any(|word| source.text.contains(word))
}

/// The floor of accessibility that a page's text alone tells: a language, a title, alternatives.
pub(super) fn page(collector: &mut Collector<'_>, source: Source<'_>) {
    let html = source.path.ends_with(".html") || source.path.ends_with(".htm");
    let outside = is_test(source.path)
        || source
            .path
            .split('/')
            .any(|part| matches!(part, "docs" | "doc" | "coverage" | "vendor" | "reports"));
    if !html || outside {
        return;
    }
    let rule = "html-accessibility";
    collector.looked([rule]);
    if let Some(start) = PAGE.find(source.text) {
        if !LANGUAGE.is_match(start.as_str()) {
            let texts = (
                "la page ne dit pas sa langue",
                "the page does not tell its language",
            );
            breach_at(
                collector,
                source,
                (rule, start.start()),
                (texts.0.into(), texts.1.into()),
            );
        }
        if !TITLE.is_match(source.text) {
            let texts = ("la page n'a pas de titre", "the page has no title");
            breach_at(
                collector,
                source,
                (rule, start.start()),
                (texts.0.into(), texts.1.into()),
            );
        }
    }
    for image in IMAGE
        .find_iter(source.text)
        .filter(|image| !ALTERNATIVE.is_match(image.as_str()))
    {
        let texts = (
            "une image n'a pas d'alternative",
            "an image has no alternative",
        );
        breach_at(
            collector,
            source,
            (rule, image.start()),
            (texts.0.into(), texts.1.into()),
        );
    }
}
