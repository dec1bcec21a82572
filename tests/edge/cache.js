// The store behind the Cache API, as workerd asks for it: a GET looks an entry up, a PUT brings a whole response as the
// text of a message.

import { bodyOf, serve } from "./server.js";

export class Cache {
  /// Messages by namespace and address.
  entries = new Map();
  /// Every look, and whether it found something.
  looks = [];
  hangs = false;

  static async start() {
    const cache = new Cache();
    cache.http = await serve((request, response) => cache.#answer(request, response));
    return cache;
  }

  close() {
    return this.http.close();
  }

  async #answer(request, response) {
    const name = `${request.headers["cf-cache-namespace"]} http://${request.headers.host}${request.url}`;
    if (this.hangs) return;
    if (request.method === "PUT") {
      // Byte by byte: a body may be no text.
      this.entries.set(name, (await bodyOf(request)).toString("latin1"));
      response.writeHead(204).end();
      return;
    }
    const message = this.entries.get(name);
    this.looks.push(message !== undefined);
    if (message === undefined) {
      response.writeHead(504, { "cf-cache-status": "MISS" }).end();
      return;
    }
    const end = message.indexOf("\r\n\r\n");
    const [head, body] = [message.slice(0, end), message.slice(end + 4)];
    const headers = head.split("\r\n").slice(1).map((line) => line.split(": "));
    response.writeHead(200, { ...Object.fromEntries(headers), "cf-cache-status": "HIT" }).end(body, "latin1");
  }
}
