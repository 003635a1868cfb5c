//! Rules about Dockerfiles, on the builder's own reading of them.
//!
//! Every stage is looked at for what it fetches and what it keeps secret; the delivered image (the
//! last stage and the stages it starts from) for its user, ports and programs. A word that a
//! variable made wrong is reported where the variable got its default.

mod blame;
mod exceptions;
mod hygiene;
mod trust;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use pilotis_dockerfile::{
    Base, Copy, Dockerfile, Instruction, Kind, Plan, Span, Stage, Step, Variables,
    platform_arguments,
};
use pilotis_policy::Text;
use pilotis_report::{Level, Position};
use regex::Regex;

use crate::collect::{Breach, Collector};
use crate::patch::Change;
use crate::secrets;
use crate::tree::{FILE_BYTES_MAX, is_dockerfile, is_foreign};
use blame::{Word, blamed, written};
use exceptions::Exceptions;

/// Programs that build or install: what they leave behind is not for delivery.
static BUILDERS: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"(^|[\s;&|(/])(gcc|cc|g\+\+|clang|make|cmake|cargo|javac|mvn|mvnw|gradle|gradlew|npm|yarn|pnpm|pip|pip3|poetry|composer|bundle|dotnet|apt-get|apt|apk|dnf|microdnf|yum|go (build|install))(\s|$)",
    )
    .expect("a constant, compiled by a test")
});
static SSH: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(^|[\s/;&|])(openssh-server|sshd|dropbear)(\s|$|[;&|])")
        .expect("a constant, compiled by a test")
});
static SETUID: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(^|\s)chmod\s+(-\S+\s+)*([0-7]?[4-7][0-7]{3}|[ugoa]*[+=][rwx]*s)|\b(install|add)\s(.*\s)?sudo(\s|$)|(^|[;&|]\s*)sudo\s")
        .expect("a constant, compiled by a test")
});
/// Bases known to set a user of their own that is not root.
static NOT_ROOT: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"[:-]nonroot(-|@|$)|(^|/)nginx-unprivileged([:@]|$)|(^|/)bitnami/|^cgr\.dev/chainguard/",
    )
    .expect("a constant, compiled by a test")
});
/// `PASSWORD=literal` inside a command.
static ASSIGNED: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"(?i)(^|[\s;&|])(?:export\s+)?([A-Z0-9_]*(?:PASSWORD|PASSWD|SECRET|TOKEN|API_?KEY))=["']?[^\s"'$;&|]{3,}"#)
        .expect("a constant, compiled by a test")
});

/// A Dockerfile and what its comments set aside.
struct File<'a> {
    file: &'a Dockerfile,
    exceptions: Exceptions,
}

pub(crate) fn judge(collector: &mut Collector<'_>) {
    let files = collector.files;
    for (path, bytes) in files {
        if !is_dockerfile(path) || is_foreign(path) || bytes.len() > FILE_BYTES_MAX {
            continue;
        }
        let text = String::from_utf8_lossy(bytes);
        match Dockerfile::parse_named(path, &text) {
            Ok(file) => judge_file(collector, &file),
            Err(errors) => errors
                .into_iter()
                .for_each(|e| collector.unreadable(path, e)),
        }
    }
}

fn judge_file(collector: &mut Collector<'_>, file: &Dockerfile) {
    collector.looked([
        "dockerfile-root-user",
        "dockerfile-user-number",
        "dockerfile-base-tag",
        "dockerfile-debug-base",
        "dockerfile-port",
        "dockerfile-single-stage",
        "dockerfile-remote-add",
        "dockerfile-ssh-server",
        "dockerfile-setuid",
        "dockerfile-secret",
    ]);
    collector.looked(hygiene::RULES);
    collector.looked(trust::RULES);
    let exceptions = Exceptions::of(file);
    let file = File { file, exceptions };
    for global in &file.file.globals {
        secret_argument(collector, &file, global);
    }
    let arguments = platform_arguments("linux/amd64");
    // Stages nothing delivers (a test stage) still run: each is planned as a target of its own.
    let mut seen = BTreeSet::new();
    for index in 0..file.file.stages.len() {
        let target = index.to_string();
        match file.file.plan(Some(&target), &arguments) {
            Ok(plan) => {
                for (stage, steps) in expanded(collector, &file, &plan) {
                    if seen.insert(stage.index) {
                        every_stage(collector, &file, stage, &steps);
                        trust::every_stage(collector, &file, (&plan, stage), &steps);
                    }
                }
            }
            Err(errors) => {
                return errors
                    .into_iter()
                    .for_each(|e| collector.unreadable(&file.file.file, e));
            }
        }
    }
    if let Ok(plan) = file.file.plan(None, &arguments) {
        delivered(collector, &file, &plan);
    }
}

