//! What the page « Du commit au pod » says about a Delivery: a pure function of objects and a time.
//!
//! It decides words and states, never reads. What still serves is computed from the promotions of
//! the repository's other deliveries, so it says what was last reported, not what a pod does now.

use std::collections::BTreeMap;

use jiff::Timestamp;
use kube::ResourceExt;
use kube::core::Object;
use pilotis_kinds::names::Slug;
use pilotis_kinds::pilotis::{
    Blocked, DeliverySpec, DeliveryStatus, Evidence, Gate, GateName, GateState, Promotion,
};
use pilotis_kinds::reason::Reason;

use crate::diff::{self, Mark};
use crate::doors::{self, Door};
use crate::french;
use crate::page::{Chip, Prose};
use crate::words;

/// Longest cause that is a heading, in characters.
const HEADING_CHARS_MAX: usize = 120;
/// Fewest deliveries that make a habit.
const USUAL_MIN: usize = 3;

/// A Delivery as the API gives it.
pub(crate) type Delivery = Object<DeliverySpec, DeliveryStatus>;

/// What the request asks for beyond the object.
pub(crate) struct Look {
    /// The pillar chosen with `?porte=`.
    pub(crate) door: Option<Door>,
    /// Whether live updates were not suspended.
    pub(crate) live: bool,
    /// The moment of the page.
    pub(crate) now: Timestamp,
}

/// Everything the page shows.
pub(crate) struct DeliveryView {
    pub(crate) slug: String,
    pub(crate) name: String,
    pub(crate) title: String,
    pub(crate) page_title: String,
    pub(crate) commit: String,
    pub(crate) branch: String,
    pub(crate) repository: String,
    pub(crate) author: String,
    pub(crate) pushed: String,
    pub(crate) elapsed: String,
    /// What it usually takes, and how many deliveries that is the median of.
    pub(crate) usual: Option<String>,
    pub(crate) image: Option<String>,
    pub(crate) status: StatusLine,
    pub(crate) callout: Option<Callout>,
    pub(crate) served: Vec<Served>,
    pub(crate) pillars: Vec<Pillar>,
    pub(crate) panel: Panel,
    pub(crate) evidence: Vec<EvidenceRow>,
    pub(crate) environments: Vec<EnvironmentRow>,
    pub(crate) live: bool,
    /// The pillar the reader chose; without one, the open panel follows the progress.
    pub(crate) chosen: Option<&'static str>,
    pub(crate) clock: String,
}

/// The one announced line.
pub(crate) struct StatusLine {
    pub(crate) chip: Chip,
    pub(crate) text: Prose,
    /// Nothing more will happen by itself.
    pub(crate) finished: bool,
}

/// The one cause, its owner, its fix.
pub(crate) struct Callout {
    pub(crate) chip: Chip,
    pub(crate) heading: Prose,
    pub(crate) requirement: Option<String>,
    pub(crate) title: Option<String>,
    pub(crate) rule: Option<String>,
    pub(crate) cause: Prose,
    pub(crate) object: Option<String>,
    pub(crate) team: bool,
    pub(crate) fix: Prose,
    pub(crate) patch: Vec<diff::Line>,
    pub(crate) patch_rest: usize,
    pub(crate) others: u32,
}

/// What an environment still serves.
pub(crate) struct Served {
    pub(crate) environment: String,
    pub(crate) delivery: String,
    pub(crate) commit: String,
}

/// A pillar of the rail.
pub(crate) struct Pillar {
    pub(crate) id: &'static str,
    pub(crate) label: &'static str,
    pub(crate) stage: Option<&'static str>,
    pub(crate) chip: Chip,
    pub(crate) time: Option<String>,
    pub(crate) detail: Option<String>,
    pub(crate) selected: bool,
}

/// The panel the selected pillar opens into.
pub(crate) struct Panel {
    pub(crate) title: &'static str,
    pub(crate) message: Prose,
    pub(crate) facts: Vec<(&'static str, String)>,
    pub(crate) evidence: Vec<EvidenceRow>,
    pub(crate) environments: bool,
    pub(crate) blocked: bool,
}

/// A proof.
#[derive(Clone)]
pub(crate) struct EvidenceRow {
    pub(crate) gate: &'static str,
    pub(crate) what: String,
    pub(crate) digest: String,
    pub(crate) short: String,
}

/// Where the commit runs.
#[derive(Clone)]
pub(crate) struct EnvironmentRow {
    pub(crate) name: String,
    pub(crate) chip: Chip,
    pub(crate) commit: Option<String>,
    pub(crate) since: String,
    pub(crate) url: Option<String>,
}

impl Callout {
    /// What the commit that applies the patch may be called: people paste it into a shell.
    pub(crate) fn commit_message(&self) -> &str {
        let is_id = |id: &&str| id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        let requirement = self.requirement.as_deref().filter(is_id);
        requirement.unwrap_or("Correctif proposé")
    }

