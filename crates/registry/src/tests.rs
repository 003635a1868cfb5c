//! The protocol, request by request, on a real store.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use base64::Engine as _;
use tower::ServiceExt as _;

use crate::Limits;
use crate::accounts::{Accounts, Directory};
use crate::service::Registry;
use crate::token::Tokens;
use pilotis_blobs::Store;
use pilotis_kinds::account::{Access, Account};
use pilotis_kinds::names::Slug;
use pilotis_oci::{Algorithm, Descriptor, Digest, Index, Manifest, media};

struct World {
    _root: tempfile::TempDir,
    registry: Registry,
    router: Router,
}

struct Got {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Got {
    fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    fn code(&self) -> String {
        let body: serde_json::Value = serde_json::from_slice(&self.body).unwrap_or_default();
        body["errors"][0]["code"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }

    fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

fn account(project: Option<&str>, name: &str, access: Access) -> serde_json::Value {
    let account = Account {
        name: name.to_owned(),
        project: project.map(|slug| Slug::new(slug).unwrap()),
        access,
    };
    account.config_map("pw")
}

async fn world(limits: Limits) -> World {
    let root = tempfile::tempdir().unwrap();
    let store = Store::open(root.path()).await.unwrap();
    let (sender, accounts) = Accounts::channel();
    let objects = [
        account(Some("p"), "chain", Access::Push),
        account(Some("p"), "node", Access::Pull),
        account(Some("q"), "chain", Access::Push),
        account(None, "admin", Access::Admin),
    ];
    let objects: Vec<_> = objects
        .into_iter()
        .map(|object| serde_json::from_value(object).unwrap())
        .collect();
    sender.send(Arc::new(Directory::read(&objects))).unwrap();
    let tokens = Tokens::new("registry.test", &[7; 32]);
    let registry = Registry::new(store, accounts, tokens, limits);
    World {
        _root: root,
        router: registry.clone().router(),
        registry,
    }
}

impl World {
    async fn ask(&self, user: &str, line: &str, headers: &[(&str, &str)], body: &[u8]) -> Got {
        let (method, path) = line.split_once(' ').unwrap();
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "r.test");
        if !user.is_empty() {
            let login = base64::engine::general_purpose::STANDARD.encode(format!("{user}:pw"));
            request = request.header("authorization", format!("Basic {login}"));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::from(body.to_vec())).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, 64 << 20).await.unwrap().to_vec();
        Got {
            status: parts.status,
            headers: parts.headers,
            body,
        }
    }

    async fn put_blob(&self, user: &str, name: &str, bytes: &[u8]) -> Digest {
        let digest = Digest::sha256(bytes);
        let line = format!("POST /v2/{name}/blobs/uploads/?digest={digest}");
        let got = self.ask(user, &line, &[], bytes).await;
        assert_eq!(got.status, StatusCode::CREATED, "{}", got.code());
        digest
    }

    /// Pushes an image with one layer; returns its descriptor.
    async fn put_image(&self, user: &str, name: &str, layer: &[u8], tag: &str) -> Descriptor {
        self.put_blob(user, name, b"{}").await;
        self.put_blob(user, name, layer).await;
        let manifest = Manifest::image(
            Descriptor::of(media::CONFIG, b"{}"),
            vec![Descriptor::of(media::LAYER_TAR, layer)],
        );
        self.put_manifest(user, name, &manifest, tag).await
    }

