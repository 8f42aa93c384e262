import { hash } from 'node:crypto'
import { type SqlFragment, sql, type Transaction, z } from '@bankside/service-kit/postgres'
import { listCustomerAccounts } from '../accounts/list-customer-accounts.ts'
import type { AccountId, ConsentId, CustomerId, ManagedGrantId } from '../ids.ts'
import { isBeneficiaryId } from '../ids.ts'
import { softLimitsBeyond } from '../limits/soft-limits.ts'
import { refuse } from '../refusal.ts'
import { bindingHash } from './binding-hash.ts'
import { checkMove, tellOfChange } from './change-status.ts'
import type { AccountAccessConsent, Consent, PaymentConsent } from './consent.ts'
import { endGrant } from './end-grant.ts'
import { mayBeAuthorised } from './find-intent.ts'
import { type ConsentSought, lockConsent } from './get-consent.ts'
import { eligibleAmong } from './list-eligible-accounts.ts'
import { rejectAwaiting } from './reject-consent.ts'
import { supersedeConsent } from './supersede-consent.ts'
import { payeeOfTransfer } from './transfer-detail.ts'

export type AuthorisationOrder = ConsentSought & {
  readonly customerId: CustomerId
  /** What the customer chose: for a payment, the one account to pay from. */
  readonly accountIds: readonly string[]
  readonly grantId: string
  /** Under which the third party will manage it. A new one, or one that is of this consent or of the one it takes the place of. */
  readonly managed?: Managed | undefined
  /** The soft limits that the customer was shown and confirmed to go beyond. */
  readonly confirmedLimits?: readonly string[] | undefined
  /** The second factor that the customer answered for this consent. Payments need one. */
  readonly challengeId?: string | undefined
  readonly interactionId?: string | undefined
  /** What the customer was shown and answered, for the audit log (CX-19): of the terms that are locked. */
  readonly evidence: (consent: Consent) => Evidence
  /** What is written together with the decision, made from the terms that are locked. */
  readonly alongside?: (consent: Consent) => Promise<SqlFragment>
  readonly now: Date
}

type Evidence = Readonly<Record<string, unknown>>
type Management = Pick<Consent, 'managedGrantId' | 'managedSince'>

type Managed = {
  readonly grantId: ManagedGrantId
  /** The consent whose place it takes; undefined for a new grant, and where a consent is renewed as it is. */
  readonly supersedes?: ConsentId | undefined
  readonly isNew: boolean
}

/** Rejected: the account that the third party named to pay from is not this customer's, or cannot pay (PIS-07, AC01). */
export type Authorisation = { readonly outcome: 'authorised' | 'rejected'; readonly consent: Consent }

/** More accounts than any customer has. */
export const chosenAccountsLimit = 100

/**
 * The customer says yes, to the whole and for good (CON-02): binds the customer, keeps the chosen accounts, spends the answered
 * challenge and ends what an earlier authorisation of this consent had issued (RW-TOK-04), or what had been issued for the
 * consent whose place it takes (GM-05).
 *
 * @throws {Refusal} `consent_not_found`, `consent_not_authorised` (in no state for it), `consent_not_yours` (of another client, or
 *   first authorised by another customer), `field_missing` (no account chosen), `account_not_permitted`, `account_not_usable`,
 *   `limit_not_confirmed` (the payment goes beyond a soft limit of the customer's own),
 *   `insufficient_user_authentication` (challenge not answered, spent, expired, or for other terms), `grant_revoked` (the managed
 *   grant is of another consent by now, or over).
 */