    /// `2 autres constats sont`.
    pub(crate) fn others_words(&self) -> String {
        match self.others {
            1 => "un autre constat est".to_owned(),
            others => format!("{others} autres constats sont"),
        }
    }
}

impl DeliveryView {
    /// Id of the selected pillar.
    pub(crate) fn selected(&self) -> &'static str {
        self.pillars
            .iter()
            .find(|pillar| pillar.selected)
            .map_or("mirror", |pillar| pillar.id)
    }

    /// Whether live updates were suspended by the reader.
    pub(crate) fn suspended(&self) -> bool {
        !self.live && !self.status.finished
    }

    /// Whether no environment has received anything of this delivery.
    pub(crate) fn is_untouched(&self) -> bool {
        self.environments.iter().all(|row| row.commit.is_none())
    }

    /// Caption of the table of evidence.
    pub(crate) fn evidence_caption(&self) -> String {
        let total = words::count(self.evidence.len(), "preuve");
        let kept = if self.evidence.len() > 1 {
            "rangées"
        } else {
            "rangée"
        };
        format!("{total} {kept} par empreinte dans le registre du projet")
    }
}

/// The page of `delivery`; `siblings` are the deliveries of the same project.
pub(crate) fn view(
    slug: &Slug,
    delivery: &Delivery,
    siblings: &[Delivery],
    look: &Look,
) -> DeliveryView {
    let spec = &delivery.spec;
    let status = delivery.status.clone().unwrap_or_default();
    let commit = words::commit(&spec.commit);
    let served = Serving::among(siblings.iter().chain([delivery])).others(delivery);
    let line = status_line(&status, &served, look.now);
    let selected = look.door.unwrap_or_else(|| selected(&status));
    let pushed = delivery.creation_timestamp().map(|t| t.0);
    let has_ended = line.finished || line.chip.state == "bad";
    let finish = last_moment(&status).filter(|_| has_ended);
    let end = finish.unwrap_or(look.now);
    let title = if spec.title.is_empty() {
        format!("Commit {commit}")
    } else {
        spec.title.clone()
    };
    DeliveryView {
        slug: slug.to_string(),
        name: delivery.name_any(),
        page_title: page_title(&line, &commit, slug),
        title,
        branch: words::branch(&spec.reference).to_owned(),
        repository: spec.repository.clone(),
        author: spec.author.clone(),
        pushed: pushed
            .map(|t| words::moment(t, look.now))
            .unwrap_or_default(),
        elapsed: pushed.map_or_else(String::new, |t| elapsed(&line, t, end, look.now)),
        usual: usual(delivery, siblings).filter(|_| line.chip.state != "bad"),
        image: status.image.as_deref().map(words::image),
        callout: callout(&status),
        pillars: pillars(&status, &commit, selected, look.now),
        panel: panel(&status, selected, look.now),
        evidence: status.gates.iter().flat_map(evidence_rows).collect(),
        environments: environments(&status, &served, look.now),
        live: look.live && !line.finished,
        chosen: look.door.map(Door::id),
        clock: words::clock(look.now),
        commit,
        served,
        status: line,
    }
}

fn verdict(status: &DeliveryStatus, served: &[Served]) -> Chip {
    if let Some(gate) = find(status, GateState::Failed) {
        return Chip::new("bad", format!("Bloquée {}", doors::place(gate.name)));
    }
    if status.promotions.iter().any(|p| p.state == "Degraded") {
        return Chip::new("bad", "Dégradée");
    }
    if overtaken(status).is_some() {
        return Chip::new("wait", "Dépassée").with_icon("off");
    }
    if is_done(status) {
        let standing = standing(status, served).count();
        return match (status.promotions.len(), standing) {
            (0, _) => Chip::new("ok", "Portes franchies"),
            (_, 0) => Chip::new("wait", "Remplacée").with_icon("off"),
            _ => Chip::new("ok", "En service"),
        };
    }
    if let Some(gate) = find(status, GateState::Running) {
        return Chip::new("run", format!("En cours, {}", doors::place(gate.name)));
    }
    if status.gates.iter().any(|g| g.state == GateState::Passed) {
        return Chip::new("run", "En cours");
    }
    Chip::new("wait", "À venir")
}

