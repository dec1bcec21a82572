// Asks the Express service and the route of Next that clients/README.md shows: node check.js STATUS TOKEN, where the status is what a
// good token is answered with. Damaged tokens and none are 401, and say how to sign in; without keys nobody can tell.
import assert from "node:assert/strict";
import { once } from "node:events";

import { GET } from "./app/portfolio/route.js";
import { app } from "./lib/caller.js";

const [status, token] = process.argv.slice(2);
const server = app.listen(0, "127.0.0.1");
await once(server, "listening");
const url = `http://127.0.0.1:${server.address().port}/portfolio`;

const ways = {
  express: (headers) => fetch(url, { headers }),
  next: (headers) => GET(new Request(url, { headers })),
};
for (const [name, ask] of Object.entries(ways)) {
  const good = await ask({ authorization: `Bearer ${token}` });
  assert.equal(String(good.status), status, name);
  if (status === "200") {
    const { owner, roles } = await good.json();
    assert.ok(owner.startsWith("usr_") && roles.length === 1, `${name}: ${owner} ${roles}`);
  }
  const nobody = await ask({});
  assert.equal(nobody.status, 401, name);
  for (const bad of [`${token.slice(0, -8)}AAAAAAAA`, "nonsense"]) {
    const refused = await ask({ authorization: `Bearer ${bad}` });
    // What is no token needs no key to be refused.
    assert.ok(refused.status === 401 || (status === "503" && bad !== "nonsense"), `${name}: ${refused.status}`);
    if (refused.status === 401) assert.match(refused.headers.get("www-authenticate"), /invalid_token/);
  }
}
server.close();
