import { limitInWords } from '@bankside/bank/limits/limit'
import type { PaymentOutcome } from '@bankside/bank/payments/outcome-of-consent'
import type { RejectionReason } from '@bankside/bank/payments/payment'
import { formatAmount } from '@bankside/consent-ui/format/amount'

/** What became of a payment, in a sentence for the customer: their own limit they are told in full, of our checks nothing. */
export function outcomeInWords({ status, step, rejectionReason, limit }: PaymentOutcome): string {
  if (status === 'posted') return 'The payment was made.'
  if (status === 'held')
    return step === 'review' ? 'We look at this payment before we make it. We will tell you how it ends.' : 'The payment is being made.'
  if (limit !== undefined) {
    const words = limitInWords(limit, formatAmount(limit.most))
    return `The payment was not made. It was more than ${limit.setBy === 'customer' ? 'the limit you set yourself' : 'our limit'}: ${words}.`
  }
  return `The payment was not made. ${rejectionReason === undefined ? '' : whyNot[rejectionReason]}`.trim()
}

const whyNot = {
  AB03: 'It could not be finished in time.',
  AC01: 'There is no account with the number it was to be paid to.',
  AC04: 'The account it was to be paid from is closed.',
  AC06: 'The account it was to be paid from is blocked.',
  AC07: 'The account it was to be paid to is closed.',
  AC11: 'The account it was to be paid to is in another currency.',
  AM02: 'It was more than one payment may be.',
  AM04: 'There was not enough money in the account.',
  AM14: 'It was more than can be paid in this time.',
  U042: 'We stopped it to protect your money. Contact us if you want it to be made.',
} as const satisfies Record<RejectionReason, string>
