// The log of a room: messages, who came and went, the days between. What people wrote enters the page as text only.

const MOST_ENTRIES = 500; // older ones leave the page
const GROUP_FOR = 5 * 60_000; // messages of one person within this time (ms) share one head
const NEAR_THE_END = 80; // pixels: closer than this, the reader follows the newest message

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const calendar = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });
const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "medium" });

/** An element with a class, text and children. Text is text: markup in it shows as it was typed. */
export function element(tag, className = "", content = "", ...children) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (content) node.textContent = content;
  node.append(...children);
  return node;
}

/** The same name has the same colour on every screen. */
export function colour(node, name) {
  let hash = 0x811c9dc5; // FNV-1a, which spreads short names well
  for (const sign of name) hash = Math.imul(hash ^ sign.codePointAt(0), 0x01000193) >>> 0;
  node.style.setProperty("--hue", `${hash % 360}`);
  return node;
}

/** The first sign of a name, whole even where it is made of several code points. */
export function face(name) {
  const signs = typeof Intl.Segmenter === "function" ? new Intl.Segmenter() : null;
  const first = signs ? [...signs.segment(name)][0]?.segment : [...name][0];
  const node = element("span", "face", (first ?? "?").toUpperCase());
  node.ariaHidden = "true";
  return colour(node, name);
}

export class Log {
  #box;
  #toEnd;
  #last = null; // the newest message, while nothing came after it
  #day = "";
  #seen = new Set(); // keys of the messages shown, so that a history read again adds only what is new
  #unread = 0;

  constructor(box, toEnd) {
    this.#box = box;
    this.#toEnd = toEnd;
    box.addEventListener("scroll", () => this.#atEnd() && this.#read(), { passive: true });
    toEnd.addEventListener("click", () => this.follow());
    new ResizeObserver(() => this.#unread === 0 && this.follow()).observe(box);
  }

  clear() {
    this.#box.replaceChildren();
    this.#last = null;
    this.#day = "";
    this.#seen.clear();
    this.#read();
  }

  /** What was said before one came, or while the line was gone. */
  history(messages, mine) {
    this.#box.ariaBusy = "true"; // nobody wants a screen reader to read it all
    for (const message of messages) {
      if (!this.#seen.has(keyOf(message))) this.message(message, mine.has(message.from));
    }
    this.follow();
    this.#box.ariaBusy = "false";
  }

  message({ from, name, text, at }, mine) {
    const date = new Date(at);
    this.#newDay(date);
    const follows = this.#last?.from === from && at - this.#last.at < GROUP_FOR;

    const time = element("time", "", clock.format(date));
    time.dateTime = date.toISOString();
    time.title = exact.format(date);
    const who = colour(element("bdi", "who", mine ? "You" : name), name);
    const body = element("div", "body", text);
    body.dir = "auto";
    body.title = exact.format(date);
    const entry = element("article", "message", "", face(name), element("div", "head", "", who, time), body);
    entry.classList.toggle("mine", mine);
    entry.classList.toggle("follows", follows);

    this.#seen.add(keyOf({ from, text, at }));
    this.#add(entry, mine);
    this.#last = { from, at };
  }

  /** Something that happened: someone came, someone went. */
  line(...content) {
    this.#add(element("p", "line", "", ...content), false);
    this.#last = null;
  }

  /** Shows the newest entry and stays with it. */
  follow() {
    this.#box.scrollTop = this.#box.scrollHeight;
    this.#read();
  }

  /** A line between days; a log that only knows today needs none. */
  #newDay(date) {
    const [day, before, today] = [date.toDateString(), this.#day, new Date().toDateString()];
    this.#day = day;
    if (day === before || (!before && day === today)) return;
    this.#add(element("p", "line day", day === today ? "Today" : calendar.format(date)), false);
    this.#last = null;
  }

  #add(node, mine) {
    const following = mine || this.#atEnd();
    this.#box.append(node);
    while (this.#box.childElementCount > MOST_ENTRIES) this.#box.firstElementChild.remove();
    if (this.#seen.size > 4 * MOST_ENTRIES) this.#seen = new Set([...this.#seen].slice(-MOST_ENTRIES));
    if (following) return this.follow();
    this.#unread += 1;
    this.#toEnd.textContent = this.#unread === 1 ? "1 new below" : `${this.#unread} new below`;
    this.#toEnd.hidden = false;
  }

  #atEnd() {
    return this.#box.scrollHeight - this.#box.scrollTop - this.#box.clientHeight < NEAR_THE_END;
  }

  #read() {
    this.#unread = 0;
    this.#toEnd.hidden = true;
  }
}

const keyOf = ({ from, text, at }) => JSON.stringify([at, from, text]);
