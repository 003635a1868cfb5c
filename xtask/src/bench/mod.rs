//! `cargo xtask bench`: what the release binary costs, beside real peers in the same run.
//!
//! It measures and prints; nothing fails for being slow. Progress goes to standard error, the table
//! to standard output. Everything runs in temporary data directories and is purged, also after a
//! failure. Figures of a machine that does other work are worth little: the first lines say which
//! machine it was and how busy.

mod api;
mod chart;
mod check;
mod delivery;
mod gitops;
mod instance;
mod load;
mod machine;
mod process;
mod start;
mod table;

use anyhow::{Result, bail};

use crate::run::step;
use crate::{judges, packages};
use load::Loader;
use table::Table;

/// A part that can be measured alone.
type Area = (&'static str, fn(&mut Bench) -> Result<()>);

const AREAS: [Area; 6] = [
    ("start", start::measure),
    ("api", api::measure),
    ("delivery", delivery::measure),
    ("gitops", gitops::measure),
    ("chart", chart::measure),
    ("check", check::measure),
];

/// What every area uses.
pub struct Bench {
    table: Table,
    loader: Loader,
}

/// Runs the areas asked for, or all.
///
/// # Errors
/// When something cannot be built, started or measured; what was measured before is printed.
pub fn main(arguments: &[String]) -> Result<()> {
    let areas = wanted(arguments)?;
    step("Debian packages", || packages::install(&packages::PLATFORM))?;
    step("judges", judges::control_plane)?;
    let loader = step("release binary and load generator", Loader::build)?;
    let mut bench = Bench {
        table: Table::default(),
        loader,
    };
    println!("{}", machine::facts());
    let mut outcome = Ok(());
    for (name, measure) in areas {
        outcome = step(&format!("bench {name}"), || measure(&mut bench));
        if outcome.is_err() {
            break;
        }
    }
    print!("{}", bench.table);
    outcome
}

fn wanted(arguments: &[String]) -> Result<Vec<Area>> {
    if arguments.is_empty() {
        return Ok(AREAS.to_vec());
    }
    let find = |name: &String| AREAS.iter().find(|area| area.0 == name).copied();
    let names: Vec<&str> = AREAS.iter().map(|area| area.0).collect();
    let mut found = Vec::new();
    for argument in arguments {
        match find(argument) {
            Some(area) => found.push(area),
            None => bail!("no area `{argument}`; there are: {}", names.join(", ")),
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_area_is_refused_with_the_known_ones() {
        let error = wanted(&["apii".to_owned()]).err().unwrap().to_string();
        assert_eq!(
            error,
            "no area `apii`; there are: start, api, delivery, gitops, chart, check"
        );
        assert_eq!(wanted(&[]).unwrap().len(), AREAS.len());
    }
}
