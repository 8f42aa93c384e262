import { sql, type Transaction, z } from '@bankside/service-kit/postgres'
import { accountNamedBy, isOfThisBank } from '../accounts/account-named-by.ts'
import type { Creditor } from '../consents/consent.ts'
import { matchNames, type NameCheck } from './name-match.ts'

const checkRow = z.object({ is_of_this_bank: z.boolean(), holder_name: z.string().nullable() })

/**
 * Confirmation of payee against the bank's own accounts (NAT-S7). The answer is one word: it tells neither whose the account
 * is nor, where the name does not match, whether there is one.
 */
export async function checkName(tx: Transaction, payee: Creditor): Promise<NameCheck> {
  const { is_of_this_bank, holder_name } = await tx.one(sql.type(checkRow)`
    select ${isOfThisBank(payee)} as is_of_this_bank, (
      select holder_name from ledger.account where status <> 'closed' and ${accountNamedBy(payee)}) as holder_name`)
  if (holder_name !== null) return matchNames(payee.name, holder_name)
  return is_of_this_bank ? 'not_matched' : 'not_checked'
}
