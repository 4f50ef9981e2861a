// Every page in a real browser: what it says, by keyboard and without a script, for people who need a screen reader,
// with names that are meant to break it. A page that logs an error or asks another host fails its test.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { Daemon, Repository, axeFindings, launch, policy, watchedPage } from "./support.mjs";
import { states } from "./states.mjs";

const PAGES = [
  "/ui/",
  "/ui/ask",
  "/ui/ask?team=health-eu&model=gpt-5&guardrail=pci_scanner&against=1",
  "/ui/ask?team=helth-eu&policies=nobody",
  "/ui/matrix",
  "/ui/matrix?by=model&rows=each&team=health-eu",
  "/ui/policies",
  "/ui/policies?q=hipaa",
  "/ui/policy?name=healthcare-compliance",
  "/ui/policy?name=frontier-models",
  "/ui/compare?name=healthcare-compliance&from=1&to=2",
  "/ui/history",
  "/ui/difference?from=1&to=2",
  "/ui/change",
  "/ui/policies?at=1",
  "/ui/nothing",
];

let browser;
before(async () => { browser = await launch(); });
after(async () => { await browser.close(); });

const withDaemon = async (make, story) => {
  const { repository, daemon } = await make();
  try {
    await story(daemon, repository);
  } finally {
    await daemon.stop();
    repository.remove();
  }
};

const withPage = async (daemon, story, options = {}) => {
  const context = await browser.newContext(options);
  const page = await watchedPage(context, daemon.address);
  // A page that is not there is told by its status; the browser logs that too.
  page.expected.push("400", "401", "404", "409", "429", "503");
  try {
    await story(page);
    assert.deepEqual(page.faults, []);
  } finally {
    await context.close();
  }
};

