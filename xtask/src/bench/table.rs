//! The answer: figures with their units, beside a peer's where there is one.

use std::fmt;

/// One line.
struct Row {
    what: String,
    value: f64,
    unit: &'static str,
    peer: Option<f64>,
    note: String,
}

/// All lines, in the order they were measured.
#[derive(Default)]
pub struct Table(Vec<Row>);

impl Table {
    /// A figure.
    pub fn add(&mut self, what: &str, value: f64, unit: &'static str) {
        self.put(what, (value, None), unit, "");
    }

    /// A figure with something to know about it.
    pub fn noted(&mut self, what: &str, value: f64, unit: &'static str, note: &str) {
        self.put(what, (value, None), unit, note);
    }

    /// A figure beside the peer's, measured in this run.
    pub fn beside(&mut self, what: &str, both: (f64, f64), unit: &'static str, note: &str) {
        self.put(what, (both.0, Some(both.1)), unit, note);
    }

    fn put(
        &mut self,
        what: &str,
        (value, peer): (f64, Option<f64>),
        unit: &'static str,
        note: &str,
    ) {
        eprintln!("    {what}: {} {unit}", short(value));
        self.0.push(Row {
            what: what.to_owned(),
            value,
            unit,
            peer,
            note: note.to_owned(),
        });
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = ["what", "pilotis", "unit", "peer", "ratio", "note"];
        let mut lines = vec![head.map(str::to_owned)];
        lines.extend(self.0.iter().map(cells));
        let mut widths = [0; 6];
        for line in &lines {
            for (width, cell) in widths.iter_mut().zip(line) {
                *width = (*width).max(cell.chars().count());
            }
        }
        for line in &lines {
            let mut text = String::new();
            for (index, (cell, width)) in line.iter().zip(widths).enumerate() {
                // Numbers stand to the right.
                let cell = match index {
                    1 | 3 | 4 => format!("{cell:>width$}  "),
                    _ => format!("{cell:<width$}  "),
                };
                text.push_str(&cell);
            }
            writeln!(f, "{}", text.trim_end())?;
        }
        Ok(())
    }
}

fn cells(row: &Row) -> [String; 6] {
    let ratio = row.peer.filter(|peer| *peer > 0.0);
    [
        row.what.clone(),
        short(row.value),
        row.unit.to_owned(),
        row.peer.map(short).unwrap_or_default(),
        ratio
            .map(|peer| format!("{}×", short(row.value / peer)))
            .unwrap_or_default(),
        row.note.clone(),
    ]
}

/// Three significant digits are all a benchmark can claim.
fn short(value: f64) -> String {
    let decimals = match value.abs() {
        size if size >= 100.0 => 0,
        size if size >= 10.0 => 1,
        _ => 2,
    };
    format!("{value:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_stand_beside_their_peers() {
        let mut table = Table::default();
        table.beside("get", (8000.0, 4000.0), "requests/s", "");
        table.noted("start to ready", 0.523, "s", "cluster only");
        let expected = "\
what            pilotis  unit        peer  ratio  note
get                8000  requests/s  4000  2.00×
start to ready     0.52  s                        cluster only
";
        assert_eq!(table.to_string(), expected);
    }
}
