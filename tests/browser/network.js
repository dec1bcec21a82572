// The network between a browser and the service: every request and every response takes a time of its own, so that they
// overtake each other. The page of the client is served from the same origin.
import fs from "node:fs";
import http from "node:http";
import path from "node:path";
import { setTimeout as wait } from "node:timers/promises";

const PAGE = fs.readFileSync(path.join(import.meta.dirname, "client.html"));

/** Listens on a port of its own; `there` and `back` return the milliseconds of one way. Sends to `target()`. */
export async function network(target, { there, back }) {
  const agent = new http.Agent({ keepAlive: true });
  const server = http.createServer(async (request, response) => {
    if (request.url === "/") {
      response.writeHead(200, { "content-type": "text/html" }).end(PAGE);
      return;
    }
    const chunks = await request.toArray();
    await wait(there());
    const { method, headers, url } = request;
    const forwarded = http.request(`${target()}${url}`, { agent, method, headers });
    forwarded.on("error", () => response.destroy());
    forwarded.on("response", async (answer) => {
      const body = await answer.toArray();
      await wait(back());
      response.writeHead(answer.statusCode, answer.headers).end(Buffer.concat(body));
    });
    forwarded.end(Buffer.concat(chunks));
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { port: server.address().port, close: () => (server.closeAllConnections(), server.close()) };
}
