import { sql, type Transaction } from '@bankside/service-kit/postgres'
import type { AccessDecision } from '../access/decide-access.ts'
import { type Beneficiary, beneficiaryColumns, beneficiaryRow, toBeneficiary } from './beneficiary.ts'

/** A customer may enter this many; all of them are listed. */
export const beneficiariesLimit = 500

/** The customer's own list, by name. Empty for a third party acting for itself. */
export async function listBeneficiaries(tx: Transaction, { customerId }: AccessDecision): Promise<readonly Beneficiary[]> {
  const rows = await tx.any(sql.type(beneficiaryRow)`
    select ${beneficiaryColumns} from customers.beneficiary
    where customer_id = ${customerId ?? null} order by lower(name), beneficiary_id limit ${beneficiariesLimit}`)
  return rows.map(toBeneficiary)
}
