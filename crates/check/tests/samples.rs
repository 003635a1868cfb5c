//! Whole repositories with faults where teams put them, each told at the line that causes it.
//!
//! Written in one go without looking at what the rules would say, then kept as they are.

use pilotis_check::{Options, Past, run_with_history};

use crate::{judge, tree};

const USUAL_VALUES: &str = "replicaCount: 1\n\
                  image:\n\
                  \x20 repository: ghcr.io/etat/web\n\
                  \x20 pullPolicy: Always\n\
                  \x20 tag: \"\"\n\
                  podSecurityContext:\n\
                  \x20 fsGroup: 2000\n\
                  securityContext:\n\
                  \x20 capabilities:\n\
                  \x20   add: [NET_ADMIN]\n\
                  \x20 readOnlyRootFilesystem: false\n\
                  service:\n\
                  \x20 type: NodePort\n\
                  \x20 port: 80\n\
                  database:\n\
                  \x20 host: 10.4.2.7\n\
                  \x20 password: azerty-1234\n";
const USUAL_HELPERS: &str = "{{- define \"web.labels\" -}}\n\
                   app: web\n\
                   env: production\n\
                   tier: backend\n\
                   {{- end }}\n\
                   {{- define \"web.probes\" -}}\n\
                   terminationGracePeriodSeconds: 0\n\
                   {{- end }}\n";
const CHART: &str = "apiVersion: v2\nname: web\nversion: 1.0.0\n";

