//! The console on a real API: login links, doors, and pages read as the person who looks.

use std::time::Duration;

use anyhow::{Context, Result};
use jiff::{SignedDuration, Timestamp};
use kube::api::{Api, DynamicObject, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use pilotis_console::{ROLE, Settings, login_secret, run};
use pilotis_testkit::{Cluster, cluster};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

const HOST: &str = "console.localhost";
const DEADLINE: Duration = Duration::from_secs(30);
const OBJECTS: &str = r#"
apiVersion: v1
kind: Namespace
metadata: {name: pilotis-system}
---
apiVersion: v1
kind: Namespace
metadata: {name: pilotis-login}
---
apiVersion: v1
kind: Namespace
metadata: {name: project-bonjour}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: console, namespace: pilotis-system}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: "pilotis:console"}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: "pilotis:console"}
subjects: [{kind: ServiceAccount, name: console, namespace: pilotis-system}]
---
apiVersion: pilotis.dev/v1alpha1
kind: Project
metadata: {name: bonjour}
spec: {}
---
apiVersion: pilotis.dev/v1alpha1
kind: Project
metadata: {name: guichet}
spec: {}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: member}
rules:
- {apiGroups: [pilotis.dev], resources: [deliveries], verbs: [get, list, watch]}
- {apiGroups: [argoproj.io], resources: [applications], verbs: [get, list, watch]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: member, namespace: project-bonjour}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: member}
subjects: [{kind: User, name: ana, apiGroup: rbac.authorization.k8s.io}]
---
apiVersion: pilotis.dev/v1alpha1
kind: Delivery
metadata: {name: web-8d21f600aa11, namespace: project-bonjour}
spec:
  repository: web
  commit: 8d21f600aa11bb22cc33dd44ee55ff6677889900
  ref: refs/heads/main
  title: Une page
  author: ana
"#;

struct World {
    cluster: Cluster,
    port: u16,
    stop: CancellationToken,
}

async fn started() -> Result<World> {
    let cluster = cluster().await?;
    cluster.apply(pilotis_kinds::PILOTIS_CRDS)?;
    cluster.apply(pilotis_kinds::argo::APPLICATION_CRD)?;
    cluster.apply(OBJECTS)?;
    cluster.apply(ROLE)?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    let stop = CancellationToken::new();
    let settings = Settings {
        listeners: vec![listener],
        host: HOST.to_owned(),
        port,
        tls: None,
    };
    let own = as_console(&cluster).await?;
    tokio::spawn(run(own, settings, stop.clone()));
    Ok(World {
        cluster,
        port,
        stop,
    })
}

/// A client with the rights of the console's account and no others.
async fn as_console(cluster: &Cluster) -> Result<kube::Client> {
    let token = cluster.kubectl(&["create", "token", "console", "-n", "pilotis-system"])?;
    let mut file = kube::config::Kubeconfig::read_from(cluster.kubeconfig())?;
    let user = file
        .auth_infos
        .first_mut()
        .and_then(|user| user.auth_info.as_mut());
    let user = user.context("the kubeconfig has no user")?;
    *user = serde_json::from_value(serde_json::json!({"token": token.trim()}))?;
    let options = kube::config::KubeConfigOptions::default();
    let config = kube::Config::from_custom_kubeconfig(file, &options).await?;
    Ok(kube::Client::try_from(config)?)
}

