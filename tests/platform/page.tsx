// The page of the sample platform, written with the client package alone: who signs in sees holdings and prices, and freezes
// trading. Its services are those beside this file.
import { type Client, createClient, ProblemError } from "portcullis-client";
import { AuthProvider, ProtectedRoute, useAuth } from "portcullis-client/react";
import { type FormEvent, useEffect, useState } from "react";
import { createRoot } from "react-dom/client";

/** How a WebSocket of this platform shows who opens it: in the query at the edge, as a subprotocol without. */
const { tokenIn } = (globalThis as { PLATFORM?: { tokenIn: "query" | "subprotocol" } }).PLATFORM ?? { tokenIn: "query" };
const client = createClient();

type Holdings = Record<string, number>;
type Message = { symbol?: string; source?: string; stopped?: string; error?: string };

function SignIn() {
  const { status, login, verifyMfa } = useAuth();
  const [refused, refuse] = useState<string>();
  const send = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const typed = (name: string) => String(new FormData(event.currentTarget).get(name));
    const sent =
      status === "mfa_required"
        ? verifyMfa(typed("code"))
        : login({ identifier: typed("name"), password: typed("password") });
    sent.then(
      () => refuse(undefined),
      (error: unknown) => refuse(error instanceof ProblemError ? error.code : "try again"),
    );
  };
  return (
    <form onSubmit={send}>
      <h1>Sign in</h1>
      {status === "mfa_required" ? (
        <input name="code" autoComplete="one-time-code" aria-label="Code" />
      ) : (
        <>
          <input name="name" autoComplete="username" aria-label="E-mail" />
          <input name="password" type="password" autoComplete="current-password" aria-label="Password" />
        </>
      )}
      {refused && <p role="alert">{refused}</p>}
      <button type="submit">Sign in</button>
    </form>
  );
}

function Portfolio() {
  const { client } = useAuth();
  const [holdings, hold] = useState<Holdings>({});
  useEffect(() => {
    const read = async () => {
      const response = await client.authorizedFetch("/v1/portfolio");
      if (response.ok) hold(((await response.json()) as { holdings: Holdings }).holdings);
    };
    void read();
  }, [client]);
  return (
    <ul aria-label="Holdings">
      {Object.entries(holdings).map(([symbol, quantity]) => (
        <li key={symbol}>
          {symbol} {quantity}
        </li>
      ))}
    </ul>
  );
}

function connect({ accessToken }: Client): WebSocket {
  const url = new URL("/v1/market/ticks", location.href.replace(/^http/, "ws"));
  if (tokenIn === "subprotocol") return new WebSocket(url, ["portcullis", `portcullis.bearer.${accessToken}`]);
  url.searchParams.set("token", accessToken ?? "");
  return new WebSocket(url);
}

/** What the ticker says last, and how many prices there were. `attempt` connects anew. */
function useTicks(attempt: number) {
  const { client } = useAuth();
  const [ticks, tick] = useState({ count: 0, last: "waiting" });
  useEffect(() => {
    if (attempt === 0) return;
    const socket = connect(client);
    socket.onmessage = ({ data }) => {
      const { symbol, source, stopped, error } = JSON.parse(data) as Message;
      tick(({ count }) => ({ count: symbol ? count + 1 : count, last: symbol ? `${symbol} from ${source}` : (stopped ?? error ?? "") }));
    };
    socket.onclose = ({ code }) => tick(({ count, last }) => ({ count, last: `${last}, closed with ${code}` }));
    return () => {
      socket.onclose = null;
      socket.close();
    };
  }, [client, attempt]);
  return ticks;
}

function Prices() {
  const { client } = useAuth();
  const [attempt, again] = useState(0);
  const { count, last } = useTicks(attempt);
  const take = async () => {
    const [account] = await client.get("/v1/trading-accounts");
    await client.authorizedFetch(`/v1/market/subscriptions/${account?.account_id}`, { method: "POST" });
    again(attempt + 1);
  };
  return (
    <section aria-label="Prices">
      <button type="button" onClick={take}>
        Take prices
      </button>
      <output data-count={count}>{last}</output>
    </section>
  );
}

function Trading() {
  const { client } = useAuth();
  const [status, become] = useState("unknown");
  useEffect(() => void client.get("/v1/trading-accounts/freeze").then(({ status }) => become(status)), [client]);
  const freeze = () => client.post("/v1/trading-accounts/freeze").then(() => become("frozen"));
  const resume = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const body = { password: String(new FormData(event.currentTarget).get("password")) };
    void client.post("/v1/trading-accounts/unfreeze", { body }).then(() => become("active"));
  };
  return (
    <section aria-label="Trading">
      <p>Trading is {status}</p>
      <button type="button" onClick={freeze}>
        Freeze trading
      </button>
      {status === "frozen" && (
        <form onSubmit={resume}>
          <input name="password" type="password" autoComplete="current-password" aria-label="Your password" />
          <button type="submit">Resume trading</button>
        </form>
      )}
    </section>
  );
}

function Desk() {
  const { user, logout } = useAuth();
  return (
    <>
      <h1>Desk of {user?.name}</h1>
      <button type="button" onClick={() => logout()}>
        Sign out
      </button>
      <Trading />
      <Portfolio />
      <Prices />
    </>
  );
}

const root = document.getElementById("root");
if (root) {
  createRoot(root).render(
    <AuthProvider client={client}>
      <ProtectedRoute restoring="One moment" fallback={<SignIn />}>
        <Desk />
      </ProtectedRoute>
    </AuthProvider>,
  );
}
