// Signing in: name and password, then the code where there is a second factor, its enrolment where a role requires one, or a
// new password where the old one has expired.
import { useAuth } from "portcullis-client/react";
import { useEffect, useState } from "react";
import { Navigate, useSearchParams } from "react-router";
import { lazily } from "../update.ts";
import { CodeStep } from "./login/code-step.tsx";
import { PasswordStep } from "./login/password-step.tsx";
import { RotateStep } from "./login/rotate-step.tsx";

/** Few meet it, and once: it is no part of what everybody loads. */
const EnrolStep = lazily<{ name: string; onLate: () => void }>(() => import("./login/enrol-step.tsx"));

/** Returns where to go after the sign-in: a page of this console and nothing else. */
function destination(next: string | null): string {
  return next?.startsWith("/") && !next.startsWith("//") && !next.includes("\\") ? next : "/";
}

/** One card whose body is replaced from step to step. */
export default function Login() {
  const { status, cancelLogin } = useAuth();
  const [search] = useSearchParams();
  const [name, setName] = useState("");
  const [isLate, setLate] = useState(false);
  // Whoever leaves the page gives up what waits for a code.
  useEffect(() => cancelLogin, [cancelLogin]);
  if (status === "signed_in") return <Navigate to={destination(search.get("next"))} replace />;
  if (status === "mfa_required") return <CodeStep name={name} onLate={() => setLate(true)} />;
  if (status === "mfa_enrolment_required") return <EnrolStep name={name} onLate={() => setLate(true)} />;
  if (status === "password_expired") return <RotateStep name={name} onLate={() => setLate(true)} />;
  return (
    <PasswordStep
      name={name}
      isLate={isLate}
      onName={(typed) => {
        setName(typed);
        setLate(false);
      }}
    />
  );
}
