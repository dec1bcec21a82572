// The choice of language.
import { startTransition } from "react";
import { useText } from "../messages/catalogue.ts";
import { core } from "../messages/core/index.ts";
import { chooseLanguage, LANGUAGES, type Locale, useLocale } from "../messages/language.ts";

/** The choice of language, which also stands on the pages of a sign-in. */
export function LanguageChoice() {
  const t = useText(core);
  const locale = useLocale();
  return (
    <label className="language">
      <span className="visually-hidden">{t("menu.language")}</span>
      <select value={locale} onChange={(event) => startTransition(() => chooseLanguage(event.target.value as Locale))}>
        {LANGUAGES.map(({ locale: each, name }) => (
          <option key={each} value={each} lang={each}>
            {name}
          </option>
        ))}
        {LANGUAGES.every(({ locale: each }) => each !== locale) && <option value={locale}>{locale}</option>}
      </select>
    </label>
  );
}
