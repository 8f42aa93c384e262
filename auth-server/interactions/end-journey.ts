import { rejectConsent } from '@bankside/bank/consents/reject-consent'
import { pageVersion } from '@bankside/consent-ui/page-version'
import { type Database, type Transaction, transact } from '@bankside/service-kit/postgres'
import type { Decider } from './decide-step.ts'
import { type EndReason, endings } from './endings.ts'
import type { JourneyState } from './journey.ts'
import type { Visit } from './visit.ts'

/** There is no way on: the page says why, and leads back to the third party. */
export const endedBy = ({ errors: _shown, ...state }: JourneyState, reason: EndReason): JourneyState => ({
  ...state,
  step: 'ended',
  ended: { reason, error: endings[reason].error },
})

/** What the consent becomes when its journey ends without a yes (requirements, section 5.11). Of any other ending it takes no notice. */
const rejections = {
  cancelled: { reasonCode: 'U036', description: 'The customer did not complete the authorisation' },
  locked: { reasonCode: 'U037', description: 'The customer could not be authenticated' },
  wrong_debtor: { reasonCode: 'AC01', description: 'The account to pay from cannot be used for this payment' },
} as const
export type Rejection = keyof typeof rejections

export async function rejectIntent(database: Database, visit: Decider, why: Rejection): Promise<void> {
  if (visit.consent !== undefined) await transact(database, (tx) => rejectWithin(tx, visit, why))
}

/** The same, together with whatever else ends. */
export async function rejectWithin(
  tx: Transaction,
  { consent, client, journey, requestId, now, userAgent }: Decider,
  why: Rejection,
): Promise<void> {
  if (consent === undefined) return
  const evidence = { page: journey.state.step, pages: pageVersion, answered: why, locale: 'en-GB', device: userAgent }
  await rejectConsent(tx, { consentId: consent.id, clientId: client.clientId, ...rejections[why], interactionId: requestId, evidence, now })
}

/** The customer says no to the whole (CX-07). */
export async function cancelJourney(database: Database, visit: Visit): Promise<JourneyState> {
  await rejectIntent(database, visit, 'cancelled')
  const { errors: _shown, ...state } = visit.journey.state
  return { ...state, step: 'finished', ended: { reason: 'cancelled', error: endings.cancelled.error } }
}
