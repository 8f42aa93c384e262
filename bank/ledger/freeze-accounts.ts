import { type Database, sql, type Transaction, transact, z } from '@bankside/service-kit/postgres'
import { appendAudit } from '../audit/append-audit.ts'
import type { AccountId } from '../ids.ts'
import type { Discrepancy } from './reconcile.ts'

/** More at once is rather a fault of the check, or of all: that is for a person, not for a hundred customers to find out. */
export const freezeAtMost = 100

const wordRow = z.object({ word: z.boolean() })

/**
 * Freezes the customers' accounts that discrepancies touch: they give nothing (`account_not_usable`) and take nothing
 * (`account_takes_nothing_until_reconciled`) until a person lifts it. Own accounts of the bank go on: the report names them.
 *
 * @returns those that were frozen now; undefined when there are too many, and none was.
 */
export async function freezeTouched(
  database: Database,
  discrepancies: readonly Discrepancy[],
  now: Date,
): Promise<AccountId[] | undefined> {
  const byAccount = new Map<AccountId, Discrepancy>()
  for (const discrepancy of discrepancies)
    for (const account of discrepancy.accounts) if (!byAccount.has(account)) byAccount.set(account, discrepancy)
  if (byAccount.size > freezeAtMost) return undefined
  const frozen: AccountId[] = []
  for (const [accountId, { name, subject, detail }] of byAccount) {
    const isNew = await transact(database, async (tx) => {
      const { word } = await tx.one(sql.type(wordRow)`select ledger.freeze_account(${accountId}, ${name}) as word`)
      if (word)
        await appendAudit(tx, {
          actor: 'reconciliation',
          action: 'account.frozen',
          subject: accountId,
          details: { name, found: subject, detail },
          now,
        })
      return word
    })
    if (isNew) frozen.push(accountId)
  }
  return frozen
}

export type Lifting = { readonly accountId: AccountId; readonly actor: string; readonly why: string; readonly now: Date }

/** @returns what the account had been frozen for; undefined when it was not. */
export async function liftFreeze(tx: Transaction, { accountId, actor, why, now }: Lifting): Promise<string | undefined> {
  const { frozen_for } = await tx.one(sql.type(z.object({ frozen_for: z.string().nullable() }))`
    select ledger.lift_freeze(${accountId}) as frozen_for`)
  if (frozen_for === null) return undefined
  await appendAudit(tx, { actor, action: 'account.freeze_lifted', subject: accountId, details: { why, frozenFor: frozen_for }, now })
  return frozen_for
}
