// The pages of administrators for whoever is none: what this is, and the way back. The service decides all the same.
import { useAuth } from "portcullis-client/react";
import type { ReactNode } from "react";
import { ButtonLink } from "../../components/button.tsx";
import { EmptyState } from "../../components/states.tsx";
import { Page } from "../../frame/page.tsx";
import { admin } from "../../messages/admin/index.ts";
import { useText } from "../../messages/catalogue.ts";

/** A page for administrators. Its content asks for nothing unless the reader is one. */
export function AdminPage({ title, children }: { title: string; children: ReactNode }) {
  const t = useText(admin);
  const { user } = useAuth();
  const isAdmin = user?.roles.includes("admin");
  return (
    <Page title={title}>
      {isAdmin ? (
        children
      ) : (
        <EmptyState title={t("refused.title")} action={<ButtonLink to="/">{t("refused.home")}</ButtonLink>}>
          {t("refused.body")}
        </EmptyState>
      )}
    </Page>
  );
}
