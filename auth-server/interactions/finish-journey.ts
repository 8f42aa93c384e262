import type { InteractionResults } from 'oidc-provider'
import type { Context } from '../http/request-context.ts'
import { acrOfSca, amrOfSca } from '../intents/requested-claims.ts'
import { endReplacedSession } from '../logout/end-browser-session.ts'
import type { JourneyDependencies } from './interaction-pages.ts'
import type { JourneyState } from './journey.ts'
import type { Visit } from './visit.ts'

/** Back to the library, which makes the answer to the third party of it and redirects there. Doing it again does it again. */
export async function finishJourney(
  ctx: Context,
  { interaction, session, kind, now }: Visit,
  state: JourneyState,
  { metrics, provider, database }: JourneyDependencies,
): Promise<void> {
  metrics.journeys.inc({ kind, outcome: state.ended?.reason ?? 'authorised' })
  // When the journey began, and now: somebody may have signed in in another tab meanwhile.
  const known = [interaction.session?.accountId, session.accountId].filter((customer) => customer !== undefined)
  if (state.customerId !== undefined && known.some((customer) => customer !== state.customerId)) {
    // Or the library would ask by a page with a script whether the other's session should end.
    await endReplacedSession(session, { provider, database, now })
    interaction.session = undefined
  }
  interaction.result = resultOf(state)
  await interaction.persist()
  ctx.status = 303
  ctx.redirect(interaction.returnTo)
}

function resultOf({ ended, customerId, authenticatedAt, grantId }: JourneyState): InteractionResults {
  if (ended !== undefined) return { error: ended.error, error_description: 'the customer did not authorise the request' }
  if (customerId === undefined || authenticatedAt === undefined || grantId === undefined) throw new Error('the journey is not at its end')
  const login = { accountId: customerId, acr: acrOfSca, amr: amrOfSca, ts: authenticatedAt, remember: false }
  return { login, consent: { grantId } }
}
