import type { Consent } from '@bankside/bank/consents/consent'
import { findIntent } from '@bankside/bank/consents/find-intent'
import { lodgeTransferConsent } from '@bankside/bank/consents/lodge-transfer-consent'
import type { ConsentId, CustomerId } from '@bankside/bank/ids'
import type { Clock } from '@bankside/service-kit/clock'
import { type Database, type Transaction, transact } from '@bankside/service-kit/postgres'
import { type Client, errors, type Interaction, type Provider } from 'oidc-provider'
import type { Context } from '../http/request-context.ts'
import { intentOf } from '../intents/intent.ts'
import { sessionSeconds } from '../tokens/lifetimes.ts'
import { type Journey, type JourneyState, openJourney, type Step } from './journey.ts'
import { freshSecondFactor } from './prompt-policy.ts'
import { askSecondFactor } from './sign-in-step.ts'

export type JourneyKind = 'account_access' | 'payment' | 'first_party'

/** The journeys, page by page (CX-04). A session that is there already skips what it stands for. */
export const journeys: Record<JourneyKind, readonly Step[]> = {
  account_access: ['sign_in', 'second_factor', 'choose_accounts', 'finished'],
  payment: ['sign_in', 'second_factor', 'confirm_payment', 'finished'],
  first_party: ['sign_in', 'second_factor', 'finished'],
}

/** One request of a browser that is on its way through a journey, with all that is known about it now. */
export type Visit = {
  readonly interaction: Interaction
  readonly client: Client
  readonly kind: JourneyKind
  /** Read anew with every request. Undefined where there is none: a first-party app that only signs in. */
  readonly consent: Consent | undefined
  readonly journey: Journey
  readonly requestId: string
  readonly userAgent: string
  readonly now: Date
}

/**
 * Finds the journey that the browser's cookie belongs to, or begins it. Another browser has no such cookie, and one that
 * follows the address of another journey is told the same.
 *
 * @throws {SessionNotFound}
 */
export async function findVisit(
  ctx: Context,
  provider: Provider,
  { database, clock }: { database: Database; clock: Clock },
): Promise<Visit> {
  const interaction = await provider.interactionDetails(ctx.req, ctx.res)
  if (!ctx.path.startsWith(`/interaction/${interaction.uid}`)) throw new errors.SessionNotFound('another interaction')
  const client = await provider.Client.find(String(interaction.params['client_id']))
  if (client === undefined) throw new errors.SessionNotFound('the client is not served any more')
  const now = clock.now()
  const session = await keepSessionAlive(ctx, provider, now)
  const requestId = ctx.state.requestId
  return transact(database, async (tx) => {
    const begin = () => beginJourney(tx, { interaction, client, authenticatedAt: session?.authenticatedAt, requestId, now })
    const journey = await openJourney(tx, { interactionUid: interaction.uid, begin, now })
    const { consentId } = journey.state
    const consent = consentId && (await findIntent(tx, { consentId, clientId: client.clientId, now }))
    const kind = consentId === undefined ? 'first_party' : consent?.kind === 'account_access' ? 'account_access' : 'payment'
    return {
      interaction,
      client,
      kind,
      consent: consent || undefined,
      journey,
      requestId,
      userAgent: ctx.get('user-agent').slice(0, 200),
      now,
    }
  })
}

/** Whoever is busy on our pages is not idle: the session they came with lasts as long as they go on. */
async function keepSessionAlive(ctx: Context, provider: Provider, now: Date): Promise<{ authenticatedAt: number | undefined } | undefined> {
  const session = await provider.Session.get(ctx as never)
  if (session.accountId === undefined) return undefined
  await session.save(sessionSeconds(session.loginTs, now.getTime() / 1000))
  return { authenticatedAt: session.loginTs }
}

type Beginning = {
  readonly interaction: Interaction
  readonly client: Client
  readonly authenticatedAt: number | undefined
  readonly requestId: string
  readonly now: Date
}

async function beginJourney(tx: Transaction, beginning: Beginning): Promise<JourneyState> {
  const { interaction, client, authenticatedAt, now } = beginning
  const consentId = await consentOf(tx, beginning)
  const state: JourneyState = { step: 'sign_in', ...(consentId !== undefined && { consentId }) }
  const customerId = interaction.session?.accountId as CustomerId | undefined
  if (customerId === undefined || authenticatedAt === undefined) return state
  const known = { ...state, customerId, authenticatedAt }
  const consent = consentId && (await findIntent(tx, { consentId, clientId: client.clientId, now }))
  if (interaction.prompt.name === 'consent') return { ...known, step: consent ? 'choose_accounts' : 'finished' }
  // Of the two factors the session still proves one; the payment asks for the other, bound to itself.
  const onlySecondFactor = interaction.prompt.reasons.every((reason) => reason === freshSecondFactor)
  return onlySecondFactor ? askSecondFactor(tx, known, { consent: consent || undefined, now }) : state
}

/** The consent that the third party names, or for an app of ours the one that is lodged for it now. */
async function consentOf(tx: Transaction, { interaction, client, requestId, now }: Beginning): Promise<ConsentId | undefined> {
  const intent = intentOf(interaction.params)
  if (intent?.type !== 'payment_initiation') return intent?.consentId
  const { id } = await lodgeTransferConsent(tx, { clientId: client.clientId, detail: intent.detail, interactionId: requestId, now })
  return id
}
