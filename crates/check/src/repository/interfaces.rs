//! Descriptions of interfaces: present where an interface is served, sound, and with examples.

use std::sync::LazyLock;

use pilotis_yaml::{Mark, Node};
use regex::Regex;

use super::{Source, breach_at, shown};
use crate::collect::{Breach, Collector};
use crate::locate;
use crate::secrets::{is_program, is_test};
use crate::tree::{is_yaml, name};

/// Deepest nesting of a description looked at.
const DEPTH_MAX: usize = 64;
/// Most broken references told of one description.
const REFERENCES_MAX: usize = 20;

static DESCRIPTION: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"(?m)^\s{0,4}["']?(openapi|swagger|asyncapi)["']?\s*:\s*["']?[1-9]"#)
        .expect("a constant")
});
/// A path of an interface in a program.
static SERVED: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r#"["'`]/?(?:api|v[1-9])/|["'`]/api["'`]"#).expect("a constant"));
/// Packages that serve HTTP interfaces, as their manifest names them.
static SERVES: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r#"spring-boot-starter-web(?:flux|mvc)?\b|quarkus-(?:rest|resteasy)|micronaut-http-server|"(?:express|fastify|koa|restify|@nestjs/core|@hapi/hapi)"\s*:|(?mi)^["']?(?:flask|django|falcon|bottle|starlette)\b|gin-gonic/gin|labstack/echo|go-chi/chi|gofiber/fiber|gorilla/mux|(?m)^(?:axum|actix-web|rocket|warp)\b|Microsoft\.AspNetCore|Microsoft\.NET\.Sdk\.Web"#,
    )
    .expect("a constant")
});
/// Packages that describe an interface from its program.
const DESCRIBING: [&str; 16] = [
    "openapi",
    "swagger",
    "springdoc",
    "springfox",
    "apispec",
    "flasgger",
    "utoipa",
    "fastapi",
    "api-platform",
    "drf-yasg",
    "drf-spectacular",
    "tsoa",
    "flask-smorest",
    "api-doc-bundle",
    "redoc",
    "aide",
];
const MANIFESTS: [&str; 9] = [
    "package.json",
    "pom.xml",
    "build.gradle",
    "build.gradle.kts",
    "requirements.txt",
    "pyproject.toml",
    "go.mod",
    "Cargo.toml",
    "composer.json",
];
/// Names of operations that say they change something; what follows is another word.
static CHANGES: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new("^(?i:create|insert|delete|remove|add|cancel|pay)(?:[A-Z_.-]|$)")
        .expect("a constant")
});
const METHODS: [&str; 8] = [
    "get", "put", "post", "delete", "options", "head", "patch", "trace",
];

pub(super) fn judge(collector: &mut Collector<'_>, sources: &[Source<'_>]) {
    let mut described = false;
    for source in sources {
        let data = is_yaml(source.path) || source.path.ends_with(".json");
        let head: &str = source.text.get(..4096).unwrap_or(source.text);
        if data && !is_test(source.path) && DESCRIPTION.is_match(head) {
            described |= description(collector, *source);
        }
    }
    undocumented(collector, sources, described);
}

/// Judges a description; false when the file is none after all.
fn description(collector: &mut Collector<'_>, source: Source<'_>) -> bool {
    // A template of a chart is not YAML; what cannot be read is told elsewhere.
    let Ok(Some(root)) = pilotis_yaml::parse_first(source.text) else {
        return false;
    };
    let file = Description {
        source,
        root: &root,
    };
    if root.get("asyncapi").is_some() {
        file.events(collector);
    } else if root.get("openapi").is_some() || root.get("swagger").is_some() {
        file.calls(collector);
    } else {
        return false;
    }
    true
}

#[derive(Clone, Copy)]
struct Description<'a> {
    source: Source<'a>,
    root: &'a Node,
}

