// The environment as the gate reads it: a JSON object of texts. Bindings are no variables.

export function variables(env) {
  const texts = {};
  for (const [name, value] of Object.entries(env)) {
    if (typeof value === "string") texts[name] = value;
    else if (typeof value === "number" || typeof value === "boolean") texts[name] = String(value);
    else if (Array.isArray(value) || Object.getPrototypeOf(value ?? 0) === Object.prototype) {
      // A variable that wrangler.toml writes as a table.
      texts[name] = JSON.stringify(value);
    }
  }
  return JSON.stringify(texts);
}
