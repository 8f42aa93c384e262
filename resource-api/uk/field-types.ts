import { checkIdentification } from '@bankside/bank/consents/account-identification'
import { parseMoney } from '@bankside/bank/money'
import { isSchemeText } from '@bankside/bank/payments/scheme-text'
import { Refusal } from '@bankside/service-kit/refusal'
import { z } from 'zod'
import { parseDateTime } from '../dates.ts'

export const text = (most: number, least = 1) =>
  z.string().min(least).max(most).refine(isSchemeText, 'is blank or holds characters that payment schemes do not carry')

export const dateTimeText = z.string().refine((value) => parseDateTime(value) !== undefined, {
  params: { refusal: 'date_invalid' },
  message: 'not a date-time of ISO 8601 with a time zone',
})

export const country = z.string().regex(/^[A-Z]{2}$/)
export const legalEntityIdentifier = z.string().regex(/^[A-Z0-9]{18}[0-9]{2}$/)
/** An ISO 20022 external code: the lists grow four times a year, so only the shape is checked. */
export const externalCode = z.string().regex(/^[A-Z0-9]{1,4}$/)

/** The bank has no use for data that no one defined, and says so instead of dropping it (RW-URI-07). */
export const supplementaryData = z.strictObject({})

/** Exactly as the bank reads it: a fraction that the currency does not have is refused, never rounded (RW-D-07). */
export const amount = z
  .strictObject({ Amount: z.string(), Currency: z.string() })
  .superRefine(({ Amount, Currency }, context) => reportRefusal(context, () => parseMoney(Amount, Currency, 'amount')))

const proxyCodes = [
  ...['TELE', 'EMAL', 'DNAM', 'CINC', 'COTX', 'COID', 'CUST', 'DRLC', 'EIDN', 'EWAL', 'PVTX', 'LEIC', 'MBNO'],
  ...['NIDN', 'CCPT', 'SHID', 'SOSE', 'TOKN', 'UBIL', 'VIPN', 'BIID'],
]
const proxy = z.strictObject({ Identification: text(2048), Code: z.enum(proxyCodes), Type: text(35).optional() })

const accountFields = {
  SchemeName: text(70),
  Identification: text(256),
  SecondaryIdentification: text(34).optional(),
  Proxy: proxy.optional(),
}
export const debtorAccount = z.strictObject({ ...accountFields, Name: text(350).optional() }).superRefine(checkAccount)
export const creditorAccount = z.strictObject({ ...accountFields, Name: text(350) }).superRefine(checkAccount)

const names = { schemeName: 'SchemeName', identification: 'Identification' }

function checkAccount({ SchemeName, Identification }: { SchemeName: string; Identification: string }, context: z.RefinementCtx): void {
  reportRefusal(context, () => checkIdentification({ schemeName: SchemeName, identification: Identification }, names))
}

export const postalAddress = z.strictObject({
  AddressType: z.enum(['BIZZ', 'DLVY', 'MLTO', 'PBOX', 'ADDR', 'HOME', 'CORR', 'STAT']).optional(),
  Department: text(70).optional(),
  SubDepartment: text(70).optional(),
  StreetName: text(140).optional(),
  BuildingNumber: text(16).optional(),
  BuildingName: text(140).optional(),
  Floor: text(70).optional(),
  UnitNumber: text(16).optional(),
  Room: text(70).optional(),
  PostBox: text(16).optional(),
  TownLocationName: text(140).optional(),
  DistrictName: text(140).optional(),
  CareOf: text(140).optional(),
  PostCode: text(16).optional(),
  TownName: text(140).optional(),
  CountrySubDivision: text(35).optional(),
  Country: country.optional(),
  AddressLine: z.array(text(70)).max(7).optional(),
})

/** Lets the bank's own checks speak at the field they are about, beside all others (RW-ERR-01). */
export function reportRefusal(context: z.RefinementCtx, check: () => unknown): void {
  try {
    check()
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    const field = error.path?.split('.').at(-1)
    context.addIssue({ code: 'custom', params: { refusal: error.code }, message: error.message, path: field ? [field] : [] })
  }
}
