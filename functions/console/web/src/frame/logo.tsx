// The mark of the platform: its own, or the gate of this product.
import { brand } from "../brand.ts";

/** The mark, without words. */
export function Logo({ size = 24 }: { size?: number }) {
  if (brand.logo) return <img src={brand.logo} alt="" width={size} height={size} className="logo" />;
  return (
    <svg width={size} height={size} viewBox="0 0 32 32" className="logo" aria-hidden="true" focusable="false">
      <path
        d="M5 29V14a11 11 0 0 1 22 0v15M12 6v23M20 6v23M5 15h22M5 22h22"
        fill="none"
        stroke="currentColor"
        strokeWidth="2.5"
        strokeLinecap="round"
      />
    </svg>
  );
}
