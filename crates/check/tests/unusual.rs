//! Faults in places that are easy to miss, and what looks like a fault and is none.
//!
//! Each was tried on the program before it was kept; those it missed were mended first.

use pilotis_check::{Options, Past, run_with_history};

use crate::samples::expect;
use crate::{judge, tree};

#[test]
fn a_subchart_under_an_alias_is_blamed_in_its_own_folder() {
    expect(
        &[
            (
                "chart/Chart.yaml",
                "apiVersion: v2\n\
             name: web\n\
             version: 1.0.0\n\
             dependencies:\n\
             - name: db\n\
             \x20 version: 1.0.0\n\
             \x20 repository: file://charts/db\n\
             \x20 alias: base\n",
            ),
            (
                "chart/values.yaml",
                "# parent\n\
             base:\n\
             \x20 image:\n\
             \x20   tag: latest\n\
             \x20 pullPolicy: Always\n",
            ),
            (
                "chart/charts/db/Chart.yaml",
                "apiVersion: v2\n\
             name: db\n\
             version: 1.0.0\n",
            ),
            (
                "chart/charts/db/values.yaml",
                "image:\n\
             \x20 repository: ghcr.io/etat/db\n\
             \x20 tag: 16.1\n\
             pullPolicy: IfNotPresent\n\
             privileged: true\n",
            ),
            (
                "chart/charts/db/templates/db.yaml",
                "apiVersion: apps/v1\n\
             kind: Deployment\n\
             metadata:\n\
             \x20 name: web\n\
             spec:\n\
             \x20 template:\n\
             \x20   spec:\n\
             \x20     containers:\n\
             \x20     - name: db\n\
             \x20       image: \"{{ .Values.image.repository }}:{{ .Values.image.tag }}\"\n\
             \x20       imagePullPolicy: {{ .Values.pullPolicy }}\n\
             \x20       securityContext:\n\
             \x20         privileged: {{ .Values.privileged }}\n",
            ),
        ],
        &[
            "container-image-tag chart/values.yaml:4",
            "container-image-pull-policy chart/values.yaml:5",
            "container-privileged chart/charts/db/values.yaml:5",
        ],
        &[],
    );
}

#[test]
fn defaults_of_helpers_are_blamed_in_the_helper() {
    expect(
        &[
            (
                "chart/Chart.yaml",
                "apiVersion: v2\n\
             name: web\n\
             version: 1.0.0\n",
            ),
            (
                "chart/values.yaml",
                "image: {repository: ghcr.io/etat/web}\n",
            ),
            (
                "chart/templates/_helpers.tpl",
                "{{- define \"web.image\" -}}\n\
             {{- $tag := .Values.image.tag | default \"latest\" -}}\n\
             {{- printf \"%s:%s\" .Values.image.repository $tag -}}\n\
             {{- end -}}\n\
             {{- define \"web.security\" -}}\n\
             privileged: {{ .Values.privileged | default true }}\n\
             allowPrivilegeEscalation: true\n\
             {{- end -}}\n",
            ),
            (
                "chart/templates/web.yaml",
                "apiVersion: apps/v1\n\
             kind: Deployment\n\
             metadata:\n\
             \x20 name: web\n\
             spec:\n\
             \x20 template:\n\
             \x20   spec:\n\
             \x20     containers:\n\
             \x20     - name: web\n\
             \x20       image: {{ include \"web.image\" . }}\n\
             \x20       securityContext: {{- include \"web.security\" . | nindent 10 }}\n",
            ),
        ],
        &[
            "container-privileged chart/templates/_helpers.tpl:6",
            "container-privilege-escalation chart/templates/_helpers.tpl:7",
        ],
        &[],
    );
}

