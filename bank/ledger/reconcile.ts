import { type Database, type SqlFragment, sql, type Transaction, transact, z } from '@bankside/service-kit/postgres'
import type { AccountId } from '../ids.ts'
import { recentChecks } from './recent-checks.ts'
import { type DiscrepancyName, ledgerChecks, paymentChecks } from './reconciliation-checks.ts'
import { referenceChecks } from './reference-checks.ts'

export type Discrepancy = {
  readonly name: DiscrepancyName
  /** Id of what is wrong: an account, entry, hold, payment or consent, or a currency. */
  readonly subject: string
  readonly detail: string
  /** Accounts of customers that it touches. */
  readonly accounts: readonly AccountId[]
}

/** Where one thing is wrong, often many are: more of one kind than this are not listed. */
export const maxDiscrepanciesPerCheck = 100
const mayTakeMs = 30 * 60 * 1000

const wholeChecks: Readonly<Record<DiscrepancyName, SqlFragment>> = { ...ledgerChecks, ...paymentChecks, ...referenceChecks }
const discrepancyRow = z.object({ subject: z.string(), detail: z.string() })

/** What was looked at, too: the next time begins where this one ended. */
export type Reconciled = { readonly discrepancies: Discrepancy[]; readonly settledBefore: bigint }

/**
 * Proves the books from what was booked: adds up every posting again and compares the sums with the balances that are
 * kept beside them, and the ledger with the payments and consents that moved it. One snapshot, nothing is locked.
 *
 * @returns everything that does not agree: nothing, in a sound bank.
 */
export const reconcile = async (database: Database): Promise<Discrepancy[]> => (await reconcileBy(database, wholeChecks)).discrepancies

/** The same of what was booked since: it costs what that was, not what there is. */
export const reconcileSince = (database: Database, since: bigint): Promise<Reconciled> => reconcileBy(database, recentChecks(since))

export const reconcileWhole = (database: Database): Promise<Reconciled> => reconcileBy(database, wholeChecks)

async function reconcileBy(database: Database, checks: Partial<Record<DiscrepancyName, SqlFragment>>): Promise<Reconciled> {
  return await transact(database, async (tx) => {
    await tx.query(sql.unsafe`set transaction isolation level repeatable read, read only`)
    await tx.query(
      sql.unsafe`select set_config('statement_timeout', ${`${mayTakeMs}ms`}, true), set_config('plan_cache_mode', 'force_custom_plan', true)`,
    )
    const { before } = await tx.one(sql.type(z.object({ before: z.bigint() }))`
      select ledger.settled_before() as before`)
    const found: Omit<Discrepancy, 'accounts'>[] = []
    for (const [name, check] of Object.entries(checks) as [DiscrepancyName, SqlFragment][]) {
      const rows = await tx.any(sql.type(discrepancyRow)`
        select subject, detail from (${check}) as found (subject, detail) order by subject limit ${maxDiscrepanciesPerCheck}`)
      found.push(...rows.map(({ subject, detail }) => ({ name, subject, detail })))
    }
    const touched = await touchedAccounts(tx, [...new Set(found.map(({ subject }) => subject))])
    return { discrepancies: found.map((one) => ({ ...one, accounts: touched.get(one.subject) ?? [] })), settledBefore: before }
  })
}

const touchedRow = z.object({ subject: z.string(), account_id: z.custom<AccountId>() })

async function touchedAccounts(tx: Transaction, subjects: readonly string[]): Promise<Map<string, AccountId[]>> {
  if (subjects.length === 0) return new Map()
  const named = sql.array([...subjects], 'text')
  const rows = await tx.any(sql.type(touchedRow)`
    select distinct subject, account_id
    from (
      select account_id as subject, account_id from ledger.account where account_id = any (${named})
      union all select entry_id, account_id from ledger.posting where entry_id = any (${named})
      union all select hold_id, account_id from ledger.hold where hold_id = any (${named})
      union all select payment_id, unnest(array[debtor_account_id, creditor_account_id]) from payments.payment where payment_id = any (${named})
      union all select consent_id, debtor_account_id from consents.consent where consent_id = any (${named})
    ) touched join ledger.account using (account_id)
    where kind = 'customer' order by subject, account_id`)
  return new Map(
    [...Map.groupBy(rows, ({ subject }) => subject)].map(([subject, found]) => [subject, found.map(({ account_id }) => account_id)]),
  )
}
