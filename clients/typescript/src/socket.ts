// WebSockets through the edge: each new access token is presented over the socket, so that the edge keeps it open.
import type { Client } from "./client.js";

/** What the edge calls its own messages, and those that are meant for it. */
const OURS = "portcullis.";
const OPEN = 1;

/** The part of a `WebSocket` that is used. */
export interface SocketLike {
  readonly readyState: number;
  send(text: string): void;
  addEventListener(type: "open" | "message" | "close", listener: (event: never) => void): void;
}

/**
 * Presents each new access token over a WebSocket that was opened with `client.accessToken`, until it closes. Call it before you
 * add listeners of your own: they do not see the messages of the edge then. Returns what stops it earlier; the edge closes the
 * socket with 4401 when its last token expires.
 */
export function keepSocketSignedIn(
  socket: SocketLike,
  client: Pick<Client, "getSnapshot" | "subscribe" | "refreshToken">,
): () => void {
  let presented = client.getSnapshot().accessToken;
  const present = () => {
    const { accessToken } = client.getSnapshot();
    if (accessToken === null || accessToken === presented || socket.readyState !== OPEN) return;
    presented = accessToken;
    socket.send(JSON.stringify({ type: `${OURS}token`, access_token: accessToken }));
  };
  const stop = client.subscribe(present);
  // A token may have been replaced while the socket was being opened.
  socket.addEventListener("open", present);
  socket.addEventListener("close", stop);
  socket.addEventListener("message", (event: MessageEvent) => {
    const type = typeOf(event.data);
    if (!type?.startsWith(OURS)) return;
    event.stopImmediatePropagation();
    // The new token comes through the subscription. Whether there is one, the state says.
    if (type === `${OURS}token_expiring`) client.refreshToken().catch(() => {});
  });
  return stop;
}

/** Returns the `type` of a message of the edge; most messages are none, and not read. */
function typeOf(data: unknown): string | undefined {
  if (typeof data !== "string" || !data.startsWith(`{"type":"${OURS}`)) return undefined;
  try {
    return (JSON.parse(data) as { type: string }).type;
  } catch {
    return undefined;
  }
}
