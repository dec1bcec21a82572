// A made-up language for tests: every letter accented, so that a text outside of the catalogues is seen, and every text
// longer by a third, as translations are.
const PLAIN = "abcdefghijklmnoprstuwyzABCDEFGHIJKLMNOPRSTUWYZ";
const ACCENTED = "áƀçđéƒǧĥíĵķļɱñóþŕšţúŵýžÁßÇÐÉƑĜĤÍĴĶĻṀÑÓÞŔŠŢÚŴÝŽ";

/** Returns the text in the made-up language; `{names}` stay as they are. */
export function pseudo(text: string): string {
  const letters = text
    .split(/(\{\w+\})/)
    .map((piece) => (piece.startsWith("{") ? piece : [...piece].map(accented).join("")))
    .join("");
  return `[${letters}${" ~".repeat(Math.ceil(text.length / 6))}]`;
}

function accented(letter: string): string {
  const at = PLAIN.indexOf(letter);
  return at < 0 ? letter : (ACCENTED[at] ?? letter);
}
