// What a broker's login page sent along with its redirect. It is taken out of the address before anything else happens, is
// in memory until it was sent to the service, and survives a sign-in that comes in between.

/** The way back from a broker's login page. */
export interface BrokerReturn {
  requestToken: string | undefined;
  accountId: string | undefined;
  isSuccess: boolean;
}

const PATH = "/broker-callback";
let found: BrokerReturn | undefined;

/** Takes the token out of the address, where this page is what a broker led back to. */
export function takeBrokerReturn(): void {
  if (location.pathname !== PATH || !location.search) return;
  const query = new URLSearchParams(location.search);
  const requestToken = query.get("request_token") ?? undefined;
  const isSuccess = (query.get("status") ?? "success") === "success";
  found = { requestToken, accountId: query.get("account_id") ?? undefined, isSuccess };
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