/// The patch of the failed gate, for download.
pub(crate) fn patch(status: &DeliveryStatus) -> Option<&str> {
    find(status, GateState::Failed)?
        .blocked
        .as_ref()?
        .patch
        .as_deref()
}

/// Environments this delivery still serves.
fn standing<'a>(
    status: &'a DeliveryStatus,
    served: &'a [Served],
) -> impl Iterator<Item = &'a Promotion> {
    let replaced = |p: &&Promotion| served.iter().any(|s| s.environment == p.environment);
    status
        .promotions
        .iter()
        .filter(move |p| p.state == "Healthy" && !replaced(p))
}

fn find(status: &DeliveryStatus, state: GateState) -> Option<&Gate> {
    status.gates.iter().find(|gate| gate.state == state)
}

/// The gate that says a newer delivery took this one's place.
fn overtaken(status: &DeliveryStatus) -> Option<&Gate> {
    let gone = |gate: &&Gate| matches!(gate.reason(), Some(Reason::Superseded { .. }));
    status.gates.iter().find(gone)
}

fn is_done(status: &DeliveryStatus) -> bool {
    let passed = |gate: &Gate| matches!(gate.state, GateState::Passed | GateState::Skipped);
    let all = status.gates.len() == GateName::ALL.len() && status.gates.iter().all(passed);
    all && status.promotions.iter().all(|p| p.state == "Healthy")
}

fn is_finished(status: &DeliveryStatus) -> bool {
    is_done(status) || overtaken(status).is_some() || find(status, GateState::Failed).is_some()
}

fn last_moment(status: &DeliveryStatus) -> Option<Timestamp> {
    if let Some(gate) = find(status, GateState::Failed) {
        return gate.finished_at;
    }
    if let Some(promotion) = status.promotions.iter().find(|p| p.state == "Degraded") {
        return promotion.at;
    }
    let gates = status.gates.iter().filter_map(|gate| gate.finished_at);
    gates
        .chain(status.promotions.iter().filter_map(|p| p.at))
        .max()
}

fn elapsed(line: &StatusLine, pushed: Timestamp, end: Timestamp, now: Timestamp) -> String {
    match line.chip.state {
        "bad" => format!(
            "{} depuis {}",
            first_word(&line.chip.word),
            words::age(end, now)
        ),
        _ if line.finished => format!(
            "{} du push à la dernière porte",
            words::duration(words::seconds(pushed, end))
        ),
        _ => format!(
            "{} depuis le push",
            words::duration(words::seconds(pushed, end))
        ),
    }
}

/// `7 min 05 s d’habitude (médiane de 20)`; nothing when too few have gone the whole way.
fn usual(delivery: &Delivery, siblings: &[Delivery]) -> Option<String> {
    let whole_way = |other: &Delivery| {
        let status = other.status.as_ref()?;
        let same = other.spec.repository == delivery.spec.repository;
        let other_commit = other.spec.commit != delivery.spec.commit;
        let begun = other.creation_timestamp()?.0;
        let ended = status
            .gates
            .iter()
            .filter_map(|gate| gate.finished_at)
            .max()?;
        (same && other_commit && is_done(status)).then(|| words::seconds(begun, ended))
    };
    let mut seconds: Vec<i64> = siblings.iter().filter_map(whole_way).collect();
    seconds.sort_unstable();
    let median = seconds.get(seconds.len() / 2)?;
    (seconds.len() >= USUAL_MIN).then(|| {
        let median = words::duration(*median);
        format!("{median} d’habitude (médiane de {})", seconds.len())
    })
}

/// `bloquée` of `Bloquée à la vérification`.
fn first_word(text: &str) -> String {
    text.split(' ').next().unwrap_or(text).to_lowercase()
}

fn page_title(line: &StatusLine, commit: &str, slug: &Slug) -> String {
    let about = format!("{commit}, du commit au pod — {slug}");
    match line.chip.state {
        "bad" | "ok" => format!("{}\u{202f}: {about}", line.chip.word),
        _ => about,
    }
}

