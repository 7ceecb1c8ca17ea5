// The chat page in a real browser: two people meet, talk, lose the server and find it again.
//
//   node chat.mjs http://127.0.0.1:3250/ [folder for the screenshots, default ../out/browser]
//
// Needs Chromium (Debian's package; another path goes in CHROMIUM). Prints a line for each check; the first one that
// fails ends the run with a screenshot of every page and exit code 1.

import assert from "node:assert/strict";
import { mkdir } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";

import { chromium } from "playwright-core";

import { Proxy } from "./proxy.mjs";

const FLAGS = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync",
];
const PATIENCE = 10_000; // ms for anything the page should show
const BACK_AGAIN = 30_000; // ms from the return of the server to a page that is connected again

const [, , address, out = fileURLToPath(new URL("../out/browser", import.meta.url))] = process.argv;
if (!address) {
  console.error("usage: node chat.mjs URL [FOLDER]");
  process.exit(2);
}

const people = []; // everyone who opened the page
let outage = false;

/** Opens the page as one person with their own storage, and listens for what goes wrong in it. */
async function person(browser, url, name, look) {
  const context = await browser.newContext({ locale: "en-GB", ...look });
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE);
  const who = { name, page, errors: [] };
  page.on("pageerror", (error) => who.errors.push(String(error)));
  page.on("console", (message) => {
    // The browser itself reports a socket that cannot connect; while the server is gone that is what should happen.
    const expected = outage && /WebSocket connection to .* failed/.test(message.text());
    if (message.type() === "error" && !expected) who.errors.push(message.text());
  });
  people.push(who);
  await page.goto(url);
  return who;
}

async function join({ name, page }, room) {
  await page.getByLabel("Your name").fill(name);
  await page.getByLabel("Room", { exact: true }).fill(room);
  await page.keyboard.press("Enter");
}

async function say({ page }, ...lines) {
  const field = page.getByLabel("Message", { exact: true });
  for (const [index, line] of lines.entries()) {
    if (index > 0) await field.press("Shift+Enter");
    await field.pressSequentially(line);
  }
  await field.press("Enter");
}

const last = ({ page }, count = 1) => page.locator("#log .message").nth(-count);
const status = ({ page }) => page.locator("#connection-text");
const shows = (locator, text) => locator.filter({ hasText: text }).waitFor();

/** Waits for the list of who is online to be these; on a phone it is there too, folded away. */
async function online({ page }, ...names) {
  const count = page.locator("#member-count", { hasText: `${names.length} online` });
  await count.waitFor({ state: "attached" }).catch(() => {});
  const shown = await page.locator("#member-list li > span:last-child").allTextContents();
  assert.deepEqual(shown.map((name) => name.replace(" (you)", "")).sort(), [...names].sort());
}

