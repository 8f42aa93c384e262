import { canonicalJson } from '@bankside/bank/idempotency/canonical-json'
import { type ConsentId, type CustomerId, isConsentId } from '@bankside/bank/ids'
import { type Database, reading, type SqlFragment, sql, type Transaction, z } from '@bankside/service-kit/postgres'
import { errors } from 'oidc-provider'
import { keyedSignatures } from '../http/keyed-signatures.ts'
import { handleHash } from '../storage/handle-hash.ts'
import type { Place, StoredSeals } from '../storage/stored-seals.ts'
import { idleSeconds } from '../tokens/lifetimes.ts'
import { type EndReason, isEndReason } from './endings.ts'

export type Step = 'sign_in' | 'second_factor' | 'choose_accounts' | 'confirm_payment' | 'confirm_request' | 'finished' | 'ended'

/** How far one customer is on the way through the pages of one authorization request. */
export type Journey = {
  /** The number of the page that may be answered next. */
  readonly pageNumber: number
  readonly state: JourneyState
  /** Its first page has not been answered, and until then follows from the request. */
  readonly unwritten?: true
}

const fieldError = z.object({ field: z.string(), message: z.string() })
const customerId = z.custom<CustomerId>((id) => typeof id === 'string' && id.startsWith('cus_'))

const endReason = z.custom<EndReason>((reason) => typeof reason === 'string' && isEndReason(reason))

const journeyState = z.object({
  step: z.enum(['sign_in', 'second_factor', 'choose_accounts', 'confirm_payment', 'confirm_request', 'finished', 'ended']),
  /** Known once the password was right, or from a session. Signed in only when `authenticatedAt` is there. */
  customerId: customerId.optional(),
  /** Seconds since the epoch, when both factors had been given. */
  authenticatedAt: z.number().optional(),
  /** As typed, so that it need not be typed again. */
  username: z.string().optional(),
  challengeId: z.string().optional(),
  challengeExpiresAt: z.string().optional(),
  consentId: z.custom<ConsentId>(isConsentId).optional(),
  /** The consent whose place this one takes, under a grant that the third party manages. */
  supersedes: z.custom<ConsentId>(isConsentId).optional(),
  grantId: z.string().optional(),
  errors: z.array(fieldError).optional(),
  /** Why there is no way on; the third party is told the error when the customer goes back to it. */
  ended: z.object({ reason: endReason, error: z.string() }).optional(),
})
export type JourneyState = z.infer<typeof journeyState>

const journeyRow = z.object({ page_number: z.number(), state: z.unknown(), seal: z.string() })

/** Which journey, and what its state is sealed with: whoever can write the table only, makes no journey that is signed in. */
export type JourneyKey = { readonly interactionUid: string; readonly seals: StoredSeals }

const expiry = (now: Date) => sql.timestamp(new Date(now.getTime() + idleSeconds * 1000))
const hashOf = ({ interactionUid }: JourneyKey) => sql.binary(handleHash(interactionUid))

/** The journey of an interaction, unless it has not begun or was idle for too long. Looking at a page keeps it from idling. */
export async function touchJourney(tx: Transaction, { now, ...key }: JourneyKey & { now: Date }): Promise<Journey | undefined> {
  const open = await tx.maybeOne(sql.type(journeyRow)`
    update oidc.journey set expires_at = case when state->>'step' = 'ended' then expires_at else ${expiry(now)} end
    where journey_hash = ${hashOf(key)} and expires_at > ${sql.timestamp(now)}
    returning page_number, state, seal`)
  return open === null ? undefined : toJourney(open, key)
}

/** Begins a journey, anew if there was one that ran out. Of two that begin the same at once, both get the one that was first. */
export async function beginJourney(
  tx: Transaction,
  { state, now, ...key }: JourneyKey & { state: JourneyState; now: Date },
): Promise<Journey> {
  const row = await tx.one(sql.type(journeyRow)`
    insert into oidc.journey as journey (journey_hash, page_number, state, seal, expires_at)
    values (${hashOf(key)}, 1, ${JSON.stringify(state)}::jsonb, ${sealOf(state, key)}, ${expiry(now)})
    on conflict (journey_hash) do update set
      page_number = journey.page_number + case when journey.expires_at > ${sql.timestamp(now)} then 0 else 1 end,
      state = case when journey.expires_at > ${sql.timestamp(now)} then journey.state else excluded.state end,
      seal = case when journey.expires_at > ${sql.timestamp(now)} then journey.seal else excluded.seal end,
      expires_at = excluded.expires_at
    returning page_number, state, seal`)
  return toJourney(row, key)
}