fn status_line(status: &DeliveryStatus, served: &[Served], now: Timestamp) -> StatusLine {
    let chip = verdict(status, served);
    let text = if let Some(gate) = find(status, GateState::Failed) {
        let since = gate
            .finished_at
            .map(|t| format!(" depuis {}", words::age(t, now)));
        format!(
            "La livraison est arrêtée {}{}.",
            doors::place(gate.name),
            since.unwrap_or_default()
        )
    } else if let Some(gate) = overtaken(status) {
        french::message(gate)
    } else if is_done(status) {
        done_text(status, served)
    } else if let Some(gate) = find(status, GateState::Running) {
        let message = french::message(gate);
        match message.as_str() {
            "" => format!("La porte {} est en cours.", doors::label(gate.name)),
            _ => message,
        }
    } else {
        "La chaîne n’a pas encore commencé la porte suivante.".to_owned()
    };
    let still = if is_done(status) {
        "maintenant"
    } else {
        "toujours"
    };
    let standing = served
        .iter()
        .find(|s| s.environment == "prod")
        .or(served.first());
    let standing = standing
        .filter(|_| chip.state != "ok")
        .map_or_else(String::new, |s| {
            format!(" {} sert {still} {}.", s.environment, s.commit)
        });
    StatusLine {
        chip,
        text: Prose::new(&(text + &standing)),
        finished: is_finished(status),
    }
}

fn done_text(status: &DeliveryStatus, served: &[Served]) -> String {
    let names: Vec<&str> = standing(status, served)
        .map(|p| p.environment.as_str())
        .collect();
    match names.as_slice() {
        [] if status.promotions.is_empty() => "Aucun environnement n’est à servir.".to_owned(),
        [] => "Les environnements ont reçu d’autres versions depuis.".to_owned(),
        names => format!("Cette version sert {}.", words::list(names)),
    }
}

/// Which delivery each environment of each repository last reported as running.
pub(crate) struct Serving<'a>(BTreeMap<(&'a str, &'a str), (Option<Timestamp>, &'a Delivery)>);

impl<'a> Serving<'a> {
    /// Among these deliveries of one project.
    pub(crate) fn among(deliveries: impl IntoIterator<Item = &'a Delivery>) -> Self {
        let mut last: BTreeMap<_, (Option<Timestamp>, &Delivery)> = BTreeMap::new();
        for delivery in deliveries {
            let promotions = delivery.status.iter().flat_map(|status| &status.promotions);
            for promotion in promotions.filter(|p| p.state == "Healthy") {
                let place = (
                    delivery.spec.repository.as_str(),
                    promotion.environment.as_str(),
                );
                if last.get(&place).is_none_or(|(at, _)| *at <= promotion.at) {
                    last.insert(place, (promotion.at, delivery));
                }
            }
        }
        Self(last)
    }

    /// Environments of the delivery's repository that run another commit than its own.
    fn others(&self, delivery: &Delivery) -> Vec<Served> {
        let spec = &delivery.spec;
        let places = self
            .0
            .iter()
            .filter(|((repository, _), _)| *repository == spec.repository);
        let mut served: Vec<Served> = places
            .filter(|(_, (_, other))| other.spec.commit != spec.commit)
            .map(|((_, environment), (_, other))| Served {
                environment: (*environment).to_owned(),
                delivery: other.name_any(),
                commit: words::commit(&other.spec.commit),
            })
            .collect();
        served.sort_by_key(|s| s.environment != "prod");
        served
    }

    /// One chip for a whole delivery, as lists show it.
    pub(crate) fn verdict(&self, delivery: &Delivery) -> Chip {
        let status = delivery.status.clone().unwrap_or_default();
        verdict(&status, &self.others(delivery))
    }
}

/// Where the reader should look first.
fn selected(status: &DeliveryStatus) -> Door {
    let gate = find(status, GateState::Failed).or_else(|| find(status, GateState::Running));
    if let Some(gate) = gate {
        return Door::Gate(gate.name);
    }
    if status.promotions.iter().any(|p| p.state == "Promoted") {
        return Door::Sync;
    }
    let passed = status
        .gates
        .iter()
        .rfind(|gate| gate.state == GateState::Passed);
    match passed {
        _ if !status.promotions.is_empty() => Door::Running,
        Some(gate) => Door::Gate(gate.name),
        None => Door::Gate(GateName::Mirror),
    }
}