#[test]
fn items_of_a_range_are_blamed_in_the_values() {
    expect(
        &[
            (
                "chart/Chart.yaml",
                "apiVersion: v2\n\
             name: web\n\
             version: 1.0.0\n",
            ),
            (
                "chart/values.yaml",
                "workers:\n\
             \x20 fast:\n\
             \x20   image: ghcr.io/etat/fast:1.2.3\n\
             \x20 slow:\n\
             \x20   image: ghcr.io/etat/slow:latest\n\
             \x20   env:\n\
             \x20     API_TOKEN: q8Zx72Lm01Pf44\n\
             extra:\n\
             - name: x\n\
             \x20 hostPath: /srv\n",
            ),
            (
                "chart/templates/w.yaml",
                "{{- range $name, $w := .Values.workers }}\n\
             ---\n\
             apiVersion: apps/v1\n\
             kind: Deployment\n\
             metadata:\n\
             \x20 name: {{ $name }}\n\
             spec:\n\
             \x20 template:\n\
             \x20   spec:\n\
             \x20     containers:\n\
             \x20     - name: {{ $name }}\n\
             \x20       image: {{ $w.image }}\n\
             \x20       {{- with $w.env }}\n\
             \x20       env:\n\
             \x20       {{- range $k, $v := . }}\n\
             \x20       - name: {{ $k }}\n\
             \x20         value: {{ $v | quote }}\n\
             \x20       {{- end }}\n\
             \x20       {{- end }}\n\
             \x20     volumes:\n\
             \x20     {{- range $.Values.extra }}\n\
             \x20     - name: {{ .name }}\n\
             \x20       hostPath:\n\
             \x20         path: {{ .hostPath }}\n\
             \x20     {{- end }}\n\
             {{- end }}\n",
            ),
        ],
        &[
            "container-image-tag chart/values.yaml:5",
            "container-secret-in-environment chart/values.yaml:7",
            "pod-host-path chart/templates/w.yaml:23",
        ],
        &[],
    );
}

#[test]
fn whole_lists_written_by_to_yaml_are_blamed_item_by_item() {
    expect(
        &[
            (
                "chart/Chart.yaml",
                "apiVersion: v2\n\
             name: web\n\
             version: 1.0.0\n",
            ),
            (
                "chart/values.yaml",
                "initContainers:\n\
             - name: droits\n\
             \x20 image: ghcr.io/etat/outils:1.0\n\
             \x20 securityContext:\n\
             \x20   runAsUser: 0\n\
             \x20   privileged: true\n\
             volumes:\n\
             - name: scratch\n\
             \x20 ephemeral:\n\
             \x20   volumeClaimTemplate:\n\
             \x20     spec:\n\
             \x20       accessModes: [ReadWriteOnce]\n\
             \x20       resources: {requests: {storage: 2Ti}}\n\
             - name: docker\n\
             \x20 hostPath: {path: /var/run/docker.sock}\n",
            ),
            (
                "chart/templates/w.yaml",
                "apiVersion: apps/v1\n\
             kind: Deployment\n\
             metadata:\n\
             \x20 name: web\n\
             spec:\n\
             \x20 template:\n\
             \x20   spec:\n\
             \x20     {{- with .Values.initContainers }}\n\
             \x20     initContainers:\n\
             \x20       {{- toYaml . | nindent 8 }}\n\
             \x20     {{- end }}\n\
             \x20     containers: []\n\
             \x20     volumes: {{- toYaml .Values.volumes | nindent 6 }}\n",
            ),
        ],
        &[
            "container-explicit-root chart/values.yaml:5",
            "container-privileged chart/values.yaml:6",
            "pod-host-path chart/values.yaml:15",
            "volume-claim-size chart/values.yaml:13",
        ],
        &[],
    );
}

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
fn secrets_in_blocks_and_pairs_are_told_at_their_line() {
    expect(
        &[
            (
                "k8s/cm.yaml",
                "apiVersion: v1\n\
             kind: ConfigMap\n\
             metadata:\n\
             \x20 name: c\n\
             data:\n\
             \x20 app.properties: |\n\
             \x20   url=jdbc:postgresql://db/app\n\
             \x20   spring.datasource.password=Zr7-kkaQ2\n\
             \x20 conf.json: >-\n\
             \x20   {\"apiKey\": \"q8Zx72Lm01Pf44\"}\n",
            ),
            (
                "k8s/s.yaml",
                "apiVersion: v1\n\
             kind: Secret\n\
             metadata:\n\
             \x20 name: s\n\
             data:\n\
             \x20 token: cThaeDcyTG0wMVBmNDQ=\n",
            ),
            (
                "chart/Chart.yaml",
                "apiVersion: v2\n\
             name: web\n\
             version: 1.0.0\n",
            ),
            (
                "chart/values.yaml",
                "config: |\n\
             \x20 log: info\n\
             \x20 database:\n\
             \x20   password: Zr7-kkaQ2\n\
             envs:\n\
             - name: DB_PASSWORD\n\
             \x20 value: Zr7-kkaQ2\n\
             - {name: API_TOKEN, value: q8Zx72Lm01Pf44}\n",
            ),
        ],
        &[
            "config-map-secret k8s/cm.yaml:8",
            "config-map-secret k8s/cm.yaml:10",
            "secret-in-clear k8s/s.yaml:6",
            "values-secret chart/values.yaml:4",
            "values-secret chart/values.yaml:7",
            "values-secret chart/values.yaml:8",
        ],
        &[],
    );
}

