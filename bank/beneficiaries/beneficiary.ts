import { sql, z } from '@bankside/service-kit/postgres'
import { type BeneficiaryId, isBeneficiaryId } from '../ids.ts'
import { type NameCheck, nameChecks } from './name-match.ts'

/** Someone a customer pays and has entered for that. */
export type Beneficiary = {
  readonly id: BeneficiaryId
  readonly name: string
  readonly schemeName: string
  readonly identification: string
  readonly reference: string | undefined
  /** Whether the name was that of the account's holder when it was entered (NAT-S7). */
  readonly nameCheck: NameCheck
  readonly createdAt: Date
}

export const beneficiaryRow = z.object({
  beneficiary_id: z.custom<BeneficiaryId>(isBeneficiaryId),
  name: z.string(),
  scheme_name: z.string(),
  identification: z.string(),
  reference: z.string().nullable(),
  name_check: z.enum(nameChecks),
  created_at: z.date(),
})

export const beneficiaryColumns = sql.fragment`beneficiary_id, name, scheme_name, identification, reference, name_check, created_at`

export function toBeneficiary(row: z.infer<typeof beneficiaryRow>): Beneficiary {
  return {
    id: row.beneficiary_id,
    name: row.name,
    schemeName: row.scheme_name,
    identification: row.identification,
    reference: row.reference ?? undefined,
    nameCheck: row.name_check,
    createdAt: row.created_at,
  }
}
