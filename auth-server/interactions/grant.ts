import type { Consent } from '@bankside/bank/consents/consent'
import type { ClaimsParameter, Grant, Interaction, Provider } from 'oidc-provider'
import { intentOf } from '../intents/intent.ts'
import { grantSeconds } from '../tokens/lifetimes.ts'
import type { Audiences } from '../tokens/resource-servers.ts'

export type GrantOrder = {
  readonly interaction: Interaction
  readonly clientId: string
  readonly customerId: string
  readonly consent: Consent | undefined
  /** For a payment, the account that the customer chose to pay from. */
  readonly debtorAccountId?: string | undefined
  readonly firstParty: boolean
  readonly now: Date
}

/** What the customer agreed to, for the library: everything that was asked, which was checked to be no more than the consent. */
export async function saveGrant(provider: Provider, audiences: Audiences, order: GrantOrder): Promise<Grant> {
  const { interaction, clientId, customerId, consent, firstParty, now } = order
  const grant = new provider.Grant({ accountId: customerId, clientId })
  const scope = String(interaction.params['scope'] ?? '')
  grant.addOIDCScope(scope)
  grant.addResourceScope(firstParty ? audiences.bankApi : audiences.ukOpenBanking, scope)
  const [granted, rejected] = claimsOf(interaction, firstParty)
  grant.addOIDCClaims(granted)
  grant.rejectOIDCClaims(rejected)
  if (consent !== undefined) grant.addRar(detailOf(order, consent))
  Object.assign(grant, { expiresIn: grantSeconds(consent, now) })
  await grant.save()
  return grant
}

/** A name comes with the scope `profile`, which a third party cannot have: asking for the claim does not get round that. */
function claimsOf({ params }: Interaction, firstParty: boolean): [granted: string[], rejected: string[]] {
  const { id_token = {} } = (typeof params['claims'] === 'string' ? JSON.parse(params['claims']) : {}) as ClaimsParameter
  const mayHave = (claim: string) => firstParty || claim !== 'name'
  const asked = Object.keys(id_token)
  return [asked.filter(mayHave), asked.filter((claim) => !mayHave(claim))]
}

function detailOf({ interaction, debtorAccountId }: GrantOrder, { id }: Consent) {
  const intent = intentOf(interaction.params)
  if (intent?.type !== 'payment_initiation') return { type: 'openbanking_consent', consent_id: id }
  return { ...intent.detail, consent_id: id, debtorAccount: { account_id: debtorAccountId } }
}
