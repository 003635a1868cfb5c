//! Rules about Dockerfiles, on the builder's own reading of them.
//!
//! Every stage is looked at for what it fetches and what it keeps secret; the delivered image (the
//! last stage and the stages it starts from) for its user, ports and programs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use pilotis_dockerfile::{
    Base, Dockerfile, Kind, Plan, Stage, Step, Variables, platform_arguments,
};
use pilotis_policy::Text;
use pilotis_report::Position;
use regex::Regex;

use crate::collect::{Breach, Collector};
use crate::secrets;
use crate::tree::{FILE_BYTES_MAX, is_dockerfile, is_foreign};

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
    Regex::new(r"(^|\s)chmod\s+(-\S+\s+)*([0-7]?[4-7][0-7]{3}|[ugoa]*[+=][rwx]*s)|\b(install|add)\s(.*\s)?sudo(\s|$)")
        .expect("a constant, compiled by a test")
});

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
    let arguments = platform_arguments("linux/amd64");
    // Stages nothing delivers (a test stage) still run: each is planned as a target of its own.
    let mut seen = BTreeSet::new();
    for index in 0..file.stages.len() {
        let target = index.to_string();
        match file.plan(Some(&target), &arguments) {
            Ok(plan) => {
                for (stage, steps) in expanded(collector, file, &plan) {
                    if seen.insert(stage.index) {
                        every_stage(collector, file, stage, &steps);
                    }
                }
            }
            Err(errors) => {
                return errors
                    .into_iter()
                    .for_each(|e| collector.unreadable(&file.file, e));
            }
        }
    }
    if let Ok(plan) = file.plan(None, &arguments) {
        delivered(collector, file, &plan);
    }
}

/// The stages of a plan with their steps, the environment handed down from stage to stage.
fn expanded<'p>(
    collector: &mut Collector<'_>,
    file: &Dockerfile,
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
                .for_each(|e| collector.unreadable(&file.file, e)),
        }
    }
    out
}

fn breach(collector: &mut Collector<'_>, rule: &str, at: Position, fr: String, en: String) {
    collector.breach(Breach {
        rule,
        message: Text { fr, en },
        object: None,
        position: Some(at),
        replace: None,
    });
}

fn every_stage(collector: &mut Collector<'_>, file: &Dockerfile, stage: &Stage, steps: &[Step]) {
    if let Base::Image(image) = &stage.base {
        base_tag(collector, stage, image);
    }
    for step in steps {
        let at = file.position(step.instruction.span);
        match &step.instruction.kind {
            Kind::Add(add) => {
                let remote = |source: &&String| {
                    source.starts_with("http://") || source.starts_with("https://")
                };
                if add.checksum.is_none() && add.sources.iter().any(|s| remote(&s)) {
                    let fr = "ADD prend un fichier distant sans empreinte".to_owned();
                    let en = "ADD takes a remote file without a checksum".to_owned();
                    breach(collector, "dockerfile-remote-add", at, fr, en);
                }
            }
            Kind::Env(pairs) => {
                for (name, value) in pairs {
                    secret(collector, &at, name, value);
                }
            }
            Kind::Arg(pairs) => {
                for (name, value) in pairs {
                    secret(collector, &at, name, value.as_deref().unwrap_or_default());
                }
            }
            _ => {}
        }
    }
}

fn secret(collector: &mut Collector<'_>, at: &Position, name: &str, value: &str) {
    if value.is_empty() || !secrets::is_secret_name(name) {
        return;
    }
    let name: String = name.chars().filter(|c| !c.is_control()).take(80).collect();
    let fr = format!("la variable {name} porte un secret en clair");
    let en = format!("variable {name} holds a secret in clear");
    breach(collector, "dockerfile-secret", at.clone(), fr, en);
}

fn base_tag(collector: &mut Collector<'_>, stage: &Stage, image: &str) {
    let certified = &collector.options.certified_bases;
    if image.contains("@sha256:") || certified.iter().any(|p| image.starts_with(p.as_str())) {
        return;
    }
    let last = image.rsplit_once('/').map_or(image, |(_, last)| last);
    let (fr, en) = match last.split_once(':') {
        None => (
            format!("l'image de base {image} n'a pas d'étiquette"),
            format!("base image {image} has no tag"),
        ),
        Some((_, "latest")) => (
            format!("l'image de base {image} porte l'étiquette latest"),
            format!("base image {image} has the tag latest"),
        ),
        Some(_) => return,
    };
    breach(
        collector,
        "dockerfile-base-tag",
        stage.position.clone(),
        fr,
        en,
    );
}

