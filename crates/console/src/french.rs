//! What the chain says, in French: a sentence for each [`Reason`], and what mends it.
//!
//! The list is closed, so the compiler says what was forgotten. A code this version does not know
//! keeps the sentence the object carries. What a tool said itself (a builder, Kubernetes) is quoted
//! as it said it. Text between backquotes is shown as code, see [`crate::page::Prose`].

use pilotis_kinds::pilotis::{Blocked, Evidence, Gate};
use pilotis_kinds::reason::Reason;

use crate::words;

/// The sentence of a gate; empty when there is nothing to say.
pub(crate) fn message(gate: &Gate) -> String {
    match gate.reason() {
        Some(reason) => sentence(&reason),
        None => gate.message.clone(),
    }
}

/// Cause and fix of a blocked gate.
pub(crate) fn cause_and_fix(gate: &Gate, blocked: &Blocked) -> (String, String) {
    let Some(reason) = gate.reason() else {
        return (blocked.cause.clone(), blocked.fix.clone());
    };
    // The chain's own sentences are translated; findings and tools speak for themselves.
    let pick = |said: &str, own: String, french: String| {
        if said == own { french } else { said.to_owned() }
    };
    (
        pick(&blocked.cause, reason.to_string(), sentence(&reason)),
        pick(&blocked.fix, reason.fix(), fix(&reason)),
    )
}

/// What a proof holds.
pub(crate) fn evidence(evidence: &Evidence) -> String {
    let kind = match evidence.kind.as_str() {
        "compliance-report" => "Verdict CCT",
        "image-report" => "Verdict de l’image",
        "sbom" => "Nomenclature (SBOM)",
        "vulnerabilities" => "Vulnérabilités",
        "junit" | "tests" => "Résultats des tests",
        "coverage" => "Couverture des tests",
        "sarif" => "Constats d’analyse (SARIF)",
        "log" => "Journal",
        "provenance" => "Provenance (SLSA)",
        "signature" => "Signature",
        "signature-bundle" => "Signature (bundle Sigstore)",
        "image" => "Image",
        "commit" => "Commit",
        other => other,
    };
    let figures = figures(evidence);
    if figures.is_empty() {
        return kind.to_owned();
    }
    format!("{kind}\u{202f}: {figures}{}", derogations(evidence))
}

/// The derogations that the summary of a verdict names.
fn derogations(evidence: &Evidence) -> String {
    let named = match evidence.kind.as_str() {
        "compliance-report" | "image-report" => evidence.summary.split_once(", covered by "),
        _ => None,
    };
    named.map_or_else(String::new, |(_, names)| {
        format!(", par dérogation {names}")
    })
}

fn figures(evidence: &Evidence) -> String {
    let figure = |name: &str| evidence.figures.get(name).copied();
    match evidence.kind.as_str() {
        "log" => figure("lines").map(|n| words::count(n, "ligne")),
        "coverage" => figure("coveragePermille").map(words::permille),
        "junit" => {
            figure("tests").map(|tests| tests_of(tests, figure("failed").unwrap_or_default(), None))
        }
        "compliance-report" | "image-report" => {
            figure("rules").map(|rules| judged(rules, figure("findings").unwrap_or_default()))
        }
        "sbom" => figure("components").map(|n| words::count(n, "composant")),
        _ => None,
    }
    .unwrap_or_else(|| evidence.summary.clone())
}

