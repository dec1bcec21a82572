// An address that leads nowhere.
import { ButtonLink } from "../components/button.tsx";
import { EmptyState } from "../components/states.tsx";
import { Page } from "../frame/page.tsx";
import { useText } from "../messages/catalogue.ts";
import { core } from "../messages/core/index.ts";

/** Says so, and leads home. */
export default function NotFound() {
  const t = useText(core);
  return (
    <Page title={t("notFound.title")} isReading>
      <EmptyState
        title={t("notFound.body")}
        action={
          <ButtonLink to="/" look="primary">
            {t("notFound.home")}
          </ButtonLink>
        }
      >
        {location.pathname}
      </EmptyState>
    </Page>
  );
}
