// A repository, a daemon over it, and a browser, for tests of the daemon's pages.
//
// REFGUARD_BIN is the program; REFGUARD_TEST_NODE the folder that holds node_modules with playwright-core and axe-core;
// REFGUARD_TEST_CHROMIUM a Chromium (default: the one of the system).
import { execFileSync, spawn } from "node:child_process";
import fs from "node:fs";
import { createRequire } from "node:module";
import os from "node:os";
import path from "node:path";
import readline from "node:readline";

const require = createRequire(path.join(process.env.REFGUARD_TEST_NODE, "package.json"));
export const { chromium } = require("playwright-core");
export const axeSource = fs.readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

const PROGRAM = process.env.REFGUARD_BIN;
const who = "Ada Example";
const environment = {
  PATH: process.env.PATH,
  HOME: "/dev/null",
  GIT_CONFIG_GLOBAL: "/dev/null",
  GIT_CONFIG_NOSYSTEM: "1",
  GIT_AUTHOR_NAME: who, GIT_COMMITTER_NAME: who,
  GIT_AUTHOR_EMAIL: "ada@example.org", GIT_COMMITTER_EMAIL: "ada@example.org",
};

// A policy repository in a folder that vanishes.
export class Repository {
  constructor() {
    this.top = fs.mkdtempSync(path.join(os.tmpdir(), "refguard-pages-"));
    this.folder = path.join(this.top, "policies");
  }

  // The example, promoted.
  static example() {
    const repository = new Repository();
    execFileSync(PROGRAM, ["-C", repository.top, "init", repository.folder], { env: environment });
    return repository;
  }

  // A repository without a document.
  static empty() {
    const repository = new Repository();
    fs.mkdirSync(repository.folder);
    repository.git("init", "-q", "-b", "main");
    repository.git("commit", "-q", "--allow-empty", "-m", "nothing yet");
    return repository;
  }

  git(...args) {
    return execFileSync("git", ["-C", this.folder, ...args], { env: environment, encoding: "utf8" }).trim();
  }

  refguard(...args) {
    return execFileSync(PROGRAM, ["-C", this.folder, ...args], { env: environment, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
  }

  write(file, text) {
    const target = path.join(this.folder, file);
    fs.mkdirSync(path.dirname(target), { recursive: true });
    fs.writeFileSync(target, text);
  }

  read(file) {
    return fs.readFileSync(path.join(this.folder, file), "utf8");
  }

  commit(message, ...options) {
    this.git("add", "-A");
    this.git("commit", "-q", "--allow-empty", "-m", message, ...options);
    return this.git("rev-parse", "HEAD");
  }

  promote(reason, ...options) {
    this.refguard("promote", "HEAD", "--reason", reason, ...options);
    return this.git("rev-parse", "production");
  }

  remove() {
    fs.rmSync(this.top, { recursive: true, force: true });
  }
}

// A running daemon.
export class Daemon {
  static async start(repository, ...options) {
    const args = ["-C", repository.folder, "serve", "--listen", "127.0.0.1:0", "--poll", "300ms",
      "--state-dir", path.join(repository.top, "state"), ...options];
    const child = spawn(PROGRAM, args, { env: environment, stdio: ["ignore", "pipe", "pipe"] });
    const daemon = new Daemon();
    daemon.child = child;
    daemon.log = "";
    child.stderr.on("data", (data) => { daemon.log += data; });
    for await (const line of readline.createInterface({ input: child.stdout })) {
      daemon.address = line.match(/listening on (\S+)/)?.[1];
      if (daemon.address) break;
    }
    child.stdout.resume();
    return daemon;
  }

  async status(token) {
    const headers = token ? { authorization: `Bearer ${token}` } : {};
    return (await fetch(`${this.address}/v1/status`, { headers })).json();
  }

  // Waits until the daemon says so of a set.
  async until(wanted, name = "production", token = undefined) {
    for (let waited = 0; waited < 60000; waited += 20) {
      const status = await this.status(token);
      const set = status.sets?.find((set) => set.name === name);
      if (wanted(set, status)) return;
      await new Promise((done) => setTimeout(done, 20));
    }
    throw new Error(`not in time: ${wanted}\n${this.log}`);
  }

  async stop() {
    const ended = new Promise((done) => this.child.once("exit", done));
    this.child.kill("SIGTERM");
    await ended;
  }
}

export const policy = (name, guardrail, more = "") =>
  `apiVersion: refguard/v1\nkind: Policy\nname: ${name}\n${more}guardrails:\n  add: [${guardrail}]\n---\n` +
  `apiVersion: refguard/v1\nkind: PolicyAttachment\npolicy: ${name}\nscope: "*"\n`;

export const launch = () => chromium.launch({
  executablePath: process.env.REFGUARD_TEST_CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"],
});

// A page that fails its test on a console error, a request elsewhere, or a script that breaks.
export async function watchedPage(context, address) {
  const page = await context.newPage();
  page.faults = [];
  page.expected = [];
  page.on("console", (message) => {
    const text = message.text();
    if (message.type() === "error" && !page.expected.some((word) => text.includes(word))) page.faults.push(`console: ${text}`);
  });
  page.on("pageerror", (error) => page.faults.push(`script: ${error}`));
  page.on("dialog", (dialog) => { page.faults.push(`dialog: ${dialog.message()}`); dialog.dismiss(); });
  page.on("request", (request) => {
    const url = request.url();
    if (!url.startsWith(address) && !url.startsWith("data:") && !url.startsWith("blob:")) page.faults.push(`request to ${url}`);
  });
  return page;
}

// Findings of axe-core that hinder people: serious and critical ones.
export async function axeFindings(page) {
  const { violations } = await page.evaluate(async (source) => {
    // The page's policy forbids inline scripts; what the tools evaluate is outside of it.
    (0, eval)(source);
    return globalThis.axe.run(document, { resultTypes: ["violations"] });
  }, axeSource);
  return violations
    .filter((violation) => ["serious", "critical"].includes(violation.impact))
    .map((violation) => `${violation.id}: ${violation.nodes.slice(0, 3).map((node) => node.target + " " + (node.any[0]?.message ?? "")).join("; ")}`);
}
