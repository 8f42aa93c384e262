import { getCustomerConsent, listCustomerConsents } from '@bankside/bank/consents/list-customer-consents'
import { revokeConsent } from '@bankside/bank/consents/revoke-consent'
import { getProfile } from '@bankside/bank/customers/get-profile'
import { refusalOf } from '@bankside/bank/refusal'
import { connectedAccountPage } from '@bankside/consent-ui/connected-account'
import { connectedAccountsPage } from '@bankside/consent-ui/connected-accounts'
import { stopAccessPage } from '@bankside/consent-ui/stop-access'
import type { Html } from '@bankside/service-kit/html'
import { type Transaction, transact } from '@bankside/service-kit/postgres'
import type { AuthServerDependencies } from '../app.ts'
import { commonOf } from '../common-view.ts'
import { readForm } from '../http/form.ts'
import { answerPage, answerProblem, problems } from '../http/problem-answer.ts'
import type { Context, Next } from '../http/request-context.ts'
import { accountsOf, detailOf, hrefOf, namesOf, summaryOf } from './consent-views.ts'
import { actionToken, type DashboardSession, endSession, findSession, isActionToken } from './dashboard-session.ts'
import { dashboardSignIn } from './dashboard-sign-in.ts'

const overviewHref = '/connected-accounts'
const signInHref = `${overviewHref}/sign-in`
const signOutHref = `${overviewHref}/sign-out`

/** Who has access to what, and the way to stop it (DB-01 to DB-05). */
export function dashboard(dependencies: AuthServerDependencies) {
  const { config, database, clock, metrics } = dependencies
  const { form_key: formKey } = config.SECRETS
  const signIn = dashboardSignIn(dependencies)

  type Visit = { readonly session: DashboardSession; readonly now: Date }
  type Page = (tx: Transaction, ctx: Context, visit: Visit) => Promise<Html>

  const frame = async (tx: Transaction, session: DashboardSession) => ({
    common: commonOf(undefined, (await getProfile(tx, session.customerId))?.fullName),
    signOut: { formAction: signOutHref, pageToken: actionToken(formKey, session, 'sign out') },
  })

  const overview: Page = async (tx, ctx, { session, now }) => {
    const [given, accounts] = [await listCustomerConsents(tx, { ...session, now }), await accountsOf(tx, session.customerId)]
    const stopped = given.find(({ consent, active }) => !active && consent.id === ctx.query['stopped'])
    const summaries = (active: boolean) => given.filter((one) => one.active === active).map((one) => summaryOf(one, accounts))
    return connectedAccountsPage({
      ...(await frame(tx, session)),
      active: summaries(true),
      inactive: summaries(false),
      ...(stopped && { notifications: [`You stopped access for ${stopped.clientName}.`] }),
    })
  }

  const detail: Page = async (tx, ctx, { session, now }) => {
    const given = await getCustomerConsent(tx, { consentId: consentIdIn(ctx), ...session, now })
    const stoppable = given.active && given.consent.kind === 'account_access'
    return connectedAccountPage({
      ...(await frame(tx, session)),
      ...detailOf(given, await accountsOf(tx, session.customerId)),
      overviewHref,
      ...(stoppable && { stop: { formAction: hrefOf(given), pageToken: actionToken(formKey, session, given.consent.id) } }),
    })
  }

  const stopPage: Page = async (tx, ctx, { session, now }) => {
    const given = await getCustomerConsent(tx, { consentId: consentIdIn(ctx), ...session, now })
    return stopAccessPage({
      ...(await frame(tx, session)),
      formAction: `${hrefOf(given)}/stop`,
      pageToken: actionToken(formKey, session, `stop ${given.consent.id}`),
      thirdPartyName: given.clientName,
      accounts: namesOf(given, await accountsOf(tx, session.customerId)),
    })
  }

  /** What a form does, and where it leads; the token says which form it was. */
  type Act = { readonly token: (ctx: Context) => string; readonly run: (ctx: Context, visit: Visit, action: string) => Promise<string> }
  const acts: Readonly<Record<string, Act>> = {
    dashboard_consent: { token: consentIdIn, run: async (ctx) => `${ctx.path}/stop` },
    dashboard_stop: {
      token: (ctx) => `stop ${consentIdIn(ctx)}`,
      async run(ctx, { session, now }, action) {
        const consentId = consentIdIn(ctx)
        if (action !== 'confirm') return `${overviewHref}/${consentId}`
        await transact(database, (tx) => revokeConsent(tx, { consentId, ...session, interactionId: ctx.state.requestId, now }))
        metrics.journeys.inc({ kind: 'dashboard', outcome: 'stopped' })
        return `${overviewHref}?stopped=${consentId}`
      },
    },
    dashboard_sign_out: {
      token: () => 'sign out',
      async run(ctx, { session }) {
        await endSession(ctx, database, session)
        return signInHref
      },
    },
  }
  const pages: Readonly<Record<string, Page>> = { dashboard: overview, dashboard_consent: detail, dashboard_stop: stopPage }

  async function serve(ctx: Context, route: string): Promise<void> {
    const form = ctx.method === 'POST' ? await readForm(ctx, config.ISSUER) : undefined
    if (ctx.method === 'POST' && form === undefined) return
    const now = clock.now()
    const session = await findSession(ctx, database, now)
    if (session === undefined) return redirect(ctx, signInHref)
    const page = pages[route]
    if (form === undefined) return page && answerPage(ctx, await transact(database, (tx) => page(tx, ctx, { session, now })))
    const act = acts[route]
    if (act === undefined || !isActionToken(formKey, session, act.token(ctx), form.one('page_token')))
      return answerProblem(ctx, problems.foreignForm, { backHref: overviewHref })
    redirect(ctx, await act.run(ctx, { session, now }, form.one('action')))
  }

  return async (ctx: Context, next: Next): Promise<void> => {
    const route = ctx.state.endpoint?.name ?? ''
    if (route === 'dashboard_sign_in') return signIn(ctx)
    if (!(route in pages) && !(route in acts)) return next()
    try {
      await serve(ctx, route)
    } catch (error) {
      // Unknown, another customer's, or over: one answer.
      if (refusalOf(error) === undefined) throw error
      answerProblem(ctx, problems.notFound, { backHref: overviewHref })
    }
  }
}

const consentIdIn = (ctx: Context): string => ctx.path.split('/')[2] ?? ''

function redirect(ctx: Context, href: string): void {
  ctx.status = 303
  ctx.redirect(href)
}
