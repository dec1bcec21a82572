// One row for each service that read: its strip, its purposes, its total; and the same data by day.
import { Link } from "react-router";
import { Pill } from "../../components/pill.tsx";
import { type Column, Table } from "../../components/table.tsx";
import { Time } from "../../components/time.tsx";
import { useText } from "../../messages/catalogue.ts";
import { formatLocale } from "../../messages/language.ts";
import { readers as texts } from "../../messages/readers/index.ts";
import { daysOfNewPurposes, type Reader, type Readings } from "./readings.ts";
import { dayText, Strip } from "./strip.tsx";

/** The services, the one with the most readings first. */
export function ReaderTable({ data, onOpen }: { data: Readings; onOpen: (reader: Reader) => void }) {
  const t = useText(texts);
  const most = Math.max(1, ...data.readers.flatMap(({ days }) => days));
  const columns: Column<Reader>[] = [
    { key: "service", header: t("column.service"), cell: (reader) => <Service reader={reader} /> },
    {
      key: "strip",
      header: t("column.strip"),
      cell: (reader) => <Strip reader={reader} days={data.days} most={most} />,
    },
    { key: "purposes", header: t("column.purposes"), cell: (reader) => <Purposes reader={reader} /> },
    { key: "total", header: t("column.total"), cell: ({ readings }) => number(readings.length), kind: "end" },
    { key: "last", header: t("column.last"), cell: ({ readings }) => <Time value={readings[0]?.at} />, kind: "end" },
  ];
  return (
    <div className="readers">
      <Table
        caption={t("caption")}
        columns={columns}
        rows={data.readers}
        rowKey={({ service }) => service}
        onOpen={onOpen}
      />
    </div>
  );
}

function number(value: number): string {
  return new Intl.NumberFormat(formatLocale()).format(value);
}

function Service({ reader }: { reader: Reader }) {
  const t = useText(texts);
  const { service } = reader;
  return (
    <span className="row">
      <Link
        to={`/readers?service=${encodeURIComponent(service)}`}
        aria-label={t("open", { service })}
        onClick={(event) => event.stopPropagation()}
      >
        {service}
      </Link>
      {reader.newOn !== undefined && <Pill tone="warning">{t("new")}</Pill>}
      {reader.newOn === undefined && daysOfNewPurposes(reader).length > 0 && (
        <Pill tone="warning">{t("newPurpose")}</Pill>
      )}
    </span>
  );
}

function Purposes({ reader }: { reader: Reader }) {
  const t = useText(texts);
  return (
    <ul>
      {reader.purposes.map(({ name, count }) => (
        <li key={name ?? ""}>
          {name ?? <span className="muted">{t("noPurpose")}</span>} <span className="muted small">{number(count)}</span>
        </li>
      ))}
    </ul>
  );
}

/** The strips as figures, for whoever wants to read them. Days without a reading are left out. */
export function DayTable({ data }: { data: Readings }) {
  const t = useText(texts);
  const indexes = data.days.map((_, index) => index).reverse();
  const rows = indexes.filter((index) => data.readers.some(({ days }) => days[index]));
  const columns: Column<number>[] = [
    { key: "day", header: t("column.day"), cell: (index) => dayText(data.days[index]) },
    ...data.readers.map((reader): Column<number> => {
      return {
        key: reader.service,
        header: reader.service,
        cell: (index) => number(reader.days[index] ?? 0),
        kind: "end",
      };
    }),
  ];
  return (
    <details className="disclosure">
      <summary>{t("asTable")}</summary>
      <Table caption={t("byDay")} columns={columns} rows={rows} rowKey={String} />
    </details>
  );
}
