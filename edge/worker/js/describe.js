// A request in the lines the gate reads, in UTF-8. No header value can hold a line break.

const encoder = new TextEncoder();

export function describe(request) {
  const { method, headers } = request;
  // Each look costs about as much as a digest: what only counts for a method is only looked at for it.
  const get = (name) => headers.get(name) ?? "";
  const upgrade = method === "GET" ? get("upgrade") : "";
  const preflight = method === "OPTIONS" ? get("access-control-request-method") : "";
  return encoder.encode(
    `${method}\n${request.url}\n${get("authorization")}\n${get("x-api-key")}\n${get("origin")}\n` +
      `${upgrade}\n${get("x-request-id")}\n${preflight}\n${get("cf-connecting-ip")}`,
  );
}
