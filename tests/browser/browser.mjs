// Debian's Chromium, and what every page must keep whatever is tested: no message on the console,
// no broken policy, no request to another host, no dialog.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

import { chromium } from "playwright-core";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice", "RGAAv4"];
const ROOT = "--no-sandbox";
/** Words that give an English sentence away. */
export const ENGLISH = /\b(is|has|the|passed|pushed|rules?|lines|findings|failed|healthy)\s/;

/** Starts the browser; as root Chromium has no sandbox of its own. */
export const launch = () => chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: process.getuid() === 0 ? [ROOT] : [],
});

/** Spaces as people read them. */
export const plain = (text) => text.replace(/[\u202f\u00a0]/g, " ");

export class Reader {
  /** A person with a browser of their own; `options` as Playwright's contexts take them. */
  static async of(browser, base, options = {}) {
    const reader = new Reader();
    reader.base = base;
    reader.faults = [];
    reader.context = await browser.newContext({
      viewport: { width: 1440, height: 900 }, locale: "fr-FR", ...options,
    });
    reader.context.setDefaultTimeout(15_000);
    if (options.javaScriptEnabled !== false) {
      await reader.context.addInitScript(() => document.addEventListener(
        "securitypolicyviolation",
        (event) => console.error(`policy: ${event.violatedDirective} ${event.blockedURI}`),
      ));
    }
    reader.page = await reader.context.newPage();
    reader.watch();
    return reader;
  }

  watch() {
    this.page.on("console", (message) => {
      // A page that is refused on purpose is not a fault of the page.
      if (/Failed to load resource.*(403|404)/.test(message.text())) return;
      this.faults.push(`console ${message.type()}: ${message.text()}`);
    });
    this.page.on("pageerror", (error) => this.faults.push(`script: ${error.message}`));
    this.page.on("dialog", async (dialog) => {
      this.faults.push(`dialog: ${dialog.message()}`);
      await dialog.dismiss();
    });
    this.page.on("request", (request) => {
      if (new URL(request.url()).origin !== this.base) {
        this.faults.push(`request to ${request.url()}`);
      }
    });
  }

  async open(path) {
    return this.page.goto(path.startsWith("http") ? path : this.base + path);
  }

  text(selector = "main") {
    return this.page.locator(selector).first().innerText();
  }

  /** Violations of accessibility rules, in words. */
  async violations() {
    await this.page.evaluate(axe);
    const found = await this.page.evaluate(
      (tags) => window.axe.run(document, { runOnly: { type: "tag", values: tags } }), TAGS,
    );
    return found.violations.map((one) =>
      `${one.impact} ${one.id}: ${one.nodes.map((node) => node.target.join(" ")).join(", ")}`);
  }

  /** Pixels that stick out to the right. */
  overflow() {
    return this.page.evaluate(
      () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
    );
  }

  async shot(folder, name) {
    await this.page.screenshot({ path: join(folder, `${name}.png`), fullPage: true });
  }

  close() {
    return this.context.close();
  }
}

/** Named checks, told one a line; the next ones run whatever became of the first. */
export class Checks {
  failed = 0;
  passed = 0;

  async check(name, work) {
    try {
      await work();
      this.passed += 1;
      console.log(`ok ${name}`);
    } catch (error) {
      this.failed += 1;
      console.log(`not ok ${name}\n    ${String(error.stack ?? error).replaceAll("\n", "\n    ")}`);
    }
  }

  end() {
    console.log(`${this.passed} checks passed, ${this.failed} failed`);
    process.exitCode = this.failed === 0 ? 0 : 1;
  }
}