impl World {
    async fn link(&self, token: &str, user: &str, groups: &[&str], minutes: i64) -> Result<String> {
        let expires = Timestamp::now() + SignedDuration::from_mins(minutes);
        let secret: Value = login_secret(token, user, groups, expires);
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("", "v1", "Secret"));
        let client = self.cluster.client().await?;
        let api: Api<DynamicObject> = Api::namespaced_with(client, "pilotis-login", &resource);
        api.create(&PostParams::default(), &serde_json::from_value(secret)?)
            .await?;
        Ok(format!("/connexion?jeton={token}"))
    }

    async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Result<String> {
        let mut stream = self.send(method, path, headers).await?;
        let mut answer = Vec::new();
        tokio::time::timeout(DEADLINE, stream.read_to_end(&mut answer)).await??;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }

    async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Result<TcpStream> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await?;
        let mut request = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n");
        if !headers.iter().any(|(name, _)| *name == "Host") {
            request.push_str(&format!("Host: {HOST}:{}\r\n", self.port));
        }
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        request.push_str("\r\n");
        stream.write_all(request.as_bytes()).await?;
        Ok(stream)
    }

    /// Logs in and returns the Cookie header.
    async fn log_in(&self, token: &str, user: &str, groups: &[&str]) -> Result<String> {
        let link = self.link(token, user, groups, 5).await?;
        let answer = self.ask("GET", &link, &[]).await?;
        let cookie = answer
            .lines()
            .find_map(|line| line.strip_prefix("set-cookie: "));
        let cookie = cookie.with_context(|| format!("no cookie in {answer}"))?;
        assert!(cookie.contains("HttpOnly; SameSite=Strict"), "{cookie}");
        Ok(cookie.split(';').next().unwrap_or_default().to_owned())
    }
}

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_console_lets_in_once_and_reads_as_the_person() -> Result<()> {
    let world = started().await?;
    the_doors_hold(&world).await?;
    a_link_serves_once_and_not_late(&world).await?;
    pages_are_read_as_the_person(&world).await?;
    a_member_finds_their_own_projects(&world).await?;
    a_change_reaches_an_open_page(&world).await?;
    world.stop.cancel();
    Ok(())
}

async fn the_doors_hold(world: &World) -> Result<()> {
    let other = world
        .ask("GET", "/connexion", &[("Host", "evil.example")])
        .await?;
    assert_eq!(status(&other), "421");
    let foreign = [("Origin", "http://app.localhost"), ("Content-Length", "0")];
    assert_eq!(
        status(&world.ask("POST", "/deconnexion", &foreign).await?),
        "403"
    );
    let blind = [("Origin", "null"), ("Content-Length", "0")];
    assert_eq!(
        status(&world.ask("POST", "/deconnexion", &blind).await?),
        "403"
    );
    let stolen = [("Cookie", "pilotis_session=x; other=y")];
    assert_eq!(status(&world.ask("GET", "/projets", &stolen).await?), "303");
    let login = world.ask("GET", "/connexion", &[]).await?;
    assert_eq!(status(&login), "200");
    for header in [
        "content-security-policy: default-src 'none'",
        "nosniff",
        "referrer-policy: same-origin",
    ] {
        assert!(login.contains(header), "{header} in {login}");
    }
    let nobody = world.ask("GET", "/applications", &[]).await?;
    assert_eq!(status(&nobody), "303");
    assert!(nobody.contains("location: /connexion"));
    Ok(())
}

async fn a_link_serves_once_and_not_late(world: &World) -> Result<()> {
    let link = world.link("one-time-token-0001", "ana", &[], 5).await?;
    let looked_at = world.ask("HEAD", &link, &[]).await?;
    assert_eq!(
        status(&looked_at),
        "403",
        "looking at a link does not use it up"
    );
    let elsewhere = world
        .ask("GET", &link, &[("Sec-Fetch-Site", "cross-site")])
        .await?;
    assert_eq!(
        status(&elsewhere),
        "403",
        "another site cannot log anybody in"
    );
    assert_eq!(status(&world.ask("GET", &link, &[]).await?), "303");
    assert_eq!(
        status(&world.ask("GET", &link, &[]).await?),
        "403",
        "a link serves once"
    );
    let late = world.link("one-time-token-0002", "ana", &[], -1).await?;
    assert_eq!(status(&world.ask("GET", &late, &[]).await?), "403");
    let left = world
        .cluster
        .kubectl(&["get", "secrets", "-n", "pilotis-login", "-o", "name"])?;
    assert_eq!(left.trim(), "", "used and expired links are deleted");
    Ok(())
}

