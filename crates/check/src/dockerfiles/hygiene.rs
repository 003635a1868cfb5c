//! Advice about what a Dockerfile writes: versions, leftovers, forms of commands.
//!
//! The ids are ours; `aliases` in `rules/sources.yaml` name the same rule in public tools. What a
//! stage that is not delivered leaves behind costs nobody anything, so most rules look at the
//! delivered image only. Shell text is cut at `&&`, `||`, `;`, `|` and ends of lines, no more.

use pilotis_dockerfile::{Command, Copy, Kind, Run, Step};

use super::{File, breach};
use crate::collect::Collector;

/// Every rule of this module, for the record of what was looked at.
pub(super) const RULES: [&str; 17] = [
    "dockerfile-add-local",
    "dockerfile-apk-cache",
    "dockerfile-apk-version",
    "dockerfile-apt-command",
    "dockerfile-apt-confirm",
    "dockerfile-apt-lists",
    "dockerfile-apt-recommends",
    "dockerfile-apt-version",
    "dockerfile-maintainer",
    "dockerfile-npm-version",
    "dockerfile-pip-cache",
    "dockerfile-pip-version",
    "dockerfile-port-range",
    "dockerfile-relative-workdir",
    "dockerfile-repeated-command",
    "dockerfile-shell-command",
    "dockerfile-tests-skipped",
];

/// Rules about every stage.
pub(super) fn every_stage(collector: &mut Collector<'_>, file: &File<'_>, steps: &[Step]) {
    for step in steps {
        match &step.instruction.kind {
            Kind::Run(run) => {
                let text = script(run);
                for command in commands(&text) {
                    apt_form(collector, file, step, &command);
                }
                tests_skipped(collector, file, step, &text);
            }
            Kind::Add(add) => add_local(collector, file, step, add),
            Kind::Workdir(path) if !path.starts_with(['/', '$', '\\']) && !path.contains(':') => {
                let rule = "dockerfile-relative-workdir";
                say(
                    collector,
                    file,
                    step,
                    (rule, "WORKDIR est relatif", "WORKDIR is relative"),
                );
            }
            Kind::Maintainer(_) => {
                let rule = "dockerfile-maintainer";
                let fr = "MAINTAINER est abandonné, écrivez un LABEL";
                say(
                    collector,
                    file,
                    step,
                    (rule, fr, "MAINTAINER is deprecated, write a LABEL"),
                );
            }
            Kind::Expose(ports) if ports.iter().any(|port| out_of_range(port)) => {
                let rule = "dockerfile-port-range";
                say(
                    collector,
                    file,
                    step,
                    (rule, "port hors de 0–65535", "port outside 0–65535"),
                );
            }
            _ => {}
        }
    }
    repeated(collector, file, steps);
}

/// Rules about the delivered image.
pub(super) fn delivered(collector: &mut Collector<'_>, file: &File<'_>, steps: &[&Step]) {
    for step in steps {
        match &step.instruction.kind {
            Kind::Run(run) => {
                let text = script(run);
                let cached = run.mounts.iter().any(|mount| mount.kind == "cache");
                for command in commands(&text) {
                    apt(collector, file, step, (&command, &text, cached));
                    others(collector, file, step, (&command, cached));
                }
            }
            Kind::Cmd(Command::Shell(_)) | Kind::Entrypoint(Command::Shell(_)) => {
                let keyword = step.instruction.kind.keyword();
                let fr = format!(
                    "{keyword} passe par un interpréteur : SIGTERM n'arrive pas au processus"
                );
                let en =
                    format!("{keyword} goes through a shell: SIGTERM does not reach the process");
                breach(
                    collector,
                    file,
                    "dockerfile-shell-command",
                    step.instruction.span,
                    (fr, en),
                );
            }
            _ => {}
        }
    }
}

type Words<'t> = Vec<&'t str>;

fn say(
    collector: &mut Collector<'_>,
    file: &File<'_>,
    step: &Step,
    (rule, fr, en): (&str, &str, &str),
) {
    let texts = (fr.to_owned(), en.to_owned());
    breach(collector, file, rule, step.instruction.span, texts);
}

