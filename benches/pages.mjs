// What a browser has of the daemon's pages: `paint ADDRESS` tells when each is first seen, `click ADDRESS` goes through
// all of them until it is ended. Needs what tests/pages/support.mjs needs.
import { launch } from "../tests/pages/support.mjs";

const [what, address] = process.argv.slice(2);
const pages = ["/ui/", "/ui/ask?team=team-1", "/ui/matrix", "/ui/policies", "/ui/policies?page=100", "/ui/history", "/ui/change"];
const browser = await launch();
const page = await browser.newPage();
await page.goto(`${address}/ui/`);

if (what === "click") {
  process.on("SIGTERM", () => browser.close().finally(() => process.exit(0)));
  for (;;) {
    for (const path of pages) await page.goto(address + path).catch(() => {});
  }
}
for (const path of pages) {
  const paints = [];
  for (let run = 0; run < 9; run++) {
    await page.goto(address + path);
    paints.push(await page.evaluate(() => new Promise((done) => new PerformanceObserver((list) => {
      const paint = list.getEntriesByName("first-contentful-paint")[0];
      if (paint) done(paint.startTime);
    }).observe({ type: "paint", buffered: true }))));
  }
  paints.sort((a, b) => a - b);
  console.log(`${path}: first contentful paint, median and worst of 9`.padEnd(70), `${paints[4].toFixed(0)}, ${paints[8].toFixed(0)} ms`);
}
await browser.close();
