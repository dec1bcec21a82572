// The menu of whoever is signed in: profile, language, the way out.

import type { User } from "portcullis-client";
import { type FocusEvent, useRef, useState } from "react";
import { Link } from "react-router";
import { Button } from "../components/button.tsx";
import { Icon } from "../components/icon.tsx";
import { useText } from "../messages/catalogue.ts";
import { core } from "../messages/core/index.ts";
import { client } from "../session/client.ts";
import { LanguageChoice } from "./language-choice.tsx";

/** Returns the first letters of the first and last word of a name. */
function initials(name: string): string {
  const words = name.trim().split(/\s+/);
  const first = [...(words[0] ?? "")][0] ?? "";
  const last = words.length > 1 ? ([...(words.at(-1) ?? "")][0] ?? "") : "";
  return (first + last).toUpperCase();
}

/** The button with the initials, and what it opens. */
export function AccountMenu({ user }: { user: User }) {
  const t = useText(core);
  const [isOpen, open] = useState(false);
  const button = useRef<HTMLButtonElement>(null);
  const close = () => open(false);
  const left = (event: FocusEvent) => !event.currentTarget.contains(event.relatedTarget) && close();
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: Escape closes what the button opens.
    <div
      className="menu"
      onBlur={left}
      onKeyDown={(event) => {
        if (event.key !== "Escape" || !isOpen) return;
        close();
        button.current?.focus();
      }}
    >
      <button ref={button} type="button" className="menu-button" aria-expanded={isOpen} onClick={() => open(!isOpen)}>
        <span aria-hidden="true">{initials(user.name)}</span>
        <span className="visually-hidden">{t("menu.open", { name: user.name })}</span>
      </button>
      {isOpen && (
        <div className="menu-panel" tabIndex={-1}>
          <div>
            <p className="menu-name">{user.name}</p>
            <p className="small muted">{user.email ?? user.username}</p>
          </div>
          <Link to="/profile" className="place" onClick={close}>
            <Icon name="person" />
            {t("nav.profile")}
          </Link>
          <LanguageChoice />
          <Button wide onClick={() => void client.logout()}>
            {t("menu.signOut")}
          </Button>
        </div>
      )}
    </div>
  );
}
