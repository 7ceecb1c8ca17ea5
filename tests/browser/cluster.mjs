// The chat page on two frontends: people who are connected to different servers sit in one room.
//
//   node cluster.mjs http://127.0.0.1:3250/ http://127.0.0.1:3251/ [folder for the screenshots, default ../out/browser]
//
// As chat.mjs, whose checks of the page itself are not repeated here.

import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";

import { check, inBrowser, join, last, online, people, person, picture, say, shows, status } from "./people.mjs";

const [, , here, there, out = fileURLToPath(new URL("../out/browser", import.meta.url))] = process.argv;
if (!there) {
  console.error("usage: node cluster.mjs URL URL [FOLDER]");
  process.exit(2);
}

await inBrowser(out, async (browser) => {
  const room = `room-${process.pid}`;
  const desk = { viewport: { width: 1100, height: 720 }, colorScheme: "light" };
  const ann = await person(browser, here, "Ann", desk);
  const bob = await person(browser, there, "Bob", { ...desk, colorScheme: "dark" });

  await check("both frontends serve the page", async () => {
    assert.notEqual(new URL(ann.page.url()).port, new URL(bob.page.url()).port);
    for (const who of [ann, bob]) await shows(status(who), "Connected");
  });

  await check("a room opened through one is offered by the other", async () => {
    await join(ann, room);
    await online(ann, "Ann");
    await bob.page.getByRole("button", { name: `Room ${room}, 1 person` }).click();
  });

  await check("both sit in one room", async () => {
    await join(bob, room);
    await shows(ann.page.locator("#log .line").last(), "Bob joined");
    for (const who of [ann, bob]) await online(who, "Ann", "Bob");
  });

  await check("what is said on one frontend is heard on the other", async () => {
    await say(ann, "Hello over there");
    await shows(last(bob), "Hello over there");
    await say(bob, "Hello back");
    for (const who of [ann, bob]) await shows(last(who), "Hello back");
    assert.equal(await last(bob).getAttribute("class"), "message mine");
    await picture(ann, "cluster-1-here");
    await picture(bob, "cluster-2-there");
  });

  await check("two people have one name on two frontends", async () => {
    const other = await person(browser, there, "Ann", desk);
    await shows(status(other), "Connected");
    await join(other, room);
    for (const who of [ann, bob, other]) await online(who, "Ann", "Ann", "Bob");
    await say(other, "I am the other one");
    await shows(last(ann), "I am the other one");
    assert.equal(await last(ann).getAttribute("class"), "message");
    await other.page.close();
    await online(ann, "Ann", "Bob");
  });

  await check("one closes the page, the other frontend hears of it", async () => {
    await bob.page.close();
    await shows(ann.page.locator("#log .line").last(), "Bob left");
    await online(ann, "Ann");
  });

  await check("no errors in the console", () => {
    for (const { name, errors } of people) assert.deepEqual(errors, [], name);
  });
});
