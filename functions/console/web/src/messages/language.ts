// The language of the page: chosen by the person, else the first of the browser's that there is. It is kept in the
// browser; it is no secret, and the only thing these pages keep there.
import { useSyncExternalStore } from "react";

/** A language that every text exists in. */
export type Language = "en" | "hi";

/** What the page may be shown in: a language, or one of the two made-up ones that tests find untranslated and clipped texts with. */
export type Locale = Language | "en-XA" | "ar-XB";

/** The languages to choose from, each in its own words. */
export const LANGUAGES: readonly { locale: Language; name: string }[] = [
  { locale: "en", name: "English" },
  { locale: "hi", name: "हिन्दी" },
];

const KEY = "language";
const LOCALES: readonly string[] = ["en", "hi", "en-XA", "ar-XB"];

function isLocale(text: string | null): text is Locale {
  return text !== null && LOCALES.includes(text);
}

function chosen(): Locale | undefined {
  try {
    const kept = localStorage.getItem(KEY);
    return isLocale(kept) ? kept : undefined;
  } catch {
    return undefined; // Storage that is switched off is no reason to show nothing.
  }
}

function offered(): Locale {
  for (const wanted of navigator.languages) {
    const language = wanted.split("-")[0] ?? "";
    if (language === "en" || language === "hi") return language;
  }
  return "en";
}

let locale: Locale = chosen() ?? offered();
const listeners = new Set<() => void>();

function apply(): void {
  document.documentElement.lang = locale;
  document.documentElement.dir = locale === "ar-XB" ? "rtl" : "ltr";
}

apply();

/** Changes the language of this and every later page. */
export function chooseLanguage(next: Locale): void {
  locale = next;
  try {
    localStorage.setItem(KEY, next);
  } catch {
    // It holds for this page.
  }
  apply();
  for (const listener of listeners) listener();
}

/** The language the page is shown in. */
export function currentLocale(): Locale {
  return locale;
}

/** The tag that dates and numbers are written by; English ones as in India where the browser says nothing else. */
export function formatLocale(): string {
  if (locale === "hi") return "hi-IN";
  if (locale === "ar-XB") return "ar-u-nu-latn";
  return navigator.languages.find((wanted) => wanted.startsWith("en")) ?? "en";
}

/** The language the page is shown in; renders again when it changes. */
export function useLocale(): Locale {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => locale,
  );
}
