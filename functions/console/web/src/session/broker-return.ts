// What a broker's login page sent along with its redirect. It is taken out of the address before anything else happens, is
// in memory until it was sent to the service, and survives a sign-in that comes in between.

/** The way back from a broker's login page. */
export interface BrokerReturn {
  requestToken: string | undefined;
  state: string | undefined;
  accountId: string | undefined;
  /** The one broker that names neither account nor state. */
  isDhan: boolean;
  isSuccess: boolean;
}

const PATH = "/broker-callback";
let found: BrokerReturn | undefined;

/** Takes the token out of the address, where this page is what a broker led back to. */
export function takeBrokerReturn(): void {
  if (location.pathname !== PATH || !location.search) return;
  const query = new URLSearchParams(location.search);
  const named = (name: string) => query.get(name) ?? undefined;
  // Fyers has a `code` as well, which is a status.
  const requestToken = named("request_token") ?? named("auth_code") ?? named("tokenId") ?? named("code");
  const state = named("state");
  // A state begins with the account that it was made for; whether it was, the service knows.
  const accountId = named("account_id") ?? state?.split(".")[0];
  const isSuccess = (named("status") ?? "success") === "success" && !query.has("error");
  found = { requestToken, state, accountId, isDhan: query.has("tokenId"), isSuccess };
  history.replaceState(history.state, "", PATH);
}

/** What the broker sent along; undefined where this page was opened without it, or it was sent to the service already. */
export function brokerReturn(): BrokerReturn | undefined {
  return found;
}

/** Forgets what was sent to the service. */
export function forgetBrokerReturn(): void {
  found = undefined;
}
