import { hash } from 'node:crypto'
import { authoriseAtOnce } from '@bankside/bank/consents/authorise-at-once'
import { type AuthorisationOrder, authoriseConsent } from '@bankside/bank/consents/authorise-consent'
import type { Consent } from '@bankside/bank/consents/consent'
import { type CustomerId, newManagedGrantId } from '@bankside/bank/ids'
import { refuse } from '@bankside/bank/refusal'
import { pageVersion } from '@bankside/consent-ui/page-version'
import type { Log } from '@bankside/service-kit/log'
import { type Database, outsideTransaction, type SqlFragment, sql, type Transaction, transact, z } from '@bankside/service-kit/postgres'
import type { Provider } from 'oidc-provider'
import { profileOf } from '../client-policy/profiles.ts'
import type { Config } from '../config.ts'
import { grantActionOf } from '../grants/requested-action.ts'
import type { Form } from '../http/form.ts'
import { isFirstParty } from '../storage/client-storage.ts'
import { insertGrant } from '../storage/grant-storage.ts'
import { sealedPayloads } from '../storage/sealed-payloads.ts'
import { storedSeals } from '../storage/stored-seals.ts'
import { longestJourneySeconds } from '../tokens/lifetimes.ts'
import { endedBy } from './end-journey.ts'
import { makeGrant, newGrantId } from './grant.ts'
import { type JourneyState, keepJourney, pageAnswered } from './journey.ts'
import { sessionUidAfter, type Visit } from './visit.ts'

type Deciding = { readonly provider: Provider; readonly database: Database; readonly config: Config; readonly log: Log }

/**
 * The customer says yes: the consent, the grant, the journey and the request that led to it move together or not at all. What is
 * decided on, and what the grant is made from, is the consent as it is once it is locked.
 */
export async function submitDecision({ provider, database, config, log }: Deciding, visit: Visit, form: Form): Promise<JourneyState> {
  const { state, customerId, accountIds, grantId, managed, finished, grantFor } = decisionOf({ provider, config, log }, visit, form)
  return transact(database, async (tx) => {
    const authorisation = { customerId, accountIds, confirmedLimits: confirmedIn(form), grantId, managed, alongside: grantFor }
    // Sent together, in this order. What any of them refuses, all of them have not done.
    const [, , outcome] = await allOf([
      claimRequest(tx, visit),
      keep(tx, visit, finished),
      state.consentId === undefined ? grantOnly(tx, grantFor(undefined)) : authorise(tx, visit, authorisation),
    ])
    if (outcome === 'authorised') return finished
    const ended = endedBy(state, 'wrong_debtor')
    await keep(tx, visit, ended)
    return ended
  })
}

/**
 * {@link submitDecision} in one statement, together with the page that it answers: for whoever was signed in before the journey began
 * and says yes to an account access for the first time.
 *
 * @returns undefined when nothing happened: then the page is still to be answered, by the longer way.
 */
export async function decideAtOnce(deciding: Deciding, visit: Visit, form: Form): Promise<JourneyState | undefined> {
  const { interaction, client, journey, journeyKey, requestId, now } = visit
  const { step, consentId, challengeId, supersedes } = journey.state
  if (step !== 'choose_accounts' || consentId === undefined || challengeId !== undefined || supersedes !== undefined) return undefined
  if (grantActionOf(interaction.params) !== undefined) return undefined
  const { customerId, accountIds, grantId, finished, grantFor } = decisionOf(deciding, visit, form)
  const answered = pageAnswered({ ...journeyKey, journey, state: finished, now })
  const claimed = claimOf(visit)
  const order = { consentId, clientId: client.clientId, customerId, accountIds, grantId, interactionId: requestId, now }
  const done = await outsideTransaction(deciding.database, (tx) =>
    authoriseAtOnce(tx, {
      ...order,
      evidence: evidenceOf(visit),
      alongside: grantFor,
      conditions: claimed === undefined ? [answered] : [answered, claimed],
    }),
  )
  return done ? finished : undefined
}

/** What both ways decide with. */
function decisionOf({ provider, config, log }: Omit<Deciding, 'database'>, visit: Visit, form: Form) {
  const { interaction, client, journey, now } = visit
  const { errors: _shown, ...state } = journey.state
  const customerId = signedIn(state)
  const accountIds = form.all('account')
  const managed = managedBy(visit)
  const order = {
    params: interaction.params,
    clientId: client.clientId,
    customerId,
    accountIds,
    firstParty: isFirstParty(client),
    throughSession: isFirstParty(client) ? sessionUidAfter(visit, customerId) : undefined,
    managed,
    now,
  }
  const grantId = newGrantId()
  const finished: JourneyState = { ...state, step: 'finished', grantId }
  const payloads = sealedPayloads('Grant', storedSeals(config.SECRETS.seal_keys), log)
  const grantFor = (consent: Consent | undefined) => {
    const grant = makeGrant(provider, config, { ...order, consent })
    grant.jti = grantId
    visit.granted.grant = grant
    return insertGrant(payloads, grant, now)
  }
  return { state, customerId, accountIds, grantId, managed, finished, grantFor }
}