fn script(run: &Run) -> String {
    run.script().unwrap_or_else(|| run.command.text())
}

/// The simple commands of a script: variables set before a command are left out.
fn commands(text: &str) -> Vec<Words<'_>> {
    let pieces = text.split(['\n', ';', '|', '&', '(', ')']);
    let words = pieces.map(|piece| {
        let words = piece.split_whitespace().skip_while(|word| {
            matches!(
                *word,
                "sudo" | "then" | "do" | "else" | "if" | "!" | "set" | "exec" | "\\"
            ) || (word.contains('=') && !word.starts_with('-'))
        });
        words.filter(|word| *word != "\\").collect::<Words<'_>>()
    });
    words.filter(|words| !words.is_empty()).collect()
}

/// The packages a command installs, when it is `program verb …`.
fn installed<'t>(words: &Words<'t>, programs: &[&str], verbs: &[&str]) -> Option<Words<'t>> {
    if !programs.contains(words.first()?) {
        return None;
    }
    let verb = words.iter().position(|word| verbs.contains(word))?;
    let rest = words[verb + 1..].iter();
    let names =
        rest.filter(|word| !word.starts_with('-') && !word.starts_with(['$', '"', '\'', '>']));
    Some(names.copied().collect())
}

fn has(words: &Words<'_>, flags: &[&str]) -> bool {
    words.iter().any(|word| flags.contains(word))
}

fn apt_form(collector: &mut Collector<'_>, file: &File<'_>, step: &Step, words: &Words<'_>) {
    if words.first() == Some(&"apt") {
        let rule = "dockerfile-apt-command";
        let fr = "apt est fait pour un terminal, écrivez apt-get";
        say(
            collector,
            file,
            step,
            (rule, fr, "apt is made for a terminal, write apt-get"),
        );
    }
    let installs = installed(words, &["apt-get"], &["install"]).is_some();
    let yes = |word: &&str| {
        matches!(*word, "--yes" | "--assume-yes" | "-qq")
            || (word.starts_with('-') && !word.starts_with("--") && word.contains('y'))
    };
    if installs && !words.iter().any(yes) {
        let rule = "dockerfile-apt-confirm";
        let fr = "apt-get install sans -y attend une réponse";
        say(
            collector,
            file,
            step,
            (rule, fr, "apt-get install without -y waits for an answer"),
        );
    }
}

