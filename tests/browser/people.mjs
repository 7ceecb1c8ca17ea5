// People in a real browser: what they do on the chat page, and what they see there.

import assert from "node:assert/strict";
import { mkdir } from "node:fs/promises";
import path from "node:path";

import { chromium } from "playwright-core";

const FLAGS = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync",
];
const PATIENCE = 10_000; // ms for anything the page should show

export const people = []; // everyone who opened the page
export const outage = { expected: false }; // the server is gone, as it should be
let pictures; // the folder for screenshots

/** Opens the page as one person with their own storage, and listens for what goes wrong in it. */
export async function person(browser, url, name, look) {
  const context = await browser.newContext({ locale: "en-GB", ...look });
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE);
  const who = { name, page, errors: [] };
  page.on("pageerror", (error) => who.errors.push(String(error)));
  page.on("console", (message) => {
    // The browser itself reports a socket that cannot connect; while the server is gone that is what should happen.
    const expected = outage.expected && /WebSocket connection to .* failed/.test(message.text());
    if (message.type() === "error" && !expected) who.errors.push(message.text());
  });
  people.push(who);
  await page.goto(url);
  return who;
}

export async function join({ name, page }, room) {
  await page.getByLabel("Your name").fill(name);
  await page.getByLabel("Room", { exact: true }).fill(room);
  await page.keyboard.press("Enter");
}

export async function say({ page }, ...lines) {
  const field = page.getByLabel("Message", { exact: true });
  for (const [index, line] of lines.entries()) {
    if (index > 0) await field.press("Shift+Enter");
    await field.pressSequentially(line);
  }
  await field.press("Enter");
}

export const last = ({ page }, count = 1) => page.locator("#log .message").nth(-count);
export const status = ({ page }) => page.locator("#connection-text");
export const shows = (locator, text) => locator.filter({ hasText: text }).waitFor();

/** Waits for the list of who is online to be these; on a phone it is there too, folded away. */
export async function online({ page }, ...names) {
  const count = page.locator("#member-count", { hasText: `${names.length} online` });
  await count.waitFor({ state: "attached" }).catch(() => {});
  const shown = await page.locator("#member-list li > span:last-child").allTextContents();
  assert.deepEqual(shown.map((name) => name.replace(" (you)", "")).sort(), [...names].sort());
}

/** A picture of the page, which fails when there is nothing on it. */
export async function picture({ page }, file) {
  const png = await page.screenshot({ path: path.join(pictures, `${file}.png`) });
  const colours = await page.evaluate(async (base64) => {
    const image = new Image();
    image.src = `data:image/png;base64,${base64}`;
    await image.decode();
    const canvas = new OffscreenCanvas(image.width, image.height).getContext("2d");
    canvas.drawImage(image, 0, 0);
    return new Set(new Uint32Array(canvas.getImageData(0, 0, image.width, image.height).data.buffer)).size;
  }, png.toString("base64"));
  assert.ok(colours > 8, `${file}: the page is empty, it has ${colours} colours`);
}

export async function check(what, run) {
  await run();
  console.log(`ok  ${what}`);
}

/** Gives a browser to `run`. What fails there ends the program with a screenshot of every page and exit code 1. */
export async function inBrowser(out, run) {
  pictures = out;
  await mkdir(out, { recursive: true });
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: FLAGS });
  try {
    await run(browser);
  } catch (error) {
    console.error(`FAILED  ${error.stack}`);
    for (const [index, { name, page, errors }] of people.entries()) {
      if (errors.length) console.error(`${name}'s console: ${errors.join("\n")}`);
      if (!page.isClosed()) await page.screenshot({ path: path.join(out, `failed-${index}-${name}.png`) }).catch(() => {});
    }
    process.exitCode = 1;
  } finally {
    await browser.close();
  }
}
