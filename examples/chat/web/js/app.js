// The page: a lobby where one picks a name and a room, and the room. What the server is asked and what it tells is here;
// how bytes travel is in client.js, how messages look is in log.js.

import { PitayaClient, PitayaError } from "./client.js";
import { Log, colour, element, face } from "./log.js";

const $ = (id) => document.getElementById(id);
const MAX_TEXT = 500;
const ROOMS_EVERY = 5_000; // ms between two looks at the list of rooms, while the lobby is shown

const client = new PitayaClient({ url: `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/` });
const log = new Log($("log"), $("to-end"));

let me = null; // {name, room} once we are in a room, until we leave it
let ids = new Set(); // who we are to the server, and were on connections before: a name may be somebody else's too
let seated = false; // the server knows us in that room: false while we come back after a lost line
let countdown = 0;
let unseen = 0; // messages that came while the page was in the background

// --------------------------------------------------------------------------------------------------------- connection

client.onState = (state) => {
  const { is } = state;
  const text = {
    connecting: state.attempt ? "Reconnecting…" : "Connecting…",
    open: "Connected",
    waiting: `${state.reason} Reconnecting`,
    closed: state.reason,
  }[is];
  $("connection").dataset.is = is;
  if ($("connection-text").textContent !== text) $("connection-text").textContent = text;
  $("retry").hidden = is !== "waiting" && is !== "closed";
  $("retry").textContent = is === "closed" ? "Connect again" : "Try now";
  $("enter").disabled = is !== "open";
  sit(false);
  showCountdown(is === "waiting" ? state.retryAt : 0);

  if (is === "open") arrive();
  // A kick means that the server wants us gone: coming back by ourselves would be rude.
  if (is === "closed" && me) toLobby(state.reason);
};

function sit(now) {
  seated = now;
  for (const id of ["send", "leave"]) $(id).disabled = !now;
}

/** Seconds until the next try; out of the status text, which a screen reader would read again each second. */
function showCountdown(until) {
  clearInterval(countdown);
  const show = () => {
    const seconds = Math.ceil((until - Date.now()) / 1000);
    $("connection-countdown").textContent = seconds > 0 ? `in ${seconds} s` : "";
  };
  show();
  if (until) countdown = setInterval(show, 250);
}

async function arrive() {
  if (!me) return showRooms();
  try {
    enter(await client.request("chat.room.join", me), { again: true });
  } catch (error) {
    if (error.code?.startsWith("CLIENT-")) return; // the line went again; the next one calls us again
    toLobby(inWords(error));
  }
}

$("retry").addEventListener("click", () => {
  client.connect();
  $(me ? "text" : "name").focus(); // the button goes away, and would take the focus with it
});
addEventListener("online", () => client.state.is === "waiting" && client.connect());

// -------------------------------------------------------------------------------------------------------------- lobby

$("join").addEventListener("submit", async (event) => {
  event.preventDefault();
  const wish = { name: $("name").value.trim(), room: $("room").value.trim() };
  for (const id of ["name", "room"]) $(id).ariaInvalid = String(wish[id] === "");
  const missing = ["name", "room"].find((id) => wish[id] === "");
  if (missing) return refuse($(missing), missing === "name" ? "Please pick a name first." : "Please name a room.");

  $("enter").disabled = true;
  try {
    const joined = await client.request("chat.room.join", wish);
    remember("name", joined.name);
    enter(joined, { again: false });
  } catch (error) {
    const field = error.code === "CHAT-NAME" ? $("name") : null;
    refuse(field, inWords(error));
  } finally {
    $("enter").disabled = client.state.is !== "open";
  }
});

$("join").addEventListener("input", ({ target }) => {
  target.ariaInvalid = "false";
  $("join-error").textContent = "";
});

function refuse(field, reason) {
  $("join-error").textContent = reason;
  if (!field) return;
  field.ariaInvalid = "true";
  field.focus();
  field.select();
}

async function showRooms() {
  if (me || document.hidden || client.state.is !== "open") return;
  try {
    const { rooms } = await client.request("chat.room.rooms");
    const busy = rooms.filter(({ members }) => members > 0).sort((a, b) => b.members - a.members);
    const chips = busy.slice(0, 8).map(({ name, members }) => {
      const chip = element("button", "", `${name} `, element("span", "count", String(members)));
      chip.type = "button";
      chip.dir = "auto";
      chip.ariaLabel = `Room ${name}, ${people(members)}`;
      chip.addEventListener("click", () => {
        $("room").value = name;
        ($("name").value.trim() ? $("enter") : $("name")).focus();
      });
      return chip;
    });
    // Rebuilding the list under someone's finger or focus would lose both.
    const signature = JSON.stringify(busy);
    if ($("rooms").dataset.shown === signature) return;
    $("rooms").dataset.shown = signature;
    $("rooms").replaceChildren(...chips);
    $("rooms").hidden = chips.length === 0;
  } catch {
    // The list is a convenience: without it one can still type a room.
  }
}
setInterval(showRooms, ROOMS_EVERY);

function toLobby(reason = "") {
  me = null;
  sit(false);
  document.title = "Pitaya chat";
  $("chat").hidden = true;
  $("lobby").hidden = false;
  refuse(null, reason);
  $("name").focus();
  showRooms();
}

