import { sql, type Transaction, z } from '@bankside/service-kit/postgres'
import { appendAudit } from '../audit/append-audit.ts'
import { lockConsentsOf, loseAccount } from '../consents/lose-account.ts'
import { recordEvent } from '../events/record-event.ts'
import { type AccountId, type CustomerId, type EntryId, newEntryId } from '../ids.ts'
import { type Currency, formatMoney, isCurrency } from '../money.ts'

export type Closing = {
  readonly accountId: AccountId
  /** Where what is left goes. Needed when something is. */
  readonly restTo?: AccountId | undefined
  readonly actor: string
  readonly why: string
  readonly now: Date
}
/** Undefined where nothing was left. */
export type ClosingOutcome = { readonly closed: true; readonly restBy: EntryId | undefined } | { readonly declined: ClosingRefusal }
export type ClosingRefusal = Exclude<z.infer<typeof outcomeRow>['word'], 'closed'>

const outcomeRow = z.object({
  word: z.enum([
    'closed',
    'account_not_found',
    'account_closed_already',
    'account_not_usable',
    'account_has_holds',
    'account_is_overdrawn',
    'rest_needs_an_account',
    'rest_account_not_usable',
  ]),
  rest_minor: z.bigint().nullable(),
})
const accountRow = z.object({ customer_id: z.custom<CustomerId>().nullable(), currency: z.custom<Currency>(isCurrency) })

/**
 * Closes an account for good. What is left on it is moved by its last entry, and consents lose the account with it. From then on it
 * neither gives nor takes. One that has holds, or owes something, is not closed.
 */
export async function closeAccount(tx: Transaction, { accountId, restTo, actor, why, now }: Closing): Promise<ClosingOutcome> {
  // Consents before accounts, as a payment locks them.
  const consents = await lockConsentsOf(tx, accountId)
  const entryId = newEntryId(now)
  const { word, rest_minor } = await tx.one(sql.type(outcomeRow)`
    select word, rest_minor from ledger.close_account(${accountId}, ${restTo ?? null}, ${entryId}, ${actor}, ${sql.timestamp(now)})`)
  if (word !== 'closed') return { declined: word }
  await loseAccount(tx, consents, { accountId, actor, now })
  const { customer_id, currency } = await tx.one(sql.type(accountRow)`
    select customer_id, currency from ledger.account where account_id = ${accountId}`)
  const rest = formatMoney({ minor: rest_minor ?? 0n, currency })
  await appendAudit(tx, { actor, action: 'account.closed', subject: accountId, details: { why, rest, currency, restTo, consents }, now })
  await recordEvent(tx, {
    type: 'account.closed',
    subject: accountId,
    customerId: customer_id ?? undefined,
    payload: { accountId, rest, currency },
    now,
  })
  return { closed: true, restBy: rest_minor === 0n ? undefined : entryId }
}
