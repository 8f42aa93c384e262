import { refusalOf } from '@bankside/bank/refusal'
import { outsideTransaction, type Transaction } from '@bankside/service-kit/postgres'
import { errors, type Provider } from 'oidc-provider'
import type { AuthServerDependencies } from '../app.ts'
import { type Form, noForm, readForm } from '../http/form.ts'
import { answerPage, answerProblem, problems } from '../http/problem-answer.ts'
import type { Context, Next } from '../http/request-context.ts'
import { allowFormsTo } from '../http/security-headers.ts'
import { isAskedOf } from '../intents/requested-subject.ts'
import type { KeyedRows } from '../storage/keyed-rows.ts'
import { showAnswered } from './answered-journey.ts'
import { begunJourneys, type FindBegun, journeyBySession } from './begun-journey.ts'
import { decideAtOnce, submitDecision } from './decide-step.ts'
import { cancelJourney, endedBy, rejectIntent } from './end-journey.ts'
import { correctionOf, type EndReason, endings, isEndReason } from './endings.ts'
import { finishJourney } from './finish-journey.ts'
import {
  beginJourney,
  claimFirstPage,
  claimPage,
  type Journey,
  type JourneyState,
  keepJourney,
  pageNumberOf,
  type Step,
} from './journey.ts'
import { renderStep } from './journey-pages.ts'
import { submitSecondFactor, submitSignIn } from './sign-in-step.ts'
import { type Arrival, findArrival, journeys, openVisit, type Visit, visitOn } from './visit.ts'

/** What every part of a journey works with. */
export type JourneyDependencies = AuthServerDependencies & { readonly provider: Provider; readonly findBegun: FindBegun }

/** GET shows the page that the journey is at; POST answers it and leads on; `leave` goes back to the third party from an end. */
export function interactionPages(provider: Provider, rows: KeyedRows, dependencies: AuthServerDependencies) {
  const all: JourneyDependencies = { ...dependencies, provider, findBegun: begunJourneys(rows) }
  return async (ctx: Context, next: Next): Promise<void> => {
    const act = actOf(ctx)
    if (act === undefined) return next()
    try {
      await act(ctx, all, next)
    } catch (error) {
      if (!(error instanceof errors.SessionNotFound) || !(await showAnswered(ctx, all))) throw error
    }
  }
}

function actOf({ state, method }: Context) {
  if (state.endpoint?.name === 'leave') return leave
  if (state.endpoint?.name !== 'interaction') return undefined
  return method === 'POST' ? answer : show
}

async function show(ctx: Context, dependencies: JourneyDependencies, next: Next): Promise<void> {
  const { database, config, provider } = dependencies
  const visit = await openVisit(database, await findArrival(ctx, provider, dependencies))
  const { state } = visit.journey
  const gone = goneBecause(visit)
  if (gone !== undefined) await outsideTransaction(database, (tx) => keep(tx, visit, endedBy(state, gone)))
  if (state.step === 'ended' || gone !== undefined) return showEnd(ctx, visit, state.ended?.reason ?? gone ?? 'consent_not_found')
  if (state.step === 'finished') return finishJourney(ctx, visit, await decided(dependencies, visit), dependencies, next)
  allowFormsTo(ctx as never, new URL(String(visit.interaction.params['redirect_uri'])).origin)
  answerPage(ctx, await outsideTransaction(database, (tx) => renderStep(tx, visit, config)))
}

async function answer(ctx: Context, dependencies: JourneyDependencies, next: Next): Promise<void> {
  const { database, config, provider } = dependencies
  const form = await readForm(ctx, config.ISSUER)
  if (form === undefined) return
  const arrival = await findArrival(ctx, provider, dependencies)
  const { uid } = arrival.interaction
  const pageNumber = pageNumberOf(config.SECRETS.form_keys, uid, form.one('page_token'))
  const unwritten = journeyBySession(arrival)
  const at = unwritten ?? arrival.begun
  if (at !== undefined && at.pageNumber === pageNumber && isDecision(at.state, form)) {
    const visit: Visit = { ...arrival, journey: at, consent: undefined, superseded: undefined, kind: 'account_access' }
    const state = await decideAtOnce(dependencies, visit, form)
    if (state !== undefined) return finishJourney(ctx, visit, state, dependencies, next)
  }
  const journey = await outsideTransaction(database, (tx) => claim(tx, arrival, { pageNumber, unwritten }))
  if (!journey || journey.state.step === 'ended' || journey.state.step === 'finished')
    return answerProblem(ctx, problems.oldPage, { backHref: ctx.path })
  const decides = isDecision(journey.state, form)
  const visit = await visitOn(database, arrival, journey, decides ? 'locked_later' : 'read_now')
  const state = await reached(dependencies, visit, form)
  // A decision is kept with the consent, in one transaction.
  if (state.grantId === undefined) await outsideTransaction(database, (tx) => keep(tx, visit, state))
  if (state.step === 'finished') return finishJourney(ctx, visit, state, dependencies, next)
  ctx.status = 303
  ctx.redirect(ctx.path)
}

