// Where one can go: a rail on wide screens, five places at the bottom of narrow ones and the rest behind "More".
import { useState } from "react";
import { NavLink } from "react-router";
import { Dialog } from "../components/dialog.tsx";
import { Icon, type IconName } from "../components/icon.tsx";
import { useText } from "../messages/catalogue.ts";
import { core } from "../messages/core/index.ts";

type CoreKey = keyof (typeof core)["english"];

interface Place {
  to: string;
  text: CoreKey;
  short?: CoreKey;
  icon: IconName;
}

const PLACES: readonly Place[] = [
  { to: "/", text: "nav.today", icon: "today" },
  { to: "/trading-accounts", text: "nav.accounts", short: "nav.accountsShort", icon: "accounts" },
  { to: "/approvals", text: "nav.approvals", icon: "check" },
  { to: "/readers", text: "nav.readers", short: "nav.readersShort", icon: "readers" },
  { to: "/sessions", text: "nav.sessions", icon: "sessions" },
  { to: "/security", text: "nav.security", icon: "security" },
  { to: "/api-keys", text: "nav.apiKeys", icon: "key" },
  { to: "/audit", text: "nav.activity", icon: "activity" },
];

const ADMIN: readonly Place[] = [
  { to: "/admin/people", text: "nav.people", icon: "people" },
  { to: "/admin/audit", text: "nav.trail", icon: "activity" },
  { to: "/admin/providers", text: "nav.providers", icon: "providers" },
  { to: "/admin/trouble", text: "nav.trouble", icon: "trouble" },
];

const AT_BOTTOM = ["/", "/trading-accounts", "/readers", "/security"];

function PlaceLink({ place, isShort, onGo }: { place: Place; isShort?: boolean; onGo?: () => void }) {
  const t = useText(core);
  return (
    <NavLink to={place.to} end={place.to === "/"} className="place" onClick={onGo}>
      <Icon name={place.icon} />
      <span>{t(isShort && place.short ? place.short : place.text)}</span>
    </NavLink>
  );
}

function Places({ isAdmin, onGo }: { isAdmin: boolean; onGo?: () => void }) {
  const t = useText(core);
  return (
    <>
      <ul>
        {PLACES.map((place) => (
          <li key={place.to}>
            <PlaceLink place={place} onGo={onGo} />
          </li>
        ))}
      </ul>
      {isAdmin && (
        <section className="places-admin" aria-labelledby="places-admin">
          <h2 id="places-admin">{t("nav.admin")}</h2>
          <ul>
            {ADMIN.map((place) => (
              <li key={place.to}>
                <PlaceLink place={place} onGo={onGo} />
              </li>
            ))}
          </ul>
        </section>
      )}
    </>
  );
}

/** The rail at the start of wide screens. */
export function Rail({ isAdmin }: { isAdmin: boolean }) {
  const t = useText(core);
  return (
    <nav className="rail" aria-label={t("nav.main")}>
      <Places isAdmin={isAdmin} />
    </nav>
  );
}

/** The bar at the bottom of narrow screens. */
export function BottomBar({ isAdmin }: { isAdmin: boolean }) {
  const t = useText(core);
  const [isOpen, open] = useState(false);
  return (
    <nav className="bottom-bar" aria-label={t("nav.main")}>
      {PLACES.filter((place) => AT_BOTTOM.includes(place.to)).map((place) => (
        <PlaceLink key={place.to} place={place} isShort />
      ))}
      <button type="button" className="place" aria-haspopup="dialog" onClick={() => open(true)}>
        <Icon name="more" />
        <span>{t("more")}</span>
      </button>
      {isOpen && (
        <Dialog title={t("more")} onClose={() => open(false)}>
          <div className="places-all">
            <Places isAdmin={isAdmin} onGo={() => open(false)} />
          </div>
        </Dialog>
      )}
    </nav>
  );
}
