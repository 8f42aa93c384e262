import { formatDate } from './date.ts'

/** How long a consent lasts (CX-AIS-04): `Until 21 November 2026`, or `Until you stop it`. */
export function formatExpiry(expiresAt: Date | undefined): string {
  return expiresAt ? `Until ${formatDate(expiresAt)}` : 'Until you stop it'
}

/**
 * How far back and forward transactions are shown (CX-AIS-03). Without a limit the sentence says so.
 * A `to` that lies after the consent's end limits nothing: leave it out.
 */
export function formatTransactionWindow({ from, to }: { from?: Date | undefined; to?: Date | undefined }): string {
  if (from && to) return `From ${formatDate(from)} to ${formatDate(to)}`
  if (from) return `From ${formatDate(from)} onwards`
  if (to) return `From when the account was opened to ${formatDate(to)}`
  return 'From when the account was opened'
}
