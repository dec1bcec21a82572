// A page without a browser, for React. Imported before React, which looks for a document when it is loaded.
import { Window } from "happy-dom";

const window = new Window({ url: "https://app.example.com/" });
// Newer versions of Node have a navigator of their own.
if (!globalThis.navigator) globalThis.navigator = window.navigator;
Object.assign(globalThis, { window, document: window.document, IS_REACT_ACT_ENVIRONMENT: true });

const { createRoot } = await import("react-dom/client");
const { act } = await import("react");
export { act };

/** Shows an element in a page of its own. */
export async function show(element, options) {
  const place = window.document.body.appendChild(window.document.createElement("div"));
  const root = createRoot(place, options);
  await act(() => root.render(element));
  return {
    text: () => place.textContent,
    again: (next) => act(() => root.render(next)),
    close: () => act(() => root.unmount()),
  };
}
