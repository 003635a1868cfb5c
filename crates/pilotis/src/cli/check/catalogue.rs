//! `pilotis check list` and `pilotis check show`: what is asked, and by which rule it is judged.

use anyhow::Result;
use clap::Args;
use pilotis_check::{EDITION, Referential, Requirement, plane_letter};
use pilotis_policy::{Rule, Text};
use serde_json::{Value, json};

use super::super::Outcome;
use super::Tongue;

/// What to list.
#[derive(Debug, Clone, Args)]
pub struct List {
    /// Form of the output
    #[arg(short, long, value_enum, default_value_t = ListForm::Human)]
    pub output: ListForm,
    /// Language
    #[arg(long, value_enum, default_value_t = Tongue::Fr)]
    pub lang: Tongue,
}

/// Form of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum ListForm {
    /// One line per requirement.
    Human,
    /// For programs.
    Json,
    /// The table of requirements and planes.
    Markdown,
}

/// What to explain.
#[derive(Debug, Clone, Args)]
pub struct Show {
    /// Requirement or rule, such as EXI-ARCH-18 or container-probes
    pub id: String,
    /// Language
    #[arg(long, value_enum, default_value_t = Tongue::Fr)]
    pub lang: Tongue,
}

pub(super) fn list(arguments: &List) -> Result<Outcome> {
    let referential = Referential::load()?;
    match arguments.output {
        ListForm::Markdown => print!("{}", pilotis_check::table(&referential)),
        ListForm::Json => println!("{}", serde_json::to_string_pretty(&document(&referential))?),
        ListForm::Human => {
            for requirement in &referential.requirements {
                println!("{}", line(&referential, requirement, arguments.lang));
            }
        }
    }
    Ok(Outcome::Done)
}

fn line(referential: &Referential, requirement: &Requirement, lang: Tongue) -> String {
    let (id, level) = (&requirement.id, requirement.level);
    let rules = referential.rules_of(id).count();
    let judged = match (rules, lang) {
        (0, Tongue::Fr) => "non évaluée".to_owned(),
        (0, Tongue::En) => "not evaluated".to_owned(),
        (1, Tongue::Fr) => "1 règle".to_owned(),
        (1, Tongue::En) => "1 rule".to_owned(),
        (n, Tongue::Fr) => format!("{n} règles"),
        (n, Tongue::En) => format!("{n} rules"),
    };
    let name = match lang {
        Tongue::Fr => &requirement.fr,
        Tongue::En => &requirement.en,
    };
    format!("{id:<12} {level:?}  {judged:<13} {name}")
}

fn document(referential: &Referential) -> Value {
    let rules = referential.rules().iter().map(|rule| {
        json!({
            "id": rule.id, "requirement": rule.requirement, "level": rule.level,
            "plane": rule.plane, "aliases": rule.aliases, "platform": rule.platform,
            "title": rule.title, "rationale": rule.rationale, "fix": rule.fix,
        })
    });
    let requirements = referential.requirements.iter().map(|requirement| {
        let mut value = json!(requirement);
        value["family"] = json!(requirement.family());
        value
    });
    json!({
        "apiVersion": "pilotis.dev/v1alpha1",
        "kind": "Referential",
        "edition": EDITION,
        "requirements": requirements.collect::<Vec<_>>(),
        "rules": rules.collect::<Vec<_>>(),
    })
}

pub(super) fn show(arguments: &Show) -> Result<Outcome> {
    let referential = Referential::load()?;
    let wanted = arguments.id.trim();
    let same = |id: &str| id.eq_ignore_ascii_case(wanted);
    let found: Vec<&Requirement> = referential
        .requirements
        .iter()
        .filter(|r| same(&r.id) || r.official.as_deref().is_some_and(same))
        .collect();
    if !found.is_empty() {
        for requirement in found {
            requirement_text(&referential, requirement, arguments.lang);
        }
        return Ok(Outcome::Done);
    }
    let named = |rule: &&Rule| same(&rule.id) || rule.aliases.iter().any(|alias| same(alias));
    let rules: Vec<&Rule> = referential.rules().iter().filter(named).collect();
    if rules.is_empty() {
        eprintln!("error: no requirement and no rule is called {wanted}");
        eprintln!("hint: pilotis check list names them all");
        return Ok(Outcome::Usage);
    }
    for rule in rules {
        rule_text(rule, arguments.lang);
    }
    Ok(Outcome::Done)
}

fn pick(text: &Text, lang: Tongue) -> &str {
    match lang {
        Tongue::Fr => &text.fr,
        Tongue::En => &text.en,
    }
}

fn requirement_text(referential: &Referential, requirement: &Requirement, lang: Tongue) {
    let name = match lang {
        Tongue::Fr => &requirement.fr,
        Tongue::En => &requirement.en,
    };
    println!("{} ({:?}) {name}", requirement.id, requirement.level);
    if let Some(official) = &requirement.official {
        println!("  id in the source: {official}, used twice there");
    }
    println!("  {}", pick(&requirement.asks, lang));
    let planes: String = requirement.planes.iter().flat_map(|p| [*p, ' ']).collect();
    println!(
        "  check: {}, planes: {}",
        requirement.check,
        planes.trim_end()
    );
    let rules: Vec<&Rule> = referential.rules_of(&requirement.id).collect();
    if rules.is_empty() {
        let word = match lang {
            Tongue::Fr => "aucune règle : non évaluée",
            Tongue::En => "no rule: not evaluated",
        };
        println!("  {word}");
    }
    for rule in rules {
        let letter = plane_letter(rule.plane);
        println!("  ({letter}) {}: {}", rule.id, pick(&rule.title, lang));
    }
    if let Some(reason) = &requirement.unread {
        let word = match lang {
            Tongue::Fr => "non lu",
            Tongue::En => "not read",
        };
        println!("  {word}: {}", pick(reason, lang));
    }
}

fn rule_text(rule: &Rule, lang: Tongue) {
    println!("{} ({:?}) {}", rule.id, rule.level, pick(&rule.title, lang));
    if let Some(requirement) = &rule.requirement {
        println!("  requirement: {requirement}");
    }
    if !rule.aliases.is_empty() {
        println!("  elsewhere: {}", rule.aliases.join(", "));
    }
    if let Some(platform) = &rule.platform {
        println!("  platform rule: {platform}");
    }
    println!("  {}", pick(&rule.rationale, lang));
    println!("  {}", pick(&rule.fix, lang));
}
