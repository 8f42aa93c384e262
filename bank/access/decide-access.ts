import type { ConsentStatus } from '../consents/consent.ts'
import type { Permission } from '../consents/permission.ts'
import type { AccountId, ConsentId, CustomerId } from '../ids.ts'
import type { TransportCertificate } from '../licences/transport-certificate.ts'
import { refuseAccess } from './access-refusal.ts'
import { demandLicence } from './demand-licence.ts'
import { type Door, permissionsOfScope, type Requirement, requirementOf } from './operations.ts'
import type { AccountFunds, ConsentStanding, Standing, TokenStanding } from './standing.ts'

/** What a verified access token says. Whether it is ours, fresh and its holder's was found out before. */
export type TokenClaims = {
  readonly clientId: string
  readonly scopes: ReadonlySet<string>
  readonly grantId: string | undefined
  readonly consentId: string | undefined
  readonly acr: string | undefined
  /** NumericDate. */
  readonly authTime: number | undefined
  /** A token may be for less than its consent (RAR-04): never for more, whatever stands here. */
  readonly narrowedTo?: Narrowing | undefined
  /** SHA-256 of `jti`, by which this token alone can be taken back. */
  readonly tokenHash?: Buffer | undefined
}

export type Narrowing = {
  readonly permissions?: ReadonlySet<string> | undefined
  readonly accounts?: ReadonlySet<string> | undefined
}

export type AccessRequest = Door & {
  /** The account named by the request, as it came. */
  readonly accountId?: string | undefined
  /** The consent named by the request, as it came: must be the token's own (PIS-14). */
  readonly consentId?: string | undefined
  /** That holds the connection, if one does. */
  readonly certificate?: TransportCertificate | undefined
  readonly now: Date
}

declare const decided: unique symbol
/** Proof, made only by {@link decideAccess}, that a call may happen, and what it may reach. */
export type AccessDecision = Reach & { readonly [decided]: true }

type Reach = {
  readonly clientId: string
  /** By which the token alone can be taken back. */
  readonly tokenHash: Buffer | undefined
  /** Undefined when the third party acts for itself. */
  readonly customerId: CustomerId | undefined
  /** The consent that the token is bound to, if any. */
  readonly consentId: ConsentId | undefined
  readonly accounts: ReadonlySet<AccountId>
  /** What the account holds that the request names, read at the same moment. Only of one that is reached. */
  readonly named: AccountFunds | undefined
  readonly permissions: ReadonlySet<Permission>
  /** No transaction outside is shown, whatever is asked; both ends belong to it (AIS-09). */
  readonly window: { readonly from: Date | undefined; readonly to: Date | undefined }
}

/** Strong customer authentication, as the UK names it. */
export const strongAuthentication = 'urn:openbanking:psd2:sca'
/** The longest age that is asked for when a step-up is (NAT-S4). */
export const stepUpMaxAgeSeconds = 300

/**
 * The one place that decides whether a call may happen: client, scope, licence, consent, grant, permission, account, assurance, in
 * this order. What lies in a payment (amount, payee) is compared where the payment is made, under the consent's lock.
 *
 * A consumed payment consent passes: a repeat under the same idempotency key must find its payment.
 *
 * @throws {AccessRefusal} `client_blocked`, `grant_revoked` (also for a token that was), `permission_missing` (a scope too: then
 *   with the scope), `certificate_not_yours`, `licence_missing`, `token_without_consent`, `consent_not_authorised` (with the status), `consent_not_yours`, `account_not_permitted`,
 *   `insufficient_user_authentication`.
 */
export function decideAccess(standing: Standing, { token, ...request }: AccessRequest & { readonly token: TokenClaims }): AccessDecision {
  const requirement = requirementOf(request)
  if (standing.client?.status !== 'active') refuseAccess('client_blocked', 'the client is not active')
  if (standing.tokenRevoked === true) refuseAccess('grant_revoked', 'the token was revoked')
  if (request.api === 'bank' && !standing.client.firstParty) refuseAccess('permission_missing', 'this API is for apps of the bank')
  if (!token.scopes.has(requirement.scope))
    refuseAccess('permission_missing', `needs scope ${requirement.scope}`, { scope: requirement.scope })

  demandLicence(request.certificate, standing.client, requirement.scope)

  const decision = bearerOf(requirement, standing, token, request)
  for (const oneOf of requirement.permissions ?? [])
    if (!oneOf.some((permission) => decision.permissions.has(permission)))
      refuseAccess('permission_missing', `the consent does not include ${oneOf.join(' or ')}`)
  if (request.accountId !== undefined && !(decision.accounts as ReadonlySet<string>).has(request.accountId))
    refuseAccess('account_not_permitted', 'the account is not among those of the consent')
  if (requirement.authenticatedWithinSeconds !== undefined) demandAuthentication(token, requirement.authenticatedWithinSeconds, request.now)
  return decision
}

/**
 * Whether a token opens anything at all now, whatever it is for: its client, its grant and its consent stand, and it was not
 * taken back.
 *
 * @throws {AccessRefusal} `client_blocked`, `grant_revoked`, `token_without_consent`, `consent_not_authorised`.
 */
export function demandStanding(standing: TokenStanding, token: TokenClaims, now: Date): void {
  if (standing.client?.status !== 'active') refuseAccess('client_blocked', 'the client is not active')
  if (standing.tokenRevoked === true) refuseAccess('grant_revoked', 'the token was revoked')
  if (token.grantId === undefined) return
  if (token.consentId === undefined) demandGrant(standing, now)
  else demandConsent(standing, token, { now })
}