/// The stages of a plan with their steps, the environment handed down from stage to stage.
fn expanded<'p>(
    collector: &mut Collector<'_>,
    file: &File<'_>,
    plan: &'p Plan,
) -> Vec<(&'p Stage, Vec<Step>)> {
    let mut environments: BTreeMap<usize, Variables> = BTreeMap::new();
    let mut out = Vec::new();
    for (index, stage) in plan.stages.iter().enumerate() {
        let inherited = match stage.base {
            Base::Stage(base) => environments.get(&base).cloned().unwrap_or_default(),
            _ => Variables::new(),
        };
        match stage.expand(&inherited) {
            Ok(steps) => {
                let mut environment = inherited;
                for step in &steps {
                    if let Kind::Env(pairs) = &step.instruction.kind {
                        environment.extend(pairs.iter().cloned());
                    }
                }
                environments.insert(index, environment);
                out.push((stage, steps));
            }
            Err(errors) => errors
                .into_iter()
                .for_each(|e| collector.unreadable(&file.file.file, e)),
        }
    }
    out
}

/// A breach at an instruction.
fn breach(
    collector: &mut Collector<'_>,
    file: &File<'_>,
    rule: &str,
    span: Span,
    texts: (String, String),
) {
    let at = file.file.position(span);
    breach_at(collector, file, (rule, span), at, texts);
}

/// A breach of an instruction whose cause stands elsewhere.
fn breach_at(
    collector: &mut Collector<'_>,
    file: &File<'_>,
    (rule, span): (&str, Span),
    at: Position,
    (fr, en): (String, String),
) {
    if set_aside(collector, file, rule, span) {
        return;
    }
    collector.breach(Breach {
        rule,
        message: Text { fr, en },
        object: None,
        position: Some(at),
        change: None,
    });
}

/// Whether a comment sets the rule aside; a primordial requirement is never.
fn set_aside(collector: &Collector<'_>, file: &File<'_>, rule: &str, span: Span) -> bool {
    let Some(rule) = collector.referential.rule(rule) else {
        return false;
    };
    let names = std::iter::once(&rule.id).chain(&rule.aliases);
    let names = names.map(String::as_str);
    rule.level == Level::I && file.exceptions.cover(span.line, names)
}

fn every_stage(collector: &mut Collector<'_>, file: &File<'_>, stage: &Stage, steps: &[Step]) {
    if let Base::Image(image) = &stage.base {
        base_tag(collector, file, stage, image);
    }
    for step in steps {
        let span = step.instruction.span;
        if let Kind::Add(copy) | Kind::Copy(copy) = &step.instruction.kind {
            written_files(collector, file, span, copy);
        }
        match &step.instruction.kind {
            Kind::Add(add) => {
                let remote = |source: &&String| {
                    source.starts_with("http://") || source.starts_with("https://")
                };
                if add.checksum.is_none() && add.sources.iter().any(|s| remote(&s)) {
                    let fr = "ADD prend un fichier distant sans empreinte".to_owned();
                    let en = "ADD takes a remote file without a checksum".to_owned();
                    breach(collector, file, "dockerfile-remote-add", span, (fr, en));
                }
            }
            Kind::Env(pairs) => {
                for (name, value) in pairs {
                    secret_in_environment(collector, file, step, (name, value));
                }
            }
            Kind::Arg(_) => secret_argument(collector, file, &step.instruction),
            Kind::Run(run) => {
                let text = run.script().unwrap_or_else(|| run.command.text());
                let names = ASSIGNED
                    .captures_iter(&text)
                    .filter_map(|c| Some(c.get(2)?.as_str()));
                for name in names.collect::<BTreeSet<_>>() {
                    secret(collector, file, span, name);
                }
            }
            _ => {}
        }
    }
    hygiene::every_stage(collector, file, steps);
}

