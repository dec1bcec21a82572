// The filters of an audit trail. They stand in the address, so that what was found can be sent to somebody.
import { useEffect, useRef, useState } from "react";
import { useSearchParams } from "react-router";
import { Button } from "../../components/button.tsx";
import { Field, TextField } from "../../components/field.tsx";
import type { TradingAccount } from "../../frame/trading-state.ts";
import { accountName } from "../trading-accounts/state.ts";
import { GROUP_NAMES, GROUPS, isEventType } from "./types.ts";
import { useEventText, whatHappened } from "./words.ts";

const NAMES = ["type", "from", "to", "target", "user_id"] as const;
const DAY = 86_400_000;
const TYPED_AFTER = 300;

/** A filter of the address. */
export type FilterName = (typeof NAMES)[number];

/** The filters of the address and what changes one of them. */
export function useFilters() {
  const [search, setSearch] = useSearchParams();
  const value = (name: FilterName) => search.get(name) ?? "";
  const set = (name: FilterName, next: string) =>
    setSearch(
      (before) => {
        if (next) before.set(name, next);
        else before.delete(name);
        return before;
      },
      { replace: true },
    );
  const clear = () => setSearch({}, { replace: true });
  return { value, set, clear, isAny: NAMES.some((name) => search.has(name)), query: queryOf(value) };
}

/** What is asked of the service: days of the reader's calendar become times. */
function queryOf(value: (name: FilterName) => string) {
  const type = value("type");
  return {
    type: isEventType(type) ? type : undefined,
    from: startOfDay(value("from"), 0),
    to: startOfDay(value("to"), DAY),
    target: value("target").trim() || undefined,
    user_id: value("user_id").trim() || undefined,
  };
}

function startOfDay(day: string, later: number): string | undefined {
  const at = Date.parse(`${day}T00:00`);
  return Number.isNaN(at) ? undefined : new Date(at + later).toISOString();
}

type Filters = ReturnType<typeof useFilters>;

/** The row of filters. Without `accounts` the object and the person are typed, as administrators do. */
export function FilterRow({ filters, accounts }: { filters: Filters; accounts?: readonly TradingAccount[] }) {
  const t = useEventText();
  return (
    <search className="filters" aria-label={t("filter.legend")}>
      <TypeFilter filters={filters} />
      {accounts ? (
        <AccountFilter filters={filters} accounts={accounts} />
      ) : (
        <>
          <TypedFilter filters={filters} name="user_id" label={t("filter.person")} />
          <TypedFilter filters={filters} name="target" label={t("filter.object")} />
        </>
      )}
      {(["from", "to"] as const).map((name) => (
        <TextField
          key={name}
          label={t(`filter.${name}`)}
          type="date"
          value={filters.value(name)}
          onChange={(event) => filters.set(name, event.target.value)}
        />
      ))}
      {filters.isAny && <Button onClick={filters.clear}>{t("filter.clear")}</Button>}
    </search>
  );
}

function TypeFilter({ filters }: { filters: Filters }) {
  const t = useEventText();
  return (
    <Field label={t("filter.type")}>
      {(control) => (
        <select
          {...control}
          value={filters.value("type")}
          onChange={(event) => filters.set("type", event.target.value)}
        >
          <option value="">{t("filter.all")}</option>
          {GROUP_NAMES.map((group) => (
            <optgroup key={group} label={t(`group.${group}`)}>
              {GROUPS[group].map((type) => (
                <option key={type} value={type}>
                  {whatHappened(t, type)}
                </option>
              ))}
            </optgroup>
          ))}
        </select>
      )}
    </Field>
  );
}

function AccountFilter({ filters, accounts }: { filters: Filters; accounts: readonly TradingAccount[] }) {
  const t = useEventText();
  const target = filters.value("target");
  const isOther = target && accounts.every(({ account_id }) => account_id !== target);
  return (
    <Field label={t("filter.target")}>
      {(control) => (
        <select {...control} value={target} onChange={(event) => filters.set("target", event.target.value)}>
          <option value="">{t("filter.any")}</option>
          {isOther && <option value={target}>{target}</option>}
          {accounts.map((account) => (
            <option key={account.account_id} value={account.account_id}>
              {accountName(account)}
            </option>
          ))}
        </select>
      )}
    </Field>
  );
}

function TypedFilter({ filters, name, label }: { filters: Filters; name: FilterName; label: string }) {
  const [typed, type] = useTyped(filters.value(name), (next) => filters.set(name, next));
  return (
    <TextField
      label={label}
      value={typed}
      autoComplete="off"
      spellCheck={false}
      onChange={(event) => type(event.target.value)}
    />
  );
}

/** What is being typed, which is passed on once the typing rests. */
export function useTyped(value: string, onRest: (next: string) => void): [string, (next: string) => void] {
  const [typed, type] = useState(value);
  const passOn = useRef(onRest);
  passOn.current = onRest;
  // What changed elsewhere, such as by the way back, is taken over.
  useEffect(() => type(value), [value]);
  useEffect(() => {
    if (typed === value) return;
    const rest = setTimeout(() => passOn.current(typed), TYPED_AFTER);
    return () => clearTimeout(rest);
  }, [typed, value]);
  return [typed, type];
}
