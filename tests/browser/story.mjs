// Objects of one story, put on a real instance with kubectl: a version that serves, one that
// arrives, one that is blocked, and three hundred applications in another project.
import { execFileSync } from "node:child_process";


/** Moments are counted back from now, because the chain gives up on what is too old. */
const ago = (seconds) => new Date(Date.now() - seconds * 1000).toISOString().replace(/\.\d+Z/, "Z");

const digest = (seed) => {
  const hex = "3d8b4b54eccd7a10";
  let text = "";
  for (let i = 0; i < 64; i += 1) text += hex[(seed * 7 + i * 5) % 16];
  return `sha256:${text}`;
};

const proof = (kind, seed, figures = {}) => ({
  kind,
  digest: digest(seed),
  mediaType: "application/json",
  summary: Object.entries(figures).map(([name, number]) => `${number} ${name}`).join(", "),
  figures,
});

const PASSED = [
  ["mirror", 2, "Pushed", { commit: "3f9c2ab7d10e" }, []],
  ["inspect", 11, "Judged", { rules: 42, remarks: 0 },
    [proof("compliance-report", 1, { rules: 42, findings: 0 })]],
  ["build", 108, "ImageBuilt", { digest: digest(2) }, [proof("log", 3, { lines: 812 })]],
  ["test", 62, "Tested", { tests: 142, failed: 0, coveragePermille: 942 },
    [proof("log", 4, { lines: 90 }), proof("junit", 5, { tests: 142, failed: 0 }),
      proof("coverage", 6, { coveragePermille: 942 })]],
  ["verify", 9, "Judged", { rules: 38, remarks: 2 },
    [proof("compliance-report", 7, { rules: 38, findings: 2 })]],
  ["sign", 1, "Signed", {}, [proof("signature", 8), proof("provenance", 9)]],
  ["publish", 4, "Published",
    { image: "registry.pilotis.internal/bonjour/web:3f9c2ab7d10e" }, []],
  ["promote", 94, "HealthyIn", { environments: ["dev", "prod"] }, []],
];

/** The first gates, passed one after another until `end` seconds ago. */
const passed = (count, end) => {
  let left = PASSED.slice(0, count).reduce((sum, gate) => sum + gate[1], end);
  return PASSED.slice(0, count).map(([name, seconds, reason, parameters, evidence]) => {
    const startedAt = ago(left);
    left -= seconds;
    return {
      name, state: "Passed", message: `${name} is passed`, reason, parameters, evidence,
      startedAt, finishedAt: ago(left),
    };
  });
};

const pending = (from) => PASSED.slice(from).map(([name]) => ({ name, state: "Pending" }));

const promotion = (environment, state, seconds) => ({
  environment, state, commit: "7be01d4c9a52", at: ago(seconds),
  url: `http://web-${environment}.localhost:8080/`,
});

const delivery = (commit, title, status) => ({
  apiVersion: "pilotis.dev/v1alpha1",
  kind: "Delivery",
  metadata: { name: `web-${commit.slice(0, 12)}`, namespace: "project-bonjour" },
  spec: { repository: "web", commit, ref: "refs/heads/main", title, author: "ana" },
  status: { image: `registry.pilotis.internal/bonjour/web@${digest(2)}`, ...status },
});

export const HOSTILE = "\"'><script>alert(1)</script><img src=x onerror=alert(2)>";
export const COMMITS = {
  served: "41d07be0c3b19e6f55aa41d07be0c3b19e6f55aa",
  arriving: "3f9c2ab7d10e5544cc773f9c2ab7d10e5544cc77",
  blocked: "8d21f600aa11bb22cc338d21f600aa11bb22cc33",
  hostile: "0badc0de0badc0de0bad0badc0de0badc0de0bad",
};

const blocked = (title, words) => delivery(COMMITS[words.commit], title, {
  promotions: [],
  gates: [
    ...passed(4, 1500),
    {
      name: "verify", state: "Failed", message: words.cause, reason: "RuleBroken",
      parameters: { blocking: 3 }, startedAt: ago(1500), finishedAt: ago(1491),
      evidence: [proof("compliance-report", 10, { rules: 42, findings: 3 })],
      blocked: {
        requirement: "EXI-ARCH-18",
        title: "Conteneur sans privilège et non modifiable, écritures sur volumes seulement",
        rule: "read-only-root", object: words.object, cause: words.cause, owner: "team",
        file: words.file, line: 17, fix: words.fix, patch: words.patch, others: 2,
      },
    },
    ...pending(5),
  ],
});