/** What is left of a journey, also when it has run out. It may be dropped any time after that. */
export async function findJourney(database: Database, key: JourneyKey): Promise<JourneyState | undefined> {
  const row = await reading(
    database.maybeOne(sql.type(journeyRow)`
      select page_number, state, seal from oidc.journey where journey_hash = ${hashOf(key)}`),
  )
  return row === null ? undefined : toJourney(row, key).state
}

/** Takes the answer to a page, once: undefined for one that was answered before, was replaced, or has run out. */
export async function claimPage(
  tx: Transaction,
  { pageNumber, now, ...key }: JourneyKey & { pageNumber: number; now: Date },
): Promise<Journey | undefined> {
  const row = await tx.maybeOne(sql.type(journeyRow)`
    update oidc.journey set page_number = page_number + 1, expires_at = ${expiry(now)}
    where journey_hash = ${hashOf(key)} and page_number = ${pageNumber} and expires_at > ${sql.timestamp(now)}
    returning page_number, state, seal`)
  return row === null ? undefined : toJourney(row, key)
}

/** Takes the answer to a first page that was not written down: of two, the first writes it. */
export async function claimFirstPage(tx: Transaction, { state, now, ...key }: JourneyKey & { state: JourneyState; now: Date }) {
  const row = await tx.maybeOne(sql.type(journeyRow)`${firstAnswer({ ...key, state, now })} page_number, state, seal`)
  return row === null ? undefined : toJourney(row, key)
}

/** A page is answered and this is where the answer leads, in one: a statement that returns a row for the first who answers. */
export function pageAnswered({
  journey,
  state,
  now,
  ...key
}: JourneyKey & { journey: Journey; state: JourneyState; now: Date }): SqlFragment {
  if (journey.unwritten) return sql.fragment`${firstAnswer({ ...key, state, now })} true`
  return sql.fragment`
    update oidc.journey set page_number = page_number + 1, state = ${JSON.stringify(state)}::jsonb, seal = ${sealOf(state, key)},
      expires_at = ${expiry(now)}
    where journey_hash = ${hashOf(key)} and page_number = ${journey.pageNumber} and expires_at > ${sql.timestamp(now)}
    returning true`
}

const firstAnswer = ({ state, now, ...key }: JourneyKey & { state: JourneyState; now: Date }) => sql.fragment`
  insert into oidc.journey (journey_hash, page_number, state, seal, expires_at)
  values (${hashOf(key)}, 2, ${JSON.stringify(state)}::jsonb, ${sealOf(state, key)}, ${expiry(now)})
  on conflict (journey_hash) do nothing returning`

/** What a page was answered with leads here. Only whoever claimed the page may say so: false when a later one was claimed meanwhile. */
export async function keepJourney(
  tx: Transaction,
  { pageNumber, state, ...key }: JourneyKey & { pageNumber: number; state: JourneyState },
): Promise<boolean> {
  const { rowCount } = await tx.query(sql.unsafe`
    update oidc.journey set state = ${JSON.stringify(state)}::jsonb, seal = ${sealOf(state, key)}
    where journey_hash = ${hashOf(key)} and page_number = ${pageNumber}`)
  return rowCount === 1
}

/** The database keeps the state as `jsonb`, in an order of its own. */
const placeOf = ({ interactionUid }: JourneyKey): Place => ['journey', handleHash(interactionUid).toString('base64url')]
const sealOf = (state: JourneyState, key: JourneyKey): string => key.seals.sign(placeOf(key), canonicalJson(state))

/** @throws {SessionNotFound} for a journey that this server did not write, as for one that is not there. */
export function toJourney({ page_number, state, seal }: z.infer<typeof journeyRow>, key: JourneyKey): Journey {
  if (!key.seals.isSigned(placeOf(key), canonicalJson(state), seal)) throw new errors.SessionNotFound('a journey that was not sealed here')
  return { pageNumber: page_number, state: journeyState.parse(state) }
}

/** Ties a page to its journey and number. Without a key nobody makes one, and with the cookie of another browser none helps. */
export const pageToken = (formKeys: readonly string[], interactionUid: string, pageNumber: number): string =>
  `${pageNumber}.${keyedSignatures(formKeys).sign(pageText(interactionUid, pageNumber))}`

/** The number of the page that a token is of, if it is one of this journey. */
export function pageNumberOf(formKeys: readonly string[], interactionUid: string, token: unknown): number | undefined {
  const [, number, signature = ''] = /^(\d{1,6})\.([\w-]{43})$/.exec(typeof token === 'string' ? token : '') ?? []
  if (number === undefined) return undefined
  return keyedSignatures(formKeys).verify(pageText(interactionUid, Number(number)), signature) ? Number(number) : undefined
}

const pageText = (interactionUid: string, pageNumber: number): string => JSON.stringify(['journey', interactionUid, pageNumber])
