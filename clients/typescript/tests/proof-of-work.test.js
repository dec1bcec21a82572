// The puzzle before a registration, with the digest of Node as the judge.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { solveProofOfWork } from "../dist/index.js";
import { sha256 } from "../dist/proof-of-work.js";

const digest = (text) => createHash("sha256").update(text).digest();

test("the digest is SHA-256, for texts of every length around the size of a block", () => {
  for (let length = 0; length < 200; length++) {
    const text = "a".repeat(length);
    const words = Buffer.alloc(32);
    sha256(new TextEncoder().encode(text)).forEach((word, index) => words.writeUInt32BE(word, index * 4));
    assert.deepEqual(words, digest(text), `${length} bytes`);
  }
});

test("a solution begins with as many zero bits", async () => {
  for (const bits of [0, 1, 8, 13]) {
    const text = await solveProofOfWork({ challenge: `wc_${bits}.mac`, bits });
    assert.match(text, new RegExp(`^wc_${bits}\\.mac:\\d+$`));
    const leading = BigInt(`0x${digest(text).toString("hex")}`)
      .toString(2)
      .padStart(256, "0")
      .indexOf("1");
    assert.ok(leading >= bits, `${leading} < ${bits}`);
  }
});

test("the page can be used meanwhile, and the search given up", async () => {
  const controller = new AbortController();
  const search = solveProofOfWork({ challenge: "endless", bits: 256 }, controller.signal);
  setTimeout(() => controller.abort(new Error("another page")), 30);
  await assert.rejects(search, /another page/);
});
