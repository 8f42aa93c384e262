import { hash } from 'node:crypto'
import type { AccountAccessConsent, Consent } from '@bankside/bank/consents/consent'
import { findIntent } from '@bankside/bank/consents/find-intent'
import { findManagedGrant } from '@bankside/bank/consents/managed-grant'
import type { ConsentId, CustomerId } from '@bankside/bank/ids'
import { refusalOf, refuse } from '@bankside/bank/refusal'
import type { Clock } from '@bankside/service-kit/clock'
import { type Database, outsideTransaction, type Transaction, transact } from '@bankside/service-kit/postgres'
import { type Client, errors, type Grant, type Interaction, type Provider, type Session } from 'oidc-provider'

import type { Config } from '../config.ts'

import { grantActionOf } from '../grants/requested-action.ts'

import { cookieNames } from '../http/cookie-names.ts'
import type { Context } from '../http/request-context.ts'
import { consentOfIntent } from '../intents/consent-of-intent.ts'
import { intentOf } from '../intents/intent.ts'
import { storedSeals } from '../storage/stored-seals.ts'
import { sessionSeconds } from '../tokens/lifetimes.ts'
import { type BegunJourney, type FindBegun, journeyBySession } from './begun-journey.ts'
import { endedBy } from './end-journey.ts'
import { isEndReason } from './endings.ts'
import { beginJourney, type Journey, type JourneyKey, type JourneyState, type Step, touchJourney } from './journey.ts'
import { freshSecondFactor } from './prompt-policy.ts'
import { askSecondFactor } from './sign-in-step.ts'

export type JourneyKind = 'account_access' | 'payment' | 'first_party'

/** The journeys, page by page (CX-04). A session that is there already skips what it stands for. */
export const journeys: Record<JourneyKind, readonly Step[]> = {
  account_access: ['sign_in', 'second_factor', 'choose_accounts', 'finished'],
  payment: ['sign_in', 'second_factor', 'confirm_payment', 'finished'],
  first_party: ['sign_in', 'second_factor', 'finished'],
}

/** One request of a browser that holds the cookie of an interaction, as it comes in. */
export type Arrival = {
  readonly interaction: Interaction
  readonly journeyKey: JourneyKey
  readonly client: Client
  /** The journey, if it is written down, also when it has run out. */
  readonly begun: BegunJourney | undefined
  /** What the browser has of its own, whoever it is of. A new one without a customer where it has none. */
  readonly session: Session
  /** What the library is to answer from, once the decision has made it. */
  readonly granted: { grant?: Grant }
  readonly requestId: string
  readonly userAgent: string
  readonly now: Date
}

/** An arrival on its way through a journey, with all that is known about it now. */
export type Visit = Arrival & {
  readonly kind: JourneyKind
  /** Read anew with every request. Undefined where there is none (a first-party app that only signs in), or it is read when it is locked. */
  readonly consent: Consent | undefined
  /** The consent whose place it takes, as long as it is there to be taken. */
  readonly superseded: AccountAccessConsent | undefined
  readonly journey: Journey
}

/**
 * Finds the interaction that the browser's cookie belongs to. Another browser has no such cookie, and one that follows the
 * address of another journey is told the same.
 *
 * @throws {SessionNotFound}
 */
export async function findArrival(
  ctx: Context,
  provider: Provider,
  { clock, config, findBegun }: { readonly clock: Clock; readonly config: Config; readonly findBegun: FindBegun },
): Promise<Arrival> {
  const journeyKey = { interactionUid: ctx.path.split('/')[2] ?? '', seals: storedSeals(config.SECRETS.seal_keys) }
  // Looked for at once; whose journey it is is said by the interaction.
  const begin = findBegun(journeyKey)
  begin.catch(() => {})
  const [interaction, session] = await Promise.all([findInteraction(ctx, provider), provider.Session.get(ctx as never)])
  const begun = await begin
  await assertSamePrincipal(interaction, session, provider)
  const now = clock.now()
  const [client] = await Promise.all([provider.Client.find(String(interaction.params['client_id'])), keepAlive(session, now)])
  if (client === undefined) throw new errors.SessionNotFound('the client is not served any more')
  if (!client.redirectUriAllowed(String(interaction.params['redirect_uri'])))
    throw new errors.SessionNotFound('the redirect URI is not one of the client any more')
  const { requestId } = ctx.state
  return { interaction, journeyKey, client, begun, session, granted: {}, requestId, userAgent: ctx.get('user-agent').slice(0, 200), now }
}