describe("every page", () => {
  let daemon, repository;
  before(async () => { ({ daemon, repository } = await states.example()); });
  after(async () => { await daemon.stop(); repository.remove(); });

  for (const colorScheme of ["light", "dark"]) {
    for (const width of [1280, 768, 390]) {
      test(`is whole at ${width} pixels, ${colorScheme}`, () => withPage(daemon, async (page) => {
        for (const address of PAGES) {
          await page.goto(daemon.address + address);
          const tooWide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
          assert.ok(tooWide <= 0, `${address} is ${tooWide} pixels too wide`);
          assert.equal(await page.locator("h1").count(), 1, address);
          assert.deepEqual(await axeFindings(page), [], address);
        }
      }, { viewport: { width, height: 800 }, colorScheme }));
    }
  }

  test("says the same without a script", () => withPage(daemon, async (page) => {
    for (const address of PAGES) {
      await page.goto(daemon.address + address);
      assert.ok((await page.locator("main").innerText()).length > 20, address);
    }
    await page.goto(`${daemon.address}/ui/ask`);
    await page.getByLabel("Team").fill("health-eu");
    await page.getByRole("button", { name: "Ask" }).click();
    await page.getByText("hipaa_audit").first().waitFor();
  }, { javaScriptEnabled: false }));

  test("is reached and used by keyboard alone", () => withPage(daemon, async (page) => {
    await page.goto(`${daemon.address}/ui/`);
    await page.keyboard.press("Tab");
    assert.equal(await page.evaluate(() => document.activeElement.textContent), "Skip to content");
    const press = async (text) => {
      for (let tries = 0; tries < 60; tries++) {
        const focused = await page.evaluate(() => {
          const element = document.activeElement;
          const label = element.labels?.[0]?.textContent;
          return { text: label ?? element.textContent.trim(), outline: getComputedStyle(element).outlineStyle };
        });
        if (focused.text === text) {
          assert.notEqual(focused.outline, "none", `${text} does not show that it has the focus`);
          return;
        }
        await page.keyboard.press("Tab");
      }
      assert.fail(`${text} is not reached`);
    };
    await press("Ask");
    await page.keyboard.press("Enter");
    await page.waitForURL("**/ui/ask**");
    await press("Team");
    await page.keyboard.type("health-eu");
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: /A request with team health-eu gets/ }).waitFor();
    await page.goto(`${daemon.address}/ui/matrix`);
    await press("Whose name has");
    await page.keyboard.type("health");
    await page.keyboard.press("Enter");
    await page.waitForURL("**filter=health**");
    await page.goto(`${daemon.address}/ui/policies`);
    await press("Name, description, owner or guardrail");
    await page.keyboard.type("hipaa");
    await page.keyboard.press("Enter");
    await page.waitForURL("**q=hipaa**");
    await page.getByRole("link", { name: "healthcare-compliance" }).waitFor();
  }));

  test("has links that lead somewhere", () => withPage(daemon, async (page) => {
    const seen = new Set();
    const rest = PAGES.slice(0, -1).map((address) => daemon.address + address);
    while (rest.length && seen.size < 150) {
      const address = rest.pop();
      if (seen.has(address)) continue;
      seen.add(address);
      const answer = await page.request.get(address);
      assert.equal(answer.status(), 200, address);
      const text = await answer.text();
      for (const [, href] of text.matchAll(/href="([^"#]+)"/g)) {
        const next = new URL(href.replaceAll("&amp;", "&"), address).toString();
        assert.ok(next.startsWith(daemon.address), next);
        rest.push(next);
      }
    }
    assert.ok(seen.size > 30);
  }));

  test("answers a form, and the address of the answer stays what it is", () => withPage(daemon, async (page) => {
    await page.goto(`${daemon.address}/ui/ask`);
    await page.getByLabel("Team").fill("health-eu");
    await page.getByLabel("Model").fill("gpt-5");
    await page.getByText("More: a guardrail").click();
    await page.getByLabel("Why this guardrail").fill("pci_scanner");
    await page.getByRole("button", { name: "Ask" }).click();
    await page.getByRole("heading", { name: "Why it does not get" }).waitFor();
    assert.match(page.url(), /at=[0-9a-f]{40}/);
    assert.equal(await page.getByText("You are looking at the past").count(), 0);
    await page.getByText("finance-compliance").first().waitFor();

    await page.goto(`${daemon.address}/ui/compare?name=healthcare-compliance&from=1&to=2`);
    await page.getByLabel("Compare").selectOption("2");
    await page.getByLabel("with").selectOption("1");
    await page.getByRole("button", { name: "Compare" }).click();
    await page.waitForURL("**from=2&to=1");

    await page.goto(`${daemon.address}/ui/history`);
    await page.getByRole("button", { name: "Compare" }).click();
    await page.getByRole("heading", { name: "From promotion 1" }).waitFor();

    await page.goto(`${daemon.address}/ui/matrix`);
    await page.getByLabel("Whose name has").fill("health");
    await page.getByLabel("Equal rows").selectOption("each");
    await page.getByRole("button", { name: "Show" }).click();
    assert.equal(await page.locator("tbody tr").count(), 2);
    const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("link", { name: "CSV" }).click()]);
    const csv = fs.readFileSync(await download.path(), "utf8");
    assert.match(csv, /^team,guardrails\r?\nhealth-eu,/);
    assert.equal(csv.trim().split("\n").length, 3);

    await page.goto(`${daemon.address}/ui/change`);
    await page.locator("strong", { hasText: "support-desk" }).first().waitFor();
    await page.getByRole("heading", { name: /The gates/ }).waitFor();
  }));

  test("says that there is no such thing, and a way on", () => withPage(daemon, async (page) => {
    for (const [address, status] of [
      ["/ui/policy?name=nobody", 404],
      ["/ui/policies?at=99", 404],
      ["/ui/policies?at=1970-01-01T00:00:00Z", 404],
      ["/ui/policies?at=main", 404],
      ["/ui/policies?set=nowhere", 404],
      ["/ui/ask?team=a&at=HEAD", 404],
      ["/ui/difference?from=1&to=99", 404],
      ["/ui/compare?name=baseline&from=1&to=99", 404],
      ["/ui/compare?name=baseline&from=x&to=1", 400],
      ["/ui/matrix?by=moon", 400],
      ["/ui/history?before=" + "0".repeat(40), 409],
    ]) {
      const answer = await page.goto(daemon.address + address);
      assert.equal(answer.status(), status, address);
      await page.getByRole("link", { name: "Show what is in force now" }).waitFor();
    }
  }));
});

