// A small program made of the generated types: whatever of it compiles, the service must do.
import { createClient, ProblemError, tradingAccountApi, type Client, type Schemas } from "portcullis-client";

type Session = Schemas["List_SessionItem"]["items"][number];

/** Keeps cookies as a browser does, which Node does not. */
function browserOf(origin: string): (input: RequestInfo | URL, init?: RequestInit) => Promise<Response> {
  const jar = new Map<string, string>();
  return async (input, init) => {
    const headers = new Headers(init?.headers);
    headers.set("origin", origin);
    if (init?.credentials === "include")
      headers.set("cookie", [...jar].map(([name, value]) => `${name}=${value}`).join("; "));
    const response = await fetch(input, { ...init, headers });
    for (const cookie of response.headers.getSetCookie()) {
      const [name = "", value = ""] = cookie.split(";", 1)[0]?.split(/=(.*)/s) ?? [];
      if (value) jar.set(name, value);
      else jar.delete(name);
    }
    return response;
  };
}

/** A client as a page of this origin has it. */
export function open(baseUrl: string, page: string): Client {
  return createClient({ baseUrl, environment: { fetch: browserOf(page) } });
}

/** Signs up and in, links an account twice with one key, refreshes, and signs out; returns what was seen. */
export async function story(client: Client): Promise<Record<string, unknown>> {
  const person = { email: "asha@example.com", password: "copper lantern drifts upstream", name: "Asha Rao" };
  const registered = await client.post("/v1/auth/register", { body: person });
  const wrong = await client.login({ identifier: person.email, password: "wrong" }).catch((error: unknown) => error);
  const state = await client.login({ identifier: person.email, password: person.password });
  const { items } = await client.get("/v1/sessions", { query: { limit: 10 } });
  const names: Session["session_id"][] = items.map((session) => session.session_id);
  const accounts = tradingAccountApi(client);
  const account = {
    broker: "kite",
    user_id_broker: "AB1234",
    api_key: "kitekeyofasha9f3c",
    api_secret: "kitesecretofasha",
  };
  const key = client.idempotencyKey();
  const [first, second] = [await accounts.link(account, key), await accounts.link(account, key)];
  const leases: Schemas["LeaseResponse"][] = await accounts.leases(first.account_id);
  const recovery = { token: "rst_of-nobody", code: "mzxw6-ytboi" };
  const unknown = await client.recoverAccount(recovery).catch((error: unknown) => error);
  const token = client.accessToken;
  const refreshed = await client.refreshToken();
  const invalid = await client.patch("/v1/users/me", { body: { phone: "none" } }).catch((error: unknown) => error);
  const { confirmed } = await client.logout();
  return {
    registered: "user_id" in registered ? registered.email : registered.status,
    wrong: wrong instanceof ProblemError && wrong.code,
    status: state.status,
    sessions: names.length,
    isOneAccount: first.account_id === second.account_id,
    leases,
    recovery: unknown instanceof ProblemError && unknown.code,
    isNewToken: refreshed !== token,
    pointers: invalid instanceof ProblemError ? invalid.errors.map((error) => error.pointer) : invalid,
    confirmed,
    after: client.getSnapshot().status,
  };
}

/** What must not compile. Each line below fails the build as soon as it does. */
export async function refused(client: Client): Promise<void> {
  // @ts-expect-error There is no such path.
  await client.get("/v1/nowhere");
  // @ts-expect-error The path answers no PUT.
  await client.put("/v1/sessions");
  // @ts-expect-error The parameter of the path is missing.
  await client.delete("/v1/sessions/{id}");
  // @ts-expect-error The body is missing.
  await client.post("/v1/auth/register");
  // @ts-expect-error The name is no number.
  await client.patch("/v1/users/me", { body: { name: 7 } });
  // @ts-expect-error There is no such query.
  await client.get("/v1/sessions", { query: { page: 2 } });
  const state = client.getSnapshot();
  // @ts-expect-error Somebody may be signed out.
  state.user.name;
  if (state.status === "signed_in") state.user.name satisfies string;
}