    async fn put_manifest(
        &self,
        user: &str,
        name: &str,
        manifest: &Manifest,
        tag: &str,
    ) -> Descriptor {
        let bytes = manifest.to_bytes();
        let line = format!("PUT /v2/{name}/manifests/{tag}");
        let got = self
            .ask(user, &line, &[("content-type", media::MANIFEST)], &bytes)
            .await;
        assert_eq!(got.status, StatusCode::CREATED, "{}", got.code());
        Descriptor::of(media::MANIFEST, &bytes)
    }
}

const CHAIN: &str = "p+chain";

#[tokio::test]
async fn nobody_unknown_gets_past_the_door() {
    let world = world(Limits::default()).await;
    for line in [
        "GET /v2/",
        "GET /v2/p/a/tags/list",
        "POST /v2/p/a/blobs/uploads/",
    ] {
        let got = world.ask("", line, &[], b"").await;
        assert_eq!(got.status, StatusCode::UNAUTHORIZED, "{line}");
        assert_eq!(got.code(), "UNAUTHORIZED");
        assert!(
            got.header("www-authenticate")
                .starts_with("Bearer realm=\"https://r.test/token\",service=\"registry.test\"")
        );
    }
    let got = world.ask("p+nobody", "GET /v2/", &[], b"").await;
    assert_eq!(got.status, StatusCode::UNAUTHORIZED);
    let got = world.ask(CHAIN, "GET /v2/", &[], b"").await;
    assert_eq!(got.status, StatusCode::OK);
    assert_eq!(
        got.header("docker-distribution-api-version"),
        "registry/2.0"
    );
}

#[tokio::test]
async fn a_blob_arrives_in_pieces_and_is_read_in_ranges() {
    let world = world(Limits::default()).await;
    let begun = world
        .ask(CHAIN, "POST /v2/p/a/blobs/uploads/", &[], b"")
        .await;
    assert_eq!(begun.status, StatusCode::ACCEPTED);
    let at = begun.header("location").to_owned();
    let piece = world
        .ask(
            CHAIN,
            &format!("PATCH {at}"),
            &[("content-range", "0-2")],
            b"abc",
        )
        .await;
    assert_eq!(
        (piece.status, piece.header("range")),
        (StatusCode::ACCEPTED, "0-2")
    );
    for bad in ["0-2", "9-11", "4-2", "x"] {
        let got = world
            .ask(
                CHAIN,
                &format!("PATCH {at}"),
                &[("content-range", bad)],
                b"def",
            )
            .await;
        assert_eq!(got.status, StatusCode::RANGE_NOT_SATISFIABLE, "{bad}");
    }
    let status = world.ask(CHAIN, &format!("GET {at}"), &[], b"").await;
    assert_eq!(
        (status.status, status.header("range")),
        (StatusCode::NO_CONTENT, "0-2")
    );
    let digest = Digest::sha256(b"abcdef");
    let last = [("content-range", "3-5")];
    let done = world
        .ask(CHAIN, &format!("PUT {at}?digest={digest}"), &last, b"def")
        .await;
    assert_eq!(done.status, StatusCode::CREATED);
    let blob = format!("/v2/p/a/blobs/{digest}");
    assert_eq!(done.header("location"), blob);
    let range = world
        .ask(
            CHAIN,
            &format!("GET {blob}"),
            &[("range", "bytes=2-3")],
            b"",
        )
        .await;
    assert_eq!(
        (range.status, range.body.as_slice()),
        (StatusCode::PARTIAL_CONTENT, &b"cd"[..])
    );
    assert_eq!(range.header("content-range"), "bytes 2-3/6");
    let gone = world.ask(CHAIN, &format!("PATCH {at}"), &[], b"x").await;
    assert_eq!(
        (gone.status, gone.code().as_str()),
        (StatusCode::NOT_FOUND, "BLOB_UPLOAD_UNKNOWN")
    );
}

#[tokio::test]
async fn wrong_digests_are_refused_and_sha512_is_not() {
    let world = world(Limits::default()).await;
    let wrong = format!(
        "POST /v2/p/a/blobs/uploads/?digest={}",
        Digest::sha256(b"other")
    );
    let got = world.ask(CHAIN, &wrong, &[], b"bytes").await;
    assert_eq!(
        (got.status, got.code().as_str()),
        (StatusCode::BAD_REQUEST, "DIGEST_INVALID")
    );
    let digest = Digest::of(Algorithm::Sha512, b"bytes");
    let line = format!("POST /v2/p/a/blobs/uploads/?digest={digest}");
    assert_eq!(
        world.ask(CHAIN, &line, &[], b"bytes").await.status,
        StatusCode::CREATED
    );
    let got = world
        .ask(CHAIN, &format!("GET /v2/p/a/blobs/{digest}"), &[], b"")
        .await;
    assert_eq!(got.body, b"bytes");
}

#[tokio::test]
async fn projects_do_not_see_each_other() {
    let world = world(Limits::default()).await;
    let image = world.put_image(CHAIN, "p/a", b"layer", "v1").await;
    world
        .put_image("admin", "base/static", b"static", "v1")
        .await;
    let layer = Digest::sha256(b"layer");
    let lines = [
        "GET /v2/p/a/tags/list".to_owned(),
        "GET /v2/p/a/manifests/v1".to_owned(),
        format!("GET /v2/p/a/blobs/{layer}"),
        "POST /v2/p/a/blobs/uploads/".to_owned(),
        "POST /v2/base/static/blobs/uploads/".to_owned(),
        format!("DELETE /v2/q/a/blobs/{layer}"),
    ];
    for line in &lines {
        let got = world.ask("q+chain", line, &[], b"").await;
        assert_eq!(
            (got.status, got.code().as_str()),
            (StatusCode::FORBIDDEN, "DENIED"),
            "{line}"
        );
    }
    // The bytes are in the store; neither mounting nor naming them gives them to another project.
    let mount = format!("POST /v2/q/a/blobs/uploads/?mount={layer}&from=p/a");
    assert_eq!(
        world.ask("q+chain", &mount, &[], b"").await.status,
        StatusCode::ACCEPTED
    );
    let get = format!("GET /v2/q/a/blobs/{layer}");
    assert_eq!(
        world.ask("q+chain", &get, &[], b"").await.status,
        StatusCode::NOT_FOUND
    );
    let steal = Manifest::image(Descriptor::of(media::LAYER_TAR, b"layer"), vec![]).to_bytes();
    let put = "PUT /v2/q/a/manifests/v1";
    let got = world
        .ask("q+chain", put, &[("content-type", media::MANIFEST)], &steal)
        .await;
    assert_eq!(got.code(), "MANIFEST_BLOB_UNKNOWN");
    // Everybody reads the base images; a reader does not write.
    let base = world
        .ask("q+chain", "GET /v2/base/static/manifests/v1", &[], b"")
        .await;
    assert_eq!(base.status, StatusCode::OK);
    let node = format!("GET /v2/p/a/manifests/{}", image.digest);
    assert_eq!(
        world.ask("p+node", &node, &[], b"").await.status,
        StatusCode::OK
    );
    let push = world
        .ask("p+node", "POST /v2/p/a/blobs/uploads/", &[], b"")
        .await;
    assert_eq!(push.status, StatusCode::FORBIDDEN);
    let seen = world
        .ask("q+chain", "GET /v2/_catalog", &[], b"")
        .await
        .json();
    assert_eq!(seen["repositories"], serde_json::json!(["base/static"]));
}

#[tokio::test]
async fn mounting_needs_no_bytes() {
    let world = world(Limits::default()).await;
    let digest = world.put_blob(CHAIN, "p/a", b"layer").await;
    let mount = format!("POST /v2/p/b/blobs/uploads/?mount={digest}&from=p/a");
    let got = world.ask(CHAIN, &mount, &[], b"").await;
    assert_eq!(got.status, StatusCode::CREATED);
    let got = world
        .ask(CHAIN, &format!("GET /v2/p/b/blobs/{digest}"), &[], b"")
        .await;
    assert_eq!(got.body, b"layer");
}

#[tokio::test]
async fn tags_come_in_pages_and_in_order() {
    let world = world(Limits::default()).await;
    for tag in ["b", "a", "d", "c"] {
        world.put_image(CHAIN, "p/a", b"x", tag).await;
    }
    let first = world
        .ask(CHAIN, "GET /v2/p/a/tags/list?n=2", &[], b"")
        .await;
    assert_eq!(first.json()["tags"], serde_json::json!(["a", "b"]));
    assert_eq!(
        first.header("link"),
        "</v2/p/a/tags/list?n=2&last=b>; rel=\"next\""
    );
    let rest = world
        .ask(CHAIN, "GET /v2/p/a/tags/list?n=2&last=b", &[], b"")
        .await;
    assert_eq!(rest.json()["tags"], serde_json::json!(["c", "d"]));
    assert_eq!(rest.header("link"), "");
    let none = world.ask(CHAIN, "GET /v2/p/none/tags/list", &[], b"").await;
    assert_eq!(none.code(), "NAME_UNKNOWN");
}

#[tokio::test]
async fn referrers_are_found_filtered_and_forgotten() {
    let world = world(Limits::default()).await;
    let image = world.put_image(CHAIN, "p/a", b"layer", "v1").await;
    let layer = Descriptor::of(media::BUNDLE, b"layer");
    let about = Manifest::referrer(media::BUNDLE, layer.clone(), image.clone());
    let bytes = about.to_bytes();
    let own = Digest::sha256(&bytes);
    let line = format!("PUT /v2/p/a/manifests/{own}");
    let put = world
        .ask(CHAIN, &line, &[("content-type", media::MANIFEST)], &bytes)
        .await;
    assert_eq!(put.header("oci-subject"), image.digest.to_string());
    let list = format!("GET /v2/p/a/referrers/{}", image.digest);
    let got = world.ask(CHAIN, &list, &[], b"").await;
    assert_eq!(got.header("content-type"), media::INDEX);
    let index: Index = serde_json::from_slice(&got.body).unwrap();
    assert_eq!(index.manifests.len(), 1);
    assert_eq!(
        index.manifests[0].artifact_type.as_deref(),
        Some(media::BUNDLE)
    );
    let other = world
        .ask(CHAIN, &format!("{list}?artifactType=x/y"), &[], b"")
        .await;
    assert_eq!(other.header("oci-filters-applied"), "artifactType");
    assert_eq!(other.json()["manifests"], serde_json::json!([]));
    world
        .ask(
            "admin",
            &format!("DELETE /v2/p/a/manifests/{own}"),
            &[],
            b"",
        )
        .await;
    let got = world.ask(CHAIN, &list, &[], b"").await;
    assert_eq!(got.json()["manifests"], serde_json::json!([]));
}

#[tokio::test]
async fn malformed_manifests_are_refused_by_name() {
    let world = world(Limits::default()).await;
    let index = Index::new(vec![Descriptor::of(media::MANIFEST, b"none")]).to_bytes();
    let large = vec![b' '; pilotis_oci::MANIFEST_BYTES_MAX + 1];
    let cases: [(&str, &str, &[u8], &str); 5] = [
        ("v1", media::MANIFEST, b"{", "MANIFEST_INVALID"),
        ("v1", "text/html", b"{}", "MANIFEST_INVALID"),
        ("v1", media::INDEX, &index, "MANIFEST_BLOB_UNKNOWN"),
        (
            &format!("sha256:{}", "0".repeat(64)),
            media::INDEX,
            &index,
            "DIGEST_INVALID",
        ),
        ("v1", media::MANIFEST, &large, "MANIFEST_INVALID"),
    ];
    for (selector, media_type, bytes, code) in cases {
        let line = format!("PUT /v2/p/a/manifests/{selector}");
        let got = world
            .ask(CHAIN, &line, &[("content-type", media_type)], bytes)
            .await;
        assert_eq!(got.code(), code, "{selector} {media_type}");
    }
}

#[tokio::test]
async fn fixed_tags_do_not_move() {
    let fixed_tags = vec!["release-*".to_owned()];
    let world = world(Limits {
        fixed_tags,
        ..Limits::default()
    })
    .await;
    world.put_image(CHAIN, "p/a", b"one", "release-1").await;
    let one = world.put_image(CHAIN, "p/a", b"one", "release-1").await;
    world.put_blob(CHAIN, "p/a", b"two").await;
    let other = Manifest::image(Descriptor::of(media::CONFIG, b"two"), vec![]).to_bytes();
    let put = "PUT /v2/p/a/manifests/release-1";
    let got = world
        .ask(CHAIN, put, &[("content-type", media::MANIFEST)], &other)
        .await;
    assert_eq!(
        (got.status, got.code().as_str()),
        (StatusCode::FORBIDDEN, "DENIED")
    );
    for selector in ["release-1".to_owned(), one.digest.to_string()] {
        let line = format!("DELETE /v2/p/a/manifests/{selector}");
        assert_eq!(
            world.ask("admin", &line, &[], b"").await.status,
            StatusCode::FORBIDDEN
        );
    }
}

async fn capability(world: &World, body: &str) -> Got {
    world
        .ask(
            CHAIN,
            "POST /capability",
            &[("content-type", "application/json")],
            body.as_bytes(),
        )
        .await
}

#[tokio::test]
async fn a_capability_puts_one_untagged_manifest_in_one_repository() {
    let world = world(Limits::default()).await;
    let denied = capability(&world, r#"{"repository":"q/a","seconds":60}"#).await;
    assert_eq!(denied.status, StatusCode::FORBIDDEN);
    let got = capability(&world, r#"{"repository":"p/a","seconds":60}"#).await;
    let bearer = format!("Bearer {}", got.json()["token"].as_str().unwrap());
    let with = |media_type| {
        [
            ("authorization", bearer.as_str()),
            ("content-type", media_type),
        ]
    };
    let digest = Digest::sha256(b"{}");
    let blob = format!("POST /v2/p/a/blobs/uploads/?digest={digest}");
    let blob = world
        .ask("", &blob, &with("application/octet-stream"), b"{}")
        .await;
    assert_eq!(blob.status, StatusCode::CREATED);
    let other = world
        .ask("", "POST /v2/p/b/blobs/uploads/", &with("x/y"), b"")
        .await;
    assert_eq!(other.status, StatusCode::FORBIDDEN);
    let layer = Descriptor::of(media::BUNDLE, b"{}");
    let manifest = Manifest::image(Descriptor::of(media::CONFIG, b"{}"), vec![]).to_bytes();
    let tagged = "PUT /v2/p/a/manifests/v1";
    let tagged = world
        .ask("", tagged, &with(media::MANIFEST), &manifest)
        .await;
    assert_eq!(tagged.status, StatusCode::FORBIDDEN);
    let line = format!("PUT /v2/p/a/manifests/{}", Digest::sha256(&manifest));
    let first = world
        .ask("", &line, &with(media::MANIFEST), &manifest)
        .await;
    assert_eq!(first.status, StatusCode::CREATED);
    let again = world
        .ask("", &line, &with(media::MANIFEST), &manifest)
        .await;
    assert_eq!(again.status, StatusCode::CREATED, "an answer can be lost");
    let changed = Manifest::image(Descriptor::of(media::CONFIG, b"{}"), vec![layer]).to_bytes();
    let line = format!("PUT /v2/p/a/manifests/{}", Digest::sha256(&changed));
    let second = world.ask("", &line, &with(media::MANIFEST), &changed).await;
    assert_eq!(second.status, StatusCode::FORBIDDEN);
    let pull = world
        .ask("", &line.replace("PUT", "GET"), &with("x/y"), b"")
        .await;
    assert_eq!(pull.status, StatusCode::FORBIDDEN);
    let more = world
        .ask("", "POST /capability", &with("application/json"), b"{}")
        .await;
    assert_eq!(more.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_project_keeps_no_more_than_its_quota() {
    let world = world(Limits {
        project_bytes_max: Some(10),
        ..Limits::default()
    })
    .await;
    world.put_blob(CHAIN, "p/a", b"123456").await;
    world.put_blob(CHAIN, "p/b", b"7890!").await;
    let full = world
        .ask(CHAIN, "POST /v2/p/c/blobs/uploads/", &[], b"")
        .await;
    assert_eq!(
        (full.status, full.code().as_str()),
        (StatusCode::FORBIDDEN, "DENIED")
    );
    let other = world
        .ask("q+chain", "POST /v2/q/a/blobs/uploads/", &[], b"")
        .await;
    assert_eq!(other.status, StatusCode::ACCEPTED);
}

#[tokio::test]
async fn collecting_keeps_the_tagged_their_parts_and_what_is_about_them() {
    let world = world(Limits::default()).await;
    let kept = world.put_image(CHAIN, "p/a", b"kept", "v1").await;
    let layer = Descriptor::of(media::BUNDLE, b"kept");
    let about = Manifest::referrer(media::BUNDLE, layer, kept.clone());
    world.put_blob(CHAIN, "p/a", b"{}").await;
    let own = Digest::sha256(&about.to_bytes()).to_string();
    let about = world.put_manifest(CHAIN, "p/a", &about, &own).await;
    let dead = world.put_image(CHAIN, "p/a", b"dead", "v2").await;
    world
        .ask("admin", "DELETE /v2/p/a/manifests/v2", &[], b"")
        .await;
    let spared = world
        .registry
        .collect(Duration::from_secs(60))
        .await
        .unwrap();
    assert_eq!(spared.blobs, 0, "all of it is young");
    world.registry.collect(Duration::ZERO).await.unwrap();
    for (descriptor, status) in [
        (&kept, StatusCode::OK),
        (&about, StatusCode::OK),
        (&dead, StatusCode::NOT_FOUND),
    ] {
        let line = format!("GET /v2/p/a/manifests/{}", descriptor.digest);
        assert_eq!(
            world.ask(CHAIN, &line, &[], b"").await.status,
            status,
            "{line}"
        );
    }
    let blob = format!("GET /v2/p/a/blobs/{}", Digest::sha256(b"kept"));
    assert_eq!(
        world.ask(CHAIN, &blob, &[], b"").await.status,
        StatusCode::OK
    );
    let store = &world.registry.inner.store;
    assert_eq!(store.size(&Digest::sha256(b"dead")).await.unwrap(), None);
}
