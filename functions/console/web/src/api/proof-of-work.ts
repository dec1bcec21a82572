// The small computation that a service may ask for before it sends mail: a counter that makes a digest begin with zeros.
import { ProblemError } from "portcullis-client";

const AT_ONCE = 512;

/** Sends with no proof and, where the service asks for one, again with it. `onWork` hears that it takes a moment. */
export async function withProofOfWork<T>(
  send: (proof: string | undefined) => Promise<T>,
  onWork: () => void,
): Promise<T> {
  try {
    return await send(undefined);
  } catch (error) {
    const asked = error instanceof ProblemError ? error.proofOfWork : undefined;
    if (!asked) throw error;
    onWork();
    return send(await solve(asked.challenge, asked.bits));
  }
}

/** Returns `challenge:counter` whose SHA-256 digest begins with as many zero bits. */
export async function solve(challenge: string, bits: number): Promise<string> {
  const encoder = new TextEncoder();
  for (let from = 0; ; from += AT_ONCE) {
    const tries = Array.from({ length: AT_ONCE }, (_, index) => `${challenge}:${from + index}`);
    const digests = await Promise.all(tries.map((text) => crypto.subtle.digest("SHA-256", encoder.encode(text))));
    const found = digests.findIndex((digest) => zeroBits(new Uint8Array(digest)) >= bits);
    const proof = tries[found];
    if (proof !== undefined) return proof;
  }
}

function zeroBits(digest: Uint8Array): number {
  const first = digest.findIndex((byte) => byte !== 0);
  return first < 0 ? digest.length * 8 : first * 8 + Math.clz32(digest[first] ?? 0) - 24;
}
