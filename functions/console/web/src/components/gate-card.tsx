// The one card of a page before a sign-in.
import type { ReactNode } from "react";
import { Page } from "../frame/page.tsx";

/** A card with the heading of the page. */
export function GateCard({
  title,
  about,
  children,
  below,
}: {
  title: string;
  about?: ReactNode;
  children?: ReactNode;
  below?: ReactNode;
}) {
  return (
    <Page title={title}>
      <div className="card">
        <div className="stack-tight">
          <h1>{title}</h1>
          {about && <p className="muted">{about}</p>}
        </div>
        {children}
      </div>
      {below && <p className="gate-below">{below}</p>}
    </Page>
  );
}
