import { sql } from '@bankside/service-kit/postgres'
import type { AccountIdentification } from '../consents/consent.ts'

/** Condition over `ledger.account`: it is the account that a payment or a beneficiary names. */
export function accountNamedBy({ schemeName, identification }: AccountIdentification) {
  switch (schemeName) {
    case 'UK.OBIE.SortCodeAccountNumber':
      return sql.fragment`(sort_code = ${identification.slice(0, 6)} and account_number = ${identification.slice(6)})`
    case 'UK.OBIE.IBAN':
      return sql.fragment`iban = ${spelledAsKept(identification)}`
    default:
      return sql.fragment`false`
  }
}

/**
 * Condition: an account so named can only be one of this bank, whether or not there is one. A sort code belongs to one bank:
 * ours are those under which we keep accounts. A British IBAN holds the sort code.
 */
export function isOfThisBank(named: AccountIdentification) {
  const sortCode = sortCodeIn(named)
  return sortCode === undefined ? sql.fragment`false` : sql.fragment`exists (select from ledger.account where sort_code = ${sortCode})`
}

function sortCodeIn({ schemeName, identification }: AccountIdentification): string | undefined {
  if (schemeName === 'UK.OBIE.SortCodeAccountNumber') return identification.slice(0, 6)
  return schemeName === 'UK.OBIE.IBAN' ? /^GB\d{2}[A-Z]{4}(\d{6})\d{8}$/.exec(spelledAsKept(identification))?.[1] : undefined
}

const spelledAsKept = (iban: string): string => iban.replaceAll(' ', '').toUpperCase()
