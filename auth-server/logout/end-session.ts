import { randomBytes } from 'node:crypto'
import { donePage } from '@bankside/consent-ui/done'
import { signOutPage } from '@bankside/consent-ui/sign-out'
import { signOutTexts } from '@bankside/consent-ui/situations'
import type { Provider, Session } from 'oidc-provider'
import type { AuthServerDependencies } from '../app.ts'
import { forgetDashboard, mayBeSignedIn } from '../dashboard/dashboard-session.ts'
import { readAnyForm, readForm } from '../http/form.ts'
import { keyedSignatures } from '../http/keyed-signatures.ts'
import { answerPage, answerProblem, problems } from '../http/problem-answer.ts'
import type { Context, Next } from '../http/request-context.ts'
import { allowFormsTo } from '../http/security-headers.ts'
import { subjectTowards } from '../intents/requested-subject.ts'
import { commonOf } from '../page-frame.ts'
import { endBrowserSession } from './end-browser-session.ts'
import { type LogoutRequest, logoutResponseUri, readLogoutRequest } from './logout-request.ts'

export const endSessionPath = '/session/end'
const confirmPath = `${endSessionPath}/confirm`

/** Names the browser that was asked, and is not sent with what another site begins. */
const askedCookie = '__Host-bankside_sign_out'
const askedOptions = { httpOnly: true, secure: true, sameSite: 'strict', path: '/', signed: false, overwrite: true } as const
const askedBytes = 32

type Needs = AuthServerDependencies & { readonly provider: Provider }

/**
 * RP-Initiated Logout. A client that shows an ID token of the very session signs the customer out at once; anybody else can
 * only make the page appear that asks (LOGOUT-02). Nobody is sent to an address that their client did not register.
 */
export function endSession(provider: Provider, dependencies: AuthServerDependencies) {
  const needs: Needs = { ...dependencies, provider }
  return async (ctx: Context, next: Next): Promise<void> => {
    if (ctx.state.endpoint?.name === 'end_session') return begin(ctx, needs)
    if (ctx.state.endpoint?.name === 'end_session_confirm') return confirm(ctx, needs)
    return next()
  }
}

async function begin(ctx: Context, needs: Needs): Promise<void> {
  const sent = ctx.method === 'POST' ? await readAnyForm(ctx) : new URLSearchParams(ctx.querystring)
  if (sent === undefined) return answerProblem(ctx, problems.tooLarge)
  const request = await readLogoutRequest(sent, needs.provider)
  if (request === undefined) return answerProblem(ctx, problems.brokenRequest)
  const session = await needs.provider.Session.get(ctx as never)
  if (isOfSession(request, session, needs)) return signOut(ctx, request, session, needs)
  // A form of another site brings no cookie of ours: whether there is a session shows when the page is answered.
  const isNobodys = session.accountId === undefined && (request.hint !== undefined || !mayBeSignedIn(ctx))
  if (isNobodys && ctx.method === 'GET') return answerSignedOut(ctx, request)
  ask(ctx, request, needs)
}

/** The hint is of the customer who is signed in, and of this session where it names one: not of another of theirs. */
function isOfSession({ hint, client }: LogoutRequest, session: Session, { config }: Needs): boolean {
  if (hint === undefined || client === undefined || session.accountId === undefined) return false
  if (hint.subject !== subjectTowards(client, session.accountId, config.SECRETS.pairwise_salt)) return false
  return hint.sid === undefined || hint.sid === session.sidFor(client.clientId)
}

function ask(ctx: Context, { client, redirectUri, state }: LogoutRequest, { config }: Needs): void {
  const asked = randomBytes(askedBytes).toString('base64url')
  ctx.cookies.set(askedCookie, asked, askedOptions)
  const fields = {
    ...(client && { client_id: client.clientId }),
    ...(redirectUri && { post_logout_redirect_uri: redirectUri }),
    ...(state && { state }),
  }
  if (redirectUri !== undefined) allowFormsTo(ctx as never, new URL(redirectUri).origin)
  const pageToken = keyedSignatures(config.SECRETS.form_keys).sign(signedOver(asked, new URLSearchParams(fields)))
  answerPage(ctx, signOutPage({ common: commonOf(client?.clientName), formAction: confirmPath, pageToken, fields }))
}

const signedOver = (asked: string, sent: URLSearchParams): string =>
  JSON.stringify(['sign out', asked, ...['client_id', 'post_logout_redirect_uri', 'state'].map((name) => sent.get(name))])

async function confirm(ctx: Context, needs: Needs): Promise<void> {
  const form = await readForm(ctx, needs.config.ISSUER)
  if (form === undefined) return
  const sent = new URLSearchParams(form.entries('client_id', 'post_logout_redirect_uri', 'state'))
  const asked = ctx.cookies.get(askedCookie, { signed: false }) ?? ''
  if (!keyedSignatures(needs.config.SECRETS.form_keys).verify(signedOver(asked, sent), form.one('page_token')))
    return answerProblem(ctx, problems.oldPage)
  const request = await readLogoutRequest(sent, needs.provider)
  if (request === undefined) return answerProblem(ctx, problems.brokenRequest)
  if (form.one('action') !== 'confirm') return answerStayed(ctx, request)
  ctx.cookies.set(askedCookie, null, askedOptions)
  await signOut(ctx, request, await needs.provider.Session.get(ctx as never), needs)
}

async function signOut(ctx: Context, request: LogoutRequest, session: Session, needs: Needs): Promise<void> {
  const now = needs.clock.now()
  await endBrowserSession(ctx, session, { ...needs, now })
  await forgetDashboard(ctx, needs.database)
  needs.metrics.journeys.inc({ kind: 'sign_out', outcome: request.client === undefined ? 'by_customer' : 'by_client' })
  const uri = logoutResponseUri(request)
  if (uri === undefined) return answerSignedOut(ctx, request)
  ctx.status = 303
  ctx.redirect(uri)
}

/** Nobody is signed in (any more). A client that proved itself by its hint has the customer back at once, another by a link. */
function answerSignedOut(ctx: Context, request: LogoutRequest): void {
  const uri = logoutResponseUri(request)
  if (uri !== undefined && request.hint !== undefined) {
    ctx.status = 303
    ctx.redirect(uri)
    return
  }
  const common = commonOf(uri === undefined ? undefined : request.client?.clientName)
  answerPage(ctx, donePage({ common, ...signOutTexts({ signedOut: true }), continueHref: uri }))
}

function answerStayed(ctx: Context, { client }: LogoutRequest): void {
  const common = commonOf(client?.clientName)
  answerPage(
    ctx,
    donePage({ common: { ...common, thirdParty: undefined }, ...signOutTexts({ signedOut: false }), continueHref: '/connected-accounts' }),
  )
}
