//! What goes over the wire: TLS with client certificates, media types, warnings, tables, bookmarks,
//! the audit file.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pilotis_testkit::eventually;
use reqwest::{Certificate, Client, Identity, Method, Response};
use serde_json::{Value, json};

use crate::World;

const DEADLINE: Duration = Duration::from_secs(10);
const MAPS: &str = "/api/v1/namespaces/default/configmaps";

/// The administrator with the certificate of the kubeconfig, over TLS.
struct Admin {
    client: Client,
    base: String,
}

impl Admin {
    fn of(world: &World) -> Self {
        let kubeconfig = world.server.admin_kubeconfig().unwrap();
        let field = |name: &str| {
            let line = kubeconfig.lines().find(|l| l.trim().starts_with(name));
            line.unwrap().split_once(": ").unwrap().1.to_owned()
        };
        let decoded = |name: &str| STANDARD.decode(field(name)).unwrap();
        let mut pem = decoded("client-certificate-data");
        pem.extend(decoded("client-key-data"));
        let authority = Certificate::from_pem(&decoded("certificate-authority-data")).unwrap();
        let client = Client::builder()
            .tls_certs_only([authority])
            .identity(Identity::from_pem(&pem).unwrap())
            .build()
            .unwrap();
        let base = field("server");
        Self { client, base }
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        media: &str,
        body: impl Into<Vec<u8>>,
    ) -> Response {
        let request = self.client.request(method, format!("{}{path}", self.base));
        let request = request.header("Content-Type", media).body(body.into());
        request.send().await.unwrap()
    }

    async fn create(&self, map: &Value) -> Response {
        self.send(Method::POST, MAPS, "application/json", map.to_string())
            .await
    }

    async fn get(&self, path: &str, accept: &str) -> Value {
        let request = self.client.get(format!("{}{path}", self.base));
        let answer = request.header("Accept", accept).send().await.unwrap();
        answer.json().await.unwrap()
    }
}

