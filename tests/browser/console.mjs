// The console as people see it, on a real instance. Run by `tests/e2e`, which starts the instance
// and says in PILOTIS_BROWSER where it is; see `story.mjs` for what stands on it.
import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";

import { Checks, ENGLISH, Reader, launch, plain } from "./browser.mjs";
import { COMMITS, HOSTILE, Instance, arrived } from "./story.mjs";

const where = JSON.parse(process.env.PILOTIS_BROWSER);
const address = (commit) => `/projets/bonjour/livraisons/web-${commit.slice(0, 12)}`;
const PAGES = {
  applications: "/applications",
  "applications-filtrees": "/applications?projet=bonjour&tri=urgence",
  projets: "/projets",
  livraisons: "/projets/bonjour/livraisons",
  livraison: address(COMMITS.arriving),
  "livraison-bloquee": address(COMMITS.blocked),
  "livraison-finie": address(COMMITS.served),
  introuvable: "/projets/bonjour/livraisons/rien",
};
const GATES = ["Miroir", "Inspection", "Construction", "Tests", "Vérification", "Signature",
  "Publication", "Promotion"];
const PILLARS = [...GATES, "Synchro", "En service"];

mkdirSync(where.shots, { recursive: true });
const instance = new Instance(where);
instance.tell();
const checks = new Checks();
const browser = await launch();

const contains = (text, ...parts) => {
  for (const part of parts) {
    assert.ok(plain(text).includes(part), `« ${part} » is not in:\n${plain(text)}`);
  }
};

const reader = await Reader.of(browser, where.base);
const state = await signIn();
await pages();
await journeys();
await layout();
await browser.close();
checks.end();

async function signIn() {
  await checks.check("without a session every page leads to the login page", async () => {
    for (const path of ["/", "/applications", PAGES.livraison]) {
      await reader.open(path);
      assert.equal(new URL(reader.page.url()).pathname, "/connexion");
    }
    contains(await reader.text("h1"), "Se connecter");
    await reader.shot(where.shots, "connexion-1440-light");
  });
  await checks.check("a login link lets in once", async () => {
    await reader.open(where.links.admin);
    assert.equal(new URL(reader.page.url()).pathname, "/applications");
    const [cookie] = await reader.context.cookies();
    assert.ok(cookie.httpOnly && cookie.sameSite === "Strict", JSON.stringify(cookie));
    assert.ok(cookie.expires * 1000 - Date.now() <= 8 * 3_600_000, "a session of at most 8 h");
    const other = await Reader.of(browser, where.base);
    const answer = await other.open(where.links.admin);
    assert.equal(answer.status(), 403);
    contains(await other.text(), "déjà utilisé");
    await other.shot(where.shots, "connexion-refusee-1440-light");
    assert.deepEqual(await other.violations(), []);
    await other.close();
  });
  return reader.context.storageState();
}

async function pages() {
  await checks.check("the list says what stands and leads to the delivery", async () => {
    await reader.open(PAGES["applications-filtrees"]);
    const text = await reader.text();
    contains(text, "3 applications visibles", "En progression", "Dégradée", "Synchronisée",
      "pod file-6c8f9d7b5-2xk4q restarts");
    const first = await reader.text("tbody th");
    assert.equal(first, "file-prod", "the most urgent comes first");
    await reader.page.locator("tbody tr", { hasText: "web-dev" }).locator("a code").click();
    assert.equal(new URL(reader.page.url()).pathname, PAGES.livraison);
  });
  await checks.check("three hundred applications come in small pages", async () => {
    await reader.open("/applications?projet=guichet");
    contains(await reader.text(), "297 applications", "1 à 25 sur 297, page 1 sur 12");
    await reader.page.getByRole("link", { name: "Page suivante" }).click();
    contains(await reader.text(), "26 à 50 sur 297, page 2 sur 12");
    await reader.page.getByRole("link", { name: "à regarder" }).click();
    contains(await reader.text(), "6 applications visibles", "guichet-057");
    await reader.page.getByLabel("Nom, image ou révision").fill("guichet-10");
    await reader.page.getByRole("button", { name: "Filtrer" }).click();
    contains(await reader.text(), "1 application visible", "guichet-107");
    await reader.page.getByLabel("Nom, image ou révision").fill("rien de tel");
    await reader.page.getByRole("button", { name: "Filtrer" }).click();
    contains(await reader.text(), "Aucune application ne répond à ce filtre");
  });
  await checks.check("a delivery under way shows eight gates, times and proofs", async () => {
    await reader.open(PAGES.livraison);
    const labels = await reader.page.locator(".rail .gate b").allInnerTexts();
    assert.deepEqual(labels, PILLARS);
    const rail = await reader.text(".rail");
    contains(rail, "1 min 48 s", "11 s", "Franchie", "En cours");
    contains(await reader.text(), "prod reçoit la version", "prod sert toujours 41d07be",
      "142 tests, tous réussis", "94,2 %", "sha256:", "En direct");
    await reader.page.getByRole("link", { name: "Tests" }).click();
    contains(await reader.text("#porte"), "142 tests, tous réussis, couverture de 94,2 %.");
  });
  await checks.check("a blocked one names requirement, cause, owner, place, patch", async () => {
    await reader.open(PAGES["livraison-bloquee"]);
    contains(await reader.text(".callout"), "Bloquée à la vérification", "EXI-ARCH-18",
      "chart/values-prod.yaml:17", "readOnlyRootFilesystem vaut false", "Équipe bonjour",
      "Mettez readOnlyRootFilesystem à true", "readOnlyRootFilesystem: true",
      "git apply", "2 autres constats");
    contains(await reader.text(), "Rien n’a changé pour les usagers",
      "prod sert toujours 41d07be");
    const [download] = await Promise.all([
      reader.page.waitForEvent("download"),
      reader.page.getByRole("link", { name: "Télécharger le correctif" }).click(),
    ]);
    assert.equal(download.suggestedFilename(), "correctif.patch");
  });
  await checks.check("hostile names are text", async () => {
    for (const path of ["/projets/bonjour/livraisons", address(COMMITS.hostile)]) {
      await reader.open(path);
      contains(await reader.text(), HOSTILE);
      assert.equal(await reader.page.locator("main img, main script").count(), 0);
    }
  });
  await checks.check("no English sentence is left on French pages", async () => {
    for (const path of [PAGES.livraison, PAGES["livraison-bloquee"], PAGES["livraison-finie"]]) {
      for (const gate of ["mirror", "inspect", "build", "test", "verify", "sign", "publish",
        "promote"]) {
        await reader.open(`${path}?porte=${gate}`);
        assert.doesNotMatch(plain(await reader.text()), ENGLISH, `${path} ${gate}`);
      }
    }
  });
}