async fn pages_are_read_as_the_person(world: &World) -> Result<()> {
    let page = "/projets/bonjour/livraisons/web-8d21f600aa11";
    let nobody = world.log_in("token-of-a-nobody-01", "bob", &[]).await?;
    let refused = world.ask("GET", page, &[("Cookie", &nobody)]).await?;
    assert_eq!(
        status(&refused),
        "403",
        "a person without rights reads nothing"
    );
    let empty = world
        .ask("GET", "/applications", &[("Cookie", &nobody)])
        .await?;
    assert!(empty.contains("Aucun projet ne vous est ouvert"), "{empty}");
    assert!(!empty.contains("bonjour</a>"), "{empty}");
    let admin = world
        .log_in("token-of-the-admin-1", "pilotis-admin", &["system:masters"])
        .await?;
    let admin = [("Cookie", admin.as_str())];
    let read = world.ask("GET", page, &admin).await?;
    assert_eq!(status(&read), "200", "{read}");
    assert!(
        read.contains("<h1>Une page</h1>") && read.contains("data-live="),
        "{read}"
    );
    let list = world
        .ask("GET", "/projets/bonjour/livraisons", &admin)
        .await?;
    assert!(list.contains("1\u{202f}livraison"), "{list}");
    let empty = world.ask("GET", "/applications", &admin).await?;
    assert!(
        empty.contains("Aucune application pour l’instant"),
        "{empty}"
    );
    assert!(empty.contains("Livraisons de guichet"), "{empty}");
    for missing in [
        "/projets/bonjour/livraisons/none",
        "/projets/KUBE/livraisons",
        "/x",
    ] {
        assert_eq!(
            status(&world.ask("GET", missing, &admin).await?),
            "404",
            "{missing}"
        );
    }
    let origin = format!("http://{HOST}:{}", world.port);
    let out = [
        ("Origin", origin.as_str()),
        admin[0],
        ("Content-Length", "0"),
    ];
    assert_eq!(
        status(&world.ask("POST", "/deconnexion", &out).await?),
        "303"
    );
    assert_eq!(
        status(&world.ask("GET", page, &admin).await?),
        "303",
        "the session has ended"
    );
    Ok(())
}

async fn a_member_finds_their_own_projects(world: &World) -> Result<()> {
    let ana = world
        .log_in("token-of-a-member-01", "ana", &["equipe"])
        .await?;
    let ana = [("Cookie", ana.as_str())];
    for path in ["/projets", "/applications"] {
        let page = world.ask("GET", path, &ana).await?;
        assert_eq!(status(&page), "200", "{page}");
        assert!(page.contains("/projets/bonjour/livraisons"), "{page}");
        assert!(!page.contains("guichet"), "{page}");
    }
    let others = world
        .ask("GET", "/projets/guichet/livraisons", &ana)
        .await?;
    assert_eq!(status(&others), "403");
    assert!(
        others.contains("Se déconnecter"),
        "a refusal knows who looks: {others}"
    );
    Ok(())
}

async fn a_change_reaches_an_open_page(world: &World) -> Result<()> {
    let cookie = world
        .log_in("token-of-the-admin-2", "pilotis-admin", &["system:masters"])
        .await?;
    let path = "/projets/bonjour/livraisons/web-8d21f600aa11/direct";
    let mut stream = world.send("GET", path, &[("Cookie", &cookie)]).await?;
    read_until(&mut stream, "porte-mirror").await?;
    let patch = r#"{"status":{"gates":[{"name":"mirror","state":"Passed","message":"copied"}]}}"#;
    patch_delivery(world, patch)?;
    read_until(&mut stream, "Franchie").await?;
    let patch = r#"{"status":{"gates":[{"name":"mirror","state":"Failed","message":"lost"}]}}"#;
    patch_delivery(world, patch)?;
    read_until(&mut stream, "event: end").await
}

fn patch_delivery(world: &World, patch: &str) -> Result<()> {
    let name = "web-8d21f600aa11";
    let place = [
        "-n",
        "project-bonjour",
        "--subresource=status",
        "--type=merge",
        "-p",
        patch,
    ];
    world
        .cluster
        .kubectl(&[&["patch", "delivery", name], place.as_slice()].concat())?;
    Ok(())
}

async fn read_until(stream: &mut TcpStream, expected: &str) -> Result<()> {
    let mut seen = Vec::new();
    let found = tokio::time::timeout(DEADLINE, async {
        while !String::from_utf8_lossy(&seen).contains(expected) {
            if stream.read_buf(&mut seen).await? == 0 {
                anyhow::bail!("the stream ended");
            }
        }
        Ok(())
    });
    let outcome = found.await;
    let text = String::from_utf8_lossy(&seen);
    outcome.with_context(|| format!("no {expected} in {text}"))?
}
