import { sql, type Transaction } from '@bankside/service-kit/postgres'
import { appendAudit } from '../audit/append-audit.ts'

/**
 * Whether a payment for which nothing waits is posted in the transaction in which it comes: then the built-in check is asked there. Off, every
 * payment waits for the worker, and for whichever check that was started with.
 */
export const isStraightThrough = async (tx: Pick<Transaction, 'exists'>): Promise<boolean> =>
  tx.exists(sql.unsafe`select from payments.straight_through where is_on`)

export type StraightThrough = { readonly on: boolean; readonly actor: string; readonly why: string; readonly now: Date }

/** From the next payment on. */
export async function setStraightThrough(tx: Transaction, { on, actor, why, now }: StraightThrough): Promise<void> {
  await tx.query(sql.unsafe`update payments.straight_through set is_on = ${on}`)
  await appendAudit(tx, { actor, action: `straight_through.${on ? 'on' : 'off'}`, subject: 'payments', details: { why }, now })
}
