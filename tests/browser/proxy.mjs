// A line that the test can cut: the page reaches the server through it, so the server itself need not be stopped.

import net from "node:net";

export class Proxy {
  #target;
  #pairs = new Set();
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
      const end = () => {
        near.destroy();
        far.destroy();
        this.#pairs.delete(end);
      };
      this.#pairs.add(end);
      for (const socket of [near, far]) socket.on("error", end).on("close", end);
      near.pipe(far).pipe(near);
    });
    return new Promise((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen(this.#port, "127.0.0.1", () => {
        this.#port = this.#server.address().port;
        resolve();
      });
    });
  }

  /** Cuts every line; who tries to come is refused until the next `start`. */
  stop() {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    for (const end of [...this.#pairs]) end();
    return closed;
  }
}
