//! Every page as a person or a browser gets it, and the rules all pages keep.

use std::collections::BTreeSet;

use pilotis_kinds::names::Slug;
use pilotis_kinds::pilotis::GateState;
use pilotis_kinds::reason::Reason;
use serde_json::Value;

use crate::delivery::{self, Delivery, Look};
use crate::doors::Door;
use crate::fixtures;
use crate::lists::{self, Filter};
use crate::page::*;

fn shell(title: &str, project: bool) -> Shell {
    Shell {
        title: title.to_owned(),
        user: Some("dev-2".to_owned()),
        project: project.then(|| "bonjour".to_owned()),
        section: if project {
            "livraisons"
        } else {
            "applications"
        },
        live: false,
    }
}

fn look(door: Option<&str>, live: bool) -> Look {
    Look {
        door: door.and_then(Door::named),
        live,
        now: fixtures::now(),
    }
}

fn delivery_page(delivery: &Delivery, look: &Look) -> String {
    let siblings = [fixtures::served(), delivery.clone()];
    let view = delivery::view(&fixtures::slug(), delivery, &siblings, look);
    let mut shell = shell(&view.page_title, true);
    shell.live = view.live;
    render(&DeliveryPage { shell, view }).unwrap()
}

fn pages() -> Vec<(&'static str, String)> {
    let page = |door, live, delivery: &Delivery| delivery_page(delivery, &look(door, live));
    let mut pages = vec![
        ("livraison", page(None, true, &fixtures::running())),
        ("livraison-bloquee", page(None, true, &fixtures::blocked())),
        (
            "livraison-finie",
            page(Some("verify"), true, &fixtures::done()),
        ),
        (
            "livraison-suspendue",
            page(Some("sync"), false, &fixtures::running()),
        ),
        ("vide", empty_page(&[], true)),
        ("vide-membre", empty_page(&[], false)),
        ("vide-projets", empty_page(&["bonjour"], false)),
        ("connexion", login_page(None)),
        ("connexion-refusee", login_page(Some("Lien inconnu."))),
    ];
    pages.extend(lists());
    let error = ErrorPage {
        shell: shell("Page introuvable", false),
        code: 404,
        heading: "Page introuvable",
        cause: "L’adresse ne désigne rien.",
        next: "Vérifiez l’adresse.",
    };
    pages.push(("erreur", render(&error).unwrap()));
    pages
}

