// The network between a browser and the service: every request and every response takes a time of its own, so that they
// overtake each other. The page of the client is served from the same origin.
import http from "node:http";
import path from "node:path";
import { setTimeout as wait } from "node:timers/promises";

const TYPES = { ".js": "text/javascript", ".html": "text/html" };

/**
 * Listens on a port of its own; `there(request)` and `back(request, status)` return the milliseconds of one way, or a promise
 * of them. Sends to `target()` what is not among `files`; a response for which `isLost` says so never arrives.
 */
export async function network(target, { files, there, back, isLost = () => false }) {
  const agent = new http.Agent({ keepAlive: true });
  const server = http.createServer(async (request, response) => {
    const [place] = request.url.split("?", 1);
    if (files[place]) {
      response.writeHead(200, { "content-type": TYPES[path.extname(place)] ?? TYPES[".html"] }).end(files[place]);
      return;
    }
    const chunks = await request.toArray();
    await wait(await there(request));
    const { method, headers, url } = request;
    const forwarded = http.request(`${target()}${url}`, { agent, method, headers });
    forwarded.on("error", () => response.destroy());
    forwarded.on("response", async (answer) => {
      const body = await answer.toArray();
      if (isLost(request)) return response.destroy();
      await wait(await back(request, answer.statusCode));
      response.writeHead(answer.statusCode, answer.headers).end(Buffer.concat(body));
    });
    forwarded.end(Buffer.concat(chunks));
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { port: server.address().port, close: () => (server.closeAllConnections(), server.close()) };
}