async function leave(ctx: Context, dependencies: JourneyDependencies, next: Next): Promise<void> {
  const visit = await openVisit(dependencies.database, await findArrival(ctx, dependencies.provider, dependencies))
  const { state } = visit.journey
  if (state.ended === undefined) return answerProblem(ctx, problems.oldPage, { backHref: ctx.path.replace(/\/leave$/, '') })
  return finishJourney(ctx, visit, state, dependencies, next)
}

/** What the answer leads to. A no of the bank's becomes a message on the page or the end of the journey; nothing is half done. */
async function reached(dependencies: JourneyDependencies, visit: Visit, form: Form): Promise<JourneyState> {
  const { state } = visit.journey
  try {
    const gone = isDecision(state, form) ? grantGone(visit) : goneBecause(visit)
    if (gone !== undefined) return endedBy(state, gone)
    const next = await submit(dependencies, visit, form)
    const reason = next.ended?.reason
    if (reason === 'locked' || reason === 'wrong_debtor') await rejectIntent(dependencies.database, visit, reason)
    return next
  } catch (error) {
    const code = refusalOf(error)?.code
    if (code === undefined || !isEndReason(code)) throw error
    const correction = correctionOf(code, state.step)
    return correction === undefined ? endedBy(state, code) : { ...state, errors: [correction] }
  }
}

async function submit(dependencies: JourneyDependencies, visit: Visit, form: Form): Promise<JourneyState> {
  const { database, config } = dependencies
  const { kind, journey } = visit
  const action = form.one('action')
  if (action === 'cancel') return cancelJourney(database, visit)
  if (journey.state.step === 'sign_in') return submitSignIn(database, visit, form)
  // Anything but the button that says so is no yes.
  if (isDecision(journey.state, form)) return submitDecision(dependencies, visit, form)
  if (journey.state.step !== 'second_factor') return journey.state
  const next = journeys[kind][journeys[kind].indexOf('second_factor') + 1] ?? 'finished'
  const { customer_data_keys: dataKey, pairwise_salt: salt } = config.SECRETS
  const { interaction, client } = visit
  const state = await submitSecondFactor(database, visit, form, {
    ...{ dataKey, next },
    isAskedOf: (customerId) => isAskedOf(interaction.params, client, { customerId, salt }),
  })
  return state.step === 'finished' ? decided(dependencies, { ...visit, journey: { ...journey, state } }) : state
}

/** Whoever answers a page first goes on from there. */
async function claim(
  tx: Transaction,
  { journeyKey, now }: Arrival,
  { pageNumber, unwritten }: { readonly pageNumber: number | undefined; readonly unwritten: Journey | undefined },
): Promise<Journey | undefined> {
  if (pageNumber === undefined) return undefined
  if (unwritten === undefined) return claimPage(tx, { ...journeyKey, pageNumber, now })
  return pageNumber === unwritten.pageNumber ? claimFirstPage(tx, { ...journeyKey, state: unwritten.state, now }) : undefined
}

const decisionSteps: ReadonlySet<Step> = new Set(['choose_accounts', 'confirm_payment'])
const isDecision = ({ step }: JourneyState, form: Form): boolean => decisionSteps.has(step) && form.one('action') === 'confirm'

/** An app of ours has no page of its own to agree on: who signed in for it has what it asks for (but no payment). */
async function decided(dependencies: JourneyDependencies, visit: Visit): Promise<JourneyState> {
  const { state } = visit.journey
  if (state.grantId !== undefined || state.ended !== undefined) return state
  if (visit.kind !== 'first_party') throw new Error('a consent needs its page')
  return submitDecision(dependencies, visit, noForm)
}

const keep = (tx: Transaction, { journeyKey, journey, now }: Visit, state: JourneyState): Promise<unknown> =>
  journey.unwritten
    ? beginJourney(tx, { ...journeyKey, state, now })
    : keepJourney(tx, { ...journeyKey, pageNumber: journey.pageNumber, state })

/** What was there when the journey began is not open any more: withdrawn, run out, or answered elsewhere. */
function goneBecause({ journey, consent, superseded }: Visit): EndReason | undefined {
  const { state } = journey
  if (state.step === 'ended' || state.step === 'finished') return undefined
  if (state.consentId !== undefined && consent === undefined) return 'consent_not_found'
  return grantGone({ journey, superseded })
}

const grantGone = ({ journey: { state }, superseded }: Pick<Visit, 'journey' | 'superseded'>): EndReason | undefined =>
  state.supersedes !== undefined && superseded === undefined ? 'grant_revoked' : undefined

function showEnd(ctx: Context, { interaction, client, kind }: Visit, reason: EndReason): void {
  answerProblem(
    ctx,
    { status: reason === 'locked' ? 429 : 400, situation: endings[reason].situation },
    { name: client.clientName, payment: kind === 'payment', backHref: `/interaction/${interaction.uid}/leave` },
  )
}
