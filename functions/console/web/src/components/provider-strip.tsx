// How providers do, in one line each, and which one services are told to try while another is not healthy.
import { useQueries, useQuery } from "@tanstack/react-query";
import { brokerName } from "../frame/session-clock.tsx";
import { useText } from "../messages/catalogue.ts";
import { trading } from "../messages/trading/index.ts";
import { client, type Schemas } from "../session/client.ts";
import { Loaded } from "./loaded.tsx";
import { ProviderHour } from "./provider-hour.tsx";
import { Skeleton } from "./states.tsx";
import { absolute, relative, useNow } from "./time.tsx";

/** The health of a provider. */
export type Provider = Schemas["ProviderHealthResponse"];

const MOST_FALLBACKS = 9;

/** All providers with their last hour; asked for again every minute. */
export function useProviders() {
  const read = () => client.get("/v1/providers", { query: { history: true } });
  return useQuery({ queryKey: ["providers"], queryFn: read, refetchInterval: 60_000 });
}

/** The providers side by side. `own` are those that the reader has accounts at: fallbacks are said for these. */
export function ProviderStrip({ own }: { own: readonly string[] }) {
  const t = useText(trading);
  const providers = useProviders();
  return (
    <section className="stack-tight" aria-labelledby="providers">
      <div className="row-between">
        <h2 id="providers">{t("providers.title")}</h2>
        <p className="muted small">{t("providers.about")}</p>
      </div>
      <Loaded query={providers} data={providers.data?.items} shape={<Skeleton lines={1} />}>
        {(items) => (
          <>
            <Strip items={items} />
            <Fallbacks items={items} own={own} />
          </>
        )}
      </Loaded>
    </section>
  );
}

function Strip({ items }: { items: readonly Provider[] }) {
  const t = useText(trading);
  if (items.length === 0) return <p className="muted">{t("providers.empty")}</p>;
  return (
    <ul className="providers">
      {items.map((provider) => (
        <li key={provider.name} className="provider">
          <div className="row-between">
            <strong>{brokerName(provider.name)}</strong>
            <Health status={provider.status} />
          </div>
          <p className="muted small">
            <ProviderFacts provider={provider} />
          </p>
          {provider.history && <ProviderHour spans={provider.history} />}
        </li>
      ))}
    </ul>
  );
}

/** A health in a word, beside a mark of its colour. */
export function Health({ status }: { status: Provider["status"] }) {
  const t = useText(trading);
  return (
    <span className={`health health-${status}`}>
      <span className="health-dot" />
      {t(`providers.${status}`)}
    </span>
  );
}

function ProviderFacts({ provider }: { provider: Provider }) {
  const t = useText(trading);
  const present = useNow();
  if (provider.marked_until !== undefined) {
    return provider.mark_reason ? t("providers.marked", { reason: provider.mark_reason }) : t("providers.markedPlain");
  }
  if (!provider.last_check) return t("providers.quiet");
  const at = Date.parse(provider.last_check);
  const facts = [t("providers.checked", { time: relative(at, present) ?? absolute(at) })];
  if (provider.consecutive_failures > 0) facts.push(t("providers.failures", { count: provider.consecutive_failures }));
  else if (typeof provider.response_time_ms === "number") {
    facts.push(t("providers.time", { ms: provider.response_time_ms }));
  }
  return facts.join(" · ");
}

/** For each of the reader's providers that is not healthy: which one services try first meanwhile. */
function Fallbacks({ items, own }: { items: readonly Provider[]; own: readonly string[] }) {
  const t = useText(trading);
  const troubled = items.filter(({ name, status }) => own.includes(name) && status !== "healthy");
  const answers = useQueries({
    queries: troubled.map(({ name: primary }) => ({
      queryKey: ["fallback", primary],
      queryFn: () => client.get("/v1/providers/fallback", { query: { primary, fallbacks: others(items, primary) } }),
    })),
  });
  return answers.map(({ data }, index) => {
    const primary = troubled[index]?.name;
    if (!primary || !data?.recommended || data.recommended === primary) return null;
    const names = { primary: brokerName(primary), recommended: brokerName(data.recommended) };
    return (
      <p key={primary} className="small">
        {t("providers.fallback", names)}
      </p>
    );
  });
}

function others(items: readonly Provider[], primary: string): string {
  const names = items.map(({ name }) => name).filter((name) => name !== primary);
  return names.slice(0, MOST_FALLBACKS).join(",");
}
