import { sql, type Transaction, z } from '@bankside/service-kit/postgres'
import type { LogVerifiers } from './checkpoint.ts'
import type { PaymentProof, ProvenLeaf } from './proof.ts'
import { lastCheckpoint } from './prove-consistency.ts'
import { type Audience, CannotProve, proveBeginning, proveLeaf, provingUnder } from './prove-leaf.ts'
import { leavesOf } from './read-leaves.ts'
import { firstLog } from './seal-rows.ts'

export type ProofOrder = { readonly paymentId: string; readonly audience: Audience; readonly verifiers: LogVerifiers }

const paymentRow = z.object({ consent_id: z.string(), entry_id: z.string().nullable() })

/**
 * All that was recorded of a payment and its consent, its entry with all postings, and the paths from these to the last
 * checkpoint: whoever has the public key needs nothing else.
 *
 * @throws {CannotProve} where a row is not signed yet, or is not what was sealed.
 */
export async function provePayment(tx: Transaction, { paymentId, audience, verifiers }: ProofOrder): Promise<PaymentProof> {
  const payment = await tx.maybeOne(sql.type(paymentRow)`select consent_id, entry_id from payments.payment where payment_id = ${paymentId}`)
  if (payment === null) throw new CannotProve(`there is no payment ${paymentId}`)
  const checkpoint = await lastCheckpoint(tx, verifiers)
  const recordIds = (await tx.anyFirst(sql.unsafe`
    select record_id from audit.record where subject in (${payment.consent_id}, ${paymentId})`)) as string[]
  const rows = [
    ...(await leavesOf(tx, 'audit.record', recordIds)),
    ...(payment.entry_id === null ? [] : await leavesOf(tx, 'ledger.entry', [payment.entry_id])),
  ]
  const proving = provingUnder(tx, checkpoint, audience)
  const leaves: ProvenLeaf[] = []
  for (const row of rows) leaves.push(await proveLeaf(tx, row, proving))
  return {
    format: 'bankside-payment-proof/1',
    payment_id: paymentId,
    checkpoint: checkpoint.note,
    ...(checkpoint.log === firstLog ? {} : { begins: await proveBeginning(tx, proving) }),
    leaves: leaves.toSorted((one, other) => one.leaf - other.leaf),
  } as PaymentProof
}
