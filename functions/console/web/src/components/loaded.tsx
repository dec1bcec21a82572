// What is loaded from the service: its shape while it loads, the failure with its retry, then the content.
import type { ReactNode } from "react";
import { useText } from "../messages/catalogue.ts";
import { core } from "../messages/core/index.ts";
import { Button } from "./button.tsx";
import { ErrorNotice, Skeleton } from "./states.tsx";

interface Query {
  error: unknown;
  refetch: () => unknown;
}

interface LoadedProps<Data> {
  query: Query;
  data: Data | undefined;
  /** What stands there meanwhile; a skeleton of three lines if nothing is said. */
  shape?: ReactNode;
  children: (data: Data) => ReactNode;
}

/** Renders the data once it is there. What was shown stays when a later reading fails. */
export function Loaded<Data>({ query, data, shape, children }: LoadedProps<Data>) {
  if (data !== undefined) return children(data);
  if (query.error) return <ErrorNotice error={query.error} onRetry={() => query.refetch()} />;
  return shape ?? <Skeleton />;
}

/** The button under a list that has more. */
export function LoadMore({
  query,
}: {
  query: { hasNextPage: boolean; isFetchingNextPage: boolean; fetchNextPage: () => unknown };
}) {
  const t = useText(core);
  if (!query.hasNextPage) return null;
  return (
    <div className="actions actions-start">
      <Button busy={query.isFetchingNextPage} onClick={() => query.fetchNextPage()}>
        {t("loadMore")}
      </Button>
    </div>
  );
}
