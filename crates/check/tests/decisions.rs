//! Derogations and attestations: who may decide, for how long, about what.

use jiff::Timestamp;
use pilotis_check::decisions::{Approver, Attestation, Decision, Decisions, Derogation, Refused};
use pilotis_check::{
    Language, Options, Referential, Report, State, html, human, json, junit, markdown, run, sarif,
};
use pilotis_report::Level;
use pilotis_signing::PrivateKey;

use crate::tree;

fn key(byte: u8) -> PrivateKey {
    PrivateKey::from_random(&[byte; 32].into()).unwrap()
}

fn approvers() -> Vec<Approver> {
    let of = |name: &str, byte| Approver {
        name: name.to_owned(),
        key: key(byte).public(),
    };
    vec![of("rssi", 1), of("architecte", 2)]
}

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn derogation() -> Derogation {
    Derogation {
        name: "d-2026-1".into(),
        project: "bonjour".into(),
        subject: "EXI-ARCH-10".into(),
        object: Some("Service/web".into()),
        file: None,
        reason: "migration".into(),
        cost_owner: "direction d'application".into(),
        requester: "equipe".into(),
        approver: "rssi".into(),
        start: time("2026-01-01T00:00:00Z"),
        end: time("2026-07-01T00:00:00Z"),
    }
}

fn open(decision: &Decision, key: &PrivateKey, project: &str) -> Result<Decision, Refused> {
    Decision::open(&decision.seal(key)?, project, &approvers())
}

#[test]
fn only_an_approver_decides_in_their_own_name_about_this_project() {
    let decision = Decision::Derogation(derogation());
    assert_eq!(open(&decision, &key(1), "bonjour"), Ok(decision.clone()));
    assert_eq!(open(&decision, &key(9), "bonjour"), Err(Refused::Untrusted));
    assert_eq!(open(&decision, &key(2), "bonjour"), Err(Refused::OtherName));
    assert_eq!(
        open(&decision, &key(1), "autre"),
        Err(Refused::OtherProject)
    );
    let own = Decision::Derogation(Derogation {
        requester: " RSSI".into(),
        ..derogation()
    });
    assert_eq!(open(&own, &key(1), "bonjour"), Err(Refused::OwnRequest));
    let backwards = Decision::Derogation(Derogation {
        end: time("2025-01-01T00:00:00Z"),
        ..derogation()
    });
    assert_eq!(open(&backwards, &key(1), "bonjour"), Err(Refused::Dates));
    let text = decision.seal(&key(1)).unwrap();
    let changed = text.replacen("\"payload\":\"e", "\"payload\":\"f", 1);
    assert!(Decision::open(&changed, "bonjour", &approvers()).is_err());
    assert_eq!(
        Decision::open("{}", "bonjour", &[]),
        Err(Refused::Malformed)
    );
}

#[test]
fn a_derogation_covers_its_scope_until_its_end() {
    let service = |name: &str| {
        format!(
            "apiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\nspec:\n  type: NodePort\n"
        )
    };
    let verdict = |name: &str, now: &str| {
        let options = Options {
            decisions: Decisions {
                all: vec![Decision::Derogation(derogation())],
                now: Some(time(now)),
            },
            ..Options::default()
        };
        run(&tree(&[("s.yaml", &service(name))]), &options).unwrap()
    };
    let current = verdict("web", "2026-03-01T00:00:00Z");
    assert_eq!(current.findings[0].derogation.as_deref(), Some("d-2026-1"));
    assert!(!current.fails(Level::P));
    every_form_names_the_derogation(&current);
    assert!(
        current
            .states
            .contains(&("EXI-ARCH-10".into(), State::Derogated))
    );
    assert!(verdict("other", "2026-03-01T00:00:00Z").fails(Level::P));
    let expired = verdict("web", "2026-08-01T00:00:00Z");
    assert!(expired.fails(Level::P));
    assert!(expired.skipped[0].reason.contains("expirée"));
    assert!(verdict("web", "2025-08-01T00:00:00Z").fails(Level::P));
}

