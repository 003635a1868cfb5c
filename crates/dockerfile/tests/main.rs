//! Dockerfiles read, planned and expanded as a builder and a reviewer need them.

#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used)]

use std::collections::BTreeMap;

use pilotis_dockerfile::{Base, Command, Dockerfile, Healthcheck, Kind, Step, platform_arguments};
use pilotis_report::render;

fn errors(text: &str) -> String {
    let diagnostics = Dockerfile::parse(text).expect_err("the file should be refused");
    let texts: Vec<String> = diagnostics.iter().map(|d| render(d, Some(text))).collect();
    texts.join("")
}

fn steps(text: &str, arguments: &[(&str, &str)], environment: &[(&str, &str)]) -> Vec<Step> {
    let own = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
        pairs
            .iter()
            .map(|(k, v)| ((*k).into(), (*v).into()))
            .collect()
    };
    let arguments: BTreeMap<_, _> = own(arguments).into_iter().collect();
    let plan = Dockerfile::parse(text)
        .unwrap()
        .plan(None, &arguments)
        .unwrap();
    plan.stages
        .last()
        .unwrap()
        .expand(&own(environment))
        .unwrap()
}

#[test]
fn continuations_comments_and_positions_are_kept() {
    let text = "# syntax=docker/dockerfile:1\n\nFROM a\n  RUN one && \\\n# a comment\n\n      two\nUSER 1\n";
    let file = Dockerfile::parse(text).unwrap();
    assert_eq!(file.syntax.as_deref(), Some("docker/dockerfile:1"));
    let run = &file.stages[0][1];
    assert_eq!(
        (run.span.line, run.span.column, run.span.line_end),
        (4, 3, 7)
    );
    assert_eq!(run.source, "RUN one &&       two");
    assert_eq!(file.stages[0][2].span.line, 8);
    assert!(file.comments.contains(&(5, "a comment".into())));
}

#[test]
fn backtick_escape_continues_lines_and_leaves_backslashes() {
    let file =
        Dockerfile::parse("# escape=`\nFROM a\nRUN dir `\n C:\\\\\nWORKDIR C:\\x\n").unwrap();
    assert_eq!(file.stages[0][1].source, "RUN dir  C:\\\\");
    assert_eq!(file.stages[0].len(), 3);
}

#[test]
fn heredocs_feed_run_and_copy() {
    let text = "FROM a\nRUN <<EOF\n#!/bin/sh\necho $HOME\nEOF\nCOPY <<-\"A\" <<B /etc/\n\tx $Y\n\tA\n\
                hello ${NAME}\nB\nRUN cat <<E >/x\nbody\nE\nUSER 1\n";
    let file = Dockerfile::parse(text).unwrap();
    let Kind::Run(run) = &file.stages[0][1].kind else {
        panic!()
    };
    assert_eq!(run.script().unwrap(), "#!/bin/sh\necho $HOME\n");
    let Kind::Run(run) = &file.stages[0][3].kind else {
        panic!()
    };
    assert_eq!(run.script().unwrap(), "cat <<E >/x\nbody\nE");
    assert!(matches!(file.stages[0][4].kind, Kind::User(_)));
    let steps = steps(
        &text.replace("FROM a\n", "FROM a\nARG NAME=you\n"),
        &[],
        &[],
    );
    let Kind::Copy(copy) = &steps[2].instruction.kind else {
        panic!()
    };
    assert!(copy.sources.is_empty());
    let contents: Vec<_> = copy.heredocs.iter().map(|h| h.content.as_str()).collect();
    assert_eq!(contents, ["x $Y\n", "hello you\n"]);
}

#[test]
fn healthcheck_takes_its_options_in_every_form() {
    let text = "FROM a\nHEALTHCHECK --interval=5m --timeout=3s \\\n  CMD curl -f http://x/ || exit 1\n\
                HEALTHCHECK CMD [\"/h\"]\nHEALTHCHECK none\n";
    let file = Dockerfile::parse(text).unwrap();
    let Kind::Healthcheck(check) = &file.stages[0][1].kind else {
        panic!()
    };
    assert_eq!(check.option("interval"), Some("5m"));
    assert!(matches!(
        check,
        Healthcheck::Cmd {
            command: Command::Shell(_),
            ..
        }
    ));
    let Kind::Healthcheck(check) = &file.stages[0][2].kind else {
        panic!()
    };
    assert!(matches!(
        check,
        Healthcheck::Cmd {
            command: Command::Exec(_),
            ..
        }
    ));
    assert_eq!(file.stages[0][3].kind, Kind::Healthcheck(Healthcheck::None));
}

#[test]
fn variables_follow_scopes() {
    let text = "ARG TAG=12\nFROM debian:${TAG}\nARG TAG\nARG V=1.2 W\nENV PATH=$PATH:/x A=$V\n\
                ENV B=$A V=9\nLABEL v=\"$V $TAG$W\"\nEXPOSE $PORTS 8080/tcp\nRUN echo $V\n";
    let steps = steps(text, &[("V", "7")], &[("PATH", "/bin"), ("PORTS", "1 2")]);
    let kinds: Vec<&Kind> = steps.iter().map(|s| &s.instruction.kind).collect();
    let pair = |k: &str, v: &str| (k.to_owned(), v.to_owned());
    assert_eq!(
        kinds[2],
        &Kind::Env(vec![pair("PATH", "/bin:/x"), pair("A", "7")])
    );
    assert_eq!(kinds[3], &Kind::Env(vec![pair("B", "7"), pair("V", "9")]));
    assert_eq!(kinds[4], &Kind::Label(vec![pair("v", "9 12")]));
    assert_eq!(
        kinds[5],
        &Kind::Expose(vec!["1".into(), "2".into(), "8080/tcp".into()])
    );
    assert_eq!(steps[6].arguments, [pair("TAG", "12")]);
    assert!(steps[6].environment.contains(&pair("V", "9")));
}