test("Now follows what happens", () => withDaemon(states.example, (daemon, repository) => withPage(daemon, async (page) => {
  await page.goto(`${daemon.address}/ui/`);
  await page.getByText("asked for by the audit").first().waitFor();
  repository.promote("the support desk asked for it");
  await page.getByText("the support desk asked for it").first().waitFor();
  repository.write("policies/support.yaml", "apiVersion: refguard/v1\nkind: Policy\nname: support-desk\nguardrail: {}\n");
  repository.commit("a slip");
  repository.git("update-ref", "refs/heads/production", "HEAD");
  await page.getByText("serving the last good set").waitFor();
  await page.getByText("policies/support.yaml:4").waitFor();
})));

test("a page of the past says so when something newer is in force", () => withDaemon(states.example, (daemon, repository) => withPage(daemon, async (page) => {
  await page.goto(`${daemon.address}/ui/ask?team=health-eu`);
  const shared = page.url();
  const shown = await page.locator(".answer").innerText();
  await page.goto(`${daemon.address}/ui/policies`);
  const commit = repository.promote("another one");
  await page.getByText("Something newer is in force").waitFor();
  await daemon.until((set) => set.commit === commit);
  await page.goto(shared);
  await page.getByText("You are looking at the past").waitFor();
  assert.equal(await page.locator(".answer").innerText(), shown);
  await page.getByRole("link", { name: "Show what is in force" }).click();
  await page.waitForURL(`**at=${commit}**`);
})));

for (const [name, words] of [
  ["rejected", ["serving the last good set", "policies/healthcare.yaml:9", "hipaa_adit"]],
  ["hold", ["on hold", "incident 4711"]],
  ["gone", ["Its branch is gone", "What was good last stays in force"]],
  ["empty", ["are refused"]],
  ["environments", ["staging", "worktree"]],
  ["teams", ["the reorganisation"]],
]) {
  test(`Now says how it stands: ${name}`, () => withDaemon(states[name], (daemon) => withPage(daemon, async (page) => {
    await page.goto(`${daemon.address}/ui/`);
    const text = await page.locator("main").innerText();
    for (const word of words) assert.ok(text.includes(word), `${word}: ${text}`);
    // What holds nothing does not hold all that is published.
    if (["empty", "gone"].includes(name)) assert.ok(!text.includes("It holds all that is published"), text);
    assert.deepEqual(await axeFindings(page), []);
  })));
}

test("Change says that a branch is gone, not that nothing was promoted", () => withDaemon(states.gone, (daemon) => withPage(daemon, async (page) => {
  await page.goto(`${daemon.address}/ui/change`);
  const text = await page.locator("main").innerText();
  assert.ok(text.includes("Its branch is gone") && !text.includes("Nothing was promoted"), text);
})));

test("Shadow says who would get something else, and leads to the request", () => withDaemon(states.shadow, (daemon) => withPage(daemon, async (page) => {
  await page.goto(`${daemon.address}/ui/`);
  await page.getByRole("navigation", { name: "Pages" }).getByRole("link", { name: "Shadow" }).click();
  await page.getByRole("heading", { name: "What main would say" }).waitFor();
  assert.deepEqual(await axeFindings(page), []);
  const main = await page.locator("main").innerText();
  assert.match(main, /3 requests since/);
  assert.match(main, /Get something else\s*2 \(66\.7 %\)/);
  assert.match(main, /user <b>user<\/b>/);
  await page.getByRole("link", { name: "What it gets now" }).last().click();
  await page.waitForURL("**/ui/ask?**set=production**");
}, { viewport: { width: 390, height: 800 } })));

test("a daemon that is not ready says why on Now, and 503 elsewhere", () => withDaemon(states.empty, (daemon) => withPage(daemon, async (page) => {
  for (const address of ["/ui/ask", "/ui/policies", "/ui/matrix", "/ui/policy?name=a"]) {
    const answer = await page.goto(daemon.address + address);
    assert.equal(answer.status(), 503, address);
    await page.getByRole("link", { name: "Show what is in force now" }).click();
    await page.getByText("Requests are refused").first().waitFor();
  }
  for (const address of ["/ui/history", "/ui/change"]) {
    assert.equal((await page.goto(daemon.address + address)).status(), 200, address);
  }
})));