#[expect(
    clippy::too_many_lines,
    reason = "a flat catalogue, an arm for each reason"
)]
fn sentence(reason: &Reason) -> String {
    match reason {
        Reason::Pushed { commit } => {
            format!("Le commit `{commit}` a été poussé sur la plateforme.")
        }
        Reason::Fetched { commit, url } => {
            format!("Le commit `{commit}` a été recopié depuis `{url}`.")
        }
        Reason::Judged { rules, remarks } => words::sentence(&judged(*rules, *remarks)),
        Reason::RuleBroken { blocking: 1 } => "Un constat bloque la livraison.".to_owned(),
        Reason::RuleBroken { blocking } => {
            format!(
                "{} bloquent la livraison.",
                words::count(*blocking, "constat")
            )
        }
        Reason::NoDockerfile { path } => format!("Le commit n’a pas de fichier `{path}`."),
        Reason::NoChart { path } => format!("Le commit n’a pas de chart dans `{path}`."),
        Reason::ImageRunsAsRoot => "L’image s’exécute en tant que root.".to_owned(),
        Reason::PodRequested => "Le pod de construction est demandé.".to_owned(),
        Reason::PodWorking { state } => pod(state),
        Reason::ImageBuilt { digest } => format!("L’image est au registre\u{202f}: `{digest}`."),
        Reason::BuildStopped { message } => {
            format!("La construction s’est arrêtée\u{202f}: `{message}`")
        }
        Reason::SourcesRefused { message } => {
            format!("Le dépôt dépasse ce qui peut en être lu\u{202f}: `{message}`")
        }
        Reason::BuildTooLong { minutes } => {
            format!("La construction n’a pas fini en {minutes} minutes.")
        }
        Reason::BuildTooLarge { limit } => {
            format!("La construction a demandé plus de mémoire que les {limit} permis.")
        }
        Reason::NoBuilder => {
            "Cette instance n’exécute pas de conteneur\u{202f}: rien ne peut y être construit."
                .to_owned()
        }
        Reason::NoTestStage { stage } => {
            format!("Le `Dockerfile` n’a pas d’étape nommée `{stage}`.")
        }
        Reason::NoTestReport { path } => {
            format!("L’étape de test n’a pas laissé de rapport `{path}`.")
        }
        Reason::Tested {
            tests,
            failed,
            coverage_permille,
        } => words::sentence(&tests_of(*tests, *failed, *coverage_permille)),
        Reason::Signed => "L’image est signée et sa provenance attestée.".to_owned(),
        Reason::Published { image } => {
            format!("L’image porte le nom du commit\u{202f}: `{image}`.")
        }
        Reason::NoEnvironment => "Le projet n’a aucun environnement.".to_owned(),
        Reason::BecomingHealthy { environment } => {
            format!("{environment} reçoit la version et n’est pas encore sain.")
        }
        Reason::Superseded {
            delivery,
            environment,
        } => format!("Entre-temps, {delivery} a été promue dans {environment}."),
        Reason::NotHealthy {
            environment,
            seconds,
            message,
        } => format!(
            "{environment} n’est pas devenu sain en {} minutes\u{202f}: `{message}`",
            seconds.div_ceil(60)
        ),
        Reason::HealthyIn { environments } => {
            format!("La version est saine dans {}.", words::list(environments))
        }
        Reason::PlatformFailed { message } => {
            format!("La plateforme n’a pas pu faire son travail\u{202f}: `{message}`")
        }
    }
}

fn fix(reason: &Reason) -> String {
    match reason {
        Reason::NoDockerfile { path } => {
            format!(
                "Ajoutez `{path}`, ou indiquez un autre chemin dans `spec.dockerfile` du dépôt."
            )
        }
        Reason::NoChart { .. } => {
            "Ajoutez un chart Helm, ou indiquez son dossier dans `spec.chart` du dépôt.".to_owned()
        }
        Reason::ImageRunsAsRoot => {
            "Ajoutez `USER 65532` à la dernière étape du `Dockerfile`.".to_owned()
        }
        Reason::BuildStopped { .. } => {
            "Lisez le journal de construction, rangé parmi les preuves.".to_owned()
        }
        Reason::SourcesRefused { .. } => {
            "Allégez le dépôt, ou gardez les gros fichiers en dehors.".to_owned()
        }
        Reason::BuildTooLong { .. } => "Raccourcissez la construction.".to_owned(),
        Reason::BuildTooLarge { .. } => {
            "Construisez avec moins de processus à la fois, ou par étapes plus petites.".to_owned()
        }
        Reason::NoBuilder => "Relancez l’instance sans `--no-containers`.".to_owned(),
        Reason::NoTestReport { path } => format!("Écrivez un rapport JUnit dans `{path}`."),
        Reason::Tested { .. } => "Corrigez les tests en échec, puis poussez.".to_owned(),
        Reason::PlatformFailed { .. } => {
            "Lisez le journal de la plateforme, puis poussez un commit vide.".to_owned()
        }
        _ => String::new(),
    }
}

fn judged(rules: u64, findings: u64) -> String {
    let evaluated = if rules > 1 { "évaluées" } else { "évaluée" };
    let rules = words::count(rules, "règle");
    match findings {
        0 => format!("{rules} {evaluated}, rien à signaler"),
        _ => format!("{rules} {evaluated}, {}", words::count(findings, "constat")),
    }
}

