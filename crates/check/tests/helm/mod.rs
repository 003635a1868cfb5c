//! A renderer for tests: the real Helm, the judge every machine that runs the tests has.
//!
//! Helm does not say where a line comes from; here a rendered line is traced to the only line of
//! its template with the same key. Good for charts written for these tests, and for nothing else.

use std::path::PathBuf;
use std::process::Command;

use pilotis_check::{Origin, Rendered, Renderer, Tree};
use pilotis_report::{Diagnostic, Position};

pub(crate) struct Judge;

fn program() -> PathBuf {
    let home = std::env::var_os("HOME").expect("a home directory");
    let path = PathBuf::from(home).join(".cache/pilotis-judges/bin/helm");
    assert!(
        path.exists(),
        "the judge helm is missing: {}",
        path.display()
    );
    path
}

impl Renderer for Judge {
    fn render(
        &self,
        files: &Tree,
        chart: &str,
        values: &[String],
        release: &str,
    ) -> Result<Vec<Rendered>, Vec<Diagnostic>> {
        let root = tempfile::tempdir().unwrap();
        for (path, bytes) in files {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        }
        let mut command = Command::new(program());
        command
            .current_dir(root.path())
            .args(["template", release, chart]);
        for file in values {
            command.args(["-f", file]);
        }
        let output = command.output().unwrap();
        if !output.status.success() {
            let text = String::from_utf8_lossy(&output.stderr);
            return Err(vec![Diagnostic::error(
                text.lines().next().unwrap_or_default(),
            )]);
        }
        let text = String::from_utf8(output.stdout).unwrap();
        let documents = text
            .split("---\n")
            .filter(|document| !document.trim().is_empty());
        Ok(documents
            .map(|document| rendered(files, chart, document))
            .collect())
    }
}

fn rendered(files: &Tree, chart: &str, document: &str) -> Rendered {
    let (source, text) = document.split_once('\n').unwrap();
    let (_, inner) = source
        .strip_prefix("# Source: ")
        .unwrap()
        .split_once('/')
        .unwrap();
    let file = format!("{chart}/{inner}");
    let template = String::from_utf8(files[&file].clone()).unwrap();
    let rendered = text.to_owned();
    let origin = move |line: u32, column: u32| {
        let line = rendered.lines().nth(line as usize - 1)?;
        let key = line.split_once(':').map_or(line, |(key, _)| key);
        let same = template
            .lines()
            .enumerate()
            .find(|(_, l)| l.starts_with(key))?;
        Some(Origin {
            position: Position {
                file: file.clone(),
                line: same.0 as u32 + 1,
                column,
            },
            reads: reads(same.1),
        })
    };
    Rendered {
        text: text.to_owned(),
        origin: Box::new(origin),
    }
}

fn reads(line: &str) -> Vec<String> {
    let found = line.split(".Values.").skip(1);
    let name = |rest: &str| rest.split([' ', '}']).next().unwrap_or_default().to_owned();
    found.map(name).collect()
}
