// oidc-provider as a server: refresh with rotation, everything in memory. Each refresh signs an access token (RFC 9068)
// and an ID token with RSA of 2048 bits. The first refresh tokens are printed, one a line, since no browser signs in here.
import { generateKeyPairSync } from "node:crypto";
import http from "node:http";
import Provider from "oidc-provider";

const sessions = Number(process.argv[2]);
const client = {
  client_id: "measure",
  token_endpoint_auth_method: "none",
  grant_types: ["authorization_code", "refresh_token"],
  redirect_uris: ["https://app.example.com/callback"],
};
const resource = "urn:measure";
const scope = "openid offline_access";

function configuration() {
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  return {
    clients: [client],
    jwks: { keys: [{ ...privateKey.export({ format: "jwk" }), use: "sig", alg: "RS256" }] },
    rotateRefreshToken: true,
    findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
    features: {
      devInteractions: { enabled: false },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => resource,
        useGrantedResource: () => true,
        getResourceServerInfo: () => ({ scope: "read", audience: resource, accessTokenFormat: "jwt" }),
      },
    },
  };
}

async function firstRefreshToken(provider, accountId) {
  const grant = new provider.Grant({ accountId, clientId: client.client_id });
  grant.addOIDCScope(scope);
  grant.addResourceScope(resource, "read");
  const token = new provider.RefreshToken({
    accountId,
    client: await provider.Client.find(client.client_id),
    grantId: await grant.save(),
    gty: "authorization_code",
    scope: `${scope} read`,
    resource,
    authTime: Math.floor(Date.now() / 1000),
    rotations: 0,
    iiat: Math.floor(Date.now() / 1000),
  });
  return token.save();
}

const server = http.createServer().listen(0, "127.0.0.1", async () => {
  const url = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(url, configuration());
  server.on("request", provider.callback());
  for (let n = 0; n < sessions; n++) console.log(`refresh token ${await firstRefreshToken(provider, `user-${n}`)}`);
  console.log(`listens on ${url}`);
});
