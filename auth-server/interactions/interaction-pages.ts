import { refusalOf } from '@bankside/bank/refusal'
import { transact } from '@bankside/service-kit/postgres'
import type { InteractionResults, Provider } from 'oidc-provider'
import type { AuthServerDependencies } from '../app.ts'
import { type Form, readForm } from '../http/form.ts'
import { answerPage, answerProblem, problems } from '../http/problem-answer.ts'
import type { Context, Next } from '../http/request-context.ts'
import { setContentSecurityPolicy } from '../http/security-headers.ts'
import { acrOfSca, amrOfSca } from '../intents/requested-claims.ts'
import { submitDecision } from './decide-step.ts'
import { cancelJourney, endedBy, rejectIntent } from './end-journey.ts'
import { correctionOf, type EndReason, endings, isEndReason } from './endings.ts'
import { claimPage, type JourneyState, keepJourney, pageNumberOf } from './journey.ts'
import { renderStep } from './journey-pages.ts'
import { submitSecondFactor, submitSignIn } from './sign-in-step.ts'
import { findVisit, journeys, type Visit } from './visit.ts'

/** GET shows the page that the journey is at; POST answers it and leads on; `leave` goes back to the third party from an end. */
export function interactionPages(provider: Provider, dependencies: AuthServerDependencies) {
  const { config, database, metrics } = dependencies
  const { SECRETS: secrets } = config
  const audiences = { ukOpenBanking: config.UK_AUDIENCE, bankApi: config.BANK_AUDIENCE }

  async function show(ctx: Context): Promise<void> {
    const visit = await findVisit(ctx, provider, dependencies)
    const { state } = visit.journey
    if (isGone(visit)) await keep(visit, endedBy(state, 'consent_not_found'))
    if (state.step === 'ended' || isGone(visit)) return showEnd(ctx, visit, state.ended?.reason ?? 'consent_not_found')
    if (state.step === 'finished') return finish(ctx, visit, await finished(visit))
    await setContentSecurityPolicy(ctx as never, new URL(String(visit.interaction.params['redirect_uri'])).origin)
    answerPage(ctx, await transact(database, (tx) => renderStep(tx, visit, secrets.form_key)))
  }

  async function answer(ctx: Context): Promise<void> {
    const form = await readForm(ctx, config.ISSUER)
    if (form === undefined) return
    const found = await findVisit(ctx, provider, dependencies)
    const { uid } = found.interaction
    const pageNumber = pageNumberOf(secrets.form_key, uid, form.one('page_token'))
    const journey = pageNumber && (await transact(database, (tx) => claimPage(tx, { interactionUid: uid, pageNumber, now: found.now })))
    if (!journey || journey.state.step === 'ended' || journey.state.step === 'finished')
      return answerProblem(ctx, problems.oldPage, { backHref: ctx.path })
    const visit: Visit = { ...found, journey }
    const next = await reached(visit, form)
    await keep(visit, next)
    if (next.step === 'finished') return finish(ctx, { ...visit, journey: { ...journey, state: next } }, next)
    ctx.status = 303
    ctx.redirect(ctx.path)
  }

  /** What the answer leads to. A no of the bank's becomes a message on the page or the end of the journey; nothing is half done. */
  async function reached(visit: Visit, form: Form): Promise<JourneyState> {
    try {
      if (isGone(visit)) return endedBy(visit.journey.state, 'consent_not_found')
      const next = await submit(visit, form)
      if (next.ended?.reason === 'locked' || next.ended?.reason === 'wrong_debtor') await rejectIntent(database, visit, next.ended.reason)
      return next
    } catch (error) {
      const code = refusalOf(error)?.code
      if (code === undefined || !isEndReason(code)) throw error
      const { state } = visit.journey
      const correction = correctionOf(code, state.step)
      return correction === undefined ? endedBy(state, code) : { ...state, errors: [correction] }
    }
  }

  async function submit(visit: Visit, form: Form): Promise<JourneyState> {
    if (form.one('action') === 'cancel') return cancelJourney(database, visit)
    const { step } = visit.journey.state
    if (step === 'sign_in') return submitSignIn(database, visit, form)
    if (step !== 'second_factor')
      return form.one('action') === 'confirm' ? submitDecision({ provider, database, audiences }, visit, form) : visit.journey.state
    const { kind } = visit
    const next = await submitSecondFactor(database, visit, form, {
      dataKey: secrets.customer_data_key,
      next: journeys[kind][journeys[kind].indexOf('second_factor') + 1] ?? 'finished',
    })
    return next.step === 'finished' ? finished({ ...visit, journey: { ...visit.journey, state: next } }) : next
  }

  /** An app of ours has no page of its own to agree on: who signed in for it has what it asks for (but no payment). */
  async function finished(visit: Visit): Promise<JourneyState> {
    const { state } = visit.journey
    if (state.grantId !== undefined || state.ended !== undefined) return state
    if (visit.kind !== 'first_party') throw new Error('a consent needs its page')
    return submitDecision({ provider, database, audiences }, visit, noForm)
  }

  async function leave(ctx: Context): Promise<void> {
    const visit = await findVisit(ctx, provider, dependencies)
    const { state } = visit.journey
    if (state.ended === undefined) return answerProblem(ctx, problems.oldPage, { backHref: ctx.path.replace(/\/leave$/, '') })
    return finish(ctx, visit, state)
  }

  async function finish(ctx: Context, { interaction, kind }: Visit, state: JourneyState): Promise<void> {
    metrics.journeys.inc({ kind, outcome: state.ended?.reason ?? 'authorised' })
    if (
      state.customerId !== undefined &&
      interaction.session?.accountId !== undefined &&
      interaction.session.accountId !== state.customerId
    )
      await forgetOtherCustomer(ctx, interaction)
    ctx.status = 303
    ctx.redirect(await provider.interactionResult(ctx.req, ctx.res, resultOf(state), { mergeWithLastSubmission: false }))
  }

  /** Somebody else had a session in this browser: it ends, or the library would ask by a page with a script whether it should. */
  async function forgetOtherCustomer(ctx: Context, interaction: Visit['interaction']): Promise<void> {
    await (await provider.Session.get(ctx as never)).destroy()
    interaction.session = undefined
    await interaction.persist()
  }

  const keep = ({ interaction, journey }: Visit, state: JourneyState): Promise<void> =>
    transact(database, (tx) => keepJourney(tx, { interactionUid: interaction.uid, pageNumber: journey.pageNumber, state }))

  return async (ctx: Context, next: Next): Promise<void> => {
    if (ctx.state.endpoint?.name === 'leave') return leave(ctx)
    if (ctx.state.endpoint?.name !== 'interaction') return next()
    return ctx.method === 'POST' ? answer(ctx) : show(ctx)
  }
}

const noForm: Form = { one: () => '', all: () => [] }

/** The consent was there when the journey began, and is not open any more: withdrawn, run out, or answered elsewhere. */
const isGone = ({ journey: { state }, consent }: Visit): boolean =>
  state.consentId !== undefined && consent === undefined && state.step !== 'ended' && state.step !== 'finished'

function showEnd(ctx: Context, { interaction, client, kind }: Visit, reason: EndReason): void {
  answerProblem(
    ctx,
    { status: reason === 'locked' ? 429 : 400, situation: endings[reason].situation },
    { name: client.clientName, payment: kind === 'payment', backHref: `/interaction/${interaction.uid}/leave` },
  )
}

function resultOf({ ended, customerId, authenticatedAt, grantId }: JourneyState): InteractionResults {
  if (ended !== undefined) return { error: ended.error, error_description: 'the customer did not authorise the request' }
  if (customerId === undefined || authenticatedAt === undefined || grantId === undefined) throw new Error('the journey is not at its end')
  const login = { accountId: customerId, acr: acrOfSca, amr: amrOfSca, ts: authenticatedAt, remember: false }
  return { login, consent: { grantId } }
}
