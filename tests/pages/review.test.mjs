// The comment of `refguard review` as a person reads it on a forge: rendered as GitHub renders it, in a real browser,
// on a wide screen and on a telephone. What the page says is kept in review.golden.yaml (UPDATE=1 writes it anew:
// look at the pictures that SHOTS=FOLDER leaves first).
import assert from "node:assert/strict";
import fs from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { after, before, test } from "node:test";
import { pathToFileURL } from "node:url";
import { Repository, axeFindings, launch, watchedPage } from "./support.mjs";

const require = createRequire(path.join(process.env.REFGUARD_TEST_NODE, "package.json"));
const load = (name) => import(pathToFileURL(require.resolve(name)));
const { micromark } = await load("micromark");
const { gfm, gfmHtml } = await load("micromark-extension-gfm");

const FORGE = "https://forge.example/team/policies/blob/";
const GOLDEN = new URL("review.golden.yaml", import.meta.url);

const HOSTILE = "Fin <b>leads</b> | [x](javascript:1) & *co* ~~y~~";

// What forges give a comment: tables scroll by themselves, long words break.
const STYLE = `
  body { margin: 16px; font: 16px/1.5 system-ui, sans-serif; overflow-wrap: break-word; color: #1f2328; background: #fff }
  table { display: block; width: max-content; max-width: 100%; overflow: auto; border-collapse: collapse }
  th, td { padding: 6px 13px; border: 1px solid #d1d9e0 }
  code { padding: .2em .4em; background: #eff1f3; font-size: 85%; white-space: break-spaces }
  a { color: #0550ae }`;

// A change as people make it: a redaction lost, an invariant dropped, a policy more, an owner with a hostile name. With
// `slip`, a name is mistyped too, so that the set is none.
const reviewed = (slip) => {
  const repository = Repository.example();
  const edit = (file, from, to) => {
    const text = repository.read(file);
    assert.ok(text.includes(from), `${file} has no ${from}`);
    repository.write(file, text.replace(from, to));
  };
  edit("policies/healthcare.yaml", ", phi_redactor]", slip ? ", phi_redactro]" : "]");
  edit("policies/finance.yaml", /^owner: .*$/m.exec(repository.read("policies/finance.yaml"))[0], `owner: "${HOSTILE}"`);
  edit("policies/finance.yaml", "description: ", "description: again ");
  const invariants = fs.readdirSync(path.join(repository.folder, "invariants"));
  fs.rmSync(path.join(repository.folder, "invariants", invariants.sort()[0]));
  repository.write("policies/support.yaml",
    "apiVersion: refguard/v1\nkind: Policy\nname: support-desk\nowner: support-leads\ninherit: baseline\nguardrails:\n  add: [pii_masker]\n" +
    "---\napiVersion: refguard/v1\nkind: PolicyAttachment\npolicy: support-desk\nteams: [support]\n");
  repository.commit("one change of many kinds");
  return repository;
};

const review = (repository) => {
  try {
    return repository.refguard("review", "production", "HEAD", "--format", "markdown",
      "--link", `${FORGE}{commit}/{path}#L{line}`);
  } catch (error) {
    // 1: the change is at fault, which the comment tells.
    assert.equal(error.status, 1, error.stderr);
    return error.stdout;
  }
};

const render = (markdown) => {
  const body = micromark(markdown, { allowDangerousHtml: true, extensions: [gfm()], htmlExtensions: [gfmHtml()] });
  return `<!doctype html><html lang="en"><meta charset="utf-8"><title>Review</title><style>${STYLE}</style><main>${body}</main></html>`;
};

let browser;
const changes = [{ name: "a-change" }, { name: "a-slip", slip: true }];
before(async () => {
  browser = await launch();
  for (const change of changes) {
    change.repository = reviewed(change.slip);
    change.html = render(review(change.repository));
  }
});
after(async () => {
  await browser.close();
  changes.forEach((change) => change.repository.remove());
});

// Tells a story of each comment on a screen of some width, with all that is folded opened.
const onScreen = async (width, story) => {
  const context = await browser.newContext({ viewport: { width, height: 900 } });
  try {
    for (const change of changes) {
      const page = await watchedPage(context, "about:");
      await page.setContent(change.html);
      await page.evaluate(() => document.querySelectorAll("details").forEach((it) => { it.open = true; }));
      await story(page, change);
      if (process.env.SHOTS) await page.screenshot({ path: `${process.env.SHOTS}/${change.name}-${width}.png`, fullPage: true });
      assert.deepEqual(page.faults, []);
    }
  } finally {
    await context.close();
  }
};

test("the comments say what their golden text says", async () => {
  let said = "";
  await onScreen(1012, async (page, change) => {
    // Commits have other names in every run.
    const text = (await page.locator("main").ariaSnapshot()).replace(/\b[0-9a-f]{40}\b/g, "COMMIT");
    said += `# ${change.name}\n${text}\n`;
    assert.deepEqual(await axeFindings(page), []);
  });
  if (process.env.UPDATE) fs.writeFileSync(GOLDEN, said);
  assert.equal(said, fs.readFileSync(GOLDEN, "utf8"));
});

test("nothing of the markup is left to read", async () => {
  await onScreen(1012, async (page, change) => {
    // What keeps forges from reading a reference has no width.
    const text = (await page.locator("main").innerText()).replaceAll("\u200b", "");
    // The owner of finance has a name that looks like markup: as text it is there once, whole.
    assert.equal(text.split(HOSTILE).length, change.slip ? 1 : 2, text);
    const rest = text.replace(HOSTILE, "");
    for (const sign of ["`", "**", "](", "&#", "&lt;", "&amp;", "<b>", "|", "<!--", "~~", "\\"]) {
      assert.ok(!rest.includes(sign), `${sign} in ${rest}`);
    }
    const names = await page.evaluate(() => [...new Set([...document.querySelectorAll("main *")].map((it) => it.localName))]);
    const known = ["a", "code", "details", "em", "h2", "h3", "li", "p", "strong", "summary", "table", "tbody", "td", "th", "thead", "tr", "ul"];
    assert.deepEqual(names.filter((name) => !known.includes(name)), []);
  });
});

test("every link leads to the line that it names", async () => {
  await onScreen(1012, async (page, { repository, slip }) => {
    const links = await page.locator("a").evaluateAll((all) => all.map((it) => [it.getAttribute("href"), it.textContent]));
    assert.ok(links.length >= (slip ? 1 : 5), `${links}`);
    for (const [href, text] of links) {
      assert.ok(href.startsWith(FORGE), href);
      const [, commit, file, line] = href.slice(FORGE.length).match(/^([0-9a-f]{40})\/(.+)#L(\d+)$/) ?? assert.fail(href);
      const lines = repository.git("show", `${commit}:${decodeURIComponent(file)}`).split("\n");
      assert.ok(lines[Number(line) - 1]?.trim(), `${href} is no line`);
      assert.equal(text, `${decodeURIComponent(file)}:${line}`);
    }
  });
});

for (const width of [1012, 390]) {
  test(`nothing is wider than a screen of ${width} pixels`, async () => {
    await onScreen(width, async (page) => {
      const wide = await page.evaluate(() => document.documentElement.scrollWidth);
      assert.ok(wide <= width, `${wide}`);
      // Nothing is cut off: what scrolls by itself is a table.
      const cut = await page.evaluate(() => [...document.querySelectorAll("main *:not(table, table *)")]
        .filter((it) => it.getBoundingClientRect().right > innerWidth + 1).map((it) => it.outerHTML));
      assert.deepEqual(cut, []);
    });
  });
}
