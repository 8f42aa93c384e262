import { z } from '@bankside/service-kit/postgres'
import { type AccountId, type BeneficiaryId, isAccountId, isBeneficiaryId } from '../ids.ts'
import { refuse } from '../refusal.ts'
import { isShownText } from '../shown-text.ts'
import type { PaymentConsent } from './consent.ts'

export const referenceLimit = 140
const nameLimit = 140

const text = (limit: number) => z.string().trim().min(1).max(limit).refine(isShownText, 'characters that cannot be shown')

/** What a first-party app asks to be authorised: the RAR detail of type `payment_initiation`. Unknown members are refused (RAR-01). */
const transferDetail = z.strictObject({
  type: z.literal('payment_initiation'),
  instructedAmount: z.strictObject({ amount: z.string(), currency: z.string() }),
  debtorAccount: z.strictObject({ account_id: z.custom<AccountId>(isAccountId) }),
  creditorAccount: z.strictObject({
    account_id: z.custom<AccountId | BeneficiaryId>((id) => isAccountId(id) || isBeneficiaryId(id)),
  }),
  /** Shown nowhere: the bank knows whose account it is. */
  creditorName: text(nameLimit).optional(),
  remittanceInformation: text(referenceLimit).optional(),
})
export type TransferDetail = z.infer<typeof transferDetail>

/** @throws {Refusal} `field_missing`, `field_invalid`, with the path of the first member at fault. */
export function parseTransferDetail(detail: unknown): TransferDetail {
  const parsed = transferDetail.safeParse(detail)
  if (parsed.success) return parsed.data
  const [issue] = parsed.error.issues
  const path = ['authorization_details', ...(issue?.path ?? [])].join('.')
  return refuse('field_invalid', issue?.message ?? 'not a payment initiation', { path })
}

/** Id of the account or beneficiary that a transfer consent pays, as the app named it. */
export function payeeOfTransfer({ request }: PaymentConsent): AccountId | BeneficiaryId {
  return parseTransferDetail(request).creditorAccount.account_id
}
