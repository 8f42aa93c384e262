import { ibanRemainder } from '../consents/account-identification.ts'

/** The sandbox bank's own sort code, and its code in IBANs. */
export const sortCode = '040999'
const bankCode = 'BKSD'

export type AccountNumbers = { readonly sortCode: string; readonly accountNumber: string; readonly iban: string }

/** The n-th account of the sandbox: eight digits and an IBAN whose check digits are right. */
export function accountNumbers(n: number): AccountNumbers {
  const accountNumber = n.toString().padStart(8, '0')
  const basic = `${bankCode}${sortCode}${accountNumber}`
  const checkDigits = (98 - ibanRemainder(`GB00${basic}`)).toString().padStart(2, '0')
  return { sortCode, accountNumber, iban: `GB${checkDigits}${basic}` }
}
