//! What the lists say: applications over all projects, and the deliveries of one project. Pure.

use jiff::Timestamp;
use kube::ResourceExt;
use kube::core::DynamicObject;
use pilotis_kinds::argo::{
    ApplicationSpec, ApplicationStatus, HealthCode, OperationPhase, SyncCode,
};
use pilotis_kinds::names::Slug;
use serde::de::DeserializeOwned;

use crate::delivery::{Delivery, Serving};
use crate::page::Chip;
use crate::words;

/// Rows of a page.
pub(crate) const ROWS_MAX: usize = 50;

/// `/applications`.
pub(crate) struct ApplicationsView {
    pub(crate) summary: Vec<Chip>,
    pub(crate) rows: Vec<ApplicationRow>,
    pub(crate) caption: String,
    pub(crate) pages: Pages,
}

/// One application.
pub(crate) struct ApplicationRow {
    pub(crate) name: String,
    pub(crate) project: Option<String>,
    pub(crate) environment: String,
    pub(crate) sync: Chip,
    pub(crate) health: Chip,
    pub(crate) cause: Option<String>,
    pub(crate) revision: String,
    pub(crate) image: String,
    pub(crate) since: String,
}

/// `/projets/{slug}/livraisons`.
pub(crate) struct DeliveriesView {
    pub(crate) slug: String,
    pub(crate) rows: Vec<DeliveryRow>,
    pub(crate) caption: String,
    pub(crate) pages: Pages,
}

/// One delivery.
pub(crate) struct DeliveryRow {
    pub(crate) name: String,
    pub(crate) title: String,
    pub(crate) commit: String,
    pub(crate) repository: String,
    pub(crate) branch: String,
    pub(crate) author: String,
    pub(crate) chip: Chip,
    pub(crate) since: String,
}

/// Which rows are shown, and the pages around them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pages {
    pub(crate) number: usize,
    pub(crate) count: usize,
    pub(crate) previous: Option<usize>,
    pub(crate) next: Option<usize>,
}

impl Pages {
    /// The page asked for, or the nearest there is.
    pub(crate) fn of(rows: usize, asked: usize) -> Self {
        let count = rows.div_ceil(ROWS_MAX).max(1);
        let number = asked.clamp(1, count);
        Self {
            number,
            count,
            previous: (number > 1).then(|| number - 1),
            next: (number < count).then_some(number + 1),
        }
    }

    fn take<T>(self, rows: Vec<T>) -> Vec<T> {
        rows.into_iter()
            .skip((self.number - 1) * ROWS_MAX)
            .take(ROWS_MAX)
            .collect()
    }
}

/// Applications, by name; `complete` says whether all could be read.
pub(crate) fn applications(
    objects: &[DynamicObject],
    complete: bool,
    page: usize,
    now: Timestamp,
) -> ApplicationsView {
    let mut rows: Vec<_> = objects
        .iter()
        .map(|object| application(object, now))
        .collect();
    rows.sort_by(|a, b| (&a.name, &a.environment).cmp(&(&b.name, &b.environment)));
    let pages = Pages::of(rows.len(), page);
    let more = if complete {
        ""
    } else {
        " (les premières seulement)"
    };
    let total = words::count(rows.len(), "application");
    let seen = if rows.len() > 1 {
        "visibles"
    } else {
        "visible"
    };
    ApplicationsView {
        summary: summary(&rows),
        caption: format!("{total} {seen} avec vos droits, par nom{more}"),
        rows: pages.take(rows),
        pages,
    }
}

fn summary(rows: &[ApplicationRow]) -> Vec<Chip> {
    let worst = |row: &ApplicationRow| {
        let states = [row.sync.state, row.health.state];
        ["bad", "warn", "run", "derog", "wait", "ok"]
            .into_iter()
            .find(|s| states.contains(s))
    };
    let kinds = [
        ("ok", "sans rien à signaler"),
        ("run", "en cours"),
        ("warn", "en écart"),
        ("bad", "à regarder"),
        ("derog", "en pause"),
        ("wait", "sans nouvelles"),
    ];
    let mut chips = Vec::new();
    for (state, word) in kinds {
        let number = rows.iter().filter(|row| worst(row) == Some(state)).count();
        if number > 0 {
            let chip = Chip::new(state, format!("{number} {word}"));
            let icon = if state == "wait" { "unk" } else { chip.icon };
            chips.push(Chip {
                plain: true,
                ..chip.with_icon(icon)
            });
        }
    }
    chips
}

fn application(object: &DynamicObject, now: Timestamp) -> ApplicationRow {
    let spec: ApplicationSpec = part(object, "spec").unwrap_or_default();
    let status: Option<ApplicationStatus> = part(object, "status");
    let namespace = object.namespace().unwrap_or_default();
    let slug = Slug::of_namespace(&namespace).or_else(|| Slug::new(&spec.project).ok());
    let target = spec.destination.namespace.clone().unwrap_or_default();
    let environment = slug.as_ref().and_then(|slug| {
        let rest = target.strip_prefix(slug.as_str())?.strip_prefix('-')?;
        Some(rest.to_owned())
    });
    let status_or_none = status.as_ref();
    ApplicationRow {
        name: object.name_any(),
        project: slug.map(|slug| slug.to_string()),
        environment: environment.unwrap_or(target),
        sync: status_or_none.map_or_else(|| Chip::unknown("Inconnue"), sync),
        health: status_or_none.map_or_else(|| Chip::unknown("Inconnue"), health),
        cause: status_or_none.map_or_else(|| Some("jamais comparée à sa source".to_owned()), cause),
        revision: status_or_none.map(revision).unwrap_or_default(),
        image: status_or_none
            .and_then(|status| status.summary.images.first())
            .map_or_else(|| "—".to_owned(), |image| words::image(image)),
        since: status_or_none
            .and_then(|status| since(status, now))
            .unwrap_or("—".to_owned()),
    }
}

