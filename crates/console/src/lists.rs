//! What the lists say: applications over all projects, and the deliveries of one project. Pure.

use std::collections::BTreeSet;

use jiff::Timestamp;
use kube::ResourceExt;
use kube::core::DynamicObject;
use pilotis_kinds::argo::{
    ApplicationSpec, ApplicationStatus, HealthCode, OperationPhase, SyncCode,
};
use pilotis_kinds::names::{LABEL_DELIVERY, Slug};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::delivery::{Delivery, Serving};
use crate::page::Chip;
use crate::words;

/// Rows of a page; more would not keep a page under its 40 kB.
pub(crate) const ROWS_MAX: usize = 25;
/// Longest text that is looked for, in characters.
const TEXT_CHARS_MAX: usize = 100;
/// States of an application, worst first, as filters name them.
const STATES: [(&str, &str); 6] = [
    ("bad", "à regarder"),
    ("warn", "en écart"),
    ("run", "en cours"),
    ("derog", "en pause"),
    ("wait", "sans nouvelles"),
    ("ok", "sans rien à signaler"),
];

/// `/applications`.
pub(crate) struct ApplicationsView {
    pub(crate) summary: Vec<(Chip, String)>,
    pub(crate) rows: Vec<ApplicationRow>,
    pub(crate) caption: String,
    pub(crate) pages: Pages,
    pub(crate) projects: Vec<(String, bool)>,
    pub(crate) states: Vec<(&'static str, &'static str, bool)>,
    pub(crate) filter: Filter,
}

/// Which applications, in which order, as the address says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(crate) struct Filter {
    /// Part of a name, environment, image or revision.
    pub(crate) nom: String,
    /// A project's slug.
    pub(crate) projet: String,
    /// A state of [`STATES`].
    pub(crate) etat: String,
    /// `nom`, `urgence` or `date`.
    pub(crate) tri: String,
    /// Page, from 1; text, because an address may hold anything.
    pub(crate) page: String,
}

impl Filter {
    /// Whether anything is left out.
    pub(crate) fn is_set(&self) -> bool {
        [&self.nom, &self.projet, &self.etat]
            .iter()
            .any(|text| !text.is_empty())
    }

    /// Whether text and project are right, whatever the state.
    fn finds(&self, row: &ApplicationRow) -> bool {
        let text: String = self
            .nom
            .trim()
            .to_lowercase()
            .chars()
            .take(TEXT_CHARS_MAX)
            .collect();
        let places = [&row.name, &row.environment, &row.image, &row.revision];
        let named = places
            .iter()
            .any(|place| place.to_lowercase().contains(&text));
        let ours = self.projet.is_empty() || row.project.as_deref() == Some(&*self.projet);
        named && ours
    }

    fn order(&self, rows: &mut [ApplicationRow]) {
        rows.sort_by(|a, b| (&a.name, &a.environment).cmp(&(&b.name, &b.environment)));
        match self.tri.as_str() {
            "urgence" => rows.sort_by_key(ApplicationRow::rank),
            "date" => rows.sort_by_key(|row| std::cmp::Reverse(row.changed)),
            _ => {}
        }
    }

    fn order_word(&self) -> &'static str {
        match self.tri.as_str() {
            "urgence" => "les plus urgentes d’abord",
            "date" => "les plus récentes d’abord",
            _ => "par nom",
        }
    }

    /// The address of another page, or of another state, of the same list.
    fn query(&self, etat: &str, page: usize) -> String {
        let page = page.to_string();
        let page = if page == "1" { "" } else { page.as_str() };
        let fields = [
            ("nom", self.nom.as_str()),
            ("projet", self.projet.as_str()),
            ("etat", etat),
            ("tri", self.tri.as_str()),
            ("page", page),
        ];
        let set = fields.into_iter().filter(|(_, value)| !value.is_empty());
        let pairs: Vec<String> = set
            .map(|(name, value)| format!("{name}={}", words::encoded(value)))
            .collect();
        format!("?{}", pairs.join("&"))
    }
}

