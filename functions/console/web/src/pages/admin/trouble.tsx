// Signs of trouble: four small plots of the last 24 hours on one time axis.
import { Link } from "react-router";
import { Loaded } from "../../components/loaded.tsx";
import { Skeleton } from "../../components/states.tsx";
import { type Column, Table } from "../../components/table.tsx";
import { absolute, useNow } from "../../components/time.tsx";
import { admin } from "../../messages/admin/index.ts";
import { useText } from "../../messages/catalogue.ts";
import { core } from "../../messages/core/index.ts";
import { formatLocale } from "../../messages/language.ts";
import { AdminPage } from "./admin-only.tsx";
import { hoursUntil, type Series, useTrouble } from "./trouble/counts.ts";
import { EverybodyFreeze } from "./trouble/everybody.tsx";
import { Axis, hourText, Plot } from "./trouble/plot.tsx";
import "../../styles/plots.css";

/** The plots. */
export default function TroublePage() {
  const title = useText(core)("nav.trouble");
  return (
    <AdminPage title={title}>
      <Trouble />
      <EverybodyFreeze />
    </AdminPage>
  );
}

function totalOf({ hours }: Series): number {
  return hours.reduce((sum, each) => sum + each, 0);
}

function Trouble() {
  const t = useText(admin);
  const hours = hoursUntil(useNow());
  const trouble = useTrouble(hours);
  return (
    <Loaded query={trouble} data={trouble.series} shape={<Skeleton cards={4} />}>
      {(series) => {
        const count = series.filter((each) => totalOf(each) > 0).length;
        return (
          <>
            <div className="stack-tight reading">
              <p className="lead">{count === 0 ? t("trouble.quiet") : t("trouble.some", { count })}</p>
              <p className="muted">{t("trouble.about")}</p>
            </div>
            <div className="plots">
              {series.map((each) => (
                <PlotRow key={each.name} series={each} hours={hours} />
              ))}
              <Axis hours={hours} />
            </div>
            <HourTable series={series} hours={hours} />
            <p className="small muted reading">{t("plot.quietNote")}</p>
          </>
        );
      }}
    </Loaded>
  );
}

function PlotRow({ series, hours }: { series: Series; hours: readonly number[] }) {
  const t = useText(admin);
  const total = totalOf(series);
  const number = new Intl.NumberFormat(formatLocale()).format(total);
  const from = new Date(hours[0] ?? 0);
  const day = [from.getFullYear(), from.getMonth() + 1, from.getDate()].map((part) => String(part).padStart(2, "0"));
  return (
    <section className="plot-row" aria-labelledby={`plot-${series.name}`}>
      <div className="plot-head">
        <h2 id={`plot-${series.name}`}>{t(`plot.${series.name}`)}</h2>
        <p className="muted small">{t(`plot.${series.name}About`)}</p>
      </div>
      <p className="plot-total">
        {series.cutAt === undefined ? number : t("plot.atLeast", { count: total })}
        {total > 0 && (
          <Link
            to={`/admin/audit?type=${series.type}&from=${day.join("-")}`}
            className="small"
            aria-label={t("plot.showOf", { title: t(`plot.${series.name}`) })}
          >
            {t("plot.show")}
          </Link>
        )}
      </p>
      <Plot series={series} hours={hours} />
      {series.cutAt !== undefined && (
        <p className="small muted plot-note">{t("plot.cut", { time: absolute(series.cutAt) })}</p>
      )}
    </section>
  );
}

/** The bars as figures. Hours without anything are left out. */
function HourTable({ series, hours }: { series: readonly Series[]; hours: readonly number[] }) {
  const t = useText(admin);
  const rows = hours.map((_, index) => index).filter((index) => series.some((each) => each.hours[index]));
  if (rows.length === 0) return null;
  const columns: Column<number>[] = [
    { key: "hour", header: t("plot.hour"), cell: (index) => hourText(hours[index]) },
    ...series.map((each): Column<number> => {
      return { key: each.name, header: t(`plot.${each.name}`), cell: (index) => each.hours[index] ?? 0, kind: "end" };
    }),
  ];
  return (
    <details className="disclosure">
      <summary>{t("plot.asTable")}</summary>
      <Table caption={t("plot.asTable")} columns={columns} rows={rows.reverse()} rowKey={String} />
    </details>
  );
}
