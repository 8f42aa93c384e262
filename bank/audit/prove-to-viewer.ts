import type { Transaction } from '@bankside/service-kit/postgres'
import type { PaymentId } from '../ids.ts'
import { refuse } from '../refusal.ts'
import type { PaymentProof } from './proof.ts'
import { provePayment } from './prove.ts'
import { type Audience, NotSignedYet, RecordsArchived } from './prove-leaf.ts'

export type ProofForViewer = { readonly paymentId: PaymentId; readonly audience: Exclude<Audience, 'auditor'> }

/**
 * A proof for whoever may see the payment, which is for the caller to know: `npm run audit:check-proof` checks it anywhere.
 *
 * @throws {Refusal} `payment_not_sealed` in the seconds before what belongs to it is signed; `payment_archived` in the years after its records
 * have gone to a file.
 */
export async function proveToViewer(tx: Transaction, order: ProofForViewer): Promise<PaymentProof> {
  try {
    return await provePayment(tx, order)
  } catch (error) {
    if (error instanceof NotSignedYet)
      refuse('payment_not_sealed', 'the payment is not sealed yet: ask again in some seconds', { cause: error })
    if (error instanceof RecordsArchived)
      refuse('payment_archived', 'the records of this payment are in the archive: ask the bank for them, by its id', { cause: error })
    throw error
  }
}