async function journeys() {
  await checks.check("a change reaches an open page without a reload", async () => {
    await reader.open(PAGES.livraison);
    await reader.page.evaluate(() => { window.mark = "the same document"; });
    instance.patchDelivery(COMMITS.arriving, arrived());
    await reader.page.locator("#etat-puce", { hasText: "En service" }).waitFor();
    await reader.page.locator("#porte-promote", { hasText: "Franchie" }).waitFor();
    contains(await reader.text("#etat"), "Cette version sert dev et prod.");
    assert.equal(await reader.page.evaluate(() => window.mark), "the same document");
    await reader.page.waitForFunction(() => document.title.startsWith("En service"));
  });
  await checks.check("the same pages are complete without script", async () => {
    const still = await Reader.of(browser, where.base, {
      javaScriptEnabled: false, storageState: state,
    });
    for (const [name, path] of Object.entries(PAGES)) {
      await still.open(path);
      await reader.open(path);
      const figures = (text) => plain(text).replace(/\d+/g, "0");
      assert.equal(figures(await still.text("body")), figures(await reader.text("body")), name);
    }
    await still.open(PAGES["livraison-finie"]);
    await still.page.getByRole("link", { name: "Construction" }).click();
    contains(await still.text("#porte"), "L’image est au registre");
    await still.open("/applications");
    await still.page.getByLabel("État").selectOption("à regarder");
    await still.page.getByRole("button", { name: "Filtrer" }).click();
    contains(await still.text(), "7 applications visibles");
    assert.deepEqual(still.faults, []);
    await still.close();
  });
  await checks.check("the keyboard reaches everything, and shows where it is", keyboard);
  await checks.check("a member sees their own project and no other", async () => {
    const member = await Reader.of(browser, where.base);
    await member.open(where.links.member);
    contains(await member.text(), "3 applications visibles", "web-dev");
    assert.ok(!(await member.text()).includes("guichet"));
    await member.open("/projets");
    contains(await member.text(), "1 projet", "bonjour");
    assert.ok(!(await member.text()).includes("guichet"));
    await member.shot(where.shots, "projets-membre-1440-light");
    assert.equal((await member.open("/projets/guichet/livraisons")).status(), 403);
    contains(await member.text(), "Vos droits ne permettent pas");
    await member.shot(where.shots, "refusee-1440-light");
    await member.close();
    const nobody = await Reader.of(browser, where.base);
    await nobody.open(where.links.nobody);
    contains(await nobody.text(), "Aucun projet ne vous est ouvert", "personne");
    await nobody.shot(where.shots, "vide-membre-1440-light");
    assert.deepEqual(await nobody.violations(), []);
    await nobody.close();
  });
}

