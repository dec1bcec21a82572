// The client in React: a provider, a hook, and a route for those who are signed in. The session lives outside React, so
// that mounting twice (StrictMode) changes nothing.
import {
  createContext,
  Fragment,
  type ReactNode,
  useContext,
  useEffect,
  useMemo,
  useRef,
  useSyncExternalStore,
} from "react";
import type {
  AuthState,
  Client,
  Credentials,
  EnabledFactor,
  LogoutOptions,
  LogoutResult,
  Proof,
  Schemas,
  User,
} from "../index.js";

const ClientContext = createContext<Client | null>(null);

export interface AuthProviderProps {
  client: Client;
  children?: ReactNode;
  /** Called when another person is signed in, or none; for caches of data outside React. */
  onUserChange?: (user: User | null) => void;
}

/** Gives its children the client. When another person signs in they are made anew: no state of one person meets the next. */
export function AuthProvider({ client, children, onUserChange }: AuthProviderProps) {
  const listener = useRef(onUserChange);
  listener.current = onUserChange;
  useEffect(() => client.onUserChange((user) => listener.current?.(user)), [client]);
  return (
    <ClientContext.Provider value={client}>
      <Person client={client}>{children}</Person>
    </ClientContext.Provider>
  );
}

function Person({ client, children }: { client: Client; children: ReactNode }) {
  const { user } = useSnapshot(client);
  // Who signs out and in again keeps their page; only a different person gets a new one.
  const last = useRef<string | undefined>(undefined);
  if (user) last.current = user.user_id;
  const first = useRef<string | undefined>(undefined);
  first.current ??= last.current;
  const key = last.current === first.current ? "first" : last.current;
  return <Fragment key={key}>{children}</Fragment>;
}

function useSnapshot(client: Client): AuthState {
  return useSyncExternalStore(client.subscribe, client.getSnapshot, serverSnapshot);
}

const SERVER: AuthState = { status: "restoring", user: null, accessToken: null, trouble: null };
/** A server that renders has no cookies of the browser: it says nothing either way. */
const serverSnapshot = () => SERVER;

/** The client of the next `AuthProvider` above; fails without one. */
export function useClient(): Client {
  const client = useContext(ClientContext);
  if (!client) throw new Error("useAuth and useClient need an <AuthProvider> above them");
  return client;
}

/** What `useAuth` returns: the state, and what can be done. The functions stay the same from one render to the next. */
export type Auth = AuthState & {
  client: Client;
  isAuthenticated: boolean;
  /** Whether it is not known yet if somebody is signed in. */
  isLoading: boolean;
  login(credentials: Credentials): Promise<AuthState>;
  verifyMfa(code: string): Promise<AuthState>;
  rotatePassword(newPassword: string): Promise<AuthState>;
  setUpFactor(): Promise<Schemas["SetUpTotpResponse"]>;
  enableFactor(code: string): Promise<EnabledFactor>;
  stepUp(proof: Proof): Promise<AuthState>;
  cancelLogin(): void;
  logout(options?: LogoutOptions): Promise<LogoutResult>;
  refreshToken(): Promise<string>;
  reloadUser(): Promise<User>;
};

export function useAuth(): Auth {
  const client = useClient();
  const state = useSnapshot(client);
  return useMemo(() => {
    const { login, verifyMfa, rotatePassword, setUpFactor, enableFactor, stepUp, cancelLogin } = client;
    const { logout, refreshToken, reloadUser } = client;
    const signIn = { login, verifyMfa, rotatePassword, setUpFactor, enableFactor, stepUp, cancelLogin };
    const actions = { ...signIn, logout, refreshToken, reloadUser };
    const isAuthenticated = state.status === "signed_in";
    return { ...state, ...actions, client, isAuthenticated, isLoading: state.status === "restoring" };
  }, [client, state]);
}

export interface ProtectedRouteProps {
  children?: ReactNode;
  /** Shown while it is not known whether somebody is signed in; nothing unless set. */
  restoring?: ReactNode;
  /** Shown to whoever is not signed in: a form, or the `<Navigate>` of a router. */
  fallback?: ReactNode;
  /** Called once each time it turns out that nobody is signed in, for routers without a component to navigate. */
  onSignedOut?: (state: AuthState) => void;
  /** Shown to those who are signed in and have none of these roles. The service decides all the same. */
  roles?: readonly string[];
  forbidden?: ReactNode;
}

/** Shows its children to whoever is signed in. It never redirects before that is known. */
export function ProtectedRoute({
  children,
  restoring = null,
  fallback = null,
  onSignedOut,
  roles,
  forbidden = null,
}: ProtectedRouteProps) {
  const state = useSnapshot(useClient());
  const isOut = state.status !== "signed_in" && state.status !== "restoring";
  const listener = useRef(onSignedOut);
  listener.current = onSignedOut;
  const latest = useRef(state);
  latest.current = state;
  useEffect(() => {
    if (isOut) listener.current?.(latest.current);
  }, [isOut]);
  if (state.status === "restoring") return <>{restoring}</>;
  if (state.status !== "signed_in") return <>{fallback}</>;
  const isAllowed = !roles || roles.some((role) => state.user.roles.includes(role));
  return <>{isAllowed ? children : forbidden}</>;
}