fn lists() -> [(&'static str, String); 3] {
    let (now, slug) = (fixtures::now(), fixtures::slug());
    let applications = fixtures::applications();
    let deliveries = [fixtures::served(), fixtures::running(), fixtures::blocked()];
    let slugs = ["bonjour", "neuf"].map(|name| Slug::new(name).unwrap());
    let applications_page = ApplicationsPage {
        shell: shell("Applications", false),
        view: lists::applications(&applications, true, Filter::default(), now),
    };
    let deliveries_page = DeliveriesPage {
        shell: shell("Livraisons de bonjour", true),
        view: lists::deliveries(&slug, &deliveries, "1", now),
    };
    let projects_page = ProjectsPage {
        shell: shell("Projets", false),
        caption: "2 projets, par nom".to_owned(),
        rows: lists::projects(&slugs, &applications, now),
    };
    [
        ("applications", render(&applications_page).unwrap()),
        ("livraisons", render(&deliveries_page).unwrap()),
        ("projets", render(&projects_page).unwrap()),
    ]
}

fn empty_page(projects: &[&str], may_create: bool) -> String {
    let page = EmptyPage {
        shell: shell("Applications", false),
        projects: projects.iter().map(|name| (*name).to_owned()).collect(),
        may_create,
    };
    render(&page).unwrap()
}

fn login_page(error: Option<&'static str>) -> String {
    let shell = Shell {
        title: "Se connecter".to_owned(),
        ..Shell::default()
    };
    render(&LoginPage { shell, error }).unwrap()
}

#[test]
fn pages_read_as_their_snapshots() {
    for (name, html) in pages() {
        let release = concat!("Pilotis ", env!("CARGO_PKG_VERSION"));
        let html = html
            .replace(&*ASSETS_VERSION, "EMPREINTE")
            .replace(release, "Pilotis X.Y.Z");
        insta::assert_snapshot!(name, html);
    }
}

#[test]
fn the_live_parts_are_the_parts_of_the_page() {
    let siblings = [fixtures::served()];
    let look = look(None, true);
    let view = delivery::view(&fixtures::slug(), &fixtures::blocked(), &siblings, &look);
    let parts = askama::Template::render(&DeliveryParts { view }).unwrap();
    let page = delivery_page(&fixtures::running(), &look);
    for id in values(&parts, " id=\"") {
        assert!(
            page.contains(&format!(" id=\"{id}\"")),
            "{id} is not on the page"
        );
    }
    insta::assert_snapshot!("direct", parts);
}

#[test]
fn a_blocked_delivery_says_cause_owner_fix_and_what_still_serves() {
    let html = delivery_page(&fixtures::blocked(), &look(None, true));
    for part in [
        "<title>Bloquée à la vérification\u{202f}: 8d21f60",
        "EXI-ARCH-18",
        "chart/values-prod.yaml:17",
        "Équipe bonjour",
        "Racine en lecture seule",
        "<del data-n=\"17\">",
        "<ins data-n=\"17\">",
        "prod sert toujours",
        "41d07be",
        "pilotis deliver show web-8d21f600aa11 --project bonjour",
    ] {
        assert!(html.contains(part), "{part} is missing");
    }
}

#[test]
fn a_delivery_that_newer_ones_replaced_everywhere_says_so() {
    let (old, new) = (fixtures::served(), fixtures::done());
    let siblings = [old.clone(), new];
    let view = delivery::view(&fixtures::slug(), &old, &siblings, &look(None, true));
    assert_eq!(view.status.chip.word, "Remplacée");
    let text = askama::Template::render(&view.status.text).unwrap();
    assert!(text.contains("prod sert maintenant 3f9c2ab"), "{text}");
    assert!(
        view.environments
            .iter()
            .all(|row| row.chip.word == "Remplacée")
    );
    let serving = delivery::Serving::among(&siblings);
    assert_eq!(serving.verdict(&siblings[1]).word, "En service");
}

#[test]
fn a_delivery_that_a_newer_one_overtook_has_ended_and_says_by_which() {
    let mut delivery = fixtures::running();
    let gate = delivery.status.as_mut().unwrap().gates.last_mut().unwrap();
    gate.state = GateState::Skipped;
    gate.say(&Reason::Superseded {
        delivery: "web-5d2f9a0c11ee".to_owned(),
        environment: "prod".to_owned(),
    });
    let view = delivery::view(&fixtures::slug(), &delivery, &[], &look(None, true));
    assert_eq!(view.status.chip.word, "Dépassée");
    assert!(view.status.finished && !view.live);
    let text = askama::Template::render(&view.status.text).unwrap();
    assert!(
        text.contains("web-5d2f9a0c11ee a été promue dans prod"),
        "{text}"
    );
}

#[test]
fn what_a_team_writes_is_text() {
    let html = delivery_page(&fixtures::blocked(), &look(None, true));
    assert!(!html.contains("<script>") && !html.contains("<b>horaires"));
    assert!(html.contains("&#60;b&#62;horaires"), "{html}");
    assert!(!delivery::is_web("javascript:alert(1)"));
}

const HOSTILE: &str = "`\"'><script>alert(1)</script><img src=x onerror=alert(2)>`&#39;";

/// The same object with a hostile text wherever somebody else may write one.
fn poisoned(value: &mut Value, key: &str) {
    // What the API itself checks, and what decides which part of a page is shown.
    const KEPT: [&str; 14] = [
        "apiVersion",
        "kind",
        "name",
        "namespace",
        "creationTimestamp",
        "state",
        "startedAt",
        "finishedAt",
        "at",
        "owner",
        "phase",
        "sync",
        "lastTransitionTime",
        "patch",
    ];
    match value {
        Value::String(text) if !KEPT.contains(&key) => *text = HOSTILE.to_owned(),
        Value::Array(items) => items.iter_mut().for_each(|item| poisoned(item, key)),
        Value::Object(fields) => fields
            .iter_mut()
            .for_each(|(name, item)| poisoned(item, name)),
        _ => {}
    }
}

fn is_harmless(html: &str) {
    for part in ["<script>", "<img", "\"'>", "onerror=alert(2)>"] {
        assert!(!html.contains(part), "{part} in {html}");
    }
}

#[test]
fn hostile_text_of_a_delivery_stays_text() {
    for delivery in [fixtures::blocked(), fixtures::running(), fixtures::done()] {
        let mut value = serde_json::to_value(&delivery).unwrap();
        poisoned(&mut value["spec"], "");
        poisoned(&mut value["status"], "");
        let delivery: Delivery = serde_json::from_value(value).unwrap();
        for door in Door::all() {
            let html = delivery_page(&delivery, &look(Some(door.id()), true));
            assert!(html.contains("&#60;script&#62;"), "{html}");
            is_harmless(&html);
        }
        let view = lists::deliveries(&fixtures::slug(), &[delivery], "1", fixtures::now());
        let page = DeliveriesPage {
            shell: shell("x", true),
            view,
        };
        is_harmless(&render(&page).unwrap());
    }
}

#[test]
fn hostile_text_of_an_application_or_an_address_stays_text() {
    let mut objects = fixtures::applications();
    for object in &mut objects {
        object.metadata.name = Some(HOSTILE.to_owned());
        for pointer in [
            "/status/summary/images",
            "/status/health/message",
            "/spec/destination",
        ] {
            if let Some(value) = object.data.pointer_mut(pointer) {
                poisoned(value, "");
            }
        }
    }
    let text = || HOSTILE.to_owned();
    let hostile = Filter {
        nom: "<script>".to_owned(),
        projet: text(),
        etat: text(),
        tri: text(),
        page: text(),
    };
    for filter in [Filter::default(), hostile] {
        let page = ApplicationsPage {
            shell: shell(HOSTILE, false),
            view: lists::applications(&objects, true, filter, fixtures::now()),
        };
        is_harmless(&render(&page).unwrap());
    }
}

#[test]
fn three_hundred_applications_are_small_pages() {
    let one = |number: usize| {
        let mut object = fixtures::applications().swap_remove(number % 3);
        object.metadata.name = Some(format!("une-application-{number:03}"));
        object
    };
    let objects: Vec<_> = (0..300).map(one).collect();
    let mut seen = BTreeSet::new();
    for number in 1..=12 {
        let filter = Filter {
            page: number.to_string(),
            ..Filter::default()
        };
        let view = lists::applications(&objects, true, filter, fixtures::now());
        seen.extend(view.rows.iter().map(|row| row.name.clone()));
        let page = ApplicationsPage {
            shell: shell("Applications", false),
            view,
        };
        let bytes = render(&page).unwrap().len() + CSS.len() + ICON.len();
        assert!(bytes <= 40_000, "{bytes} bytes");
    }
    assert_eq!(seen.len(), 300);
}

#[test]
fn pages_keep_the_rules() {
    assert!(
        CSS.len() <= 14_000,
        "the stylesheet has {} bytes",
        CSS.len()
    );
    assert!(SCRIPT.lines().count() < 60);
    for (name, html) in pages() {
        let count = |part: &str| html.matches(part).count();
        assert!(
            html.len() + CSS.len() + ICON.len() + SCRIPT.len() <= 40_000,
            "{name}"
        );
        assert_eq!(count("<h1"), 1, "{name}: one h1");
        assert_eq!(count("<main"), 1, "{name}: one main");
        assert_eq!(count("<table"), count("<caption"), "{name}: captions");
        assert_eq!(
            count("<th scope="),
            count("<th ") + count("<th>"),
            "{name}: scopes"
        );
        assert_eq!(count(" style="), 0, "{name}: no inline style");
        assert_eq!(
            count("<script"),
            count("<script src="),
            "{name}: no inline script"
        );
        assert!(!html.contains("<!--"), "{name}: nothing left to fill in");
        let ids: Vec<&str> = values(&html, " id=\"").collect();
        let unique: BTreeSet<&str> = ids.iter().copied().collect();
        assert_eq!(ids.len(), unique.len(), "{name}: unique ids in {ids:?}");
        for icon in values(&html, "href=\"#i-") {
            assert!(
                unique.contains(format!("i-{icon}").as_str()),
                "{name}: icon {icon}"
            );
        }
        for target in values(&html, "aria-labelledby=\"") {
            assert!(unique.contains(target), "{name}: label {target}");
        }
    }
}

fn values<'a>(html: &'a str, before: &'a str) -> impl Iterator<Item = &'a str> {
    html.split(before)
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
}
