//! Who may do what: tokens, RBAC, impersonation, escalation, anonymous callers.

use k8s_openapi::api::core::v1::{ConfigMap, ServiceAccount};
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use kube::api::{Api, ListParams, PostParams};
use pilotis_apiserver::Identity;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::World;

async fn make<K>(world: &World, object: Value)
where
    K: kube::Resource<Scope = kube::core::NamespaceResourceScope>,
    K: Clone + std::fmt::Debug + DeserializeOwned + serde::Serialize,
    K::DynamicType: Default,
{
    let api: Api<K> = Api::default_namespaced(world.admin());
    let object = serde_json::from_value(object).unwrap();
    api.create(&PostParams::default(), &object).await.unwrap();
}

async fn reader(world: &World) -> kube::Client {
    make::<ServiceAccount>(world, json!({"metadata": {"name": "robot"}})).await;
    let rule = json!({"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list"]});
    let manage = json!({"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["roles"],
        "verbs": ["create"]});
    make::<Role>(
        world,
        json!({"metadata": {"name": "r"}, "rules": [rule, manage]}),
    )
    .await;
    let binding = json!({
        "metadata": {"name": "b"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "r"},
        "subjects": [{"kind": "ServiceAccount", "name": "robot", "namespace": "default"}],
    });
    make::<RoleBinding>(world, binding).await;
    let (namespace, name) = ("default".into(), "robot".into());
    world
        .server
        .client(Identity::ServiceAccount { namespace, name })
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_does_what_its_role_says_and_no_more() {
    let world = World::new().await;
    let client = reader(&world).await;
    let own: Api<ConfigMap> = Api::namespaced(client.clone(), "default");
    own.list(&ListParams::default()).await.unwrap();
    let other: Api<ConfigMap> = Api::namespaced(client.clone(), "kube-system");
    let error = other
        .list(&ListParams::default())
        .await
        .unwrap_err()
        .to_string();
    let wanted = "configmaps is forbidden: User \"system:serviceaccount:default:robot\" cannot list \
                  resource \"configmaps\" in API group \"\" in the namespace \"kube-system\"";
    assert!(error.contains(wanted), "{error}");
    let write = own
        .create(&PostParams::default(), &ConfigMap::default())
        .await;
    assert!(
        write
            .unwrap_err()
            .to_string()
            .contains("cannot create resource")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_grants_more_than_they_have() {
    let world = World::new().await;
    let client = reader(&world).await;
    let roles: Api<Role> = Api::namespaced(client, "default");
    let role = |resource: &str| -> Role {
        let rule = json!({"apiGroups": [""], "resources": [resource], "verbs": ["get"]});
        serde_json::from_value(json!({"metadata": {"name": resource}, "rules": [rule]})).unwrap()
    };
    roles
        .create(&PostParams::default(), &role("configmaps"))
        .await
        .unwrap();
    let error = roles
        .create(&PostParams::default(), &role("secrets"))
        .await
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("attempting to grant RBAC permissions not currently held")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_dies_with_its_account() {
    let world = World::new().await;
    let client = reader(&world).await;
    let own: Api<ConfigMap> = Api::namespaced(client, "default");
    own.list(&ListParams::default()).await.unwrap();
    let accounts: Api<ServiceAccount> = Api::default_namespaced(world.admin());
    accounts.delete("robot", &Default::default()).await.unwrap();
    let error = own
        .list(&ListParams::default())
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("forbidden") || error.contains("Unauthorized"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn impersonation_is_acting_with_the_rights_of_another() {
    let world = World::new().await;
    reader(&world).await;
    let robot = "--as=system:serviceaccount:default:robot";
    world
        .says(&format!("auth can-i list configmaps {robot}"), "", "yes")
        .await;
    world
        .refuses(&format!("auth can-i list secrets {robot}"), "", "no")
        .await;
    world.says(&format!("get configmaps {robot}"), "", "").await;
    world
        .refuses(
            &format!("get secrets {robot}"),
            "",
            "cannot list resource \"secrets\"",
        )
        .await;
    world.says("create token robot", "", "ey").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_credential_only_health_and_version_answer() {
    let world = World::new().await;
    let ca = reqwest::Certificate::from_pem(world.server.ca_pem().as_bytes()).unwrap();
    let client = reqwest::Client::builder()
        .tls_certs_only([ca])
        .no_proxy()
        .build()
        .unwrap();
    let base = format!("https://{}", world.server.endpoint());
    for (path, code) in [
        ("/healthz", 200),
        ("/readyz", 200),
        ("/version", 200),
        ("/api", 403),
        ("/api/v1/pods", 403),
    ] {
        let answer = client.get(format!("{base}{path}")).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), code, "{path}");
    }
    let wrong = client
        .get(format!("{base}/version"))
        .bearer_auth("nonsense")
        .send()
        .await
        .unwrap();
    assert_eq!(wrong.status().as_u16(), 401);
}
