// The puzzle that a service may want solved before it registers somebody or mails a link: which counter makes the SHA-256 digest
// of `challenge:counter` begin with so many zero bits. The digest is written out here because that of the browser is
// asynchronous, and a quarter of a million of those take many times longer.

/** A puzzle, as the error `proof_of_work_required` carries it. */
export interface Puzzle {
  challenge: string;
  bits: number;
}

/** How long the page may not respond, milliseconds. */
const SLICE = 12;
const SOME = 256;

/** Returns the text to send as `proof_of_work`. It computes in slices, so that the page can be used meanwhile. */
export async function solveProofOfWork({ challenge, bits }: Puzzle, signal?: AbortSignal): Promise<string> {
  const encoder = new TextEncoder();
  for (let counter = 0; ;) {
    signal?.throwIfAborted();
    const end = performance.now() + SLICE;
    do {
      for (const last = counter + SOME; counter < last; counter++) {
        const text = `${challenge}:${counter}`;
        if (leadingZeros(sha256(encoder.encode(text))) >= bits) return text;
      }
    } while (performance.now() < end);
    await new Promise((resolve) => setTimeout(resolve));
  }
}

function leadingZeros(digest: Uint32Array): number {
  let zeros = 0;
  for (const word of digest) {
    zeros += Math.clz32(word);
    if (word !== 0) break;
  }
  return zeros;
}

/** The first 32 bits of the fractional parts of a root of the first primes (FIPS 180-4, 4.2.2 and 5.3.3). */
function fractions(root: number, count: number): Uint32Array {
  const primes: number[] = [];
  for (let number = 2; primes.length < count; number++) {
    if (primes.every((prime) => number % prime !== 0)) primes.push(number);
  }
  return Uint32Array.from(primes, (prime) => (prime ** (1 / root) % 1) * 2 ** 32);
}

const ROUNDS = fractions(3, 64);
const START = fractions(2, 8);
const schedule = new Uint32Array(64);

/** SHA-256 (FIPS 180-4, 6.2.2). */
export function sha256(message: Uint8Array): Uint32Array {
  const state = START.slice();
  const padded = new DataView(new ArrayBuffer(Math.ceil((message.length + 9) / 64) * 64));
  new Uint8Array(padded.buffer).set(message);
  padded.setUint8(message.length, 0x80);
  padded.setUint32(padded.byteLength - 4, message.length * 8);
  for (let block = 0; block < padded.byteLength; block += 64) {
    for (let word = 0; word < 16; word++) schedule[word] = padded.getUint32(block + word * 4);
    expand(schedule);
    compress(state, schedule);
  }
  return state;
}

const rotated = (word: number, bits: number): number => (word >>> bits) | (word << (32 - bits));

function expand(words: Uint32Array): void {
  for (let word = 16; word < 64; word++) {
    const [before15, before2] = [words[word - 15]!, words[word - 2]!];
    const small0 = rotated(before15, 7) ^ rotated(before15, 18) ^ (before15 >>> 3);
    const small1 = rotated(before2, 17) ^ rotated(before2, 19) ^ (before2 >>> 10);
    words[word] = words[word - 16]! + small0 + words[word - 7]! + small1;
  }
}

function compress(state: Uint32Array, words: Uint32Array): void {
  let [a, b, c, d, e, f, g, h] = state as unknown as [number, number, number, number, number, number, number, number];
  for (let round = 0; round < 64; round++) {
    const big1 = rotated(e, 6) ^ rotated(e, 11) ^ rotated(e, 25);
    const first = (h + big1 + ((e & f) ^ (~e & g)) + ROUNDS[round]! + words[round]!) | 0;
    const big0 = rotated(a, 2) ^ rotated(a, 13) ^ rotated(a, 22);
    const second = (big0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
    [h, g, f, e, d, c, b, a] = [g, f, e, (d + first) | 0, c, b, a, (first + second) | 0];
  }
  [a, b, c, d, e, f, g, h].forEach((word, index) => {
    state[index] = state[index]! + word;
  });
}