export async function authoriseConsent(tx: Transaction, order: AuthorisationOrder): Promise<Authorisation> {
  // Sent together: the one does not need the other, and both answer from under the lock.
  const [consent, accounts] = await Promise.all([lockConsent(tx, order), listCustomerAccounts(tx, order.customerId)])
  if (!mayBeAuthorised(consent, order.now)) refuse('consent_not_authorised', `a consent that is ${consent.status} cannot be authorised now`)
  checkMove(consent, 'AUTH')
  if (consent.customerId !== undefined && consent.customerId !== order.customerId)
    refuse('consent_not_yours', 'the consent is of another customer')

  const choices = await eligibleAmong(tx, accounts, { consent, customerId: order.customerId })
  const eligible = choices.filter(({ ineligible }) => ineligible === undefined)
  if (consent.kind !== 'account_access' && (await cannotBeMade(tx, consent, order.customerId, eligible.length)))
    return {
      outcome: 'rejected',
      consent: await rejectAwaiting(tx, consent, { ...wrongDebtor, ...order, evidence: order.evidence(consent) }),
    }
  const accountIds = chosenAmong(eligible, choices, order.accountIds)
  if (consent.kind !== 'account_access' && accountIds.length !== 1)
    refuse('field_invalid', 'a payment comes from one account', { path: 'account' })
  const confirmedLimits = consent.kind === 'account_access' ? [] : await limitsConfirmed(tx, consent, accountIds, order)
  if (consent.kind !== 'account_access' || order.challengeId !== undefined) await spendChallenge(tx, consent, order)
  const management = await takePlace(tx, consent, order)

  return { outcome: 'authorised', consent: await keep(tx, { ...consent, ...management }, { ...order, confirmedLimits }, accountIds) }
}

const wrongDebtor = { reasonCode: 'AC01', description: 'The account to pay from cannot be used for this payment' }

/** What nobody can put right by choosing another account: the debtor or the beneficiary named is not the customer's. */
async function cannotBeMade(tx: Transaction, consent: PaymentConsent, customerId: CustomerId, eligibleCount: number): Promise<boolean> {
  if (consent.debtor !== undefined && eligibleCount === 0) return true
  if (consent.kind !== 'transfer') return false
  const payee = payeeOfTransfer(consent)
  if (!isBeneficiaryId(payee)) return false
  return !(await tx.exists(sql.unsafe`
    select from customers.beneficiary where beneficiary_id = ${payee} and customer_id = ${customerId}`))
}

export function chosenAmong(
  eligible: readonly { readonly id: AccountId }[],
  all: readonly { readonly id: AccountId }[],
  asked: readonly string[],
): readonly AccountId[] {
  const chosen = new Set(asked)
  if (chosen.size === 0) refuse('field_missing', 'choose at least one account', { path: 'account' })
  if (chosen.size > chosenAccountsLimit) refuse('field_invalid', `at most ${chosenAccountsLimit} accounts`, { path: 'account' })
  const ids = eligible.map(({ id }) => id).filter((id) => chosen.has(id))
  if (ids.length === chosen.size) return ids
  const known = new Set<string>(all.map(({ id }) => id))
  return [...chosen].every((id) => known.has(id))
    ? refuse('account_not_usable', 'the account cannot be chosen for this', { path: 'account' })
    : refuse('account_not_permitted', 'the account is not of this customer', { path: 'account' })
}

/** The soft limits that the payment goes beyond, all of which the customer confirmed: those that came up since the page was shown too. */
async function limitsConfirmed(
  tx: Transaction,
  consent: PaymentConsent,
  [accountId]: readonly AccountId[],
  { customerId, confirmedLimits = [], now }: AuthorisationOrder,
): Promise<readonly string[]> {
  const beyond = await softLimitsBeyond(tx, { consent, customerId, now })
  const ids = (accountId && beyond.get(accountId)?.map(({ id }) => id)) ?? []
  if (ids.some((id) => !confirmedLimits.includes(id))) refuse('limit_not_confirmed', 'a limit of the customer’s own is not confirmed')
  return ids
}

const spentRow = z.object({ challenge_id: z.string() })

/** The answer holds for the terms that stand in the locked row, and once. */
async function spendChallenge(tx: Transaction, consent: Consent, { challengeId, customerId, now }: AuthorisationOrder): Promise<void> {
  const spent = await tx.maybeOne(sql.type(spentRow)`
    update customers.sca_challenge set spent_at = ${sql.timestamp(now)}
    where challenge_id = ${challengeId ?? null} and customer_id = ${customerId} and consent_id = ${consent.id}
      and binding_hash = ${sql.binary(bindingHash(consent))}
      and answered_at is not null and spent_at is null and expires_at > ${sql.timestamp(now)}
    returning challenge_id`)
  if (spent === null) refuse('insufficient_user_authentication', 'no second factor was answered for these terms')
}

