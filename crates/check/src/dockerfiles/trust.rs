//! What a Dockerfile believes: servers it does not verify, scripts it runs unread, files it copies.

use std::sync::LazyLock;

use pilotis_dockerfile::{Base, Copy, Kind, Plan, Run, Stage, Step};
use regex::Regex;

use super::{File, breach, breach_at, debug, from, tag_fault};
use crate::collect::Collector;
use crate::dockerfiles::blame::{Word, blamed, written};
use crate::repository::runtimes;

/// Rules of this module, for the record of what was looked at.
pub(super) const RULES: [&str; 4] = [
    "dockerfile-base-end-of-life",
    "dockerfile-log-volume",
    "dockerfile-remote-script",
    "dockerfile-tls-verification-off",
];

/// A script taken from an address and handed to an interpreter in one breath.
static REMOTE_SCRIPT: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r#"(?:curl|wget)\s[^|;&\n]*https?://[^|;&\n]*\|\s*(?:sudo\s+(?:-\S+\s+)*)?(?:\S+=\S+\s+)*(?:/\S+/)?(?:ba|da|z|a)?sh\b|(?:ba|da|z)?sh\s+(?:-c\s+)?["']?(?:<\(|\$\()\s*(?:curl|wget)\s|(?:curl|wget)\s[^|;&\n]*\|\s*(?:python3?|perl|ruby|node|php)\b"#,
    )
    .expect("a constant, compiled by a test")
});
static NO_TRUST: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"curl\s+(?:[^|;&\n]*\s)?(?:-[a-zA-Z]*k[a-zA-Z]*|--insecure)(?:\s|$)|wget\s+(?:[^|;&\n]*\s)?--no-check-certificate|strict-ssl[\s=]+false|http\.sslVerify[\s=]+false|--trusted-host|NODE_TLS_REJECT_UNAUTHORIZED=.?0|GIT_SSL_NO_VERIFY=|--allow-unauthenticated|--force-yes|--nogpgcheck|--no-gpg-checks|--allow-untrusted|Acquire::https?::Verify-Peer=false|maven\.wagon\.http\.ssl\.insecure=true|trusted=yes",
    )
    .expect("a constant, compiled by a test")
});
/// Files that hold nothing but a secret, by the end of their path.
static SECRET_FILE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"(^|/)(\.env(\.(local|prod|production))?|id_(rsa|ed25519|ecdsa|dsa)|\.netrc|\.pgpass|\.git-credentials|\.aws(/credentials)?|\.ssh|\.kube(/config)?|kubeconfig|\.docker/config\.json|[^/]+\.(pfx|p12|jks))/?$",
    )
    .expect("a constant, compiled by a test")
});

/// Rules about every stage: what builds the delivered image decides what it holds.
pub(super) fn every_stage(
    collector: &mut Collector<'_>,
    file: &File<'_>,
    (plan, stage): (&Plan, &Stage),
    steps: &[Step],
) {
    end_of_life(collector, file, stage);
    for step in steps {
        let span = step.instruction.span;
        match &step.instruction.kind {
            Kind::Run(run) => {
                let text = run.script().unwrap_or_else(|| run.command.text());
                scripts(collector, file, step, &text);
                mounted(collector, file, (plan, step), run);
            }
            Kind::Env(pairs) => {
                for (name, value) in pairs {
                    if NO_TRUST.is_match(&format!("{name}={value}")) {
                        no_trust(collector, file, step);
                    }
                }
            }
            Kind::Volume(paths) if paths.iter().any(|path| path.starts_with("/var/log")) => {
                let fr = "un volume de journaux est déclaré".to_owned();
                let en = "a log volume is declared".to_owned();
                breach(collector, file, "dockerfile-log-volume", span, (fr, en));
            }
            Kind::Copy(copy) | Kind::Add(copy) => {
                copied(collector, file, (plan, stage, step), copy)
            }
            _ => {}
        }
    }
}