/// Files written in the Dockerfile itself.
fn written_files(collector: &mut Collector<'_>, file: &File<'_>, span: Span, copy: &Copy) {
    let mut texts = copy.heredocs.iter().map(|heredoc| &heredoc.content);
    if texts.any(|text| !secrets::inner_assignments(text).is_empty()) {
        let fr = "un fichier écrit ici porte un secret en clair".to_owned();
        let en = "a file written here holds a secret in clear".to_owned();
        breach(collector, file, "dockerfile-secret", span, (fr, en));
    }
}

/// A default given to a build argument that is a secret.
fn secret_argument(collector: &mut Collector<'_>, file: &File<'_>, instruction: &Instruction) {
    let Kind::Arg(pairs) = &instruction.kind else {
        return;
    };
    for (name, value) in pairs {
        let value = value.as_deref().unwrap_or_default();
        if !value.is_empty() && secrets::is_secret_name(name) {
            secret(collector, file, instruction.span, name);
        }
    }
}

/// A literal, or a build argument that the image would keep.
fn secret_in_environment(
    collector: &mut Collector<'_>,
    file: &File<'_>,
    step: &Step,
    (name, value): (&str, &str),
) {
    if !secrets::is_secret_name(name) {
        return;
    }
    let span = step.instruction.span;
    let kind = written(file.file, span).map(|instruction| &instruction.kind);
    let raw = match kind {
        Some(Kind::Env(pairs)) => pairs.iter().find(|(n, _)| n == name),
        _ => None,
    };
    let copied = raw.is_some_and(|(_, raw)| raw.trim_matches('"').starts_with('$'));
    if copied {
        let name = shown(name);
        let fr = format!("la variable {name} garde dans l'image un argument de construction");
        let en = format!("variable {name} keeps a build argument in the image");
        breach(collector, file, "dockerfile-secret", span, (fr, en));
    } else if !value.is_empty() {
        secret(collector, file, span, name);
    }
}

fn shown(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(80).collect()
}

fn secret(collector: &mut Collector<'_>, file: &File<'_>, span: Span, name: &str) {
    let name = shown(name);
    let fr = format!("la variable {name} porte un secret en clair");
    let en = format!("variable {name} holds a secret in clear");
    breach(collector, file, "dockerfile-secret", span, (fr, en));
}

/// The image of a `FROM` as written, before variables.
fn from<'f>(file: &File<'f>, stage: &Stage) -> Option<Word<'f>> {
    let instruction = file.file.stages.get(stage.index)?.first()?;
    match &instruction.kind {
        Kind::From { image, .. } => Some(Word {
            stage: stage.index,
            span: instruction.span,
            text: image,
        }),
        _ => None,
    }
}

fn base_tag(collector: &mut Collector<'_>, file: &File<'_>, stage: &Stage, image: &str) {
    let Some((texts, wrong)) = tag_fault(collector, image) else {
        return;
    };
    let Some(word) = from(file, stage) else {
        return;
    };
    let at = blamed(file.file, word, wrong).unwrap_or_else(|| stage.position.clone());
    let rule = ("dockerfile-base-tag", word.span);
    breach_at(collector, file, rule, at, texts);
}

