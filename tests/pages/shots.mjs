// Pictures of pages in every state, to be looked at by people:
// REFGUARD_BIN=… REFGUARD_TEST_NODE=… node tests/pages/shots.mjs FOLDER [STATE…]
import fs from "node:fs";
import path from "node:path";
import { launch } from "./support.mjs";
import { states } from "./states.mjs";

const [folder, ...wanted] = process.argv.slice(2);
fs.mkdirSync(folder, { recursive: true });
const only = process.env.PAGES?.split(" ");
const browser = await launch();
const widths = (process.env.WIDTHS ?? "1280 768 390").split(" ").map(Number);
const schemes = (process.env.SCHEMES ?? "light dark").split(" ");

for (const name of wanted.length ? wanted : Object.keys(states)) {
  const { repository, daemon } = await states[name]();
  const pages = only ?? ["/ui/"];
  for (const width of widths) {
    for (const colorScheme of schemes) {
      const context = await browser.newContext({ viewport: { width, height: 800 }, colorScheme });
      const page = await context.newPage();
      for (const [index, address] of pages.entries()) {
        await page.goto(daemon.address + address);
        await page.waitForLoadState("load");
        const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
        if (wide > 0) console.log(`${name} ${address} at ${width}: ${wide} px too wide`);
        await page.screenshot({ path: path.join(folder, `${name}-${index}-${width}-${colorScheme}.png`), fullPage: true });
      }
      await context.close();
    }
  }
  await daemon.stop();
  repository.remove();
}
await browser.close();
