import type { Money } from '@bankside/bank/money'

/** `amount_cents` of this API: ISO 4217 minor units, whatever the currency calls them. JSON numbers are exact up to 2^53 - 1. */
export function cents({ minor }: Money): number {
  const number = Number(minor)
  if (!Number.isSafeInteger(number)) throw new RangeError('an amount does not fit into a JSON number')
  return number
}

export const timestamp = (date: Date): string => date.toISOString()