fn tests_of(tests: u64, failed: u64, coverage_permille: Option<u64>) -> String {
    let verdict = match (tests, failed) {
        (0, _) => "aucun test".to_owned(),
        (1, 0) => "1 test, réussi".to_owned(),
        (_, 0) => format!("{}, tous réussis", words::count(tests, "test")),
        _ => format!("{}, {failed} en échec", words::count(tests, "test")),
    };
    match coverage_permille {
        Some(permille) => format!("{verdict}, couverture de {}", words::permille(permille)),
        None => verdict,
    }
}

/// A build pod's phase, or what its container waits for.
fn pod(state: &str) -> String {
    match state {
        "Pending" => "Le pod de construction attend sa place.".to_owned(),
        "ContainerCreating" => "Le pod de construction démarre.".to_owned(),
        "Running" => "Le pod de construction travaille.".to_owned(),
        "Succeeded" => "Le pod de construction a fini.".to_owned(),
        other => format!("Le pod de construction attend\u{202f}: `{other}`."),
    }
}

#[cfg(test)]
mod tests {
    use pilotis_kinds::reason::samples;

    use super::*;

    #[test]
    fn every_reason_is_a_sentence_and_keeps_what_it_speaks_of() {
        let mut lines = Vec::new();
        for reason in samples() {
            lines.push(format!("{}: {}", reason.code(), sentence(&reason)));
            if !reason.fix().is_empty() {
                lines.push(format!("  → {}", fix(&reason)));
            }
            assert_eq!(
                reason.fix().is_empty(),
                fix(&reason).is_empty(),
                "{reason:?}"
            );
        }
        insta::assert_snapshot!(lines.join("\n").replace('\u{202f}', " "));
    }

    #[test]
    fn a_code_of_a_newer_version_keeps_its_own_sentence() {
        let mut gate = Gate::pending(pilotis_kinds::pilotis::GateName::Sign);
        gate.message = "sealed by two keys".to_owned();
        gate.reason = Some("SealedTwice".to_owned());
        assert_eq!(message(&gate), "sealed by two keys");
    }

    #[test]
    fn a_finding_speaks_for_itself() {
        let mut gate = Gate::pending(pilotis_kinds::pilotis::GateName::Verify);
        gate.say(&Reason::RuleBroken { blocking: 1 });
        let blocked = Blocked {
            cause: "le conteneur est privilégié".to_owned(),
            fix: "Retirez privileged.".to_owned(),
            ..Blocked::default()
        };
        let said = cause_and_fix(&gate, &blocked);
        assert_eq!(said, (blocked.cause, blocked.fix));
    }

    #[test]
    fn figures_are_said_in_french_and_unknown_ones_as_they_came() {
        let proof = |kind: &str, figures: &[(&str, u64)]| {
            let figures = figures.iter().map(|(n, v)| ((*n).to_owned(), *v));
            evidence(&Evidence {
                kind: kind.to_owned(),
                digest: String::new(),
                media_type: String::new(),
                summary: "3 things".to_owned(),
                figures: figures.collect(),
            })
            .replace('\u{202f}', " ")
        };
        let cases = [
            (proof("log", &[("lines", 12)]), "Journal : 12 lignes"),
            (
                proof("junit", &[("tests", 14), ("failed", 2)]),
                "Résultats des tests : 14 tests, 2 en échec",
            ),
            (
                proof("coverage", &[("coveragePermille", 942)]),
                "Couverture des tests : 94,2 %",
            ),
            (
                proof("compliance-report", &[("findings", 0), ("rules", 42)]),
                "Verdict CCT : 42 règles évaluées, rien à signaler",
            ),
            (proof("weights", &[("grams", 3)]), "weights : 3 things"),
        ];
        for (said, expected) in cases {
            assert_eq!(said, expected);
        }
    }

    #[test]
    fn a_verdict_names_the_derogations_that_cover_it() {
        let figures = [("findings".to_owned(), 1), ("rules".to_owned(), 42)];
        let proof = evidence(&Evidence {
            kind: "image-report".to_owned(),
            digest: String::new(),
            media_type: String::new(),
            summary: "1 findings, 42 rules evaluated, covered by d-2026-1".to_owned(),
            figures: figures.into(),
        });
        assert!(proof.starts_with("Verdict de l’image"), "{proof}");
        assert!(proof.ends_with(", par dérogation d-2026-1"), "{proof}");
    }
}
