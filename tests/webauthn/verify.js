// Judges ceremonies by @simplewebauthn/server: one in each line of the standard input, one verdict in each line of the output.
import { verifyAuthenticationResponse, verifyRegistrationResponse } from "@simplewebauthn/server";
import { createInterface } from "node:readline";

async function judge({ kind, response, challenge, origin, rpId, credential }) {
  const expected = {
    response,
    expectedChallenge: challenge,
    expectedOrigin: origin,
    expectedRPID: rpId,
    requireUserVerification: true,
  };
  if (kind === "create") {
    const supportedAlgorithmIDs = [-7, -35, -257];
    return (await verifyRegistrationResponse({ ...expected, supportedAlgorithmIDs })).verified;
  }
  const { id, publicKey, counter } = credential;
  const known = { id, publicKey: new Uint8Array(Buffer.from(publicKey, "base64url")), counter };
  return (await verifyAuthenticationResponse({ ...expected, credential: known })).verified;
}

for await (const line of createInterface({ input: process.stdin })) {
  const verdict = await judge(JSON.parse(line)).catch(() => false);
  console.log(verdict);
}
