// Who read one's broker credentials: by service and purpose over 30 days, and who was there for the first time.
import { useNavigate, useSearchParams } from "react-router";
import { Loaded } from "../components/loaded.tsx";
import { EmptyState, Notice, Skeleton } from "../components/states.tsx";
import { absolute } from "../components/time.tsx";
import { Page } from "../frame/page.tsx";
import { useText } from "../messages/catalogue.ts";
import { core } from "../messages/core/index.ts";
import { readers as texts } from "../messages/readers/index.ts";
import { Leases } from "./readers/leases.tsx";
import { DayTable, ReaderTable } from "./readers/reader-table.tsx";
import { ReadingList } from "./readers/reading-list.tsx";
import { daysOfNewPurposes, type Readings, useReadings } from "./readers/readings.ts";
import "../styles/plots.css";

/** All readers, or the readings of one of them. */
export default function Readers() {
  const title = useText(core)("nav.readers");
  const query = useReadings();
  const [search] = useSearchParams();
  const service = search.get("service");
  return (
    <Page title={title}>
      <Loaded query={query} data={query.data} shape={<Skeleton lines={6} />}>
        {(data) => {
          const reader = data.readers.find((each) => each.service === service);
          return reader ? <ReadingList reader={reader} /> : <All data={data} />;
        }}
      </Loaded>
      {!service && <Leases />}
    </Page>
  );
}

function All({ data }: { data: Readings }) {
  const t = useText(texts);
  const go = useNavigate();
  if (data.readers.length === 0) return <EmptyState title={t("emptyTitle")}>{t("empty")}</EmptyState>;
  const news = data.readers.filter((reader) => reader.newOn !== undefined || daysOfNewPurposes(reader).length > 0);
  return (
    <>
      <div className="stack-tight reading">
        <p className="lead">
          {t("lead", { count: data.readers.length })}{" "}
          {news.length > 0 && t(data.readers.length === 1 ? "leadNewOnly" : "leadNew", { count: news.length })}
        </p>
        <p className="muted">{t("about")}</p>
      </div>
      {data.cutAt && (
        <Notice tone="warning">
          <p>{t("cut", { count: data.total, time: absolute(Date.parse(data.cutAt)) })}</p>
        </Notice>
      )}
      <ReaderTable data={data} onOpen={({ service }) => go(`/readers?service=${encodeURIComponent(service)}`)} />
      <DayTable data={data} />
      <div className="stack-tight small muted reading">
        {!data.cutAt && <p>{t(data.before.isWhole ? "beforeAll" : "before", { count: data.before.count })}</p>}
        <p>{t("freezeHint")}</p>
      </div>
    </>
  );
}