#[test]
fn only_needed_stages_are_planned_each_after_its_sources() {
    let text = "FROM a AS base\nFROM base AS test\nRUN t\nFROM b AS unused\nFROM base AS build\n\
                RUN --mount=type=bind,from=tools,target=/t make\nFROM c AS tools\nFROM scratch\n\
                COPY --from=Build /x /x\nCOPY --from=busybox:1 /b /b\nCOPY --from=0 /z /z\n";
    let plan = Dockerfile::parse(text)
        .unwrap()
        .plan(None, &BTreeMap::new())
        .unwrap();
    let order: Vec<usize> = plan.stages.iter().map(|s| s.index).collect();
    assert_eq!(order, [0, 4, 3, 5]);
    assert_eq!(plan.stages[2].base, Base::Stage(0));
    let last = &plan.stages[3];
    assert_eq!(last.base, Base::Scratch);
    assert_eq!(last.link("build"), Some(2));
    assert_eq!(last.link("busybox:1"), None);
    assert_eq!(last.sources(), [0, 2]);
    let plan = Dockerfile::parse(text)
        .unwrap()
        .plan(Some("test"), &BTreeMap::new())
        .unwrap();
    assert_eq!(plan.stages.len(), 2);
}

#[test]
fn platform_arguments_reach_from_and_declared_args() {
    let text =
        "FROM --platform=$BUILDPLATFORM go-$TARGETARCH\nARG TARGETARCH\nWORKDIR /$TARGETARCH\n";
    let file = Dockerfile::parse(text).unwrap();
    let plan = file
        .plan(None, &platform_arguments("linux/arm64/v8"))
        .unwrap();
    assert!(plan.warnings.is_empty());
    assert_eq!(plan.stages[0].base, Base::Image("go-arm64".into()));
    assert_eq!(plan.stages[0].platform.as_deref(), Some("linux/arm64/v8"));
    let steps = plan.stages[0].expand(&Vec::new()).unwrap();
    assert_eq!(steps[1].instruction.kind, Kind::Workdir("/arm64".into()));
}

#[test]
fn cycles_and_unknown_targets_are_refused() {
    let text = "FROM a AS x\nCOPY --from=y /a /a\nFROM b AS y\nCOPY --from=x /a /a\n";
    let file = Dockerfile::parse(text).unwrap();
    let error = file.plan(None, &BTreeMap::new()).unwrap_err();
    assert!(error[0].message.contains("needs itself"), "{error:?}");
    let error = file.plan(Some("z"), &BTreeMap::new()).unwrap_err();
    assert_eq!(error[0].hint.as_deref(), Some("stages are: x, y"));
    let text = "FROM a AS x\nCOPY --from=x /a /a\n";
    assert!(
        Dockerfile::parse(text)
            .unwrap()
            .plan(None, &BTreeMap::new())
            .is_err()
    );
}

#[test]
fn a_doubling_environment_is_cut_short() {
    let text = format!("FROM a\nENV A=xxxxxxxx\n{}", "ENV A=$A$A\n".repeat(60));
    let plan = Dockerfile::parse(&text)
        .unwrap()
        .plan(None, &BTreeMap::new())
        .unwrap();
    let error = plan.stages[0].expand(&Vec::new()).unwrap_err();
    assert!(error[0].message.contains("128 KiB"), "{error:?}");
}

#[test]
fn errors_name_the_place_and_the_next_step() {
    insta::assert_snapshot!(errors(
        "FROM debian:12\nRUNN make\nCOPY --chwon=1 a b\nCOPY --from=$X a b\nENV A\nHEALTHCHECK -f\n\
         RUN --mount=type=cash,target=/x true\nUSER\nSHELL /bin/sh\nRUN <<EOF\nnever closed\n"
    ));
    insta::assert_snapshot!(errors("USER 1\n"), @r"
    error: USER comes before the first FROM
      --> Dockerfile:1:1
      |
    1 | USER 1
      | ^
    hint: start the file with `FROM image`
    ");
    insta::assert_snapshot!(errors("# nothing\n"), @r"
    error: no FROM instruction
      --> Dockerfile:1:1
      |
    1 | # nothing
      | ^
    hint: start the file with `FROM image`
    ");
}

proptest::proptest! {
    #[test]
    fn no_input_panics(text in "(FROM|RUN|COPY|ENV|ARG|#|\\\\|<<E|\\$\\{|\"|'| |\n|a|=|:|-|\\[|\\]){0,60}") {
        let text = format!("FROM a\n{text}");
        if let Ok(file) = Dockerfile::parse(&text)
            && let Ok(plan) = file.plan(None, &BTreeMap::new())
        {
            for stage in &plan.stages {
                let _ = stage.expand(&Vec::new());
            }
        }
    }
}
