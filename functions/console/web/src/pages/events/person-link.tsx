// Whose event it is: the name of the person, which leads to their page. Trails have ids alone.
import { useQuery } from "@tanstack/react-query";
import { Link } from "react-router";
import { client } from "../../session/client.ts";

const MOST = 100;
const FRESH = 300_000;

/** The people who came last, by one request for all rows; somebody else is asked for alone. */
function useName(id: string): string | undefined {
  const readMany = () => client.get("/v1/admin/users", { query: { limit: MOST } });
  const many = useQuery({ queryKey: ["people-names"], queryFn: readMany, staleTime: FRESH });
  const known = many.data?.items.find(({ user_id }) => user_id === id)?.name;
  const readOne = () => client.get("/v1/admin/users/{id}", { params: { id } });
  const isAskedFor = many.data !== undefined && known === undefined;
  // Somebody who was erased has no name any more.
  const one = useQuery({
    queryKey: ["person", id],
    queryFn: readOne,
    enabled: isAskedFor,
    retry: false,
    staleTime: FRESH,
  });
  return known ?? one.data?.name;
}

/** A link to the person; the end of the id where there is no name. */
export function PersonLink({ id }: { id: string }) {
  const name = useName(id);
  return (
    <Link
      to={`/admin/people/${id}`}
      className={name ? undefined : "mono"}
      onClick={(event) => event.stopPropagation()}
      onKeyDown={(event) => event.stopPropagation()}
    >
      {name ?? `…${id.slice(-8)}`}
    </Link>
  );
}
