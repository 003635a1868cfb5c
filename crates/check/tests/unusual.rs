//! Faults in places outside charts that are easy to miss, and what looks like a fault and is none.
//!
//! Each was tried on the program before it was kept; those it missed were mended first.

use pilotis_check::{Options, Past, run_with_history};

use crate::samples::expect;
use crate::{judge, tree};

#[test]
fn defaults_of_build_arguments_are_blamed_where_they_are_given() {
    expect(
        &[(
            "Dockerfile",
            "ARG BASE=docker.io/library/node:latest\n\
             ARG DB_PASSWORD=Zr7-kkaQ2\n\
             FROM ${BASE} AS build\n\
             ARG NPM_TOKEN=q8Zx72Lm01Pf44\n\
             RUN npm ci\n\
             FROM ${BASE}\n\
             ENV API_KEY=${NPM_TOKEN}\n\
             COPY --from=build /app /app\n\
             USER ${APP_USER:-root}\n\
             EXPOSE ${PORT:-80}\n",
        )],
        &[
            "dockerfile-base-tag Dockerfile:1",
            "dockerfile-secret Dockerfile:2",
            "dockerfile-secret Dockerfile:4",
            "dockerfile-root-user Dockerfile:9",
            "dockerfile-port Dockerfile:10",
        ],
        &[],
    );
}

#[test]
fn parts_of_a_base_image_and_its_user_come_from_arguments() {
    expect(
        &[(
            "docker/Dockerfile.prod",
            "ARG VERSION\n\
             ARG REGISTRY=ghcr.io\n\
             ARG TAG=1.0-debug\n\
             ARG U=0\n\
             FROM ${REGISTRY}/etat/base:${TAG}\n\
             ARG U\n\
             RUN chmod u+s /usr/bin/outil && \\\n\
             \x20   chmod 4755 /opt/x\n\
             USER $U\n",
        )],
        &[
            "dockerfile-debug-base docker/Dockerfile.prod:3",
            "dockerfile-setuid docker/Dockerfile.prod:7",
            "dockerfile-root-user docker/Dockerfile.prod:4",
        ],
        &[],
    );
}

#[test]
fn patches_of_a_kustomization_are_judged_by_what_they_say() {
    expect(
        &[
            (
                "k8s/base/kustomization.yaml",
                "resources: [deployment.yaml]\n\
             images:\n\
             - name: ghcr.io/etat/web\n\
             \x20 newTag: latest\n\
             secretGenerator:\n\
             - name: db\n\
             \x20 literals:\n\
             \x20 - password=Zr7-kkaQ2\n\
             configMapGenerator:\n\
             - name: c\n\
             \x20 literals:\n\
             \x20 - API_TOKEN=q8Zx72Lm01Pf44\n",
            ),
            (
                "k8s/base/deployment.yaml",
                "apiVersion: apps/v1\n\
             kind: Deployment\n\
             metadata:\n\
             \x20 name: web\n\
             spec:\n\
             \x20 template:\n\
             \x20   spec:\n\
             \x20     containers:\n\
             \x20     - name: web\n\
             \x20       image: ghcr.io/etat/web:1.0.0\n",
            ),
            (
                "k8s/overlays/prod/patch.yaml",
                "apiVersion: apps/v1\n\
             kind: Deployment\n\
             metadata:\n\
             \x20 name: web\n\
             spec:\n\
             \x20 template:\n\
             \x20   spec:\n\
             \x20     hostNetwork: true\n\
             \x20     containers:\n\
             \x20     - name: web\n\
             \x20       securityContext:\n\
             \x20         privileged: true\n",
            ),
            (
                "k8s/overlays/prod/kustomization.yaml",
                "resources: [../../base]\n\
             patches:\n\
             - path: patch.yaml\n\
             - patch: |-\n\
             \x20   - op: add\n\
             \x20     path: /spec/template/spec/hostPID\n\
             \x20     value: true\n\
             \x20 target: {kind: Deployment}\n",
            ),
        ],
        &[
            "pod-host-namespaces k8s/overlays/prod/patch.yaml:8",
            "container-privileged k8s/overlays/prod/patch.yaml:12",
            "container-image-tag k8s/base/kustomization.yaml:4",
        ],
        &["container-probes k8s/overlays"],
    );
}

