import { appendAudit } from '@bankside/bank/audit/append-audit'
import { recordEvent } from '@bankside/bank/events/record-event'
import { type Database, sql, type Transaction, transact } from '@bankside/service-kit/postgres'
import type { Grant, Provider } from 'oidc-provider'
import type { Config } from '../config.ts'
import type { Form } from '../http/form.ts'
import { acrOfSca, amrOfSca } from '../intents/requested-claims.ts'
import { authorise, confirmedIn, signedIn } from '../interactions/decide-step.ts'
import { endedBy, type Rejection, rejectWithin } from '../interactions/end-journey.ts'
import { saveGrant } from '../interactions/grant.ts'
import { type JourneyState, keepJourney } from '../interactions/journey.ts'
import { isFirstParty } from '../storage/client-storage.ts'
import { lockOpenPrompt, type Outcome } from './prompt.ts'
import type { PromptVisit } from './prompt-visit.ts'
import { answerPlace } from './sealed-places.ts'

type Deciding = { readonly provider: Provider; readonly database: Database; readonly config: Config }

/** The customer says yes: the consent, the request and the pages move together, and the client is called after that, or nothing happens. */
export async function approvePrompt({ provider, database, config }: Deciding, visit: PromptVisit, form: Form): Promise<JourneyState> {
  const { client, consent, journey, prompt, now } = visit
  const { errors: _shown, ...state } = journey.state
  const customerId = signedIn(state)
  const accountIds = form.all('account')
  const order = { params: prompt.params, clientId: client.clientId, customerId, consent, accountIds, firstParty: isFirstParty(client), now }
  const grant = await saveGrant(provider, config, order)
  try {
    const next = await transact(database, async (tx): Promise<JourneyState> => {
      const standing = await lockOpenPrompt(tx, { ...prompt, customerId, now })
      if (standing !== 'open') return notOpen(state, standing)
      const outcome =
        consent === undefined
          ? 'authorised'
          : await authorise(tx, visit, { customerId, accountIds, confirmedLimits: confirmedIn(form), grantId: grant.jti })
      if (outcome === 'rejected') {
        await decide(tx, visit, { outcome: 'denied', answer: denial })
        return endedBy(state, 'wrong_debtor')
      }
      await decide(tx, visit, { outcome: 'approved', grantId: grant.jti, answer: approval(grant, visit) })
      return { ...state, step: 'finished', grantId: grant.jti }
    })
    if (next.grantId === undefined) await grant.destroy()
    return next
  } catch (error) {
    await grant.destroy()
    throw error
  }
}

/** The customer says no, or cannot say yes: the client is told `access_denied`, once it asks. */
export async function denyPrompt(
  database: Database,
  visit: PromptVisit,
  why: Rejection | 'gone',
): Promise<'open' | 'answered' | 'ran_out'> {
  const { prompt, session, now } = visit
  return transact(database, async (tx) => {
    const standing = await lockOpenPrompt(tx, { ...prompt, customerId: session.customerId, now })
    if (standing !== 'open') return standing
    if (why !== 'gone') await rejectWithin(tx, visit, why)
    await decide(tx, visit, { outcome: 'denied', answer: denial })
    return standing
  })
}

export const notOpen = (state: JourneyState, standing: 'answered' | 'ran_out'): JourneyState =>
  endedBy(state, standing === 'answered' ? 'answered_elsewhere' : 'ran_out')

const denial = { error: 'access_denied', errorDescription: 'the customer did not authorise the request' }

/** What tokens are issued from. Only who asked with details is told details. */
const approval = ({ jti, rar }: Grant, { prompt, journey }: PromptVisit) => ({
  grantId: jti,
  acr: acrOfSca,
  amr: amrOfSca,
  authTime: journey.state.authenticatedAt,
  ...(prompt.params.authorization_details !== undefined && { rar }),
})

type Decision = {
  readonly outcome: Exclude<Outcome, 'expired'>
  readonly grantId?: string
  readonly answer: Readonly<Record<string, unknown>>
}

/** How long a client that is called may fetch the answer, also when the customer answered at the last moment. */
const fetchableSeconds = 60

async function decide(tx: Transaction, visit: PromptVisit, { outcome, grantId, answer }: Decision): Promise<void> {
  const { prompt, session, requestId: interactionId, userAgent, journey, now } = visit
  const { requestId: subject, clientId, consentId, bindingMessage } = prompt
  const time = sql.timestamp(now)
  const sealed = visit.journeyKey.seals.seal(answerPlace(prompt.idHash), JSON.stringify(answer))
  await tx.query(sql.unsafe`
    update oidc.backchannel_authentication_request set
      outcome = ${outcome}, decided_at = ${time}, grant_id = ${grantId ?? null}, answer = ${sealed}
    where request_id = ${subject} and outcome is null`)
  await tx.query(sql.unsafe`
    update oidc.backchannel_notification set
      next_attempt_at = ${time}, expires_at = greatest(expires_at, ${sql.timestamp(new Date(now.getTime() + fetchableSeconds * 1000))})
    where request_id = ${subject}`)
  const { customerId } = session
  const type = `backchannel_request.${outcome}`
  await recordEvent(tx, { type, subject, clientId, customerId, payload: { consentId: consentId ?? null }, now })
  const details = { consentId: consentId ?? null, bindingMessage: bindingMessage ?? null, page: journey.state.step, device: userAgent }
  await appendAudit(tx, { actor: customerId, action: type, subject, interactionId, details, now })
}

/** Where the pages of this visit go on. @returns false when the page was answered again meanwhile. */
export const keepPrompt = (tx: Transaction, visit: PromptVisit, state: JourneyState): Promise<boolean> =>
  keepJourney(tx, { ...visit.journeyKey, pageNumber: visit.journey.pageNumber, state })
