// The policy pages of LiteLLM's own dashboard in a real browser, over a proxy whose policies are git's.
//
// node dashboard.mjs ADDRESS KEY POLICY; prints as JSON what was seen. Without a database the dashboard has no login: the cookie
// that one would leave is set here. REFGUARD_TEST_NODE and REFGUARD_TEST_CHROMIUM as for the daemon's pages.
import { createRequire } from "node:module";
import path from "node:path";

const require = createRequire(path.join(process.env.REFGUARD_TEST_NODE, "package.json"));
const { chromium } = require("playwright-core");
const [address, key, policy] = process.argv.slice(2);
const PATIENCE = 120_000;

const part = value => Buffer.from(JSON.stringify(value)).toString("base64url");
const login = {
  user_id: "admin", key, user_role: "proxy_admin", login_method: "username_password",
  auth_header_name: "Authorization", exp: Math.floor(Date.now() / 1000) + 3600,
};

const browser = await chromium.launch({
  executablePath: process.env.REFGUARD_TEST_CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox"],
});
try {
  const context = await browser.newContext({ viewport: { width: 1500, height: 1000 } });
  context.setDefaultTimeout(PATIENCE);
  await context.addCookies([{ name: "token", value: `${part({ alg: "HS256" })}.${part(login)}.x`, url: address }]);
  const page = await context.newPage();
  const calls = [];
  page.on("response", reply => {
    const asked = new URL(reply.url());
    if (asked.pathname.startsWith("/policies")) {
      calls.push(`${reply.request().method()} ${asked.pathname} ${reply.status()}`);
    }
  });

  await page.goto(`${address}/ui/policies`, { waitUntil: "domcontentloaded", timeout: PATIENCE });
  await page.getByRole("tab", { name: "Policies", exact: true }).click();
  await page.getByRole("cell", { name: policy }).first().waitFor();
  const listed = await page.locator("table").first().innerText();

  await page.getByText(policy, { exact: true }).first().click();
  await page.getByText("Resolved Guardrails", { exact: true }).waitFor();
  const shown = await page.locator("main").last().innerText();

  // Its flow with its versions; saving is refused, and the page says where the policy is.
  await page.getByRole("button", { name: "Edit Policy" }).click();
  await page.getByText("VERSIONS", { exact: false }).first().waitFor();
  await page.getByText("v1", { exact: true }).first().waitFor();
  const refused = page.waitForResponse(reply => reply.request().method() === "POST" && reply.status() === 409);
  await page.getByRole("button", { name: "+ New Version" }).click();
  const said = (await (await refused).json()).detail.error;
  await page.getByText("policies are kept in git", { exact: false }).first().waitFor();
  console.log(JSON.stringify({ listed, shown, said, calls }));
} finally {
  await browser.close();
}
