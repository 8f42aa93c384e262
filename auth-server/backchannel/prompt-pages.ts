import { refusalOf } from '@bankside/bank/refusal'
import { donePage } from '@bankside/consent-ui/done'
import { refusedPage } from '@bankside/consent-ui/refused'
import { answeredElsewhereTexts } from '@bankside/consent-ui/situations'
import { type Database, outsideTransaction, transact } from '@bankside/service-kit/postgres'
import type { Provider } from 'oidc-provider'
import type { AuthServerDependencies } from '../app.ts'
import { overviewHref, signInHref, waitingHref } from '../dashboard/dashboard-pages.ts'
import { endSession } from '../dashboard/dashboard-session.ts'
import { signedInRequest } from '../dashboard/signed-in-request.ts'
import type { Form } from '../http/form.ts'
import { answerPage, answerProblem, problems } from '../http/problem-answer.ts'
import type { Context, Next } from '../http/request-context.ts'
import { seeOther } from '../http/see-other.ts'
import { endedBy } from '../interactions/end-journey.ts'
import { correctionOf, type EndReason, endings, isEndReason } from '../interactions/endings.ts'
import { claimPage, findJourney, type JourneyState, pageNumberOf } from '../interactions/journey.ts'
import { submitSecondFactor } from '../interactions/sign-in-step.ts'
import { commonOf } from '../page-frame.ts'
import { approvePrompt, denyPrompt, keepPrompt, notOpen } from './decide-prompt.ts'
import { findPrompt, type Prompt } from './prompt.ts'
import { type Looking, renderPrompt, renderWaiting } from './prompt-views.ts'
import {
  isConsentGone,
  isTooLongAgo,
  journeyKeyOf,
  openPromptVisit,
  type PromptArrival,
  type PromptVisit,
  promptSteps,
  promptVisitOn,
} from './prompt-visit.ts'

export type PromptDependencies = AuthServerDependencies & { readonly provider: Provider }

/** What waits for the customer, and the pages that answer one of it. They are part of the dashboard, and of its session. */
export function promptPages(provider: Provider, dependencies: AuthServerDependencies) {
  const all: PromptDependencies = { ...dependencies, provider }
  return async (ctx: Context, next: Next): Promise<void> => {
    const route = ctx.state.endpoint?.name
    if (route !== 'waiting_requests' && route !== 'waiting_request') return next()
    const request = await signedInRequest(ctx, dependencies)
    if (request === undefined) return
    const { form, ...looking } = request
    if (route === 'waiting_requests') return answerPage(ctx, await outsideTransaction(all.database, (tx) => renderWaiting(tx, looking)))
    const found = await findArrival(ctx, all, looking)
    if (!('arrival' in found)) return showWhyNot(ctx, all, looking, found)
    return form === undefined ? show(ctx, all, found.arrival) : answer(ctx, all, found.arrival, form)
  }
}

type Answered = 'not_found' | 'over' | 'client_blocked' | 'signed_in_too_long_ago'

/** What the customer came for, if it can be answered now; otherwise why not. */
async function findArrival(ctx: Context, { database, provider }: PromptDependencies, { session, seals, now }: Looking): Promise<Found> {
  const requestId = ctx.path.split('/')[3] ?? ''
  const prompt = await outsideTransaction(database, (tx) => findPrompt(tx, requestId, { ...session, seals }))
  if (prompt === undefined) return { why: 'not_found' }
  if (prompt.outcome !== undefined || prompt.expiresAt <= now) return { why: 'over', prompt }
  const client = await provider.Client.find(prompt.clientId)
  if (client === undefined) return { why: 'client_blocked', prompt }
  const journeyKey = journeyKeyOf(prompt, session, seals)
  const arrival = {
    prompt,
    client,
    session,
    journeyKey,
    requestId: ctx.state.requestId,
    userAgent: ctx.get('user-agent').slice(0, 200),
    now,
  }
  return isTooLongAgo(arrival) ? { why: 'signed_in_too_long_ago' } : { arrival }
}

type Found = { readonly arrival: PromptArrival } | { readonly why: Answered; readonly prompt?: Prompt }

async function showWhyNot(ctx: Context, { database }: PromptDependencies, looking: Looking, { why, prompt }: WhyNot): Promise<void> {
  if (why === 'signed_in_too_long_ago') {
    await endSession(ctx, database, looking.session)
    seeOther(ctx, signInHref)
  } else if (prompt === undefined) answerProblem(ctx, problems.notFound, { backHref: waitingHref })
  else if (why === 'over') await showOutcome(ctx, database, looking, prompt)
  else showEnd(ctx, prompt, 'client_blocked')
}

type WhyNot = Exclude<Found, { readonly arrival: PromptArrival }>

