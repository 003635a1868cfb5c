//! Personal data and passwords that a repository keeps, or plans to keep.
//!
//! Nothing of what is found is ever shown: a finding gives the line, and what sort of data it is.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use regex::Regex;

use super::{Source, breach_at, shown};
use crate::collect::Collector;
use crate::secrets::{is_sample, is_test};

/// Numbers of one file before it is taken for a register: one alone may be chance.
const NUMBERS_MIN: usize = 3;
/// Rows of a table of people before it is taken for a register.
const ROWS_MIN: usize = 10;

static TABLE_OF_PEOPLE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"(?is)\bCREATE\s+TABLE\s+(?:IF\s+NOT\s+EXISTS\s+)?["`\[]?(?:\w+\.)?["`\[]?(\w*(?:user|utilisateur|account|compte|agent|person|member|usager|login)\w*)["`\]]?\s*\("#)
        .expect("a constant, compiled by a test")
});
static PASSWORD_COLUMN: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"(?im)(?:^|[(,])\s*["`\[]?(password|passwd|pwd|mot_?de_?passe|mdp|(?:password|mdp)_?hash|hashed_?password|encrypted_?password|password_?digest)["`\]]?\s+(?:n?(?:var)?char|text|character|bytea|(?:var)?binary|blob)"#)
        .expect("a constant, compiled by a test")
});
/// A French social security number: sex, year, month, place, order, key.
static SOCIAL_NUMBER: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?-u:\b)([12])[ .]?(\d{2})[ .]?(0[1-9]|1[0-2]|20)[ .]?(\d{2}|2[AB])[ .]?(\d{3})[ .]?(\d{3})[ .]?(\d{2})(?-u:\b)")
        .expect("a constant, compiled by a test")
});

pub(super) fn judge(collector: &mut Collector<'_>, source: Source<'_>) {
    if is_test(source.path) || is_sample(source.path) {
        return;
    }
    let path = source.path.to_lowercase();
    let ends = |extensions: &[&str]| extensions.iter().any(|end| path.ends_with(end));
    if ends(&[".sql"]) {
        passwords(collector, source);
    }
    if ends(&[".csv", ".tsv"]) {
        table(collector, source);
    }
    if ends(&[
        ".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".sql", ".xml", ".txt",
    ]) {
        numbers(collector, source);
    }
}

/// A table of people with a column for their passwords.
fn passwords(collector: &mut Collector<'_>, source: Source<'_>) {
    for table in TABLE_OF_PEOPLE.captures_iter(source.text) {
        let (Some(whole), Some(name)) = (table.get(0), table.get(1)) else {
            continue;
        };
        let body = &source.text[whole.end()..];
        let body = body.split(';').next().unwrap_or_default();
        let Some(column) = PASSWORD_COLUMN
            .captures(body)
            .and_then(|found| found.get(1))
        else {
            continue;
        };
        let name = shown(name.as_str());
        let fr = format!(
            "la table {name} garde des mots de passe : l'authentification unique ne passe pas par l'application"
        );
        let en = format!(
            "table {name} keeps passwords: single sign-on does not go through the application"
        );
        breach_at(
            collector,
            source,
            ("local-password-store", whole.end() + column.start()),
            (fr, en),
        );
    }
}

/// A table whose columns are those of a register of people.
fn table(collector: &mut Collector<'_>, source: Source<'_>) {
    let mut lines = source.text.lines();
    let header = lines.next().unwrap_or_default().to_lowercase();
    let separators = [',', ';', '\t', '|'];
    let columns: BTreeSet<String> = header
        .split(separators)
        .map(|column| {
            column
                .trim()
                .trim_matches('"')
                .replace(['é', 'è'], "e")
                .replace([' ', '-'], "_")
        })
        .collect();
    let any = |names: &[&str]| names.iter().any(|name| columns.contains(*name));
    let name = any(&[
        "nom",
        "nom_usage",
        "nom_naissance",
        "nom_de_famille",
        "last_name",
        "lastname",
        "surname",
    ]);
    let first = any(&["prenom", "prenoms", "first_name", "firstname"]);
    let more = any(&[
        "email",
        "mail",
        "courriel",
        "adresse_mail",
        "telephone",
        "tel",
        "phone",
        "mobile",
        "adresse",
        "address",
        "date_naissance",
        "date_de_naissance",
        "birth_date",
        "birthdate",
        "birthday",
        "nir",
        "numero_securite_sociale",
    ]);
    let rows = lines.filter(|line| !line.trim().is_empty()).count();
    if name && first && more && rows >= ROWS_MIN {
        let fr = format!("registre de {rows} personnes dans le dépôt");
        let en = format!("register of {rows} people in the repository");
        breach_at(collector, source, ("personal-data", 0), (fr, en));
    }
}

fn numbers(collector: &mut Collector<'_>, source: Source<'_>) {
    let mut seen = BTreeSet::new();
    let mut first = None;
    for found in SOCIAL_NUMBER.captures_iter(source.text) {
        if has_its_key(&found) {
            seen.insert(found[0].replace([' ', '.'], ""));
            first = first.or(found.get(0).map(|whole| whole.start()));
        }
        if seen.len() >= NUMBERS_MIN {
            break;
        }
    }
    if let Some(at) = first.filter(|_| seen.len() >= NUMBERS_MIN) {
        let fr = "numéros de sécurité sociale dans le dépôt".to_owned();
        let en = "social security numbers in the repository".to_owned();
        breach_at(collector, source, ("personal-data", at), (fr, en));
    }
}

/// Whether the last two digits are those that the thirteen others give.
fn has_its_key(found: &regex::Captures<'_>) -> bool {
    let digits: String = (1..=6)
        .filter_map(|group| found.get(group))
        .map(|m| m.as_str())
        .collect();
    let digits = digits.replace("2A", "19").replace("2B", "18");
    let number: Option<u64> = digits.parse().ok();
    let key: Option<u64> = found.get(7).and_then(|key| key.as_str().parse().ok());
    number
        .zip(key)
        .is_some_and(|(number, key)| 97 - number % 97 == key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_has_its_key() {
        let check = |text: &str| {
            SOCIAL_NUMBER
                .captures(text)
                .is_some_and(|found| has_its_key(&found))
        };
        // Published as a specimen by the health insurance.
        assert!(check("2 55 08 14 168 025 38"));
        assert!(!check("2 55 08 14 168 025 39"));
        assert!(!check("123456789012345"));
    }
}
