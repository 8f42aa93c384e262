import type { InteractionResults } from 'oidc-provider'
import { cookieNames } from '../http/cookie-names.ts'
import { keyedSignatures } from '../http/keyed-signatures.ts'
import type { Context, Next } from '../http/request-context.ts'
import { acrOfSca, amrOfSca } from '../intents/requested-claims.ts'
import { endReplacedSession } from '../logout/end-browser-session.ts'
import type { JourneyDependencies } from './interaction-pages.ts'
import type { JourneyState } from './journey.ts'
import { goesOnWith } from './read-once.ts'
import { replacesSession, sessionUidAfter, type Visit } from './visit.ts'

/**
 * On to the library, which makes the answer to the third party of it and redirects there. Doing it again does it again, for as
 * long as the library has not begun with it: what the journey came to is kept with the journey.
 *
 * @param next Leads to the library.
 */
export async function finishJourney(
  ctx: Context,
  visit: Visit,
  state: JourneyState,
  { metrics, provider, database, config }: JourneyDependencies,
  next: Next,
): Promise<void> {
  const { interaction, client, session, kind, granted, now } = visit
  metrics.journeys.inc({ kind, outcome: state.ended?.reason ?? 'authorised' })
  const { customerId } = state
  const sessionUid = customerId === undefined ? session.uid : sessionUidAfter(visit, customerId)
  if (customerId !== undefined && replacesSession(visit, customerId)) {
    // Or the library would ask by a page with a script whether the other's session should end.
    await endReplacedSession(session, { provider, database, now })
    interaction.session = undefined
  }
  interaction.result = resultOf(state)
  goesOnWith(ctx, { interaction, client, session, sessionUid, grant: granted.grant })
  await resume(ctx, new URL(interaction.returnTo).pathname, { uid: interaction.uid, cookieKeys: config.SECRETS.cookie_keys }, next)
}

/**
 * As if the browser had been sent to where the library waits for it, one redirect earlier. The library knows it there by a cookie
 * that is sent to no other path: whoever holds the cookie of the journey was given both at once.
 */
async function resume(
  ctx: Context,
  path: string,
  { uid, cookieKeys }: { readonly uid: string; readonly cookieKeys: readonly string[] },
  next: Next,
): Promise<void> {
  const { method, path: here } = ctx
  const cookie = `${cookieNames.resume}=${uid}`
  const signature = `${cookieNames.resume}.sig=${keyedSignatures(cookieKeys).sign(cookie)}`
  ctx.req.headers.cookie = [cookie, signature, ctx.get('cookie')].join('; ')
  ctx.method = 'GET'
  ctx.path = path
  try {
    await next()
  } finally {
    ctx.method = method
    ctx.path = here
  }
}

function resultOf({ ended, customerId, authenticatedAt, grantId }: JourneyState): InteractionResults {
  if (ended !== undefined) return { error: ended.error, error_description: 'the customer did not authorise the request' }
  if (customerId === undefined || authenticatedAt === undefined || grantId === undefined) throw new Error('the journey is not at its end')
  const login = { accountId: customerId, acr: acrOfSca, amr: amrOfSca, ts: authenticatedAt, remember: false }
  return { login, consent: { grantId } }
}
