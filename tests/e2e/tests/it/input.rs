//! Wrong input, command by command: one error with its place, one hint, and nothing changed.

use std::path::Path;
use std::process::Command;

use anyhow::Result;
use pilotis_testkit::pilotis_binary;

/// Arguments, exit code, and what the error and the hint must contain.
type Case = (&'static [&'static str], i32, &'static str, &'static str);

const FILES: &[(&str, &str)] = &[
    ("key.yaml", "ports:\n  apii: 1\n"),
    ("cut.yaml", "ports: [\n"),
    (
        "type.yaml",
        "apiVersion: v1\nkind: Config\nclusters: none\n",
    ),
    (
        "context.yaml",
        "apiVersion: v1\nkind: Config\ncurrent-context: gone\n",
    ),
    (
        "chart/Chart.yaml",
        "apiVersion: v2\nname: a\nversion: 0.1.0\n",
    ),
    (
        "chart/templates/x.yaml",
        "a: 1\nb: {{ .Values.x | nope }}\n",
    ),
    ("cutchart/Chart.yaml", "name: [\n"),
];

const CASES: &[Case] = &[
    // Flags.
    (
        &["up", "--detahc"],
        2,
        "unexpected argument '--detahc'",
        "--detach",
    ),
    (
        &["up", "--api-port", "70000"],
        2,
        "'70000' for '--api-port",
        "pilotis",
    ),
    (
        &["deploy"],
        2,
        "unrecognized subcommand 'deploy'",
        "pilotis",
    ),
    // Configuration.
    (
        &["up", "--config", "none.yaml"],
        2,
        "none.yaml: No such file",
        "configuration.md",
    ),
    (
        &["up", "--config", "key.yaml"],
        2,
        "key.yaml: line 2 column 3: unknown field `apii`",
        "did you mean `api`?",
    ),
    (
        &["up", "--config", "cut.yaml"],
        2,
        "cut.yaml: line 1 column",
        "configuration.md",
    ),
    (
        &["doctor", "--config", "key.yaml"],
        2,
        "unknown field `apii`",
        "did you mean `api`?",
    ),
    // Kubeconfig.
    (
        &["project", "list", "--kubeconfig", "none.yaml"],
        2,
        "kubeconfig none.yaml: No such file",
        "kubectl",
    ),
    (
        &["project", "list", "--kubeconfig", "cut.yaml"],
        2,
        "cut.yaml",
        "kubectl",
    ),
    (
        &["serve", "--kubeconfig", "type.yaml"],
        2,
        "line 3 column 11",
        "kubectl",
    ),
    (
        &["serve", "--kubeconfig", "context.yaml"],
        2,
        "context: gone",
        "kubectl",
    ),
    (&["project", "list"], 3, "no instance in data", "pilotis up"),
    (&["login"], 3, "no console runs in data", "pilotis up"),
    // Names and addresses.
    (
        &["project", "create", "Foo_Bar"],
        2,
        "project `Foo_Bar` cannot be named so: name contains 'F'",
        "lower-case",
    ),
    (
        &["project", "create", "kube-x"],
        2,
        "reserved",
        "lower-case",
    ),
    (
        &["project", "create", "a", "--environment", "pre-prod"],
        2,
        "name contains '-'",
        "lower-case",
    ),
    (
        &["project", "create", "a", "--production", "prod"],
        2,
        "prod is not one of",
        "--environment prod",
    ),
    (
        &["deliver", "show", "x", "--project", "A"],
        2,
        "project `A`",
        "lower-case",
    ),
    (
        &[
            "repository",
            "create",
            "x",
            "--project",
            "a",
            "--mirror",
            "http://f.example/a",
        ],
        2,
        "scheme \"http\"",
        "--secret",
    ),
    (
        &[
            "repository",
            "create",
            "x",
            "--project",
            "a",
            "--mirror",
            "file:///etc",
        ],
        2,
        "scheme \"file\"",
        "--secret",
    ),
    (
        &[
            "repository",
            "create",
            "x",
            "--project",
            "a",
            "--mirror",
            "ext::sh -c id",
        ],
        2,
        "not an absolute URL",
        "--secret",
    ),
    (
        &[
            "repository",
            "create",
            "x",
            "--project",
            "a",
            "--mirror",
            "https://u:hunter2@f.example/a",
        ],
        2,
        "credentials do not belong",
        "--secret",
    ),
    // Charts and sources.
    (&["check", "none"], 2, "cannot read none", "folder"),
];

/// Charts: arguments, and what must be said. Helm's own words come first, ours follow.
const CHARTS: [(&[&str], &[&str]); 4] = [
    (&["none"], &["none", "Chart.yaml"]),
    (&["chart"], &["x.yaml:2"]),
    (&["cutchart"], &["Chart.yaml"]),
    (&["chart", "-f", "none.yaml"], &["none.yaml"]),
];

