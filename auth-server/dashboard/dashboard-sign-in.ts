import { secondFactorPage } from '@bankside/consent-ui/second-factor'
import { signInPage } from '@bankside/consent-ui/sign-in'
import { outsideTransaction } from '@bankside/service-kit/postgres'
import type { AuthServerDependencies } from '../app.ts'
import { readForm } from '../http/form.ts'
import { answerPage, answerProblem, problems } from '../http/problem-answer.ts'
import type { Context } from '../http/request-context.ts'
import { beginJourney, claimPage, type Journey, keepJourney, pageNumberOf, pageToken, touchJourney } from '../interactions/journey.ts'
import { submitSecondFactor, submitSignIn } from '../interactions/sign-in-step.ts'
import { commonOf } from '../page-frame.ts'
import { storedSeals } from '../storage/stored-seals.ts'
import { beginSession, signInId } from './dashboard-session.ts'

const signInPath = '/connected-accounts/sign-in'

/** The same two pages as on the way to a third party, with the same limits; at the end there is a session of the dashboard's own. */
export function dashboardSignIn({ config, database, clock, metrics }: AuthServerDependencies) {
  const { form_keys: formKeys, customer_data_keys: dataKey } = config.SECRETS
  const seals = storedSeals(config.SECRETS.seal_keys)
  const journeyOf = (id: string) => `dashboard ${id}`

  /** A way through sign-in leads to a session once: whoever comes back to one that did, or knows its cookie, begins anew. */
  async function open(ctx: Context, now: Date, begin: 'unless begun' | 'anew' = 'unless begun'): Promise<Journey & { uid: string }> {
    const uid = journeyOf(signInId(ctx, { begin }) ?? '')
    const journey = await outsideTransaction(
      database,
      async (tx) =>
        (await touchJourney(tx, { interactionUid: uid, seals, now })) ??
        (await beginJourney(tx, { interactionUid: uid, seals, state: { step: 'sign_in' }, now })),
    )
    return journey.state.step === 'finished' ? open(ctx, now, 'anew') : { uid, ...journey }
  }

  async function show(ctx: Context): Promise<void> {
    const now = clock.now()
    const { uid, pageNumber, state } = await open(ctx, now)
    if (state.step === 'ended') return answerProblem(ctx, { status: 429, situation: 'locked' })
    const page = { common: commonOf(), formAction: signInPath, pageToken: pageToken(formKeys, uid, pageNumber), errors: state.errors }
    if (state.step !== 'second_factor')
      return answerPage(ctx, signInPage({ ...page, username: state.username, cancel: false, context: { kind: 'dashboard' } }))
    answerPage(ctx, secondFactorPage({ ...page, expiresAt: new Date(state.challengeExpiresAt ?? now), cancel: false }))
  }

  async function answer(ctx: Context): Promise<void> {
    const form = await readForm(ctx, config.ISSUER)
    if (form === undefined) return
    const uid = journeyOf(signInId(ctx, { begin: 'never' }) ?? '')
    const now = clock.now()
    const pageNumber = pageNumberOf(formKeys, uid, form.one('page_token'))
    const journey =
      pageNumber && (await outsideTransaction(database, (tx) => claimPage(tx, { interactionUid: uid, seals, pageNumber, now })))
    if (!journey || journey.state.step === 'finished' || journey.state.step === 'ended')
      return answerProblem(ctx, problems.oldPage, { backHref: signInPath })
    const signingIn = { journey, consent: undefined, requestId: ctx.state.requestId, now }
    const next =
      journey.state.step === 'second_factor'
        ? await submitSecondFactor(database, signingIn, form, { dataKey, next: 'finished' })
        : await submitSignIn(database, signingIn, form)
    await outsideTransaction(database, (tx) => keepJourney(tx, { interactionUid: uid, seals, pageNumber: journey.pageNumber, state: next }))
    if (next.step === 'finished' && next.customerId !== undefined) await beginSession(ctx, { database, seals }, next.customerId, now)
    if (next.step === 'finished' || next.step === 'ended')
      metrics.journeys.inc({ kind: 'dashboard', outcome: next.ended?.reason ?? 'signed_in' })
    ctx.status = 303
    ctx.redirect(next.step === 'finished' ? '/connected-accounts' : signInPath)
  }

  return (ctx: Context): Promise<void> => (ctx.method === 'POST' ? answer(ctx) : show(ctx))
}
