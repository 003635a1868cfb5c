//! `cargo xtask helm`: our chart engine beside the real Helm, byte for byte.
//!
//! `vectors` lets the real Helm of every profile answer the lists in `inputs/` and stores what it
//! said; tests replay that. `sample` asks again for a random part, as CI does. `calls` asks Helm's
//! engine about calls made at random; `damaged` gives both programs what nobody would write.
//! `charts` renders public charts that lie on this machine with both programs and prints a table.
//! Nothing of a public chart is kept; no expected output is written by hand.

mod calls;
mod chart_list;
mod charts;
mod corpus;
mod damaged;
mod emitter;
mod goldens;
mod program;
mod random;
mod tables;
mod values;
mod vectors;

use anyhow::{Result, bail};

pub use charts::prepared;

/// The versions compared, the default profile first. The first is a required judge.
const VERSIONS: [&str; 3] = ["4.2.4", "4.3.1", "3.21.4"];

/// Asks the default judge a random part of the stored vectors again.
///
/// # Errors
/// When it answers otherwise than stored.
pub fn sample() -> Result<()> {
    vectors::sample(None)
}

/// Gives both programs some of what nobody would write.
///
/// # Errors
/// A difference.
pub fn damaged_sample() -> Result<()> {
    damaged::sample()
}

/// Lets a stock Argo CD repo-server render with our program in Helm's place.
fn argocd() -> Result<()> {
    crate::packages::install(&[
        ("redis-server", "redis-server"),
        ("docker-registry", "docker-registry"),
    ])?;
    crate::judges::argocd()?;
    crate::test::ignored("charts::argocd")
}

/// Does the same work in two threads, which share what is to be done.
fn two_at_once(work: &(dyn Fn() -> Result<()> + Sync)) -> Result<()> {
    std::thread::scope(|scope| {
        let other = scope.spawn(work);
        work()?;
        other
            .join()
            .map_err(|_| anyhow::anyhow!("a worker panicked"))?
    })
}

/// Runs one of the comparisons.
///
/// # Errors
/// A judge that is missing, an unknown word, or a difference where none may be.
pub fn main(arguments: &[String]) -> Result<()> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["judges"] => crate::judges::helms(),
        ["vectors"] => {
            vectors::record(None)?;
            crate::test::beside_every_helm()
        }
        ["vectors", list] => vectors::record(Some(list)),
        ["sample"] => vectors::sample(None),
        ["sample", seed] => vectors::sample(Some(seed.parse()?)),
        ["calls"] => calls::compare(None, 10_000),
        ["calls", count] => calls::compare(None, count.parse()?),
        ["calls", count, seed] => calls::compare(Some(seed.parse()?), count.parse()?),
        ["corpus", target] => corpus::compare(target),
        ["damaged", rest @ ..] => damaged::main(rest),
        ["emitter"] => emitter::compare(10_000),
        ["emitter", count] => emitter::compare(count.parse()?),
        ["tables"] => tables::main(""),
        ["tables", only] => tables::main(only),
        ["lock", folder] => chart_list::write(folder.as_ref(), &charts::named(folder.as_ref())?),
        ["charts", folder, rest @ ..] => charts::compare(folder.as_ref(), rest),
        ["lint", folder, rest @ ..] => charts::lint(folder.as_ref(), rest),
        ["goldens", folder] => goldens::compare(folder.as_ref()),
        ["argocd"] => argocd(),
        _ => bail!(
            "usage: cargo xtask helm judges | vectors | sample [SEED] | emitter [COUNT] | corpus TARGET | \
             calls [COUNT [SEED]] | damaged KIND [COUNT [SEED [VERSION]]] | tables [NAME] | lock FOLDER | charts FOLDER [FILTER] [VERSION] | \
             lint FOLDER [FILTER] [VERSION] | goldens FOLDER | argocd"
        ),
    }
}