/// One application.
pub(crate) struct ApplicationRow {
    pub(crate) name: String,
    pub(crate) project: Option<String>,
    /// The delivery it carries.
    pub(crate) delivery: Option<String>,
    pub(crate) environment: String,
    pub(crate) sync: Chip,
    pub(crate) health: Chip,
    pub(crate) cause: Option<Cause>,
    pub(crate) revision: String,
    pub(crate) image: String,
    pub(crate) since: String,
    changed: Option<Timestamp>,
}

/// Why an application is not well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cause {
    /// What failed, in French.
    pub(crate) what: &'static str,
    /// What GitOps or Kubernetes said, as it said it.
    pub(crate) said: String,
    /// Whether it is about health, rather than about synchronisation.
    pub(crate) of_health: bool,
}

impl ApplicationRow {
    /// The page of the delivery it carries.
    pub(crate) fn delivery_address(&self) -> Option<String> {
        let (project, delivery) = (self.project.as_ref()?, self.delivery.as_ref()?);
        Some(format!("/projets/{project}/livraisons/{delivery}"))
    }

    /// The worst of its states.
    fn state(&self) -> &'static str {
        let states = [self.sync.state, self.health.state];
        let worst = STATES.iter().find(|(state, _)| states.contains(state));
        worst.map_or("wait", |(state, _)| state)
    }

    fn rank(&self) -> usize {
        let state = self.state();
        STATES
            .iter()
            .position(|(other, _)| *other == state)
            .unwrap_or(STATES.len())
    }
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
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pages {
    pub(crate) number: usize,
    pub(crate) count: usize,
    pub(crate) previous: Option<String>,
    pub(crate) next: Option<String>,
    /// `26 à 50 sur 300`.
    pub(crate) shown: String,
}

impl Pages {
    /// The page asked for, or the nearest there is.
    fn of(rows: usize, asked: &str, address: impl Fn(usize) -> String) -> Self {
        let count = rows.div_ceil(ROWS_MAX).max(1);
        let number = asked.parse().unwrap_or(1).clamp(1, count);
        let (first, last) = ((number - 1) * ROWS_MAX + 1, (number * ROWS_MAX).min(rows));
        Self {
            number,
            count,
            previous: (number > 1).then(|| address(number - 1)),
            next: (number < count).then(|| address(number + 1)),
            shown: format!("{first} à {last} sur {rows}"),
        }
    }

    fn take<T>(&self, rows: Vec<T>) -> Vec<T> {
        rows.into_iter()
            .skip((self.number - 1) * ROWS_MAX)
            .take(ROWS_MAX)
            .collect()
    }
}

/// Applications; `complete` says whether all could be read.
pub(crate) fn applications(
    objects: &[DynamicObject],
    complete: bool,
    filter: Filter,
    now: Timestamp,
) -> ApplicationsView {
    let all: Vec<_> = objects
        .iter()
        .map(|object| application(object, now))
        .collect();
    let names: BTreeSet<String> = all.iter().filter_map(|row| row.project.clone()).collect();
    let projects = names.into_iter().map(|name| (name == filter.projet, name));
    let projects = projects.map(|(chosen, name)| (name, chosen)).collect();
    let mut rows: Vec<_> = all.into_iter().filter(|row| filter.finds(row)).collect();
    let summary = summary(&rows, &filter);
    rows.retain(|row| filter.etat.is_empty() || row.state() == filter.etat);
    filter.order(&mut rows);
    let pages = Pages::of(rows.len(), &filter.page, |page| {
        filter.query(&filter.etat, page)
    });
    ApplicationsView {
        summary,
        caption: caption(rows.len(), complete, &filter),
        rows: pages.take(rows),
        pages,
        projects,
        states: STATES
            .iter()
            .map(|(state, word)| (*state, *word, *state == filter.etat))
            .collect(),
        filter,
    }
}

