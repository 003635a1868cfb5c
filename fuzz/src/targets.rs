//! What is fed.

use std::time::SystemTime;

use pilotis_chart::{Chart, File, Index, IndexForm, Input, Lock, Values, unpack};
use pilotis_provenance::{Keyring, Statement};
use pilotis_template::{Limits, Machine, NoEnvironment, Set, Value};
use pilotis_yaml::Flavour;

use crate::{engine, seeds, verdict};

/// One engine that takes bytes nobody checked.
pub struct Target {
    /// Its name on the command line.
    pub name: &'static str,
    /// What inputs are made from.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// Takes an input; a panic is a finding, an error is not.
    pub run: fn(&[u8]),
}

/// The targets.
pub static TARGETS: [Target; 13] = [
    Target {
        name: "template",
        seeds: seeds::templates,
        run: template,
    },
    Target {
        name: "yaml",
        seeds: seeds::yaml,
        run: yaml,
    },
    Target {
        name: "toml",
        seeds: engine::tomls,
        run: engine::toml,
    },
    Target {
        name: "render",
        seeds: engine::charts,
        run: engine::whole,
    },
    Target {
        name: "set",
        seeds: seeds::words,
        run: set,
    },
    Target {
        name: "archive",
        seeds: seeds::archives,
        run: archive,
    },
    Target {
        name: "chart",
        seeds: seeds::yaml,
        run: chart,
    },
    Target {
        name: "index",
        seeds: seeds::indexes,
        run: index,
    },
    Target {
        name: "provenance",
        seeds: seeds::statements,
        run: provenance,
    },
    Target {
        name: "repository",
        seeds: verdict::repositories,
        run: verdict::repository,
    },
    Target {
        name: "report",
        seeds: verdict::reports,
        run: verdict::report,
    },
    Target {
        name: "layer",
        seeds: seeds::archives,
        run: verdict::layer,
    },
    Target {
        name: "decision",
        seeds: verdict::decisions,
        run: verdict::decision,
    },
];

/// The files of the chart an input stands for, by their paths; none for a target whose inputs are
/// no charts.
pub fn files(target: &str, bytes: &[u8]) -> Option<Vec<(&'static str, Vec<u8>)>> {
    match target {
        "render" => Some(engine::files(bytes)),
        "template" => Some(vec![
            ("Chart.yaml", engine::METADATA.into()),
            ("values.yaml", VALUES.into()),
            ("templates/t.yaml", bytes.into()),
        ]),
        _ => None,
    }
}

/// What templates see as `.Values`.
const VALUES: &str =
    r#"{"s": "text", "n": 5, "l": [1, "a", null], "m": {"a": {"b": 1}}, "t": true}"#;

/// Lexes, parses and executes a template.
fn template(bytes: &[u8]) {
    let mut set = Set::new();
    if set.add("t", bytes).is_err() {
        return;
    }
    let values: serde_json::Value = serde_json::from_str(VALUES).unwrap_or_default();
    let data = serde_json::json!({"Values": values, "Release": {"Name": "r"}});
    let data = Value::from_json(&data);
    let mut machine = Machine::new(set, &NoEnvironment);
    machine.limits = Limits {
        depth_max: 20,
        steps_max: 20_000,
        output_bytes_max: 1 << 20,
    };
    let _ = machine.run("t", &data);
}

/// Reads YAML in both ways, which must agree, converts it and writes it again in both flavours.
fn yaml(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let read = pilotis_yaml::parse(&text);
    assert_eq!(read, pilotis_yaml::parse_by_token(&text), "two readers");
    let _ = pilotis_yaml::parse_first_bytes(bytes);
    let Ok(documents) = read else {
        return;
    };
    for document in documents {
        let Some(json) = document
            .root
            .and_then(|root| pilotis_yaml::to_json(&root).ok())
        else {
            continue;
        };
        for flavour in [Flavour::GoV2, Flavour::GoV3] {
            let written = pilotis_yaml::emit(&json, flavour);
            let _ = pilotis_yaml::parse(&written);
        }
    }
}

/// Reads a word in every `--set` grammar.
fn set(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes).into_owned();
    let inputs = [
        Input::Set(text.clone()),
        Input::SetString(text.clone()),
        Input::SetJson(text.clone()),
        Input::SetLiteral(text.clone()),
        Input::SetFile(text, Vec::new()),
    ];
    for input in inputs {
        let _ = Values::merge(&[input]);
    }
}

/// Unpacks an archive and loads it.
fn archive(bytes: &[u8]) {
    let _ = unpack(bytes);
    let _ = Chart::load_archive(bytes);
}

/// Loads a chart whose values, metadata and ignore rules are the input.
fn chart(bytes: &[u8]) {
    for path in [
        "values.yaml",
        "Chart.yaml",
        ".helmignore",
        "values.schema.json",
    ] {
        let mut files = vec![File::new(path, bytes)];
        if path != "Chart.yaml" {
            let metadata = "apiVersion: v2\nname: a\nversion: 1.0.0\n";
            files.push(File::new("Chart.yaml", metadata));
        }
        let _ = Chart::load(files);
    }
}

/// Reads an index whole and chart by chart, which must agree, and writes it again.
fn index(bytes: &[u8]) {
    let _ = Lock::parse(&String::from_utf8_lossy(bytes), "Chart.lock");
    let Ok(whole) = Index::read(bytes, "here") else {
        return;
    };
    for (name, versions) in whole.charts() {
        let one = Index::read_chart(bytes, "here", name);
        let found = one.as_ref().ok().and_then(|one| one.versions(name));
        assert_eq!(found, Some(versions), "{name:?}");
        let _ = whole.choose(name, ">=1.0.0-0");
    }
    for form in [IndexForm::Yaml, IndexForm::Json] {
        let text = whole.to_text(form, "2026-11-28T00:00:00Z");
        let _ = Index::read(text.as_bytes(), "again");
    }
}

/// Reads keys and verifies a signed statement.
fn provenance(bytes: &[u8]) {
    let ring = Keyring::read(bytes).unwrap_or_default();
    let statement = Statement {
        name: "a-1.0.0.tgz",
        archive: b"a",
    };
    let verified = statement.verify(bytes, &ring, SystemTime::now());
    assert!(verified.is_err(), "nobody signed this");
}
