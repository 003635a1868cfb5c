//! Files that are read when somebody looks at them.

use std::path::Path;

use pilotis_chart::cli::{TemplateRequest, template};
use pilotis_chart::{Chart, read_dir_to_render};
use pilotis_template::NoEnvironment;

/// A chart whose template prints the length of a file, and that has another nobody looks at.
fn write(root: &Path) {
    let long = "line\n".repeat(2000);
    for (path, text) in [
        ("Chart.yaml", "apiVersion: v2\nname: demo\nversion: 0.1.0\n"),
        (
            "templates/a.yaml",
            "size: {{ .Files.Get \"wanted.txt\" | len }}\n",
        ),
        ("wanted.txt", &long),
        ("crds/unwanted.yaml", &long),
    ] {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        std::fs::write(path, text).expect("a file");
    }
}

/// What a rendering prints when a file goes after the chart was loaded.
fn printed_without(file: Option<&str>) -> Result<String, String> {
    let root = tempfile::tempdir().expect("a temporary folder");
    write(root.path());
    let (files, _) = read_dir_to_render(root.path()).expect("files");
    let chart = Chart::load(files).expect("a chart");
    if let Some(file) = file {
        std::fs::remove_file(root.path().join(file)).expect("a file");
    }
    let printed = template(&chart, &TemplateRequest::default(), &NoEnvironment);
    let text = printed.result.map(|text| text.to_string());
    text.map_err(|error| error.message)
}

#[test]
fn a_file_is_read_when_a_template_looks_at_it() {
    let expected = "---\n# Source: demo/templates/a.yaml\nsize: 10000\n";
    assert_eq!(printed_without(None).as_deref(), Ok(expected));
    assert_eq!(
        printed_without(Some("crds/unwanted.yaml")).as_deref(),
        Ok(expected)
    );
}

#[test]
fn a_file_that_is_gone_is_an_error_and_not_an_empty_text() {
    let error = printed_without(Some("wanted.txt")).expect_err("an error");
    assert!(error.starts_with("cannot read "), "{error}");
    assert!(error.contains("wanted.txt"), "{error}");
}