/** As the library's `interactionDetails`, which would read the session a second time, by its other name. */
async function findInteraction(ctx: Context, { Interaction }: Provider): Promise<Interaction> {
  const id = ctx.cookies.get(cookieNames.interaction, { signed: true })
  const interaction = id === undefined ? undefined : await Interaction.find<Interaction>(id)
  if (interaction === undefined) throw new errors.SessionNotFound('no interaction')
  if (!ctx.path.startsWith(`/interaction/${interaction.uid}`)) throw new errors.SessionNotFound('another interaction')
  return interaction
}

/** An interaction that began with a session goes on only while that session is there, and still its customer's. */
async function assertSamePrincipal({ session: begunWith }: Interaction, session: Session, { Session }: Provider): Promise<void> {
  if (begunWith?.uid === undefined) return
  const now = session.uid === begunWith.uid ? session : await Session.findByUid(begunWith.uid)
  if (now?.accountId !== begunWith.accountId) throw new errors.SessionNotFound('the session that it began with is over')
}

/** Whoever is busy on our pages is not idle: the session they came with lasts as long as they go on. */
async function keepAlive(session: Session, now: Date): Promise<void> {
  if (session.accountId !== undefined) await session.save(sessionSeconds(session.loginTs, now.getTime() / 1000))
}

/**
 * Whether the browser has another session afterwards: it was somebody else's when the journey began, or is now, because somebody
 * signed in in another tab meanwhile.
 */
export const replacesSession = ({ interaction, session }: Arrival, customerId: CustomerId): boolean =>
  [interaction.session?.accountId, session.accountId].some((known) => known !== undefined && known !== customerId)

/** The name of the session that the browser has afterwards. One that takes the place of another's has the same name whenever this is asked. */
export const sessionUidAfter = (arrival: Arrival, customerId: CustomerId): string =>
  replacesSession(arrival, customerId) ? hash('sha256', `session after ${arrival.interaction.uid}`, 'base64url') : arrival.session.uid

/** The journey of an arrival, begun if it has not been, or if it was idle for too long: then it begins anew, from sign-in. */
export async function openVisit(database: Database, arrival: Arrival): Promise<Visit> {
  const { interaction, journeyKey, begun, now } = arrival
  const unwritten = journeyBySession(arrival)
  if (unwritten !== undefined) return visitOn(database, arrival, unwritten)
  const journey = begun && (await outsideTransaction(database, (tx) => touchJourney(tx, { ...journeyKey, now })))
  if (journey !== undefined) return visitOn(database, arrival, journey)
  const within = beginsByWriting(interaction) ? transact : outsideTransaction
  try {
    return await within(database, (tx) => begin(tx, arrival))
  } catch (error) {
    return await endAtOnce(database, arrival, error)
  }
}

/** What was well-formed cannot be lodged, as it shows now: the journey has an end, which leads back to where it began. */
async function endAtOnce(database: Database, arrival: Arrival, error: unknown): Promise<Visit> {
  const code = refusalOf(error)?.code
  if (code === undefined || !isEndReason(code)) throw error
  const { now } = arrival
  const state = endedBy({ step: 'sign_in' }, code)
  const journey = await outsideTransaction(database, (tx) => beginJourney(tx, { ...arrival.journeyKey, state, now }))
  return { ...arrival, journey, consent: undefined, superseded: undefined, kind: kindOf(journey, undefined) }
}

/**
 * What is known now of a journey that the arrival is on.
 *
 * @param consentIs `'locked_later'` for a decision, which reads the consent when it has locked it, and not before.
 */
export async function visitOn(
  database: Database,
  arrival: Arrival,
  journey: Journey,
  consentIs: 'read_now' | 'locked_later' = 'read_now',
): Promise<Visit> {
  const { consentId, supersedes } = journey.state
  const consent = consentIs === 'locked_later' ? undefined : await outsideTransaction(database, (tx) => consentOn(tx, arrival, consentId))
  const current = supersedes && (await outsideTransaction(database, (tx) => currentOn(tx, arrival)))
  return { ...arrival, journey, consent, superseded: current?.id === supersedes ? current : undefined, kind: kindOf(journey, consent) }
}