fn no_trust(collector: &mut Collector<'_>, file: &File<'_>, step: &Step) {
    let fr = "la vérification des certificats ou des signatures est coupée".to_owned();
    let en = "verification of certificates or signatures is off".to_owned();
    let rule = "dockerfile-tls-verification-off";
    breach(collector, file, rule, step.instruction.span, (fr, en));
}

fn scripts(collector: &mut Collector<'_>, file: &File<'_>, step: &Step, text: &str) {
    if REMOTE_SCRIPT.is_match(text) {
        let fr = "un script pris sur le réseau est exécuté sans être vérifié".to_owned();
        let en = "a script taken from the network is run unverified".to_owned();
        let rule = "dockerfile-remote-script";
        breach(collector, file, rule, step.instruction.span, (fr, en));
    }
    if NO_TRUST.is_match(text) {
        no_trust(collector, file, step);
    }
}

/// Secrets copied from the context or another stage, and images copied from by a moving name.
fn copied(
    collector: &mut Collector<'_>,
    file: &File<'_>,
    (plan, stage, step): (&Plan, &Stage, &Step),
    copy: &Copy,
) {
    let span = step.instruction.span;
    if let Some(path) = copy.sources.iter().find(|path| SECRET_FILE.is_match(path)) {
        let path: String = path.chars().filter(|c| !c.is_control()).take(80).collect();
        let fr = format!("{path} entre dans l'image");
        let en = format!("{path} enters the image");
        breach(collector, file, "dockerfile-secret", span, (fr, en));
    }
    if let Some(image) = copy.from.as_deref() {
        let raw = match written(file.file, span).map(|i| &i.kind) {
            Some(Kind::Copy(raw)) => raw.from.clone(),
            _ => None,
        };
        let raw = raw.unwrap_or_else(|| image.to_owned());
        outside(
            collector,
            file,
            (stage.index, span),
            (plan, stage, image, &raw),
        );
    }
}

fn mounted(
    collector: &mut Collector<'_>,
    file: &File<'_>,
    (plan, step): (&Plan, &Step),
    run: &Run,
) {
    for mount in &run.mounts {
        let Some(image) = mount.option(&["from"]) else {
            continue;
        };
        let Some(stage) = plan.stages.last() else {
            return;
        };
        let span = step.instruction.span;
        outside(
            collector,
            file,
            (stage.index, span),
            (plan, stage, image, image),
        );
    }
}

/// An image named by `--from` is a base like another.
fn outside(
    collector: &mut Collector<'_>,
    file: &File<'_>,
    (index, span): (usize, pilotis_dockerfile::Span),
    (plan, stage, image, raw): (&Plan, &Stage, &str, &str),
) {
    let own = stage.link(image).is_some() || plan.stages.iter().any(|s| s.link(image).is_some());
    let number = image.parse::<usize>().is_ok();
    if own || number || image == "scratch" {
        return;
    }
    let Some((texts, wrong)) = tag_fault(collector, image) else {
        return;
    };
    let word = Word {
        stage: index,
        span,
        text: raw,
    };
    let at = blamed(file.file, word, wrong).unwrap_or_else(|| file.file.position(span));
    breach_at(collector, file, ("dockerfile-base-tag", span), at, texts);
}

fn end_of_life(collector: &mut Collector<'_>, file: &File<'_>, stage: &Stage) {
    let Base::Image(image) = &stage.base else {
        return;
    };
    let (Some(release), Some(word)) = (runtimes::ended_image(image), from(file, stage)) else {
        return;
    };
    let as_of = runtimes::AS_OF;
    let fr = format!("{release} n'est plus maintenu au {as_of}");
    let en = format!("{release} was no longer maintained on {as_of}");
    // The argument that gave the image or its tag, when it is one that makes the image wrong.
    let wrong = |value: &str| {
        let ended = runtimes::ended_image(value).is_some();
        ended
            || !debug(value) && !value.is_empty() && image.ends_with(&format!(":{value}"))
            || image.contains(&format!(":{value}-"))
    };
    let at = blamed(file.file, word, &wrong).unwrap_or_else(|| stage.position.clone());
    breach_at(
        collector,
        file,
        ("dockerfile-base-end-of-life", word.span),
        at,
        (fr, en),
    );
}