/// Asserts that each `rule file:line` is among the findings, and that no rule of `never` is.
pub(crate) fn expect(files: &[(&str, &str)], wanted: &[&str], never: &[&str]) {
    let report = judge(&tree(files));
    let found: Vec<String> = report
        .findings
        .iter()
        .map(|finding| match &finding.position {
            Some(at) => format!("{} {}:{}", finding.rule, at.file, at.line),
            None => finding.rule.clone(),
        })
        .collect();
    let missing: Vec<&&str> = wanted
        .iter()
        .filter(|one| !found.iter().any(|f| f == *one))
        .collect();
    assert!(missing.is_empty(), "missing {missing:#?}\nfound {found:#?}");
    let wrong: Vec<&String> = found
        .iter()
        .filter(|f| never.iter().any(|rule| f.starts_with(rule)))
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_chart_in_the_usual_form_with_faults_in_values_helpers_and_defaults() {
    let deployment = "apiVersion: apps/v1\n\
                      kind: Deployment\n\
                      metadata:\n\
                      \x20 name: {{ .Release.Name }}\n\
                      spec:\n\
                      \x20 replicas: {{ .Values.replicaCount }}\n\
                      \x20 template:\n\
                      \x20   metadata:\n\
                      \x20     labels:\n\
                      \x20       {{- include \"web.labels\" . | nindent 8 }}\n\
                      \x20   spec:\n\
                      \x20     {{- include \"web.probes\" . | nindent 6 }}\n\
                      \x20     securityContext:\n\
                      \x20       {{- toYaml .Values.podSecurityContext | nindent 8 }}\n\
                      \x20     containers:\n\
                      \x20     - name: web\n\
                      \x20       image: \"{{ .Values.image.repository }}:{{ .Values.image.tag | default \"latest\" }}\"\n\
                      \x20       imagePullPolicy: {{ .Values.image.pullPolicy }}\n\
                      \x20       securityContext:\n\
                      \x20         {{- toYaml .Values.securityContext | nindent 10 }}\n\
                      \x20       env:\n\
                      \x20       - name: DB_HOST\n\
                      \x20         value: {{ .Values.database.host | quote }}\n\
                      \x20       - name: DB_PASSWORD\n\
                      \x20         value: {{ .Values.database.password | quote }}\n";
    let service = "apiVersion: v1\nkind: Service\nmetadata:\n  name: web\nspec:\n  type: {{ .Values.service.type }}\n  ports:\n  - port: {{ .Values.service.port }}\n";
    expect(
        &[
            ("chart/Chart.yaml", CHART),
            ("chart/values.yaml", USUAL_VALUES),
            ("chart/templates/_helpers.tpl", USUAL_HELPERS),
            ("chart/templates/deployment.yaml", deployment),
            ("chart/templates/service.yaml", service),
        ],
        &[
            "workload-replicas chart/values.yaml:1",
            "container-image-pull-policy chart/values.yaml:4",
            "container-image-tag chart/templates/deployment.yaml:17",
            "container-fixed-identity chart/values.yaml:7",
            "container-capabilities chart/values.yaml:10",
            "container-writable-root chart/values.yaml:11",
            "service-node-port chart/values.yaml:13",
            "hard-coded-address chart/values.yaml:16",
            "container-secret-in-environment chart/values.yaml:17",
            "values-secret chart/values.yaml:17",
            "pod-labels chart/templates/_helpers.tpl:3",
            "workload-abrupt-stop chart/templates/_helpers.tpl:7",
        ],
        &["unreadable-input"],
    );
}

#[test]
fn an_environment_s_values_are_to_blame_for_that_environment_only() {
    let deployment = "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: web\nspec:\n  replicas: {{ .Values.replicas }}\n  template:\n    spec:\n      containers:\n      - name: web\n        image: {{ .Values.image }}\n        imagePullPolicy: {{ .Values.policy }}\n";
    expect(
        &[
            ("deploy/Chart.yaml", CHART),
            (
                "deploy/values.yaml",
                "replicas: 2\nimage: ghcr.io/etat/web:1.0.0\npolicy: IfNotPresent\n",
            ),
            (
                "deploy/values-dev.yaml",
                "replicas: 1\nimage: ghcr.io/etat/web:dev\n",
            ),
            (
                "deploy/values-prod.yaml",
                "# production\nreplicas: 1\npolicy: Always\n",
            ),
            ("deploy/templates/web.yaml", deployment),
        ],
        &[
            "container-image-moving-tag deploy/values-dev.yaml:2",
            "workload-replicas deploy/values-prod.yaml:2",
            "container-image-pull-policy deploy/values-prod.yaml:3",
        ],
        &[
            "workload-replicas deploy/values-dev.yaml",
            "workload-replicas deploy/values.yaml",
        ],
    );
}

#[test]
fn init_sidecar_and_ephemeral_containers_of_a_stateful_set() {
    let manifest = "apiVersion: apps/v1\n\
                    kind: StatefulSet\n\
                    metadata:\n\
                    \x20 name: db\n\
                    spec:\n\
                    \x20 replicas: 2\n\
                    \x20 template:\n\
                    \x20   spec:\n\
                    \x20     initContainers:\n\
                    \x20     - name: chown\n\
                    \x20       image: ghcr.io/etat/outils:1.0\n\
                    \x20       securityContext:\n\
                    \x20         runAsUser: 0\n\
                    \x20         privileged: true\n\
                    \x20     - name: proxy\n\
                    \x20       image: ghcr.io/etat/proxy\n\
                    \x20       restartPolicy: Always\n\
                    \x20       ports:\n\
                    \x20       - containerPort: 443\n\
                    \x20     containers:\n\
                    \x20     - name: db\n\
                    \x20       image: ghcr.io/etat/db:16.1\n\
                    \x20       volumeMounts:\n\
                    \x20       - name: logs\n\
                    \x20         mountPath: /var/log/db\n\
                    \x20     volumes:\n\
                    \x20     - name: logs\n\
                    \x20       hostPath:\n\
                    \x20         path: /srv/logs\n\
                    \x20 volumeClaimTemplates:\n\
                    \x20 - metadata:\n\
                    \x20     name: data\n\
                    \x20   spec:\n\
                    \x20     resources:\n\
                    \x20       requests:\n\
                    \x20         storage: 2Ti\n";
    let pod = "apiVersion: v1\nkind: Pod\nmetadata:\n  name: aide\nspec:\n  containers:\n  - name: web\n    image: ghcr.io/etat/web:1\n  ephemeralContainers:\n  - name: shell\n    image: ghcr.io/etat/shell:latest\n    securityContext:\n      allowPrivilegeEscalation: true\n";
    expect(
        &[("k8s/db.yaml", manifest), ("k8s/pod.yaml", pod)],
        &[
            "container-explicit-root k8s/db.yaml:13",
            "container-privileged k8s/db.yaml:14",
            "container-image-tag k8s/db.yaml:16",
            "container-port k8s/db.yaml:19",
            "container-log-volume k8s/db.yaml:25",
            "pod-host-path k8s/db.yaml:28",
            "volume-claim-size k8s/db.yaml:36",
            "stateful-without-backup k8s/db.yaml:30",
            "container-image-tag k8s/pod.yaml:11",
            "container-privilege-escalation k8s/pod.yaml:13",
        ],
        &[],
    );
}

#[test]
fn lists_and_several_documents_of_plain_manifests() {
    let list = "apiVersion: v1\n\
                kind: List\n\
                items:\n\
                - apiVersion: v1\n\
                \x20 kind: Service\n\
                \x20 metadata: {name: a}\n\
                \x20 spec:\n\
                \x20   type: NodePort\n\
                - apiVersion: batch/v1\n\
                \x20 kind: CronJob\n\
                \x20 metadata: {name: purge}\n\
                \x20 spec:\n\
                \x20   schedule: '0 3 * * *'\n\
                \x20   successfulJobsHistoryLimit: 50\n\
                \x20   jobTemplate:\n\
                \x20     spec:\n\
                \x20       template:\n\
                \x20         spec:\n\
                \x20           hostNetwork: true\n\
                \x20           containers:\n\
                \x20           - name: purge\n\
                \x20             image: ghcr.io/etat/purge:latest\n\
                \x20             env:\n\
                \x20             - {name: API_TOKEN, value: s3cr3t-value}\n";
    let typed = "apiVersion: apps/v1\nkind: DeploymentList\nitems:\n- metadata: {name: b}\n  spec:\n    template:\n      spec:\n        hostPID: true\n        containers: []\n";
    let several = "# premier\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata:\n  smtp_password: azerty99\n---\n---\napiVersion: v1\nkind: Secret\nmetadata: {name: d}\nstringData:\n  cle: valeur\n";
    expect(
        &[
            ("k8s/tout.yml", list),
            ("k8s/type.yaml", typed),
            ("k8s/suite.yaml", several),
        ],
        &[
            "service-node-port k8s/tout.yml:8",
            "cron-job-history k8s/tout.yml:14",
            "pod-host-namespaces k8s/tout.yml:19",
            "container-image-tag k8s/tout.yml:22",
            "container-secret-in-environment k8s/tout.yml:24",
            "pod-host-namespaces k8s/type.yaml:8",
            "config-map-secret k8s/suite.yaml:7",
            "secret-in-clear k8s/suite.yaml:14",
        ],
        &[],
    );
}

#[test]
fn a_list_that_a_chart_renders_is_told_in_its_template() {
    let template = "apiVersion: v1\nkind: List\nitems:\n{{- range .Values.services }}\n- apiVersion: v1\n  kind: Service\n  metadata:\n    name: {{ .name }}\n  spec:\n    type: {{ .type }}\n{{- end }}\n";
    expect(
        &[
            ("chart/Chart.yaml", CHART),
            (
                "chart/values.yaml",
                "services:\n- name: a\n  type: ClusterIP\n- name: b\n  type: NodePort\n",
            ),
            ("chart/templates/list.yaml", template),
        ],
        &["service-node-port chart/values.yaml:5"],
        &["service-node-port chart/values.yaml:3"],
    );
}

#[test]
fn subcharts_aliases_and_global_values() {
    let dependency = "apiVersion: v2\nname: umbrella\nversion: 1.0.0\ndependencies:\n- name: cache\n  alias: front\n  version: 1.0.0\n- name: cache\n  alias: back\n  version: 1.0.0\n";
    let sub = "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: {{ .Release.Name }}-{{ .Chart.Name }}\nspec:\n  replicas: {{ .Values.replicas }}\n  template:\n    spec:\n      containers:\n      - name: cache\n        image: {{ .Values.global.registry }}/cache:{{ .Values.tag }}\n";
    expect(
        &[
            ("chart/Chart.yaml", dependency),
            (
                "chart/values.yaml",
                "global:\n  registry: ghcr.io/etat\nfront:\n  replicas: 2\n  tag: 1.0.0\nback:\n  replicas: 2\n  tag: latest\n",
            ),
            (
                "chart/charts/cache/Chart.yaml",
                "apiVersion: v2\nname: cache\nversion: 1.0.0\n",
            ),
            (
                "chart/charts/cache/values.yaml",
                "replicas: 1\ntag: 0.9.0\n",
            ),
            ("chart/charts/cache/templates/cache.yaml", sub),
        ],
        &["container-image-tag chart/values.yaml:8"],
        &[
            "chart-dependency-absent",
            "container-image-tag chart/values.yaml:5",
            "workload-replicas",
        ],
    );
}

#[test]
fn values_built_by_tpl_and_printf_and_merged() {
    let template = "{{- $defaults := dict \"runAsUser\" 0 }}\n\
                    {{- $context := merge (dict) (default (dict) .Values.securityContext) $defaults }}\n\
                    apiVersion: apps/v1\n\
                    kind: Deployment\n\
                    metadata:\n\
                    \x20 name: web\n\
                    spec:\n\
                    \x20 template:\n\
                    \x20   spec:\n\
                    \x20     containers:\n\
                    \x20     - name: web\n\
                    \x20       image: {{ tpl .Values.image . }}\n\
                    \x20       securityContext: {{ toJson $context }}\n\
                    \x20       env: {{- toYaml .Values.env | nindent 8 }}\n";
    expect(
        &[
            ("chart/Chart.yaml", CHART),
            (
                "chart/values.yaml",
                "tag: latest\nimage: 'ghcr.io/etat/web:{{ .Values.tag }}'\nenv:\n- name: HOST\n  value: web\n- name: SECRET_KEY\n  value: abcdef0123\n",
            ),
            ("chart/templates/web.yaml", template),
        ],
        &[
            "container-image-tag chart/values.yaml:2",
            "container-explicit-root chart/templates/web.yaml:13",
            "container-secret-in-environment chart/values.yaml:7",
        ],
        &[],
    );
}

#[test]
fn a_dockerfile_of_several_stages_with_arguments() {
    let dockerfile = "# syntax=docker/dockerfile:1\n\
                      ARG NODE_VERSION=16\n\
                      ARG REGISTRY=docker.io/library\n\
                      FROM ${REGISTRY}/node:${NODE_VERSION}-alpine AS deps\n\
                      ARG NPM_TOKEN=npm-secret-value\n\
                      RUN npm config set strict-ssl false && npm ci\n\
                      RUN curl -fsSL https://outil.example/install.sh | sh\n\
                      \n\
                      FROM deps AS test\n\
                      RUN npm test\n\
                      \n\
                      FROM ghcr.io/etat/base:latest\n\
                      COPY --from=deps /app/node_modules /app/node_modules\n\
                      COPY --from=busybox /bin/sh /bin/sh\n\
                      COPY . /app\n\
                      COPY .env /app/.env\n\
                      ARG DB_PASSWORD\n\
                      ENV DATABASE_PASSWORD=$DB_PASSWORD\n\
                      ENV PORT=80\n\
                      EXPOSE ${PORT} 8443\n\
                      RUN chmod u+s /app/run\n\
                      ARG APP_USER=root\n\
                      USER ${APP_USER}\n\
                      CMD node /app/index.js\n";
    expect(
        &[("Dockerfile", dockerfile)],
        &[
            "dockerfile-base-end-of-life Dockerfile:2",
            "dockerfile-secret Dockerfile:5",
            "dockerfile-tls-verification-off Dockerfile:6",
            "dockerfile-remote-script Dockerfile:7",
            "dockerfile-base-tag Dockerfile:12",
            "dockerfile-base-tag Dockerfile:14",
            "dockerfile-secret Dockerfile:16",
            "dockerfile-secret Dockerfile:18",
            "dockerfile-port Dockerfile:19",
            "dockerfile-setuid Dockerfile:21",
            "dockerfile-root-user Dockerfile:22",
            "dockerfile-shell-command Dockerfile:24",
        ],
        &[
            "dockerfile-base-tag Dockerfile:13",
            "dockerfile-single-stage",
        ],
    );
}

#[test]
fn a_root_user_inherited_from_an_earlier_stage() {
    let dockerfile = "FROM ghcr.io/etat/base:1 AS base\nUSER root\nRUN adduser app\n\nFROM base AS build\nUSER app\nRUN make\n\nFROM base\nCOPY --from=build /app /app\n";
    expect(
        &[
            ("build/app.Dockerfile", dockerfile),
            (
                "build/Containerfile.dev",
                "FROM scratch\nUSER 1\nENV API_KEY=abcdef\n",
            ),
        ],
        &[
            "dockerfile-root-user build/app.Dockerfile:2",
            "dockerfile-secret build/Containerfile.dev:3",
        ],
        &["unreadable-input"],
    );
}

#[test]
fn a_secret_deleted_from_the_tree_stays_in_the_history() {
    let files = tree(&[
        ("config/app.properties", "db.url=jdbc:postgresql://db/app\n"),
        ("README.md", "bonjour\n"),
    ]);
    let past = |path: &str, text: &str| Past {
        commit: "f00dfeed0123456789".into(),
        path: path.into(),
        bytes: text.as_bytes().to_vec(),
    };
    let mut history = [
        past(
            "config/app.properties",
            "db.url=jdbc:postgresql://db/app\ndb.password=Zr7-kkaQ2\n",
        ),
        past(
            "deploy/values.yaml",
            "a: 1\nredis:\n  password: Zr7-kkaQ2\n",
        ),
        past("Dockerfile", "FROM scratch\nENV DB_PASSWORD=Zr7-kkaQ2\n"),
        past(
            "keys/id_rsa",
            "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQ\n",
        ),
        past("image.bin", "a\0b password=Zr7-kkaQ2"),
    ]
    .into_iter();
    let report = run_with_history(&files, &mut history, &Options::default()).unwrap();
    let found: Vec<String> = report
        .findings
        .iter()
        .filter(|finding| finding.rule == "history-secret")
        .map(|finding| finding.position.as_ref().unwrap().to_string())
        .collect();
    let lines: Vec<&str> = found
        .iter()
        .map(|at| at.rsplit_once(':').unwrap().0)
        .collect();
    assert_eq!(
        lines,
        [
            "Dockerfile:2",
            "config/app.properties:2",
            "deploy/values.yaml:3",
            "keys/id_rsa:1"
        ]
    );
    assert!(!format!("{report:?}").contains("Zr7"));
}

#[test]
fn a_java_service_whose_settings_database_and_pipeline_break_the_rules() {
    expect(
        &[
            (
                "pom.xml",
                "<project>\n  <properties>\n    <java.version>14</java.version>\n  </properties>\n  <dependencies>\n    <dependency><artifactId>spring-boot-starter-web</artifactId></dependency>\n  </dependencies>\n</project>\n",
            ),
            (
                "src/main/java/Api.java",
                "class Api {\n  @GetMapping(\"/api/demarches\")\n  List<D> all() { return d; }\n}\n",
            ),
            (
                "src/main/resources/application.yml",
                "spring:\n  datasource:\n    url: jdbc:postgresql://10.1.2.3:5432/app\n    password: Azerty123!\nlogging:\n  file:\n    name: /var/log/app.log\n",
            ),
            (
                "src/main/resources/db/migration/V1__init.sql",
                "CREATE TABLE compte (\n  id bigint,\n  mot_de_passe varchar(60)\n);\n",
            ),
            (
                "src/main/resources/db/migration/V2__suite.sql",
                "ALTER TABLE compte\n  RENAME COLUMN id TO numero;\n",
            ),
            (
                "src/test/java/ApiTest.java",
                "class ApiTest { String password = \"a8Fq02LmZx91kQ\"; }\n",
            ),
            (
                ".gitlab-ci-dso.yml",
                "qualite:\n  allow_failure: true\n  script: [mvn verify]\ndeploiement:\n  script:\n  - helm upgrade --install web chart\n",
            ),
            ("target/site/jacoco.xml", "<report/>"),
        ],
        &[
            "runtime-end-of-life pom.xml:3",
            "api-undocumented pom.xml:6",
            "source-address src/main/resources/application.yml:3",
            "source-secret src/main/resources/application.yml:4",
            "logging-to-file src/main/resources/application.yml:6",
            "local-password-store src/main/resources/db/migration/V1__init.sql:3",
            "migration-incompatible src/main/resources/db/migration/V2__suite.sql:1",
            "pipeline-gate-ignored .gitlab-ci-dso.yml:2",
            "pipeline-deploys .gitlab-ci-dso.yml:6",
        ],
        &["source-secret src/test"],
    );
}

#[test]
fn a_python_front_and_back_with_data_in_the_repository() {
    let mut people = "nom;prenom;date_naissance\n".to_owned();
    (0..20).for_each(|n| people.push_str(&format!("Nom{n};Prenom{n};1980-01-01\n")));
    expect(
        &[
            ("back/requirements.txt", "flask==3.0.0\nrequests==2.32.0\n"),
            (
                "back/app.py",
                "import requests\nfrom flask import Flask\napp = Flask(__name__)\nKEY_TOKEN = \"q8Zx72Lm01Pf44\"\n\n\n@app.route('/api/v1/agents')\ndef agents():\n    return requests.get('https://si/agents', verify=False).json()\n",
            ),
            ("back/.python-version", "3.7.4\n"),
            (
                "back/migrations/0002_suite.py",
                "class Migration(migrations.Migration):\n    operations = [migrations.RenameField('agent', 'nom', 'libelle')]\n",
            ),
            (
                "front/package.json",
                "{\n  \"name\": \"front\",\n  \"engines\": {\"node\": \"14.x\"},\n  \"dependencies\": {\n    \"@angular/core\": \"17.0.0\"\n  }\n}\n",
            ),
            (
                "front/src/index.html",
                "<!doctype html>\n<html>\n<head><title>Agents</title></head>\n</html>\n",
            ),
            ("donnees/agents.csv", &people),
        ],
        &[
            "api-undocumented back/requirements.txt:1",
            "source-secret back/app.py:4",
            "source-tls-verification-off back/app.py:9",
            "runtime-end-of-life back/.python-version:1",
            "migration-incompatible back/migrations/0002_suite.py:2",
            "runtime-end-of-life front/package.json:3",
            "front-without-dsfr front/package.json:5",
            "front-without-journey-test front/package.json:5",
            "html-accessibility front/src/index.html:2",
            "personal-data donnees/agents.csv:1",
        ],
        &[],
    );
}

#[test]
fn rights_and_flows_of_plain_manifests() {
    expect(
        &[
            (
                "rbac.yaml",
                "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding\nmetadata: {name: a}\nroleRef:\n  kind: ClusterRole\n  name: cluster-admin\nsubjects:\n- kind: Group\n  name: system:unauthenticated\n",
            ),
            (
                "net.yaml",
                "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: all}\nspec:\n  podSelector: {}\n  ingress:\n  - {}\n",
            ),
            (
                "ing.yaml",
                "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata:\n  name: web\n  annotations:\n    nginx.ingress.kubernetes.io/affinity: cookie\nspec:\n  rules:\n  - host: demarches.gouv.fr\n    http:\n      paths:\n      - path: /\n      - path: /admin\n",
            ),
            (
                "app.yaml",
                "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {name: web}\nspec:\n  source:\n    path: chart\n    targetRevision: HEAD\n",
            ),
            (
                "pdb.yaml",
                "apiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata: {name: web}\nspec:\n  maxUnavailable: 0\n",
            ),
        ],
        &[
            "cluster-administrator-binding rbac.yaml:6",
            "binding-anonymous rbac.yaml:9",
            "network-policy-open net.yaml:7",
            "session-affinity ing.yaml:6",
            "ingress-without-tls ing.yaml:7",
            "ingress-mixed-flows ing.yaml:13",
            "application-moving-revision app.yaml:7",
            "disruption-budget-blocks pdb.yaml:5",
        ],
        &[],
    );
}

/// What the offer's own tutorials do, retold: each of the listed faults, in its usual place.
#[test]
fn the_faults_of_the_official_tutorials() {
    let values = "image:\n  repository: docker.io/etat/tuto\n  tag: latest\n  pullPolicy: Always\npostgresql:\n  password: tuto\n";
    let deployment = "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: tuto\nspec:\n  replicas: 2\n  template:\n    spec:\n      securityContext:\n        runAsUser: 1001\n      containers:\n      - name: tuto\n        image: {{ .Values.image.repository }}:{{ .Values.image.tag }}\n        imagePullPolicy: {{ .Values.image.pullPolicy }}\n        env:\n        - name: SPRING_DATASOURCE_PASSWORD\n          value: {{ .Values.postgresql.password }}\n        resources:\n          requests: {cpu: 100m, memory: 256Mi}\n          limits: {cpu: 500m, memory: 256Mi}\n";
    expect(
        &[
            ("chart/Chart.yaml", CHART),
            ("chart/values.yaml", values),
            ("chart/values-dev.yaml", "image:\n  tag: master\n"),
            ("chart/values-prod.yaml", "a: 1\n"),
            ("chart/templates/tuto.yaml", deployment),
            (
                "Dockerfile",
                "FROM docker.io/maven:3.9-eclipse-temurin-21 AS build\nCOPY . .\nRUN mvn package -Dmaven.test.skip=true\nFROM docker.io/eclipse-temurin:21-jre\nCOPY --from=build /app.jar /app.jar\nUSER 1001\n",
            ),
            (
                "k8s/postgres.yaml",
                "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: pg}\nspec:\n  template:\n    spec:\n      containers:\n      - name: pg\n        image: docker.io/postgres:16.4\n        env:\n        - name: POSTGRES_PASSWORD\n          value: postgres\n",
            ),
            (
                ".gitlab-ci-dso.yml",
                "sonar:\n  extends: .java:sonar\n  allow_failure: true\nimage:\n  extends: .kaniko:build-push\n",
            ),
        ],
        &[
            "container-image-tag chart/values.yaml:3",
            "container-image-pull-policy chart/values.yaml:4",
            "container-image-moving-tag chart/values-dev.yaml:2",
            "container-fixed-identity chart/templates/tuto.yaml:10",
            "container-secret-in-environment chart/values.yaml:6",
            "values-secret chart/values.yaml:6",
            "container-probes chart/templates/tuto.yaml:12",
            "container-guaranteed chart/templates/tuto.yaml:19",
            "dockerfile-tests-skipped Dockerfile:3",
            "container-secret-in-environment k8s/postgres.yaml:12",
            "pipeline-gate-ignored .gitlab-ci-dso.yml:3",
            "pipeline-latest-tag .gitlab-ci-dso.yml:5",
        ],
        &[],
    );
}

#[test]
fn a_clean_service_in_another_style_has_no_finding() {
    let files = tree(&[
        (
            "Chart.yaml",
            "apiVersion: v2\nname: api\nversion: 2.3.1\nappVersion: 2.3.1\n",
        ),
        (
            "values.yaml",
            "image:\n  registry: ghcr.io\n  name: etat/api\nhost: api.demarches.gouv.fr\nexistingSecret: api-db\n",
        ),
        ("values-prod.yaml", "replicas: 3\n"),
        (
            "templates/api.yaml",
            "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: {{ .Release.Name }}\nspec:\n  replicas: {{ .Values.replicas | default 2 }}\n  selector:\n    matchLabels: {app: api, env: prod, tier: backend}\n  template:\n    metadata:\n      labels: {app: api, env: prod, tier: backend}\n    spec:\n      topologySpreadConstraints:\n      - maxSkew: 1\n        topologyKey: topology.kubernetes.io/zone\n        whenUnsatisfiable: ScheduleAnyway\n        labelSelector:\n          matchLabels: {app: api}\n      securityContext: {runAsNonRoot: true}\n      containers:\n      - name: api\n        image: \"{{ .Values.image.registry }}/{{ .Values.image.name }}:{{ .Chart.AppVersion }}\"\n        securityContext:\n          readOnlyRootFilesystem: true\n        envFrom:\n        - secretRef: {name: {{ .Values.existingSecret }}}\n        env:\n        - name: DB_HOST\n          value: db\n        - name: TOKEN_FILE\n          value: /run/secrets/token\n        - name: TLS_VERIFY\n          value: \"true\"\n        ports:\n        - {name: http, containerPort: 8080}\n        readinessProbe:\n          httpGet: {path: /health, port: http}\n        resources:\n          requests: {cpu: 100m, memory: 128Mi}\n          limits: {cpu: 100m, memory: 128Mi}\n        volumeMounts:\n        - {name: tmp, mountPath: /tmp}\n      volumes:\n      - name: tmp\n        emptyDir: {}\n",
        ),
        (
            "templates/service.yaml",
            "apiVersion: v1\nkind: Service\nmetadata:\n  name: {{ .Release.Name }}\nspec:\n  selector: {app: api}\n  ports:\n  - {name: http, port: 80, targetPort: http}\n---\napiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata:\n  name: {{ .Release.Name }}\nspec:\n  tls:\n  - hosts: [{{ .Values.host }}]\n    secretName: tls\n  rules:\n  - host: {{ .Values.host }}\n    http:\n      paths:\n      - {path: /, pathType: Prefix, backend: {service: {name: api, port: {name: http}}}}\n",
        ),
        (
            "Dockerfile",
            "ARG PYTHON=3.12\nFROM docker.io/library/python:${PYTHON}-slim AS build\nWORKDIR /src\nCOPY requirements.txt .\nRUN pip install --no-cache-dir --prefix /install -r requirements.txt\nFROM docker.io/library/python:3.12-slim\nCOPY --from=build /install /usr/local\nCOPY api/ /app/api/\nUSER 10001\nEXPOSE 8080\nENTRYPOINT [\"python\", \"-m\", \"api\"]\n",
        ),
        (
            "requirements.txt",
            "fastapi==0.115.0\nuvicorn==0.32.0\nhttpx==0.27.0\n",
        ),
        (
            "api/__main__.py",
            "import os\nfrom fastapi import FastAPI\napp = FastAPI()\nTOKEN = os.environ[\"API_TOKEN\"]\n\n\n@app.get(\"/api/demarches\")\ndef all():\n    return []\n",
        ),
        ("tests/test_api.py", "def test_all():\n    assert True\n"),
        (
            "migrations/001_init.sql",
            "CREATE TABLE demarche (id serial PRIMARY KEY, nom text NOT NULL);\n",
        ),
        (
            ".github/workflows/ci.yml",
            "on: push\njobs:\n  test:\n    runs-on: ubuntu-latest\n    steps:\n    - run: pytest\n    - run: helm template . > /dev/null\n",
        ),
        ("docs/README.md", "curl -k https://example\n"),
    ]);
    let report = judge(&files);
    let found: Vec<String> = report
        .findings
        .iter()
        .map(|f| format!("{:?} {} {:?}", f.level, f.rule, f.position))
        .collect();
    assert_eq!(found, [""; 0]);
}