fn callout(status: &DeliveryStatus) -> Option<Callout> {
    let gate = find(status, GateState::Failed)?;
    let blocked = gate.blocked.clone().unwrap_or_else(|| Blocked {
        cause: gate.message.clone(),
        owner: "operator".to_owned(),
        ..Blocked::default()
    });
    let (cause, fix) = french::cause_and_fix(gate, &blocked);
    let position = blocked.file.map(|file| match blocked.line {
        Some(line) => format!("{file}:{line}"),
        None => file,
    });
    let place = heading(gate.name, position.as_deref());
    let cause = words::sentence(&words::identifiers(&cause));
    // The cause is the verdict people look for; one that fills lines stands below a short one.
    let (heading, cause) = if cause.chars().count() <= HEADING_CHARS_MAX {
        (
            cause.trim_end_matches('.').to_owned(),
            words::sentence(&place),
        )
    } else {
        (place, cause)
    };
    let (patch, patch_rest) = diff::lines(blocked.patch.as_deref().unwrap_or_default());
    Some(Callout {
        chip: Chip::new("bad", format!("Bloquée {}", doors::place(gate.name))),
        heading: Prose::new(&heading),
        requirement: blocked.requirement,
        title: blocked.title,
        rule: blocked.rule,
        cause: Prose::new(&cause),
        object: blocked.object,
        team: blocked.owner != "operator",
        fix: Prose::new(&words::identifiers(&fix)),
        patch,
        patch_rest,
        others: blocked.others,
    })
}

/// `La vérification refuse chart/values-prod.yaml:5`.
fn heading(gate: GateName, position: Option<&str>) -> String {
    let verb = match (gate, position) {
        (GateName::Test, None) => "ne passent pas".to_owned(),
        (GateName::Test, Some(position)) => format!("ne passent pas, voyez `{position}`"),
        (_, Some(position)) => format!("refuse `{position}`"),
        (_, None) => "n’aboutit pas".to_owned(),
    };
    let article = match gate {
        GateName::Mirror => "Le miroir",
        GateName::Inspect => "L’inspection",
        GateName::Test => "Les tests",
        GateName::Build => "La construction",
        GateName::Verify => "La vérification",
        GateName::Sign => "La signature",
        GateName::Publish => "La publication",
        GateName::Promote => "La promotion",
    };
    format!("{article} {verb}")
}

fn pillars(status: &DeliveryStatus, commit: &str, selected: Door, now: Timestamp) -> Vec<Pillar> {
    Door::all()
        .map(|door| {
            let gate = gate_of(status, door);
            Pillar {
                id: door.id(),
                label: door.label(),
                stage: door.stage(),
                chip: match door {
                    Door::Gate(_) => gate_chip(gate),
                    Door::Sync => sync_chip(&status.promotions),
                    Door::Running => running_chip(&status.promotions),
                },
                time: gate.and_then(|gate| taken(gate, now)),
                detail: gate.and_then(|gate| detail(gate, commit, &status.promotions)),
                selected: door == selected,
            }
        })
        .collect()
}

fn gate_of(status: &DeliveryStatus, door: Door) -> Option<&Gate> {
    let Door::Gate(name) = door else { return None };
    status.gates.iter().find(|gate| gate.name == name)
}

fn gate_chip(gate: Option<&Gate>) -> Chip {
    match gate.map(|gate| gate.state) {
        None | Some(GateState::Pending) => Chip::new("wait", "À venir"),
        Some(GateState::Running) => Chip::new("run", "En cours"),
        Some(GateState::Passed) => Chip::new("ok", "Franchie"),
        Some(GateState::Failed) => Chip::new("bad", "Bloquée"),
        Some(GateState::Skipped) => Chip::new("wait", "Sans objet").with_icon("off"),
    }
}

fn sync_chip(promotions: &[Promotion]) -> Chip {
    let arrived = promotions
        .iter()
        .filter(|p| matches!(p.state.as_str(), "Healthy" | "Degraded"));
    match arrived.count() {
        _ if promotions.iter().any(|p| p.state == "Promoted") => Chip::new("run", "En cours"),
        0 => Chip::new("wait", "À venir"),
        n if n == promotions.len() => Chip::new("ok", "Franchie"),
        n => Chip::new("wait", of(n, promotions.len())),
    }
}

fn running_chip(promotions: &[Promotion]) -> Chip {
    if let Some(degraded) = promotions.iter().find(|p| p.state == "Degraded") {
        return Chip::new("bad", format!("{} dégradé", degraded.environment));
    }
    match promotions.iter().filter(|p| p.state == "Healthy").count() {
        0 => Chip::new("wait", "À venir"),
        n if n == promotions.len() => Chip::new("ok", of(n, n)),
        n => Chip::new("wait", of(n, promotions.len())),
    }
}

fn of(some: usize, all: usize) -> String {
    format!("{some} env. sur {all}")
}

