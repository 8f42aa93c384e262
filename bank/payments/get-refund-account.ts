import { sql, type Transaction, z } from '@bankside/service-kit/postgres'
import type { Payment } from './payment.ts'

export type RefundAccount = { readonly name: string; readonly schemeName: string; readonly identification: string }

const refundRow = z.object({
  holder_name: z.string(),
  sort_code: z.string().nullable(),
  account_number: z.string().nullable(),
  iban: z.string().nullable(),
})

/**
 * Where a payee sends a refund: the account that paid, as its holder would name it (PIS-08). Whether the third party asked
 * for it, and may know, is not asked here. Undefined for an account that has no number.
 */
export async function getRefundAccount(tx: Transaction, { debtorAccountId }: Payment): Promise<RefundAccount | undefined> {
  const {
    holder_name: name,
    sort_code,
    account_number,
    iban,
  } = await tx.one(sql.type(refundRow)`
    select holder_name, sort_code, account_number, iban from ledger.account where account_id = ${debtorAccountId}`)
  if (sort_code !== null && account_number !== null)
    return { name, schemeName: 'UK.OBIE.SortCodeAccountNumber', identification: `${sort_code}${account_number}` }
  return iban === null ? undefined : { name, schemeName: 'UK.OBIE.IBAN', identification: iban }
}