#[test]
fn utf_16_hides_nothing() {
    let utf16 = |text: &str| {
        let units = "\u{feff}".encode_utf16().chain(text.encode_utf16());
        units.flat_map(u16::to_le_bytes).collect::<Vec<u8>>()
    };
    let mut files = tree(&[]);
    files.insert(
        "k8s/d.yaml".into(),
        utf16(
            "apiVersion: apps/v1\n\
             kind: Deployment\n\
             metadata:\n\
             \x20 name: web\n\
             spec:\n\
             \x20 template:\n\
             \x20   spec:\n\
             \x20     hostPID: true\n\
             \x20     containers: []\n",
        ),
    );
    files.insert(
        "conf/app.properties".into(),
        utf16("db.password=Zr7-kkaQ2xx\n"),
    );
    files.insert(
        "Dockerfile".into(),
        utf16(
            "FROM docker.io/library/debian:12\n\
             USER root\n",
        ),
    );
    let report = judge(&files);
    let found = report.findings.iter().map(|finding| {
        let at = finding.position.as_ref().unwrap();
        format!("{} {}:{}", finding.rule, at.file, at.line)
    });
    let found: Vec<String> = found.collect();
    for wanted in [
        "pod-host-namespaces k8s/d.yaml:8",
        "source-secret conf/app.properties:1",
        "dockerfile-root-user Dockerfile:2",
    ] {
        assert!(
            found.iter().any(|one| one == wanted),
            "{wanted}: {found:#?}"
        );
    }
}

#[test]
fn tabs_between_words() {
    expect(
        &[
            (
                "Dockerfile",
                "FROM\tdocker.io/library/debian:12\n\
             ENV\tDB_PASSWORD=Zr7-kkaQ2\n\
             RUN\tchmod\tu+s /x\n\
             USER\troot\n",
            ),
            (
                "k8s/bad.yaml",
                "apiVersion: v1\n\
             kind: Pod\n\
             spec:\n\
             \tcontainers: []\n",
            ),
            (
                "k8s/d.yaml",
                "apiVersion: apps/v1\n\
             kind: Deployment\n\
             metadata:\n\
             \x20 name: web\n\
             spec:\n\
             \x20 template:\n\
             \x20   spec:\n\
             \x20     hostPID:\ttrue\t# tab\n\
             \x20     containers: []\n",
            ),
        ],
        &[
            "dockerfile-secret Dockerfile:2",
            "dockerfile-setuid Dockerfile:3",
            "dockerfile-root-user Dockerfile:4",
            "unreadable-input k8s/bad.yaml:4",
            "pod-host-namespaces k8s/d.yaml:8",
        ],
        &[],
    );
}

#[test]
fn references_to_secrets_are_no_secrets() {
    let files = tree(&[
        (
            "exemples/values.yaml",
            "config: |\n\x20 {\"user\": \"USERNAME\",\n\x20 \"password\": \"PASSWORD\"}\n",
        ),
        ("ci/mysql-values.yaml", "db:\n  password: temporaire\n"),
        (
            "values.schema.yaml",
            "description: |\n\x20 api_token: mon-jeton-1234\n",
        ),
        (
            "Dockerfile",
            "# syntax=docker/dockerfile:1\n\
             ARG TAG=12.5-slim\n\
             FROM docker.io/library/debian:${TAG} AS build\n\
             ARG DB_PASSWORD_FILE=/run/secrets/db\n\
             RUN --mount=type=secret,id=token cat /run/secrets/token > /dev/null\n\
             USER root\n\
             RUN make\n\
             FROM scratch\n\
             COPY --from=build /app /app\n\
             USER 65532:65532\n\
             EXPOSE 8080\n",
        ),
        (
            "values.yaml",
            "passwordSecretRef: db\n\
             auth:\n\
             \x20 existingSecret: db-creds\n\
             \x20 passwordKey: password\n\
             \x20 tokenPath: /var/run/token\n\
             \x20 password: \"\"\n\
             \x20 secretName: web-tls\n\
             token:\n\
             \x20 enabled: true\n\
             passwordPolicy: strict\n\
             imagePullSecrets: [registry]\n\
             keyVault: https://vault.exemple.fr\n",
        ),
        (
            "src/app.py",
            "password = os.environ['PASSWORD']\n\
             PASSWORD_FIELD = 'password'\n\
             token = get_token()\n\
             # password: ci-dessous\n\
             SECRET_NAME = 'db-creds'\n\
             latest = 'latest'\n",
        ),
        (
            "docs/exemple.md",
            "```\n\
             password: changeme\n\
             docker run app:latest\n\
             ```\n",
        ),
        (
            "conf/application.yml",
            "spring:\n\
             \x20 datasource:\n\
             \x20   password: ${DB_PASSWORD}\n\
             \x20   username: app\n\
             \x20 token: ${TOKEN:}\n\
             \x20 version: 10.1.2.3\n",
        ),
    ]);
    assert_eq!(judge(&files).findings, []);
}