function bearerOf(requirement: Requirement, standing: Standing, token: TokenClaims, request: AccessRequest): AccessDecision {
  switch (requirement.bearer) {
    case 'client':
      if (token.grantId !== undefined) refuseAccess('permission_missing', "needs the client's own token, not one of a customer")
      return decisionOf(standing, token, { customer: false })
    case 'client_or_customer':
      if (token.grantId !== undefined) demandGrant(standing, request.now)
      return decisionOf(standing, token, { customer: token.grantId !== undefined })
    case 'customer':
      if (token.grantId === undefined) refuseAccess('token_without_consent', 'the token is of no customer')
      demandGrant(standing, request.now)
      return decisionOf(standing, token, { customer: true })
    case 'transfer':
      if (token.grantId === undefined) refuseAccess('token_without_consent', 'the token is of no customer')
      demandGrant(standing, request.now)
      if (standing.consent?.kind !== 'transfer' || token.acr !== strongAuthentication)
        refuseAccess('insufficient_user_authentication', 'this payment is not authorised yet', { stepUp })
      demandConsent(standing, token, request)
      return decisionOf(standing, token, { customer: true })
    case 'account_access':
    case 'domestic_payment':
      if (token.grantId === undefined || standing.consent?.kind !== requirement.bearer)
        refuseAccess('token_without_consent', `the token carries no consent of kind ${requirement.bearer}`)
      demandConsent(standing, token, request)
      return decisionOf(standing, token, { customer: true })
  }
}

const stepUp = { acrValues: strongAuthentication, maxAgeSeconds: stepUpMaxAgeSeconds }

/** States in which a token finds its consent usable here. A payment's own act tells authorised, consumed and rejected apart. */
const usable: Record<ConsentStanding['kind'], readonly ConsentStatus[]> = {
  account_access: ['AUTH'],
  domestic_payment: ['AUTH', 'COND', 'RJCT'],
  transfer: ['AUTH', 'COND', 'RJCT'],
}

function demandConsent(standing: TokenStanding, token: TokenClaims, { consentId, now }: Pick<AccessRequest, 'consentId' | 'now'>): void {
  const { consent, grant } = standing
  if (consent === undefined || consent.clientId !== token.clientId)
    refuseAccess('token_without_consent', 'the token carries no consent of this client')
  if (consent.deletedAt !== undefined || consent.grantId !== token.grantId)
    refuseAccess('grant_revoked', 'the token is not of the latest authorisation of this consent')
  // Before the grant: expiry ends the grant too, and is told apart from revocation (RW-ST-05).
  const expired = consent.expiresAt !== undefined && consent.expiresAt <= now
  if (consent.status === 'EXPD' || (expired && consent.status === 'AUTH'))
    refuseAccess('consent_not_authorised', 'the consent has expired', { consentStatus: 'EXPD' })
  demandGrant(standing, now)
  if (!usable[consent.kind].includes(consent.status))
    refuseAccess('consent_not_authorised', `the consent is ${consent.status}`, { consentStatus: consent.status })
  if (consent.customerId === undefined || consent.customerId !== grant?.customerId)
    refuseAccess('grant_revoked', 'the grant is of another customer than the consent')
  if (consentId !== undefined && consentId !== consent.id) refuseAccess('consent_not_yours', 'the token is bound to another consent')
}

function demandGrant({ grant }: TokenStanding, now: Date): void {
  if (grant === undefined || grant.revokedAt !== undefined || grant.expiresAt <= now)
    refuseAccess('grant_revoked', 'the grant behind the token is gone')
}

function demandAuthentication({ acr, authTime }: TokenClaims, withinSeconds: number, now: Date): void {
  const ageSeconds = authTime === undefined ? Number.POSITIVE_INFINITY : now.getTime() / 1000 - authTime
  if (acr !== strongAuthentication || ageSeconds > withinSeconds)
    refuseAccess('insufficient_user_authentication', 'needs a fresh strong authentication', { stepUp })
}

function decisionOf(
  { grant, consent, accounts, named }: Standing,
  token: TokenClaims,
  { customer }: { customer: boolean },
): AccessDecision {
  const thirdParty = consent?.kind === 'account_access'
  const permissions = thirdParty
    ? impliedBy(within(consent.permissions, token.narrowedTo?.permissions))
    : [...token.scopes].flatMap((scope) => permissionsOfScope[scope] ?? [])
  const narrowed = token.narrowedTo?.accounts
  const reached = customer && narrowed === undefined ? accounts : new Set(customer ? within([...accounts], narrowed) : [])
  const reach: Reach = {
    clientId: token.clientId,
    tokenHash: token.tokenHash,
    customerId: customer ? grant?.customerId : undefined,
    consentId: customer ? consent?.id : undefined,
    accounts: reached,
    named: named !== undefined && reached.has(named.accountId) ? named : undefined,
    permissions: new Set(customer ? permissions : []),
    window: { from: consent?.transactionFrom, to: consent?.transactionTo },
  }
  return reach as AccessDecision
}

const within = <Member extends string>(members: readonly Member[], named: ReadonlySet<string> | undefined): readonly Member[] =>
  named === undefined ? members : members.filter((member) => named.has(member))

/** Detail includes Basic (AIS-04). */
function impliedBy(permissions: readonly Permission[]): readonly Permission[] {
  return [
    ...permissions,
    ...(permissions.includes('ReadAccountsDetail') ? (['ReadAccountsBasic'] as const) : []),
    ...(permissions.includes('ReadTransactionsDetail') ? (['ReadTransactionsBasic'] as const) : []),
    ...(permissions.includes('ReadStatementsDetail') ? (['ReadStatementsBasic'] as const) : []),
  ]
}