const kindOf = ({ state: { consentId, step } }: Journey, consent: Consent | undefined): JourneyKind => {
  if (consentId === undefined) return 'first_party'
  if (consent === undefined && step === 'choose_accounts') return 'account_access'
  return consent?.kind === 'account_access' ? 'account_access' : 'payment'
}

async function consentOn(tx: Transaction, { client, now }: Arrival, consentId: ConsentId | undefined): Promise<Consent | undefined> {
  return consentId && findIntent(tx, { consentId, clientId: client.clientId, now })
}

/** More than the journey itself is written when a consent is lodged or a second factor asked for. */
const beginsByWriting = (interaction: Interaction): boolean =>
  interaction.prompt.name !== 'consent' || (intentOf(interaction.params)?.type ?? 'openbanking_consent') !== 'openbanking_consent'

async function begin(tx: Transaction, arrival: Arrival): Promise<Visit> {
  const { now } = arrival
  const current = await currentOn(tx, arrival)
  if (current === undefined && changesGrant(arrival.interaction)) refuse('grant_revoked', 'the grant is over')
  const consentId = await nameConsent(tx, arrival, current)
  const consent = await consentOn(tx, arrival, consentId)
  const superseded = current?.id === consentId ? undefined : current
  const state = await firstState(tx, arrival, { consentId, consent, superseded })
  const journey = await beginJourney(tx, { ...arrival.journeyKey, state, now })
  // Of two requests that began the journey at once, the other may have been first.
  const agreed = journey.state.consentId === consentId ? consent : await consentOn(tx, arrival, journey.state.consentId)
  return { ...arrival, journey, consent: agreed, superseded, kind: kindOf(journey, agreed) }
}

async function firstState(
  tx: Transaction,
  { interaction, session, now }: Arrival,
  { consentId, consent, superseded }: Partial<Pick<Visit, 'consent' | 'superseded'>> & { readonly consentId: ConsentId | undefined },
): Promise<JourneyState> {
  const state: JourneyState = { step: 'sign_in', ...(consentId && { consentId }), ...(superseded && { supersedes: superseded.id }) }
  const customerId = interaction.session?.accountId as CustomerId | undefined
  const authenticatedAt = session.accountId === undefined ? undefined : session.loginTs
  if (customerId === undefined || authenticatedAt === undefined) return state
  const known = { ...state, customerId, authenticatedAt }
  if (superseded !== undefined && superseded.customerId !== customerId) return endedBy(state, 'other_customers_grant')
  if (interaction.prompt.name === 'consent') return { ...known, step: consent ? 'choose_accounts' : 'finished' }
  // Of the two factors the session still proves one; the payment asks for the other, bound to itself.
  const onlySecondFactor = interaction.prompt.reasons.every((reason) => reason === freshSecondFactor)
  return onlySecondFactor ? askSecondFactor(tx, known, { consent, now }) : state
}

const changesGrant = ({ params }: Interaction): boolean => (grantActionOf(params)?.action ?? 'create') !== 'create'

/** The consent that the grant stands for which this request gives other terms. */
async function currentOn(tx: Transaction, { interaction, client, now }: Arrival): Promise<AccountAccessConsent | undefined> {
  const action = grantActionOf(interaction.params)
  if (action === undefined || action.action === 'create') return undefined
  const current = await findManagedGrant(tx, { managedGrantId: action.managedGrantId, clientId: client.clientId, now })
  return current?.kind === 'account_access' ? current : undefined
}

/**
 * The consent that the third party names, or the one that is lodged now for what it says in its details: not when that was
 * pushed, so that what nobody comes to decide on leaves nothing behind, and pushing stays as cheap as it is often repeated.
 */
async function nameConsent(
  tx: Transaction,
  { interaction, client, requestId, now }: Arrival,
  current: AccountAccessConsent | undefined,
): Promise<ConsentId | undefined> {
  const mergedInto = grantActionOf(interaction.params)?.action === 'merge' ? current : undefined
  return consentOfIntent(tx, intentOf(interaction.params), { client, mergedInto, interactionId: requestId, now })
}
