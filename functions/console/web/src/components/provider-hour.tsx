// The last hour of calls to a provider as twelve bars of five minutes; the part that failed stands at the foot of each. It is
// a picture: what it shows is said in its text alternative.
import { useText } from "../messages/catalogue.ts";
import { trading } from "../messages/trading/index.ts";
import type { Schemas } from "../session/client.ts";

type Span = Schemas["ProviderSpanResponse"];

const STEP = 10;
const WIDTH = 8;
const HEIGHT = 12;
/** A failure among thousands of calls is still to be seen. */
const LEAST = 2;

/** The bars. */
export function ProviderHour({ spans }: { spans: readonly Span[] }) {
  const text = useFinding(spans);
  return (
    <svg
      viewBox={`0 0 ${spans.length * STEP - 2} ${HEIGHT}`}
      className="hour"
      preserveAspectRatio="xMinYMid"
      role="img"
      aria-label={text}
    >
      {spans.map((span, index) => (
        <g key={span.from} transform={`translate(${index * STEP} 0)`}>
          <Bar span={span} />
        </g>
      ))}
    </svg>
  );
}

function Bar({ span: { ok, failed } }: { span: Span }) {
  if (ok + failed === 0) return <rect y={HEIGHT - 1} width={WIDTH} height={1} className="hour-quiet" />;
  const share = failed === 0 ? 0 : Math.max(LEAST, (HEIGHT * failed) / (ok + failed));
  return (
    <>
      <rect width={WIDTH} height={HEIGHT} className="hour-ok" />
      <rect y={HEIGHT - share} width={WIDTH} height={share} className="hour-failed" />
    </>
  );
}

function useFinding(spans: readonly Span[]): string {
  const t = useText(trading);
  const failed = spans.reduce((sum, span) => sum + span.failed, 0);
  const calls = spans.reduce((sum, span) => sum + span.ok, failed);
  return t(calls === 0 ? "providers.hourQuiet" : "providers.hour", { count: calls, failed });
}
