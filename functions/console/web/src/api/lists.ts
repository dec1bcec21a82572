// Lists that come in pages.
import { useInfiniteQuery } from "@tanstack/react-query";

interface Page<Item> {
  items: Item[];
  next_cursor?: string | null | undefined;
}

/** Returns a list page by page, newest first; `items` are those of all pages so far. `read` asks for the page of a cursor. */
export function useList<Item>(key: readonly unknown[], read: (cursor: string | undefined) => Promise<Page<Item>>) {
  const query = useInfiniteQuery({
    queryKey: key,
    queryFn: ({ pageParam }) => read(pageParam),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next_cursor ?? undefined,
  });
  return { ...query, items: query.data?.pages.flatMap((page) => page.items) };
}
