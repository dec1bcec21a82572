// A request in the lines the gate reads. No header value can hold a line break.

export function describe(request) {
  const headers = request.headers;
  const get = (name) => headers.get(name) ?? "";
  return (
    `${request.method}\n${request.url}\n${get("authorization")}\n${get("x-api-key")}\n${get("origin")}\n` +
    `${get("upgrade")}\n${get("x-request-id")}\n${get("access-control-request-method")}\n${get("cf-connecting-ip")}`
  );
}
