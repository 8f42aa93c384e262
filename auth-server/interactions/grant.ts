import { randomBytes } from 'node:crypto'
import { accountInformationOf } from '@bankside/bank/consents/account-information-detail'
import type { Consent } from '@bankside/bank/consents/consent'
import type { ClaimsParameter, Grant, Provider } from 'oidc-provider'
import type { Config } from '../config.ts'
import { intentOf, type RequestParameters } from '../intents/intent.ts'
import { claimGrantSeconds, grantSeconds } from '../tokens/lifetimes.ts'
import { audiencesOf } from '../tokens/resource-servers.ts'

export type GrantOrder = {
  /** What was asked, as the library has parsed it. */
  readonly params: RequestParameters
  readonly clientId: string
  readonly customerId: string
  readonly consent: Consent | undefined
  /** What the customer chose: for a payment, the account to pay from. */
  readonly accountIds: readonly string[]
  readonly firstParty: boolean
  /** The name under which the third party will manage it, if it asked for that; new to it, or known. */
  readonly managed?: { readonly grantId: string; readonly isNew: boolean } | undefined
  /** The session that it ends with: for an app of the bank. */
  readonly throughSession?: string | undefined
  readonly now: Date
}

/** What the customer agreed to, kept before anything refers to it. */
export async function saveGrant(provider: Provider, config: Config, order: GrantOrder): Promise<Grant> {
  const grant = makeGrant(provider, config, order)
  await grant.save()
  return grant
}

/** As many random bits as the library's own handles have. */
export const newGrantId = (): string => randomBytes(32).toString('base64url')

/** What the customer agreed to, for the library: everything that was asked, which was checked to be no more than the consent. */
export function makeGrant(provider: Provider, config: Config, order: GrantOrder): Grant {
  const { params, clientId, customerId, consent, firstParty, now } = order
  const audiences = audiencesOf(config)
  const grant = new provider.Grant({ accountId: customerId, clientId })
  const scope = String(params['scope'] ?? '')
  grant.addOIDCScope(scope)
  grant.addResourceScope(firstParty ? audiences.bankApi : audiences.ukOpenBanking, scope)
  const { granted, rejected, userinfoClaims } = claimsOf(params, firstParty)
  grant.addOIDCClaims(granted)
  grant.rejectOIDCClaims(rejected)
  if (consent !== undefined) grant.addRar(detailOf(order, consent))
  const { managed, throughSession } = order
  const ours = { managedGrantId: managed?.grantId, claimBefore: claimBefore(order), userinfoClaims, throughSession }
  Object.assign(grant, { expiresIn: grantSeconds(consent, now, config.ACCOUNT_REAUTHENTICATION), ...ours })
  return grant
}

/** A consent that was lodged has a name that the third party knows, and so has one under a grant that it knows. */
function claimBefore({ params, firstParty, managed, now }: GrantOrder): number | undefined {
  const lodgedHere = (intentOf(params)?.type ?? 'openbanking_consent') !== 'openbanking_consent'
  if (firstParty || !lodgedHere || managed?.isNew === false) return undefined
  return Math.floor(now.getTime() / 1000) + claimGrantSeconds
}

/** Which claims are asked for, and where they are to be told. */
export function claimsAskedFor({ claims }: RequestParameters) {
  const { id_token, userinfo }: ClaimsParameter = typeof claims === 'string' ? JSON.parse(claims) : {}
  return { idTokenClaims: Object.keys(id_token ?? {}), userinfoClaims: Object.keys(userinfo ?? {}) }
}

/** A name comes with the scope `profile`, which a third party cannot have: asking for the claim does not get round that. */
function claimsOf(params: RequestParameters, firstParty: boolean) {
  const mayHave = (claim: string) => firstParty || claim !== 'name'
  const { idTokenClaims, userinfoClaims } = claimsAskedFor(params)
  const asked = [...new Set([...idTokenClaims, ...userinfoClaims])]
  return { granted: asked.filter(mayHave), rejected: asked.filter((claim) => !mayHave(claim)), userinfoClaims }
}

/**
 * RAR-03: what was asked, with what became of it. A third party is told which accounts it may see, not which one pays: that is
 * the customer's to share (PIS-08).
 */
function detailOf({ params, accountIds, firstParty }: GrantOrder, consent: Consent) {
  const { id } = consent
  const intent = intentOf(params)
  if (intent === undefined || intent.type === 'openbanking_consent') return { type: 'openbanking_consent', consent_id: id }
  if (consent.kind === 'account_access')
    return { ...accountInformationOf(consent), consent_id: id, accounts: [...new Set(accountIds)].map((account_id) => ({ account_id })) }
  return { ...intent.detail, consent_id: id, ...(firstParty && { debtorAccount: { account_id: accountIds[0] } }) }
}
