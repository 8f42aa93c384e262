import { revokeConsent } from '@bankside/bank/consents/revoke-consent'
import { refusalOf } from '@bankside/bank/refusal'
import { transact } from '@bankside/service-kit/postgres'
import type { Provider } from 'oidc-provider'
import type { AuthServerDependencies } from '../app.ts'
import type { Form } from '../http/form.ts'
import { answerPage, answerProblem, problems } from '../http/problem-answer.ts'
import type { Context, Next } from '../http/request-context.ts'
import { seeOther } from '../http/see-other.ts'
import { endBrowserSession } from '../logout/end-browser-session.ts'
import { type DashboardVisit, dashboardPages, limitsHref, overviewHref, purposes, signInHref } from './dashboard-pages.ts'
import { endSession, isActionToken } from './dashboard-session.ts'
import { dashboardSignIn } from './dashboard-sign-in.ts'
import { changeLimits } from './limits-page.ts'
import { answerProof } from './payment-proof.ts'
import { signedInRequest } from './signed-in-request.ts'

type DashboardDependencies = AuthServerDependencies & { readonly provider: Provider }

/** Who has access to what, and the way to stop it (DB-01 to DB-05). */
export function dashboard(dependencies: DashboardDependencies) {
  const signIn = dashboardSignIn(dependencies)
  return async (ctx: Context, next: Next): Promise<void> => {
    const route = ctx.state.endpoint?.name ?? ''
    if (route === 'dashboard_sign_in') return signIn(ctx)
    if (!(route in dashboardPages) && !isActRoute(route) && route !== 'dashboard_proof') return next()
    try {
      await serve(ctx, route, dependencies)
    } catch (error) {
      // Unknown, another customer's, or over: one answer.
      if (refusalOf(error) === undefined) throw error
      answerProblem(ctx, problems.notFound, { backHref: overviewHref })
    }
  }
}

type Act = (ctx: Context, visit: DashboardVisit, form: Form, dependencies: DashboardDependencies) => Promise<string>

/** What each form does, and where it leads. */
const acts: Readonly<Record<keyof typeof purposes, Act>> = {
  dashboard_consent: async (ctx) => `${ctx.path}/stop`,
  dashboard_stop: stopAccess,
  dashboard_limits: async (_ctx, { session, now }, form, { database }) =>
    `${limitsHref}?said=${await transact(database, (tx) => changeLimits(tx, form, { ...session, now }))}`,
  async dashboard_sign_out(ctx, { session, now }, _form, { provider, database }) {
    await endSession(ctx, database, session)
    // Whoever signs out here does not expect to be known to the next company that sends them.
    await endBrowserSession(ctx, await provider.Session.get(ctx as never), { provider, database, now })
    return signInHref
  },
}

const isActRoute = (route: string): route is keyof typeof acts => route in acts

async function serve(ctx: Context, route: string, dependencies: DashboardDependencies): Promise<void> {
  const request = await signedInRequest(ctx, dependencies)
  if (request === undefined) return
  const { form, ...looking } = request
  const [, , consentId = ''] = ctx.path.split('/')
  const visit: DashboardVisit = { ...looking, consentId, stopped: ctx.query['stopped'], said: ctx.query['said'] }
  if (route === 'dashboard_proof') return answerProof(ctx, visit, dependencies.database)
  const page = dashboardPages[route]
  if (form === undefined) return page && answerPage(ctx, await transact(dependencies.database, (tx) => page(tx, visit)))
  if (!isActRoute(route) || !isActionToken(visit.formKeys, visit.session, purposes[route](visit), form.one('page_token')))
    return answerProblem(ctx, problems.foreignForm, { backHref: overviewHref })
  seeOther(ctx, await acts[route](ctx, visit, form, dependencies))
}

async function stopAccess(
  ctx: Context,
  { session, consentId, now }: DashboardVisit,
  form: Form,
  { database, metrics }: AuthServerDependencies,
): Promise<string> {
  if (form.one('action') !== 'confirm') return `${overviewHref}/${consentId}`
  await transact(database, (tx) => revokeConsent(tx, { consentId, ...session, interactionId: ctx.state.requestId, now }))
  metrics.journeys.inc({ kind: 'dashboard', outcome: 'stopped' })
  return `${overviewHref}?stopped=${consentId}`
}
