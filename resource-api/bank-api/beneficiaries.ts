import { addBeneficiary } from '@bankside/bank/beneficiaries/add-beneficiary'
import type { Beneficiary } from '@bankside/bank/beneficiaries/beneficiary'
import { listBeneficiaries } from '@bankside/bank/beneficiaries/list-beneficiaries'
import { isIban } from '@bankside/bank/consents/account-identification'
import type { BeneficiaryId } from '@bankside/bank/ids'
import { isShownText } from '@bankside/bank/shown-text'
import { z } from 'zod'
import type { Call, Reply } from '../api.ts'
import { jsonPointer, parseBody } from '../parse-body.ts'
import { timestamp } from './reply.ts'

const shown = (most: number) => z.string().trim().min(1).max(most).refine(isShownText, 'holds characters that cannot be shown')

/** Named by sort code and account number, or by IBAN. */
const beneficiaryRequest = z
  .strictObject({
    name: shown(140),
    sort_code: z
      .string()
      .regex(/^\d{6}$/)
      .optional(),
    account_number: z
      .string()
      .regex(/^\d{8}$/)
      .optional(),
    iban: z.string().max(42).optional(),
    reference: shown(35).optional(),
  })
  .superRefine(({ sort_code, account_number, iban }, context) => {
    const domestic = sort_code !== undefined || account_number !== undefined
    const missing = sort_code === undefined ? 'sort_code' : account_number === undefined ? 'account_number' : undefined
    if (domestic && iban !== undefined)
      context.addIssue({
        code: 'custom',
        path: ['iban'],
        message: 'give either this or sort code and account number',
        params: { refusal: 'field_unexpected' },
      })
    else if (iban === undefined && missing !== undefined)
      context.addIssue({
        code: 'custom',
        path: [missing],
        message: 'required, unless an IBAN is given',
        params: { refusal: 'field_missing' },
      })
    else if (iban !== undefined && !isIban(iban)) context.addIssue({ code: 'custom', path: ['iban'], message: 'not an IBAN' })
  })

/** POST /beneficiaries */
export async function createBeneficiary(call: Call, beneficiaryId: BeneficiaryId): Promise<Reply> {
  const { tx, access, body, interactionId, now } = call
  const { name, sort_code, account_number, iban, reference } = parseBody(beneficiaryRequest, body, jsonPointer)
  const account =
    iban === undefined
      ? { schemeName: 'UK.OBIE.SortCodeAccountNumber', identification: `${sort_code}${account_number}` }
      : { schemeName: 'UK.OBIE.IBAN', identification: iban }
  await addBeneficiary(tx, { beneficiaryId, access, name, ...account, reference, interactionId, now })
  return renderBeneficiaryOf(call, beneficiaryId)
}

export async function renderBeneficiaryOf({ tx, access }: Call, beneficiaryId: string): Promise<Reply> {
  const found = (await listBeneficiaries(tx, access)).find(({ id }) => id === beneficiaryId)
  if (found === undefined) throw new Error('a beneficiary that was just added is not there')
  return { status: 201, body: render(found) }
}

/** GET /beneficiaries */
export async function readBeneficiaries({ tx, access }: Call): Promise<Reply> {
  const beneficiaries = await listBeneficiaries(tx, access)
  return { status: 200, body: { beneficiaries: beneficiaries.map(render) } }
}

function render({ id, name, schemeName, identification, reference, nameCheck, createdAt }: Beneficiary): object {
  const account =
    schemeName === 'UK.OBIE.IBAN'
      ? { iban: identification }
      : { sort_code: identification.slice(0, 6), account_number: identification.slice(6) }
  return { id, name, ...account, reference, name_check: nameCheck, created_at: timestamp(createdAt) }
}
