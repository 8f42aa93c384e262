import { Refusal } from '@bankside/service-kit/refusal'
import type { ConsentStatus } from '../consents/consent.ts'
import type { BankRefusal } from '../refusal.ts'

/** What an edge needs beyond the code to say why a token does not open a door. */
export type AccessRefusalFacts = {
  /** The scope that the token lacks (RFC 6750 section 3.1 `insufficient_scope`). Comes with `permission_missing`. */
  readonly scope?: string
  /** The state in which the token's own consent no longer serves (RW-ST-05). Comes with `consent_not_authorised`. */
  readonly consentStatus?: ConsentStatus
  /** What a new authorization must reach (RFC 9470). Comes with `insufficient_user_authentication`. */
  readonly stepUp?: { readonly acrValues: string; readonly maxAgeSeconds: number }
}

/** A refusal by {@link decideAccess}: about the token that was presented, not about what the request says. */
export class AccessRefusal extends Refusal<BankRefusal> {
  override name = 'AccessRefusal'
  readonly facts: AccessRefusalFacts

  constructor(code: BankRefusal, message: string, facts: AccessRefusalFacts = {}) {
    super(code, message)
    this.facts = facts
  }
}

export function refuseAccess(code: BankRefusal, message: string, facts?: AccessRefusalFacts): never {
  throw new AccessRefusal(code, message, facts)
}
