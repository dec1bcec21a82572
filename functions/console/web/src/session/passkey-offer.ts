// Whether a passkey is to be offered: once after each sign-in with a password on this page. It is in memory alone.
let isDue = false;

/** Notes that somebody has just signed in with a password. */
export function offerPasskey(): void {
  isDue = true;
}

/** Returns whether the offer is due. */
export function isOfferDue(): boolean {
  return isDue;
}

/** Notes that the offer was made. */
export function withdrawOffer(): void {
  isDue = false;
}
