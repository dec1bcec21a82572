// A card: one thing, its heading, and what can be done with it.
import { type ReactNode, useId } from "react";

interface CardProps {
  title: string;
  /** Under the heading, in a quiet voice. */
  about?: ReactNode;
  /** Beside the heading: a state in a word. */
  state?: ReactNode;
  /** At the other end of the heading: one button. */
  aside?: ReactNode;
  children?: ReactNode;
}

/** A section with a heading of its own, inside of a frame. */
export function Card({ title, about, state, aside, children }: CardProps) {
  const id = useId();
  return (
    <section className="card" aria-labelledby={id}>
      <div className="card-head">
        <div className="stack-tight">
          <div className="row">
            <h2 id={id}>{title}</h2>
            {state}
          </div>
          {about && <p className="muted">{about}</p>}
        </div>
        {aside}
      </div>
      {children}
    </section>
  );
}