#[test]
fn a_wrong_chart_gives_helms_words_then_the_place_and_a_hint() -> Result<()> {
    let dir = tempfile::tempdir()?;
    lay_out(dir.path())?;
    for (arguments, facts) in CHARTS {
        let render = |more: &[&str]| {
            Command::new(pilotis_binary()?)
                .args([&["chart", "template"], arguments, more].concat())
                .current_dir(dir.path())
                .output()
                .map_err(anyhow::Error::from)
        };
        let ours = render(&[])?;
        let text = String::from_utf8_lossy(&ours.stderr).into_owned();
        assert_eq!(ours.status.code(), Some(2), "{arguments:?}: {text}");
        let hinted = text.lines().last().is_some_and(|l| l.starts_with("hint: "));
        assert!(hinted && ours.stdout.is_empty(), "{arguments:?}: {text}");
        for fact in facts.iter().copied() {
            assert!(text.contains(fact), "{arguments:?}: no {fact} in {text}");
        }
        let helms = render(&["--errors=helm"])?;
        assert_eq!(helms.status.code(), Some(1));
        assert!(
            text.starts_with(&*String::from_utf8_lossy(&helms.stderr)),
            "{text}"
        );
    }
    Ok(())
}

fn lay_out(dir: &Path) -> Result<()> {
    for (name, text) in FILES {
        let path = dir.join(name);
        std::fs::create_dir_all(path.parent().unwrap_or(dir))?;
        std::fs::write(path, text)?;
    }
    Ok(())
}

#[test]
fn wrong_input_gives_one_error_one_hint_and_changes_nothing() -> Result<()> {
    let dir = tempfile::tempdir()?;
    lay_out(dir.path())?;
    let before = listing(dir.path())?;
    let mut wrong = Vec::new();
    for case in CASES {
        if let Err(complaint) = judge(dir.path(), case) {
            wrong.push(format!("{:?}: {complaint}", case.0));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(listing(dir.path())?, before, "something was changed");
    Ok(())
}

fn judge(dir: &Path, (arguments, code, error, hint): &Case) -> Result<(), String> {
    let takes_folder = !matches!(arguments[0], "check" | "deploy");
    let folder: &[&str] = if takes_folder {
        &["--data-dir", "data"]
    } else {
        &[]
    };
    let output = Command::new(pilotis_binary().map_err(|e| e.to_string())?)
        .args(*arguments)
        .args(folder)
        .current_dir(dir)
        .output()
        .map_err(|e| e.to_string())?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let lines: Vec<&str> = text.lines().collect();
    let [first, second] = lines.as_slice() else {
        return Err(format!("not two lines:\n{text}"));
    };
    let said = first
        .strip_prefix("error: ")
        .is_some_and(|l| l.contains(error));
    let hinted = second
        .strip_prefix("hint: ")
        .is_some_and(|l| l.contains(hint));
    let silent = output.stdout.is_empty() && !text.contains("hunter2");
    if output.status.code() == Some(*code) && said && hinted && silent {
        Ok(())
    } else {
        Err(format!("ended with {}:\n{text}", output.status))
    }
}

/// Every path below a folder.
fn listing(dir: &Path) -> Result<Vec<String>> {
    let mut found = Vec::new();
    let mut open = vec![dir.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            found.push(path.display().to_string());
            if path.is_dir() {
                open.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

#[test]
fn a_dockerfile_that_cannot_be_read_is_a_finding_with_its_line() -> Result<()> {
    let dir = tempfile::tempdir()?;
    std::fs::write(dir.path().join("Dockerfile"), "FROM base\nCOPPY a b\n")?;
    let output = Command::new(pilotis_binary()?)
        .args(["check", "--lang", "en"])
        .arg(dir.path())
        .output()?;
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("Dockerfile:2"), "{text}");
    assert!(text.contains("unknown instruction `COPPY`"), "{text}");
    Ok(())
}

#[test]
fn an_ordinary_user_is_told_before_anything_starts() -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;
    let dir = tempfile::tempdir()?;
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755))?;
    // Somewhere an ordinary user can reach, which the build's own folder need not be.
    let program = dir.path().join("pilotis");
    std::fs::copy(pilotis_binary()?, &program)?;
    for words in [&["up", "--detach"][..], &["doctor"]] {
        let output = Command::new(&program)
            .args(words)
            .arg("--data-dir")
            .arg(dir.path().join("data"))
            .current_dir("/")
            .uid(65534)
            .gid(65534)
            .output()?;
        let text =
            String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(3), "{text}");
        assert!(
            text.contains("error: root: running as user 65534\nhint: "),
            "{text}"
        );
        assert!(text.contains("error: data directory: "), "{text}");
        assert!(!dir.path().join("data").exists());
    }
    Ok(())
}
