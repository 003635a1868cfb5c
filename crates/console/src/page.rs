//! The templates, and what every page gets at the end: its icons and its weight.
//!
//! Templates hold two comments that no escaped text can contain; [`finish`] replaces them. Only
//! the symbols a page uses are in its sprite.

use std::sync::LazyLock;

use askama::Template;
use sha2::{Digest, Sha256};

use crate::delivery::DeliveryView;
use crate::lists::{ApplicationsView, DeliveriesView, ProjectRow};

/// The stylesheet.
pub(crate) const CSS: &str = include_str!("../assets/pilotis.css");
/// The icon of the tab.
pub(crate) const ICON: &str = include_str!("../assets/pilotis.svg");
/// The one script.
pub(crate) const SCRIPT: &str = include_str!("../assets/live.js");

const SPRITE_MARK: &str = "<!--icones-->";
const WEIGHT_MARK: &str = "<!--poids-->";
/// Icons a live page may need after it was sent.
const STATE_ICONS: [&str; 6] = ["ok", "run", "wait", "bad", "off", "unk"];

/// Changes whenever an asset does, so that assets can be kept for ever.
pub(crate) static ASSETS_VERSION: LazyLock<String> = LazyLock::new(|| {
    let mut hash = Sha256::new();
    for asset in [CSS, ICON, SCRIPT] {
        hash.update(asset);
    }
    hex::encode(hash.finalize()).chars().take(12).collect()
});

/// What the frame of a page needs.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shell {
    /// Title of the tab, without the product's name.
    pub(crate) title: String,
    /// Who looks, if anybody.
    pub(crate) user: Option<String>,
    /// Project the page is about.
    pub(crate) project: Option<String>,
    /// Section of the navigation.
    pub(crate) section: &'static str,
    /// Whether the page is updated as things happen.
    pub(crate) live: bool,
}

impl Shell {
    fn version(&self) -> &'static str {
        &ASSETS_VERSION
    }

    fn release(&self) -> &'static str {
        env!("CARGO_PKG_VERSION")
    }
}

/// A state: icon, word, then colour.
#[derive(Debug, Clone, PartialEq, Eq, Template)]
#[template(path = "pastille.html")]
pub(crate) struct Chip {
    /// `ok`, `run`, `wait`, `warn`, `bad` or `derog`.
    pub(crate) state: &'static str,
    /// Name of the icon.
    pub(crate) icon: &'static str,
    /// The word that says it.
    pub(crate) word: String,
    /// Without tint.
    pub(crate) plain: bool,
}

impl Chip {
    /// A state with the icon of the same name.
    pub(crate) fn new(state: &'static str, word: impl Into<String>) -> Self {
        let icon = if state == "derog" { "off" } else { state };
        Self {
            state,
            icon,
            word: word.into(),
            plain: false,
        }
    }

    /// The same with another icon.
    pub(crate) fn with_icon(self, icon: &'static str) -> Self {
        Self { icon, ..self }
    }

    /// Nothing is known.
    pub(crate) fn unknown(word: impl Into<String>) -> Self {
        Self::new("wait", word).with_icon("unk")
    }
}

/// A sentence in which what stands between backquotes is code.
#[derive(Debug, Clone, PartialEq, Eq, Template)]
#[template(
    ext = "html",
    source = "{% for (code, text) in parts %}{% if *code %}<code>{{ text }}</code>{% else %}\
              {{ text }}{% endif %}{% endfor %}"
)]
pub(crate) struct Prose {
    parts: Vec<(bool, String)>,
}

impl Prose {
    /// Of such a text; a backquote without a second one is a backquote.
    pub(crate) fn new(text: &str) -> Self {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, (code, after))) = rest
            .split_once('`')
            .and_then(|(before, tail)| Some((before, tail.split_once('`')?)))
        {
            parts.extend([(false, before.to_owned()), (true, code.to_owned())]);
            rest = after;
        }
        parts.push((false, rest.to_owned()));
        parts.retain(|(_, text)| !text.is_empty());
        Self { parts }
    }

    /// Whether it says nothing.
    pub(crate) fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }
}

/// `/connexion`.
#[derive(Template)]
#[template(path = "connexion.html")]
pub(crate) struct LoginPage {
    pub(crate) shell: Shell,
    pub(crate) error: Option<&'static str>,
}

/// `/applications`.
#[derive(Template)]
#[template(path = "applications.html")]
pub(crate) struct ApplicationsPage {
    pub(crate) shell: Shell,
    pub(crate) view: ApplicationsView,
}

/// `/applications` when there is none.
#[derive(Template)]
#[template(path = "vide.html")]
pub(crate) struct EmptyPage {
    pub(crate) shell: Shell,
    /// Projects the person may open.
    pub(crate) projects: Vec<String>,
    /// Whether the person may create one.
    pub(crate) may_create: bool,
}

/// `/projets`.
#[derive(Template)]
#[template(path = "projets.html")]
pub(crate) struct ProjectsPage {
    pub(crate) shell: Shell,
    pub(crate) caption: String,
    pub(crate) rows: Vec<ProjectRow>,
}

/// `/projets/{slug}/livraisons`.
#[derive(Template)]
#[template(path = "livraisons.html")]
pub(crate) struct DeliveriesPage {
    pub(crate) shell: Shell,
    pub(crate) view: DeliveriesView,
}

/// `/projets/{slug}/livraisons/{name}`.
#[derive(Template)]
#[template(path = "livraison.html")]
pub(crate) struct DeliveryPage {
    pub(crate) shell: Shell,
    pub(crate) view: DeliveryView,
}

/// The parts of the delivery page that may change while one looks.
#[derive(Template)]
#[template(path = "direct.html")]
pub(crate) struct DeliveryParts {
    pub(crate) view: DeliveryView,
}

/// A page that could not be shown.
#[derive(Template)]
#[template(path = "erreur.html")]
pub(crate) struct ErrorPage {
    pub(crate) shell: Shell,
    pub(crate) code: u16,
    pub(crate) heading: &'static str,
    pub(crate) cause: &'static str,
    pub(crate) next: &'static str,
}

/// Renders a page whole.
pub(crate) fn render(page: &impl Template) -> Result<String, askama::Error> {
    Ok(finish(&page.render()?))
}

fn finish(html: &str) -> String {
    let live = html.contains("data-live=");
    let mut sprite = String::new();
    for (name, shape) in icons() {
        let used = html.contains(&format!("href=\"#i-{name}\""));
        if used || (live && STATE_ICONS.contains(&name)) {
            sprite.push_str(&format!(
                "<symbol id=\"i-{name}\" viewBox=\"0 0 16 16\">{shape}</symbol>\n"
            ));
        }
    }
    let html = html.replacen(SPRITE_MARK, &sprite, 1);
    let script = if live { SCRIPT.len() } else { 0 };
    let bytes = html.len() + CSS.len() + ICON.len() + script;
    let requests = if live { 5 } else { 3 };
    let weight = format!(
        "{}\u{202f}ko, {requests}\u{202f}requêtes",
        bytes.div_ceil(1000)
    );
    html.replacen(WEIGHT_MARK, &weight, 1)
}

/// The symbols, one a line: name, then shapes in a box of 16 by 16.
fn icons() -> impl Iterator<Item = (&'static str, &'static str)> {
    include_str!("../assets/icons.txt")
        .lines()
        .filter_map(|line| line.split_once(' '))
}
