//! Every page as a person or a browser gets it, and the rules all pages keep.

use std::collections::BTreeSet;

use crate::delivery::{self, Delivery, Look};
use crate::doors::Door;
use crate::fixtures;
use crate::lists;
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
    let now = fixtures::now();
    let applications = lists::applications(&fixtures::applications(), true, 1, now);
    let objects = [fixtures::served(), fixtures::running(), fixtures::blocked()];
    let deliveries = lists::deliveries(&fixtures::slug(), &objects, 1, now);
    let nobody = || Shell {
        title: "Se connecter".to_owned(),
        ..Shell::default()
    };
    let html = |rendered: Result<String, askama::Error>| rendered.unwrap();
    let projects = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    vec![
        (
            "livraison",
            delivery_page(&fixtures::running(), &look(None, true)),
        ),
        (
            "livraison-bloquee",
            delivery_page(&fixtures::blocked(), &look(None, true)),
        ),
        (
            "livraison-finie",
            delivery_page(&fixtures::done(), &look(Some("verify"), true)),
        ),
        (
            "livraison-suspendue",
            delivery_page(&fixtures::running(), &look(Some("sync"), false)),
        ),
        (
            "applications",
            html(render(&ApplicationsPage {
                shell: shell("Applications", false),
                view: applications,
            })),
        ),
        (
            "livraisons",
            html(render(&DeliveriesPage {
                shell: shell("Livraisons de bonjour", true),
                view: deliveries,
            })),
        ),
        (
            "vide",
            html(render(&EmptyPage {
                shell: shell("Applications", false),
                projects: projects(&[]),
            })),
        ),
        (
            "vide-projets",
            html(render(&EmptyPage {
                shell: shell("Applications", false),
                projects: projects(&["bonjour"]),
            })),
        ),
        (
            "connexion",
            html(render(&LoginPage {
                shell: nobody(),
                error: None,
            })),
        ),
        (
            "connexion-refusee",
            html(render(&LoginPage {
                shell: nobody(),
                error: Some("Lien inconnu."),
            })),
        ),
    ]
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
    assert!(view.status.text.contains("prod sert maintenant 3f9c2ab"));
    assert!(
        view.environments
            .iter()
            .all(|row| row.chip.word == "Remplacée")
    );
    let serving = delivery::Serving::among(&siblings);
    assert_eq!(serving.verdict(&siblings[1]).word, "En service");
}

#[test]
fn what_a_team_writes_is_text() {
    let html = delivery_page(&fixtures::blocked(), &look(None, true));
    assert!(!html.contains("<script>") && !html.contains("<b>horaires"));
    assert!(html.contains("&#60;b&#62;horaires"), "{html}");
    assert!(!delivery::is_web("javascript:alert(1)"));
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