/** For an app that asks for no consent: who signs in has it. */
async function grantOnly(tx: Transaction, statement: Promise<SqlFragment>): Promise<'authorised'> {
  await tx.query(sql.unsafe`${await statement}`)
  return 'authorised'
}

/** Waits for all of them, whatever becomes of each: nothing may go on in a transaction that is over. */
async function allOf<const Results extends readonly unknown[]>(
  work: Results,
): Promise<{ -readonly [Index in keyof Results]: Awaited<Results[Index]> }> {
  await Promise.allSettled(work)
  return Promise.all(work)
}

/** Whoever answered the page once more while this ran, with a no say, has the last word. */
async function keep(tx: Transaction, { journeyKey, journey: { pageNumber } }: Visit, state: JourneyState): Promise<void> {
  if (!(await keepJourney(tx, { ...journeyKey, pageNumber, state })))
    refuse('consent_already_used', 'the page was answered again meanwhile')
}

/** The managed grant that this decision makes, or gives other terms. */
function managedBy({ interaction, superseded }: Visit): AuthorisationOrder['managed'] {
  const action = grantActionOf(interaction.params)
  if (action === undefined) return undefined
  if (action.action === 'create') return { grantId: newManagedGrantId(), isNew: true }
  return { grantId: action.managedGrantId, supersedes: superseded?.id, isNew: false }
}

/** The limits that stood beside the box that the customer ticked. */
export const confirmedIn = (form: Form): readonly string[] => form.one('beyond_limit').split(' ')

/** What a decision is made with, by whichever door the customer came. */
export type Decider = Pick<Visit, 'consent' | 'client' | 'journey' | 'requestId' | 'userAgent' | 'now'> & Partial<Pick<Visit, 'superseded'>>

export async function authorise(
  tx: Transaction,
  decider: Decider,
  choice: Pick<AuthorisationOrder, 'customerId' | 'accountIds' | 'confirmedLimits' | 'grantId' | 'managed' | 'alongside'>,
): Promise<'authorised' | 'rejected'> {
  const { consent, client, journey, requestId, now } = decider
  const { step, challengeId, consentId } = journey.state
  const id = consent?.id ?? consentId
  if (id === undefined) return refuse('consent_not_found', 'the consent is not open any more')
  const isAccess = consent === undefined ? step === 'choose_accounts' : consent.kind === 'account_access'
  const { outcome } = await authoriseConsent(tx, {
    consentId: id,
    clientId: client.clientId,
    ...choice,
    ...(!isAccess && { challengeId }),
    interactionId: requestId,
    evidence: evidenceOf(decider),
    now,
  })
  return outcome
}

const evidenceOf =
  ({ superseded, journey, userAgent }: Decider) =>
  (consent: Consent) => ({
    page: journey.state.step,
    pages: pageVersion,
    locale: 'en-GB',
    device: userAgent,
    shown: termsOf(consent),
    changed: superseded?.id ?? null,
  })

/** What the page was made from: with the version of the pages, an auditor can show it again (CX-19). */
const termsOf = (consent: Consent) =>
  consent.kind === 'account_access'
    ? { permissions: [...consent.permissions], expires_at: consent.expiresAt?.toISOString() ?? null }
    : { amount: consent.amount.minor.toString(), currency: consent.amount.currency, creditor: { ...consent.creditor } }

const claimedRow = z.object({ claimed: z.boolean() })

/**
 * Of several journeys that began with one pushed request, one may end with a yes. The library uses the request up when it
 * answers, which is after this: so the first yes is marked here, with the consent. A request that came by value has no name to
 * mark: it may be opened as often as its times allow, and the consent is agreed to once.
 */
async function claimRequest(tx: Transaction, visit: Visit): Promise<void> {
  const claim = claimOf(visit)
  if (claim === undefined) return
  const claimed = await tx.maybeOne(sql.type(claimedRow)`${claim}`)
  if (claimed === null) refuse('consent_already_used', 'the request was answered in another window')
}

/** Returns a row for the first yes, and none for another. */
function claimOf({ interaction, client, now }: Visit): SqlFragment | undefined {
  const { parJti: pushed } = interaction as { readonly parJti?: unknown }
  if (pushed === undefined && profileOf(client).pushedRequests === 'optional') return undefined
  if (typeof pushed !== 'string') throw new Error('a journey that no pushed request began')
  return sql.fragment`
    insert into oidc.used_identifier (id_hash, expires_at)
    values (${sql.binary(hash('sha256', `authorised ${pushed}`, 'buffer'))}, ${sql.timestamp(new Date(now.getTime() + 2 * longestJourneySeconds * 1000))})
    on conflict on constraint identifier_is_used_once do nothing returning true as claimed`
}

export function signedIn({ customerId, authenticatedAt }: JourneyState): CustomerId {
  if (customerId === undefined || authenticatedAt === undefined) throw new Error('nobody is signed in on this journey')
  return customerId
}