#[test]
fn sealed_and_external_secrets_are_no_secrets() {
    let files = tree(&[
        (
            "k8s/secret.yaml",
            "apiVersion: bitnami.com/v1alpha1\n\
             kind: SealedSecret\n\
             metadata:\n\
             \x20 name: db\n\
             spec:\n\
             \x20 encryptedData:\n\
             \x20   password: AgBy3i4OJSWK+PiTySYZZA9rO43cGDEq\n",
        ),
        (
            "k8s/sops.enc.yaml",
            "apiVersion: isindir.github.com/v1alpha3\n\
             kind: SopsSecret\n\
             metadata:\n\
             \x20 name: db\n\
             spec:\n\
             \x20 secretTemplates:\n\
             \x20 - name: db\n\
             \x20   stringData:\n\
             \x20     password: ENC[AES256_GCM,data:abcd,iv:efgh,tag:ijkl,type:str]\n",
        ),
        (
            "k8s/ext.yaml",
            "apiVersion: external-secrets.io/v1\n\
             kind: ExternalSecret\n\
             metadata:\n\
             \x20 name: db\n\
             spec:\n\
             \x20 data:\n\
             \x20 - secretKey: password\n\
             \x20   remoteRef: {key: app/db, property: password}\n",
        ),
        (
            "docker-compose.yml",
            "services:\n\
             \x20 db:\n\
             \x20   image: postgres:16.4\n\
             \x20   environment:\n\
             \x20     POSTGRES_PASSWORD: ${POSTGRES_PASSWORD}\n",
        ),
        (
            ".env.example",
            "DB_PASSWORD=changeme\n\
             API_TOKEN=<votre jeton>\n",
        ),
    ]);
    assert_eq!(judge(&files).findings, []);
}

#[test]
fn manifests_in_json() {
    expect(
        &[(
            "k8s/d.json",
            "{\n\
             \x20\"apiVersion\": \"v1\",\n\
             \x20\"kind\": \"Pod\",\n\
             \x20\"metadata\": {\n\
             \x20 \"name\": \"a\"\n\
             \x20},\n\
             \x20\"spec\": {\n\
             \x20 \"hostPID\": true,\n\
             \x20 \"containers\": [\n\
             \x20  {\n\
             \x20   \"name\": \"w\",\n\
             \x20   \"image\": \"ghcr.io/etat/w:latest\"\n\
             \x20  }\n\
             \x20 ]\n\
             \x20}\n\
             }\n",
        )],
        &[
            "pod-host-namespaces k8s/d.json:8",
            "container-image-tag k8s/d.json:12",
        ],
        &[],
    );
}

#[test]
fn dockerfiles_by_any_usual_name() {
    expect(
        &[
            (
                "dockerfile",
                "FROM ghcr.io/a/b:1\n\
             USER root\n",
            ),
            (
                "web.dockerfile",
                "FROM ghcr.io/a/b:1\n\
             USER root\n",
            ),
            (
                "Dockerfile-prod",
                "FROM ghcr.io/a/b:1\n\
             USER root\n",
            ),
            (
                "Dockerfile_dev",
                "FROM ghcr.io/a/b:1\n\
             USER root\n",
            ),
        ],
        &[
            "dockerfile-root-user dockerfile:2",
            "dockerfile-root-user web.dockerfile:2",
            "dockerfile-root-user Dockerfile-prod:2",
            "dockerfile-root-user Dockerfile_dev:2",
        ],
        &[],
    );
}

