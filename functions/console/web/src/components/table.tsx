// A table that becomes a list of cards where it has no room. The roles are written out because a table that is laid out
// as blocks is none to readers of screens.
import type { KeyboardEvent, ReactNode } from "react";

/** One column: its heading and what stands in it. */
export interface Column<Row> {
  key: string;
  header: string;
  cell: (row: Row) => ReactNode;
  /** `end` for figures, `actions` for buttons; the first column names the row. */
  kind?: "text" | "end" | "actions";
}

interface TableProps<Row> {
  /** What the table lists, for readers of screens. */
  caption: string;
  columns: readonly Column<Row>[];
  rows: readonly Row[];
  rowKey: (row: Row) => string;
  /** Makes rows to be opened, by a click or by Enter. */
  onOpen?: (row: Row) => void;
}

const CLASS = { text: undefined, end: "cell-end", actions: "cell-actions" } as const;

/** Rows under headings; a list of cards below 40 rem of room. */
export function Table<Row>({ caption, columns, rows, rowKey, onOpen }: TableProps<Row>) {
  const open = (row: Row) => (event: KeyboardEvent) => {
    if (event.key === "Enter" && event.target === event.currentTarget) onOpen?.(row);
  };
  return (
    <div className="table-wrap">
      {/* biome-ignore-start lint/a11y/noRedundantRoles: they are lost with `display: block` otherwise. */}
      {/* biome-ignore-start lint/a11y/useSemanticElements: the elements are the semantic ones already. */}
      <table className={onOpen ? "table table-rows-open" : "table"} role="table" aria-label={caption}>
        <thead role="rowgroup">
          <tr role="row">
            {columns.map(({ key, header, kind = "text" }) => (
              <th key={key} role="columnheader" scope="col" className={CLASS[kind]}>
                {header}
              </th>
            ))}
          </tr>
        </thead>
        <tbody role="rowgroup">
          {rows.map((row) => (
            <tr
              key={rowKey(row)}
              role="row"
              tabIndex={onOpen ? 0 : undefined}
              onClick={onOpen && (() => onOpen(row))}
              onKeyDown={onOpen && open(row)}
            >
              {columns.map(({ key, header, cell, kind = "text" }, index) =>
                index === 0 ? (
                  <th key={key} role="rowheader" scope="row">
                    {cell(row)}
                  </th>
                ) : (
                  <td key={key} role="cell" className={CLASS[kind]} data-label={header}>
                    {cell(row)}
                  </td>
                ),
              )}
            </tr>
          ))}
        </tbody>
      </table>
      {/* biome-ignore-end lint/a11y/noRedundantRoles: see above. */}
      {/* biome-ignore-end lint/a11y/useSemanticElements: see above. */}
    </div>
  );
}
