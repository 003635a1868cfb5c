//! Charts as loaded and parsed, kept by the id of their Git tree.
//!
//! An equal tree is an equal chart, whatever repository or commit it stands in; a commit that
//! changes other files, or the values of another environment, parses nothing again. Hundreds of
//! applications of one chart parse it once.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use pilotis_chart::Chart;

/// Charts kept.
const COUNT_MAX: usize = 64;
/// Bytes of files of all charts kept. Parsed templates take several times their text.
const BYTES_MAX: usize = 16 * 1024 * 1024;

/// The charts used last.
#[derive(Default)]
pub(super) struct Charts(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    /// The one used last is the last.
    charts: VecDeque<One>,
    bytes: usize,
}

struct One {
    id: String,
    bytes: usize,
    chart: Arc<Chart>,
}

impl Charts {
    /// The chart of a tree, if it is kept.
    pub(super) fn get(&self, id: &str) -> Option<Arc<Chart>> {
        let mut kept = self.lock();
        let at = kept.charts.iter().position(|one| one.id == id)?;
        let one = kept.charts.remove(at)?;
        let chart = Arc::clone(&one.chart);
        kept.charts.push_back(one);
        Some(chart)
    }

    /// Keeps a chart of so many bytes; those used least make room.
    pub(super) fn keep(&self, id: String, bytes: usize, chart: &Arc<Chart>) {
        let mut kept = self.lock();
        let known = kept.charts.iter().any(|one| one.id == id);
        if bytes > BYTES_MAX || known {
            return;
        }
        kept.bytes += bytes;
        let chart = Arc::clone(chart);
        kept.charts.push_back(One { id, bytes, chart });
        while kept.bytes > BYTES_MAX || kept.charts.len() > COUNT_MAX {
            let Some(oldest) = kept.charts.pop_front() else {
                break;
            };
            kept.bytes -= oldest.bytes;
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_used_make_room() {
        let charts = Charts::default();
        let chart = Arc::new(Chart::default());
        charts.keep("a".into(), BYTES_MAX / 2, &chart);
        charts.keep("b".into(), BYTES_MAX / 2, &chart);
        assert!(charts.get("a").is_some());
        charts.keep("c".into(), 1, &chart);
        assert!(charts.get("b").is_none() && charts.get("a").is_some());
        charts.keep("d".into(), BYTES_MAX + 1, &chart);
        assert!(charts.get("d").is_none() && charts.get("c").is_some());
        for index in 0..COUNT_MAX {
            charts.keep(index.to_string(), 0, &chart);
        }
        assert!(charts.get("a").is_none());
    }
}
