// The same rules for an axios instance that exists already. Axios itself is not needed here: its shape is enough.
import type { Authorizer } from "./authorized-fetch.js";

interface Config {
  url?: string | undefined;
  baseURL?: string | undefined;
  data?: unknown;
  headers?: unknown;
}

interface Interceptors<V> {
  use(onFulfilled?: ((value: V) => V | Promise<V>) | null, onRejected?: ((error: unknown) => unknown) | null): number;
  eject(id: number): void;
}

/** The part of an axios instance that is used. */
export interface AxiosLike {
  // biome-ignore lint/suspicious/noExplicitAny: the types of the instance are those of its version of axios.
  interceptors: { request: Interceptors<any>; response: Interceptors<any> };
  // biome-ignore lint/suspicious/noExplicitAny: see above.
  request(config: any): Promise<any>;
}

/** `set` and `has` of `AxiosHeaders`, which every request has once its interceptors run. */
interface Headers {
  has(name: string): boolean;
  set(name: string, value: string): unknown;
}

/** Adds the token to the requests of an axios instance; returns what removes it again. */
export function attachAxios(axios: AxiosLike, authorizer: Authorizer): () => void {
  const sent = new WeakMap<object, string>();
  const request = axios.interceptors.request.use(async (config: Config) => {
    const headers = config.headers as Headers;
    if (headers.has("authorization") || !authorizer.isListed(urlOf(config))) return config;
    const token = await authorizer.token();
    if (!token) return config;
    headers.set("authorization", `Bearer ${token}`);
    sent.set(config, token);
    return config;
  });
  const response = axios.interceptors.response.use(null, async (error: unknown) => {
    const { config, response } = error as {
      config?: Config;
      response?: { status: number; headers?: Record<string, string> };
    };
    const token = config && sent.get(config);
    if (!config || !token || response?.status !== 401) throw error;
    const canRepeat = !isStream(config.data);
    const next = await authorizer.after401(response.headers?.["www-authenticate"], urlOf(config), token, canRepeat);
    if (!next) throw error;
    // Its header is set, so the interceptor above leaves it alone, and it is not repeated again.
    (config.headers as Headers).set("authorization", `Bearer ${next}`);
    return axios.request(config);
  });
  return () => {
    axios.interceptors.request.eject(request);
    axios.interceptors.response.eject(response);
  };
}

function urlOf({ url = "", baseURL = "" }: Config): string {
  const isAbsolute = /^([a-z][a-z\d+.-]*:)?\/\//i.test(url);
  return isAbsolute || !baseURL ? url : `${baseURL.replace(/\/+$/, "")}/${url.replace(/^\/+/, "")}`;
}

function isStream(data: unknown): boolean {
  return typeof data === "object" && data !== null && ("pipe" in data || data instanceof ReadableStream);
}