/// What is delivered: the last stage and those it starts from, oldest first.
fn delivered(collector: &mut Collector<'_>, file: &Dockerfile, plan: &Plan) {
    let Some(target) = plan.stages.last() else {
        return;
    };
    let all = expanded(collector, file, plan);
    let mut chain = vec![plan.stages.len() - 1];
    while let Some(Base::Stage(base)) = chain.last().map(|index| &plan.stages[*index].base) {
        chain.push(*base);
    }
    let steps: Vec<&Step> = chain
        .iter()
        .rev()
        .filter_map(|index| {
            all.iter()
                .find(|(s, _)| s.index == plan.stages[*index].index)
        })
        .flat_map(|(_, steps)| steps)
        .collect();
    user(collector, file, target, &steps);
    let root = &plan.stages[*chain.last().unwrap_or(&0)];
    if let Base::Image(image) = &root.base
        && (image.ends_with("-debug") || image.ends_with(":debug"))
    {
        let fr = format!("l'image livrée part de {image}, une variante de mise au point");
        let en = format!("the delivered image starts from {image}, a debug variant");
        breach(
            collector,
            "dockerfile-debug-base",
            root.position.clone(),
            fr,
            en,
        );
    }
    single_stage(collector, file, &steps);
    for step in steps {
        program(collector, file, step);
    }
}

fn user(collector: &mut Collector<'_>, file: &Dockerfile, target: &Stage, steps: &[&Step]) {
    let last = steps
        .iter()
        .rev()
        .find_map(|step| match &step.instruction.kind {
            Kind::User(user) => Some((user.split(':').next().unwrap_or_default(), step)),
            _ => None,
        });
    let Some((user, step)) = last else {
        let fr = "aucun USER : l'image livrée tourne en root".to_owned();
        let en = "no USER: the delivered image runs as root".to_owned();
        return breach(
            collector,
            "dockerfile-root-user",
            target.position.clone(),
            fr,
            en,
        );
    };
    let mut at = file.position(step.instruction.span);
    if user == "root" || user.parse() == Ok(0u32) {
        at.column += "USER ".len() as u32;
        collector.breach(Breach {
            rule: "dockerfile-root-user",
            message: Text {
                fr: "le dernier USER est root".into(),
                en: "the last USER is root".into(),
            },
            object: None,
            position: Some(at),
            replace: Some((user.to_owned(), "65532".into())),
        });
    } else if user.parse::<u32>().is_err() {
        let user: String = user.chars().take(40).collect();
        let fr = format!("USER {user} est un nom : runAsNonRoot ne peut pas le vérifier");
        let en = format!("USER {user} is a name: runAsNonRoot cannot check it");
        breach(collector, "dockerfile-user-number", at, fr, en);
    }
}

fn single_stage(collector: &mut Collector<'_>, file: &Dockerfile, steps: &[&Step]) {
    if file.stages.len() != 1 {
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
        let at = file.position(step.instruction.span);
        let fr = "construit ou installe dans l'étape livrée".to_owned();
        let en = "builds or installs in the delivered stage".to_owned();
        breach(collector, "dockerfile-single-stage", at, fr, en);
    }
}

fn program(collector: &mut Collector<'_>, file: &Dockerfile, step: &Step) {
    let at = file.position(step.instruction.span);
    let text = match &step.instruction.kind {
        Kind::Expose(ports) => return expose(collector, &at, ports),
        Kind::Run(run) => run.script().unwrap_or_else(|| run.command.text()),
        Kind::Cmd(command) | Kind::Entrypoint(command) => command.text(),
        _ => return,
    };
    if SSH.is_match(&text) {
        let fr = "un serveur SSH entre dans l'image livrée".to_owned();
        let en = "an SSH server enters the delivered image".to_owned();
        breach(collector, "dockerfile-ssh-server", at.clone(), fr, en);
    }
    if matches!(step.instruction.kind, Kind::Run(_)) && SETUID.is_match(&text) {
        let fr = "setuid ou sudo dans l'image livrée".to_owned();
        let en = "setuid or sudo in the delivered image".to_owned();
        breach(collector, "dockerfile-setuid", at, fr, en);
    }
}

fn expose(collector: &mut Collector<'_>, at: &Position, ports: &[String]) {
    for port in ports {
        let number = port
            .split(['/', '-'])
            .next()
            .and_then(|n| n.parse::<u32>().ok());
        let Some(number) = number.filter(|number| *number <= 1024) else {
            continue;
        };
        let fr = format!("le port {number} est déclaré");
        let en = format!("port {number} is declared");
        breach(collector, "dockerfile-port", at.clone(), fr, en);
    }
}