const PATCH = `--- a/chart/values-prod.yaml
+++ b/chart/values-prod.yaml
@@ -16,4 +16,4 @@
   securityContext:
-    readOnlyRootFilesystem: false
+    readOnlyRootFilesystem: true
   cache:
     chemin: /var/cache/bonjour
`;

const deliveries = () => [
  delivery(COMMITS.served, "Saluer en majuscules", {
    gates: passed(8, 48 * 3600),
    promotions: [promotion("dev", "Healthy", 48 * 3600), promotion("prod", "Healthy", 48 * 3600)],
  }),
  delivery(COMMITS.arriving, "Afficher l’heure du serveur en UTC", {
    gates: [
      ...passed(7, 90),
      {
        name: "promote", state: "Running", message: "prod is becoming healthy",
        reason: "BecomingHealthy", parameters: { environment: "prod" }, startedAt: ago(90),
      },
    ],
    promotions: [promotion("dev", "Healthy", 40), promotion("prod", "Promoted", 38)],
  }),
  blocked("Garder les fuseaux horaires en cache", {
    commit: "blocked", object: "Deployment/web conteneur web", file: "chart/values-prod.yaml",
    cause: "readOnlyRootFilesystem vaut false", patch: PATCH,
    fix: "Mettez readOnlyRootFilesystem à true, et le cache sur un volume.",
  }),
  blocked(HOSTILE, {
    commit: "hostile", object: HOSTILE, file: HOSTILE, cause: `\`${HOSTILE}\``, fix: HOSTILE,
    patch: `--- a/x\n+++ b/x\n@@ -1,1 +1,1 @@\n-${HOSTILE}\n+y\n`,
  }),
];

/** What the last gate of the arriving delivery becomes. */
export const arrived = () => ({
  status: {
    gates: passed(8, 0),
    promotions: [promotion("dev", "Healthy", 40), promotion("prod", "Healthy", 0)],
  },
});

const application = (name, slug, environment, status, labels = {}) => ({
  apiVersion: "argoproj.io/v1alpha1",
  kind: "Application",
  metadata: {
    name, namespace: `project-${slug}`, labels,
    // The GitOps service leaves it as it is.
    annotations: { "argocd.argoproj.io/skip-reconcile": "true" },
  },
  spec: {
    project: slug,
    source: { repoURL: "https://git.pilotis.internal/x/y.git", path: "chart" },
    destination: {
      server: "https://kubernetes.default.svc", namespace: `${slug}-${environment}`,
    },
  },
  status,
});

const state = (sync, health, seconds, message) => ({
  sync: { status: sync, revision: COMMITS.arriving },
  health: { status: health, lastTransitionTime: ago(seconds), ...(message && { message }) },
  summary: { images: [`registry.pilotis.internal/bonjour/web@${digest(2)}`] },
});

const applications = () => {
  const labels = { "pilotis.dev/delivery": `web-${COMMITS.arriving.slice(0, 12)}` };
  const mine = [
    application("web-dev", "bonjour", "dev", state("Synced", "Healthy", 40), labels),
    application("web-prod", "bonjour", "prod", state("OutOfSync", "Progressing", 38,
      "2 of 3 replicas are available"), labels),
    application("file-prod", "bonjour", "prod", state("Synced", "Degraded", 2400,
      "pod file-6c8f9d7b5-2xk4q restarts again and again: exit code 1")),
  ];
  const many = Array.from({ length: 297 }, (_, number) => application(
    `guichet-${String(number).padStart(3, "0")}`, "guichet", "dev",
    state("Synced", number % 50 === 7 ? "Degraded" : "Healthy", number * 60),
  ));
  return [...mine, ...many];
};

export class Instance {
  constructor({ kubectl, kubeconfig, cache }) {
    this.run = (words, input) => execFileSync(
      kubectl, ["--kubeconfig", kubeconfig, "--cache-dir", cache, ...words],
      { input, encoding: "utf8", stdio: ["pipe", "pipe", "inherit"], timeout: 120_000 },
    );
  }

  patchDelivery(commit, patch) {
    this.run(["patch", "delivery", `web-${commit.slice(0, 12)}`, "-n", "project-bonjour",
      "--subresource=status", "--type=merge", "-p", JSON.stringify(patch)]);
  }

  /** Puts the story on the instance; its projects are there. */
  tell() {
    const list = (items) => JSON.stringify({ apiVersion: "v1", kind: "List", items });
    this.run(["create", "-f", "-"], list([...deliveries(), ...applications()]));
    for (const one of deliveries()) {
      this.patchDelivery(one.spec.commit, { status: one.status });
    }
  }
}