async function keyboard() {
  await reader.open(PAGES["livraison-bloquee"]);
  const here = () => reader.page.evaluate(() => {
    const at = document.activeElement;
    const style = getComputedStyle(at);
    const box = at.getBoundingClientRect();
    return {
      name: (at.innerText || at.id || at.tagName).trim().split("\n")[0],
      pillar: at.closest(".gate")?.id ?? null,
      visible: box.width > 0 && box.height > 0,
      outline: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 1,
      out: at === document.body,
    };
  });
  const stops = [];
  for (let press = 0; press < 60; press += 1) {
    await reader.page.keyboard.press("Tab");
    const stop = await here();
    if (stop.out) break;
    assert.ok(stop.visible && stop.outline, `no visible focus on ${JSON.stringify(stop)}`);
    stops.push(stop);
  }
  assert.equal(stops[0].name, "Aller au contenu", "the skip link is the first stop");
  const reachable = await reader.page.locator(
    "a[href], button, input, select, summary, [tabindex='0']",
  ).count();
  assert.equal(stops.length, reachable, stops.map((stop) => stop.name).join(", "));
  assert.equal(stops.filter((stop) => stop.pillar).length, PILLARS.length);
  await reader.open(PAGES["livraison-bloquee"]);
  await reader.page.keyboard.press("Tab");
  await reader.page.keyboard.press("Enter");
  assert.equal(await reader.page.evaluate(() => document.activeElement.id), "contenu");
  await reader.page.locator("#porte-build a").focus();
  await reader.page.keyboard.press("Enter");
  await reader.page.waitForURL(/porte=build/);
}

async function layout() {
  for (const scheme of ["light", "dark"]) {
    for (const width of [1440, 390, 320]) {
      await checks.check(`pages at ${width} px, ${scheme}: accessible, nothing sticks out`,
        () => everyPage(scheme, width));
    }
  }
  await checks.check("both schemes are drawn", async () => {
    const ground = async (scheme) => {
      await reader.page.emulateMedia({ colorScheme: scheme });
      return reader.page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    };
    assert.notEqual(await ground("light"), await ground("dark"));
  });
  await checks.check("text twice as large still fits a phone", async () => {
    const phone = await Reader.of(browser, where.base, {
      storageState: state, viewport: { width: 390, height: 844 },
    });
    for (const [name, path] of Object.entries(PAGES)) {
      await phone.open(path);
      await phone.page.evaluate(() => { document.documentElement.style.fontSize = "200%"; });
      assert.equal(await phone.overflow(), 0, name);
    }
    await phone.close();
  });
  await checks.check("a page is at most six requests and 40 kB", weights);
  await checks.check("signing out ends the session", async () => {
    await reader.open("/applications");
    await reader.page.getByRole("button", { name: "Se déconnecter" }).click();
    await reader.page.waitForURL((url) => url.pathname === "/connexion");
    const back = await Reader.of(browser, where.base, { storageState: state });
    await back.open("/applications");
    assert.equal(new URL(back.page.url()).pathname, "/connexion");
    await back.close();
  });
  await checks.check("no message, no broken policy, no request elsewhere, no dialog", async () => {
    assert.deepEqual(reader.faults, []);
  });
}

async function everyPage(scheme, width) {
  const person = await Reader.of(browser, where.base, {
    storageState: state, colorScheme: scheme, viewport: { width, height: 844 },
  });
  const wrong = [];
  for (const [name, path] of Object.entries(PAGES)) {
    await person.open(path);
    if (scheme === "light" && width === 1440) wrong.push(...await structure(person, name));
    if (width !== 320) await person.shot(where.shots, `${name}-${width}-${scheme}`);
    const overflow = await person.overflow();
    if (overflow > 0) wrong.push(`${name}: ${overflow} px stick out`);
    // Rules do not depend on a few pixels: the narrowest width is looked at for its layout only,
    // and the dark phone has the colours of the dark desk.
    if (width === 1440 || (width === 390 && scheme === "light")) {
      wrong.push(...(await person.violations()).map((one) => `${name}: ${one}`));
    }
  }
  wrong.push(...person.faults);
  await person.close();
  assert.deepEqual(wrong, []);
}

/** One h1, one main, unique ids, a caption and scopes on each table. */
async function structure(person, name) {
  const counts = await person.page.evaluate(() => ({
    h1: document.querySelectorAll("h1").length,
    main: document.querySelectorAll("main").length,
    twice: [...document.querySelectorAll("[id]")].length
      - new Set([...document.querySelectorAll("[id]")].map((one) => one.id)).size,
    bare: [...document.querySelectorAll("table")].filter((one) => !one.caption).length
      + document.querySelectorAll("th:not([scope])").length,
    styled: document.querySelectorAll("[style]").length,
  }));
  const wanted = { h1: 1, main: 1, twice: 0, bare: 0, styled: 0 };
  return Object.keys(wanted).filter((key) => counts[key] !== wanted[key])
    .map((key) => `${name}: ${key} is ${counts[key]}`);
}

async function weights() {
  for (const [name, path] of Object.entries(PAGES)) {
    const person = await Reader.of(browser, where.base, { storageState: state });
    const bodies = [];
    person.page.on("response", (response) => {
      if (!response.url().endsWith("/direct") && !response.url().includes("/direct?")) {
        bodies.push(response.body().then((body) => body.length, () => 0));
      }
    });
    await person.open(path);
    await person.page.waitForLoadState("load");
    const sizes = await Promise.all(bodies);
    const bytes = sizes.reduce((sum, size) => sum + size, 0);
    assert.ok(sizes.length <= 6 && bytes <= 40_000, `${name}: ${sizes.length}, ${bytes} bytes`);
    await person.close();
  }
}
