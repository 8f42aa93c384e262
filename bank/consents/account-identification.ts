import { refuse } from '../refusal.ts'
import type { AccountIdentification } from './consent.ts'

/** How an account may be named in a payment. The last is for the bank's own apps only. */
export const schemes = ['UK.OBIE.SortCodeAccountNumber', 'UK.OBIE.IBAN'] as const
export const internalScheme = 'BANKSIDE.AccountId'

/** Paths of the two members, for what is wrong with them. */
export type IdentificationPaths = { readonly schemeName: string; readonly identification: string }

/**
 * @throws {Refusal} `scheme_unsupported`, `field_invalid`.
 * @see requirements PIS-04, RW-D-15
 */
export function checkIdentification({ schemeName, identification }: AccountIdentification, paths: IdentificationPaths): void {
  switch (schemeName) {
    case 'UK.OBIE.SortCodeAccountNumber':
      if (!/^\d{14}$/.test(identification))
        refuse('field_invalid', 'a sort code and account number have 14 digits together', { path: paths.identification })
      return
    case 'UK.OBIE.IBAN':
      if (!isIban(identification)) refuse('field_invalid', 'not an IBAN', { path: paths.identification })
      return
    default:
      refuse('scheme_unsupported', 'accounts are named by sort code and number, or by IBAN', { path: paths.schemeName })
  }
}

/** ISO 13616: shape, and the remainder of 97. The lengths of single countries are not checked. */
export function isIban(text: string): boolean {
  // Before the change of case: `ß` becomes two letters, `ı` a plain I.
  if (!/^[A-Za-z0-9 ]*$/.test(text)) return false
  const iban = text.replaceAll(' ', '').toUpperCase()
  return /^[A-Z]{2}\d{2}[A-Z0-9]{11,30}$/.test(iban) && ibanRemainder(iban) === 1
}

export function ibanRemainder(iban: string): number {
  const rearranged = iban.slice(4) + iban.slice(0, 4)
  return [...rearranged].reduce((remainder, character) => {
    const value = Number.parseInt(character, 36)
    return (remainder * (value > 9 ? 100 : 10) + value) % 97
  }, 0)
}
