// The pages of two real deliveries, one that went the whole way and one that was stopped. Run by
// the delivery test of `tests/e2e`; its picture of the blocked one is the README's.
import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";

import { Checks, ENGLISH, Reader, launch, plain } from "./browser.mjs";

const where = JSON.parse(process.env.PILOTIS_BROWSER);
const address = (name) => `/projets/bonjour/livraisons/${name}`;
const GATES = ["mirror", "inspect", "build", "test", "verify", "sign", "publish", "promote"];

mkdirSync(where.shots, { recursive: true });
const checks = new Checks();
const browser = await launch();
const reader = await Reader.of(browser, where.base);
await reader.open(where.links.admin);

const chips = async () => {
  const texts = await reader.page.locator(".rail .gate .chip").allInnerTexts();
  return texts.map((text) => text.trim());
};

await checks.check("a delivered commit has passed eight gates, each with its time", async () => {
  await reader.open(address(where.delivered));
  const passed = Array(9).fill("Franchie");
  assert.deepEqual((await chips()).map(plain), [...passed, "2 env. sur 2"]);
  assert.ok(await reader.page.locator(".rail .gate .num").count() >= 8);
  const proofs = await reader.page.locator("td[data-l=Empreinte]").allInnerTexts();
  assert.ok(proofs.length >= 6 && proofs.every((text) => text.startsWith("sha256:")));
  await reader.shot(where.shots, "livree");
});

await checks.check("a blocked one says requirement, cause, owner, place and patch", async () => {
  await reader.open(address(where.blocked));
  const text = plain(await reader.text(".callout"));
  for (const part of ["Bloquée à la vérification", "EXI-ARCH-18", "chart/values-prod.yaml:5",
    "readOnlyRootFilesystem", "Équipe bonjour", "git apply"]) {
    assert.ok(text.includes(part), `${part} is not in ${text}`);
  }
  assert.equal((await chips())[4], "Bloquée");
  await reader.shot(where.shots, "bloquee");
});

await checks.check("what the chain says is French on every gate", async () => {
  for (const name of [where.delivered, where.blocked]) {
    for (const gate of GATES) {
      await reader.open(`${address(name)}?porte=${gate}`);
      for (const part of ["#porte", ".rail", "section[aria-labelledby=preuves]"]) {
        assert.doesNotMatch(plain(await reader.text(part)), ENGLISH, `${name} ${gate}`);
      }
    }
  }
});

await checks.check("both pages are accessible and quiet", async () => {
  for (const name of [where.delivered, where.blocked]) {
    await reader.open(address(name));
    assert.deepEqual(await reader.violations(), []);
  }
  assert.deepEqual(reader.faults, []);
});

await browser.close();
checks.end();