fn part<T: DeserializeOwned>(object: &DynamicObject, name: &str) -> Option<T> {
    serde_json::from_value(object.data.get(name)?.clone()).ok()
}

fn sync(status: &ApplicationStatus) -> Chip {
    let operation = status
        .operation_state
        .as_ref()
        .map(|operation| operation.phase);
    match (operation, status.sync.status) {
        (Some(OperationPhase::Running), _) => Chip::new("run", "Synchronisation"),
        (Some(OperationPhase::Failed | OperationPhase::Error), SyncCode::OutOfSync) => {
            Chip::new("bad", "Bloquée")
        }
        (_, SyncCode::Synced) => Chip::new("ok", "Synchronisée"),
        (_, SyncCode::OutOfSync) => Chip::new("warn", "En écart"),
        (_, SyncCode::Unknown) => Chip::unknown("Inconnue"),
    }
}

fn health(status: &ApplicationStatus) -> Chip {
    match status.health.status {
        HealthCode::Healthy => Chip::new("ok", "Saine"),
        HealthCode::Suspended => Chip::new("derog", "Suspendue"),
        HealthCode::Progressing => Chip::new("run", "En progression"),
        HealthCode::Missing => Chip::new("warn", "Absente"),
        HealthCode::Degraded => Chip::new("bad", "Dégradée"),
        HealthCode::Unknown => Chip::unknown("Inconnue"),
    }
}

/// The one sentence that explains a state that is not well.
fn cause(status: &ApplicationStatus) -> Option<String> {
    if let Some(condition) = status.conditions.iter().find(|c| c.kind.ends_with("Error")) {
        return Some(condition.message.clone());
    }
    if !status.health.message.is_empty() && status.health.status != HealthCode::Healthy {
        return Some(status.health.message.clone());
    }
    let operation = status.operation_state.as_ref()?;
    let failed = matches!(
        operation.phase,
        OperationPhase::Failed | OperationPhase::Error
    );
    (failed && status.sync.status != SyncCode::Synced).then(|| operation.message.clone())
}

fn revision(status: &ApplicationStatus) -> String {
    let all = [&status.sync.revision]
        .into_iter()
        .chain(&status.sync.revisions);
    let short: Vec<_> = all
        .filter(|r| !r.is_empty())
        .map(|r| words::commit(r))
        .collect();
    short.join(", ")
}

fn since(status: &ApplicationStatus, now: Timestamp) -> Option<String> {
    let changed = status.health.last_transition_time.as_deref();
    let deployed = status
        .history
        .last()
        .map(|entry| entry.deployed_at.as_str());
    let moment = [changed, deployed]
        .into_iter()
        .flatten()
        .filter_map(|t| t.parse().ok())
        .max()?;
    Some(words::ago(moment, now))
}

/// Deliveries of a project, newest first.
pub(crate) fn deliveries(
    slug: &Slug,
    objects: &[Delivery],
    page: usize,
    now: Timestamp,
) -> DeliveriesView {
    let mut sorted: Vec<&Delivery> = objects.iter().collect();
    sorted.sort_by_key(|d| (std::cmp::Reverse(d.creation_timestamp()), d.name_any()));
    let serving = Serving::among(objects);
    let pages = Pages::of(sorted.len(), page);
    let rows = sorted
        .iter()
        .map(|delivery| row(delivery, &serving, now))
        .collect();
    let total = words::count(sorted.len(), "livraison");
    DeliveriesView {
        slug: slug.to_string(),
        caption: format!("{total}, la plus récente d’abord"),
        rows: pages.take(rows),
        pages,
    }
}

fn row(delivery: &Delivery, serving: &Serving<'_>, now: Timestamp) -> DeliveryRow {
    let spec = &delivery.spec;
    let commit = words::commit(&spec.commit);
    DeliveryRow {
        name: delivery.name_any(),
        title: if spec.title.is_empty() {
            format!("Commit {commit}")
        } else {
            spec.title.clone()
        },
        commit,
        repository: spec.repository.clone(),
        branch: words::branch(&spec.reference).to_owned(),
        author: spec.author.clone(),
        chip: serving.verdict(delivery),
        since: delivery
            .creation_timestamp()
            .map_or("—".to_owned(), |t| words::ago(t.0, now)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_stay_within_what_there_is() {
        let pages = |rows, asked| {
            let p = Pages::of(rows, asked);
            (p.number, p.count, p.previous, p.next)
        };
        assert_eq!(pages(0, 1), (1, 1, None, None));
        assert_eq!(pages(51, 1), (1, 2, None, Some(2)));
        assert_eq!(pages(51, 9), (2, 2, Some(1), None));
        assert_eq!(pages(51, 0), (1, 2, None, Some(2)));
    }
}