#[test]
fn scripts_and_files_written_in_a_dockerfile() {
    expect(
        &[(
            "Dockerfile",
            "# syntax=docker/dockerfile:1\n\
             FROM ghcr.io/a/b:1 AS base\n\
             RUN <<EOF\n\
             set -e\n\
             chmod u+s /usr/bin/x\n\
             export DB_PASSWORD=Zr7-kkaQ2\n\
             curl -k https://x/y | sh\n\
             EOF\n\
             COPY <<CONF /etc/app.conf\n\
             password=Zr7-kkaQ2\n\
             CONF\n\
             USER 0:0\n",
        )],
        &[
            "dockerfile-setuid Dockerfile:3",
            "dockerfile-secret Dockerfile:3",
            "dockerfile-secret Dockerfile:9",
            "dockerfile-root-user Dockerfile:12",
        ],
        &[],
    );
}

#[test]
fn settings_pipelines_and_compositions() {
    expect(
        &[
            (".env", "DB_PASSWORD=Zr7-kkaQ2xx\n"),
            (
                ".gitlab-ci.yml",
                "variables:\n\
             \x20 DB_PASSWORD: Zr7-kkaQ2xx\n\
             build:\n\
             \x20 script:\n\
             \x20 - docker login -u ci -p q8Zx72Lm01Pf44 registry\n",
            ),
            (
                "terraform/main.tf",
                "resource x y {\n\
             \x20 password = \"q8Zx72Lm01Pf44\"\n\
             }\n",
            ),
            (
                "docker-compose.yml",
                "services:\n\
             \x20 db:\n\
             \x20   environment:\n\
             \x20     - POSTGRES_PASSWORD=Zr7-kkaQ2xx\n",
            ),
        ],
        &[
            "source-secret .env:1",
            "source-secret .gitlab-ci.yml:2",
            "source-secret terraform/main.tf:2",
            "source-secret docker-compose.yml:4",
        ],
        &[],
    );
}

#[test]
fn a_secret_of_a_workflow() {
    expect(
        &[(
            ".github/workflows/ci.yml",
            "on: push\n\
             env:\n\
             \x20 API_TOKEN: q8Zx72Lm01Pf44\n\
             jobs:\n\
             \x20 a:\n\
             \x20   steps:\n\
             \x20   - run: echo\n\
             \x20     env:\n\
             \x20       TOKEN: ${{ secrets.TOKEN }}\n",
        )],
        &["source-secret .github/workflows/ci.yml:3"],
        &[],
    );
}

#[test]
fn a_rollout_is_a_workload() {
    expect(
        &[
            (
                "k8s/r.yaml",
                "apiVersion: argoproj.io/v1alpha1\n\
             kind: Rollout\n\
             metadata:\n\
             \x20 name: w\n\
             spec:\n\
             \x20 template:\n\
             \x20   spec:\n\
             \x20     hostNetwork: true\n\
             \x20     containers:\n\
             \x20     - name: w\n\
             \x20       image: ghcr.io/etat/w:latest\n",
            ),
            (
                "k8s/kn.yaml",
                "apiVersion: serving.knative.dev/v1\n\
             kind: Service\n\
             metadata:\n\
             \x20 name: w\n\
             spec:\n\
             \x20 template:\n\
             \x20   spec:\n\
             \x20     containers:\n\
             \x20     - name: w\n\
             \x20       image: ghcr.io/etat/w:latest\n",
            ),
        ],
        &[
            "pod-host-namespaces k8s/r.yaml:8",
            "container-image-tag k8s/r.yaml:11",
        ],
        &[],
    );
}

