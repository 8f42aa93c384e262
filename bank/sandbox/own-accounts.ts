import { sql, type Transaction, z } from '@bankside/service-kit/postgres'
import { type AccountId, isAccountId, newAccountId } from '../ids.ts'
import { openAccount } from '../ledger/open-account.ts'
import type { Currency } from '../money.ts'

export type OwnAccount = (kind: 'settlement' | 'equity', currency: Currency) => AccountId

const currencies = ['GBP', 'EUR'] as const
const row = z.object({ account_id: z.custom<AccountId>(isAccountId), kind: z.enum(['settlement', 'equity']), currency: z.enum(currencies) })

/** The bank's own accounts: where money for other banks waits, and where opening balances come from. Opened when missing. */
export async function ownAccounts(tx: Transaction, now: Date): Promise<OwnAccount> {
  const known = new Map<string, AccountId>()
  const rows = await tx.any(sql.type(row)`
    select account_id, kind, currency from ledger.account
    where kind in ('settlement', 'equity') and currency in ('GBP', 'EUR') order by opened_at desc, account_id desc`)
  for (const { account_id, kind, currency } of rows) known.set(`${kind} ${currency}`, account_id)
  for (const kind of ['settlement', 'equity'] as const)
    for (const currency of currencies)
      if (!known.has(`${kind} ${currency}`)) known.set(`${kind} ${currency}`, await open(tx, kind, currency, now))
  return (kind, currency) => {
    const accountId = known.get(`${kind} ${currency}`)
    if (accountId === undefined) throw new Error(`the bank has no ${kind} account in ${currency}`)
    return accountId
  }
}

async function open(tx: Transaction, kind: 'settlement' | 'equity', currency: Currency, now: Date): Promise<AccountId> {
  const accountId = newAccountId()
  const names = { nickname: `${kind} ${currency}`, holderName: 'Bankside', typeCode: 'OTHR' } as const
  await openAccount(tx, { accountId, customerId: null, kind, currency, ...names, now })
  return accountId
}