impl Description<'_> {
    fn events(self, collector: &mut Collector<'_>) {
        let rule = "event-description";
        collector.looked([rule]);
        self.information(collector, rule);
        if self
            .root
            .get("channels")
            .is_none_or(|channels| channels.pairs().is_empty())
        {
            let texts = ("aucun canal n'est décrit", "no channel is described");
            self.breach(collector, (rule, self.root.start), texts);
        }
        self.references(collector, rule);
    }

    fn calls(self, collector: &mut Collector<'_>) {
        let rule = "api-description";
        collector.looked([rule, "api-example"]);
        self.information(collector, rule);
        let paths = self.root.get("paths").map(Node::pairs).unwrap_or_default();
        let other = ["webhooks", "components"]
            .iter()
            .any(|key| self.root.get(key).is_some());
        let version = self.root.get("openapi").and_then(Node::text).unwrap_or("2");
        let newer = version.starts_with("3.") && !version.starts_with("3.0");
        if paths.is_empty() && !(newer && other) {
            let texts = ("aucun chemin n'est décrit", "no path is described");
            self.breach(collector, (rule, self.root.start), texts);
        }
        for (path, item) in paths {
            self.path(collector, (path, item), newer);
        }
        self.replays(collector, paths);
        self.references(collector, rule);
        if !paths.is_empty() && !has_example(self.root, 0) {
            let at = self
                .root
                .get_pair("paths")
                .map_or(self.root.start, |(key, _)| key.start);
            let texts = (
                "aucun exemple n'accompagne l'interface",
                "no example comes with the interface",
            );
            self.breach(collector, ("api-example", at), texts);
        }
    }

    fn path(self, collector: &mut Collector<'_>, (path, item): (&Node, &Node), newer: bool) {
        let rule = "api-description";
        let name = shown(path.text().unwrap_or_default());
        if !name.starts_with('/') && !name.starts_with("x-") {
            let fr = format!("le chemin {name} ne commence pas par /");
            let en = format!("path {name} does not begin with /");
            self.breach(collector, (rule, path.start), (&fr, &en));
        }
        for (method, operation) in item.pairs() {
            let Some(word) = method.text().filter(|word| METHODS.contains(word)) else {
                continue;
            };
            let answers = operation
                .get("responses")
                .is_some_and(|r| !r.pairs().is_empty());
            if !answers && !newer {
                let fr = format!("{word} {name} ne décrit aucune réponse");
                let en = format!("{word} {name} describes no response");
                self.breach(collector, (rule, method.start), (&fr, &en));
            }
        }
    }

    /// Readings that change something; creations that forget the key the others have.
    fn replays(self, collector: &mut Collector<'_>, paths: &[(Node, Node)]) {
        let operations = || paths.iter().flat_map(|(path, item)| operations(path, item));
        for operation in operations().filter(|one| one.method == "get") {
            let id = operation.node.get("operationId");
            let Some(id) = id.filter(|id| CHANGES.is_match(id.text().unwrap_or_default())) else {
                continue;
            };
            let name = shown(id.text().unwrap_or_default());
            let fr = format!("get {} dit qu'il modifie : {name}", operation.path);
            let en = format!("get {} says it changes something: {name}", operation.path);
            self.breach(collector, ("api-unsafe-read", id.start), (&fr, &en));
        }
        let posts: Vec<Operation<'_>> = operations().filter(|one| one.method == "post").collect();
        if !posts.iter().any(|post| self.takes_key(post)) {
            return;
        }
        let rule = "api-replay-key";
        collector.looked([rule]);
        let creates = |post: &&Operation<'_>| {
            post.node
                .get("responses")
                .is_some_and(|all| all.get("201").is_some())
        };
        for post in posts
            .iter()
            .filter(creates)
            .filter(|post| !self.takes_key(post))
        {
            let fr = format!("post {} crée sans Idempotency-Key", post.path);
            let en = format!("post {} creates without Idempotency-Key", post.path);
            self.breach(collector, (rule, post.at), (&fr, &en));
        }
    }

    /// Whether a call carries a key that tells a replay from a new one.
    fn takes_key(self, operation: &Operation<'_>) -> bool {
        let lists = [
            operation.item.get("parameters"),
            operation.node.get("parameters"),
        ];
        let parameters = lists.into_iter().flatten().flat_map(Node::items);
        parameters.into_iter().any(|parameter| {
            let reference = parameter.get("$ref").and_then(Node::text);
            let found = reference
                .and_then(|path| self.follow(path))
                .unwrap_or(parameter);
            let name = found.get("name").and_then(Node::text).unwrap_or_default();
            name.to_ascii_lowercase().contains("idempotency-key")
        })
    }

    fn information(self, collector: &mut Collector<'_>, rule: &str) {
        let info = self.root.get("info");
        let given = |key: &str| {
            let text = info.and_then(|info| info.get(key)?.text());
            text.is_some_and(|text| !text.trim().is_empty())
        };
        if !given("title") || !given("version") {
            let at = self
                .root
                .get_pair("info")
                .map_or(self.root.start, |(key, _)| key.start);
            let texts = (
                "info ne dit pas le titre et la version",
                "info does not give title and version",
            );
            self.breach(collector, (rule, at), texts);
        }
    }

    /// References inside the file that lead nowhere.
    fn references(self, collector: &mut Collector<'_>, rule: &str) {
        let mut found = Vec::new();
        references(self.root, 0, &mut found);
        let broken = found.into_iter().filter(|(_, path)| !self.leads(path));
        for (at, path) in broken.take(REFERENCES_MAX) {
            let path = shown(path);
            let fr = format!("la référence {path} ne mène nulle part");
            let en = format!("reference {path} leads nowhere");
            self.breach(collector, (rule, at), (&fr, &en));
        }
    }

    fn leads(self, reference: &str) -> bool {
        !reference.starts_with("#/") || self.follow(reference).is_some()
    }

    /// What a reference inside the file names.
    fn follow(&self, reference: &str) -> Option<&Node> {
        let pointer = reference.strip_prefix("#/")?;
        let steps = pointer.split('/').map(|step| {
            step.replace("~1", "/")
                .replace("~0", "~")
                .replace("%7B", "{")
                .replace("%7D", "}")
        });
        steps
            .into_iter()
            .try_fold(self.root, |node, step| match node.items() {
                [] => node.get(&step),
                items => items.get(step.parse::<usize>().ok()?),
            })
    }

    fn breach(self, collector: &mut Collector<'_>, (rule, at): (&str, Mark), texts: (&str, &str)) {
        let place = locate::position(self.source.path, at);
        collector.breach(Breach::of_file(rule, place, texts));
    }
}

