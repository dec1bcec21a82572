// The console: what surrounds every page, and the table of pages as routes.

import { AuthProvider } from "portcullis-client/react";
import { Component, type ReactNode, Suspense, useSyncExternalStore } from "react";
import { BrowserRouter, Route, Routes } from "react-router";
import { Button } from "./components/button.tsx";
import { Notice } from "./components/states.tsx";
import { SignedOutFrame } from "./frame/signed-out.tsx";
import { useText } from "./messages/catalogue.ts";
import { core } from "./messages/core/index.ts";
import { ROUTES } from "./routes.tsx";
import { client } from "./session/client.ts";
import { type Asked, askedNow, onAsked } from "./session/step-up.ts";
import { lazily } from "./update.ts";

const SignedInFrame = lazily(() => import("./frame/signed-in.tsx"));
const NotFound = lazily(() => import("./pages/not-found.tsx"));
const StepUpDialog = lazily<{ asked: Asked }>(() => import("./components/step-up-dialog.tsx"));

function Broken() {
  const t = useText(core);
  return (
    <div className="restoring">
      <Notice tone="danger" isNews title={t("broken.title")}>
        <p>{t("broken.body")}</p>
        <Button onClick={() => location.reload()}>{t("broken.reload")}</Button>
      </Notice>
    </div>
  );
}

/** Shows that a page failed in place of an empty window. */
class Boundary extends Component<{ children: ReactNode }, { isBroken: boolean }> {
  override state = { isBroken: false };

  static getDerivedStateFromError() {
    return { isBroken: true };
  }

  override render() {
    return this.state.isBroken ? <Broken /> : this.props.children;
  }
}

function pages(isSignedOut: boolean) {
  return ROUTES.filter(({ audience }) => (audience === "signed-out") === isSignedOut).map(({ path, Page }) => (
    <Route key={path} path={path} element={<Page />} />
  ));
}

/** The question for another proof, above whatever page is shown, while it is open. */
function StepUpQuestion() {
  const asked = useSyncExternalStore(onAsked, askedNow);
  return (
    asked && (
      <Suspense fallback={null}>
        <StepUpDialog asked={asked} />
      </Suspense>
    )
  );
}

/** The whole console. */
export function App() {
  return (
    <Suspense fallback={null}>
      <Boundary>
        <AuthProvider client={client}>
          <BrowserRouter>
            <Routes>
              <Route element={<SignedOutFrame />}>{pages(true)}</Route>
              <Route element={<SignedInFrame />}>
                {pages(false)}
                <Route path="*" element={<NotFound />} />
              </Route>
            </Routes>
          </BrowserRouter>
          <StepUpQuestion />
        </AuthProvider>
      </Boundary>
    </Suspense>
  );
}
