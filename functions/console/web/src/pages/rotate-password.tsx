// The address that teams link to where a password has expired. The token for it comes with a sign-in and is kept nowhere,
// so this page leads there.
import { ButtonLink } from "../components/button.tsx";
import { GateCard } from "../components/gate-card.tsx";
import { useText } from "../messages/catalogue.ts";
import { signIn } from "../messages/sign-in/index.ts";

/** Says how to get there. */
export default function RotatePassword() {
  const t = useText(signIn);
  return (
    <GateCard title={t("rotate.title")} about={t("rotate.missing")}>
      <ButtonLink to="/login" look="primary" wide>
        {t("reset.toLogin")}
      </ButtonLink>
    </GateCard>
  );
}
