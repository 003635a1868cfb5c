//! Rules about what a repository's other files say: interfaces, runtimes, fronts, data, settings.
//!
//! Most of these rules can only reveal a breach: that a repository holds no sign of a local store
//! of passwords does not prove single sign-on. Such a rule is recorded as having looked only when
//! it found something, so that silence never counts as conformity.

mod applications;
mod data;
mod fronts;
mod interfaces;
mod migrations;
mod pipelines;
mod primary;
mod runbooks;
pub(crate) mod runtimes;
mod settings;
mod silenced;

use pilotis_policy::Text;
use pilotis_report::Position;

use crate::collect::{Breach, Collector};
use crate::tree::{FILE_BYTES_MAX, is_foreign};

pub(crate) use applications::judge as applications;
pub(crate) use pipelines::is_pipeline;

/// A text file of the tree.
#[derive(Clone, Copy)]
pub(crate) struct Source<'a> {
    pub(crate) path: &'a str,
    pub(crate) text: &'a str,
}

pub(crate) fn judge(collector: &mut Collector<'_>) {
    let files = collector.files;
    let read = |path: &String, bytes: &Vec<u8>| {
        !is_foreign(path)
            && bytes.len() <= FILE_BYTES_MAX
            && !bytes.iter().take(8192).any(|b| *b == 0)
    };
    let texts = files.iter().filter(|(path, bytes)| read(path, bytes));
    let sources: Vec<Source<'_>> = texts
        .filter_map(|(path, bytes)| {
            let text = std::str::from_utf8(bytes).ok()?;
            Some(Source { path, text })
        })
        .collect();
    for source in &sources {
        runtimes::judge(collector, *source);
        migrations::judge(collector, *source);
        data::judge(collector, *source);
        settings::judge(collector, *source);
        pipelines::judge(collector, *source);
        runbooks::judge(collector, *source);
        silenced::judge(collector, *source);
        fronts::page(collector, *source);
    }
    primary::judge(collector, &sources);
    interfaces::judge(collector, &sources);
    fronts::judge(collector, &sources);
}

/// A breach at a byte of a file.
fn breach_at(
    collector: &mut Collector<'_>,
    source: Source<'_>,
    (rule, at): (&str, usize),
    (fr, en): (String, String),
) {
    collector.breach(Breach {
        rule,
        message: Text { fr, en },
        object: None,
        position: Some(position(source, at)),
        change: None,
    });
}

/// The line and column of a byte of a file.
fn position(source: Source<'_>, at: usize) -> Position {
    let before = source.text.get(..at).unwrap_or_default();
    let start = before.rfind('\n').map_or(0, |newline| newline + 1);
    Position {
        file: source.path.to_owned(),
        line: before.bytes().filter(|byte| *byte == b'\n').count() as u32 + 1,
        column: before[start..].chars().count() as u32 + 1,
    }
}

/// A name of the tree fit to be shown.
fn shown(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(80).collect()
}

/// Whether a comment on this line or the one above sets `rule` aside.
fn set_aside(source: Source<'_>, at: usize, rule: &str) -> bool {
    let before = source.text.get(..at).unwrap_or_default();
    let start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let above = before[..start]
        .trim_end()
        .rsplit('\n')
        .next()
        .unwrap_or_default();
    let here = source.text[start..].lines().next().unwrap_or_default();
    let mark = format!("pilotis ignore={rule}");
    here.contains(&mark) || above.contains(&mark)
}
