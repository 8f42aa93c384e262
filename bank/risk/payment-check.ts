import type { PaymentId } from '../ids.ts'
import type { Payment } from '../payments/payment.ts'

/** `pass`: it is posted. `review`: a person decides, by the payment's deadline. `refuse`: it is rejected and its funds are free again. */
export type Verdict = 'pass' | 'review' | 'refuse'

/** What a check says of a payment, and why: kept with the payment, for the bank and nobody else. */
export type Assessment = {
  readonly paymentId: PaymentId
  readonly verdict: Verdict
  readonly score: number
  readonly reasons: readonly Reason[]
}
/** A rule that applied: its points, and the fact it looked at as it was then. */
export type Reason = { readonly rule: string; readonly points: number; readonly words: string; readonly fact: string }

/**
 * Asks about payments whose funds are held: the built-in check, or one that is elsewhere. It is asked outside any transaction, at
 * least once for each payment, and may take its time within `signal`; what it did not answer is asked again later, until the
 * payment's deadline.
 */
export type PaymentCheck = (
  payments: readonly Payment[],
  asked: { readonly now: Date; readonly signal: AbortSignal },
) => Promise<readonly Assessment[]>
