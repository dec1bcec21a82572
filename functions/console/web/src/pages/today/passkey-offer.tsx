// After a sign-in with a password: the offer of a passkey, once, and only to whoever has none.
import { useEffect, useState } from "react";
import { Button, ButtonLink } from "../../components/button.tsx";
import { Notice } from "../../components/states.tsx";
import { useText } from "../../messages/catalogue.ts";
import { trading } from "../../messages/trading/index.ts";
import { hasPasskeys } from "../../session/passkey.ts";
import { isOfferDue, withdrawOffer } from "../../session/passkey-offer.ts";
import { usePasskeys } from "../security/passkeys.tsx";

/** The offer, until it is taken, declined, or the page is left. */
export function PasskeyOffer() {
  const t = useText(trading);
  const [isWanted, want] = useState(() => isOfferDue() && hasPasskeys());
  useEffect(withdrawOffer, []);
  const { data } = usePasskeys(isWanted);
  if (!isWanted || data?.items.length !== 0) return null;
  return (
    <Notice tone="accent" title={t("offer.title")}>
      <p>{t("offer.body")}</p>
      <div className="row">
        <ButtonLink small to="/security?add=passkey">
          {t("offer.take")}
        </ButtonLink>
        <Button small look="quiet" onClick={() => want(false)}>
          {t("offer.decline")}
        </Button>
      </div>
    </Notice>
  );
}