fn map(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"k": "v"}})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_certificate_says_who_is_there() {
    let world = World::new().await;
    let admin = Admin::of(&world);
    let review = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"});
    let path = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
    let answer = admin
        .send(Method::POST, path, "application/json", review.to_string())
        .await;
    let answer: Value = answer.json().await.unwrap();
    let who = &answer["status"]["userInfo"];
    assert_eq!(who["username"], "pilotis-admin");
    assert!(
        who["groups"]
            .as_array()
            .unwrap()
            .contains(&json!("system:masters")),
        "{who}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_of_another_authority_is_nobody() {
    let world = World::new().await;
    let other = World::new().await;
    let stranger = Admin {
        base: Admin::of(&world).base,
        ..Admin::of(&other)
    };
    let request = stranger.client.get(format!("{}{MAPS}", stranger.base));
    assert!(
        request.send().await.is_err(),
        "their authorities do not know each other"
    );
}

/// A protobuf message with these fields; lengths below 128 only.
fn message(fields: &[(u8, &[u8])]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (number, content) in fields {
        bytes.push(number << 3 | 2);
        bytes.push(u8::try_from(content.len()).unwrap());
        bytes.extend_from_slice(content);
    }
    bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn protobuf_bodies_are_read() {
    let world = World::new().await;
    let admin = Admin::of(&world);
    let metadata = message(&[(1, b"packed")]);
    let data = message(&[(1, b"k"), (2, b"v")]);
    let object = message(&[(1, &metadata), (2, &data)]);
    let kind = message(&[(1, b"v1"), (2, b"ConfigMap")]);
    let mut body = b"k8s\0".to_vec();
    body.extend(message(&[(1, &kind), (2, &object)]));
    let media = "application/vnd.kubernetes.protobuf";
    let answer = admin.send(Method::POST, MAPS, media, body).await;
    assert_eq!(answer.status(), 201, "{}", answer.text().await.unwrap());
    let found = admin
        .get(&format!("{MAPS}/packed"), "application/json")
        .await;
    assert_eq!(found["data"]["k"], "v");
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_fields_are_refused_warned_of_or_dropped_as_asked() {
    let world = World::new().await;
    let admin = Admin::of(&world);
    for (validation, code, warns) in [
        ("Strict", 400, false),
        ("Warn", 201, true),
        ("Ignore", 201, false),
    ] {
        let mut object = map(&validation.to_lowercase());
        object["datum"] = json!({});
        let path = format!("{MAPS}?fieldValidation={validation}");
        let answer = admin
            .send(Method::POST, &path, "application/json", object.to_string())
            .await;
        assert_eq!(answer.status(), code, "{validation}");
        let warning = answer
            .headers()
            .get("Warning")
            .map(|w| w.to_str().unwrap().to_owned());
        assert_eq!(warning.is_some_and(|w| w.contains("unknown field")), warns);
        let text = answer.text().await.unwrap();
        assert_eq!(
            code == 400,
            text.contains("unknown field \\\"datum\\\""),
            "{text}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_patch_changes_an_object() {
    let world = World::new().await;
    let admin = Admin::of(&world);
    admin.create(&map("patched")).await;
    let path = format!("{MAPS}/patched?fieldManager=test");
    let apply = json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"apply": "x"}});
    for (media, patch, key) in [
        (
            "application/merge-patch+json",
            json!({"data": {"merge": "x"}}),
            "merge",
        ),
        (
            "application/strategic-merge-patch+json",
            json!({"data": {"smp": "x"}}),
            "smp",
        ),
        (
            "application/json-patch+json",
            json!([{"op": "add", "path": "/data/json", "value": "x"}]),
            "json",
        ),
        ("application/apply-patch+yaml", apply, "apply"),
    ] {
        let answer = admin
            .send(Method::PATCH, &path, media, patch.to_string())
            .await;
        assert_eq!(answer.status(), 200, "{media}");
        let object: Value = answer.json().await.unwrap();
        assert_eq!(
            (&object["data"][key], &object["data"]["k"]),
            (&json!("x"), &json!("v"))
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_has_columns_rows_and_the_metadata_of_each() {
    let world = World::new().await;
    let admin = Admin::of(&world);
    admin.create(&map("shown")).await;
    let table = "application/json;as=Table;v=v1;g=meta.k8s.io";
    let answer = admin.get(&format!("{MAPS}/shown"), table).await;
    assert_eq!(answer["kind"], "Table");
    let columns = answer["columnDefinitions"].as_array().unwrap();
    let columns: Vec<&str> = columns
        .iter()
        .map(|c| c["name"].as_str().unwrap())
        .collect();
    assert_eq!(columns, ["Name", "Data", "Age"]);
    let row = &answer["rows"][0];
    assert_eq!(
        (&row["cells"][0], &row["cells"][1]),
        (&json!("shown"), &json!(1))
    );
    assert_eq!(row["object"]["kind"], "PartialObjectMetadata");
    assert_eq!(row["object"]["metadata"]["name"], "shown");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_can_begin_with_what_is_there_and_marks_its_end() {
    let world = World::new().await;
    let admin = Admin::of(&world);
    admin.create(&map("first")).await;
    let path = format!(
        "{MAPS}?watch=1&allowWatchBookmarks=true&sendInitialEvents=true\
         &resourceVersionMatch=NotOlderThan&timeoutSeconds=1"
    );
    let answer = admin.send(Method::GET, &path, "application/json", "").await;
    let text = answer.text().await.unwrap();
    let events: Vec<Value> = text
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    assert_eq!(events[0]["type"], "ADDED");
    assert_eq!(events[0]["object"]["metadata"]["name"], "first");
    let mark = events.iter().find(|e| e["type"] == "BOOKMARK").unwrap();
    let metadata = &mark["object"]["metadata"];
    assert_eq!(metadata["annotations"]["k8s.io/initial-events-end"], "true");
    let revision = |event: &Value| -> u64 {
        let text = event["object"]["metadata"]["resourceVersion"].as_str();
        text.unwrap().parse().unwrap()
    };
    assert!(revision(mark) >= revision(&events[0]));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_mutation_and_every_refused_one_leaves_one_audit_line() {
    let world = World::new().await;
    let admin = Admin::of(&world);
    let json_type = "application/json";
    let object = format!("{MAPS}/noted");
    admin.create(&map("noted")).await;
    admin
        .send(Method::PUT, &object, json_type, map("noted").to_string())
        .await;
    let merge = "application/merge-patch+json";
    admin
        .send(
            Method::PATCH,
            &object,
            merge,
            r#"{"data":{"secret":"hush"}}"#,
        )
        .await;
    admin.get(&object, json_type).await;
    admin.send(Method::DELETE, &object, json_type, "").await;
    admin.send(Method::DELETE, MAPS, json_type, "").await;
    let refused = admin.client.post(format!("{}{MAPS}", admin.base));
    let refused = refused
        .header("Impersonate-User", "nobody")
        .body(map("x").to_string());
    assert_eq!(refused.send().await.unwrap().status(), 403);

    let path = world.directory.path().join("audit.jsonl");
    let text = eventually("all lines are written", DEADLINE, || {
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        async move {
            if text.contains(":403") {
                Ok(text)
            } else {
                Err(text)
            }
        }
    })
    .await;
    assert!(!text.contains("hush"));
    let lines: Vec<Value> = text
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    let noted: Vec<(&str, &str, i64)> = lines
        .iter()
        .filter(|line| line["resource"] == "configmaps" && line["user"] != "system:apiserver")
        .map(|line| {
            let text = |field: &str| line[field].as_str().unwrap();
            (text("verb"), text("name"), line["code"].as_i64().unwrap())
        })
        .collect();
    let wanted = [
        ("create", "noted", 201),
        ("update", "noted", 200),
        ("patch", "noted", 200),
        ("delete", "noted", 200),
        ("deletecollection", "", 200),
        ("create", "", 403),
    ];
    assert_eq!(noted, wanted);
}