fn apt(
    collector: &mut Collector<'_>,
    file: &File<'_>,
    step: &Step,
    (words, text, cached): (&Words<'_>, &str, bool),
) {
    let Some(packages) = installed(words, &["apt-get", "apt"], &["install"]) else {
        return;
    };
    let local = |name: &&&str| !name.contains(['=', '/', '*']) && !name.ends_with(".deb");
    if let Some(name) = packages.iter().find(local) {
        let fr = format!("le paquet {name} n'a pas de version");
        let en = format!("package {name} has no version");
        breach(
            collector,
            file,
            "dockerfile-apt-version",
            step.instruction.span,
            (fr, en),
        );
    }
    if !has(words, &["--no-install-recommends"]) && !text.contains("Install-Recommends") {
        let rule = "dockerfile-apt-recommends";
        let fr = "apt-get install sans --no-install-recommends";
        say(
            collector,
            file,
            step,
            (rule, fr, "apt-get install without --no-install-recommends"),
        );
    }
    if !text.contains("/var/lib/apt/lists") && !cached {
        let rule = "dockerfile-apt-lists";
        let fr = "les listes d'apt restent dans l'image";
        say(
            collector,
            file,
            step,
            (rule, fr, "the lists of apt stay in the image"),
        );
    }
}

fn others(
    collector: &mut Collector<'_>,
    file: &File<'_>,
    step: &Step,
    (words, cached): (&Words<'_>, bool),
) {
    let span = step.instruction.span;
    let mut unpinned = |rule: &str, name: &str| {
        let fr = format!("le paquet {name} n'a pas de version");
        let en = format!("package {name} has no version");
        breach(collector, file, rule, span, (fr, en));
    };
    if let Some(packages) = installed(words, &["pip", "pip3"], &["install"]) {
        let listed = has(words, &["-r", "--requirement", "-e", "-c"]);
        let plain = |name: &&&str| !name.contains(['=', '@', '/', '.', '~', '<', '>']);
        if let Some(name) = packages.iter().find(plain).filter(|_| !listed) {
            unpinned("dockerfile-pip-version", name);
        }
        if !has(words, &["--no-cache-dir"]) && !cached {
            let fr = "pip garde son cache dans l'image";
            say(
                collector,
                file,
                step,
                (
                    "dockerfile-pip-cache",
                    fr,
                    "pip keeps its cache in the image",
                ),
            );
        }
    } else if let Some(packages) = installed(words, &["npm"], &["install", "i", "add"]) {
        let plain = |name: &&&str| {
            let after_scope = name.strip_prefix('@').unwrap_or(name);
            !after_scope.contains('@') && !name.contains(['.', ':', '#'])
        };
        if let Some(name) = packages.iter().find(plain) {
            unpinned("dockerfile-npm-version", name);
        }
    } else if let Some(packages) = installed(words, &["apk"], &["add"]) {
        let plain = |name: &&&str| !name.contains(['=', '<', '>', '~', '/']);
        let named = !has(words, &["--virtual", "-t"]);
        if let Some(name) = packages.iter().find(plain).filter(|_| named) {
            unpinned("dockerfile-apk-version", name);
        }
        if !has(words, &["--no-cache"]) && !cached {
            let fr = "apk garde son index dans l'image";
            say(
                collector,
                file,
                step,
                (
                    "dockerfile-apk-cache",
                    fr,
                    "apk keeps its index in the image",
                ),
            );
        }
    }
}

fn add_local(collector: &mut Collector<'_>, file: &File<'_>, step: &Step, add: &Copy) {
    let archive = |source: &str| {
        [
            ".tar", ".tgz", ".gz", ".xz", ".bz2", ".zst", ".tbz2", ".txz",
        ]
        .iter()
        .any(|end| source.ends_with(end))
    };
    let remote = |source: &str| {
        source.contains("://") || source.starts_with("git@") || source.contains(".git")
    };
    let local = add
        .sources
        .iter()
        .any(|source| !archive(source) && !remote(source));
    if local {
        let rule = "dockerfile-add-local";
        let fr = "ADD d'un fichier du dépôt : COPY suffit et ne surprend pas";
        say(
            collector,
            file,
            step,
            (
                rule,
                fr,
                "ADD of a file of the repository: COPY is enough and holds no surprise",
            ),
        );
    }
}

fn tests_skipped(collector: &mut Collector<'_>, file: &File<'_>, step: &Step, text: &str) {
    let flags = [
        "-DskipTests",
        "-Dmaven.test.skip",
        "-x test",
        "--exclude-task test",
    ];
    if let Some(flag) = flags.iter().find(|flag| text.contains(**flag)) {
        let fr = format!("les tests sont sautés ({flag})");
        let en = format!("tests are skipped ({flag})");
        breach(
            collector,
            file,
            "dockerfile-tests-skipped",
            step.instruction.span,
            (fr, en),
        );
    }
}

fn out_of_range(port: &str) -> bool {
    let numbers = port.split(['/', '-']).filter_map(|n| n.parse::<u64>().ok());
    numbers.into_iter().any(|number| number > 65_535)
}

/// Several `CMD`, `ENTRYPOINT` or `HEALTHCHECK` of one stage: the last alone counts.
fn repeated(collector: &mut Collector<'_>, file: &File<'_>, steps: &[Step]) {
    for keyword in ["CMD", "ENTRYPOINT", "HEALTHCHECK"] {
        let of = |step: &&Step| step.instruction.kind.keyword() == keyword;
        let count = steps.iter().filter(of).count();
        if let Some(first) = steps.iter().find(of).filter(|_| count > 1) {
            let fr = format!("{count} {keyword} dans une étape : seul le dernier compte");
            let en = format!("{count} {keyword} in one stage: the last alone counts");
            breach(
                collector,
                file,
                "dockerfile-repeated-command",
                first.instruction.span,
                (fr, en),
            );
        }
    }
}
