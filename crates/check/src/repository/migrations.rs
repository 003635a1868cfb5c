//! Changes of a data model that the running version does not survive.
//!
//! While N + 1 replaces N, both read one database: what N reads must stay until N is gone. Expand
//! first, contract in a later delivery; a contraction whose turn has come says so in a comment,
//! `-- pilotis ignore=migration-incompatible`.

use std::sync::LazyLock;

use regex::Regex;

use super::{Source, breach_at, set_aside};
use crate::collect::Collector;
use crate::tree::name;

const RULE: &str = "migration-incompatible";

static VERSIONED: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^[VR]\d*[\d._]*__.+\.sql$").expect("a constant"));
static BACKWARDS: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?i)^U\d|\.down\.|(^|[._-])(down|undo|rollback|revert)([._-]|$)")
        .expect("a constant")
});
/// Statements, each with what it does.
static STATEMENTS: LazyLock<Vec<(Regex, &str, &str)>> = LazyLock::new(|| {
    let list = [
        (
            r"(?is)\bDROP\s+TABLE\b",
            "retire une table",
            "drops a table",
        ),
        (
            r"(?is)\bALTER\s+TABLE\b.*\bDROP\s+(?:COLUMN\s+)?(?:IF\s+EXISTS\s+)?[\x22`\[]?(?:[a-z_]\w*)",
            "retire une colonne",
            "drops a column",
        ),
        (r"(?is)\bALTER\s+TABLE\b.*\bRENAME\b", "renomme", "renames"),
        (
            r"(?is)\bALTER\s+TABLE\b.*(\bALTER\s+(?:COLUMN\s+)?\S+\s+(?:SET\s+DATA\s+)?TYPE\b|\bMODIFY\s+)",
            "change le type d'une colonne",
            "changes the type of a column",
        ),
        (
            r"(?is)\bSET\s+NOT\s+NULL\b",
            "rend une colonne obligatoire",
            "makes a column mandatory",
        ),
        (
            r"(?is)\bALTER\s+TABLE\b.*\bADD\s+(?:COLUMN\s+)?[^,;]*\bNOT\s+NULL\b",
            "ajoute une colonne obligatoire sans valeur par défaut",
            "adds a mandatory column without a default",
        ),
    ];
    let compile = |(text, fr, en)| (Regex::new(text).expect("a constant"), fr, en);
    list.into_iter().map(compile).collect()
});
static NOT_A_COLUMN: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?is)\bDROP\s+(CONSTRAINT|INDEX|DEFAULT|NOT\s+NULL|PRIMARY|FOREIGN|KEY|CHECK|EXPRESSION|IDENTITY|PARTITION)\b")
        .expect("a constant")
});
static TABLE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"(?is)\b(CREATE|DROP)\s+TABLE\s+(?:IF\s+(?:NOT\s+)?EXISTS\s+)?["`\[]?([\w.]+)"#)
        .expect("a constant")
});
/// Calls of migration libraries that do the same.
static CALLS: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"migrations\.(RemoveField|RenameField|DeleteModel|RenameModel)\(|\bop\.(drop_column|drop_table|rename_table)\(|(?m)^\s*(remove_column|rename_column|rename_table|drop_table|change_column)[ (]|<(dropColumn|renameColumn|dropTable|renameTable|modifyDataType|addNotNullConstraint)\b|(?m)^\s*-\s+(dropColumn|renameColumn|dropTable|renameTable|modifyDataType|addNotNullConstraint):",
    )
    .expect("a constant")
});

pub(super) fn judge(collector: &mut Collector<'_>, source: Source<'_>) {
    let path = source.path.to_lowercase();
    let folder = [
        "migration",
        "migrate/",
        "flyway",
        "liquibase",
        "changelog",
        "alembic",
    ]
    .iter()
    .any(|word| path.contains(word));
    let versioned = VERSIONED.is_match(name(source.path));
    let tested = path.contains("test/") || path.contains("tests/");
    if !(folder || versioned) || tested || BACKWARDS.is_match(name(source.path)) {
        return;
    }
    let ends = |extensions: &[&str]| extensions.iter().any(|end| path.ends_with(end));
    if ends(&[".sql"]) {
        collector.looked([RULE]);
        return sql(collector, source);
    }
    if ends(&[".py", ".rb", ".xml", ".yaml", ".yml"]) {
        calls(collector, source);
    }
}

fn sql(collector: &mut Collector<'_>, source: Source<'_>) {
    let mut created: Vec<String> = Vec::new();
    for (start, statement) in statements(source.text) {
        let table = TABLE.captures(statement);
        let named = table.as_ref().map(|found| found[2].to_lowercase());
        if let Some(found) = table
            .as_ref()
            .filter(|found| found[1].eq_ignore_ascii_case("create"))
        {
            created.push(found[2].to_lowercase());
            continue;
        }
        // A table made and dropped in one file was never read by version N.
        if named.is_some_and(|name| created.contains(&name)) || recreated(source.text, statement) {
            continue;
        }
        let Some((what, at)) = incompatible(statement) else {
            continue;
        };
        told(collector, source, start + at, what);
    }
}

/// `DROP TABLE IF EXISTS x` before `CREATE TABLE x`, as a first schema does.
fn recreated(text: &str, statement: &str) -> bool {
    let Some(dropped) = TABLE
        .captures(statement)
        .filter(|f| f[1].eq_ignore_ascii_case("drop"))
    else {
        return false;
    };
    let mut all = TABLE.captures_iter(text);
    all.any(|f| f[1].eq_ignore_ascii_case("create") && f[2].eq_ignore_ascii_case(&dropped[2]))
}

fn incompatible(statement: &str) -> Option<((&'static str, &'static str), usize)> {
    STATEMENTS.iter().find_map(|(pattern, fr, en)| {
        let found = pattern.find(statement)?;
        let column = *en == "drops a column" && NOT_A_COLUMN.is_match(statement);
        let mandatory = *en == "adds a mandatory column without a default";
        let filled = mandatory && statement.to_uppercase().contains("DEFAULT");
        (!column && !filled).then_some(((*fr, *en), found.start()))
    })
}

/// Statements of a text with the byte each begins at, comments blanked.
fn statements(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut start = 0;
    for piece in text.split_inclusive(';') {
        let code = skip_comments(piece);
        if !piece[code..].trim().is_empty() {
            found.push((start + code, &piece[code..]));
        }
        start += piece.len();
    }
    found
}

/// The byte where the first line that is no comment begins.
fn skip_comments(piece: &str) -> usize {
    let mut at = 0;
    for line in piece.split_inclusive('\n') {
        let plain = line.trim();
        if !plain.is_empty() && !plain.starts_with("--") && !plain.starts_with('#') {
            return at + (line.len() - line.trim_start().len());
        }
        at += line.len();
    }
    piece.len()
}

/// Calls before the part of a file that goes back.
fn calls(collector: &mut Collector<'_>, source: Source<'_>) {
    let backwards = ["def downgrade", "def down", "<rollback", "rollback:"];
    let ends = backwards.iter().filter_map(|word| source.text.find(word));
    let end = ends.min().unwrap_or(source.text.len());
    for found in CALLS.find_iter(&source.text[..end]) {
        collector.looked([RULE]);
        let blank = found.as_str().len() - found.as_str().trim_start().len();
        let what = (
            "retire ou renomme ce que la version en place lit",
            "removes or renames what the running version reads",
        );
        told(collector, source, found.start() + blank, what);
    }
}

fn told(collector: &mut Collector<'_>, source: Source<'_>, at: usize, (fr, en): (&str, &str)) {
    if set_aside(source, at, RULE) {
        return;
    }
    let fr = format!("cette migration {fr} : la version en place s'arrête");
    let en = format!("this migration {en}: the running version stops");
    breach_at(collector, source, (RULE, at), (fr, en));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_that_the_running_version_survives_pass() {
        for text in [
            "ALTER TABLE a ADD COLUMN b text;",
            "ALTER TABLE a ADD COLUMN b int NOT NULL DEFAULT 0;",
            "ALTER TABLE a DROP CONSTRAINT b;",
            "ALTER TABLE a ALTER COLUMN b DROP NOT NULL;",
            "CREATE TABLE a (b int NOT NULL);",
            "CREATE INDEX i ON a (b);",
            "INSERT INTO a VALUES ('DROP');",
        ] {
            assert!(incompatible(text).is_none(), "{text}");
        }
        for text in [
            "DROP TABLE a;",
            "alter table a drop column b;",
            "ALTER TABLE a DROP b;",
            "ALTER TABLE a RENAME COLUMN b TO c;",
            "ALTER TABLE a RENAME TO c;",
            "ALTER TABLE a ALTER COLUMN b TYPE bigint;",
            "ALTER TABLE a ALTER COLUMN b SET NOT NULL;",
            "ALTER TABLE a ADD b int NOT NULL;",
        ] {
            assert!(incompatible(text).is_some(), "{text}");
        }
    }
}
