import type { Consent } from '@bankside/bank/consents/consent'

/** FAPI2-CR-10: minutes. A token that is not renewed ends soon; one that is revoked ends with the next call. */
export const accessTokenSeconds = 300
/** FAPI2-AS-11: at most 60. */
export const authorizationCodeSeconds = 60
export const idTokenSeconds = 300
/** SCA-RTS Art. 4(3)(d): a session ends after five idle minutes. */
export const idleSeconds = 300
/** However busy a customer is on its pages, no journey takes longer. */
export const longestJourneySeconds = 3_600
/** However often it is used, a session ends. */
const longestSessionSeconds = 3_600

/** How long a session lasts from now if nobody uses it. */
export function sessionSeconds(authenticatedAt: number | undefined, nowSeconds: number): number {
  const left = authenticatedAt === undefined ? idleSeconds : authenticatedAt + longestSessionSeconds - nowSeconds
  return Math.max(1, Math.min(idleSeconds, Math.floor(left)))
}

const day = 86_400
/** A payment's tokens serve to ask after funds and to pay, at once. */
const paymentGrantSeconds = 3_600
const firstPartyGrantSeconds = 90 * day
/** For a consent that lasts until the customer stops it (D15): the store wants an end, so it is one that nobody meets. */
const endlessGrantSeconds = 36_500 * day

/** GM-06: a code lives a minute; nobody who lost the answer to it tries for longer than this. */
export const claimGrantSeconds = 3_600

/**
 * How often a customer proves again who allows an account access (D13). UK, Art. 10A of the SCA-RTS: never here; the third party
 * asks its customer every 90 days. EU: with both factors, every 180 days.
 */
export const reauthenticationPolicies = ['uk_10a', 'eu_180d'] as const
export type Reauthentication = (typeof reauthenticationPolicies)[number]

const longestAccessSeconds = { uk_10a: endlessGrantSeconds, eu_180d: 180 * day } as const satisfies Record<Reauthentication, number>

/** An account access lasts as long as its consent, and so do its refresh tokens, unless the customer must come back before. */
export function grantSeconds(consent: Consent | undefined, now: Date, reauthentication: Reauthentication): number {
  if (consent === undefined) return firstPartyGrantSeconds
  if (consent.kind !== 'account_access') return paymentGrantSeconds
  const longest = longestAccessSeconds[reauthentication]
  if (consent.expiresAt === undefined) return longest
  return Math.max(1, Math.min(longest, Math.floor((consent.expiresAt.getTime() - now.getTime()) / 1000)))
}

/** RW-TOK-02: the expiry of a refresh token is told only when there is one. */
export const isEndless = (remainingSeconds: number): boolean => remainingSeconds > endlessGrantSeconds / 2
