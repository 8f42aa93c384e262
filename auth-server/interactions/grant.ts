import type { Consent } from '@bankside/bank/consents/consent'
import type { ClaimsParameter, Grant, Provider } from 'oidc-provider'
import { intentOf, type RequestParameters } from '../intents/intent.ts'
import { grantSeconds } from '../tokens/lifetimes.ts'
import type { Audiences } from '../tokens/resource-servers.ts'

export type GrantOrder = {
  /** What was asked, as the library has parsed it. */
  readonly params: RequestParameters
  readonly clientId: string
  readonly customerId: string
  readonly consent: Consent | undefined
  /** What the customer chose: for a payment, the account to pay from. */
  readonly accountIds: readonly string[]
  readonly firstParty: boolean
  readonly now: Date
}

/** What the customer agreed to, for the library: everything that was asked, which was checked to be no more than the consent. */
export async function saveGrant(provider: Provider, audiences: Audiences, order: GrantOrder): Promise<Grant> {
  const { params, clientId, customerId, consent, firstParty, now } = order
  const grant = new provider.Grant({ accountId: customerId, clientId })
  const scope = String(params['scope'] ?? '')
  grant.addOIDCScope(scope)
  grant.addResourceScope(firstParty ? audiences.bankApi : audiences.ukOpenBanking, scope)
  const [granted, rejected] = claimsOf(params, firstParty)
  grant.addOIDCClaims(granted)
  grant.rejectOIDCClaims(rejected)
  if (consent !== undefined) grant.addRar(detailOf(order, consent))
  Object.assign(grant, { expiresIn: grantSeconds(consent, now) })
  await grant.save()
  return grant
}

/** A name comes with the scope `profile`, which a third party cannot have: asking for the claim does not get round that. */
function claimsOf(params: RequestParameters, firstParty: boolean): [granted: string[], rejected: string[]] {
  const { id_token, userinfo } = (typeof params.claims === 'string' ? JSON.parse(params.claims) : {}) as ClaimsParameter
  const mayHave = (claim: string) => firstParty || claim !== 'name'
  const asked = [...new Set([...Object.keys(id_token ?? {}), ...Object.keys(userinfo ?? {})])]
  return [asked.filter(mayHave), asked.filter((claim) => !mayHave(claim))]
}

/**
 * RAR-03: what was asked, with what became of it. A third party is told which accounts it may see, not which one pays: that is
 * the customer's to share (PIS-08).
 */
function detailOf({ params, accountIds, firstParty }: GrantOrder, { id }: Consent) {
  const intent = intentOf(params)
  if (intent === undefined || intent.type === 'openbanking_consent') return { type: 'openbanking_consent', consent_id: id }
  if (intent.type === 'account_information')
    return { ...intent.detail, consent_id: id, accounts: [...new Set(accountIds)].map((account_id) => ({ account_id })) }
  return { ...intent.detail, consent_id: id, ...(firstParty && { debtorAccount: { account_id: accountIds[0] } }) }
}
