import { type ConsentId, isConsentId } from '@bankside/bank/ids'
import { type AuthorizationDetail, errors } from 'oidc-provider'

/** What an authorization is asked for, beyond scopes. */
export type Intent =
  | { readonly type: 'openbanking_consent'; readonly consentId: ConsentId }
  /** The terms of a consent that nobody has lodged yet: it is lodged when a customer comes to decide. */
  | { readonly type: 'account_information' | 'payment_initiation'; readonly detail: AuthorizationDetail }

export type RequestParameters = { readonly claims?: unknown; readonly authorization_details?: unknown; readonly [name: string]: unknown }

/**
 * A UK intent comes by either of two doors, the claim `openbanking_intent_id` or the authorization detail
 * `openbanking_consent`; both lead to one consent, so both at once must say the same (RW-TOK-07). The parameters are those
 * that the library has parsed once and found well-formed.
 *
 * @throws {InvalidRequest} when they do not agree.
 */
export function intentOf(params: RequestParameters): Intent | undefined {
  const [detail, another] = detailsOf(params)
  if (another !== undefined) throw new errors.InvalidAuthorizationDetails('one authorization detail at a time')
  const claimed = claimedIntent(params)
  if (detail?.type === 'payment_initiation' || detail?.type === 'account_information') {
    if (claimed !== undefined) throw new errors.InvalidRequest('openbanking_intent_id and authorization_details ask for different things')
    return { type: detail.type, detail }
  }
  const detailed = detail?.['consent_id']
  if (claimed !== undefined && detailed !== undefined && claimed !== detailed)
    throw new errors.InvalidRequest('openbanking_intent_id and authorization_details name different consents')
  const consentId = claimed ?? detailed
  if (consentId === undefined) return undefined
  if (!isConsentId(consentId)) throw new errors.InvalidRequest('no such consent')
  return { type: 'openbanking_consent', consentId }
}

export function detailsOf({ authorization_details }: RequestParameters): readonly AuthorizationDetail[] {
  return typeof authorization_details === 'string' ? (JSON.parse(authorization_details) as AuthorizationDetail[]) : []
}

function claimedIntent({ claims }: RequestParameters): unknown {
  if (typeof claims !== 'string') return undefined
  const { id_token } = JSON.parse(claims) as { id_token?: { openbanking_intent_id?: { value?: unknown } | null } }
  return id_token?.openbanking_intent_id?.value
}
