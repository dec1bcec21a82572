// A server that records what reaches it and answers as a test tells it.

import http from "node:http";

/// Starts `handler(request, response, body)` on a free port of this machine.
export async function serve(handler) {
  const seen = [];
  const server = http.createServer(async (request, response) => {
    seen.push(request);
    try {
      await handler(request, response);
    } catch (error) {
      response.destroy(error);
    }
  });
  server.keepAliveTimeout = 60_000;
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    server,
    seen,
    url: `http://127.0.0.1:${server.address().port}`,
    close: () => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(resolve));
    },
  };
}

export async function bodyOf(request) {
  const parts = [];
  for await (const part of request) parts.push(part);
  return Buffer.concat(parts);
}

export function json(response, status, value, headers = {}) {
  response.writeHead(status, { "content-type": "application/json", ...headers });
  response.end(JSON.stringify(value));
}
