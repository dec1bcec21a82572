// Passkeys, as far as the browser is concerned. Base64url and JSON are its own: one that cannot read the options of the
// service is treated as one without passkeys.
import type { EnabledFactor, Schemas } from "portcullis-client";
import { client } from "./client.ts";

/** Milliseconds before the end of a challenge at which another one is asked for. */
const MARGIN = 30_000;

/** Returns whether this browser can make and show passkeys. */
export function hasPasskeys(): boolean {
  return "PublicKeyCredential" in globalThis && "parseRequestOptionsFromJSON" in PublicKeyCredential;
}

/** Returns whether the browser can offer passkeys in the field for the name. */
export async function canOfferPasskeys(): Promise<boolean> {
  return hasPasskeys() && (await PublicKeyCredential.isConditionalMediationAvailable?.()) === true;
}

/** Returns whether the authenticator has a passkey of this account already. */
export function isThereAlready(error: unknown): boolean {
  return error instanceof DOMException && error.name === "InvalidStateError";
}

/** Signs in with the passkey that the person chooses in the browser's dialog, or in the field for the name. */
export async function signInWithPasskey(
  mediation: CredentialMediationRequirement,
  persistSession: () => boolean,
  signal: AbortSignal,
): Promise<void> {
  const begun = await client.post("/v1/auth/passkey/options");
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(begun.publicKey as never);
  const late = new AbortController();
  // What waits in a field waits for longer than a challenge lasts.
  const timer = setTimeout(() => late.abort(), begun.expires_in * 1000 - MARGIN);
  const both = AbortSignal.any([signal, late.signal]);
  try {
    const shown = await navigator.credentials.get({ publicKey, mediation, signal: both });
    const credential = written<Schemas["AssertionCredential"]>(shown);
    await client.loginWithPasskey({
      ceremonyToken: begun.ceremony_token,
      credential,
      persistSession: persistSession(),
    });
  } catch (error) {
    if (!late.signal.aborted || signal.aborted) throw error;
    await signInWithPasskey(mediation, persistSession, signal);
  } finally {
    clearTimeout(timer);
  }
}

/** Returns a passkey over a new challenge, as requests take it as a proof; the person chooses it in the browser's dialog. */
export async function showPasskey(): Promise<Schemas["RemovePasswordRequest"]> {
  const begun = await client.post("/v1/auth/passkey/options");
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(begun.publicKey as never);
  const credential = written<Schemas["AssertionCredential"]>(await navigator.credentials.get({ publicKey }));
  return { ceremony_token: begun.ceremony_token, credential };
}

/** Asks for one more proof of the session by a passkey. */
export async function stepUpWithPasskey(): Promise<void> {
  const { ceremony_token: ceremonyToken, credential } = await showPasskey();
  await client.stepUp({ ceremonyToken, credential });
}

/** Has a passkey made and adds it to the account. */
export async function addPasskey(proof: Schemas["StepUpRequest"], name: string): Promise<void> {
  const begun = await client.post("/v1/passkeys/options", { body: proof });
  const credential = await make(begun);
  const body = { ceremony_token: begun.ceremony_token, credential, name: name || undefined };
  await client.post("/v1/passkeys", { body });
}

/** Has a passkey made as the first factor of the sign-in that waits for one. */
export async function enrolPasskey(): Promise<EnabledFactor> {
  const begun = await client.setUpPasskey();
  return client.enablePasskey({ ceremonyToken: begun.ceremony_token, credential: await make(begun) });
}

async function make({ publicKey: options }: Schemas["PasskeyCreationResponse"]) {
  const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(options as never);
  return written<Schemas["RegistrationCredential"]>(await navigator.credentials.create({ publicKey }));
}

function written<T>(credential: Credential | null): T {
  if (!(credential instanceof PublicKeyCredential)) throw new DOMException("no credential", "NotAllowedError");
  return credential.toJSON() as T;
}
