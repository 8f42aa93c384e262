import type { AccessDecision } from '../access/decide-access.ts'
import type { RequestKey } from '../idempotency/claim-key.ts'
import type { ConsentId, PaymentId } from '../ids.ts'
import type { Money } from '../money.ts'
import { refuse } from '../refusal.ts'
import type { Payment } from './payment.ts'

export type PaymentOrder = Initiation & {
  readonly access: AccessDecision
  /** As the request names it. */
  readonly consentId: string
  readonly key: RequestKey
  readonly interactionId?: string | undefined
}

/** What a request asks to be paid, to be compared with what the customer agreed to. */
export type Initiation =
  /** `{ Initiation, Risk }` as parsed from the request: leaf by leaf the same as those of the consent (PIS-13). */
  | { readonly channel: 'uk_v4'; readonly initiation: unknown }
  /** Debtor, creditor and amount are those of the authorization (NAT-S4). */
  | { readonly channel: 'bank_api'; readonly initiation: TransferInitiation }

export type TransferInitiation = {
  readonly debtorAccountId: string
  /** An account here, or a beneficiary. */
  readonly creditorAccountId: string
  readonly amount: Money
  /** What the customer wrote. It must be what they agreed to, if they were shown one. */
  readonly reference?: string | undefined
}

/** A payment just made, and whether its third party asked for the account to refund. */
export type Made = { readonly made: Payment; readonly asksForRefund: boolean }
/** Or the id of the one that was made under the key before. */
export type Submitted = Made | { readonly replayed: PaymentId }

/** @throws {Refusal} `consent_not_yours` for another consent than the token's (PIS-14). */
export function consentOf({ access, consentId }: PaymentOrder): ConsentId {
  if (access.consentId === undefined || access.consentId !== consentId)
    refuse('consent_not_yours', 'the token is bound to another consent', { path: 'Data.ConsentId' })
  return access.consentId
}