/// One call of an interface.
struct Operation<'n> {
    method: &'n str,
    at: Mark,
    path: String,
    /// The path's own node.
    item: &'n Node,
    node: &'n Node,
}

fn operations<'n>(path: &'n Node, item: &'n Node) -> impl Iterator<Item = Operation<'n>> {
    let name = shown(path.text().unwrap_or_default());
    item.pairs().iter().filter_map(move |(method, node)| {
        let word = method.text().filter(|word| METHODS.contains(word))?;
        Some(Operation {
            method: word,
            at: method.start,
            path: name.clone(),
            item,
            node,
        })
    })
}

fn references<'n>(node: &'n Node, depth: usize, found: &mut Vec<(Mark, &'n str)>) {
    if depth > DEPTH_MAX {
        return;
    }
    for item in node.items() {
        references(item, depth + 1, found);
    }
    for (key, value) in node.pairs() {
        match (key.text(), value.text()) {
            (Some("$ref"), Some(path)) => found.push((value.start, path)),
            _ => references(value, depth + 1, found),
        }
    }
}

fn has_example(node: &Node, depth: usize) -> bool {
    let keys = ["example", "examples", "x-example", "x-examples"];
    let own = node.pairs().iter().any(|(key, value)| {
        key.text().is_some_and(|key| keys.contains(&key))
            || depth < DEPTH_MAX && has_example(value, depth + 1)
    });
    own || node
        .items()
        .iter()
        .any(|item| depth < DEPTH_MAX && has_example(item, depth + 1))
}

/// A program that serves an interface, in a repository that describes none.
fn undocumented(collector: &mut Collector<'_>, sources: &[Source<'_>], described: bool) {
    let rule = "api-undocumented";
    let manifests = sources.iter().filter(|source| {
        MANIFESTS.contains(&name(source.path)) || source.path.ends_with(".csproj")
    });
    let manifests: Vec<&Source<'_>> = manifests.collect();
    let describing = manifests.iter().any(|source| {
        let text = source.text.to_lowercase();
        DESCRIBING.iter().any(|word| text.contains(word))
    });
    let serving = manifests
        .iter()
        .find_map(|source| Some((*source, SERVES.find(source.text)?.start())));
    let Some((source, at)) = serving else {
        return;
    };
    let mut programs = sources
        .iter()
        .filter(|source| is_program(source.path) && !is_test(source.path));
    if !programs.any(|source| SERVED.is_match(source.text)) {
        return;
    }
    collector.looked([rule]);
    if described || describing {
        return;
    }
    let texts = (
        "le code sert une interface que rien ne décrit (OpenAPI)",
        "the code serves an interface that nothing describes (OpenAPI)",
    );
    let blank = source.text[at..].len() - source.text[at..].trim_start().len();
    breach_at(
        collector,
        *source,
        (rule, at + blank),
        (texts.0.into(), texts.1.into()),
    );
}