// --------------------------------------------------------------------------------------------------------------- room

function enter({ room, id, name, members, history }, { again }) {
  me = { name, room };
  ids.add(id);
  sit(true);
  if (!again) log.clear();
  log.history(history, ids);
  log.line(again ? "You are back." : "You joined. Say hello!");
  showMembers(members);
  $("chat-error").textContent = "";
  if (again) return;

  $("lobby").hidden = true;
  $("chat").hidden = false;
  $("room-title").textContent = room;
  unseen = 0;
  showTitle();
  shareable(room);
  log.follow();
  $("text").focus();
}

client.on("onMessage", (message) => {
  if (!me || (message.room ?? me.room) !== me.room) return;
  const mine = ids.has(message.from);
  log.message(message, mine);
  if (document.hidden && !mine) unseen += 1;
  showTitle();
});

client.on("onJoin", ({ id, name, members }) => {
  if (!me) return;
  showMembers(members);
  if (!ids.has(id)) log.line(element("bdi", "", name), " joined");
});

client.on("onLeave", ({ id, name, members }) => {
  if (!me) return;
  showMembers(members);
  if (!ids.has(id)) log.line(element("bdi", "", name), " left");
});

client.on("onError", (error) => {
  if (me) $("chat-error").textContent = inWords(error);
});

function showMembers(members) {
  // Our place on a lost connection stays until the server notices: nobody else, and nobody twice.
  const others = members.filter(({ id }) => !ids.has(id)).map(({ name }) => name);
  const names = [me.name, ...others.sort((a, b) => a.localeCompare(b))];
  const items = names.map((name, place) => {
    const label = element("span", "", "", element("bdi", "", name), place === 0 ? " (you)" : "");
    return element("li", "", "", face(name), label);
  });
  $("member-list").replaceChildren(...items);
  $("member-count").textContent = `${items.length} online`;
}

function showTitle() {
  if (me) document.title = unseen ? `(${unseen}) ${me.room} · Pitaya chat` : `${me.room} · Pitaya chat`;
}

document.addEventListener("visibilitychange", () => {
  if (document.hidden) return;
  unseen = 0;
  showTitle();
  showRooms();
});

$("leave").addEventListener("click", async () => {
  try {
    await client.request("chat.room.leave");
    toLobby();
  } catch (error) {
    $("chat-error").textContent = inWords(error);
  }
});

$("show-members").addEventListener("click", () => showDrawer(!$("members").classList.contains("shown")));
addEventListener("keydown", ({ key }) => key === "Escape" && showDrawer(false));
$("log").addEventListener("pointerdown", () => showDrawer(false));

function showDrawer(shown) {
  $("members").classList.toggle("shown", shown);
  $("show-members").ariaExpanded = String(shown);
}

// -------------------------------------------------------------------------------------------------------------- compose

$("compose").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = $("text").value.trim();
  $("text").focus();
  if (!text || !seated) return;
  try {
    client.notify("chat.room.message", { text });
    $("text").value = "";
    $("chat-error").textContent = "";
    fit();
    log.follow();
  } catch (error) {
    $("chat-error").textContent = inWords(error);
  }
});

$("text").addEventListener("keydown", (event) => {
  // While an input method composes a word, Enter belongs to it.
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  $("compose").requestSubmit();
});

$("text").addEventListener("input", fit);

/** The field is as high as its text, and says how much room is left when it gets little. */
function fit() {
  const field = $("text");
  field.style.height = "auto";
  field.style.height = `${field.scrollHeight + field.offsetHeight - field.clientHeight}px`;
  const left = MAX_TEXT - field.value.length;
  $("left").textContent = left <= 100 ? `${left} left` : "";
}

// --------------------------------------------------------------------------------------------------------------- words

function inWords(error) {
  if (!(error instanceof PitayaError) && !error?.code) return "Something went wrong on this page. Please reload it.";
  const known = {
    "CHAT-NAME": error.message || error.msg || "This name cannot be used. A name has 1 to 64 characters.",
    "PIT-503": "The server is busy. Please try again in a moment.",
    "PIT-408": "The server took too long. Please try again.",
  }[error.code];
  if (known) return known;
  const text = error.message || error.msg || "The server gave no reason.";
  return error.code.startsWith("CLIENT-") ? text : `The server said: ${text} (${error.code})`;
}

const people = (count) => (count === 1 ? "1 person" : `${count} people`);

/** Puts the room into the address, so that it can be shared; the name stays on this device. */
function shareable(room) {
  history.replaceState(null, "", `#${encodeURIComponent(room)}`);
}

// Storage may be forbidden; then nothing is remembered, and that is all.
function remember(key, value) {
  try {
    localStorage.setItem(`pitaya-chat-${key}`, value);
  } catch {}
}

function remembered(key) {
  try {
    return localStorage.getItem(`pitaya-chat-${key}`) ?? "";
  } catch {
    return "";
  }
}

function roomInAddress() {
  try {
    return decodeURIComponent(location.hash.slice(1)).slice(0, 32);
  } catch {
    return "";
  }
}

$("name").value = remembered("name");
$("room").value = roomInAddress() || $("room").value;
$("name").focus();
client.connect();
