// The chat page in a real browser: two people meet, talk, lose the server and find it again.
//
//   node chat.mjs http://127.0.0.1:3250/ [folder for the screenshots, default ../out/browser]
//
// Needs Chromium (Debian's package; another path goes in CHROMIUM). Prints a line for each check; the first one that
// fails ends the run with a screenshot of every page and exit code 1.

import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";

import { check, inBrowser, join, last, online, outage, people, person, picture, say, shows, status } from "./people.mjs";
import { Proxy } from "./proxy.mjs";

const BACK_AGAIN = 30_000; // ms from the return of the server to a page that is connected again

const [, , address, out = fileURLToPath(new URL("../out/browser", import.meta.url))] = process.argv;
if (!address) {
  console.error("usage: node chat.mjs URL [FOLDER]");
  process.exit(2);
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

  await check("two people have one name, and are two people", async () => {
    const other = await person(browser, proxy.url, "Ann", { ...desk, colorScheme: "dark" });
    await shows(status(other), "Connected");
    await join(other, room);
    await shows(last(other), "twice.");
    for (const who of [ann, other, bob]) await online(who, "Ann", "Ann", "Bob");
    await say(other, "I am the other one");
    for (const who of [ann, bob]) await shows(last(who), "I am the other one");
    assert.equal(await last(other).getAttribute("class"), "message mine");
    assert.equal(await last(ann).getAttribute("class"), "message");
    await picture(other, "7-history-dark");
    await other.page.close();
    await shows(ann.page.locator("#log .line").last(), "Ann left");
    await online(ann, "Ann", "Bob");
  });

  await check("a name in any script is a name, and markup in it is text", async () => {
    const names = [
      "x", "界", "👩‍👩‍👧‍👦", "🎉".repeat(64), "מיכל", "علی‌رضا", "Zoë d’Arc".padEnd(64, "é"),
      `<img src=x onerror="document.title='owned'">`, "</bdi><script>alert(1)</script>", "&amp;",
    ];
    const other = await person(browser, proxy.url, names[0], desk);
    await shows(status(other), "Connected");
    for (const [index, name] of names.entries()) {
      await join({ ...other, name }, room);
      await online(ann, "Ann", "Bob", name);
      await say(other, `Hello number ${index}`);
      await shows(last(ann), `Hello number ${index}`);
      await shows(last(ann).locator(".who"), name);
      await shows(ann.page.locator("#log .line").last(), "joined");
      await other.page.getByRole("button", { name: "Leave" }).click();
      await online(ann, "Ann", "Bob");
      for (const who of [ann, other]) {
        assert.equal(await who.page.locator("main img, main script").count(), 0, name);
        assert.match(await who.page.title(), /Pitaya chat/, name);
      }
    }
    for (const name of ["🎉".repeat(65), "a\u202eb", "\u200d", "\u2066"]) {
      await join({ ...other, name }, room);
      await shows(other.page.locator("#join-error"), "1 to 64 characters");
    }
    await other.page.close();
  });

  await check("the server goes: the page says that it reconnects, and keeps what was being written", async () => {
    outage.expected = true;
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
      await who.page.locator("#log .line", { hasText: "You are back." }).waitFor({ timeout: BACK_AGAIN });
    }
    // For the server the old connections are still there, until it notices.
    proxy.release();
    for (const [who, left] of [[ann, "Bob left"], [bob, "Ann left"]]) {
      await shows(who.page.locator("#log .line").last(), left);
    }
    outage.expected = false;
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

const proxy = new Proxy(new URL(address));
await proxy.start();
await inBrowser(out, (browser) => run(browser, proxy));
await proxy.stop();
proxy.release();
