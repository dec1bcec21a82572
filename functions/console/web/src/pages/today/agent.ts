// What a User-Agent says to people: a browser and the system it runs on, where it is one of the usual.

const BROWSERS: readonly [RegExp, string][] = [
  [/Edg(e|A|iOS)?\//, "Edge"],
  [/OPR\//, "Opera"],
  [/SamsungBrowser\//, "Samsung Internet"],
  [/Firefox\/|FxiOS\//, "Firefox"],
  [/Chrom(e|ium)\/|CriOS\//, "Chrome"],
  [/Safari\//, "Safari"],
  [/curl\//, "curl"],
];

const SYSTEMS: readonly [RegExp, string][] = [
  [/Android/, "Android"],
  [/iPhone/, "iPhone"],
  [/iPad/, "iPad"],
  [/Windows/, "Windows"],
  [/Mac OS X|Macintosh/, "macOS"],
  [/CrOS/, "ChromeOS"],
  [/Linux/, "Linux"],
];

function first(patterns: readonly [RegExp, string][], agent: string): string | undefined {
  return patterns.find(([pattern]) => pattern.test(agent))?.[1];
}

/** Returns the browser and the system that a User-Agent names; either may be unknown. */
export function readAgent(agent: string): { browser: string | undefined; system: string | undefined } {
  return { browser: first(BROWSERS, agent), system: first(SYSTEMS, agent) };
}
