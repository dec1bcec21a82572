// Answers of the edge itself.

export function toResponse(json) {
  const { status, headers, body } = JSON.parse(json);
  return new Response(body, { status, headers });
}

/// The one answer that does not come from the gate, because there is none: fixed words, nothing of the error.
export function broken(status) {
  const code = status === 503 ? "unavailable" : "internal_error";
  const id = crypto.randomUUID().replaceAll("-", "");
  const body = {
    type: `urn:portcullis:problem:${code}`,
    title: status === 503 ? "Unavailable" : "Internal error",
    status,
    detail: "The request failed through no fault of the caller.",
    code,
    request_id: id,
  };
  const headers = {
    "content-type": "application/problem+json",
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "x-request-id": id,
  };
  if (status === 503) headers["retry-after"] = "10";
  return new Response(JSON.stringify(body), { status, headers });
}