#[test]
fn values_of_environments_beside_the_chart_are_laid_over_it() {
    expect(
        &[
            (
                "helm/web/Chart.yaml",
                "apiVersion: v2\n\
             name: web\n\
             version: 1.0.0\n",
            ),
            (
                "helm/web/values.yaml",
                "replicas: 2\n\
             policy: IfNotPresent\n",
            ),
            ("environments/prod/values.yaml", "replicas: 1\n"),
            ("environments/dev.yaml", "policy: Always\n"),
            (
                "helm/web/templates/d.yaml",
                "apiVersion: apps/v1\n\
             kind: Deployment\n\
             metadata:\n\
             \x20 name: web\n\
             spec:\n\
             \x20 replicas: {{ .Values.replicas }}\n\
             \x20 template:\n\
             \x20   spec:\n\
             \x20     containers:\n\
             \x20     - name: web\n\
             \x20       image: ghcr.io/etat/web:1.0.0\n\
             \x20       imagePullPolicy: {{ .Values.policy }}\n",
            ),
        ],
        &[
            "workload-replicas environments/prod/values.yaml:1",
            "container-image-pull-policy environments/dev.yaml:1",
        ],
        &["workload-replicas helm"],
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
fn lines_that_end_as_windows_ends_them() {
    expect(
        &[
            (
                "Dockerfile",
                "FROM docker.io/library/debian:12\r\n\
             ENV A=1 \\\r\n\
             \x20   DB_PASSWORD=Zr7-kkaQ2\r\n\
             USER root\r\n",
            ),
            (
                "k8s/d.yaml",
                "apiVersion: apps/v1\r\n\
             kind: Deployment\r\n\
             metadata:\r\n\
             \x20 name: web\r\n\
             spec:\r\n\
             \x20 template:\r\n\
             \x20   spec:\r\n\
             \x20     hostPID: true\r\n\
             \x20     containers:\r\n\
             \x20     - name: web\r\n\
             \x20       image: ghcr.io/etat/web:latest\r\n",
            ),
            (
                "chart/Chart.yaml",
                "apiVersion: v2\r\n\
             name: web\r\n\
             version: 1.0.0\r\n",
            ),
            (
                "chart/values.yaml",
                "a: 1\r\n\
             image: ghcr.io/etat/web:latest\r\n",
            ),
            (
                "chart/templates/d.yaml",
                "apiVersion: apps/v1\r\n\
             kind: Deployment\r\n\
             metadata:\r\n\
             \x20 name: web\r\n\
             spec:\r\n\
             \x20 template:\r\n\
             \x20   spec:\r\n\
             \x20     containers:\r\n\
             \x20     - name: web\r\n\
             \x20       image: {{ .Values.image }}\r\n",
            ),
        ],
        &[
            "dockerfile-root-user Dockerfile:4",
            "dockerfile-secret Dockerfile:2",
            "pod-host-namespaces k8s/d.yaml:8",
            "container-image-tag k8s/d.yaml:11",
            "container-image-tag chart/values.yaml:2",
        ],
        &[],
    );
}

#[test]
fn a_byte_order_mark_hides_nothing() {
    expect(
        &[
            (
                "Dockerfile",
                "\u{feff}FROM docker.io/library/debian:12\n\
             USER root\n",
            ),
            (
                "k8s/d.yaml",
                "\u{feff}apiVersion: apps/v1\n\
             kind: Deployment\n\
             metadata:\n\
             \x20 name: web\n\
             spec:\n\
             \x20 template:\n\
             \x20   spec:\n\
             \x20     hostPID: true\n\
             \x20     containers: []\n",
            ),
            (
                "chart/Chart.yaml",
                "\u{feff}apiVersion: v2\n\
             name: web\n\
             version: 1.0.0\n",
            ),
            (
                "chart/values.yaml",
                "\u{feff}image: ghcr.io/etat/web:latest\n",
            ),
            (
                "chart/templates/d.yaml",
                "apiVersion: apps/v1\n\
             kind: Deployment\n\
             metadata:\n\
             \x20 name: web\n\
             spec:\n\
             \x20 template:\n\
             \x20   spec:\n\
             \x20     containers:\n\
             \x20     - name: web\n\
             \x20       image: {{ .Values.image }}\n",
            ),
            ("conf/app.yml", "\u{feff}password: Zr7-kkaQ2\n"),
        ],
        &[
            "dockerfile-root-user Dockerfile:2",
            "pod-host-namespaces k8s/d.yaml:8",
            "container-image-tag chart/values.yaml:1",
            "source-secret conf/app.yml:1",
        ],
        &[],
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
fn values_that_are_templates_globals_and_anchors() {
    expect(
        &[
            (
                "chart/Chart.yaml",
                "apiVersion: v2\n\
             name: web\n\
             version: 1.0.0\n\
             dependencies:\n\
             - {name: sub, version: 1.0.0}\n",
            ),
            (
                "chart/values.yaml",
                "global:\n\
             \x20 registry: docker.exemple.org\n\
             \x20 policy: Always\n\
             imageTpl: \"{{ .Values.global.registry }}/web:latest\"\n\
             anchors:\n\
             \x20 sc: &sc\n\
             \x20   privileged: true\n\
             securityContext:\n\
             \x20 <<: *sc\n",
            ),
            (
                "chart/charts/sub/Chart.yaml",
                "apiVersion: v2\n\
             name: sub\n\
             version: 1.0.0\n",
            ),
            (
                "chart/charts/sub/templates/d.yaml",
                "apiVersion: apps/v1\n\
             kind: Deployment\n\
             metadata:\n\
             \x20 name: web\n\
             spec:\n\
             \x20 template:\n\
             \x20   spec:\n\
             \x20     containers:\n\
             \x20     - name: sub\n\
             \x20       image: \"{{ .Values.global.registry }}/sub:1.0.0\"\n\
             \x20       imagePullPolicy: {{ .Values.global.policy }}\n",
            ),
            (
                "chart/templates/d.yaml",
                "apiVersion: apps/v1\n\
             kind: Deployment\n\
             metadata:\n\
             \x20 name: web\n\
             spec:\n\
             \x20 template:\n\
             \x20   spec:\n\
             \x20     containers:\n\
             \x20     - name: web\n\
             \x20       image: {{ tpl .Values.imageTpl . }}\n\
             \x20       securityContext: {{- toYaml .Values.securityContext | nindent 10 }}\n",
            ),
        ],
        &[
            "container-image-registry chart/values.yaml:2",
            "container-image-pull-policy chart/values.yaml:3",
            "container-image-tag chart/values.yaml:4",
            "container-privileged chart/values.yaml:7",
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
fn digests_overlays_and_tests_are_no_faults() {
    expect(
        &[
            (
                "chart/Chart.yaml",
                "apiVersion: v2\n\
             name: web\n\
             version: 1.0.0\n",
            ),
            (
                "chart/values.yaml",
                "image: {repository: ghcr.io/etat/web, tag: \"\", digest: sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa}\n\
             replicas: 2\n",
            ),
            ("chart/values-dev.yaml", "replicas: 1\n"),
            (
                "chart/templates/_h.tpl",
                "{{- define \"img\" -}}\n\
             {{ .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ .tag | default \"latest\" }}{{ end }}\n\
             {{- end -}}\n",
            ),
            (
                "chart/templates/cm.yaml",
                "apiVersion: v1\n\
             kind: ConfigMap\n\
             metadata: {name: c}\n\
             data:\n\
             \x20 note: |\n\
             \x20   le mot de passe est dans le Secret db\n\
             \x20   password_file=/run/secrets/db\n\
             \x20 url: https://api.exemple.fr:8443/v1\n\
             \x20 masque: 255.255.255.0\n",
            ),
            (
                "chart/templates/tests/t.yaml",
                "apiVersion: v1\n\
             kind: Pod\n\
             metadata:\n\
             \x20 name: t\n\
             \x20 annotations: {helm.sh/hook: test}\n\
             spec:\n\
             \x20 restartPolicy: Never\n\
             \x20 containers:\n\
             \x20 - name: t\n\
             \x20   image: {{ include \"img\" .Values.image }}\n\
             \x20   securityContext: {readOnlyRootFilesystem: true}\n\
             \x20   resources: {requests: {cpu: 10m, memory: 16Mi}, limits: {cpu: 10m, memory: 16Mi}}\n",
            ),
        ],
        &[],
        &[
            "container-image-tag",
            "config-map-secret",
            "unreadable",
            "workload",
            "container-probes",
            "hard-coded",
            "config-map-address",
        ],
    );
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
fn a_secret_s_default_in_its_template() {
    expect(
        &[
            (
                "chart/Chart.yaml",
                "apiVersion: v2\n\
             name: web\n\
             version: 1.0.0\n",
            ),
            ("chart/values.yaml", "a: 1\n"),
            (
                "chart/templates/s.yaml",
                "apiVersion: v1\n\
             kind: Secret\n\
             metadata:\n\
             \x20 name: s\n\
             stringData:\n\
             \x20 password: {{ .Values.password | default \"Zr7-kkaQ2xx\" | quote }}\n\
             \x20 other: {{ required \"il faut\" .Values.a | toString | quote }}\n",
            ),
        ],
        &["secret-in-clear chart/templates/s.yaml:6"],
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
fn jobs_made_by_a_loop() {
    expect(
        &[
            (
                "chart/Chart.yaml",
                "apiVersion: v2\n\
             name: web\n\
             version: 1.0.0\n",
            ),
            (
                "chart/values.yaml",
                "jobs:\n\
             - name: purge\n\
             \x20 privileged: true\n\
             \x20 policy: Always\n",
            ),
            (
                "chart/templates/j.yml",
                "{{- range .Values.jobs }}\n\
             ---\n\
             apiVersion: batch/v1\n\
             kind: CronJob\n\
             metadata:\n\
             \x20 name: {{ .name }}\n\
             spec:\n\
             \x20 jobTemplate:\n\
             \x20   spec:\n\
             \x20     template:\n\
             \x20       spec:\n\
             \x20         containers:\n\
             \x20         - name: {{ .name }}\n\
             \x20           image: ghcr.io/etat/p:1.0.0\n\
             \x20           imagePullPolicy: {{ .policy }}\n\
             \x20           securityContext:\n\
             \x20             privileged: {{ .privileged }}\n\
             {{- end }}\n",
            ),
        ],
        &[
            "container-privileged chart/values.yaml:3",
            "container-image-pull-policy chart/values.yaml:4",
        ],
        &[],
    );
}

#[test]
fn a_helper_given_a_part_of_the_values() {
    expect(
        &[
            (
                "chart/Chart.yaml",
                "apiVersion: v2\n\
             name: web\n\
             version: 1.0.0\n",
            ),
            (
                "chart/values.yaml",
                "web:\n\
             \x20 sc:\n\
             \x20   runAsUser: 0\n\
             \x20   readOnlyRootFilesystem: false\n",
            ),
            (
                "chart/templates/_p.tpl",
                "{{- define \"pod\" -}}\n\
             hostIPC: true\n\
             containers:\n\
             - name: web\n\
             \x20 image: ghcr.io/etat/web\n\
             \x20 {{- with .sc }}\n\
             \x20 securityContext:\n\
             \x20   {{- toYaml . | nindent 4 }}\n\
             \x20 {{- end }}\n\
             {{- end -}}\n",
            ),
            (
                "chart/templates/d.yaml",
                "apiVersion: apps/v1\n\
             kind: Deployment\n\
             metadata:\n\
             \x20 name: web\n\
             spec:\n\
             \x20 template:\n\
             \x20   spec:\n\
             \x20     {{- include \"pod\" .Values.web | nindent 6 }}\n",
            ),
        ],
        &[
            "pod-host-namespaces chart/templates/_p.tpl:2",
            "container-image-tag chart/templates/_p.tpl:5",
            "container-explicit-root chart/values.yaml:3",
            "container-writable-root chart/values.yaml:4",
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