#[test]
fn names_switches_and_references_are_no_secrets() {
    expect(
        &[
            (
                "k8s/p.yaml",
                "apiVersion: v1\n\
             kind: Pod\n\
             metadata:\n\
             \x20 name: web\n\
             spec:\n\
             \x20 containers:\n\
             \x20 - name: w\n\
             \x20   image: ghcr.io/etat/w:1.0.0\n\
             \x20   args: [--password-file=/run/secrets/db, --token-ttl=3600]\n\
             \x20   env:\n\
             \x20   - name: PASSWORD_MIN_LENGTH\n\
             \x20     value: '12'\n\
             \x20   - name: TOKEN_URL\n\
             \x20     value: https://idp/token\n\
             \x20   - name: DATABASE_URL\n\
             \x20     value: postgres://app:$(DB_PASSWORD)@db/app\n\
             \x20   - name: DB_PASSWORD\n\
             \x20     valueFrom: {secretKeyRef: {name: db, key: password}}\n",
            ),
            (
                ".gitlab-ci.yml",
                "variables:\n\
             \x20 DB_PASSWORD: $CI_DB_PASSWORD\n\
             \x20 TOKEN_NAME: x\n\
             build:\n\
             \x20 script:\n\
             \x20 - docker login -u ci -p $TOKEN registry\n",
            ),
            (
                ".github/workflows/ci.yml",
                "on: push\n\
             jobs:\n\
             \x20 a:\n\
             \x20   permissions: {id-token: write}\n\
             \x20   steps:\n\
             \x20   - run: echo\n\
             \x20     with: {token: '${{ secrets.GITHUB_TOKEN }}', persist-credentials: false}\n",
            ),
            (
                "package-lock.json",
                "{\"name\": \"a\", \"token\": \"q8Zx72Lm01Pf44\"}\n",
            ),
            (
                "config/locales/fr.yml",
                "fr:\n\
             \x20 password: Mot de passe\n\
             \x20 token: Jeton2\n",
            ),
        ],
        &[],
        &["container-secret", "source-secret"],
    );
}

#[test]
fn values_that_an_application_carries() {
    let application = "apiVersion: argoproj.io/v1alpha1\n\
                       kind: Application\n\
                       metadata: {name: web}\n\
                       spec:\n\
                       \x20 source:\n\
                       \x20   targetRevision: 1.2.0\n\
                       \x20   helm:\n\
                       \x20     parameters:\n\
                       \x20     - {name: db.password, value: Zr7-kkaQ2xx}\n\
                       \x20     - {name: image.tag, value: 1.2.0}\n\
                       \x20     valuesObject:\n\
                       \x20       db:\n\
                       \x20         password: Zr7-kkaQ2xx\n\
                       \x20     values: |\n\
                       \x20       redis:\n\
                       \x20         password: Zr7-kkaQ2xx\n";
    let release = "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {name: web}\nspec:\n  valuesFrom:\n  - {kind: Secret, name: web-password}\n  values:\n    auth: {existingSecret: web}\n";
    expect(
        &[("apps/web.yaml", application), ("flux/web.yaml", release)],
        &[
            "values-secret apps/web.yaml:9",
            "values-secret apps/web.yaml:13",
            "values-secret apps/web.yaml:16",
        ],
        &["values-secret flux"],
    );
}

#[test]
fn a_manifest_in_an_old_encoding_does_not_pass_unseen() {
    let mut files = tree(&[]);
    let latin = b"# pr\xe9production\napiVersion: v1\nkind: Pod\nspec: {hostPID: true}\n";
    files.insert("k8s/pod.yaml".into(), latin.to_vec());
    let report = judge(&files);
    assert_eq!(report.findings[0].rule, "unreadable-input");
    assert_eq!(
        report.findings[0].message,
        "illisible : the file is not UTF-8"
    );
}

#[test]
fn objects_and_settings_deleted_since_stay_in_the_history() {
    let past = |path: &str, text: &str| Past {
        commit: "f00dfeed0123456789".into(),
        path: path.into(),
        bytes: text.as_bytes().to_vec(),
    };
    let mut history = [
        past("conf/app.yaml", "a: 1\npassword: Zr7-kkaQ2xx\n"),
        past(
            "k8s/s.yaml",
            "apiVersion: v1\nkind: Secret\nmetadata:\n  name: s\ntype: Opaque\ndata:\n  password: WnI3LWtrYVEyeHg=\n",
        ),
        past(
            "k8s/scelle.yaml",
            "apiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\nspec:\n  encryptedData:\n    password: AgBy3i4OJSWK\n",
        ),
    ]
    .into_iter();
    let report = run_with_history(&tree(&[]), &mut history, &Options::default()).unwrap();
    let found = report.findings.iter().map(|finding| {
        let at = finding.position.as_ref().unwrap();
        format!("{} {}:{}", finding.rule, at.file, at.line)
    });
    let found: Vec<String> = found.collect();
    assert_eq!(
        found,
        [
            "history-secret conf/app.yaml:2",
            "history-secret k8s/s.yaml:7"
        ]
    );
    assert!(!format!("{report:?}").contains("WnI3"));
}
