import { sql, type Transaction, withValues } from '@bankside/service-kit/postgres'
import { isText, isWhole, oneOf, orNull, rowShape } from '@bankside/service-kit/row-shape'
import { type AccountId, type CustomerId, isAccountId } from '../ids.ts'
import { type Currency, isCurrency, type Money } from '../money.ts'
import type { AccountTypeCode } from './account.ts'

/** As much of an account as a customer needs to recognise it on a screen: what the authorization server may know of it. */
export type AccountToShow = {
  readonly id: AccountId
  readonly nickname: string
  readonly holderName: string
  readonly typeCode: AccountTypeCode
  readonly currency: Currency
  readonly sortCode: string | undefined
  /** Of the account number, or of the IBAN where there is no number. */
  readonly lastFour: string
  readonly status: 'open' | 'frozen' | 'closed'
  readonly available: Money
}

const accountToShowRow = rowShape({
  account_id: isAccountId,
  nickname: isText,
  holder_name: isText,
  type_code: oneOf(['CACC', 'SVGS', 'OTHR']),
  currency: isCurrency,
  sort_code: orNull(isText),
  last_four: orNull(isText),
  status: oneOf(['open', 'frozen', 'closed']),
  available_minor: isWhole,
})

const query = sql.type(accountToShowRow)`
  select account_id, nickname, holder_name, type_code, currency, sort_code, status, available_minor,
    coalesce(account_number_last_four, iban_last_four) as last_four
  from consents.account_to_show
  where customer_id = ${null} and status <> 'closed'
  order by type_code, nickname, account_id`

/** All accounts of a customer that are not closed, oldest first. For screens: third parties read through a decision. */
export async function listCustomerAccounts(tx: Transaction, customerId: CustomerId): Promise<readonly AccountToShow[]> {
  const rows = await tx.any(withValues(query, [customerId]))
  return rows.map((row) => ({
    id: row.account_id,
    nickname: row.nickname,
    holderName: row.holder_name,
    typeCode: row.type_code,
    currency: row.currency,
    sortCode: row.sort_code ?? undefined,
    lastFour: row.last_four ?? '',
    status: row.status,
    available: { minor: row.available_minor, currency: row.currency },
  }))
}
