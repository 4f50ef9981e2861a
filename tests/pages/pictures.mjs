// The pictures of README.md and docs/pages.md, made from the example:
// REFGUARD_BIN=… REFGUARD_TEST_NODE=… node tests/pages/pictures.mjs
import fs from "node:fs";
import path from "node:path";
import { launch } from "./support.mjs";
import { states } from "./states.mjs";

const MOST = 200 * 1024;
const folder = path.join(import.meta.dirname, "../../docs/images");
const pictures = [
  ["now.png", "/ui/"],
  ["ask.png", "/ui/ask?team=health-eu&model=gpt-5&guardrail=pci_scanner"],
];

fs.mkdirSync(folder, { recursive: true });
const { repository, daemon } = await states.example();
const browser = await launch();
const page = await browser.newPage({ viewport: { width: 1180, height: 620 }, colorScheme: "light" });
for (const [file, address] of pictures) {
  await page.goto(daemon.address + address);
  const target = path.join(folder, file);
  await page.screenshot({ path: target, fullPage: true });
  const { size } = fs.statSync(target);
  if (size > MOST) throw new Error(`${file} has ${size} bytes: ${MOST} at most`);
  console.log(`${file}: ${size} bytes`);
}
await browser.close();
await daemon.stop();
repository.remove();