async function show(ctx: Context, { database, config }: PromptDependencies, arrival: PromptArrival): Promise<void> {
  const visit = await openPromptVisit(database, arrival)
  const { state } = visit.journey
  if (state.step === 'ended') return showEnd(ctx, visit.prompt, state.ended?.reason ?? 'consent_not_found')
  if (isConsentGone(visit)) {
    await denyPrompt(database, visit, 'gone')
    return showEnd(ctx, visit.prompt, 'consent_not_found')
  }
  answerPage(ctx, await outsideTransaction(database, (tx) => renderPrompt(tx, visit, config)))
}

async function answer(ctx: Context, dependencies: PromptDependencies, arrival: PromptArrival, form: Form): Promise<void> {
  const { database, config, metrics } = dependencies
  const { journeyKey, now } = arrival
  const pageNumber = pageNumberOf(config.SECRETS.form_keys, journeyKey.interactionUid, form.one('page_token'))
  const journey = pageNumber && (await outsideTransaction(database, (tx) => claimPage(tx, { ...journeyKey, pageNumber, now })))
  if (!journey || journey.state.step === 'ended' || journey.state.step === 'finished')
    return answerProblem(ctx, problems.oldPage, { backHref: ctx.path })
  const visit = await promptVisitOn(database, arrival, journey)
  const next = await reached(dependencies, visit, form)
  await transact(database, (tx) => keepPrompt(tx, visit, next))
  if (next.step === 'finished' || next.step === 'ended')
    metrics.journeys.inc({ kind: `backchannel_${visit.kind}`, outcome: next.ended?.reason ?? 'authorised' })
  seeOther(ctx, ctx.path)
}

/** What the answer leads to. A no of the bank's becomes a message on the page or the end; nothing is half done. */
async function reached(dependencies: PromptDependencies, visit: PromptVisit, form: Form): Promise<JourneyState> {
  const { database } = dependencies
  const { state } = visit.journey
  try {
    if (isConsentGone(visit)) return await deny(dependencies, visit, 'gone', endedBy(state, 'consent_not_found'))
    const next = await submit(dependencies, visit, form)
    const reason = next.ended?.reason
    if (reason === 'locked' || reason === 'wrong_debtor') await denyPrompt(database, visit, reason)
    return next
  } catch (error) {
    const code = refusalOf(error)?.code
    if (code === undefined || !isEndReason(code)) throw error
    const correction = correctionOf(code, state.step)
    return correction === undefined ? deny(dependencies, visit, 'gone', endedBy(state, code)) : { ...state, errors: [correction] }
  }
}

async function submit(dependencies: PromptDependencies, visit: PromptVisit, form: Form): Promise<JourneyState> {
  const { database, config } = dependencies
  const { kind, journey } = visit
  const { errors: _shown, ...state } = journey.state
  const action = form.one('action')
  if (action === 'cancel') {
    const said: JourneyState = { ...state, step: 'finished', ended: { reason: 'cancelled', error: endings.cancelled.error } }
    return deny(dependencies, visit, 'cancelled', said)
  }
  if (state.step !== 'second_factor')
    // Anything but the button that says so is no yes.
    return action === 'confirm' ? approvePrompt(dependencies, visit, form) : journey.state
  const next = promptSteps[kind][promptSteps[kind].indexOf('second_factor') + 1] ?? 'finished'
  return submitSecondFactor(database, visit, form, { dataKey: config.SECRETS.customer_data_keys, next })
}

/** A no is the end, unless somebody said yes first. */
async function deny(
  { database }: PromptDependencies,
  visit: PromptVisit,
  why: Parameters<typeof denyPrompt>[2],
  then: JourneyState,
): Promise<JourneyState> {
  const standing = await denyPrompt(database, visit, why)
  return standing === 'open' ? then : notOpen(visit.journey.state, standing)
}

/** What became of it, for whoever comes back: by the button of the browser, or from another window. */
async function showOutcome(ctx: Context, database: Database, { session, seals }: Looking, prompt: Prompt): Promise<void> {
  if (prompt.outcome !== 'approved' && prompt.outcome !== 'denied') return showEnd(ctx, prompt, 'ran_out')
  const agreed = prompt.outcome === 'approved'
  // That it was denied is not to say that the customer said no: these pages know why, if it was on them.
  const here = agreed ? undefined : await findJourney(database, journeyKeyOf(prompt, session, seals))
  const reason = here?.ended?.reason ?? 'answered_elsewhere'
  if (!agreed && reason !== 'cancelled') return showEnd(ctx, prompt, reason)
  const page = { common: commonOf(), ...answeredElsewhereTexts({ thirdParty: prompt.clientName, agreed }), continueHref: overviewHref }
  answerPage(ctx, agreed ? donePage(page) : refusedPage(page))
}

function showEnd(ctx: Context, { clientName, params }: Prompt, reason: EndReason): void {
  const payment = String(params['scope']).includes('payments')
  const status = reason === 'locked' ? 429 : 400
  answerProblem(
    ctx,
    { status, situation: endings[reason].situation },
    { name: clientName, payment, backHref: waitingHref, backToBank: true },
  )
}
