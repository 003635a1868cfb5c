//! Results as Helm prints them: a table, JSON or YAML.

use serde_json::Value as Json;

/// Forms of a result.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Form {
    /// Columns.
    #[default]
    Table,
    /// One line of JSON.
    Json,
    /// YAML.
    Yaml,
}

impl std::str::FromStr for Form {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "table" => Ok(Self::Table),
            "json" => Ok(Self::Json),
            "yaml" => Ok(Self::Yaml),
            _ => Err("invalid format type".to_owned()),
        }
    }
}

/// Rows of columns padded to one width, the longest cell cut where it is too wide (0: never).
pub fn table(rows: &[Vec<&str>], width_max: usize) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let widths: Vec<usize> = (0..columns)
        .map(|column| {
            let cells = rows.iter().filter_map(|row| row.get(column));
            let widest = cells.map(|cell| width(cell)).max().unwrap_or_default();
            if width_max == 0 {
                widest
            } else {
                widest.min(width_max)
            }
        })
        .collect();
    let mut out = String::new();
    for row in rows {
        let cells: Vec<String> = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| resized(cell, *width))
            .collect();
        out.push_str(&cells.join("\t"));
        out.push('\n');
    }
    out
}

fn width(cell: &str) -> usize {
    cell.chars().count()
}

fn resized(cell: &str, wanted: usize) -> String {
    let own = width(cell);
    if own <= wanted {
        return format!("{cell}{}", " ".repeat(wanted - own));
    }
    let kept: String = cell.chars().take(wanted.saturating_sub(3).max(1)).collect();
    format!("{kept}...")
}

/// A list in JSON or YAML, or as a table.
pub fn list(form: Form, items: &[Json], table: impl FnOnce() -> String, keys: &[&str]) -> String {
    match form {
        Form::Table => table(),
        Form::Yaml => pilotis_yaml::emit(&Json::from(items), pilotis_yaml::Flavour::GoV2),
        Form::Json => {
            let one = |item: &Json| {
                let pairs = keys.iter().map(|key| {
                    let value = pilotis_template::json_text(&item[*key], true);
                    format!("\"{key}\":{value}")
                });
                format!("{{{}}}", pairs.collect::<Vec<_>>().join(","))
            };
            let all: Vec<String> = items.iter().map(one).collect();
            format!("[{}]\n", all.join(","))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_padded_and_cut() {
        let rows = [vec!["NAME", "X"], vec!["a long name", "1"]];
        assert_eq!(table(&rows, 0), "NAME       \tX\na long name\t1\n");
        assert_eq!(table(&rows, 8), "NAME    \tX\na lon...\t1\n");
    }
}
