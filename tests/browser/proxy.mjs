// A line that the test can cut: the page reaches the server through it, so the server itself need not be stopped.

import net from "node:net";

export class Proxy {
  #target;
  #pairs = new Set();
  #lingering = []; // ends towards the server that outlived the page's
  #server = null;
  #port = 0; // chosen by the first start, kept by the later ones

  constructor(url) {
    this.#target = { host: url.hostname, port: Number(url.port || 80) };
  }

  get url() {
    return `http://127.0.0.1:${this.#port}/`;
  }

  start() {
    this.#server = net.createServer((near) => {
      const far = net.connect(this.#target);
      const pair = { near, far };
      const end = () => {
        near.destroy();
        if (this.#pairs.delete(pair)) far.destroy();
      };
      this.#pairs.add(pair);
      for (const socket of [near, far]) socket.on("error", end).on("close", end);
      near.pipe(far, { end: false });
      far.pipe(near);
    });
    return new Promise((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen(this.#port, "127.0.0.1", () => {
        this.#port = this.#server.address().port;
        resolve();
      });
    });
  }

  /** Cuts every line, but so that the server does not notice before `release`. Who tries to come is refused until `start`. */
  stop() {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    for (const { near, far } of this.#pairs) {
      this.#lingering.push(far);
      near.destroy();
    }
    this.#pairs.clear();
    return closed;
  }

  /** The server notices the cut. */
  release() {
    for (const far of this.#lingering.splice(0)) far.destroy();
  }
}