test("somebody signs in, is sent back to the form when the session is over, and signs out", () => withDaemon(async () => {
  const repository = Repository.example();
  const tokens = path.join(repository.top, "tokens");
  fs.writeFileSync(tokens, createHash("sha256").update("open sesame").digest("hex") + "\n");
  return { repository, daemon: await Daemon.start(repository, "--tokens", tokens, "--session-time", "4s", "--log", "debug") };
}, (daemon) => withPage(daemon, async (page) => {
  await page.goto(`${daemon.address}/ui/policies?q=base`);
  await page.getByLabel("Token").fill("wrong");
  await page.keyboard.press("Enter");
  await page.getByRole("alert").waitFor();
  assert.deepEqual(await axeFindings(page), []);
  await page.getByLabel("Token").fill("open sesame");
  await page.keyboard.press("Enter");
  await page.waitForURL("**/ui/policies?q=base");
  const [cookie] = await page.context().cookies(`${daemon.address}/ui/`);
  assert.ok(cookie.httpOnly && cookie.sameSite === "Strict" && cookie.value !== "open sesame");
  assert.equal(await page.evaluate(() => document.cookie), "");
  await page.goto(`${daemon.address}/ui/`);
  // The session ends while the page is open: its stream ends too, and the script leads to the form.
  await page.waitForURL("**/ui/sign-in**", { timeout: 60000 });
  await page.getByLabel("Token").fill("open sesame");
  await page.keyboard.press("Enter");
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.waitForURL("**/ui/sign-in");
  await page.goto(`${daemon.address}/ui/`);
  await page.getByLabel("Token").waitFor();
  assert.ok(!daemon.log.includes("sesame"), daemon.log);
})));

test("hostile names are text", () => withDaemon(async () => {
  const repository = Repository.empty();
  const bad = "<img src=x onerror=alert(1)>\"'><script>alert(2)</script>\u202e";
  const quoted = JSON.stringify(bad);
  repository.write("catalog.yaml", `apiVersion: refguard/v1\nkind: Catalog\nteams: [${quoted}, ${JSON.stringify("t".repeat(200))}]\nmodels: [m]\n`);
  repository.write("p.yaml", policy("plain", "guard", `description: ${JSON.stringify(bad + "d".repeat(9000))}\nowner: ${quoted}\n`)
    .replace('scope: "*"', `teams: [${quoted}]`) + `# </code></pre>${bad}\n`);
  repository.commit(`${bad}\n\n${bad}`, "--author", "Eve \"onmouseover=alert(3) x=\" <e@example.org>");
  repository.git("update-ref", "refs/heads/production", "HEAD");
  const daemon = await Daemon.start(repository);
  await daemon.until((set) => set?.commit);
  const { commit } = (await daemon.status()).sets[0];
  await fetch(`${daemon.address}/v1/clients/proxy-1`, {
    method: "PUT", headers: { "content-type": "application/json" },
    body: JSON.stringify({ commit, state: "rejected", reason: bad.repeat(100), guardrails: [{ name: bad, modes: [bad] }] }),
  });
  return { repository, daemon, bad };
}, (daemon) => withPage(daemon, async (page) => {
  const bad = encodeURIComponent("<img src=x onerror=alert(1)>\"'><script>alert(2)</script>\u202e");
  const long = "x".repeat(10000);
  for (const address of [
    "/ui/", "/ui/policies", `/ui/policies?q=${bad}`, "/ui/policy?name=plain", `/ui/policy?name=${bad}`, `/ui/policy?name=${long}`,
    `/ui/ask?team=${bad}`, `/ui/ask?team=a&policies=${bad}&guardrail=${bad}`, `/ui/ask?team=${long}`, "/ui/matrix", `/ui/matrix?filter=${bad}`,
    "/ui/history", "/ui/change", `/ui/policies?at=${bad}`, `/ui/policies?set=${bad}`, `/ui/${bad}`,
  ]) {
    await page.goto(daemon.address + address);
    assert.equal(await page.locator("main img, main script").count(), 0, address);
    assert.ok(!(await page.content()).replaceAll(/value="[^"]*"/g, "").includes("\u202e"), address);
    const tooWide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    assert.ok(tooWide <= 0, `${address} is ${tooWide} pixels too wide`);
  }
}, { viewport: { width: 390, height: 800 } })));
