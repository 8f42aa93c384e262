import type { Consent } from '@bankside/bank/consents/consent'
import { findIntent } from '@bankside/bank/consents/find-intent'
import { type Database, outsideTransaction, type Transaction, transact } from '@bankside/service-kit/postgres'
import type { Client } from 'oidc-provider'
import type { DashboardSession } from '../dashboard/dashboard-session.ts'
import { beginJourney, type Journey, type JourneyKey, type JourneyState, type Step, touchJourney } from '../interactions/journey.ts'
import { askSecondFactor } from '../interactions/sign-in-step.ts'
import type { JourneyKind } from '../interactions/visit.ts'
import type { StoredSeals } from '../storage/stored-seals.ts'
import type { Prompt } from './prompt.ts'

/** One request of a customer who is signed in to the dashboard, about a prompt of theirs. */
export type PromptArrival = {
  readonly prompt: Prompt
  readonly client: Client
  readonly session: DashboardSession
  readonly journeyKey: JourneyKey
  readonly requestId: string
  readonly userAgent: string
  readonly now: Date
}

/** An arrival on its way through the pages, with all that is known about it now. */
export type PromptVisit = PromptArrival & {
  readonly kind: JourneyKind
  /** Read anew with every request. */
  readonly consent: Consent | undefined
  readonly journey: Journey
}

/**
 * Who comes here has signed in with both factors already (the session proves it), and answers page by page. A payment asks for
 * a code of its own, as it does on the way to a third party; an app of the bank's has a page to say yes on, for nobody was
 * sent here by it.
 */
export const promptSteps: Record<JourneyKind, readonly Step[]> = {
  account_access: ['choose_accounts', 'finished'],
  payment: ['second_factor', 'confirm_payment', 'finished'],
  first_party: ['confirm_request', 'finished'],
}

/** The pages of a prompt are this session's alone: another one, also of the same customer, begins anew and has tokens of its own. */
export const journeyKeyOf = (prompt: Prompt, session: DashboardSession, seals: StoredSeals): JourneyKey => ({
  interactionUid: `prompt ${prompt.requestId} ${session.secret}`,
  seals,
})

export async function openPromptVisit(database: Database, arrival: PromptArrival): Promise<PromptVisit> {
  const journey = await outsideTransaction(database, (tx) => touchJourney(tx, { ...arrival.journeyKey, now: arrival.now }))
  return journey === undefined ? transact(database, (tx) => begin(tx, arrival)) : promptVisitOn(database, arrival, journey)
}

export async function promptVisitOn(database: Database, arrival: PromptArrival, journey: Journey): Promise<PromptVisit> {
  const consent = await outsideTransaction(database, (tx) => consentOn(tx, arrival))
  return { ...arrival, journey, consent, kind: kindOf(arrival, consent) }
}

async function begin(tx: Transaction, arrival: PromptArrival): Promise<PromptVisit> {
  const consent = await consentOn(tx, arrival)
  const kind = kindOf(arrival, consent)
  const state = await firstState(tx, arrival, { kind, consent })
  const journey = await beginJourney(tx, { ...arrival.journeyKey, state, now: arrival.now })
  return { ...arrival, journey, consent, kind }
}

async function consentOn(tx: Transaction, { prompt: { consentId, clientId }, now }: PromptArrival): Promise<Consent | undefined> {
  return consentId && findIntent(tx, { consentId, clientId, now })
}

function kindOf({ prompt }: PromptArrival, consent: Consent | undefined): JourneyKind {
  if (prompt.consentId === undefined) return 'first_party'
  return consent?.kind === 'account_access' ? 'account_access' : 'payment'
}

type Beginning = { readonly kind: JourneyKind; readonly consent: Consent | undefined }

async function firstState(tx: Transaction, { session, prompt, now }: PromptArrival, { kind, consent }: Beginning): Promise<JourneyState> {
  const [step = 'finished'] = promptSteps[kind]
  const { customerId, openedAt } = session
  const state = {
    step,
    customerId,
    authenticatedAt: Math.floor(openedAt.getTime() / 1000),
    ...(prompt.consentId !== undefined && { consentId: prompt.consentId }),
  }
  return step === 'second_factor' ? askSecondFactor(tx, state, { consent, now }) : state
}

/** The consent was there when it was asked for, and is not open any more: withdrawn, run out, or answered another way. */
export const isConsentGone = ({ prompt, consent }: PromptVisit): boolean => prompt.consentId !== undefined && consent === undefined

/** OIDC Core 3.1.2.1: signed in no longer before the request than the client says. Whoever signs in after it always is. */
export function isTooLongAgo({ prompt, session }: PromptArrival): boolean {
  const maxAge = Number(prompt.params['max_age'] ?? Number.POSITIVE_INFINITY)
  return session.openedAt.getTime() < prompt.askedAt.getTime() - maxAge * 1000
}
