// What the client takes from the browser: network, clocks, timers, chance, locks and channels. Tests put their own in its
// place and move the clock by hand.

/** The part of the Web Locks API that is used. */
export interface Locks {
  request<T>(name: string, options: { signal: AbortSignal }, callback: () => Promise<T>): Promise<T>;
}

/** The part of a `BroadcastChannel` that is used. */
export interface Channel {
  postMessage(message: unknown): void;
  onmessage: ((event: { data: unknown }) => void) | null;
  close(): void;
}

/** Everything outside the client that it depends on. */
export interface Environment {
  fetch(input: RequestInfo | URL, init?: RequestInit): Promise<Response>;
  /** Wall clock in milliseconds. It may be wrong and it may jump; it goes on while a computer sleeps. */
  now(): number;
  /** Monotonic clock in milliseconds. It never jumps; on some systems it stands still while a computer sleeps. */
  monotonic(): number;
  setTimeout(callback: () => void, milliseconds: number): unknown;
  clearTimeout(timer: unknown): void;
  /** At least 0, below 1. */
  random(): number;
  randomUUID(): string;
  /** `undefined` where the browser has no Web Locks. */
  locks: Locks | undefined;
  /** `undefined` where the browser has no channels. */
  openChannel(name: string): Channel | undefined;
  isVisible(): boolean;
  /** Calls back when the page is seen again or the network is back; returns what stops it. */
  onWake(listener: () => void): () => void;
  /** The origin of the page; `undefined` outside a browser. */
  origin: string | undefined;
}

/** Returns the environment of the browser, or of a server that renders, where there is less of it. */
export function browserEnvironment(): Environment {
  return {
    // Looked up at each call, so that whoever wraps the global one later is heard.
    fetch: (input, init) => globalThis.fetch(input, init),
    now: () => Date.now(),
    monotonic: () => performance.now(),
    setTimeout: (callback, milliseconds) => globalThis.setTimeout(callback, milliseconds),
    clearTimeout: (timer) => globalThis.clearTimeout(timer as number),
    random: Math.random,
    randomUUID,
    locks: globalThis.navigator?.locks as Locks | undefined,
    openChannel: (name) =>
      typeof document !== "undefined" && typeof BroadcastChannel !== "undefined"
        ? (new BroadcastChannel(name) as unknown as Channel)
        : undefined,
    isVisible: () => typeof document === "undefined" || document.visibilityState === "visible",
    onWake,
    origin: typeof location === "undefined" ? undefined : location.origin,
  };
}

/** `crypto.randomUUID` is missing on plain-http pages other than localhost. */
function randomUUID(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4}).(.{3}).(.{3})(.{12})$/, "$1-$2-4$3-8$4-$5");
}

function onWake(listener: () => void): () => void {
  if (typeof document === "undefined") return () => {};
  const seen = () => {
    if (document.visibilityState === "visible") listener();
  };
  document.addEventListener("visibilitychange", seen);
  addEventListener("pageshow", listener);
  addEventListener("online", listener);
  return () => {
    document.removeEventListener("visibilitychange", seen);
    removeEventListener("pageshow", listener);
    removeEventListener("online", listener);
  };
}