/** A picture of the page, which fails when there is nothing on it. */
async function picture({ page }, file) {
  const png = await page.screenshot({ path: path.join(out, `${file}.png`) });
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

async function check(what, run) {
  await run();
  console.log(`ok  ${what}`);
}

async function run(browser, proxy) {
  const room = `room-${process.pid}`;
  const desk = { viewport: { width: 1100, height: 720 }, colorScheme: "light" };
  const phone = { viewport: { width: 390, height: 780 }, colorScheme: "dark", hasTouch: true, deviceScaleFactor: 2 };
  const ann = await person(browser, proxy.url, "Ann", desk);

  await check("the page connects and asks for a name", async () => {
    await shows(status(ann), "Connected");
    assert.equal(await ann.page.evaluate(() => document.activeElement.id), "name");
    await picture(ann, "1-lobby-light");
  });

  await check("no name: the page says so in words", async () => {
    await join({ ...ann, name: "  " }, room);
    await shows(ann.page.locator("#join-error"), "pick a name");
    assert.equal(await ann.page.evaluate(() => document.activeElement.id), "name");
  });

  await check("a name and Enter lead into the room", async () => {
    await join(ann, room);
    await shows(ann.page.getByRole("heading", { level: 1 }), room);
    await online(ann, "Ann");
    assert.equal(await ann.page.evaluate(() => document.activeElement.id), "text");
  });

  const bob = await person(browser, proxy.url, "Bob", phone);
  await check("the lobby offers the rooms that exist", async () => {
    await bob.page.getByRole("button", { name: `Room ${room}, 1 person` }).click();
    assert.equal(await bob.page.getByLabel("Room", { exact: true }).inputValue(), room);
    await picture(bob, "2-lobby-dark-phone");
  });

  await check("a second person comes, both see both", async () => {
    await join(bob, room);
    await shows(ann.page.locator("#log .line").last(), "Bob joined");
    await online(ann, "Ann", "Bob");
    await online(bob, "Ann", "Bob");
  });

  await check("they talk both ways, own messages are told apart", async () => {
    await say(ann, "Hello Bob");
    await shows(last(bob), "Hello Bob");
    await say(bob, "Hello Ann 🎉👩‍🚀", "second line");
    for (const who of [ann, bob]) await shows(last(who), "Hello Ann 🎉👩‍🚀");
    assert.equal(await last(ann).locator(".body").textContent(), "Hello Ann 🎉👩‍🚀\nsecond line");
    assert.equal(await last(bob).getAttribute("class"), "message mine");
    assert.equal(await last(ann).getAttribute("class"), "message");
    assert.match(await last(ann).locator("time").textContent(), /^\d\d:\d\d/);
    assert.equal(await ann.page.evaluate(() => document.activeElement.id), "text");
    assert.equal(await ann.page.locator("#text").inputValue(), "");
  });

  await check("markup is shown as it was typed", async () => {
    const markup = `<b>bold</b> <img src=x onerror="document.title='owned'"> & &amp;`;
    await say(ann, markup);
    for (const who of [ann, bob]) {
      await shows(last(who), "bold");
      assert.equal(await last(who).locator(".body").textContent(), markup);
      assert.equal(await who.page.locator("#log img, #log b").count(), 0);
      assert.match(await who.page.title(), /Pitaya chat/);
    }
    await say(bob, "A longer one, so that the page shows how it wraps: the quick brown fox jumps over the lazy dog, twice.");
    for (const who of [ann, bob]) await shows(last(who), "twice.");
    await picture(ann, "3-room-light");
    await picture(bob, "4-room-dark-phone");
  });

  await check("the list of who is online opens on a phone", async () => {
    await bob.page.getByRole("button", { name: "2 online" }).click();
    await bob.page.getByRole("complementary").getByText("Bob (you)").waitFor();
    await picture(bob, "5-online-dark-phone");
    await bob.page.keyboard.press("Escape");
    await bob.page.locator("#members").waitFor({ state: "hidden" });
  });

  await check("a taken name: the page says so in words", async () => {
    const other = await person(browser, proxy.url, "Ann", { ...desk, colorScheme: "dark" });
    await shows(status(other), "Connected");
    await join(other, room);
    await shows(other.page.locator("#join-error"), "already has that name");
    await picture(other, "6-taken-dark");
    await join({ ...other, name: "Cleo" }, room);
    await shows(last(other), "twice.");
    await online(ann, "Ann", "Bob", "Cleo");
    await picture(other, "7-history-dark");
    await other.page.close();
    await shows(ann.page.locator("#log .line").last(), "Cleo left");
    await online(ann, "Ann", "Bob");
  });

  await check("the server goes: the page says that it reconnects, and keeps what was being written", async () => {
    outage = true;
    await ann.page.locator("#text").fill("still here");
    await proxy.stop();
    for (const who of [ann, bob]) await shows(status(who), "Reconnecting");
    assert.equal(await ann.page.getByRole("button", { name: "Send" }).isDisabled(), true);
    await ann.page.getByRole("button", { name: "Try now" }).waitFor();
    await ann.page.locator("#text").press("Enter");
    assert.equal(await ann.page.locator("#text").inputValue(), "still here");
    await picture(ann, "8-reconnecting-light");
    await picture(bob, "9-reconnecting-dark-phone");
  });

  await check("the server returns: both are back in the room and talk", async () => {
    await proxy.start();
    for (const who of [ann, bob]) {
      await status(who).filter({ hasText: "Connected" }).waitFor({ timeout: BACK_AGAIN });
      // For the server they are still there, so their names are taken: by themselves.
      await shows(who.page.locator("#chat-error"), "old connection");
    }
    proxy.release();
    for (const who of [ann, bob]) {
      await who.page.locator("#log .line", { hasText: "You are back." }).waitFor({ timeout: BACK_AGAIN });
    }
    outage = false;
    await online(ann, "Ann", "Bob");
    await online(bob, "Ann", "Bob");
    await ann.page.locator("#text").press("Enter");
    await shows(last(bob), "still here");
    const texts = await bob.page.locator("#log .message .body").allTextContents();
    assert.equal(new Set(texts).size, texts.length, "a history read again shows nothing twice");
  });

  await check("one leaves, the other sees it", async () => {
    await bob.page.getByRole("button", { name: "Leave" }).click();
    await shows(ann.page.locator("#log .line").last(), "Bob left");
    await online(ann, "Ann");
    await bob.page.getByLabel("Your name").waitFor();
    assert.equal(await bob.page.evaluate(() => document.activeElement.id), "name");
    await picture(ann, "10-alone-light");
  });

  await check("no errors in the console", () => {
    for (const { name, errors } of people) assert.deepEqual(errors, [], name);
  });
}

await mkdir(out, { recursive: true });
const proxy = new Proxy(new URL(address));
await proxy.start();
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: FLAGS });
try {
  await run(browser, proxy);
} catch (error) {
  console.error(`FAILED  ${error.stack}`);
  for (const [index, { name, page, errors }] of people.entries()) {
    if (errors.length) console.error(`${name}'s console: ${errors.join("\n")}`);
    if (!page.isClosed()) await page.screenshot({ path: path.join(out, `failed-${index}-${name}.png`) }).catch(() => {});
  }
  process.exitCode = 1;
} finally {
  await browser.close();
  await proxy.stop();
  proxy.release();
}