fn every_form_names_the_derogation(report: &Report) {
    let referential = Referential::load().unwrap();
    let french = Language::French;
    let forms = [
        ("human", human(report, french)),
        ("json", json(report).to_string()),
        ("sarif", sarif(report, &referential, french).to_string()),
        ("junit", junit(report, &referential, french)),
        ("markdown", markdown(report, french)),
        ("html", html(report, &referential, (french, "web"))),
    ];
    for (form, text) in forms {
        assert!(text.contains("d-2026-1"), "{form}: {text}");
    }
}

#[test]
fn a_person_vouches_only_for_what_a_person_may() {
    let states = |requirement: &str, now: &str| {
        let attestation = Decision::Attestation(Attestation {
            requirement: requirement.into(),
            project: "bonjour".into(),
            author: "architecte".into(),
            evidence: "https://registre.example.fr/42".into(),
            start: time("2026-01-01T00:00:00Z"),
            end: time("2026-07-01T00:00:00Z"),
        });
        let opened = open(&attestation, &key(2), "bonjour").unwrap();
        let options = Options {
            decisions: Decisions {
                all: vec![opened],
                now: Some(time(now)),
            },
            ..Options::default()
        };
        let report = run(&tree(&[]), &options).unwrap();
        report
            .states
            .into_iter()
            .find(|(id, _)| id == requirement)
            .unwrap()
            .1
    };
    let during = "2026-03-01T00:00:00Z";
    assert_eq!(states("EXI-G-1", during), State::Attested);
    assert_eq!(
        states("EXI-G-1", "2027-01-01T00:00:00Z"),
        State::NotEvaluated
    );
    assert_eq!(states("EXI-ARCH-27", during), State::NotEvaluated);
}

#[test]
fn an_object_is_honoured_only_as_it_was_signed() {
    let decision = Decision::Derogation(derogation());
    let object = |change: &dyn Fn(&mut serde_json::Value)| {
        let mut spec = serde_json::to_value(derogation()).unwrap();
        let fields = spec.as_object_mut().unwrap();
        fields.remove("name");
        fields.remove("project");
        fields.insert("envelope".into(), decision.seal(&key(1)).unwrap().into());
        change(&mut spec);
        spec
    };
    let open = |name: &str, spec: &serde_json::Value| {
        Decision::open_object((name, spec), "bonjour", &approvers())
    };
    let plain = object(&|_| {});
    assert_eq!(open("d-2026-1", &plain), Ok(decision.clone()));
    assert_eq!(open("d-autre", &plain), Err(Refused::OtherText));
    let unsigned = object(&|spec| spec["envelope"] = serde_json::Value::Null);
    assert_eq!(open("d-2026-1", &unsigned), Err(Refused::Unsigned));
    // What people read in the object is what was signed, or it counts for nothing.
    for (field, value) in [
        ("end", "2027-07-01T00:00:00Z"),
        ("start", "2025-01-01T00:00:00Z"),
        ("subject", "EXI-ARCH-18"),
        ("object", "Service/autre"),
        ("file", "chart/values.yaml"),
        ("reason", "autre"),
        ("costOwner", "personne"),
        ("approver", "architecte"),
        ("requester", "quelqu'un"),
    ] {
        let changed = object(&|spec| spec[field] = value.into());
        assert_eq!(
            open("d-2026-1", &changed),
            Err(Refused::OtherText),
            "{field}"
        );
    }
    let other = Decision::open_object(("d-2026-1", &plain), "autre", &approvers());
    assert_eq!(other, Err(Refused::OtherProject));
    let nobody = Decision::open_object(("d-2026-1", &plain), "bonjour", &[]);
    assert_eq!(nobody, Err(Refused::Untrusted));
}
