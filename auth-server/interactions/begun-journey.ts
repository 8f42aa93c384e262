import type { CustomerId } from '@bankside/bank/ids'
import { grantActionOf } from '../grants/requested-action.ts'
import { intentOf } from '../intents/intent.ts'
import { handleHash } from '../storage/handle-hash.ts'
import type { KeyedRows } from '../storage/keyed-rows.ts'
import { type Journey, type JourneyKey, toJourney } from './journey.ts'
import type { Arrival } from './visit.ts'

/** As it is written down. */
export type BegunJourney = Journey & { readonly expiresAt: Date }
export type FindBegun = (key: JourneyKey) => Promise<BegunJourney | undefined>

type Stored = { readonly page_number: number; readonly state: unknown; readonly seal: string; readonly expires_at: number }

/** Finds journeys with whatever else is looked for in the same turn, those that have run out too. */
export function begunJourneys(rows: KeyedRows): FindBegun {
  const find = rows({
    name: 'journey',
    table: 'oidc.journey',
    key: { column: 'journey_hash', type: 'bytea' },
    payload: `json_build_object('page_number', page_number, 'state', state, 'seal', seal, 'expires_at', extract(epoch from expires_at))::text`,
    condition: '$1::timestamptz is not null',
  })
  return async (key) => {
    const row = await find(handleHash(key.interactionUid))
    if (row === undefined) return undefined
    const stored = JSON.parse(row.payload) as Stored
    return { ...toJourney(stored, key), expiresAt: new Date(stored.expires_at * 1000) }
  }
}

/**
 * The first page of a customer who is signed in and has only to decide follows from the request and the session, so it is not
 * written down until it is answered. It cannot idle longer than the session, without which the interaction is over.
 */
export function journeyBySession({ interaction, session, begun }: Arrival): Journey | undefined {
  const { prompt, params, session: begunWith } = interaction
  const intent = intentOf(params)
  const customerId = begunWith?.accountId as CustomerId | undefined
  if (begun !== undefined || prompt.name !== 'consent' || intent?.type !== 'openbanking_consent') return undefined
  if (grantActionOf(params) !== undefined || customerId === undefined || session.accountId !== customerId) return undefined
  const known = { customerId, authenticatedAt: session.loginTs, consentId: intent.consentId }
  return { pageNumber: 1, state: { step: 'choose_accounts', ...known }, unwritten: true }
}
