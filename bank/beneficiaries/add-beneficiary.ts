import { sql, type Transaction, z } from '@bankside/service-kit/postgres'
import type { AccessDecision } from '../access/decide-access.ts'
import { appendAudit } from '../audit/append-audit.ts'
import { checkIdentification } from '../consents/account-identification.ts'
import { recordEvent } from '../events/record-event.ts'
import { type BeneficiaryId, newBeneficiaryId } from '../ids.ts'
import { refuse } from '../refusal.ts'
import { isShownText } from '../shown-text.ts'
import type { Beneficiary } from './beneficiary.ts'
import { checkName } from './check-name.ts'
import { beneficiariesLimit } from './list-beneficiaries.ts'

export type NewBeneficiary = {
  /** A new one when it is left out. */
  readonly beneficiaryId?: BeneficiaryId
  readonly access: AccessDecision
  readonly name: string
  readonly schemeName: string
  readonly identification: string
  readonly reference?: string | undefined
  readonly interactionId?: string | undefined
  readonly now: Date
}

const nameLimit = 140
const referenceLimit = 35

/**
 * Enters someone to pay (NAT-S7), whatever the check of the name says: the answer tells the customer. The fresh strong authentication that this needs was demanded with the decision.
 *
 * @throws {Refusal} `field_missing`, `field_invalid`, `scheme_unsupported`, `beneficiary_exists` (by constraint),
 *   `token_without_consent` without a customer.
 */
export async function addBeneficiary(tx: Transaction, asked: NewBeneficiary): Promise<Beneficiary> {
  const { access, now } = asked
  const { customerId, clientId } = access
  if (customerId === undefined) refuse('token_without_consent', 'the token is of no customer')
  const entered = checked(asked)
  await demandRoom(tx, customerId)
  const beneficiary = { id: asked.beneficiaryId ?? newBeneficiaryId(), ...entered, nameCheck: await checkName(tx, entered), createdAt: now }

  await tx.query(sql.unsafe`
    insert into customers.beneficiary (beneficiary_id, customer_id, name, scheme_name, identification, reference, name_check, created_at)
    values (
      ${beneficiary.id}, ${customerId}, ${beneficiary.name}, ${beneficiary.schemeName}, ${beneficiary.identification},
      ${beneficiary.reference ?? null}, ${beneficiary.nameCheck}, ${sql.timestamp(now)})`)
  await recordEvent(tx, { type: 'beneficiary.added', subject: beneficiary.id, clientId, customerId, payload: {}, now })
  const audited = { actor: customerId, action: 'beneficiary.added', subject: beneficiary.id, interactionId: asked.interactionId }
  await appendAudit(tx, { ...audited, details: { clientId, nameCheck: beneficiary.nameCheck }, now })
  return beneficiary
}

/** One spelling for one account, so that the constraint finds it again. */
function checked({ name, schemeName, identification, reference }: NewBeneficiary) {
  checkIdentification({ schemeName, identification }, { schemeName: 'scheme_name', identification: 'identification' })
  return {
    name: shown(name, 'name', nameLimit),
    schemeName,
    identification: identification.replaceAll(' ', '').toUpperCase(),
    reference: reference === undefined ? undefined : shown(reference, 'reference', referenceLimit),
  }
}

function shown(text: string, path: string, limit: number): string {
  const trimmed = text.trim()
  if (trimmed === '') refuse('field_missing', `${path} is empty`, { path })
  if (trimmed.length > limit) refuse('field_invalid', `at most ${limit} characters`, { path })
  if (!isShownText(trimmed)) refuse('field_invalid', 'characters that cannot be shown', { path })
  return trimmed
}

async function demandRoom(tx: Transaction, customerId: string): Promise<void> {
  const { count } = await tx.one(sql.type(z.object({ count: z.bigint() }))`
    select count(*) from customers.beneficiary where customer_id = ${customerId}`)
  if (count >= beneficiariesLimit) refuse('field_invalid', `at most ${beneficiariesLimit} beneficiaries`)
}