fn caption(rows: usize, complete: bool, filter: &Filter) -> String {
    let seen = if rows > 1 { "visibles" } else { "visible" };
    let total = words::count(rows, "application");
    let kept = if filter.is_set() {
        " et retenues par le filtre"
    } else {
        ""
    };
    let kept = if rows > 1 {
        kept.to_owned()
    } else {
        kept.replace("retenues", "retenue")
    };
    let more = if complete {
        ""
    } else {
        " (parmi les premières seulement)"
    };
    format!(
        "{total} {seen} avec vos droits{kept}, {}{more}",
        filter.order_word()
    )
}

/// How many are in each state, the quiet ones first, and the list of those.
fn summary(rows: &[ApplicationRow], filter: &Filter) -> Vec<(Chip, String)> {
    let mut chips = Vec::new();
    for (state, word) in STATES.into_iter().rev() {
        let number = rows.iter().filter(|row| row.state() == state).count();
        if number > 0 {
            let chip = Chip::new(state, format!("{number} {word}"));
            let icon = if state == "wait" { "unk" } else { chip.icon };
            let chip = Chip {
                plain: true,
                ..chip.with_icon(icon)
            };
            chips.push((chip, filter.query(state, 1)));
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
    let changed = status_or_none.and_then(changed);
    ApplicationRow {
        name: object.name_any(),
        project: slug.map(|slug| slug.to_string()),
        environment: environment.unwrap_or(target),
        sync: status_or_none.map_or_else(|| Chip::unknown("Inconnue"), sync),
        health: status_or_none.map_or_else(|| Chip::unknown("Inconnue"), health),
        delivery: object.labels().get(LABEL_DELIVERY).cloned(),
        cause: status_or_none
            .map_or_else(|| Some(Cause::of("jamais comparée à sa source", "")), cause),
        revision: status_or_none.map(revision).unwrap_or_default(),
        image: status_or_none
            .and_then(|status| status.summary.images.first())
            .map_or_else(|| "—".to_owned(), |image| words::image(image)),
        since: changed.map_or("—".to_owned(), |changed| words::ago(changed, now)),
        changed,
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

impl Cause {
    fn of(what: &'static str, said: &str) -> Self {
        Self {
            what,
            said: said.to_owned(),
            of_health: false,
        }
    }
}

/// The one sentence that explains a state that is not well.
fn cause(status: &ApplicationStatus) -> Option<Cause> {
    if let Some(condition) = status.conditions.iter().find(|c| c.kind.ends_with("Error")) {
        let what = match condition.kind.as_str() {
            "ComparisonError" => "la comparaison a échoué",
            "InvalidSpecError" => "sa définition est refusée",
            "SyncError" => "la synchronisation a échoué",
            _ => "une condition n’est pas remplie",
        };
        return Some(Cause::of(what, &condition.message));
    }
    let health = &status.health;
    if !health.message.is_empty() && health.status != HealthCode::Healthy {
        let what = match health.status {
            HealthCode::Progressing => "en attente",
            HealthCode::Suspended => "suspendue",
            _ => "un objet n’est pas sain",
        };
        return Some(Cause {
            of_health: true,
            ..Cause::of(what, &health.message)
        });
    }
    let operation = status.operation_state.as_ref()?;
    let failed = matches!(
        operation.phase,
        OperationPhase::Failed | OperationPhase::Error
    );
    (failed && status.sync.status != SyncCode::Synced)
        .then(|| Cause::of("la synchronisation a échoué", &operation.message))
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

fn changed(status: &ApplicationStatus) -> Option<Timestamp> {
    let changed = status.health.last_transition_time.as_deref();
    let deployed = status
        .history
        .last()
        .map(|entry| entry.deployed_at.as_str());
    [changed, deployed]
        .into_iter()
        .flatten()
        .filter_map(|t| t.parse().ok())
        .max()
}

/// One project.
pub(crate) struct ProjectRow {
    pub(crate) name: String,
    pub(crate) applications: usize,
    /// The worst state of its applications.
    pub(crate) chip: Option<Chip>,
}

impl ProjectRow {
    /// `3 applications`.
    pub(crate) fn count(&self) -> String {
        words::count(self.applications, "application")
    }
}

/// Projects, with what their applications come to.
pub(crate) fn projects(
    slugs: &[Slug],
    objects: &[DynamicObject],
    now: Timestamp,
) -> Vec<ProjectRow> {
    let all: Vec<_> = objects
        .iter()
        .map(|object| application(object, now))
        .collect();
    let of = |slug: &Slug| {
        let ours: Vec<_> = all
            .iter()
            .filter(|row| row.project.as_deref() == Some(slug.as_str()))
            .collect();
        let worst = ours.iter().map(|row| row.rank()).min();
        let chip = worst
            .and_then(|rank| STATES.get(rank))
            .map(|(state, word)| {
                let chip = Chip::new(state, *word);
                if *state == "wait" {
                    chip.with_icon("unk")
                } else {
                    chip
                }
            });
        ProjectRow {
            name: slug.to_string(),
            applications: ours.len(),
            chip,
        }
    };
    slugs.iter().map(of).collect()
}

/// Deliveries of a project, newest first.
pub(crate) fn deliveries(
    slug: &Slug,
    objects: &[Delivery],
    page: &str,
    now: Timestamp,
) -> DeliveriesView {
    let mut sorted: Vec<&Delivery> = objects.iter().collect();
    sorted.sort_by_key(|d| (std::cmp::Reverse(d.creation_timestamp()), d.name_any()));
    let serving = Serving::among(objects);
    let pages = Pages::of(sorted.len(), page, |page| format!("?page={page}"));
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
            let p = Pages::of(rows, asked, |page| page.to_string());
            (p.number, p.count, p.previous, p.next, p.shown)
        };
        let two = Some("2".to_owned());
        let one = Some("1".to_owned());
        assert_eq!(pages(1, "1"), (1, 1, None, None, "1 à 1 sur 1".to_owned()));
        assert_eq!(
            pages(26, "x"),
            (1, 2, None, two, "1 à 25 sur 26".to_owned())
        );
        let last = "26 à 26 sur 26".to_owned();
        assert_eq!(pages(26, "9"), (2, 2, one, None, last));
    }

    #[test]
    fn a_filter_survives_the_way_to_another_page() {
        let filter = Filter {
            nom: "a&b=é\"<".to_owned(),
            tri: "date".to_owned(),
            ..Filter::default()
        };
        assert_eq!(
            filter.query("bad", 2),
            "?nom=a%26b%3D%C3%A9%22%3C&etat=bad&tri=date&page=2"
        );
    }

    #[test]
    fn lists_are_found_by_text_and_state_and_put_in_order() {
        let objects = crate::fixtures::applications();
        let now = crate::fixtures::now();
        let names = |nom: &str, etat: &str, tri: &str| -> Vec<String> {
            let filter = Filter {
                nom: nom.to_owned(),
                etat: etat.to_owned(),
                tri: tri.to_owned(),
                ..Filter::default()
            };
            let view = applications(&objects, true, filter, now);
            view.rows.into_iter().map(|row| row.name).collect()
        };
        assert_eq!(names("WEB-", "", ""), ["web-dev", "web-prod"]);
        assert_eq!(names("3f9c2ab", "ok", ""), ["web-dev"]);
        assert_eq!(names("", "bad", ""), ["file-dev"]);
        assert_eq!(
            names("", "", "urgence"),
            ["file-dev", "web-prod", "neuve", "web-dev"]
        );
        assert!(names("rien", "", "").is_empty());
    }
}