/// What is wrong with the tag of an image, in both languages, and the values that make it so.
type TagFault = ((String, String), &'static dyn Fn(&str) -> bool);

fn tag(image: &str) -> Option<&str> {
    let last = image.rsplit_once('/').map_or(image, |(_, last)| last);
    last.split_once(':').map(|(_, tag)| tag)
}

fn tag_fault(collector: &Collector<'_>, image: &str) -> Option<TagFault> {
    let certified = &collector.options.certified_bases;
    if image.contains("@sha256:") || certified.iter().any(|p| image.starts_with(p.as_str())) {
        return None;
    }
    match tag(image) {
        None => {
            let fr = format!("l'image de base {image} n'a pas d'étiquette");
            let en = format!("base image {image} has no tag");
            Some(((fr, en), &|value| tag(value).is_none()))
        }
        Some("latest") => {
            let fr = format!("l'image de base {image} porte l'étiquette latest");
            let en = format!("base image {image} has the tag latest");
            let wrong = &|value: &str| value == "latest" || tag(value) == Some("latest");
            Some(((fr, en), wrong))
        }
        Some(_) => None,
    }
}

/// What is delivered: the last stage and those it starts from, oldest first.
fn delivered(collector: &mut Collector<'_>, file: &File<'_>, plan: &Plan) {
    let Some(target) = plan.stages.last() else {
        return;
    };
    let all = expanded(collector, file, plan);
    let mut chain = vec![plan.stages.len() - 1];
    while let Some(Base::Stage(base)) = chain.last().map(|index| &plan.stages[*index].base) {
        chain.push(*base);
    }
    let steps: Vec<(usize, &Step)> = chain
        .iter()
        .rev()
        .filter_map(|index| {
            all.iter()
                .find(|(s, _)| s.index == plan.stages[*index].index)
        })
        .flat_map(|(stage, steps)| steps.iter().map(|step| (stage.index, step)))
        .collect();
    let root = &plan.stages[*chain.last().unwrap_or(&0)];
    let base = match &root.base {
        Base::Image(image) => image.as_str(),
        _ => "",
    };
    user(collector, file, (target, base), &steps);
    if let Base::Image(image) = &root.base
        && let Some(word) = from(file, root)
        && debug(image)
    {
        let fr = format!("l'image livrée part de {image}, une variante de mise au point");
        let en = format!("the delivered image starts from {image}, a debug variant");
        let wrong = |value: &str| debug(value) || value == "debug" || value.starts_with("debug-");
        let at = blamed(file.file, word, &wrong).unwrap_or_else(|| root.position.clone());
        breach_at(
            collector,
            file,
            ("dockerfile-debug-base", word.span),
            at,
            (fr, en),
        );
    }
    let plain: Vec<&Step> = steps.iter().map(|(_, step)| *step).collect();
    single_stage(collector, file, &plain);
    hygiene::delivered(collector, file, &plain);
    for (stage, step) in steps {
        program(collector, file, stage, step);
    }
}

fn debug(image: &str) -> bool {
    let tag = image.rsplit_once('/').map_or(image, |(_, last)| last);
    let tag = tag.split('@').next().unwrap_or_default();
    tag.ends_with("-debug") || tag.ends_with(":debug") || tag.contains(":debug-")
}

fn user(
    collector: &mut Collector<'_>,
    file: &File<'_>,
    (target, base): (&Stage, &str),
    steps: &[(usize, &Step)],
) {
    let last = steps.iter().rev().find_map(|(stage, step)| {
        let Kind::User(user) = &step.instruction.kind else {
            return None;
        };
        Some((user.split(':').next().unwrap_or_default(), *stage, step))
    });
    let rule = "dockerfile-root-user";
    let Some((user, stage, step)) = last else {
        if NOT_ROOT.is_match(base) {
            return;
        }
        let fr = "aucun USER : l'image livrée tourne en root".to_owned();
        let en = "no USER: the delivered image runs as root".to_owned();
        let span = file.file.stages[target.index][0].span;
        return breach(collector, file, rule, span, (fr, en));
    };
    let span = step.instruction.span;
    let root = |user: &str| {
        let user = user.split(':').next().unwrap_or_default();
        user == "root" || user.parse() == Ok(0u32)
    };
    if root(user) {
        let text = match written(file.file, span).map(|i| &i.kind) {
            Some(Kind::User(text)) => text.as_str(),
            _ => user,
        };
        let elsewhere = blamed(file.file, Word { stage, span, text }, &root);
        let mut at = file.file.position(span);
        at.column += "USER ".len() as u32;
        let change = elsewhere.is_none().then(|| Change::replace(user, "65532"));
        collector.breach(Breach {
            rule,
            message: Text {
                fr: "le dernier USER est root".into(),
                en: "the last USER is root".into(),
            },
            object: None,
            position: elsewhere.or(Some(at)),
            change,
        });
    } else if user.parse::<u32>().is_err() {
        let user: String = user.chars().take(40).collect();
        let fr = format!("USER {user} est un nom : runAsNonRoot ne peut pas le vérifier");
        let en = format!("USER {user} is a name: runAsNonRoot cannot check it");
        breach(collector, file, "dockerfile-user-number", span, (fr, en));
    }
}

fn single_stage(collector: &mut Collector<'_>, file: &File<'_>, steps: &[&Step]) {
    if file.file.stages.len() != 1 {
        return;
    }
    let building = steps.iter().find(|step| match &step.instruction.kind {
        Kind::Run(run) => {
            let heredocs = run.heredocs.iter().map(|h| h.content.as_str());
            let line = run.command.text();
            heredocs
                .chain([line.as_str()])
                .any(|text| BUILDERS.is_match(text))
        }
        _ => false,
    });
    if let Some(step) = building {
        let fr = "construit ou installe dans l'étape livrée".to_owned();
        let en = "builds or installs in the delivered stage".to_owned();
        let span = step.instruction.span;
        breach(collector, file, "dockerfile-single-stage", span, (fr, en));
    }
}

fn program(collector: &mut Collector<'_>, file: &File<'_>, stage: usize, step: &Step) {
    let span = step.instruction.span;
    let text = match &step.instruction.kind {
        Kind::Expose(ports) => return expose(collector, file, (stage, span), ports),
        Kind::Run(run) => run.script().unwrap_or_else(|| run.command.text()),
        Kind::Cmd(command) | Kind::Entrypoint(command) => command.text(),
        _ => return,
    };
    if SSH.is_match(&text) {
        let fr = "un serveur SSH entre dans l'image livrée".to_owned();
        let en = "an SSH server enters the delivered image".to_owned();
        breach(collector, file, "dockerfile-ssh-server", span, (fr, en));
    }
    if matches!(step.instruction.kind, Kind::Run(_)) && SETUID.is_match(&text) {
        let fr = "setuid ou sudo dans l'image livrée".to_owned();
        let en = "setuid or sudo in the delivered image".to_owned();
        breach(collector, file, "dockerfile-setuid", span, (fr, en));
    }
}

fn expose(
    collector: &mut Collector<'_>,
    file: &File<'_>,
    (stage, span): (usize, Span),
    ports: &[String],
) {
    let low = |port: &str| {
        let number = port
            .split(['/', '-'])
            .next()
            .and_then(|n| n.parse::<u32>().ok());
        number.filter(|number| *number <= 1024)
    };
    let written = match written(file.file, span).map(|i| &i.kind) {
        Some(Kind::Expose(words)) => words.as_slice(),
        _ => &[],
    };
    for (index, port) in ports.iter().enumerate() {
        let Some(number) = low(port) else {
            continue;
        };
        // One word may expand to several ports; then which is which is not known.
        let text = written.get(index).filter(|_| written.len() == ports.len());
        let wrong = |value: &str| low(value) == Some(number);
        let elsewhere = text.and_then(|text| blamed(file.file, Word { stage, span, text }, &wrong));
        let at = elsewhere.unwrap_or_else(|| file.file.position(span));
        let fr = format!("le port {number} est déclaré");
        let en = format!("port {number} is declared");
        breach_at(collector, file, ("dockerfile-port", span), at, (fr, en));
    }
}
