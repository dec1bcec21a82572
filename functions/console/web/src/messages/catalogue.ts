// Texts, one catalogue for each part of the console. English is in the part's own chunk, other languages are loaded when
// they are wanted; a translation that lacks a text does not compile.
import { use } from "react";
import { currentLocale, formatLocale, type Language, type Locale, useLocale } from "./language.ts";
import { pseudo } from "./pseudo.ts";

/** A text, or its forms by number (`one`, `other`, as Intl.PluralRules names them; the number is `count`). */
export type Message = string | { one?: string; other: string };

/** The texts of one part in one language. */
export type Messages<Key extends string> = Record<Key, Message>;

/** What a text is completed with. */
export type Values = Record<string, string | number>;

/** Returns the text of a key with its values filled in. */
export type Translate<Key extends string> = (key: Key, values?: Values) => string;

/** The texts of one part in every language. */
export interface Catalogue<Key extends string> {
  readonly english: Messages<Key>;
  load(language: Exclude<Language, "en">): Promise<Messages<Key>>;
}

type Loader<Key extends string> = () => Promise<{ default: Messages<Key> }>;

/** Makes the catalogue of one part from its English texts and what loads the other languages. */
export function catalogue<Key extends string>(
  english: Messages<Key>,
  others: Record<Exclude<Language, "en">, Loader<Key>>,
): Catalogue<Key> {
  const loaded = new Map<Language, Promise<Messages<Key>>>();
  return {
    english,
    load(language) {
      const known = loaded.get(language);
      if (known) return known;
      // Without its chunk a page is better in English than not at all; the next page asks again.
      const texts = others[language]().then(
        (module) => module?.default ?? english,
        () => {
          setTimeout(() => loaded.delete(language));
          return english;
        },
      );
      loaded.set(language, texts);
      return texts;
    },
  };
}

function fill(text: string, values: Values | undefined): string {
  if (!values) return text;
  const number = new Intl.NumberFormat(formatLocale());
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => {
    const value = values[name];
    return value === undefined ? whole : typeof value === "number" ? number.format(value) : value;
  });
}

function form(message: Message, values: Values | undefined, locale: Locale): string {
  if (typeof message === "string") return message;
  const rules = new Intl.PluralRules(locale === "hi" ? "hi" : "en");
  return rules.select(Number(values?.count ?? 0)) === "one" ? (message.one ?? message.other) : message.other;
}

function translate<Key extends string>(texts: Messages<Key>, locale: Locale): Translate<Key> {
  return (key, values) => {
    const text = form(texts[key], values, locale);
    return fill(locale === "en-XA" ? pseudo(text) : text, values);
  };
}

/** The texts of a part in the language of the page; waits (by Suspense) where that has to be loaded. */
export function useText<Key extends string>(part: Catalogue<Key>): Translate<Key> {
  const locale = useLocale();
  const texts = locale === "hi" ? use(part.load(locale)) : part.english;
  return translate(texts, locale);
}

/** The same outside of rendering, for texts that are loaded already. */
export async function text<Key extends string>(part: Catalogue<Key>): Promise<Translate<Key>> {
  const locale = currentLocale();
  return translate(locale === "hi" ? await part.load(locale) : part.english, locale);
}
