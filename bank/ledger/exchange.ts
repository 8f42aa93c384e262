import { minorDigits } from '../currencies.ts'
import type { AccountId } from '../ids.ts'
import type { Currency, Money } from '../money.ts'
import { refuse } from '../refusal.ts'
import type { Rate } from './rate.ts'

/**
 * Sells an amount of one currency for what it is worth in another, by one entry. The bank's position accounts take the one
 * and give the other, so that each currency still sums to zero.
 */
export type Exchange = {
  readonly kind: 'exchange'
  readonly from: AccountId
  readonly to: AccountId
  readonly sold: Money
  readonly rate: Rate
  /** The bank's own: of the currency that is sold, and of the one that is bought. */
  readonly positions: { readonly sold: AccountId; readonly bought: AccountId }
  /** Takes what was sold and buys nothing, less than one minor unit being worth it. */
  readonly residueTo: AccountId
  readonly description: string
  readonly reference: string
  readonly valueDate?: string | undefined
}

/** `priced` is the least that buys as much; the residue is what was sold beyond it. */
export type Exchanged = { readonly bought: Money; readonly priced: Money; readonly residue: Money }

/**
 * What is bought is rounded down to a whole minor unit, always: never is more given than was paid for. The database reckons
 * the same (`ledger.worth`) and refuses an entry that is off by one.
 *
 * @throws {Refusal} `amount_invalid` for an amount that buys nothing.
 */
export function reckonExchange(sold: Money, rate: Rate): Exchanged {
  const { numerator, denominator } = minorPerMinor(rate)
  const bought = (sold.minor * numerator) / denominator
  if (sold.minor <= 0n || bought <= 0n) refuse('amount_invalid', `${sold.minor} of ${sold.currency} buys nothing`)
  const priced = (bought * denominator + numerator - 1n) / numerator
  return {
    bought: { minor: bought, currency: rate.quote },
    priced: { minor: priced, currency: sold.currency },
    residue: { minor: sold.minor - priced, currency: sold.currency },
  }
}

/** The rate is between whole units, of which each currency has its own number of minor ones. */
function minorPerMinor({ base, quote, units, scale }: Rate): { numerator: bigint; denominator: bigint } {
  const tenTo = (currency: Currency, more = 0) => 10n ** BigInt(minorDigits[currency] + more)
  return { numerator: units * tenTo(quote), denominator: tenTo(base, scale) }
}
