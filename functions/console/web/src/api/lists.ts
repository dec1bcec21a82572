// Lists that come in pages.
import { useInfiniteQuery } from "@tanstack/react-query";
import { api, withQuery } from "./client.ts";
import type { Page } from "./types.ts";

type Parameters = Record<string, string | number | undefined | null>;

/** Returns a list page by page, newest first; `items` are those of all pages so far. */
export function useList<Item>(key: readonly unknown[], path: string, parameters: Parameters = {}) {
  const query = useInfiniteQuery({
    queryKey: key,
    queryFn: ({ pageParam }) => api.get<Page<Item>>(withQuery(path, { ...parameters, cursor: pageParam })),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next_cursor ?? undefined,
  });
  return { ...query, items: query.data?.pages.flatMap((page) => page.items) };
}