fn taken(gate: &Gate, now: Timestamp) -> Option<String> {
    let end = match gate.state {
        GateState::Running => now,
        _ => gate.finished_at?,
    };
    Some(words::taken(gate.started_at?, end))
}

/// What a passed gate is recognised by.
fn detail(gate: &Gate, commit: &str, promotions: &[Promotion]) -> Option<String> {
    if gate.state != GateState::Passed {
        return None;
    }
    match gate.name {
        GateName::Mirror => Some(commit.to_owned()),
        GateName::Promote => {
            let zone = promotions.iter().find_map(|p| p.commit.as_deref())?;
            Some(format!("zone {}", words::commit(zone)))
        }
        _ => {
            let digest = &gate.evidence.first()?.digest;
            let (_, hex) = digest.split_once(':')?;
            Some(hex.chars().take(12).collect())
        }
    }
}

fn panel(status: &DeliveryStatus, door: Door, now: Timestamp) -> Panel {
    let gate = gate_of(status, door);
    let mut facts = Vec::new();
    if let Some(gate) = gate {
        facts.extend(
            gate.started_at
                .map(|t| ("Commencée", words::moment(t, now))),
        );
        facts.extend(
            gate.finished_at
                .map(|t| ("Terminée", words::moment(t, now))),
        );
        facts.extend(taken(gate, now).map(|t| ("Durée", t)));
    }
    let message = gate.map(french::message).unwrap_or_default();
    let message = if message.is_empty() {
        waiting(status, door)
    } else {
        message
    };
    Panel {
        title: door.title(),
        message: Prose::new(&message),
        facts,
        evidence: gate.map(evidence_rows).unwrap_or_default(),
        environments: matches!(
            door,
            Door::Sync | Door::Running | Door::Gate(GateName::Promote)
        ) && !status.promotions.is_empty(),
        blocked: gate.is_some_and(|gate| gate.state == GateState::Failed),
    }
}

/// Why a pillar has nothing to tell yet.
fn waiting(status: &DeliveryStatus, door: Door) -> String {
    let chip = match door {
        Door::Gate(_) => gate_chip(gate_of(status, door)),
        Door::Sync => sync_chip(&status.promotions),
        Door::Running => running_chip(&status.promotions),
    };
    if chip.word != "À venir" {
        return String::new();
    }
    match find(status, GateState::Failed) {
        Some(gate) => format!(
            "Attend que la livraison reparte {}.",
            doors::place(gate.name)
        ),
        None => "Attend que les portes précédentes soient franchies.".to_owned(),
    }
}

fn evidence_rows(gate: &Gate) -> Vec<EvidenceRow> {
    let row = |evidence: &Evidence| EvidenceRow {
        gate: doors::label(gate.name),
        what: french::evidence(evidence),
        digest: evidence.digest.clone(),
        short: words::digest(&evidence.digest),
    };
    gate.evidence.iter().map(row).collect()
}

fn environments(status: &DeliveryStatus, served: &[Served], now: Timestamp) -> Vec<EnvironmentRow> {
    let is_replaced = |p: &Promotion| served.iter().any(|s| s.environment == p.environment);
    let row = |promotion: &Promotion| EnvironmentRow {
        name: promotion.environment.clone(),
        chip: match promotion.state.as_str() {
            "Waiting" => Chip::new("wait", "En attente"),
            "Promoted" => Chip::new("run", "Synchronisation"),
            "Healthy" if is_replaced(promotion) => Chip::new("wait", "Remplacée").with_icon("off"),
            "Healthy" => Chip::new("ok", "En service"),
            "Degraded" => Chip::new("bad", "Dégradé"),
            other => Chip::unknown(other),
        },
        commit: promotion.commit.as_deref().map(words::commit),
        since: promotion
            .at
            .map_or_else(|| "—".to_owned(), |t| words::moment(t, now)),
        url: promotion.url.clone().filter(|url| is_web(url)),
    };
    status.promotions.iter().map(row).collect()
}

/// Only such an address becomes a link.
pub(crate) fn is_web(url: &str) -> bool {
    url.starts_with("https://") || url.starts_with("http://")
}

impl diff::Line {
    /// Whether the line is a header.
    pub(crate) fn is_header(&self) -> bool {
        self.mark == Mark::Header
    }

    /// Whether the line is new.
    pub(crate) fn is_added(&self) -> bool {
        self.mark == Mark::Added
    }

    /// Whether the line goes.
    pub(crate) fn is_removed(&self) -> bool {
        self.mark == Mark::Removed
    }
}