/** A managed grant passes to this consent, and the one it was of until now ends. */
async function takePlace(tx: Transaction, consent: Consent, { managed, ...order }: AuthorisationOrder): Promise<Management> {
  const { managedGrantId, managedSince } = consent
  if (managed === undefined) return { managedGrantId, managedSince }
  if (managed.isNew) return { managedGrantId: managed.grantId, managedSince: order.now }
  const { grantId, supersedes } = managed
  if (supersedes !== undefined) return supersedeConsent(tx, { ...order, consentId: supersedes, managedGrantId: grantId, by: consent.id })
  return managedGrantId === grantId ? { managedGrantId, managedSince } : refuse('grant_revoked', 'the managed grant is of another consent')
}

async function keep(tx: Transaction, consent: Consent, order: AuthorisationOrder, accountIds: readonly AccountId[]): Promise<Consent> {
  const { grantId, now } = order
  if (consent.kind === 'account_access' && consent.accountIds.length > 0)
    await tx.query(sql.unsafe`delete from consents.consent_account where consent_id = ${consent.id}`)
  if (consent.grantId !== undefined && consent.grantId !== grantId) await endGrant(tx, { grantId: consent.grantId, now })
  const { authorised, telling, update, statements } = await decisionOn(consent, order, accountIds)
  await tellOfChange(tx, authorised, telling, [update, ...statements])
  return authorised
}

/** What a yes makes of a consent, what it is told with, and what writes it. */
export async function decisionOn(consent: Consent, order: AuthorisationOrder, accountIds: readonly AccountId[]) {
  const { customerId, grantId, now } = order
  const evidence = order.evidence(consent)
  const [debtorAccountId] = consent.kind === 'account_access' ? [] : accountIds
  const update = sql.fragment`
    update consents.consent set
      status = 'AUTH', status_updated_at = ${sql.timestamp(now)}, status_reason_code = null, status_reason_description = null,
      customer_id = ${customerId}, authorised_at = ${sql.timestamp(now)}, grant_id = ${grantId},
      managed_grant_id = ${consent.managedGrantId ?? null},
      managed_since = ${consent.managedSince === undefined ? null : sql.timestamp(consent.managedSince)},
      debtor_account_id = ${debtorAccountId ?? null}, authorised_device = ${deviceOf(evidence)},
      confirmed_limits = ${sql.array([...(order.confirmedLimits ?? [])], 'text')}
    where consent_id = ${consent.id}`

  const decided = { status: 'AUTH', statusUpdatedAt: now, statusReason: undefined, customerId, authorisedAt: now, grantId } as const
  const authorised: Consent =
    consent.kind === 'account_access' ? { ...consent, ...decided, accountIds } : { ...consent, ...decided, debtorAccountId }
  const details = {
    accounts: accountIds,
    challenge: order.challengeId ?? null,
    renewed: consent.customerId !== undefined,
    ...(order.confirmedLimits?.length && { confirmedLimits: order.confirmedLimits }),
    evidence,
  }
  const telling = { action: 'consent.authorised', actor: customerId, interactionId: order.interactionId, details, now }
  const chosen = consent.kind === 'account_access' ? [chooseAccounts(consent, accountIds)] : []
  const alongside = order.alongside === undefined ? [] : [await order.alongside(consent)]
  return { authorised, telling, update, statements: [...chosen, ...alongside] }
}

/** What the browser says of itself: to be recognised by, not to be read. */
function deviceOf({ device }: Evidence): string | null {
  return typeof device === 'string' ? hash('sha256', device).slice(0, 32) : null
}

const chooseAccounts = ({ id }: AccountAccessConsent, chosen: readonly AccountId[]) => sql.fragment`
  insert into consents.consent_account (consent_id, account_id) select ${id}, unnest(${sql.array([...chosen], 'text')})`
