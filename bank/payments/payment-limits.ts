import { minorDigits } from '../currencies.ts'
import type { Money } from '../money.ts'
import { refuse } from '../refusal.ts'

/** The most that one payment may move, in whole units of its currency. Published; checked when the consent is lodged (PIS-06). */
export const maxPaymentMajor = 25_000n

/** @throws {Refusal} `amount_invalid` for nothing, `payment_over_limit`. */
export function checkPaymentLimits({ minor, currency }: Money, path?: string): void {
  if (minor <= 0n) refuse('amount_invalid', 'a payment moves more than nothing', { path })
  const most = maxPaymentMajor * 10n ** BigInt(minorDigits[currency])
  if (minor > most) refuse('payment_over_limit', `a payment moves at most ${maxPaymentMajor} ${currency}`, { path })
}
